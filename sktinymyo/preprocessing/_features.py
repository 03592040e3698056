"""Time-domain features as a transformer."""

import numpy as np

from .._validation import check_number
from ..signal.features import extract_features, resolve_features
from ._base import WindowTransformer

__all__ = ["TimeDomainFeatures"]


class TimeDomainFeatures(WindowTransformer):
    """Time-domain features of every channel: from windows to a table.

    The usual input of linear discriminant analysis, support vector machines and
    forests in myoelectric control. Definitions and references are at the top of
    ``sktinymyo.signal.features``.

    Parameters
    ----------
    features : str or sequence of str, default="htd"
        Names of features (``"mav"``, ``"rms"``, ``"wl"``, ``"zc"``, ``"ssc"``,
        ``"log_var"``, ...) or groups (``"htd"``, ``"hjorth"``, ``"ls4"``,
        ``"ls9"``, ``"tdpsd"``). The default is the set of Hudgins and others,
        the reference of the field.
    threshold : float, default=0.0
        Smallest step between samples, in the unit of X, for a zero crossing or
        a change of slope to count.
    willison_threshold : float, default=0.002
        Step between samples, in the unit of X, above which the Willison
        amplitude counts. Choose it for the unit of your windows.
    n_channels : int or None, default=None
        Number of channels of flattened windows; None means one.

    Attributes
    ----------
    features_ : tuple of str
        Names of the features computed for each channel.
    n_channels_in_, n_times_in_, n_features_in_ : int
        Channels and samples of the windows seen in `fit`, and their product.
    input_ndim_ : int
        2 if `fit` saw flattened windows, else 3.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, only if X was a data frame with names.

    See Also
    --------
    sktinymyo.signal.extract_features : The same as a function, with notes on
        where published definitions differ.

    References
    ----------
    .. [1] B. Hudgins, P. Parker, R. N. Scott, "A new strategy for multifunction
       myoelectric control", IEEE Transactions on Biomedical Engineering 40(1),
       1993, pages 82-94.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.preprocessing import TimeDomainFeatures
    >>> X = np.random.default_rng(0).normal(size=(10, 2, 200)).astype("float32")
    >>> extractor = TimeDomainFeatures(["mav", "ssc"])
    >>> extractor.fit_transform(X).shape
    (10, 4)
    >>> extractor.get_feature_names_out().tolist()
    ['ch0_mav', 'ch0_ssc', 'ch1_mav', 'ch1_ssc']
    """

    def __init__(
        self,
        features="htd",
        *,
        threshold=0.0,
        willison_threshold=0.002,
        n_channels=None,
    ):
        self.features = features
        self.threshold = threshold
        self.willison_threshold = willison_threshold
        self.n_channels = n_channels

    def fit(self, X, y=None):
        """Check the parameters and remember the windows' shape.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows.
        y : ignored
            Not used.

        Returns
        -------
        self : TimeDomainFeatures

        Raises
        ------
        ValueError
            If a feature is unknown or a threshold negative.
        """
        names = resolve_features(self.features)
        for name in ("threshold", "willison_threshold"):
            check_number(name, getattr(self, name), minimum=0)
        self._validate(X, reset=True, n_channels=self.n_channels)
        self.features_ = names
        return self

    def transform(self, X):
        """Compute the features of windows.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        X_new : ndarray of shape (n_windows, n_channels * n_features)
            All features of the first channel, then of the second, and so on;
            float32 for float32 windows.
        """
        windows, _ = self._validate(X, reset=False, n_channels=self.n_channels)
        values = extract_features(
            windows,
            self.features_,
            threshold=self.threshold,
            willison_threshold=self.willison_threshold,
        )
        return values.reshape(len(values), -1)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only compared with the names seen in `fit`.

        Returns
        -------
        names : ndarray of str objects
            ``ch0_mav``, ``ch0_zc``, ... channel after channel.
        """
        self._check_input_names(input_features)
        names = [
            f"ch{channel}_{name}"
            for channel in range(self.n_channels_in_)
            for name in self.features_
        ]
        return np.asarray(names, dtype=object)
