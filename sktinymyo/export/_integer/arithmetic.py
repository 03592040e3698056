"""Integer arithmetic of the program, vectorised and exact.

Every function here has a counterpart in the C sources that gives the same bits.
Shifts of negative numbers are arithmetic: they round towards minus infinity.
"""

import numpy as np
from scipy.special import ndtr

__all__ = [
    "EXP_STEPS_PER_NAT",
    "EXP_TABLE_LENGTH",
    "MAX_SHIFT",
    "clamp",
    "exact_matmul",
    "exp_table",
    "gelu",
    "gelu_table",
    "integer_sqrt",
    "multiplier_of",
    "requantise",
    "rotation_table",
]

MAX_SHIFT = 62
EXP_STEPS_PER_NAT = 128
EXP_TABLE_LENGTH = 1024

# Whole numbers up to here are exact in the significand of each type.
_EXACT_FLOAT32 = 2**24
_EXACT_FLOAT64 = 2**53


def clamp(values, bits):
    """Limit values to the range of signed integers of so many bits.

    Parameters
    ----------
    values : ndarray of int64 or int32
        Any shape.
    bits : {8, 16, 32}
        Bits of the result.

    Returns
    -------
    clamped : ndarray of int8, int16 or int32
    """
    limit = 1 << (bits - 1)
    return np.clip(values, -limit, limit - 1).astype(f"int{bits}")


def requantise(values, multiplier, shift):
    """Multiply by ``multiplier / 2**shift`` and round; halves go up.

    ``(int64(values) * multiplier + (1 << (shift - 1))) >> shift``

    Parameters
    ----------
    values : ndarray of int
        Within the range of int32.
    multiplier : ndarray of int
        From 0 to 2**31 - 1; broadcast against `values`.
    shift : ndarray of int
        From 1 to 62; broadcast against `values`.

    Returns
    -------
    requantised : ndarray of int64

    Examples
    --------
    >>> import numpy as np
    >>> requantise(np.array([3, -3, 5]), 1, 1)
    array([ 2, -1,  3])
    """
    shift = np.asarray(shift, dtype=np.int64)
    product = np.asarray(values, dtype=np.int64) * np.asarray(multiplier, np.int64)
    product += np.int64(1) << (shift - 1)
    product >>= shift
    return product


def multiplier_of(factor, bits=31):
    """Return the multiplier and shift that stand for real factors.

    Parameters
    ----------
    factor : float or ndarray of float
        Not negative, and below ``2**(bits - 1)``.
    bits : int, default=31
        The multiplier has exactly so many bits, unless the factor is too small
        for the largest shift.

    Returns
    -------
    multiplier, shift : ndarray of int32
        ``multiplier / 2**shift`` is the factor to about `bits` - 1 binary digits.

    Raises
    ------
    ValueError
        If a factor is negative, not finite or too large.

    Examples
    --------
    >>> multiplier, shift = multiplier_of(0.75)
    >>> int(multiplier), int(shift)
    (1610612736, 31)
    """
    factor = np.asarray(factor, dtype=np.float64)
    if not (np.isfinite(factor) & (factor >= 0)).all():
        raise ValueError(
            f"a factor of a requantisation is {factor.min()} to {factor.max()}; it "
            "must be finite and not negative."
        )
    _, exponent = np.frexp(factor)
    shift = np.clip(bits - exponent, 1, MAX_SHIFT).astype(np.int64)
    multiplier = np.rint(np.ldexp(factor, shift)).astype(np.int64)
    # A factor just below a power of two rounds up to one bit too many.
    overflow = (multiplier >= 1 << bits) & (shift > 1)
    shift = shift - overflow
    multiplier = np.where(overflow, np.rint(np.ldexp(factor, shift)), multiplier)
    if (multiplier >= 1 << bits).any():
        raise ValueError(
            f"the factor {factor.max():.3g} of a requantisation is too large; it must "
            f"be below 2**{bits - 1}. Look for windows or weights of extreme size."
        )
    return multiplier.astype(np.int32), shift.astype(np.int32)


def integer_sqrt(values):
    """Return the floor of the square root of whole numbers below 2**62.

    Parameters
    ----------
    values : ndarray of int64
        Not negative.

    Returns
    -------
    root : ndarray of int64

    Examples
    --------
    >>> import numpy as np
    >>> integer_sqrt(np.array([0, 15, 16, 17]))
    array([0, 3, 4, 4])
    """
    values = np.asarray(values, dtype=np.int64)
    root = np.sqrt(values.astype(np.float64)).astype(np.int64)
    root -= root * root > values
    root += (root + 1) * (root + 1) <= values
    return root


def exact_matmul(left, right, largest):
    """Multiply matrices of whole numbers exactly, in floating point.

    Parameters
    ----------
    left : ndarray of int, shape (..., n, k)
        Left factor.
    right : ndarray of int, shape (..., k, m)
        Right factor.
    largest : int
        Bound on the absolute value of a product of two entries.

    Returns
    -------
    product : ndarray of int64, shape (..., n, m)

    Raises
    ------
    OverflowError
        If sums could pass 2**53.
    """
    bound = left.shape[-1] * int(largest)
    if bound <= _EXACT_FLOAT32:
        kind = np.float32
    elif bound <= _EXACT_FLOAT64:
        kind = np.float64
    else:
        raise OverflowError(f"sums of up to {bound} are not exact in float64.")
    return (left.astype(kind) @ right.astype(kind)).astype(np.int64)


def exp_table():
    """Return ``round(255 * exp(-i / 128))`` for the 1024 steps of the softmax.

    Returns
    -------
    table : ndarray of uint8, shape (1024,)
    """
    steps = np.arange(EXP_TABLE_LENGTH) / EXP_STEPS_PER_NAT
    return np.rint(255 * np.exp(-steps)).astype(np.uint8)


def gelu(x):
    """Return the exact GELU of real values."""
    return x * ndtr(x)


def gelu_table(scale_in, zero_in, scale_out, zero_out):
    """Return the exact GELU as a table from int8 to int8.

    Parameters
    ----------
    scale_in, zero_in : float, int
        Real value of the entry i is ``(i - 128 - zero_in) * scale_in``.
    scale_out, zero_out : float, int
        Scale and zero point of the result.

    Returns
    -------
    table : ndarray of int8, shape (256,)
    """
    x = (np.arange(-128, 128) - zero_in) * scale_in
    return clamp(np.rint(gelu(x) / scale_out) + zero_out, 8)


def rotation_table(positions, head_dim, base):
    """Return cosines and sines of the rotary embedding in units of 2**-14.

    Parameters
    ----------
    positions : array-like of int, shape (n,)
        Positions of the tokens.
    head_dim : int
        Even length of a head.
    base : float
        Pair i turns by ``position / base ** (2 i / head_dim)``.

    Returns
    -------
    table : ndarray of int16, shape (n, head_dim / 2, 2)
    """
    exponents = np.arange(0, head_dim, 2) / head_dim
    angles = np.outer(np.asarray(positions, dtype=np.float64), base**-exponents)
    table = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return np.rint(table * 2**14).astype(np.int16)
