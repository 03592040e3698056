"""Compile the C program of a bundle on this machine, run it, and read what it says."""

import platform
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...exceptions import BuildError
from ._makefile import RISCV_FLAGS, STRICT_FLAGS

__all__ = [
    "MACHINES",
    "BuildError",
    "HostRun",
    "build_program",
    "missing_tools",
    "run_program",
]


@dataclass(frozen=True)
class _Machine:
    compilers: tuple
    emulator: str | None
    layer: str
    flags: tuple


MACHINES = {
    "host": _Machine(("gcc", "cc", "clang"), None, "hal_host.c", ()),
    "rv32": _Machine(
        ("riscv64-unknown-elf-gcc",), "qemu-riscv32", "hal_qemu.c", RISCV_FLAGS
    ),
}
_PACKAGES = {
    "host": "a C compiler (Debian: gcc)",
    "rv32": "Debian's gcc-riscv64-unknown-elf, picolibc-riscv64-unknown-elf and "
    "qemu-user",
}
# Peaks and checksums are written to standard error, and so are complaints.
_WORDS_OF_TRACE = ("crc", "peak")


@dataclass(frozen=True)
class HostRun:
    """What the program answered.

    Parameters
    ----------
    values : ndarray
        int32 logits (n_windows, n_classes), or float32 samples of the modes that only
        preprocess, one behind the other.
    crc : list of dict of str to int
        CRC-32 of every layer by name, one dict a window; empty without a trace.
    peaks : dict of str to int
        Bytes of the arenas "L1" and "L2" that were written; empty without a trace.
    """

    values: np.ndarray
    crc: list = field(default_factory=list)
    peaks: dict = field(default_factory=dict)


def missing_tools(machine="host"):
    """Say what this computer lacks to build for a machine and to run it.

    Parameters
    ----------
    machine : {"host", "rv32"}, default="host"
        This computer, or a 32-bit RISC-V under qemu.

    Returns
    -------
    reason : str or None
        None if nothing is missing.
    """
    needs = MACHINES[machine]
    if platform.system() != "Linux":
        return f"the C program is built on Linux only, not on {platform.system()}"
    missing = []
    if _compiler(machine) is None:
        missing.append(" or ".join(needs.compilers))
    if needs.emulator is not None and shutil.which(needs.emulator) is None:
        missing.append(needs.emulator)
    if not missing:
        return None
    return f"{' and '.join(missing)} not found; install {_PACKAGES[machine]}"


def build_program(
    sources,
    output,
    *,
    machine="host",
    trace=False,
    sanitize=None,
    threads=False,
    cores=None,
    options=(),
):
    """Compile the sources of a bundle into one program.

    Parameters
    ----------
    sources : path
        Folder ``src`` of the bundle.
    output : path
        File to write.
    machine : {"host", "rv32"}, default="host"
        What to compile for.
    trace : bool, default=False
        Report the CRC-32 of every layer, which takes longer than computing it.
    sanitize : str or None, default=None
        Checks for gcc's ``-fsanitize``, such as "address,undefined" or "thread".
    threads : bool, default=False
        Let threads play the cores of the chip; else their parts run in turn.
    cores : int or None, default=None
        Parts of a tile; None: the 8 of the chip. 1 is the fastest on a workstation.
    options : sequence of str, default=()
        Further options of the compiler.

    Returns
    -------
    output : Path

    Raises
    ------
    BuildError
        If tools are missing or the compiler refuses.
    """
    reason = missing_tools(machine)
    if reason is not None:
        raise BuildError(f"cannot build for {machine!r}: {reason}.")
    sources, needs = Path(sources), MACHINES[machine]
    flags = [*STRICT_FLAGS, *needs.flags, *_optimisation(machine, sanitize)]
    flags += ["-DNET_TRACE"] if trace else []
    flags += ["-DNET_THREADS", "-pthread"] if threads else []
    flags += [f"-DNET_CORES={cores}"] if cores is not None else []
    files = [str(sources / name) for name in (*_program_sources(sources), needs.layer)]
    command = [_compiler(machine), *flags, *options, "-o", str(output), *files]
    _call(command, "the compiler refused", timeout=600)
    return Path(output)


def run_program(
    program, weights, windows, *, mode="int8", machine="host", timeout=3600.0
):
    """Run a compiled program on windows.

    Parameters
    ----------
    program : path
        From :func:`build_program`.
    weights : path
        ``weights.bin`` of the bundle.
    windows : ndarray
        For the mode "int8" int8 (n_windows, n_channels, n_times); for "float32" and
        "filter" float32 (n_windows, n_channels_in, n_times) before the preprocessing;
        for "stream" float32 (n_times, n_channels_in).
    mode : {"int8", "float32", "filter", "stream"}, default="int8"
        Network alone, preprocessing and network, preprocessing of windows, or
        preprocessing of a recording.
    machine : {"host", "rv32"}, default="host"
        What the program was compiled for.
    timeout : float, default=3600.0
        Seconds after which it is stopped.

    Returns
    -------
    run : HostRun

    Raises
    ------
    BuildError
        If the program reports a failure or is stopped.
    """
    windows = np.ascontiguousarray(windows)
    dtype = np.int8 if mode == "int8" else np.float32
    if windows.dtype != dtype:
        raise ValueError(
            f"windows are {windows.dtype}; the mode {mode!r} takes {np.dtype(dtype)}."
        )
    emulator = MACHINES[machine].emulator
    command = [emulator] if emulator else []
    # A name without a folder would be looked up among the installed programs.
    command += [str(Path(program).resolve()), mode, str(weights)]
    done = _call(command, "the program failed", timeout=timeout, data=windows.tobytes())
    crc, peaks = _read_trace(done.stderr.decode(errors="replace"))
    if mode in ("filter", "stream"):
        return HostRun(np.frombuffer(done.stdout, np.float32), crc, peaks)
    logits = np.frombuffer(done.stdout, np.int32)
    return HostRun(logits.reshape(len(windows), -1 if logits.size else 0), crc, peaks)


def _program_sources(folder):
    """List the C files of a network: all but the machines' layers and the examples."""
    names = sorted(path.name for path in folder.glob("*.c"))
    return [n for n in names if not n.startswith("hal_") and n != "vectors.c"]


def _compiler(machine):
    """Return the path of the first compiler that is installed, or None."""
    found = (shutil.which(name) for name in MACHINES[machine].compilers)
    return next((path for path in found if path is not None), None)


def _optimisation(machine, sanitize):
    if sanitize is not None:
        checks = [f"-fsanitize={sanitize}", "-fno-sanitize-recover=all"]
        return ["-O1", "-g", *checks]
    return ["-O3", "-march=native"] if machine == "host" else ["-O2"]


def _call(command, complaint, *, timeout, data=None):
    """Run a command and return what it said, or raise with it."""
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=timeout, check=False
        )
    # Such as a folder for temporary files from which nothing may be started.
    except OSError as error:
        raise BuildError(
            f"{complaint}: {command[0]} does not start ({error})."
        ) from error
    except subprocess.TimeoutExpired:
        raise BuildError(
            f"{complaint}: {command[0]} took longer than {timeout:g} s."
        ) from None
    if done.returncode:
        said = [
            line
            for line in done.stderr.decode(errors="replace").splitlines()
            if line.split(" ")[0] not in _WORDS_OF_TRACE
        ]
        raise BuildError(
            f"{complaint} (status {done.returncode}): {' '.join(command)}\n"
            + "\n".join(said[-30:])
        )
    return done


def _read_trace(text):
    """Return the checksums, one dict a window, and the peaks of a trace."""
    crc, peaks = [], {}
    for line in text.splitlines():
        word, *rest = line.split(" ")
        if word == "crc":
            layer, number = rest
            if layer == "input":
                crc.append({})
            crc[-1][layer] = int(number, 16)
        elif word == "peak":
            level, number = rest
            peaks[level] = int(number)
    return crc, peaks
