"""Band-pass and notch filter as a transformer."""

from .._validation import check_choice
from ..signal.filters import (
    PHASES,
    design_filter,
    filter_recording,
    filter_windows,
)
from ._base import WindowsToWindows

__all__ = ["EMGFilter"]


class EMGFilter(WindowsToWindows):
    """Band-pass filter with notches, applied to every window and channel.

    A Butterworth filter and any number of notches run as one cascade of
    second-order sections. Where whole recordings are at hand, filter them with
    :meth:`filter_recording` before windows are cut: within a short window the
    response of the filter has no room to settle.

    Parameters
    ----------
    sfreq : float, default=2000
        Sampling rate of the windows in Hz. The default is the rate TinyMyo was
        trained at, 2000 Hz.
    l_freq : float or None, default=20
        Lower edge in Hz; None leaves out the high-pass. Motion artefacts lie below
        20 Hz.
    h_freq : float or None, default=450
        Upper edge in Hz, below half of `sfreq`; None leaves out the low-pass.
        Surface EMG has little power above.
    notch : float, sequence of float or None, default=50
        Frequencies removed, in Hz: the mains' (60 in the Americas); None for none.
    notch_harmonics : bool, default=False
        Also remove every multiple of `notch` below half of `sfreq`.
    notch_width : float or None, default=None
        Width of each notch in Hz at -3 dB; None for a thirtieth of its frequency.
    order : int, default=4
        Order of the Butterworth filter at each edge.
    phase : {"zero", "causal"}, default="zero"
        "zero" runs forwards and backwards, without delay; "causal" forwards
        only, as an online decoder must. Train with the phase you will decode with.
    n_channels : int or None, default=None
        Number of channels of flattened windows; None means one.

    Attributes
    ----------
    sos_ : ndarray of shape (n_sections, 6)
        The cascade.
    n_channels_in_, n_times_in_, n_features_in_ : int
        Channels and samples of the windows seen in `fit`, and their product.
    input_ndim_ : int
        2 if `fit` saw flattened windows, else 3.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, only if X was a data frame with names.

    See Also
    --------
    sktinymyo.signal.filter_recording : The same for one recording, as a function.
    sktinymyo.signal.filter_block : Causal filter with the state carried along.

    Notes
    -----
    The response at `l_freq` and `h_freq` is -3 dB for ``phase="causal"`` and
    -6 dB for ``phase="zero"``, which filters twice. Windows of any length work,
    down to one sample: the padding is limited to what the window holds.

    References
    ----------
    .. [1] C. J. De Luca, L. D. Gilmore, M. Kuznetsov, S. H. Roy, "Filtering the
       surface EMG signal: Movement artifact and baseline noise contamination",
       Journal of Biomechanics 43(8), 2010, pages 1573-1579.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.preprocessing import EMGFilter
    >>> X = np.random.default_rng(0).normal(size=(10, 8, 200)).astype("float32")
    >>> EMGFilter(sfreq=1000).fit_transform(X).shape
    (10, 8, 200)
    >>> EMGFilter(sfreq=200).fit(X)
    Traceback (most recent call last):
        ...
    ValueError: h_freq=450 Hz is not below 100 Hz, half the sampling rate \
sfreq=200 Hz; pass h_freq=90 (below 100 Hz) or h_freq=None. If the recording has \
another sampling rate, pass that as sfreq.
    """

    def __init__(
        self,
        sfreq=2000,
        l_freq=20,
        h_freq=450,
        notch=50,
        *,
        notch_harmonics=False,
        notch_width=None,
        order=4,
        phase="zero",
        n_channels=None,
    ):
        self.sfreq = sfreq
        self.l_freq = l_freq
        self.h_freq = h_freq
        self.notch = notch
        self.notch_harmonics = notch_harmonics
        self.notch_width = notch_width
        self.order = order
        self.phase = phase
        self.n_channels = n_channels

    def fit(self, X, y=None):
        """Design the filter and remember the windows' shape.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows.
        y : ignored
            Not used.

        Returns
        -------
        self : EMGFilter

        Raises
        ------
        ValueError
            If a frequency does not fit the sampling rate.
        """
        sos = self._design()
        self._validate(X, reset=True, n_channels=self.n_channels)
        self.sos_ = sos
        return self

    def transform(self, X):
        """Filter windows.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        X_new : ndarray of the shape of X
            float32 for float32 windows.
        """
        windows, flat = self._validate(X, reset=False, n_channels=self.n_channels)
        filtered = filter_windows(windows, self.sos_, phase=self.phase)
        return self._as_given(filtered, flat)

    def filter_recording(self, recording):
        """Filter a whole recording with the parameters of this filter.

        Works before `fit`, and on recordings of any length and number of channels.

        Parameters
        ----------
        recording : array-like of shape (n_channels, n_times)
            Samples at the rate `sfreq`. Not modified.

        Returns
        -------
        filtered : ndarray of shape (n_channels, n_times)
            float32 for a float32 recording.

        Examples
        --------
        >>> import numpy as np
        >>> from sktinymyo.preprocessing import EMGFilter
        >>> recording = np.ones((8, 12345), dtype="float32")
        >>> filtered = EMGFilter(sfreq=2000).filter_recording(recording)
        >>> filtered.shape, bool(np.abs(filtered).max() < 1e-6)
        ((8, 12345), True)
        """
        return filter_recording(recording, phase=self.phase, **self._design_options())

    def _design(self):
        check_choice("phase", self.phase, PHASES)
        return design_filter(**self._design_options())

    def _design_options(self):
        """Return the parameters that the design takes."""
        options = self.get_params(deep=False)
        return {k: v for k, v in options.items() if k not in ("phase", "n_channels")}
