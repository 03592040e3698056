"""Choice, order and number of channels as a transformer."""

import numpy as np

from .._validation import check_choice, check_number
from ..exceptions import WindowsError
from ._base import WindowsToWindows, window_names

__all__ = ["ChannelMapper"]

MISSING = ("error", "zero", "repeat")


class ChannelMapper(WindowsToWindows):
    """Put channels in another order, or bring them to another number.

    For electrodes numbered differently, armbands worn turned or the other way
    round, and models that expect another number of channels than was recorded.

    Parameters
    ----------
    order : sequence of int or None, default=None
        For each channel of the output the channel of the input it is taken from,
        counted from 0. An armband turned by one electrode:
        ``order=[1, 2, 3, 4, 5, 6, 7, 0]``. None keeps the order.
    n_channels : int or None, default=None
        Number of channels of the **output**. If `order` (or the input, without
        `order`) has more, the first `n_channels` are kept; if it has fewer,
        the rest is missing. None means as many as `order` or the input has.
    missing : {"error", "zero", "repeat"}, default="error"
        What happens where the output has channels that the input has not:
        refuse, fill with zeros, or repeat the channels there are from the first.
        An entry of `order` beyond the input counts as missing too, and repeats
        the channel of that number modulo the number of channels.
    n_channels_in : int or None, default=None
        Number of channels of **flattened** windows; None means one. The other
        transformers call this ``n_channels``.

    Attributes
    ----------
    source_ : ndarray of shape (n_channels_out_,)
        Channel of the input that each channel of the output is taken from; -1
        for zeros.
    n_channels_out_ : int
        Number of channels of the output.
    n_channels_in_, n_times_in_, n_features_in_ : int
        Channels and samples of the windows seen in `fit`, and their product.
    input_ndim_ : int
        2 if `fit` saw flattened windows, else 3.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, only if X was a data frame with names.

    Notes
    -----
    If nothing changes, `transform` returns the windows themselves, not a copy.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.preprocessing import ChannelMapper
    >>> X = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> ChannelMapper(order=[1, 0], n_channels=3, missing="zero").fit_transform(X)
    array([[[3., 4.],
            [1., 2.],
            [0., 0.]]])
    """

    def __init__(
        self, order=None, n_channels=None, missing="error", *, n_channels_in=None
    ):
        self.order = order
        self.n_channels = n_channels
        self.missing = missing
        self.n_channels_in = n_channels_in

    def fit(self, X, y=None):
        """Work out which channel goes where.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows.
        y : ignored
            Not used.

        Returns
        -------
        self : ChannelMapper

        Raises
        ------
        WindowsError
            If channels are missing and ``missing="error"``.
        ValueError
            If a parameter is not accepted.
        """
        check_choice("missing", self.missing, MISSING)
        check_number(
            "n_channels", self.n_channels, minimum=1, integer=True, none_allowed=True
        )
        order = None
        if self.order is not None:
            order = [
                int(check_number("order", channel, minimum=0, integer=True))
                for channel in np.asarray(self.order, dtype=object).ravel().tolist()
            ]
            if not order:
                raise ValueError("order is empty; pass channel numbers or None.")
        self._validate(X, reset=True, n_channels=self.n_channels_in)
        self.source_ = self._find_sources(order)
        self.n_channels_out_ = len(self.source_)
        return self

    def transform(self, X):
        """Rearrange the channels of windows.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        X_new : ndarray of shape (n_windows, n_channels_out_, n_times) or \
                (n_windows, n_channels_out_ * n_times)
            float32 for float32 windows.
        """
        windows, flat = self._validate(X, reset=False, n_channels=self.n_channels_in)
        if not np.array_equal(self.source_, np.arange(self.n_channels_in_)):
            mapped = np.take(windows, self.source_, axis=1)
            mapped[:, self.source_ < 0] = 0
            windows = mapped
        return self._as_given(windows, flat)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of flattened output.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only compared with the names seen in `fit`.

        Returns
        -------
        names : ndarray of str objects
            ``ch0_t0``, ``ch0_t1``, ... channel after channel, with the numbers of
            the output's channels.
        """
        self._check_input_names(input_features)
        return window_names(self.n_channels_out_, self.n_times_in_)

    def _find_sources(self, order):
        available = self.n_channels_in_
        if order is None:
            order = list(range(available))
        n_channels = len(order) if self.n_channels is None else self.n_channels
        wanted = order[:n_channels]
        n_absent = n_channels - len(wanted) + sum(c >= available for c in wanted)
        if n_absent and self.missing == "error":
            raise WindowsError(
                f"{n_absent} of the {n_channels} channels of the output are missing: X "
                f"has {available} channels, order={self.order!r} and "
                f"n_channels={self.n_channels!r}. Pass missing='zero' or "
                "missing='repeat', or other numbers."
            )
        if self.missing == "repeat":
            wanted = [order[i % len(order)] % available for i in range(n_channels)]
        else:
            wanted = [channel if channel < available else -1 for channel in wanted]
            wanted += [-1] * (n_channels - len(wanted))
        return np.array(wanted)
