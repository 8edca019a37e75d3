"""erf, erfc, and what is made of them.

Near 0, erf x = x + x·Q(x²). Elsewhere erfc x = e^(−x²)·G(t)/(1 + 2x) with t = (x − K)/(x + K), one
polynomial for all x (Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x)exp(x²)erfc x in
0 ≤ x < ∞", 1981).
"""

from lamina.codegen.builder import Builder
from lamina.codegen.mathlib.arithmetic import (
    Pair,
    clamp,
    fma,
    in_double,
    polynomial,
    product_of,
    scaled,
)
from lamina.codegen.mathlib.coefficients import ERF, ERFC, ERFC_BEND
from lamina.codegen.mathlib.exponentials import exp_parts
from lamina.codegen.types import Scalar, f32
from lamina.codegen.values import Value

_NEAR = 0.47
# erfc is 0 beyond these.
_FAR = {"f32": 10.3, "f64": 27.3}


def _near_zero(k: Builder, x: Value, to: Scalar, end: float) -> Value:
    """Return erf x for |x| ≤ end."""
    z = k.minimum(k.constant(x.type, end * end), x * x)
    return fma(k, x, polynomial(k, z, ERF[to.name]), x)


def _tail(k: Builder, x: Value, square: Pair, to: Scalar, factor: Value | None = None) -> Value:
    """Return factor·erfc x for _NEAR ≤ x ≤ _FAR, given x² as two doubles."""
    q, n = exp_parts(k, -square[0], to)
    t = (x - ERFC_BEND) / (x + ERFC_BEND)
    bent = polynomial(k, t, ERFC[to.name]) / fma(k, x, 2.0, 1.0)
    if to != f32:
        bent = bent - bent * square[1]
    if factor is not None:
        bent = bent * factor
    return scaled(k, fma(k, bent, q, bent), n, to)


def _far_from_zero(k: Builder, size: Value, to: Scalar, start: float) -> Value:
    x = clamp(k, size, start, _FAR[to.name])
    square = (x * x, x) if to == f32 else product_of(k, x, x)
    return _tail(k, x, square, to)


@in_double
def erf(k: Builder, x: Value, to: Scalar) -> Value:
    """Return erf x = 2/√π·∫₀ˣ e^(−t²) dt.

    At most 0.51 ULP, 0.8 in f64.
    """
    size = k.absolute(x)
    far = k.copy_sign(1.0 - _far_from_zero(k, size, to, 1.0), x)
    return k.select(size > 1.0, far, _near_zero(k, x, to, 1.0))


@in_double
def erfc(k: Builder, x: Value, to: Scalar) -> Value:
    """Return 1 − erf x, accurate where it is small too.

    At most 0.51 ULP, 2.4 in f64.
    """
    x = clamp(k, x, -_FAR[to.name], _FAR[to.name])
    size = k.absolute(x)
    tail = _tail(k, size, product_of(k, x, x), to)
    far = k.select(x < 0.0, 2.0 - tail, tail)
    return k.select(size < _NEAR, 1.0 - _near_zero(k, x, to, _NEAR), far)


@in_double
def gelu(k: Builder, x: Value, to: Scalar) -> Value:
    """Return x·Φ(x) = x/2·erfc(−x/√2), accurate where Φ is small too.

    At most 0.51 ULP, 3.9 in f64.
    """
    end = _FAR[to.name] * 2.0**0.5
    inner = clamp(k, x, -end, end)
    size, half = k.absolute(inner) * 0.5**0.5, inner * 0.5
    high, low = product_of(k, inner, inner)
    tail = _tail(k, size, (high * 0.5, low * 0.5), to, k.absolute(half))
    far = k.select(x < 0.0, -tail, x - tail)
    near = fma(k, half, _near_zero(k, inner * 0.5**0.5, to, _NEAR), half)
    return k.copy_sign(k.select(size < _NEAR, near, far), x)
