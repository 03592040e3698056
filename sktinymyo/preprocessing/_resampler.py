"""Change of the sampling rate as a transformer."""

from ..signal.resampling import resample, resampling_ratio
from ._base import WindowsToWindows, window_names

__all__ = ["EMGResampler"]


class EMGResampler(WindowsToWindows):
    """Bring windows to another sampling rate (polyphase filter).

    Parameters
    ----------
    sfreq_in : float
        Sampling rate of the windows in Hz.
    sfreq_out : float
        Sampling rate wanted, in Hz; TinyMyo was trained at 2000 Hz.
    n_channels : int or None, default=None
        Number of channels of flattened windows; None means one.

    Attributes
    ----------
    up_, down_ : int
        The ratio of the rates in whole numbers.
    n_times_out_ : int
        Samples of each window after resampling, ``ceil(n_times * up_ / down_)``.
    n_channels_in_, n_times_in_, n_features_in_ : int
        Channels and samples of the windows seen in `fit`, and their product.
    input_ndim_ : int
        2 if `fit` saw flattened windows, else 3.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, only if X was a data frame with names.

    See Also
    --------
    sktinymyo.signal.resample : The same for recordings, as a function.

    Notes
    -----
    Raising the rate adds no information: windows recorded at 200 Hz hold
    nothing above 100 Hz after it either.

    References
    ----------
    .. [1] R. E. Crochiere and L. R. Rabiner, "Multirate Digital Signal
       Processing", Prentice-Hall, 1983, chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.preprocessing import EMGResampler
    >>> X = np.zeros((10, 8, 52), dtype="float32")
    >>> EMGResampler(sfreq_in=200, sfreq_out=2000).fit_transform(X).shape
    (10, 8, 520)
    """

    def __init__(self, sfreq_in, sfreq_out, *, n_channels=None):
        self.sfreq_in = sfreq_in
        self.sfreq_out = sfreq_out
        self.n_channels = n_channels

    def fit(self, X, y=None):
        """Check the rates and remember the windows' shape.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows.
        y : ignored
            Not used.

        Returns
        -------
        self : EMGResampler

        Raises
        ------
        ValueError
            If a rate is not a positive number.
        """
        ratio = resampling_ratio(self.sfreq_in, self.sfreq_out)
        self._validate(X, reset=True, n_channels=self.n_channels)
        self.up_, self.down_ = ratio
        self.n_times_out_ = -(-self.n_times_in_ * self.up_ // self.down_)
        return self

    def transform(self, X):
        """Resample windows.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        X_new : ndarray of shape (n_windows, n_channels, n_times_out_) or \
                (n_windows, n_channels * n_times_out_)
            float32 for float32 windows.
        """
        windows, flat = self._validate(X, reset=False, n_channels=self.n_channels)
        return self._as_given(resample(windows, self.down_, self.up_), flat)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of flattened output.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only compared with the names seen in `fit`.

        Returns
        -------
        names : ndarray of str objects
            ``ch0_t0``, ``ch0_t1``, ... channel after channel.
        """
        self._check_input_names(input_features)
        return window_names(self.n_channels_in_, self.n_times_out_)
