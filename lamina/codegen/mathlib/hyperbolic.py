"""Hyperbolic functions and their inverses, by eˣ − 1 and log(1 + x)."""

from lamina.codegen.builder import Builder
from lamina.codegen.mathlib import in_f32
from lamina.codegen.mathlib.arithmetic import (
    INFINITY,
    NAN,
    choose,
    clamp,
    fma,
    in_double,
    quotient_of_pairs,
    scaled,
    sum_of,
)
from lamina.codegen.mathlib.coefficients import LN2
from lamina.codegen.mathlib.exponentials import PAST_SINH, exp_parts, expm1_pair, quarter_expm1
from lamina.codegen.mathlib.in_f32 import with_form_in_f32
from lamina.codegen.mathlib.logarithms import log1p_of, log_of
from lamina.codegen.types import Scalar
from lamina.codegen.values import Value

# From here on tanh is 1 in f64, and 1 is nothing beside x².
_FLAT = 20.0
_LARGE = 2.0**28


@with_form_in_f32(in_f32.tanh)
@in_double
def tanh(k: Builder, x: Value, to: Scalar) -> Value:
    """Return tanh x = d/(d + 2) with d = e²ˣ − 1.

    At most 0.94 ULP, 0.9 in f64.
    """
    size = clamp(k, k.absolute(x), 0.0, _FLAT)
    d, low = expm1_pair(k, size + size)
    below, rest = sum_of(d, k.constant(x.type, 2.0))
    high, low = quotient_of_pairs(k, (d, low), (below, rest + low))
    return k.copy_sign(high + low, x)


@in_double
def sinh(k: Builder, x: Value, to: Scalar) -> Value:
    """Return sinh x = h + h/(2h + 1) with h = (eˣ − 1)/2.

    At most 0.51 ULP, 2.4 in f64.
    """
    size = k.absolute(x)
    quarter, q, n = quarter_expm1(k, size, to)
    half = quarter + quarter
    result = half + choose(k, half > 2.0**60, 0.5, half / (half + half + 1.0))
    # Where x is subnormal, so is the quarter.
    small = (q + q / (q + 1.0)) * 0.5
    result = k.select(n.equals(0.0), small, result)
    return k.copy_sign(k.select(size < 2.0**-28, size, result), x)


@in_double
def cosh(k: Builder, x: Value, to: Scalar) -> Value:
    """Return cosh x = h + 1/(4h) with h = eˣ/2.

    At most 0.51 ULP, 1.5 in f64.
    """
    q, n = exp_parts(k, clamp(k, k.absolute(x), 0.0, PAST_SINH[to.name]), to)
    half = scaled(k, q + 1.0, n - 1.0, to)
    return half + 0.25 / half


def _log_of_double(k: Builder, x: Value, to: Scalar) -> Value:
    return log_of(k, x, to) + sum(LN2)


@in_double
def asinh(k: Builder, x: Value, to: Scalar) -> Value:
    """Return the x whose sinh is given: log(1 + |x| + x²/(1 + √(x² + 1))).

    At most 0.52 ULP, 1.7 in f64.
    """
    size = k.absolute(x)
    inner = k.minimum(k.constant(x.type, _LARGE), size)
    square = inner * inner
    root = k.sqrt(square + 1.0)
    near = log1p_of(k, inner + square / (root + 1.0), to)
    return k.copy_sign(k.select(size > _LARGE, _log_of_double(k, size, to), near), x)


@in_double
def acosh(k: Builder, x: Value, to: Scalar) -> Value:
    """Return the x ≥ 0 whose cosh is given: log(1 + t + √(2t + t²)), t = x − 1; NaN below 1.

    At most 0.51 ULP, 2.2 in f64.
    """
    t = k.minimum(k.constant(x.type, _LARGE), x) - 1.0
    near = log1p_of(k, t + k.sqrt(fma(k, t, t, t + t)), to)
    result = k.select(x > _LARGE, _log_of_double(k, x, to), near)
    return choose(k, x < 1.0, NAN, result)


@in_double
def atanh(k: Builder, x: Value, to: Scalar) -> Value:
    """Return the x whose tanh is given: log(1 + 2x/(1 − x))/2; ±∞ at ±1, NaN beyond.

    At most 0.52 ULP, 2 in f64.
    """
    size = k.absolute(x)
    result = log1p_of(k, (size + size) / (1.0 - size), to) * 0.5
    result = choose(k, size.equals(1.0), INFINITY, result)
    return k.copy_sign(k.select(size < 2.0**-28, size, result), x)
