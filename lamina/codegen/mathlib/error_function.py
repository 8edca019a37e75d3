"""erf, erfc, and what is made of them.

Near 0, erf x = x + x·Q(x²). Elsewhere erfc x = e^(−x²)·G(t)/(1 + 2x) with t = (x − K)/(x + K), one
polynomial for all x (Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x)exp(x²)erfc x in
0 ≤ x < ∞", 1981). Results in f32 take (x + K)·e^(x²)·erfc x instead, with another K: one division.
"""

from lamina.codegen.builder import Builder
from lamina.codegen.mathlib import in_f32
from lamina.codegen.mathlib.arithmetic import (
    Pair,
    clamp,
    fma,
    in_double,
    pair,
    polynomial,
    product_of,
    product_of_pairs,
    quotient_of_pairs,
    scaled,
    sum_of,
)
from lamina.codegen.mathlib.coefficients import ERF, ERFC, ERFC_BEND, NORMAL_PEAK, ROOT_HALF
from lamina.codegen.mathlib.exponentials import exp_pair, exp_parts
from lamina.codegen.mathlib.in_f32 import with_form_in_f32
from lamina.codegen.types import Scalar, f32
from lamina.codegen.values import Value

_NEAR = 0.47
# erfc is 0 beyond these, erf 1 beyond the last.
_FAR = {"f32": 10.3, "f64": 27.3}
_FLAT = 3.93


def _near_zero(k: Builder, x: Value, to: Scalar, end: float) -> Value:
    """Return erf x for |x| ≤ end."""
    z = k.minimum(k.constant(x.type, end * end), x * x)
    return fma(k, x, polynomial(k, z, ERF[to.name]), x)


def _tail(k: Builder, size: Pair, square: Pair, to: Scalar, factor: Value | None = None) -> Value:
    """Return factor·erfc x for x ≤ _FAR, given x and x² as two doubles; in f64, for x ≥ _NEAR."""
    x, x_low = size
    if to == f32:
        q, n = exp_parts(k, -square[0], to)
        inverse = 1.0 / (x + ERFC_BEND["f32"])
        t = fma(k, inverse, -2.0 * ERFC_BEND["f32"], 1.0)
        bent = polynomial(k, t, ERFC["f32"]) * (inverse if factor is None else inverse * factor)
        return scaled(k, fma(k, bent, q, bent), n, to)
    power, n = exp_pair(k, -square[0], -square[1])
    t = (x - ERFC_BEND["f64"]) / (x + ERFC_BEND["f64"])
    below, rest = sum_of(x + x, k.constant(x.type, 1.0))
    series = (polynomial(k, t, ERFC["f64"]), k.constant(x.type, 0.0))
    quotient = quotient_of_pairs(k, series, (below, rest + (x_low + x_low)))
    high, low = product_of_pairs(k, quotient, power)
    if factor is not None:
        low = low * factor
        high, rest = product_of(k, high, factor)
        low = low + rest
    return scaled(k, high + low, n, to)


@in_double
def erf(k: Builder, x: Value, to: Scalar) -> Value:
    """Return erf x = 2/√π·∫₀ˣ e^(−t²) dt.

    At most 0.52 ULP, 1.3 in f64.
    """
    if to == f32:
        return _near_zero(k, clamp(k, x, -_FLAT, _FLAT), to, _FLAT)
    size = k.absolute(x)
    inner = clamp(k, size, 1.0, _FAR["f64"])
    far = k.copy_sign(1.0 - _tail(k, (inner, inner * 0.0), product_of(k, inner, inner), to), x)
    return k.select(size > 1.0, far, _near_zero(k, x, to, 1.0))


@with_form_in_f32(in_f32.erfc, needs_fma=True)
@in_double
def erfc(k: Builder, x: Value, to: Scalar) -> Value:
    """Return 1 − erf x, accurate where it is small too.

    At most 6 ULP, 2.2 in f64.
    """
    x = clamp(k, x, -_FAR[to.name], _FAR[to.name])
    size = k.absolute(x)
    tail = _tail(k, (size, size * 0.0), product_of(k, x, x), to)
    far = k.select(x < 0.0, 2.0 - tail, tail)
    if to == f32:
        return far
    return k.select(size < _NEAR, 1.0 - _near_zero(k, x, to, _NEAR), far)


def _normal_tail(k: Builder, x: Value, to: Scalar, factor: Value) -> tuple[Value, Value]:
    """Return factor·erfc(|x|/√2), and |x|/√2."""
    size, square = _half_square(k, x, to)
    root_half = pair(k, x, ROOT_HALF)
    root, lost = product_of(k, size, root_half[0])
    lost = fma(k, size, root_half[1], lost)
    return _tail(k, (root, lost), square, to, factor), root


def _half_square(k: Builder, x: Value, to: Scalar) -> tuple[Value, Pair]:
    """Return |x|, no more than what e^(−x²/2) vanishes at, and x²/2 as two doubles."""
    size = k.minimum(k.constant(x.type, _FAR[to.name] * 2.0**0.5), k.absolute(x))
    high, low = product_of(k, size, size)
    return size, (high * 0.5, low * 0.5)


@with_form_in_f32(in_f32.normal_cdf, needs_fma=True)
@in_double
def normal_cdf(k: Builder, x: Value, to: Scalar) -> Value:
    """Return Φ(x) = erfc(−x/√2)/2, accurate where it is small too.

    At most 6 ULP, 2.2 in f64.
    """
    tail, root = _normal_tail(k, x, to, k.constant(x.type, 0.5))
    result = k.select(x < 0.0, tail, 1.0 - tail)
    if to == f32:
        return result
    near = fma(k, _near_zero(k, k.copy_sign(root, x), to, _NEAR), 0.5, 0.5)
    return k.select(root < _NEAR, near, result)


@with_form_in_f32(in_f32.normal_pdf, needs_fma=True)
@in_double
def normal_pdf(k: Builder, x: Value, to: Scalar) -> Value:
    """Return φ(x) = e^(−x²/2)/√(2π).

    At most 2 ULP, 2.1 in f64.
    """
    high, low = _half_square(k, x, to)[1]
    (power, rest), n = exp_pair(k, -high, -low)
    return scaled(k, (power + rest) * NORMAL_PEAK, n, to)


@with_form_in_f32(in_f32.gelu, needs_fma=True)
@in_double
def gelu(k: Builder, x: Value, to: Scalar) -> Value:
    """Return x·Φ(x) = x/2·erfc(−x/√2), accurate where Φ is small too.

    At most 6 ULP, 2.2 in f64.
    """
    half = k.minimum(k.constant(x.type, _FAR[to.name] * 2.0**0.5), k.absolute(x)) * 0.5
    tail, root = _normal_tail(k, x, to, half)
    result = k.select(x < 0.0, -tail, x - tail)
    if to != f32:
        half = k.copy_sign(half, x)
        near = fma(k, half, _near_zero(k, k.copy_sign(root, x), to, _NEAR), half)
        result = k.select(root < _NEAR, near, result)
    return k.copy_sign(result, x)
