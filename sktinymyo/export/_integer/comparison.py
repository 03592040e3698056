"""How far the integer network is from the float one, layer by layer."""

from dataclasses import dataclass

import numpy as np

from .calibration import float_trace
from .preprocess import preprocess_windows, quantise_input
from .program import trace_names
from .reference import run_program

__all__ = ["QuantizationReport", "scaled_windows", "signal_to_noise"]

_ROWS_PER_CHUNK = 2048


@dataclass(frozen=True)
class QuantizationReport:
    """What quantisation cost.

    ``str(report)`` is a table.

    Parameters
    ----------
    n_windows : int
        Windows that predictions were compared on.
    layers : dict of str to float
        Signal-to-noise ratio of every layer in dB, in the order of the network.
    agreement : float
        Share of windows with the same label as the float pipeline.
    accuracy_float, accuracy_integer : float or None
        Shares of right labels, if labels were given.
    nbytes : int
        Bytes of the integer constants.

    Examples
    --------
    >>> from sktinymyo.export.quantize import QuantizationReport
    >>> layers = {"patch": 36.0, "norm": 28.5}
    >>> print(QuantizationReport(500, layers, 0.996, 0.96, 0.958, 440_000))
    Integer network, 0.44 MB of constants, 500 windows
    same label as float     99.60 %
    accuracy, float         96.00 %
    accuracy, integer       95.80 %
    <BLANKLINE>
    layer                  signal to noise
    patch                    36.0 dB
    norm                     28.5 dB
    """

    n_windows: int
    layers: dict
    agreement: float
    accuracy_float: float | None
    accuracy_integer: float | None
    nbytes: int

    def __str__(self):
        """Return the report as a table."""
        lines = [
            f"Integer network, {self.nbytes / 1e6:.2f} MB of constants, "
            f"{self.n_windows} windows",
            f"same label as float    {100 * self.agreement:6.2f} %",
        ]
        if self.accuracy_float is not None:
            lines += [
                f"accuracy, float        {100 * self.accuracy_float:6.2f} %",
                f"accuracy, integer      {100 * self.accuracy_integer:6.2f} %",
            ]
        lines += ["", "layer                  signal to noise"]
        lines += [f"{name:<22} {value:6.1f} dB" for name, value in self.layers.items()]
        return "\n".join(lines)


def scaled_windows(model, windows):
    """Return preprocessed windows as the float network takes them.

    Parameters
    ----------
    model : ExportedModel
        Its scaling is applied.
    windows : ndarray of float32, shape (n_windows, n_channels, n_times)
        From ``preprocess_windows``.

    Returns
    -------
    scaled : ndarray of float32
    """
    scaled = windows.astype(np.float64) - model.center[:, np.newaxis]
    return (scaled / model.scale[:, np.newaxis]).astype(np.float32)


def signal_to_noise(model, program, X):
    """Compare the layers of both networks on the same windows.

    Parameters
    ----------
    model : ExportedModel
        The float network.
    program : IntegerProgram
        The integer network.
    X : ndarray of shape (n_windows, n_channels_in, n_times)
        Raw windows.

    Returns
    -------
    layers : dict of str to float
        Ratio of the power of a layer to that of its error, in dB.
    """
    names = trace_names(program.shape)
    powers = {name: np.zeros(2) for name in names}
    step = max(1, _ROWS_PER_CHUNK // program.shape.n_rows)
    for start in range(0, len(X), step):
        windows = preprocess_windows(program, X[start : start + step])
        real = float_trace(model, scaled_windows(model, windows))
        q_input = quantise_input(program, windows)
        _, layers = run_program(program, q_input, trace=True)
        for name in names:
            exact = real[name].astype(np.float64)
            steps = layers[name].astype(np.float64) - program.zeros.get(name, 0)
            error = steps * program.scales[name] - exact
            powers[name] += np.square(exact).sum(), np.square(error).sum()
    return {name: _decibels(*powers[name]) for name in names}


def _decibels(signal, noise):
    """Return the ratio of two powers in dB; without a signal there is none to lose."""
    if signal == 0 or noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise))
