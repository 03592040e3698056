"""Pretrain from the command line: ``python -m sktinymyo.pretraining --help``."""

import argparse
import os
import sys
from pathlib import Path

from ..exceptions import SktinymyoError
from ._configuration import gather_recordings, read_configuration
from ._pretrainer import TinyMyoPretrainer

# What launchers tell their processes: torchrun and accelerate, MPICH and Intel's MPI,
# Open MPI, MVAPICH.
_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
_RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")


def main(arguments=None):
    """Read a configuration, pretrain, and write the weights.

    Parameters
    ----------
    arguments : list of str or None, default=None
        Command line; None takes that of the process.

    Returns
    -------
    status : int
        0; errors of the configuration or of the data end the process with a
        message.
    """
    parser = argparse.ArgumentParser(
        prog="python -m sktinymyo.pretraining",
        description="Pretrain a TinyMyo encoder as a configuration file says.",
    )
    parser.add_argument(
        "--config",
        required=True,
        help="TOML file, or the name of one that comes with the package "
        "(configs/open.toml, configs/open-small.toml)",
    )
    parser.add_argument("--data", default=None, help="folder with the recordings")
    parser.add_argument("--out", required=True, help="folder for all that is written")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint in --out, if there is one; without this "
        "option, a folder with a checkpoint is refused",
    )
    parser.add_argument(
        "--max-steps", type=int, default=None, help="instead of the configuration's"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument(
        "--checkpoint-seconds", type=float, default=300.0, help="default 300"
    )
    parser.add_argument(
        "--checkpointing",
        action="store_true",
        help="less memory for more time: compute activations again on the way back",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    try:
        rank, n_processes = _find_processes()
        configuration = read_configuration(options.config)
        X, y, groups = gather_recordings(configuration, options.data)
        parameters = configuration.pretrainer | {
            "checkpoint_folder": options.out,
            "checkpoint_seconds": options.checkpoint_seconds,
            "resume": options.resume,
            "accelerate": n_processes > 1,
            "device": options.device,
            "verbose": int(not options.quiet),
        }
        if options.max_steps is not None:
            parameters["max_steps"] = options.max_steps
        if options.checkpointing:
            parameters["checkpointing"] = True
        pretrainer = TinyMyoPretrainer(**parameters).fit(X, y, groups)
        if rank == 0:
            folder = Path(options.out) / "weights"
            card = pretrainer.save_pretrained(
                folder, precision=configuration.precision, **configuration.card
            )
            sys.stdout.write(f"{folder}: {card.summary()}\n")
    except (ValueError, OSError, SktinymyoError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0


def _find_processes():
    """Return the number of this process and how many there are."""
    sizes = [os.environ[name] for name in _SIZES if name in os.environ]
    ranks = [os.environ[name] for name in _RANKS if name in os.environ]
    # accelerate launch sets an address to meet at when it was asked for several
    # processes, also where it then starts one: it takes its own launcher for
    # graphics cards alone, and leaves the rest to MPI.
    launched = "ACCELERATE_MIXED_PRECISION" in os.environ
    if launched and not sizes and "MASTER_ADDR" in os.environ:
        raise ValueError(
            "accelerate launch was asked for several processes but started this one "
            "alone, as it does on a machine without several graphics cards. For "
            "processes on the processor use: torchrun --nproc_per_node 2 -m "
            "sktinymyo.pretraining ... (with --device cpu where there is a graphics "
            "card). For a single process leave the launcher out, or unset MASTER_ADDR."
        )
    return int(ranks[0]) if ranks else 0, int(sizes[0]) if sizes else 1


if __name__ == "__main__":
    sys.exit(main())
