"""Whether windows are of the kind that the weights learned from."""

__all__ = ["describe_breach"]

# Below this a gesture is hardly seen, and a wrong rate is likelier than such a window.
_SHORTEST_WINDOW = 0.05
# EMG lies above; a number below was probably meant in kHz.
_LOWEST_RATE = 20.0


def describe_breach(card, *, sfreq, n_channels, n_times, patch_size):
    """Say where windows differ from those that the weights learned from.

    Parameters
    ----------
    card : WeightsCard
        Of the weights.
    sfreq : float
        Sampling rate of the windows in Hz, as stated by the user.
    n_channels, n_times : int
        Shape of the windows.
    patch_size : int
        Samples of one patch.

    Returns
    -------
    message : str or None
        What was seen, what is known and the remedy; None if nothing differs.
    """
    found = card.find_mismatches(sfreq=sfreq)
    if found and sfreq < _LOWEST_RATE:
        # To resample from such a rate would make everything worse.
        found = [f"sfreq={sfreq:.10g} Hz: in kHz? Pass {1000 * sfreq:.10g}"]
    elif found:
        left = -(-n_times * card.rates[0] // sfreq)
        if left < patch_size:
            found[0] += (
                f", which leaves {left:.0f} of {n_times} samples, less than one patch "
                f"({patch_size} samples)"
            )
    found += card.find_mismatches(n_channels=n_channels)
    sentences = [f"{'; '.join(found)}."] if found else []
    if n_times < patch_size:
        sentences.append(
            f"Windows of {n_times} samples are shorter than one patch ({patch_size} "
            "samples); the rest is zeros. Is the sampling rate right, or is the window "
            "too short?"
        )
    if not sentences:
        return None
    seconds, first = n_times / sfreq, ""
    if seconds < _SHORTEST_WINDOW:
        first = (
            f"Check sfreq first: {n_times} samples at {sfreq:.10g} Hz are "
            f"{seconds:.2g} s. "
        )
    return (
        f"{first}X is not what the weights {card.name[:80]!r} learned from. "
        f"{' '.join(sentences)} Otherwise pretraining may be of little use (sfreq=None "
        "compares nothing)."
    )
