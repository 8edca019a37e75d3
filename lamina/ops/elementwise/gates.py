"""Activations of the form x·gate(x): SiLU, both GELUs, Mish.

The slope of each is an op as well, so that a backward pass runs two ops and not ten; the slope's
own derivative is written out.
"""

from collections.abc import Callable
from math import inf, pi, sqrt
from typing import Any

import numpy as np

from lamina.kernels.expression import Expression, apply
from lamina.memory.array import NDArray
from lamina.ops.blocks import Formula, in_blocks
from lamina.ops.elementwise import error_function
from lamina.ops.elementwise.choosing import choose
from lamina.ops.elementwise.functions import exp, logaddexp, sigmoid, tanh
from lamina.ops.pointwise import Elementwise
from lamina.ops.registry import Value, define

_SQRT_HALF = sqrt(0.5)
_NORMAL_PEAK = 1 / sqrt(2 * pi)
_TANH_SCALE = sqrt(2 / pi)
_TANH_CUBIC = 0.044715


Scalar = Callable[[Expression], Expression]


def _gated(
    name: str, formula: Formula, slope: Formula, bend: Any, scalar: Scalar, scalar_slope: Scalar
) -> Elementwise:
    """Define x·gate(x), whose derivative is `slope` and whose second derivative is `bend`."""
    slope_op = define(
        Elementwise(
            f"{name}_slope",
            in_blocks(slope),
            lambda g, out, x: (g * bend(x),),
            scalar=scalar_slope,
        )
    )
    return define(
        Elementwise(name, in_blocks(formula), lambda g, out, x: (g * slope_op(x),), scalar=scalar)
    )


def _above_infinity(x: NDArray) -> NDArray:
    """Return `x` with the least finite number for −∞: a gate of 0 times it is 0, not NaN."""
    out: NDArray = np.maximum(x, np.finfo(x.dtype).min)
    return out


def _finite(x: NDArray) -> NDArray:
    """Return `x` with the greatest finite numbers for ±∞."""
    out: NDArray = np.minimum(_above_infinity(x), np.finfo(x.dtype).max)
    return out


def _logistic(x: NDArray) -> NDArray:
    small = np.exp(-np.abs(x))
    return choose(x < 0, small, np.ones((), x.dtype)) / (1 + small)


def _silu(x: NDArray) -> NDArray:
    # e^−x is ∞ for very negative x, and x/∞ is the 0 that is meant.
    out = np.exp(-x)
    out += 1
    return np.divide(_above_infinity(x), out, out=out)


def _silu_slope(x: NDArray) -> NDArray:
    gate = _logistic(x)
    return gate * (1 + _finite(x) * _logistic(-x))


def _silu_bend(x: Value) -> Value:
    gate = sigmoid(x)
    return gate * sigmoid(-x) * (2 + x * (1 - 2 * gate))


def _normal_cdf(x: NDArray) -> NDArray:
    """Return the share of the standard normal distribution that lies below `x`."""
    out = error_function.erf_block(x * x.dtype.type(_SQRT_HALF))
    out += 1
    out *= x.dtype.type(0.5)
    return out


def _gelu(x: NDArray) -> NDArray:
    return _above_infinity(x) * _normal_cdf(x)


def _gelu_slope(x: NDArray) -> NDArray:
    held = _finite(x)
    density = np.exp(held * held * x.dtype.type(-0.5))
    return _normal_cdf(x) + held * density * x.dtype.type(_NORMAL_PEAK)


def _gelu_bend(x: Value) -> Value:
    return (2 - x * x) * exp(x * x * -0.5) * _NORMAL_PEAK


def _tanh_argument(x: NDArray) -> NDArray:
    scale, cubic = x.dtype.type(_TANH_SCALE), x.dtype.type(_TANH_SCALE * _TANH_CUBIC)
    return x * (scale + cubic * x * x)


def _gelu_tanh(x: NDArray) -> NDArray:
    return (_above_infinity(x) * x.dtype.type(0.5)) * (1 + np.tanh(_tanh_argument(x)))


def _gelu_tanh_slope(x: NDArray) -> NDArray:
    # Beyond 20 the slope is 0 or 1 to the last bit, and squares of what is greater overflow.
    held = np.minimum(np.maximum(x, -20), 20)
    gate = np.tanh(_tanh_argument(held))
    steepness = _TANH_SCALE * (1 + 3 * _TANH_CUBIC * held * held)
    return (1 + gate + held * (1 - gate * gate) * steepness) * x.dtype.type(0.5)


def _gelu_tanh_bend(x: Value) -> Value:
    gate = tanh(x * (_TANH_SCALE + _TANH_SCALE * _TANH_CUBIC * x * x))
    steepness = _TANH_SCALE * (1 + 3 * _TANH_CUBIC * x * x)
    curve = 6 * _TANH_CUBIC * _TANH_SCALE * x
    return (1 - gate * gate) * (steepness + x * 0.5 * (curve - 2 * gate * steepness * steepness))


def _mish_gate(x: NDArray) -> NDArray:
    """Return tanh(log(1 + eˣ)) = n/(n + 2), n = eˣ·(eˣ + 2); 1 to the last bit from 20 on."""
    grown = np.exp(np.minimum(x, 20))
    grown = grown * (grown + 2)
    return grown / (grown + 2)


def _mish(x: NDArray) -> NDArray:
    return _above_infinity(x) * _mish_gate(x)


def _mish_slope(x: NDArray) -> NDArray:
    gate = _mish_gate(x)
    return gate + _finite(x) * ((1 - gate * gate) * _logistic(x))


def _mish_bend(x: Value) -> Value:
    rise = sigmoid(x)
    gate = tanh(logaddexp(x, 0.0))
    flank = (1 - gate * gate) * rise
    return flank * (2 + x * (1 - rise - 2 * gate * rise))


def _times(x: Expression, gate: Expression) -> Expression:
    """x·gate; where x is −∞ the gate is 0, and so is the product, not NaN."""
    return apply("where", apply("equal", x, -inf), 0.0, x * gate)


def _scalar_silu(x: Expression) -> Expression:
    return _times(x, apply("sigmoid", x))


def _scalar_silu_slope(x: Expression) -> Expression:
    return apply("sigmoid", x) * (1 + apply("finite", x) * apply("sigmoid", -x))


def _scalar_gelu_slope(x: Expression) -> Expression:
    return apply("normal_cdf", x) + apply("finite", x) * apply("normal_pdf", x)


def _scalar_gelu_tanh_slope(x: Expression) -> Expression:
    held = apply("minimum", 20.0, apply("maximum", -20.0, x))
    gate = apply("tanh", held * (_TANH_SCALE + _TANH_SCALE * _TANH_CUBIC * held * held))
    steepness = _TANH_SCALE * (1 + 3 * _TANH_CUBIC * held * held)
    return (1 + gate + held * (1 - gate * gate) * steepness) * 0.5


def _scalar_mish_gate(x: Expression) -> Expression:
    grown = apply("exp", apply("minimum", 20.0, x))
    grown = grown * (grown + 2)
    return grown / (grown + 2)


def _scalar_mish(x: Expression) -> Expression:
    return _times(x, _scalar_mish_gate(x))


def _scalar_mish_slope(x: Expression) -> Expression:
    gate = _scalar_mish_gate(x)
    return gate + apply("finite", x) * ((1 - gate * gate) * apply("sigmoid", x))


silu = _gated("silu", _silu, _silu_slope, _silu_bend, _scalar_silu, _scalar_silu_slope)
gelu_erf = _gated(
    "gelu", _gelu, _gelu_slope, _gelu_bend, lambda x: apply("gelu", x), _scalar_gelu_slope
)
gelu_tanh = _gated(
    "gelu_tanh",
    _gelu_tanh,
    _gelu_tanh_slope,
    _gelu_tanh_bend,
    lambda x: apply("gelu_tanh", x),
    _scalar_gelu_tanh_slope,
)
mish = _gated("mish", _mish, _mish_slope, _mish_bend, _scalar_mish, _scalar_mish_slope)
