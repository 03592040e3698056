"""The arithmetic of the integer program against whole numbers of Python."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sktinymyo.export._integer.arithmetic import (
    clamp,
    exact_matmul,
    exp_table,
    gelu_table,
    integer_sqrt,
    multiplier_of,
    requantise,
    rotation_table,
)

INT32 = st.integers(-(2**31), 2**31 - 1)


@given(INT32, st.integers(0, 2**31 - 1), st.integers(1, 62))
def test_requantise_equals_whole_numbers_of_any_size(value, multiplier, shift):
    expected = (value * multiplier + (1 << (shift - 1))) >> shift
    assert int(requantise(np.array([value]), multiplier, shift)[0]) == expected


@given(st.one_of(st.integers(0, 2**62), st.integers(0, 2**31 - 1).map(lambda r: r * r)))
def test_integer_sqrt_is_the_floor(value):
    around = [max(value - 1, 0), value, value + 1]
    found = integer_sqrt(np.array(around))
    assert found.tolist() == [math.isqrt(number) for number in around]


@given(st.floats(1e-15, 2.0**29))
def test_multiplier_stands_for_the_factor(factor):
    multiplier, shift = multiplier_of(factor)
    assert 0 <= multiplier < 2**31 and 1 <= shift <= 62
    unit = 2.0 ** -int(shift)
    assert abs(int(multiplier) * unit - factor) <= unit / 2
    if factor > 2.0**-30:
        assert multiplier >= 2**30


def test_multiplier_of_twenty_bits_and_of_the_edges():
    multiplier, shift = multiplier_of(np.array([0.0, 1.0, 1 - 2.0**-60]), bits=20)
    assert multiplier.tolist() == [0, 2**19, 2**19]
    assert shift.tolist()[1:] == [19, 19]
    with pytest.raises(ValueError, match="too large; it must be below 2"):
        multiplier_of(2.0**31)
    with pytest.raises(ValueError, match="must be finite and not negative"):
        multiplier_of(-1.0)


@given(
    arrays(np.int8, (3, 50), elements=st.integers(-128, 127)),
    arrays(np.int8, (50, 4), elements=st.integers(-127, 127)),
)
def test_products_in_float_are_exact(left, right):
    expected = left.astype(np.int64) @ right.astype(np.int64)
    np.testing.assert_array_equal(exact_matmul(left, right, 128 * 127), expected)


def test_products_are_exact_at_the_largest_sums():
    for width in (1032, 1033, 5000):
        left = np.full((2, width), -128, np.int8)
        left[1, 1] = -127
        right = np.full((width, 1), 127, np.int8)
        expected = left.astype(np.int64) @ right.astype(np.int64)
        np.testing.assert_array_equal(exact_matmul(left, right, 128 * 127), expected)
    with pytest.raises(OverflowError, match="not exact in float64"):
        exact_matmul(left, right, 2**50)


def test_clamp_keeps_the_ends():
    values = np.array([-(2**40), -129, -128, 127, 128, 2**40])
    assert clamp(values, 8).tolist() == [-128, -128, -128, 127, 127, 127]
    assert clamp(values, 16).dtype == np.int16


def test_tables_hold_what_they_say():
    table = exp_table()
    assert (
        table[0] == 255 and table[-1] == 0 and (np.diff(table.astype(int)) <= 0).all()
    )
    assert table[128] == round(255 / math.e)
    gelu = gelu_table(0.03, 10, 0.02, -100)
    x = (5 - 10) * 0.03
    exact = x * (1 + math.erf(x / math.sqrt(2))) / 2
    assert gelu[5 + 128] == round(exact / 0.02) - 100
    turn = rotation_table([0, 3], 4, 100.0)
    assert turn[0].tolist() == [[16384, 0], [16384, 0]]
    expected = [math.cos(0.3), math.sin(0.3)]
    np.testing.assert_allclose(turn[1, 1] / 2**14, expected, atol=2**-15)
