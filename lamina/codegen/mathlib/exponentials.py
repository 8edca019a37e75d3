"""eˣ, 2ˣ and eˣ − 1: x = n·ln 2 + r with |r| ≤ ln 2 / 2, eˣ = 2ⁿ·eʳ."""

from lamina.codegen.builder import Builder
from lamina.codegen.mathlib import in_f32
from lamina.codegen.mathlib.arithmetic import (
    Pair,
    clamp,
    fma,
    in_double,
    less_multiple_of_ln2,
    nearest_power,
    polynomial,
    power_of_two,
    scaled,
    sum_of,
    sum_of_ordered,
    whole,
)
from lamina.codegen.mathlib.coefficients import EXP, LN2
from lamina.codegen.mathlib.in_f32 import with_form_in_f32
from lamina.codegen.types import Scalar, element_of, f32
from lamina.codegen.values import Value

# Beyond these a result is 0 or infinite.
LEAST = {"f32": -105.0, "f64": -746.0}
GREATEST = {"f32": 89.0, "f64": 710.0}
# Whole numbers down to which results are normal.
LEAST_NORMAL = {"f32": -87.0, "f64": -708.0}
# Beyond these so are half the results.
PAST_SINH = {"f32": 90.0, "f64": 710.6}


def series(k: Builder, r: Value, to: Scalar) -> Value:
    """Return eʳ − 1 for |r| ≤ ln 2 / 2."""
    return fma(k, r * r, polynomial(k, r, EXP[to.name]), r)


def exp_parts(k: Builder, x: Value, to: Scalar, tail: Value | None = None) -> tuple[Value, Value]:
    """Return q and n: e^(x + tail) = (1 + q)·2ⁿ. `x` is clamped, `tail` small beside 1."""
    n, _ = nearest_power(k, x)
    r = less_multiple_of_ln2(k, x, n, to)
    return series(k, r if tail is None else r + tail, to), n


def exp_of(k: Builder, x: Value, to: Scalar) -> Value:
    """Return eˣ, f64 rounded as far as `to` needs."""
    q, n = exp_parts(k, clamp(k, x, LEAST[to.name], GREATEST[to.name]), to)
    return scaled(k, q + 1.0, n, to)


@with_form_in_f32(in_f32.exp)
@in_double
def exp(k: Builder, x: Value, to: Scalar) -> Value:
    """Return eˣ.

    At most 0.9 ULP, 1 in f64.
    """
    return exp_of(k, x, to)


@with_form_in_f32(in_f32.exp_of_deficit)
def exp_of_deficit(k: Builder, x: Value) -> Value:
    """Return eˣ for x ≤ 0; 0 where that is subnormal, which many processors are slow to make.

    At most 0.9 ULP, 1 in f64.
    """
    least = k.constant(x.type, LEAST_NORMAL[element_of(x.type).name])
    return k.select(x < least, k.constant(x.type, 0.0), exp(k, k.maximum(least, x)))


@with_form_in_f32(in_f32.exp2)
@in_double
def exp2(k: Builder, x: Value, to: Scalar) -> Value:
    """Return 2ˣ; exact for whole x.

    At most 0.96 ULP, 1.1 in f64.
    """
    x = clamp(k, x, -151.0 if to == f32 else -1076.0, 129.0 if to == f32 else 1025.0)
    n, _ = whole(k, x)
    return scaled(k, series(k, (x - n) * sum(LN2), to) + 1.0, n, to)


def _precise_series(k: Builder, x: Value, tail: Value | None) -> tuple[Pair, Value, Value]:
    """Return q as two doubles, n, and n in the low bits of a u64: e^(x + tail) = (1 + q)·2ⁿ."""
    n, bits = nearest_power(k, x)
    less = n * -LN2[1]
    r, lost = sum_of(fma(k, n, -LN2[0], x), less if tail is None else less + tail)
    rest = fma(k, r * r, polynomial(k, r, EXP["f64"]), lost)
    return sum_of_ordered(r, rest), n, bits


def exp_pair(k: Builder, x: Value, tail: Value) -> tuple[Pair, Value]:
    """Return p as two doubles, and n: e^(x + tail) = p·2ⁿ."""
    (q, low), n, _ = _precise_series(k, x, tail)
    high, rest = sum_of_ordered(k.constant(x.type, 1.0), q)
    return (high, rest + low), n


def expm1_pair(k: Builder, x: Value) -> Pair:
    """Return eˣ − 1 as two doubles, |x| ≤ 40."""
    (q, low), _, bits = _precise_series(k, x, None)
    power = power_of_two(k, bits)
    high, rest = sum_of(power - 1.0, power * q)
    return high, rest + power * low


def quarter_expm1(k: Builder, x: Value, to: Scalar) -> tuple[Value, Value, Value]:
    """Return (eˣ − 1)/4, which does not overflow before sinh x does, and q, n of eˣ = (1 + q)·2ⁿ.

    A result below −1/4 + 2⁻⁵⁹ stays there.
    """
    x = clamp(k, x, -40.0, PAST_SINH[to.name])
    n, bits = nearest_power(k, x)
    q = series(k, less_multiple_of_ln2(k, x, n, to), to)
    quarter = power_of_two(k, bits, -2)
    return fma(k, quarter, q, quarter - 0.25), q, n


def expm1_of(k: Builder, x: Value, to: Scalar) -> Value:
    """Return eˣ − 1 in f64; a zero may lose its sign."""
    quarter, q, n = quarter_expm1(k, x, to)
    # A quarter that is subnormal has lost bits.
    return k.select(n.equals(0.0), q, quarter * 4.0)


@in_double
def expm1(k: Builder, x: Value, to: Scalar) -> Value:
    """Return eˣ − 1, accurate near 0 too.

    At most 0.51 ULP, 2 in f64.
    """
    return k.copy_sign(expm1_of(k, x, to), x)
