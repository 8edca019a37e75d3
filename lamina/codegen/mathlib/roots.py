"""√x, 1/√x and ∛x."""

from lamina.codegen.builder import Builder
from lamina.codegen.mathlib import in_f32
from lamina.codegen.mathlib.arithmetic import (
    INFINITY,
    choose,
    in_double,
    polynomial,
    power_of_two,
    whole,
)
from lamina.codegen.mathlib.coefficients import CBRT
from lamina.codegen.mathlib.in_f32 import with_form_in_f32
from lamina.codegen.mathlib.logarithms import split_any
from lamina.codegen.types import Scalar, f32, f64, u64
from lamina.codegen.values import Value

_HIGH_BITS = ~((1 << 27) - 1) & ((1 << 64) - 1)


def sqrt(k: Builder, x: Value) -> Value:
    """Return √x, rounded correctly; NaN below 0.

    At most 0.5 ULP, 0.5 in f64.
    """
    return k.sqrt(x)


@with_form_in_f32(in_f32.rsqrt, needs_fma=True)
@in_double
def rsqrt(k: Builder, x: Value, to: Scalar) -> Value:
    """Return 1/√x: ±∞ at ±0, NaN below.

    At most 0.51 ULP, 1.6 in f64.
    """
    return 1.0 / k.sqrt(x)


@in_double
def cbrt(k: Builder, x: Value, to: Scalar) -> Value:
    """Return the real cube root of x: a polynomial on one binade, then steps of third order.

    At most 0.51 ULP, 0.7 in f64.
    """
    size = k.absolute(x)
    e, m = split_any(k, size, to)
    third, bits = whole(k, e * (1.0 / 3.0))
    rest = e - third * 3.0
    is_up, is_down = rest > 0.5, rest < -0.5
    one = k.constant(x.type, 1.0)
    a = m * choose(k, is_up, 2.0, choose(k, is_down, 0.5, one))
    lift = choose(k, is_up, 2.0 ** (1 / 3), choose(k, is_down, 0.5 ** (1 / 3), one))
    t = polynomial(k, m, CBRT["f64"]) * lift
    t = _closer(t, a)
    if to != f32:
        # With 26 bits of t its square is exact.
        t = k.bitcast(k.bitcast(t, u64) & _HIGH_BITS, f64)
        r = a / (t * t)
        t = t + t * ((r - t) / (t + t + r))
    result = t * power_of_two(k, bits)
    result = k.select(k.both(size > 0.0, size < INFINITY), result, size)
    return k.copy_sign(result, x)


def _closer(t: Value, a: Value) -> Value:
    """Return a better cube root of a, by Halley's step: the error goes with its third power."""
    cube = t * t * t
    return t * ((cube + a * 2.0) / (cube * 2.0 + a))
