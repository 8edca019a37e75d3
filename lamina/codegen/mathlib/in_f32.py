"""Forms in f32 arithmetic of the functions that networks call most: twice as many lanes.

They serve f32 values; f64 ones, and those of targets where a form needs a
multiply-add of one rounding and there is none, take the form in f64.
"""

import functools
from collections.abc import Callable

from lamina.codegen.builder import Builder
from lamina.codegen.mathlib.arithmetic import (
    at_the_edges,
    choose,
    clamp,
    fma,
    is_nan,
    polynomial,
    polynomial_in_halves,
)
from lamina.codegen.mathlib.coefficients import (
    ERFC,
    ERFC_BEND,
    EXP_IN_F32,
    LN2,
    LN2_IN_F32,
    LOG2_E,
    LOG_IN_F32,
    NORMAL_PEAK,
    ROOT_HALF,
    TANH_IN_F32,
)
from lamina.codegen.types import element_of, f32, i32, u32
from lamina.codegen.values import Value

_WHOLE = 1.5 * 2.0**23
_BIAS = 127
# Below it, 2ⁿ⁻¹ is subnormal, and is multiplied by in two steps.
_DEEP = -124.0
# The least whole number whose exponential is normal.
_LEAST_EXPONENT = -87.0
_ROOT_HALF_BITS, _ONE_BITS = 0x3F3504F3, 0x3F800000
_MANTISSA = (1 << 23) - 1
_LN2 = float.fromhex("0x1.62e43p-1")
# Beyond it tanh is 1 in f32.
_FLAT = 9.1


def with_form_in_f32(
    form: Callable[[Builder, Value], Value], *, needs_fma: bool = False
) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Return a decorator: f32 values take `form`, others the decorated function."""

    def decorated(function: Callable[..., Value]) -> Callable[..., Value]:
        @functools.wraps(function)
        def chosen(k: Builder, x: Value) -> Value:
            is_served = element_of(x.type) == f32 and (k.target.has_fma or not needs_fma)
            return form(k, x) if is_served else function(k, x)

        return chosen

    return decorated


def _series(k: Builder, r: Value, low: Value) -> Value:
    """Return e^(r + low) − 1 for |r| ≤ ln 2 / 2 and a small rest."""
    return r + fma(k, r * r, polynomial(k, r, EXP_IN_F32["f32"]), low)


def _parts(k: Builder, x: Value, x_low: Value | None = None) -> tuple[Value, Value, Value]:
    """Return q, n, and n in the low bits of a u32: e^(x + x_low) = (1 + q)·2ⁿ."""
    shifted = fma(k, x, LOG2_E[0], _WHOLE)
    n = shifted - _WHOLE
    high, low = LN2_IN_F32
    most, less = fma(k, n, -high, x), n * -low
    less = less if x_low is None else less + x_low
    r = most + less
    return _series(k, r, less - (r - most)), n, k.bitcast(shifted, u32)


def _powers(k: Builder, n: Value, bits: Value) -> tuple[Value, Value]:
    """Return two factors of 2ⁿ⁻¹, −189 ≤ n ≤ 128."""
    is_deep = n < _DEEP
    bias = k.constant(bits.type, (_BIAS - 1) << 23)
    bias = k.select(is_deep, k.constant(bits.type, (_BIAS - 1 + 64) << 23), bias)
    rest = choose(k, is_deep, 2.0**-64, k.constant(n.type, 1.0))
    return k.bitcast((bits << 23) + bias, f32), rest


def exp(k: Builder, x: Value) -> Value:
    """Return eˣ for f32.

    At most 0.9 ULP, 1 in f64.
    """
    q, n, bits = _parts(k, clamp(k, x, -104.0, 89.0))
    power, rest = _powers(k, n, bits)
    return fma(k, q, 2.0, 2.0) * power * rest


def exp_of_deficit(k: Builder, x: Value) -> Value:
    """Return eˣ for f32 x ≤ 0; 0 where that is subnormal, which many processors are slow to make.

    At most 0.9 ULP.
    """
    least = k.constant(x.type, _LEAST_EXPONENT)
    q, _, bits = _parts(k, k.maximum(least, x))
    power = k.bitcast((bits << 23) + (_BIAS << 23), f32)
    return k.select(x < least, k.constant(x.type, 0.0), fma(k, q, power, power))


def exp2(k: Builder, x: Value) -> Value:
    """Return 2ˣ for f32.

    At most 0.96 ULP, 1.1 in f64.
    """
    x = clamp(k, x, -151.0, 129.0)
    shifted = x + _WHOLE
    n = k.minimum(k.constant(x.type, 128.0), shifted - _WHOLE)
    rest = x - n
    r = rest * _LN2
    q = _series(k, r, fma(k, rest, _LN2, -r) + rest * (sum(LN2) - _LN2))
    power, rest = _powers(k, n, k.bitcast(n + _WHOLE, u32))
    return fma(k, q, 2.0, 2.0) * power * rest


def log(k: Builder, x: Value) -> Value:
    """Return log x for f32: f − f²/2 + f³·P(f) + e·ln 2 with x = 2ᵉ·(1 + f).

    At most 0.86 ULP, 0.9 in f64.
    """
    is_tiny = x < 2.0**-126
    normal = k.select(is_tiny, x * 2.0**23, x)
    moved = k.bitcast(normal, u32) + (_ONE_BITS - _ROOT_HALF_BITS)
    bias = choose(k, is_tiny, _BIAS + 23.0, k.constant(x.type, float(_BIAS)))
    e = k.convert(k.bitcast(moved >> 23, i32), f32) - bias
    f = k.bitcast((moved & _MANTISSA) + _ROOT_HALF_BITS, f32) - 1.0
    square = f * f
    rest = fma(k, f * square, polynomial(k, f, LOG_IN_F32["f32"]), e * LN2_IN_F32[1])
    return at_the_edges(k, x, fma(k, e, LN2_IN_F32[0], f + fma(k, square, -0.5, rest)))


def rsqrt(k: Builder, x: Value) -> Value:
    """Return 1/√x for f32: the quotient, and one step of Newton's with an exact residue.

    At most 0.51 ULP, 1.6 in f64.
    """
    y = 1.0 / k.sqrt(x)
    product = x * y
    left = fma(k, -product, y, 1.0) - fma(k, x, y, -product) * y
    return k.select(is_nan(left), y, fma(k, y * 0.5, left, y))


def sigmoid(k: Builder, x: Value) -> Value:
    """Return 1/(1 + e^(−x)) for f32: a quotient, and what its roundings left out.

    At most 0.95 ULP, 2.2 in f64.
    """
    size = k.maximum(k.constant(x.type, -104.0), -k.absolute(x))
    q, n, bits = _parts(k, size)
    power, rest = _powers(k, n, bits)
    twice = fma(k, q, 2.0, 2.0)
    small, small_low = twice * power * rest, fma(k, q, 2.0, 2.0 - twice) * power * rest
    below = small + 1.0
    below_low = ((1.0 - below) + small) + small_low
    is_negative = x < 0.0
    above = k.select(is_negative, small, k.constant(x.type, 1.0))
    above_low = k.select(is_negative, small_low, k.constant(x.type, 0.0))
    quotient = above / below
    left = fma(k, -quotient, below_low, fma(k, -quotient, below, above)) + above_low
    # 1/(1 + e) is the quotient or what it lacks to 1.
    return fma(k, left, k.maximum(quotient, 1.0 - quotient), quotient)


def tanh(k: Builder, x: Value) -> Value:
    """Return tanh x for f32: a series for |x| < 1, 1 − 2w/(1 + w) with w = e^(−2|x|) beyond.

    At most 0.94 ULP, 0.9 in f64.
    """
    size = k.minimum(k.constant(x.type, _FLAT), k.absolute(x))
    square = size * size
    near = fma(k, size * square, polynomial(k, square, TANH_IN_F32["f32"]), size)
    q, _, bits = _parts(k, size * -2.0)
    power = k.bitcast((bits << 23) + (_BIAS << 23), f32)
    w = fma(k, power, q, power)
    below = w + 1.0
    ratio = (w + w) / below
    far = 1.0 - fma(k, -ratio, (1.0 - below) + w, ratio)
    return k.copy_sign(k.select(size < 1.0, near, far), x)


def _bell(k: Builder, square: tuple[Value, Value]) -> tuple[Value, Value, Value]:
    """Return three factors of e^(−x²), given x² as two numbers; the last may be subnormal."""
    q, n, bits = _parts(k, -square[0], -square[1])
    return fma(k, q, 2.0, 2.0), *_powers(k, n, bits)


def _below_tail(k: Builder, size: Value, square: tuple[Value, Value], factor: Value) -> Value:
    """Return factor·erfc x for 0 ≤ x ≤ 10.3, given x and x² as two numbers."""
    bell, power, rest = _bell(k, square)
    inverse = 1.0 / (size + ERFC_BEND["f32"])
    t = fma(k, inverse, -2.0 * ERFC_BEND["f32"], 1.0)
    bent = polynomial_in_halves(k, t, ERFC["f32"]) * (inverse * factor)
    return bent * bell * power * rest


def erfc(k: Builder, x: Value) -> Value:
    """Return 1 − erf x for f32, accurate where it is small too.

    At most 6 ULP: a polynomial, a quotient and a power, each rounded.
    """
    size = k.minimum(k.constant(x.type, 10.3), k.absolute(x))
    square = size * size
    lost = fma(k, size, size, -square)
    tail = _below_tail(k, size, (square, lost), k.constant(x.type, 1.0))
    return k.select(x < 0.0, 2.0 - tail, tail)


def _half_square(k: Builder, x: Value) -> tuple[Value, tuple[Value, Value]]:
    """Return |x|, no more than what e^(−x²/2) vanishes at, and x²/2 as two numbers."""
    size = k.minimum(k.constant(x.type, 14.6), k.absolute(x))
    square = size * size
    lost = fma(k, size, size, -square)
    return size, (square * 0.5, lost * 0.5)


def normal_cdf(k: Builder, x: Value) -> Value:
    """Return Φ(x) = erfc(−x/√2)/2 for f32, accurate where it is small too.

    At most 6 ULP: a polynomial, a quotient and a power, each rounded.
    """
    size, halves = _half_square(k, x)
    tail = _below_tail(k, size * ROOT_HALF[0], halves, k.constant(x.type, 0.5))
    return k.select(x < 0.0, tail, 1.0 - tail)


def normal_pdf(k: Builder, x: Value) -> Value:
    """Return φ(x) = e^(−x²/2)/√(2π) for f32.

    At most 2 ULP.
    """
    bell, power, rest = _bell(k, _half_square(k, x)[1])
    return bell * NORMAL_PEAK * power * rest


def gelu(k: Builder, x: Value) -> Value:
    """Return x·Φ(x) = x/2·erfc(−x/√2) for f32, accurate where Φ is small too.

    At most 6 ULP: a polynomial, a quotient and a power, each rounded.
    """
    size, halves = _half_square(k, x)
    tail = _below_tail(k, size * ROOT_HALF[0], halves, size * 0.5)
    return k.copy_sign(k.select(x < 0.0, -tail, x - tail), x)
