"""Elementary functions, element by element."""

from collections.abc import Callable
from math import log as log_of
from math import pi
from typing import Any

import ml_dtypes
import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.errors import ArgumentError
from lamina.kernels.expression import Expression, apply
from lamina.memory.array import NDArray, scratch, scratch_copy
from lamina.ops.blocks import in_blocks
from lamina.ops.elementwise import error_function, exceptional
from lamina.ops.elementwise.arithmetic import isinf, sign, trunc, where
from lamina.ops.halves import widened
from lamina.ops.pointwise import FLOATING, NUMERIC, REAL, Elementwise, unbroadcast
from lamina.ops.registry import OUT, Value, define

_LOG_2, _LOG_10 = log_of(2), log_of(10)
_SLOPE_OF_ERF = 2 / pi**0.5


def _of_out(name: str, fn: Callable[..., Any], slope: Callable[[Value], Value]) -> Elementwise:
    """Define a function whose derivative is written with its value."""
    return define(
        Elementwise(
            name,
            fn,
            lambda g, out, x: (g * slope(out),),
            kinds=FLOATING,
            saves=(OUT,),
            scalar=name,
        )
    )


def _of_in(name: str, fn: Callable[..., Any], slope: Callable[[Value], Value]) -> Elementwise:
    """Define a function whose derivative is written with its argument."""
    return define(
        Elementwise(name, fn, lambda g, out, x: (g * slope(x),), kinds=FLOATING, scalar=name)
    )


def _flat(name: str, fn: Callable[..., Any], kinds: frozenset[dtypes.Kind]) -> Elementwise:
    """Define a function that is constant between its steps."""
    return define(
        Elementwise(
            name,
            fn,
            lambda g, out, x: (g * 0,),
            kinds=kinds,
            promotion="common",
            saves=(),
            scalar=name,
        )
    )


def _one_by_root(x: NDArray) -> NDArray:
    wide = widened(x)
    out = np.sqrt(wide, out=scratch(wide.shape, wide.dtype))
    return np.divide(1, out, out=out)


exp = define(
    Elementwise(
        "exp", np.exp, lambda g, out, x: (g * out,), kinds=FLOATING, saves=(OUT,), scalar="exp"
    )
)
exp2 = _of_out("exp2", np.exp2, lambda out: out * _LOG_2)
expm1 = _of_out("expm1", exceptional.expm1, lambda out: out + 1)
log = define(Elementwise("log", np.log, lambda g, out, x: (g / x,), kinds=FLOATING, scalar="log"))
log1p = define(
    Elementwise("log1p", np.log1p, lambda g, out, x: (g / (x + 1),), kinds=FLOATING, scalar="log1p")
)
log2 = _of_in("log2", np.log2, lambda x: 1 / (x * _LOG_2))
log10 = _of_in("log10", np.log10, lambda x: 1 / (x * _LOG_10))
sqrt = _of_out("sqrt", np.sqrt, lambda out: 0.5 / out)
rsqrt = _of_out("rsqrt", _one_by_root, lambda out: out * out * out * -0.5)
reciprocal = _of_out("reciprocal", np.reciprocal, lambda out: -(out * out))
square = define(
    Elementwise(
        "square",
        np.square,
        lambda g, out, x: (g * (x * 2),),
        kinds=NUMERIC,
        promotion="common",
        scalar="square",
    )
)

sin = _of_in("sin", np.sin, lambda x: x.cos())
cos = _of_in("cos", np.cos, lambda x: -x.sin())
tan = _of_out("tan", np.tan, lambda out: out * out + 1)
asin = _of_in("asin", np.arcsin, lambda x: rsqrt((1 - x) * (1 + x)))
acos = _of_in("acos", np.arccos, lambda x: -rsqrt((1 - x) * (1 + x)))
atan = _of_in("atan", np.arctan, lambda x: 1 / (x * x + 1))
sinh = _of_in("sinh", np.sinh, lambda x: x.cosh())
cosh = _of_in("cosh", np.cosh, lambda x: x.sinh())
tanh = _of_out("tanh", exceptional.tanh, lambda out: 1 - out * out)
asinh = _of_in("asinh", np.arcsinh, lambda x: rsqrt(x * x + 1))
acosh = _of_in("acosh", np.arccosh, lambda x: rsqrt(x - 1) * rsqrt(x + 1))
atanh = _of_in("atanh", np.arctanh, lambda x: 1 / ((1 - x) * (1 + x)))


@in_blocks
def _sigmoid(x: NDArray) -> NDArray:
    # Precise near 0 as well: there e^−x is great, and its own precision is that of 1 + e^−x.
    out = np.negative(x)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


sigmoid = define(
    Elementwise(
        "sigmoid",
        _sigmoid,
        lambda g, out, x: (g * (out * (1 - out)),),
        saves=(OUT,),
        scalar="sigmoid",
    )
)
erf = define(
    Elementwise(
        "erf",
        error_function.erf,
        lambda g, out, x: (g * (exp(-(x * x)) * _SLOPE_OF_ERF),),
        scalar="erf",
    )
)
erfc = define(
    Elementwise(
        "erfc",
        error_function.erfc,
        lambda g, out, x: (g * (exp(-(x * x)) * -_SLOPE_OF_ERF),),
        scalar="erfc",
    )
)
erfinv = define(
    Elementwise(
        "erfinv",
        error_function.erfinv,
        lambda g, out, x: (g * (exp(out * out) / _SLOPE_OF_ERF),),
        saves=(OUT,),
    )
)


def _rounded(x: NDArray) -> Any:
    return scratch_copy(x) if x.dtype.kind in "iu" else np.rint(x, out=scratch(x.shape, x.dtype))


floor = _flat("floor", np.floor, REAL)
ceil = _flat("ceil", np.ceil, REAL)
round = _flat("round", _rounded, NUMERIC)


def _not_zero(x: Value) -> Value:
    """Return `x` with 1 for 0: a divisor that leaves 0/0 at 0."""
    return where(x == 0, 1.0, x)


def _grad_of_atan2(g: Value, out: Value, y: Value, x: Value) -> tuple[Any, ...]:
    def by_square(z: Value) -> Value:
        return g * z / _not_zero(x * x + y * y)

    return (lambda: unbroadcast(by_square(x), y), lambda: unbroadcast(-by_square(y), x))


def _grad_of_hypot(g: Value, out: Value, a: Value, b: Value) -> tuple[Any, ...]:
    return (
        lambda: unbroadcast(g * a / _not_zero(out), a),
        lambda: unbroadcast(g * b / _not_zero(out), b),
    )


def _grad_of_logaddexp(g: Value, out: Value, a: Value, b: Value) -> tuple[Any, ...]:
    # Equal infinities share evenly; their difference is NaN.
    gap = where(isinf(a) & (a == b), 0.0, a - b)
    return (lambda: unbroadcast(g * sigmoid(gap), a), lambda: unbroadcast(g * sigmoid(-gap), b))


def _grad_of_copysign(g: Value, out: Value, a: Value, b: Value) -> tuple[Any, ...]:
    return (lambda: unbroadcast(g * (sign(a) * sign(out)), a), lambda: unbroadcast(g * 0, b))


def _log_of_sum(a: Expression, b: Expression) -> Expression:
    """log(eᵃ + eᵇ) = max + log(1 + e^−|a − b|); of equal infinities their difference is NaN."""
    gap = apply("absolute", a - b)
    apart = apply("maximum", a, b) + apply("log1p", apply("exp", -gap))
    return apply("where", apply("equal", a, b), a + _LOG_2, apart)


atan2 = define(Elementwise("atan2", np.arctan2, _grad_of_atan2, scalar="atan2"))
hypot = define(Elementwise("hypot", np.hypot, _grad_of_hypot, saves=(0, 1, OUT)))
logaddexp = define(Elementwise("logaddexp", np.logaddexp, _grad_of_logaddexp, scalar=_log_of_sum))
copysign = define(
    Elementwise("copysign", np.copysign, _grad_of_copysign, saves=(0, OUT), scalar="copysign")
)
nextafter = define(Elementwise("nextafter", np.nextafter))


def _grad_of_clip(g: Value, out: Value, x: Value, low: Value, high: Value) -> tuple[Any, ...]:
    return (
        lambda: unbroadcast(where((x >= low) & (x <= high), g, 0.0), x),
        lambda: unbroadcast(where((x < low) & (low <= high), g, 0.0), low),
        lambda: unbroadcast(where((x > high) | (low > high), g, 0.0), high),
    )


def _held(x: NDArray, low: NDArray, high: NDArray) -> NDArray:
    out = scratch(np.broadcast_shapes(x.shape, low.shape, high.shape), x.dtype)
    return np.clip(x, low, high, out=out)


_clip = define(
    Elementwise(
        "clip",
        _held,
        _grad_of_clip,
        kinds=REAL,
        promotion="common",
        scalar=lambda x, low, high: apply("minimum", apply("maximum", x, low), high),
    )
)

_real = define(
    Elementwise(
        "real", lambda x: scratch_copy(x.real), kinds=frozenset({"complex"}), returns="real"
    )
)
_imag = define(
    Elementwise(
        "imag", lambda x: scratch_copy(x.imag), kinds=frozenset({"complex"}), returns="real"
    )
)
_conj = define(Elementwise("conj", np.conjugate, kinds=frozenset({"complex"})))


def clip(x: Value, min: Any = None, max: Any = None) -> Value:
    """Return `x` held between `min` and `max`, numbers or tensors; None leaves that end open.

    Where min > max the result is max. An element on a bound passes its gradient on.

    >>> import lamina
    >>> clip(lamina.tensor([-1.0, 0.5, 3.0]), 0, 1)
    Tensor([0. , 0.5, 1. ])
    """
    if min is None and max is None:
        raise ArgumentError("clip: neither min nor max was given; give at least one of them")
    low, high = _ends_of(x.dtype)
    return _clip(x, low if min is None else min, high if max is None else max)


def _ends_of(dtype: DType) -> tuple[Any, Any]:
    if not dtype.is_integer:
        return float("-inf"), float("inf")
    info = np.iinfo(dtype.numpy)
    return int(info.min), int(info.max)


def real(x: Value) -> Value:
    """Return the real part of `x`; a real tensor as it is."""
    return _real(x) if x.dtype.is_complex else x


def imag(x: Value) -> Value:
    """Return the imaginary part of `x`: zeros where `x` is real."""
    return _imag(x) if x.dtype.is_complex else x.new_zeros(x.shape)


def conj(x: Value) -> Value:
    """Return the complex conjugate of `x`; a real tensor as it is."""
    return _conj(x) if x.dtype.is_complex else x


def frac(x: Value) -> Value:
    """Return `x` without its whole part, with the sign of `x`."""
    return x - trunc(x)


def xlogy(x: Value, y: Value) -> Value:
    """Return x·log y, and 0 where x = 0, whatever y is."""
    return where(x == 0, 0.0, x * log(where(x == 0, 1.0, y)))


def lerp(start: Value, end: Value, weight: Any) -> Value:
    """Return start + weight·(end − start)."""
    return start + weight * (end - start)


def nan_to_num(
    x: Value, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Value:
    """Return `x` with NaN, ∞ and −∞ replaced; the infinities by the greatest finite numbers."""
    if not x.dtype.is_floating_point:
        return x
    info: Any = (ml_dtypes if x.dtype is dtypes.bfloat16 else np).finfo(x.dtype.numpy)
    greatest = float(info.max)
    finite = where(x != x, nan, x)
    finite = where(x == float("inf"), greatest if posinf is None else posinf, finite)
    return where(x == float("-inf"), -greatest if neginf is None else neginf, finite)
