"""Logarithms: x = 2ᵉ·m with √½ ≤ m < √2, and log m = 2·artanh s with s = (m − 1)/(m + 1).

The sum is arranged as in fdlibm: with f = m − 1, log m = f − (f²/2 − s·(f²/2 + R(s²))).
"""

from lamina.codegen.builder import Builder
from lamina.codegen.mathlib import in_f32
from lamina.codegen.mathlib.arithmetic import (
    Pair,
    at_the_edges,
    fma,
    in_double,
    pair,
    polynomial,
    product_of,
    product_of_pairs,
    sum_of,
    sum_of_ordered,
    to_float,
)
from lamina.codegen.mathlib.coefficients import (
    LN2,
    LOG,
    LOG2_E,
    LOG10_2,
    LOG10_E,
    LOG_OF_POWER,
    TWO_THIRDS,
)
from lamina.codegen.mathlib.in_f32 import with_form_in_f32
from lamina.codegen.types import Scalar, f32, f64, u64
from lamina.codegen.values import Value

_LEAST_NORMAL = 2.0**-1022
_ROOT_HALF_BITS = 0x3FE6A09E667F3BCD
_ONE_BITS = 0x3FF0000000000000
_MANTISSA = (1 << 52) - 1


def split(k: Builder, x: Value) -> tuple[Value, Value, Value]:
    """Return e, m and the biased exponent as u64: x = 2ᵉ·m, √½ ≤ m < √2, for normal x > 0."""
    moved = k.bitcast(x, u64) + (_ONE_BITS - _ROOT_HALF_BITS)
    biased = moved >> 52
    m = k.bitcast((moved & _MANTISSA) + _ROOT_HALF_BITS, f64)
    return to_float(k, biased) - 1023.0, m, biased


def split_any(k: Builder, x: Value, to: Scalar) -> Pair:
    """Return e and m also for subnormal x; numbers of f32 are normal in f64."""
    if to == f32:
        return split(k, x)[:2]
    is_tiny = x < _LEAST_NORMAL
    e, m, _ = split(k, k.select(is_tiny, x * 2.0**54, x))
    return k.select(is_tiny, e - 54.0, e), m


def log_sum(k: Builder, e: Value, f: Value, to: Scalar, *, precise: bool = False) -> Value:
    """Return e·ln 2 + log(1 + f)."""
    coefficients = (LOG_OF_POWER if precise else LOG)[to.name]
    s = f / (f + 2.0)
    z = s * s
    series = z * polynomial(k, z, coefficients)
    if to == f32:
        return fma(k, e, sum(LN2), f - s * (f - series))
    half = f * f * 0.5
    return e * LN2[0] - ((half - fma(k, s, half + series, e * LN2[1])) - f)


def log_of(k: Builder, x: Value, to: Scalar) -> Value:
    """Return log x, f64 rounded as far as `to` needs."""
    e, m = split_any(k, x, to)
    return at_the_edges(k, x, log_sum(k, e, m - 1.0, to))


@with_form_in_f32(in_f32.log)
@in_double
def log(k: Builder, x: Value, to: Scalar) -> Value:
    """Return the natural logarithm of x: −∞ at ±0, NaN below.

    At most 0.86 ULP, 0.9 in f64.
    """
    return log_of(k, x, to)


def log1p_of(k: Builder, x: Value, to: Scalar) -> Value:
    """Return log(1 + x) in f64."""
    u, lost = sum_of(k.constant(x.type, 1.0), x)
    e, m, biased = split(k, u)
    f = m - 1.0
    if to != f32:
        back = k.bitcast((k.constant(biased.type, 2046) - biased) << 52, f64)
        f = k.select(u < 2.0**54, f + lost * back, f)
    # With e = 0, f is x itself, all of it.
    result = log_sum(k, e, k.select(e.equals(0.0), x, f), to)
    return k.copy_sign(at_the_edges(k, u, result), x)


@in_double
def log1p(k: Builder, x: Value, to: Scalar) -> Value:
    """Return log(1 + x), accurate near 0 too: −∞ at −1, NaN below.

    At most 0.52 ULP, 1.6 in f64.
    """
    return log1p_of(k, x, to)


def precise_log(k: Builder, m: Value) -> Pair:
    """Return log m, √½ ≤ m < √2, as two doubles, good to about 2⁻⁶⁵."""
    f, d = m - 1.0, m + 1.0
    s = f / d
    product, lost = product_of(k, s, d)
    s_low = ((f - product) - lost - s * (m - (d - 1.0))) / d
    z, z_low = product_of(k, s, s)
    z_low = fma(k, s * s_low, 2.0, z_low)
    cube = product_of_pairs(k, (z, z_low), (s, s_low))
    first = pair(k, m, TWO_THIRDS)
    rest = fma(k, z, polynomial(k, z, LOG_OF_POWER["f64"]), first[1])
    term = product_of_pairs(k, cube, sum_of_ordered(first[0], rest))
    high, low = sum_of_ordered(s * 2.0, term[0])
    return sum_of_ordered(high, low + fma(k, s_low, 2.0, term[1]))


def _to_base(
    k: Builder, x: Value, to: Scalar, one: tuple[float, ...], factor: tuple[float, ...]
) -> Value:
    """Return e·one + factor·log m; `one` is short enough for an exact first product."""
    e, m = split_any(k, x, to)
    if to == f32:
        natural = log_sum(k, k.constant(x.type, 0.0), m - 1.0, to)
        return at_the_edges(k, x, fma(k, e, sum(one), natural * factor[0]))
    high, low = product_of_pairs(k, precise_log(k, m), pair(k, m, factor))
    total, lost = sum_of(e * one[0], high)
    return at_the_edges(k, x, total + (lost + fma(k, e, one[1], low)))


@in_double
def log2(k: Builder, x: Value, to: Scalar) -> Value:
    """Return the logarithm of x to base 2; exact for powers of two.

    At most 0.52 ULP, 0.51 in f64.
    """
    return _to_base(k, x, to, (1.0, 0.0), LOG2_E)


@in_double
def log10(k: Builder, x: Value, to: Scalar) -> Value:
    """Return the logarithm of x to base 10.

    At most 0.52 ULP, 0.51 in f64.
    """
    return _to_base(k, x, to, LOG10_2, LOG10_E)
