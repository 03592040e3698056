"""Random changes of EMG windows that keep their meaning, for training."""

import torch

__all__ = ["AUGMENTATIONS", "augment_windows"]


def _scale_amplitude(windows, generator):
    """Multiply every channel of every window by a factor from 0.9 to 1.1."""
    gains = torch.rand(windows.shape[:2], generator=generator, dtype=windows.dtype)
    return windows * (0.9 + 0.2 * gains).unsqueeze(-1)


def _add_noise(windows, generator):
    """Add white noise of 1 % of the channel's standard deviation."""
    noise = torch.randn(windows.shape, generator=generator, dtype=windows.dtype)
    spread = windows.std(dim=-1, keepdim=True, correction=0)
    return windows + 0.01 * spread * noise


def _drop_channels(windows, generator):
    """Silence 5 % of the channels, never all channels of a window."""
    keep = (
        torch.rand(windows.shape[:2], generator=generator, dtype=windows.dtype) >= 0.05
    )
    keep |= ~keep.any(dim=1, keepdim=True)
    return windows * keep.unsqueeze(-1)


def _rotate_armband(windows, generator):
    """Turn the armband by one electrode to either side, or not at all."""
    n_windows, n_channels, n_times = windows.shape
    steps = torch.randint(-1, 2, (n_windows, 1), generator=generator)
    order = (torch.arange(n_channels) + steps) % n_channels
    return windows.gather(1, order.unsqueeze(-1).expand(-1, -1, n_times))


def _jitter_time(windows, generator):
    """Shift the window in time by up to a tenth of its length, circularly."""
    n_windows, n_channels, n_times = windows.shape
    most = n_times // 10
    steps = torch.randint(-most, most + 1, (n_windows, 1), generator=generator)
    order = (torch.arange(n_times) + steps) % n_times
    return windows.gather(2, order.unsqueeze(1).expand(-1, n_channels, -1))


_PUBLISHED = (_scale_amplitude, _add_noise, _drop_channels)

AUGMENTATIONS = {
    "amplitude": (_scale_amplitude,),
    "noise": (_add_noise,),
    "channel-drop": (_drop_channels,),
    "rotation": (_rotate_armband,),
    "time-jitter": (_jitter_time,),
    "published": _PUBLISHED,
    "armband": (*_PUBLISHED, _rotate_armband, _jitter_time),
}


def augment_windows(windows, recipe, generator):
    """Change windows at random, in a way that keeps what they mean.

    Parameters
    ----------
    windows : torch.Tensor of shape (n_windows, n_channels, n_times)
        Windows on the CPU; not changed in place.
    recipe : {"amplitude", "noise", "channel-drop", "rotation", "time-jitter", \
            "published", "armband"}
        "amplitude" (factor 0.9 to 1.1 per channel), "noise" (1 % of the
        standard deviation), "channel-drop" (5 % of the channels silent),
        "rotation" (the armband turned by one electrode), "time-jitter" (up to
        a tenth of the window, circular); "published" is the first three, the
        recipe of TinyMyo on NinaPro DB5 [1]_; "armband" is all five.
    generator : torch.Generator
        Source of the random numbers.

    Returns
    -------
    windows : torch.Tensor of shape (n_windows, n_channels, n_times)

    Raises
    ------
    ValueError
        If the recipe is not known.

    References
    ----------
    .. [1] "TinyMyo: a Tiny Foundation Model for Flexible EMG Signal Processing
       at the Edge", arXiv:2512.15729.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import augment_windows
    >>> generator = torch.Generator().manual_seed(0)
    >>> augment_windows(torch.ones(2, 8, 200), "armband", generator).shape
    torch.Size([2, 8, 200])
    """
    if recipe not in AUGMENTATIONS:
        accepted = ", ".join(repr(name) for name in AUGMENTATIONS)
        raise ValueError(
            f"augment={recipe!r} is not known; pass None or one of: {accepted}."
        )
    for change in AUGMENTATIONS[recipe]:
        windows = change(windows, generator)
    return windows
