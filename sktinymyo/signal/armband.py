"""Armbands: rings of electrodes that every person puts on turned differently."""

import numpy as np

from .._validation import check_number

__all__ = ["align_maps", "align_wearings", "strength_map"]

# Passes over all wearings; each moves one at a time, and few passes settle it.
_MOST_PASSES = 20


def strength_map(strength, codes, n_classes, sample_weight=None):
    """Return the standardised mean strength of every class on every channel.

    Standardised over all classes and channels, so that how strong somebody is does
    not matter.

    Parameters
    ----------
    strength : ndarray of shape (n_windows, n_channels)
        Strength of every channel in every window, such as its root mean square.
    codes : ndarray of int, shape (n_windows,)
        Class of every window, 0 to ``n_classes - 1``.
    n_classes : int
        Number of classes.
    sample_weight : ndarray of shape (n_windows,) or None, default=None
        Weight of every window, not negative.

    Returns
    -------
    map : ndarray of float64, shape (n_classes, n_channels)
        Rows of classes that do not occur, or without weight, are zero.

    Raises
    ------
    ValueError
        If the strength is no table of finite numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.signal.armband import strength_map
    >>> strength_map(np.array([[3.0, 1.0], [1.0, 3.0]]), np.array([0, 1]), 2)
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    strength = _check_table("strength", strength, "(n_windows, n_channels)")
    chosen = np.equal.outer(np.arange(n_classes), codes)
    if sample_weight is not None:
        chosen = chosen * sample_weight
    total = chosen.sum(axis=1, keepdims=True)
    present = total[:, 0] > 0
    means = chosen[present] @ strength / total[present]
    spread = means.std()
    values = np.zeros((n_classes, strength.shape[1]))
    values[present] = (means - means.mean()) / (spread if spread else 1.0)
    return values


def align_maps(maps, reference=0, turn_cost=0.0):
    """Find by how many electrodes maps of strength are turned against each other.

    For each map the turn is taken that brings it closest to the mean of all others,
    until nothing changes.

    Without a cost any turn is as likely as any other, and the turns are told against
    the reference. With a cost no turn is likelier than a small one: nobody is the
    reference, and the turns are told against the position in which most channels stay
    where they are.

    Parameters
    ----------
    maps : list of ndarray of shape (n_classes, n_channels)
        As :func:`strength_map` returns them. The channels lie on one ring, in order.
    reference : int, default=0
        Number of the map that stays as it is, if turns cost nothing.
    turn_cost : float, default=0.0
        How much closer (cosine of the angle between two maps) a turn by one more
        channel has to bring a map.

    Returns
    -------
    turns : list of int
        Number of channels by which ``np.roll`` has to turn each map.

    Raises
    ------
    ValueError
        If there is no map, they differ in shape, or hold NaN or infinity,
        `reference` is none of them, or `turn_cost` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.signal import align_maps
    >>> upright = np.array([[5.0, 1, 0, 0], [0, 5, 1, 0]])
    >>> align_maps([upright, np.roll(upright, 1, axis=1)])
    [0, 3]
    """
    maps = [_check_table("maps", values, "(n_classes, n_channels)") for values in maps]
    shapes = sorted({values.shape for values in maps})
    if len(shapes) != 1:
        raise ValueError(
            f"maps holds {len(maps)} maps of the shapes {shapes}; pass at least one, "
            "all of the same classes and channels."
        )
    last = len(maps) - 1
    check_number("reference", reference, minimum=0, maximum=last, integer=True)
    check_number("turn_cost", turn_cost, minimum=0)
    lengths = turn_lengths(maps[reference].shape[1])

    def best_turn(number, target, turn_cost):
        return int(
            np.argmax(
                [
                    _cosine(np.roll(maps[number], k, axis=1), target)
                    - turn_cost * length
                    for k, length in enumerate(lengths)
                ]
            )
        )

    fixed = reference if turn_cost == 0 else None
    # To one map first: the sum of unaligned maps would be a poor target.
    turns = [best_turn(number, maps[reference], 0) for number in range(len(maps))]
    turns[reference] = 0
    if fixed is None:
        turns = _centred(turns, len(lengths))
    for _ in range(_MOST_PASSES):
        before = list(turns)
        for number in range(len(maps)):
            if number == fixed or len(maps) == 1:
                continue
            others = sum(
                np.roll(maps[other], turns[other], axis=1)
                for other in range(len(maps))
                if other != number
            )
            turns[number] = best_turn(number, others, turn_cost)
        if before == turns:
            break
    return turns if fixed is not None else _centred(turns, len(lengths))


def turn_lengths(n_channels):
    """Return by how many channels, the shorter way round, each turn turns.

    Parameters
    ----------
    n_channels : int
        Channels on the ring.

    Returns
    -------
    lengths : ndarray of int, shape (n_channels,)
        Of the turns by 0, 1, ... channels.

    Examples
    --------
    >>> from sktinymyo.signal.armband import turn_lengths
    >>> turn_lengths(5).tolist()
    [0, 1, 2, 2, 1]
    """
    turns = np.arange(n_channels)
    return np.minimum(turns, n_channels - turns)


def _cosine(first, second):
    """Return the cosine of the angle between two maps; zero if one is zero."""
    size = np.linalg.norm(first) * np.linalg.norm(second)
    return float((first * second).sum() / size) if size else 0.0


def _centred(turns, n_channels):
    """Turn all by the same number of channels, so that they turn least in all."""
    lengths = turn_lengths(n_channels)
    sums = [
        sum(lengths[(turn + more) % n_channels] for turn in turns)
        for more in range(n_channels)
    ]
    more = int(np.argmin(sums))
    return [(turn + more) % n_channels for turn in turns]


def align_wearings(strength, y, groups):
    """Find by how many electrodes each wearing of an armband is turned.

    The map of strength of each wearing is turned to agree with those of the others
    (:func:`align_maps`). The wearing with the most windows stays as it is.

    Parameters
    ----------
    strength : ndarray of shape (n_windows, n_channels)
        Strength of every channel in every window, such as its root mean square. The
        channels lie on one ring, in order.
    y : ndarray of shape (n_windows,)
        Class of every window.
    groups : ndarray of shape (n_windows,)
        Wearing of every window: a person, or a person in one session.

    Returns
    -------
    turns : dict
        Group -> number of channels by which ``np.roll`` has to turn its windows.

    Raises
    ------
    ValueError
        If the lengths differ, there are no windows, the strength is no table of
        finite numbers, or a class or group is None or NaN.

    See Also
    --------
    sktinymyo.ArmbandAlignedClassifier : Turns new wearings too, without labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.signal import align_wearings
    >>> upright = np.array([[5.0, 1, 0, 0], [0, 5, 1, 0]])
    >>> strength = np.concatenate([upright, np.roll(upright, 1, axis=1)])
    >>> align_wearings(strength, [0, 1, 0, 1], ["a", "a", "b", "b"])
    {'a': 0, 'b': 3}
    """
    strength = _check_table("strength", strength, "(n_windows, n_channels)")
    classes, codes, _ = _codes("y", y)
    names, members, counts = _codes("groups", groups)
    if not len(strength) == len(codes) == len(members):
        raise ValueError(
            f"strength, y and groups have {len(strength)}, {len(codes)} and "
            f"{len(members)} entries; each needs one for every window."
        )
    maps = [
        strength_map(strength[members == name], codes[members == name], len(classes))
        for name in range(len(names))
    ]
    return dict(
        zip(names.tolist(), align_maps(maps, int(np.argmax(counts))), strict=True)
    )


def _check_table(name, values, axes):
    """Return a table of finite numbers in float64."""
    values = np.asarray(values)
    if values.ndim != 2 or not values.size or values.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must hold numbers in the shape {axes}; got an array of type "
            f"{values.dtype} and shape {values.shape}."
        )
    values = values.astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        row, channel = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            f"{name} contains NaN or infinity, first in row {row}, channel {channel}; "
            "leave these windows out, or repair the channel."
        )
    return values


def _codes(name, values):
    """Return the different classes or groups, the code of each window, and counts."""
    values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(
            f"{name} must have one entry for every window; got an array of shape "
            f"{values.shape}."
        )
    try:
        known, codes, counts = np.unique(
            values, return_inverse=True, return_counts=True
        )
    except TypeError as error:
        raise ValueError(
            f"{name} holds entries that cannot be sorted ({error}); pass texts or "
            "numbers alone, and leave out windows without one."
        ) from error
    if any(entry is None or entry != entry for entry in known.tolist()):
        raise ValueError(
            f"{name} holds None or NaN; leave out windows whose class or wearing is "
            "not known."
        )
    return known, codes, counts
