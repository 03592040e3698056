"""Splitters and cross-validation that keep the windows of a recording together.

Sliding windows of one recording overlap and share the electrode position, the
skin and the very same contraction. A splitter that deals single windows
therefore tests on data that it has all but seen: the score measures memory,
not recognition. Everything here works on the `meta` frame that
:func:`sktinymyo.sliding_windows` returns, one row per window with the
columns ``recording``, ``subject``, ``session``, ``repetition`` and ``onset``.
"""

from ._cross_validation import cross_validate_windows, guard_splits
from ._overlap import check_no_overlap
from ._splitters import GroupedByRecording, LeaveRepetitionsOut

__all__ = [
    "GroupedByRecording",
    "LeaveRepetitionsOut",
    "check_no_overlap",
    "cross_validate_windows",
    "guard_splits",
]
