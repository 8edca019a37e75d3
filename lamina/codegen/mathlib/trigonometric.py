"""Sine, cosine and tangent over the whole range of angles."""

from lamina.codegen.builder import Builder
from lamina.codegen.mathlib.angle import reduced
from lamina.codegen.mathlib.arithmetic import (
    INFINITY,
    NAN,
    choose,
    flip_sign,
    fma,
    in_double,
    polynomial,
)
from lamina.codegen.mathlib.coefficients import COS, SIN
from lamina.codegen.types import Scalar, f32
from lamina.codegen.values import Value


def _sine(k: Builder, r: Value, low: Value, to: Scalar) -> Value:
    """Return sin(r + low), |r| ≤ π/4."""
    z = r * r
    series = polynomial(k, z, SIN[to.name])
    if to == f32:
        return fma(k, z * r, series, r)
    return r + fma(k, z * r, series, fma(k, z * low, -0.5, low))


def _cosine(k: Builder, r: Value, low: Value, to: Scalar) -> Value:
    """Return cos(r + low), |r| ≤ π/4."""
    z = r * r
    series = polynomial(k, z, COS[to.name])
    if to == f32:
        return fma(k, z * z, series, fma(k, z, -0.5, 1.0))
    half = z * 0.5
    most = 1.0 - half
    return most + (((1.0 - most) - half) + fma(k, z * z, series, -(r * low)))


def _parts(k: Builder, x: Value, to: Scalar) -> tuple[Value, Value, Value, Value]:
    """Return sin r, cos r, n as bits, and whether n is odd."""
    high, low, bits = reduced(k, x, to)
    is_odd = (bits & 1).differs(0)
    return _sine(k, high, low, to), _cosine(k, high, low, to), bits, is_odd


def _at_the_edges(k: Builder, x: Value, result: Value) -> Value:
    return choose(k, ~(k.absolute(x) < INFINITY), NAN, result)


@in_double
def sin(k: Builder, x: Value, to: Scalar) -> Value:
    """Return sin x, x in radians; NaN at ±∞.

    At most 0.51 ULP, 0.8 in f64.
    """
    sine, cosine, bits, is_odd = _parts(k, x, to)
    result = flip_sign(k, k.select(is_odd, cosine, sine), bits << 62)
    return k.select(x.equals(0.0), x, _at_the_edges(k, x, result))


@in_double
def cos(k: Builder, x: Value, to: Scalar) -> Value:
    """Return cos x, x in radians; NaN at ±∞.

    At most 0.51 ULP, 0.8 in f64.
    """
    sine, cosine, bits, is_odd = _parts(k, x, to)
    result = flip_sign(k, k.select(is_odd, sine, cosine), (bits + 1) << 62)
    return _at_the_edges(k, x, result)


@in_double
def tan(k: Builder, x: Value, to: Scalar) -> Value:
    """Return tan x, x in radians; NaN at ±∞.

    At most 0.51 ULP, 2.3 in f64.
    """
    sine, cosine, bits, is_odd = _parts(k, x, to)
    quotient = k.select(is_odd, cosine, sine) / k.select(is_odd, sine, cosine)
    result = flip_sign(k, quotient, bits << 63)
    return k.select(x.equals(0.0), x, _at_the_edges(k, x, result))
