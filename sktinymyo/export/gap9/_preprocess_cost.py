"""Cycles of what stands before the network: channel map, filter, quantisation."""

__all__ = ["ORIGIN", "preprocess_cycles"]

# Instructions in the inner loops of preprocess.c, as gcc 12 -O3 writes them for a
# RISC-V core with a floating-point unit (rv32imfc), one cycle each, on one core.
_SECTION = 13
_MAP = 4
_QUANTISE = 40
_COPY = 4
ORIGIN = "instructions of the compiled code, a cycle each on one core; not measured"


def preprocess_cycles(preprocess, shape):
    """Estimate the cycles of the preprocessing of a whole window.

    A device that filters the running signal computes only its new samples.

    Parameters
    ----------
    preprocess : Preprocess
    shape : ProgramShape

    Returns
    -------
    cycles : dict of str to float
        "filter", with the map of the channels, and "quantise".

    Examples
    --------
    >>> from sktinymyo.export._integer.program import Preprocess, ProgramShape
    >>> from sktinymyo.export.gap9._preprocess_cost import preprocess_cycles
    >>> shape = ProgramShape(
    ...     n_channels=8, n_times=200, patch_size=20, n_patches=10, embed_dim=96,
    ...     n_heads=3, head_dim=32, mlp_dim=384, depth=3, n_classes=6, table_length=10,
    ... )
    >>> preprocess_cycles(Preprocess(n_channels_in=8), shape)
    {'filter': 6400, 'quantise': 64000}
    """
    n_samples = shape.n_channels * shape.n_times
    filtering = n_samples * _COPY
    if preprocess.mapper is not None:
        filtering += n_samples * preprocess.n_channels_in * _MAP
    if preprocess.sos is not None:
        n_passed = n_samples
        if preprocess.phase == "zero":
            padded = shape.n_times + 2 * preprocess.pad_length
            n_passed = 2 * shape.n_channels * padded
        filtering += n_passed * len(preprocess.sos) * _SECTION
    return {"filter": filtering, "quantise": n_samples * _QUANTISE}
