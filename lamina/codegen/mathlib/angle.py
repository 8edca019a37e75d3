"""Angles brought to |r| ≤ π/4: x = n·π/2 + r.

Up to 2¹⁹·π/2, π/2 is taken away in parts (Cody and Waite). Vectors with a larger angle, or one so
near to a multiple that too few bits of r are left, take a branch that multiplies by the bits of
2/π that matter (Payne and Hanek, "Radian reduction for trigonometric functions", 1983).
"""

from collections.abc import Sequence
from itertools import pairwise

from lamina.codegen.builder import Builder
from lamina.codegen.mathlib.arithmetic import (
    Pair,
    flip_sign,
    fma,
    is_negative,
    pair,
    product_of_pairs,
    sum_of,
    sum_of_ordered,
    to_float,
    whole,
)
from lamina.codegen.mathlib.coefficients import HALF_PI, HALF_PI_PARTS, TWO_OVER_PI
from lamina.codegen.types import Scalar, f32, u64
from lamina.codegen.values import Value

_GREATEST = 2.0**19
_LEAST_REST = 2.0**-30
_LOW = 0xFFFFFFFF
_LIMBS = 6


def reduced(k: Builder, x: Value, to: Scalar) -> tuple[Value, Value, Value]:
    """Return r in two doubles and a u64 whose lowest two bits are those of n, for finite x."""
    high, low, bits = _by_parts(k, x, to)
    size = k.absolute(x)
    is_hard = size > _GREATEST
    if to != f32:
        is_close = k.both(k.absolute(high) < _LEAST_REST, size > 1.0)
        is_hard = k.either_true(is_hard, is_close)
    found = [k.cell(value.type, value) for value in (high, low, bits)]
    with k.when(k.any(is_hard)):
        for cell, easy, hard in zip(found, (high, low, bits), _by_bits(k, x), strict=True):
            cell.set(k.select(is_hard, hard, easy))
    high, low, bits = (cell.get() for cell in found)
    return high, low, bits


def _by_parts(k: Builder, x: Value, to: Scalar) -> tuple[Value, Value, Value]:
    n, bits = whole(k, x * (1.0 / HALF_PI[0]))
    first, second, third = HALF_PI_PARTS
    high = fma(k, n, -first, x)
    if to == f32:
        return fma(k, n, -second, high), k.constant(x.type, 0.0), bits
    high, low = sum_of(high, n * -second)
    high, rest = sum_of(high, n * -third)
    return high, low + rest, bits


def _by_bits(k: Builder, x: Value) -> tuple[Value, Value, Value]:
    """Return r and n by exact arithmetic: n + r·2/π = M·2ᴱ·2/π mod 4 in 128 bits, x = ±M·2ᴱ."""
    raw = k.bitcast(x, u64)
    exponent = (raw >> 52) & 0x7FF
    mantissa = (raw & ((1 << 52) - 1)) | (1 << 52)
    top, next_ = _fraction(k, mantissa, _window(k, exponent))
    # The two highest bits count quarters of a turn; the rest is a fraction with a sign.
    upper, lower = (top << 2) | (next_ >> 62), next_ << 2
    is_below = (upper >> 63).differs(0)
    n = (top >> 62) + (upper >> 63)
    upper, lower = k.select(is_below, ~upper, upper), k.select(is_below, ~lower, lower)
    high, low = _as_doubles(k, upper, lower)
    high, low = product_of_pairs(k, (high, low), pair(k, high, HALF_PI))
    turned = raw ^ k.select(is_below, raw ^ ~raw, raw ^ raw)
    n = k.select(is_negative(k, x), -n, n)
    return flip_sign(k, high, turned), flip_sign(k, low, turned), n


def _window(k: Builder, exponent: Value) -> list[Value]:
    """Return 192 bits of 2/π from the place on where 2ᴱ·bit is 2; whole turns lie before it."""
    # Bit E − 1 of 2/π; E = exponent − 1075, and the table starts with 64 zeros.
    place = exponent - 1013
    # Small and infinite angles find some bits; they are not used.
    place = k.select(place < 1088, place, place & 63)
    table = k.table(u64, TWO_OVER_PI)
    index, shift = place >> 5, place & 31
    words = [k.gather(table, index + number) for number in range(_LIMBS + 1)]
    return [((((a << 32) | b) << shift) >> 32) & _LOW for a, b in pairwise(words)]


def _fraction(k: Builder, mantissa: Value, limbs: Sequence[Value]) -> Pair:
    """Return the first 128 bits of M·0.limbs without its whole part."""
    below, above = mantissa & _LOW, mantissa >> 32
    first = [below * limb for limb in limbs[:5]]
    second = [above * limb for limb in limbs[1:6]]
    digits: list[Value] = []
    carry = below & 0
    for column in (3, 2, 1, 0):
        total = carry + (first[column] & _LOW) + (second[column] & _LOW)
        total = total + (first[column + 1] >> 32) + (second[column + 1] >> 32)
        digits.append(total & _LOW)
        carry = total >> 32
    return (digits[3] << 32) | digits[2], (digits[1] << 32) | digits[0]


def _as_doubles(k: Builder, upper: Value, lower: Value) -> Pair:
    """Return the fraction (upper·2⁶⁴ + lower)·2⁻¹²⁸ as two doubles."""
    digits = (upper >> 32, upper & _LOW, lower >> 32, lower & _LOW)
    a, b, c, d = (
        to_float(k, digit) * 2.0 ** (-32 * place) for place, digit in enumerate(digits, 1)
    )
    high, low = sum_of_ordered(a, b)
    high, rest = sum_of(high, c)
    return sum_of_ordered(high, low + (rest + d))
