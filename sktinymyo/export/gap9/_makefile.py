"""The Makefile of a bundle."""

__all__ = [
    "IMAGE_SOURCES",
    "PROGRAM_SOURCES",
    "RISCV_FLAGS",
    "STRICT_FLAGS",
    "render_makefile",
]

STRICT_FLAGS = (
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Werror",
    # Each float32 operation is rounded by itself, as in the reference.
    "-ffp-contract=off",
    # An arena is bytes to one function and numbers to the next.
    "-fno-strict-aliasing",
)
RISCV_FLAGS = (
    "-march=rv32imc",
    "-mabi=ilp32",
    "--specs=picolibc.specs",
    "-nostartfiles",
    # The library's default is the memory of a microcontroller.
    "-Wl,--defsym=__flash_size=0x8000000,--defsym=__ram_size=0x8000000",
)

_COMMON_SOURCES = (
    "net.c",
    "main.c",
    "engine.c",
    "memory.c",
    "steps_linear.c",
    "steps_pool.c",
    "kernels.c",
    "product.c",
    "preprocess.c",
    "trace.c",
)
# All but the machine's layer, of an encoder and of a network for images.
PROGRAM_SOURCES = (
    *_COMMON_SOURCES,
    "steps_tokens.c",
    "steps_attention.c",
    "steps_norm.c",
    "window_tokens.c",
    "trace_tokens.c",
)
IMAGE_SOURCES = (
    *_COMMON_SOURCES,
    "steps_convolution.c",
    "window_images.c",
    "vote.c",
    "trace_images.c",
)


def _wrapped(names):
    """Return paths below src, five in a line of the Makefile."""
    lines = [names[at : at + 5] for at in range(0, len(names), 5)]
    return " \\\n\t".join(" ".join(f"src/{n}" for n in line) for line in lines)


def render_makefile(sources):
    """Write the Makefile of a bundle.

    Parameters
    ----------
    sources : sequence of str
        Names of the C files, but for the machine's layer.

    Returns
    -------
    text : str
    """
    return _TEXT.replace("@SOURCES@", _wrapped(sources))


_TEXT = f"""# host      for this machine
# sanitize  the same with checks of every access
# threads   the same with threads for the cores of the chip
# qemu      RV32IMC, for qemu-riscv32
# gap9      with the SDK of the chip, which sets RULES_DIR
#
#   make host && build/net int8 weights.bin < windows > logits

STRICT = {" ".join(STRICT_FLAGS)}
RISCV = {" ".join(RISCV_FLAGS)}
OPTIONS =
SOURCES = @SOURCES@

host: build/net
sanitize: build/net-sanitize
threads: build/net-threads
qemu: build/net-rv32

build/net: $(SOURCES) src/hal_host.c | build
\t$(CC) $(STRICT) -O3 -march=native -DNET_CORES=1 $(OPTIONS) -o $@ $^

build/net-sanitize: $(SOURCES) src/hal_host.c | build
\t$(CC) $(STRICT) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \\
\t\t-DNET_TRACE $(OPTIONS) -o $@ $^

build/net-threads: $(SOURCES) src/hal_host.c | build
\t$(CC) $(STRICT) -O3 -march=native -pthread -DNET_THREADS $(OPTIONS) -o $@ $^

build/net-rv32: $(SOURCES) src/hal_qemu.c | build
\triscv64-unknown-elf-gcc $(STRICT) -O2 $(RISCV) -DNET_TRACE $(OPTIONS) -o $@ $^

build:
\tmkdir -p $@

.PHONY: host sanitize threads qemu gap9 clean

ifdef RULES_DIR
APP = net
APP_SRCS = $(SOURCES) src/hal_gap9.c src/vectors.c
APP_INC = src
APP_CFLAGS = -O3 -std=gnu99 -ffp-contract=off -fno-strict-aliasing -DNET_GAP9 $(OPTIONS)
READFS_FILES = weights.bin
gap9: all
include $(RULES_DIR)/pmsis_rules.mk
else
gap9:
\t@echo "RULES_DIR is not set: load the environment of the GAP9 SDK first"; exit 1
clean:
\trm -rf build
endif
"""
