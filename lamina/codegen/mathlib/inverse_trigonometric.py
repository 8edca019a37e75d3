"""Arcus functions: series on |x| ≤ 1/2 or |t| ≤ 1, the rest by identities with π/2."""

from lamina.codegen.builder import Builder
from lamina.codegen.mathlib.arithmetic import (
    INFINITY,
    choose,
    fma,
    in_double,
    is_nan,
    is_negative,
    polynomial,
)
from lamina.codegen.mathlib.coefficients import ASIN, ATAN, HALF_PI
from lamina.codegen.types import Scalar
from lamina.codegen.values import Value

_QUARTER_TURN, _QUARTER_TURN_LOW = HALF_PI


def _series_of_atan(k: Builder, t: Value, to: Scalar) -> Value:
    z = t * t
    return fma(k, z * t, polynomial(k, z, ATAN[to.name]), t)


@in_double
def atan(k: Builder, x: Value, to: Scalar) -> Value:
    """Return the angle in [−π/2, π/2] whose tangent is x.

    At most 0.51 ULP, 2.2 in f64.
    """
    size = k.absolute(x)
    is_steep = size > 1.0
    angle = _series_of_atan(k, k.select(is_steep, 1.0 / size, size), to)
    steep = _QUARTER_TURN - (angle - _QUARTER_TURN_LOW)
    return k.copy_sign(k.select(is_steep, steep, angle), x)


@in_double
def atan2(k: Builder, y: Value, x: Value, to: Scalar) -> Value:
    """Return the angle in [−π, π] from the positive x axis to the point (x, y).

    At most 0.51 ULP, 2.1 in f64.
    """
    height, width = k.absolute(y), k.absolute(x)
    is_steep, is_left = height > width, is_negative(k, x)
    small, large = k.minimum(height, width), k.maximum(height, width)
    t = choose(k, large.equals(0.0), 0.0, small / large)
    t = choose(k, small.equals(INFINITY), 1.0, t)
    angle = _series_of_atan(k, t, to)
    zero = k.constant(x.type, 0.0)
    base = choose(k, is_steep, _QUARTER_TURN, choose(k, is_left, 2 * _QUARTER_TURN, zero))
    base_low = choose(
        k, is_steep, _QUARTER_TURN_LOW, choose(k, is_left, 2 * _QUARTER_TURN_LOW, zero)
    )
    # Steep or left, but not both: the angle is counted back from the base.
    counted = k.select(is_steep, k.select(is_left, angle, -angle), k.select(is_left, -angle, angle))
    result = k.copy_sign(base + (counted + base_low), y)
    return k.select(k.either_true(is_nan(x), is_nan(y)), x + y, result)


def _arc(k: Builder, size: Value, is_steep: Value, to: Scalar) -> Value:
    """Return asin |x|, or asin √((1 − |x|)/2) where `is_steep`."""
    rest = (1.0 - size) * 0.5
    z = k.select(is_steep, rest, size * size)
    s = k.select(is_steep, k.sqrt(rest), size)
    return fma(k, z * s, polynomial(k, z, ASIN[to.name]), s)


@in_double
def asin(k: Builder, x: Value, to: Scalar) -> Value:
    """Return the angle in [−π/2, π/2] whose sine is x; NaN where |x| > 1.

    At most 0.51 ULP, 2.2 in f64.
    """
    size = k.absolute(x)
    is_steep = size > 0.5
    arc = _arc(k, size, is_steep, to)
    steep = _QUARTER_TURN - (arc * 2.0 - _QUARTER_TURN_LOW)
    return k.copy_sign(k.select(is_steep, steep, arc), x)


@in_double
def acos(k: Builder, x: Value, to: Scalar) -> Value:
    """Return the angle in [0, π] whose cosine is x; NaN where |x| > 1.

    At most 0.51 ULP, 1.2 in f64.
    """
    size = k.absolute(x)
    is_steep = size > 0.5
    arc = _arc(k, size, is_steep, to)
    flat = _QUARTER_TURN - (k.copy_sign(arc, x) - _QUARTER_TURN_LOW)
    left = 2 * _QUARTER_TURN - (arc * 2.0 - 2 * _QUARTER_TURN_LOW)
    steep = k.select(x < 0.0, left, arc * 2.0)
    return k.select(is_steep, steep, flat)
