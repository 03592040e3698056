"""Windows to pretrain on, cut on the fly from arrays, recordings or files."""

import hashlib
import warnings
from pathlib import Path

import numpy as np

from .._validation import check_choice, check_number
from ..exceptions import WindowsError
from ._arguments import check_indices, check_rates, check_shift
from ._collect import collect
from ._entries import ORIENTATIONS
from ._labels import encode_groups, encode_labels
from ._moments import Scaling, moments_of, usable_spread
from ._order import shuffled_batches

__all__ = ["WindowSource", "open_source"]

SCALES = ("group", "recording", "window", None)


def open_source(
    X,
    y=None,
    groups=None,
    *,
    n_times,
    step,
    scale="group",
    n_channels=None,
    sfreq=None,
    orientation="channels-first",
    datasets=None,
    cache_folder=None,
    classes=None,
    padded_to=None,
):
    """Open recordings, in memory or larger than it, as a source of windows.

    Parameters
    ----------
    X : array-like, list of arrays, Bunch, list of Bunches, path, or list of paths
        * an array (n_windows, n_channels, n_times) of windows cut already, or
          the same flattened to two dimensions, split by `n_channels`;
        * a sequence of recordings (n_channels, n_times) of any lengths and
          numbers of channels;
        * a Bunch of :mod:`sktinymyo.datasets`, or a list of them;
        * a folder (with the folders inside), or files that end in .h5, .hdf5,
          .npz or .npy. They may be larger than memory; see Notes.
    y : array-like or None, default=None
        Label of each window of an array or of each recording: numbers or
        text. None, NaN and -1 are unknown. None takes what Bunches and
        files say: names of gestures, and ``label``.
    groups : array-like or None, default=None
        Group of each window or recording. Those of one group are scaled
        together: the same person with the same electrodes, since scaling each
        short repetition by itself would take away how strong it was. None
        takes what Bunches (subject and session) and files (``group``) say;
        otherwise a recording is a group of its own, and all windows of an
        array are one.
    n_times : int
        Samples in a window.
    step : int
        Samples from one window's start to the next.
    scale : {"group", "recording", "window"} or None, default="group"
        Over what to compute the mean and the standard deviation of every
        channel that its samples are scaled by. None leaves values as they
        are.
    n_channels : int or None, default=None
        Number of channels of flattened windows (None means one); of an array
        with three dimensions the number expected; of recordings the largest
        number accepted.
    sfreq : float, array-like or None, default=None
        Sampling rate in Hz, for all or for each recording. Only described,
        not changed. None takes what Bunches and files say.
    orientation : {"channels-first", "times-first"}, default="channels-first"
        Axes of the arrays in files that do not say so themselves.
    datasets : str, list of str or None, default=None
        Names of the arrays to read from HDF5 and .npz files, as a pattern
        ("emg*") of the full or of the last part of the name; None takes every
        array with two dimensions.
    cache_folder : str, path or None, default=None
        Where compressed .npz archives are unpacked, once, and where means and
        standard deviations of files are kept, so that opening them again is
        quick. Without it compressed .npz archives are refused.
    classes : ndarray or None, default=None
        Labels in the order of the codes that a model has learned; another label is
        refused. None takes those that occur, sorted.
    padded_to : int or None, default=None
        Samples up to which windows are completed with zeros once they are scaled, so
        that the zeros have no part in the scaling.

    Returns
    -------
    WindowSource

    Raises
    ------
    WindowsError
        If X has no form listed above, a recording has too many channels or is
        not finite, no recording is as long as a window, or a file is damaged.
    DatasetNotFoundError
        If a path does not exist or holds no files.
    ValueError
        If a parameter is not accepted, or `y`, `groups` or `sfreq` do not fit.

    Warns
    -----
    UserWarning
        If some recordings are shorter than a window and left out, or recordings
        look transposed.

    Notes
    -----
    **Files.** Each two-dimensional array of real numbers is a recording; other
    arrays are left alone. In HDF5 files the attributes ``orientation``,
    ``sfreq`` (Hz), ``label`` and ``group`` of the data set, else of the groups
    around it, else of the file, apply. In .npz archives arrays of these names
    hold one value, or one for each recording in the order of the archive.
    Files are only read where windows lie, a few are open at a time, and
    nothing is ever unpickled. Arrays without compression are read fastest:
    HDF5 unpacks whole chunks for each window. Names in a folder are sorted,
    and that order is the one of `y` and `groups` (``source.recording_names``
    shows it).

    **Windows** start at the first sample and follow at `step`. If half
    a step or more is left at the end, one more window ends with the recording.

    **Scaling.** Statistics are computed when the source is opened, in one pass
    through blocks [1]_, over the recordings that have windows. Constant
    channels become zero. Recordings of one group that differ in the number of
    channels are scaled apart. Samples of files that are not scanned (`scale`
    "window" or None) are checked when they are read.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the
       sample variance: analysis and recommendations", The American Statistician
       37(3), 1983, pages 242-247.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.pretraining._sources import open_source
    >>> rng = np.random.default_rng(0)
    >>> recordings = [rng.normal(size=(8, 900)), rng.normal(size=(4, 500))]
    >>> source = open_source(recordings, y=["fist", None], n_times=200, step=100)
    >>> source.n_windows, source.n_channels.tolist()
    (12, [8, 8, 8, 8, 8, 8, 8, 8, 4, 4, 4, 4])
    >>> batches = source.order(seed=0, epoch=0, batch_size=6)
    >>> [len(batch) for batch in batches]
    [6, 6]
    >>> windows, channel_padding, labels = source.read([0, 8])
    >>> windows.shape, labels.tolist(), channel_padding.sum(axis=1).tolist()
    ((2, 8, 200), [0, -1], [0, 4])
    """
    check_number("n_times", n_times, minimum=1, integer=True)
    check_number("step", step, minimum=1, integer=True)
    check_choice("scale", scale, SCALES)
    check_number("n_channels", n_channels, minimum=1, integer=True, none_allowed=True)
    check_choice("orientation", orientation, ORIENTATIONS)
    if isinstance(datasets, str):
        datasets = [datasets]
    if datasets is not None and not all(isinstance(name, str) for name in datasets):
        raise TypeError(
            f"datasets must be a pattern or a list of them; got {datasets!r}."
        )
    options = {
        "orientation": orientation,
        "datasets": datasets,
        "cache_folder": None
        if cache_folder is None
        else Path(cache_folder).expanduser(),
    }
    recordings = collect(X, int(n_times), n_channels, options)
    try:
        return WindowSource(
            recordings,
            y=y,
            groups=groups,
            n_times=int(n_times),
            step=int(step),
            scale=scale,
            sfreq=sfreq,
            classes=classes,
            padded_to=padded_to,
        )
    except BaseException:
        recordings.close()
        raise


class WindowSource:
    """Windows of recordings, cut and scaled when they are read.

    Made by :func:`open_source`. Reading is safe among threads, and a source
    can be sent to other processes.

    Attributes
    ----------
    n_windows : int
        Number of windows.
    n_recordings : int
        Number of recordings, with those too short for a window.
    n_times, step : int
        Samples in a window, and from one to the next.
    scale : str or None
        Over what channels are scaled.
    recordings : Recordings
        What the windows are cut from.
    classes_ : ndarray or None
        Labels in the order of their codes; None if none is known.
    """

    def __init__(
        self, recordings, *, y, groups, n_times, step, scale, sfreq, classes, padded_to
    ):
        self.n_times, self.step, self.scale = n_times, step, scale
        self._padded_to = max(n_times, padded_to or 0)
        self.n_recordings = len(recordings)
        self.recordings = recordings
        what = "windows" if recordings.windowed else "recordings"
        lengths = recordings.lengths
        rest = np.maximum(lengths - n_times, 0)
        counts = 1 + rest // step + (2 * (rest % step) >= step)
        counts[lengths < n_times] = 0
        self._counts = counts
        self._ends = np.cumsum(counts)
        self.n_windows = int(self._ends[-1])
        self._refuse_short(what)

        labels = recordings.labels if y is None else y
        self.classes_, self._labels = encode_labels(
            labels, self.n_recordings, what, classes
        )
        groups = recordings.groups if groups is None else groups
        if groups is None and recordings.windowed:
            self._groups = np.zeros(self.n_recordings, dtype=np.int64)
        else:
            self._groups = encode_groups(groups, self.n_recordings, what)
        self._sfreq = check_rates(sfreq, recordings.sfreq, what)
        self._scaling = self._scan()
        self._fingerprint = None

    def __repr__(self):
        return (
            f"WindowSource({self.n_windows} windows of {self.n_times} samples from "
            f"{self.n_recordings} recordings, scale={self.scale!r})"
        )

    @property
    def n_channels(self):
        """Channels of every window, an array computed on access."""
        return np.repeat(self.recordings.channels, self._counts)

    @property
    def recording_names(self):
        """Names of the recordings, in the order of `y` and `groups`."""
        return [self.recordings.name(i) for i in range(self.n_recordings)]

    @property
    def recordings_of_windows(self):
        """Number of the recording of every window, an array computed on access."""
        return np.repeat(np.arange(self.n_recordings), self._counts)

    def order(self, seed, epoch, batch_size):
        """Return the batches of one epoch.

        Parameters
        ----------
        seed, epoch : int
            Not negative; the same two give the same order.
        batch_size : int
            Windows in a batch.

        Returns
        -------
        batches : sequence of ndarray of int
            Every window once, shuffled across recordings. Windows in a batch
            have the same number of channels wherever a number has enough
            windows to fill it; what is left of all numbers shares further
            batches. A batch that is not full comes last.
        """
        channels = self.recordings.channels
        return shuffled_batches(self._counts, channels, seed, epoch, batch_size)

    def read(self, indices, shift=None):
        """Read and scale windows.

        Parameters
        ----------
        indices : array-like of int of shape (n,)
            Numbers of windows.
        shift : int or array-like of int of shape (n,), or None, default=None
            Samples by which to begin later (or earlier, if negative), as far
            as the recording reaches.

        Returns
        -------
        windows : ndarray of float32 of shape (n, n_channels, n_times)
            Padded with channels of zeros if their numbers differ. More samples than
            `n_times`, all zero at the end, where they were asked for.
        channel_padding : ndarray of bool of shape (n, n_channels) or None
            True for channels that are padding; None without padding.
        labels : ndarray of int64 of shape (n,)
            Positions in `classes_`, -1 where unknown.

        Raises
        ------
        WindowsError
            If a window holds NaN, infinity or values beyond float32, or a
            file cannot be read any more.
        IndexError
            If there is no window of a number.
        """
        indices = check_indices(indices, self.n_windows)
        places = np.searchsorted(self._ends, indices, side="right")
        first = self._ends[places] - self._counts[places]
        last_start = self.recordings.lengths[places] - self.n_times
        starts = np.minimum((indices - first) * self.step, last_start)
        if shift is not None:
            shift = check_shift(shift, len(indices))
            starts = np.clip(starts + shift, 0, last_start)

        channels = self.recordings.channels[places]
        largest = int(channels.max()) if len(channels) else 0
        padded = len(channels) and int(channels.min()) < largest
        make = np.zeros if padded or self._padded_to > self.n_times else np.empty
        windows = make((len(indices), largest, self._padded_to), dtype=np.float32)
        # Recording by recording, so that each file is opened once.
        with np.errstate(over="ignore", invalid="ignore"):
            for row in np.lexsort((starts, places)).tolist():
                self._read_one(windows[row], int(places[row]), int(starts[row]))
            if not np.isfinite(windows.sum(dtype=np.float64)):
                self._refuse_broken(windows, places, starts)
        padding = np.arange(largest) >= channels[:, np.newaxis] if padded else None
        return windows, padding, self._labels[places]

    def describe(self):
        """Describe the data for logs and cards.

        Returns
        -------
        dict
            Plain values: numbers of recordings, windows and groups, hours and
            rates where known, recordings for each number of channels, classes.
        """
        used = self._counts > 0
        rates = self._sfreq[used]
        known = ~np.isnan(rates)
        seconds = (self.recordings.lengths[used][known] / rates[known]).sum()

        def counts_of(values):
            found, how_many = np.unique(values, return_counts=True)
            return dict(zip(found.tolist(), how_many.tolist(), strict=True))

        by_sfreq = counts_of(rates[known])
        return {
            "n_recordings": int(used.sum()),
            "n_recordings_too_short": int((~used).sum()),
            "n_windows": self.n_windows,
            "n_groups": len(np.unique(self._groups[used])),
            "n_times": self.n_times,
            "step": self.step,
            "scale": self.scale,
            "hours": float(seconds / 3600) if known.any() else None,
            "n_recordings_of_unknown_rate": int((~known).sum()),
            "sfreq": list(by_sfreq),
            "recordings_by_sfreq": by_sfreq,
            "n_samples": int(self.recordings.lengths[used].sum()),
            "recordings_by_n_channels": counts_of(self.recordings.channels[used]),
            "classes": None if self.classes_ is None else self.classes_.tolist(),
            "n_labelled_windows": int(self._counts[self._labels >= 0].sum()),
        }

    def fingerprint(self):
        """Return a digest that tells whether another run sees the same data.

        It covers names, shapes, types, sizes of files, the first and the last
        samples of every recording, labels, groups, how windows are cut and scaled,
        and the statistics that scale recordings and groups; not where the files
        lie. With `scale` "window" or None there are no such statistics, and changes
        between the first and the last samples go unnoticed.

        Returns
        -------
        str
            SHA-256 in hexadecimal digits.
        """
        if self._fingerprint is None:
            digest = hashlib.sha256()
            options = (self.n_times, self.step, self.scale, self.n_recordings)
            classes = None if self.classes_ is None else self.classes_.tolist()
            digest.update(repr((options, self._padded_to, classes)).encode())
            for codes in (self._labels, self._groups):
                digest.update(np.ascontiguousarray(codes, dtype="<i8").tobytes())
            if self._scaling is not None:
                center, spread = self._scaling.center, self._scaling.spread
                unit = np.hypot(center, spread)
                # Rounded: the last bits of a sum differ between processors. Zero is
                # added because -0.0 has other bytes than 0.0.
                for values in (center / unit, np.log(unit)):
                    values = np.round(values, 6) + 0.0
                    digest.update(values.astype("<f8").tobytes())
            for part in self.recordings.identity():
                digest.update(len(part).to_bytes(8, "little"))
                digest.update(part)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def close(self):
        """Close files that are open; reading opens them again."""
        self.recordings.close()

    def _scan(self):
        """Return what scales the recordings; None where windows scale themselves."""
        recordings = self.recordings
        selected = np.flatnonzero(self._counts)
        if self.scale in ("window", None):
            if recordings.in_memory:
                # For the errors about broken samples, before work starts.
                for _ in recordings.moments(selected):
                    pass
            return None
        own = np.arange(self.n_recordings)
        groups = self._groups if self.scale == "group" else own
        groups = np.where(self._counts > 0, groups, -1)
        scaling = Scaling(groups, recordings.channels)
        for moments in recordings.moments(selected):
            scaling.add(moments)
        scaling.finish(recordings.rounding)
        return scaling

    def _read_one(self, window, recording, start):
        samples = self.recordings.read(recording, start, start + self.n_times)
        window = window[: len(samples), : self.n_times]
        if self.scale is None:
            window[:] = samples
            return
        if self.scale == "window":
            center, squares = moments_of(samples)
            spread = np.sqrt(squares / self.n_times)
            rounding = self.recordings.rounding[recording]
            spread = usable_spread(spread, np.abs(center), rounding)
        else:
            scaling = self._scaling
            place = scaling.set_of[recording]
            begin, end = scaling.offsets[place], scaling.offsets[place + 1]
            center, spread = scaling.center[begin:end], scaling.spread[begin:end]
        # In float64: a small signal on a large offset would lose digits.
        difference = np.subtract(samples, center[:, np.newaxis], dtype=np.float64)
        np.divide(difference, spread[:, np.newaxis], out=window, casting="same_kind")

    def _refuse_short(self, what):
        short = np.flatnonzero(self._counts == 0)
        if not len(short):
            return
        recordings = self.recordings
        longest = int(recordings.lengths.max())
        i = int(short[0])
        shape = int(recordings.channels[i]), int(recordings.lengths[i])
        hint = (
            f" {recordings.name(i)} has {shape[0]} channels of {shape[1]} samples: the "
            "order must be (n_channels, n_times); transpose it, or pass "
            "orientation='times-first' for files."
            if shape[0] > shape[1]
            else ""
        )
        if self.n_windows == 0:
            rates = recordings.sfreq[~np.isnan(recordings.sfreq)]
            rate = float(rates[0]) if len(rates) else 200.0
            raise WindowsError(
                f"n_times={self.n_times} is longer than all {self.n_recordings} "
                f"{what}; the longest has {longest} samples. Pass a smaller "
                f"n_times: for windows of 0.2 s at {rate:g} Hz, "
                f"n_times={0.2 * rate:.0f}.{hint}"
            )
        warnings.warn(
            f"{len(short)} of {self.n_recordings} {what} are shorter than "
            f"n_times={self.n_times} samples and give no window, first "
            f"{recordings.name(i)} with {shape[1]} samples.{hint}",
            UserWarning,
            stacklevel=4,
        )

    def _refuse_broken(self, windows, places, starts):
        for row, recording in enumerate(places.tolist()):
            if not np.isfinite(windows[row]).all():
                start = int(starts[row])
                samples = self.recordings.read(recording, start, start + self.n_times)
                samples = np.asarray(samples)
                self.recordings.refuse(recording, samples, 0, start)
