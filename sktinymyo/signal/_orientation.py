"""Recognising recordings that were given with time along the first axis."""

__all__ = ["orientation_hint"]


def orientation_hint(name, shape):
    """Return a sentence for recordings with more channels than samples, else "".

    A recording this short is hardly ever meant: most files hold one line per
    sample, so that channels and samples are easily exchanged.

    Parameters
    ----------
    name : str
        How the recording is called in the message.
    shape : tuple of int
        Its shape, as the caller of the public function gave it.

    Returns
    -------
    hint : str
    """
    n_channels, n_times = shape
    if n_channels <= n_times:
        return ""
    return (
        f"{name} has the shape ({n_channels}, {n_times}): {n_channels} channels of "
        f"{n_times} {'sample' if n_times == 1 else 'samples'}. The expected order is "
        f"(n_channels, n_times); pass {name}.T if it is the other way round."
    )
