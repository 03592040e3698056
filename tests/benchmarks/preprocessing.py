"""Features and filters beside LibEMG and plain scipy.

    python tests/benchmarks/preprocessing.py

Feature sets HTD, LS4 and TDPSD on windows of 8 x 200: `extract_features` in float64 and
float32 beside LibEMG (left out where it is not installed). Band-pass 20-450 Hz and
50 Hz notch on a recording of 60 s x 16 channels x 2 kHz, zero phase and causal,
beside band-pass and notch as two filtfilt passes. One thread; medians over rounds
in which the contenders take turns.
"""

import sys
import time

from _common import Results, limit_threads, parser_of
from speed import take_turns


def features(options, results):
    """Measure windows/s of each feature set."""
    import statistics

    import numpy as np

    from sktinymyo.signal import extract_features

    try:
        from libemg.feature_extractor import FeatureExtractor
    except ImportError:
        FeatureExtractor = None
    rng = np.random.default_rng(0)
    double = rng.standard_normal((options.windows, 8, 200))
    single = double.astype(np.float32)
    for group in ("htd", "ls4", "tdpsd"):
        key = {"kind": "features", "group": group, "threads": options.threads}
        key["n_windows"] = options.windows
        if results.find(key):
            continue
        calls = {
            "float64": lambda group=group: extract_features(double, group),
            "float32": lambda group=group: extract_features(single, group),
        }
        if FeatureExtractor is not None:
            extractor = FeatureExtractor()
            calls["libemg"] = lambda group=group, extractor=extractor: (
                extractor.extract_feature_group(group.upper(), double)
            )
        rates = take_turns(calls, options.rounds, options.windows, 0.3)
        values = {name: statistics.median(rate) for name, rate in rates.items()}
        results.add(key, values)
        print(group, {name: round(rate) for name, rate in values.items()}, flush=True)


def filters(options, results):
    """Measure the filtering of one recording, in milliseconds."""
    import statistics

    import numpy as np
    from scipy import signal

    from sktinymyo.signal import filter_recording

    sfreq = 2000.0
    rng = np.random.default_rng(0)
    recording = rng.standard_normal((16, int(options.seconds * sfreq)))

    def two_passes():
        band = signal.butter(4, (20, 450), "bandpass", fs=sfreq)
        notch = signal.iirnotch(50, 30, fs=sfreq)
        return signal.filtfilt(*notch, signal.filtfilt(*band, recording))

    def ours(phase):
        return filter_recording(
            recording, sfreq, l_freq=20, h_freq=450, notch=50, phase=phase
        )

    key = {"kind": "filter", "seconds": options.seconds, "threads": options.threads}
    if results.find(key):
        return
    calls = {
        "two filtfilt passes": two_passes,
        "ours, zero phase": lambda: ours("zero"),
        "ours, causal": lambda: ours("causal"),
    }
    rates = take_turns(calls, options.rounds, 1, 0.3)
    values = {name: 1000 / statistics.median(rate) for name, rate in rates.items()}
    results.add(key, values)
    print({name: f"{took:.1f} ms" for name, took in values.items()}, flush=True)


def main():
    """Run both parts."""
    parser = parser_of(__doc__, "preprocessing")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--windows", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the recording")
    options = parser.parse_args()
    limit_threads(options.threads)
    results = Results(options.out, "preprocessing")
    started = time.perf_counter()
    features(options, results)
    filters(options, results)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
