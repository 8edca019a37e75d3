"""Functions that networks apply between layers, in forms that neither overflow nor cancel."""

from lamina.codegen.builder import Builder
from lamina.codegen.mathlib import in_f32
from lamina.codegen.mathlib.arithmetic import (
    Pair,
    clamp,
    in_double,
    pair,
    product_of,
    product_of_pairs,
    scaled,
    sum_of_ordered,
)
from lamina.codegen.mathlib.coefficients import GELU_CUBIC, GELU_LINEAR
from lamina.codegen.mathlib.exponentials import exp_of, exp_parts
from lamina.codegen.mathlib.in_f32 import with_form_in_f32
from lamina.codegen.mathlib.logarithms import log1p_of
from lamina.codegen.types import Scalar, f32
from lamina.codegen.values import Value

# Powers of e that are 0 even after a multiplication.
_DEEP = {"f32": -120.0, "f64": -800.0}


@with_form_in_f32(in_f32.sigmoid, needs_fma=True)
@in_double
def sigmoid(k: Builder, x: Value, to: Scalar) -> Value:
    """Return 1/(1 + e^(−x)).

    At most 0.95 ULP, 2.2 in f64.
    """
    small = exp_of(k, -k.absolute(x), to)
    return k.select(x < 0.0, small, k.constant(x.type, 1.0)) / (small + 1.0)


def _softplus(k: Builder, x: Value, to: Scalar) -> Value:
    return k.maximum(k.constant(x.type, 0.0), x) + log1p_of(k, exp_of(k, -k.absolute(x), to), to)


@in_double
def softplus(k: Builder, x: Value, to: Scalar) -> Value:
    """Return log(1 + eˣ).

    At most 0.52 ULP, 1.7 in f64.
    """
    return _softplus(k, x, to)


@in_double
def log_sigmoid(k: Builder, x: Value, to: Scalar) -> Value:
    """Return log(1/(1 + e^(−x))) = −softplus(−x).

    At most 0.52 ULP, 1.7 in f64.
    """
    return -_softplus(k, -x, to)


def _inner_of_gelu(k: Builder, x: Value, to: Scalar) -> Pair:
    """Return 2·√(2/π)·(x + 0.044715·x³) as two doubles."""
    if to == f32:
        return x * (x * x * GELU_CUBIC[0] + GELU_LINEAR[0]), k.constant(x.type, 0.0)
    cubic = product_of_pairs(k, product_of(k, x, x), pair(k, x, GELU_CUBIC))
    linear, linear_low = pair(k, x, GELU_LINEAR)
    high, rest = sum_of_ordered(k.maximum(cubic[0], linear), k.minimum(cubic[0], linear))
    high, low = product_of_pairs(
        k, sum_of_ordered(high, rest + (cubic[1] + linear_low)), (x, k.constant(x.type, 0.0))
    )
    return high, low


@in_double
def gelu_tanh(k: Builder, x: Value, to: Scalar) -> Value:
    """Return x/2·(1 + tanh u) = x/(1 + e^(−2u)) with u = √(2/π)·(x + 0.044715·x³).

    At most 0.51 ULP, 2.2 in f64.
    """
    inner = clamp(k, x, -40.0, 40.0)
    high, low = _inner_of_gelu(k, inner, to)
    is_below = high < 0.0
    size, tail = k.absolute(high), k.select(is_below, low, -low)
    exponent = clamp(k, -size, _DEEP[to.name], 0.0)
    inside = size < -_DEEP[to.name]
    q, n = exp_parts(k, exponent, to, k.select(inside, tail, k.constant(x.type, 0.0)))
    small = scaled(k, q + 1.0, n, to)
    above = x / (small + 1.0)
    # Multiplied before it is scaled, for the scaled power may be subnormal.
    below = scaled(k, inner * (q + 1.0) / (small + 1.0), n, to)
    return k.select(is_below, below, above)
