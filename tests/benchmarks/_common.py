"""What the benchmarks share: resumable results, facts of the machine, windows."""

import argparse
import datetime
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "sktinymyo",
    "torch",
    "scikit-learn",
    "numpy",
    "scipy",
    "pandas",
    "onnxruntime",
    "openvino",
    "libemg",
)
# What follows them names a place on this machine.
PATH_OPTIONS = (
    "--data",
    "--authors",
    "--out",
    "--weights",
    "--models",
    "--memory",
    "--minirocket-python",
)


def machine():
    """Facts of the machine and the versions, stored beside every result."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    flags = set()
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                model = value.strip()
            elif name.strip() == "flags":
                flags = set(value.split())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    wanted = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")
    return {
        "processor": model,
        "instructions": [name for name in wanted if name in flags],
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": versions,
    }


class Results:
    """A JSON file of records; each is written as soon as it is known.

    A record is ``{"key": {...}, "values": ...}``; a key that is already in the
    file is not computed again, so that an interrupted run goes on where it was.
    """

    def __init__(self, path, benchmark):
        self.path = Path(path)
        self.benchmark = benchmark
        self.records = []
        if self.path.exists():
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["benchmark"] != benchmark:
                raise SystemExit(
                    f"{self.path} holds results of {content['benchmark']!r}, not of "
                    f"{benchmark!r}; pass another --out."
                )
            self.records = content["records"]

    def find(self, key):
        """Return the values stored under this key, or None."""
        for record in self.records:
            if record["key"] == key:
                return record["values"]
        return None

    def add(self, key, values):
        """Store one record; the file is replaced as a whole or not at all."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.records = [record for record in self.records if record["key"] != key]
        self.records.append({"key": key, "values": values, "date": now})
        content = {
            "benchmark": self.benchmark,
            "command": " ".join(["python", *_command()]),
            "machine": machine(),
            "records": self.records,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(self.path.name + ".part")
        draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
        draft.replace(self.path)

    def compute(self, key, function):
        """Return the stored values of this key, or compute and store them."""
        values = self.find(key)
        if values is None:
            values = function()
            self.add(key, values)
        return values


def _command():
    """Return the command line without paths of this machine."""
    words = [f"tests/benchmarks/{Path(sys.argv[0]).name}"]
    hidden = False
    for word in sys.argv[1:]:
        shown = word.startswith("-") or word == "default"
        words.append("..." if hidden and not shown else word)
        hidden = word in PATH_OPTIONS
    return words


def parser_of(documentation, name):
    """Return a parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=RESULTS / f"{name}.json",
        help="file for the results; what is in it already is not computed again",
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of every library (default 1)"
    )
    return parser


def limit_threads(n_threads):
    """Limit the threads of all libraries; must be called before they load."""
    loaded = {"numpy", "torch", "sklearn"} & set(sys.modules)
    if loaded:
        raise RuntimeError(f"too late to limit threads: {sorted(loaded)} are loaded.")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(n_threads)


def thin(meta, n_largest):
    """Rows of evenly spread windows, at most `n_largest`; all if None.

    Every k-th window of each recording, so that persons, gestures and
    repetitions keep their shares and no draw is involved.
    """
    import numpy as np

    if n_largest is None or len(meta) <= n_largest:
        return np.arange(len(meta))
    keys = [name for name in ("subject", "session", "recording") if name in meta]
    groups = meta.groupby(keys, sort=False, dropna=False)
    step = -(-len(meta) // n_largest)
    position = groups.cumcount().to_numpy() + groups.ngroup().to_numpy()
    return np.flatnonzero(position % step == 0)
