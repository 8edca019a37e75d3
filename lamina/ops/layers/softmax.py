"""Softmax and its logarithm along an axis."""

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from lamina.dtypes import DType
from lamina.errors import DTypeError
from lamina.layout import normalize_axis
from lamina.memory import Spec
from lamina.memory.array import NDArray, scratch
from lamina.ops.elementwise.arithmetic import cast
from lamina.ops.halves import widened
from lamina.ops.reductions.sum_products import sum_products
from lamina.ops.registry import OUT, Op, Value, define


def _float_spec(op: Op, x: Spec) -> Spec:
    if x.dtype.kind != "float":
        raise DTypeError(f"{op.name}: {x.dtype.name} given, expected a real float")
    return x


@define
@final
@dataclass(frozen=True, slots=True)
class Softmax(Op):
    """e^(x − max) / Σ e^(x − max) along the axis.

    `empty` says what a row of −∞ alone gives: NaN, as the formula does, or zeros.
    """

    name = "softmax"
    promotion = "float"
    saves = (OUT,)
    axis: int
    empty: Literal["nan", "zero"] = "nan"

    def infer(self, *inputs: Spec) -> Spec:
        return _float_spec(self, inputs[0])

    def ref(self, *inputs: NDArray) -> NDArray:
        (x,) = inputs
        if x.size == 0:
            return x
        wide = widened(x)
        greatest = wide.max(axis=self.axis, keepdims=True)
        if self.empty == "zero":
            greatest[np.isneginf(greatest)] = 0
        out = np.subtract(wide, greatest, out=scratch(wide.shape, wide.dtype))
        np.exp(out, out=out)
        total = out.sum(axis=self.axis, keepdims=True)
        if self.empty == "zero":
            total[total == 0] = 1
        out /= total
        return out

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (out * (grad - sum_products(grad, out, (self.axis,))),)


@define
@final
@dataclass(frozen=True, slots=True)
class LogSoftmax(Op):
    """x − max − log Σ e^(x − max) along the axis."""

    name = "log_softmax"
    promotion = "float"
    saves = (OUT,)
    axis: int

    def infer(self, *inputs: Spec) -> Spec:
        return _float_spec(self, inputs[0])

    def ref(self, *inputs: NDArray) -> NDArray:
        (x,) = inputs
        if x.size == 0:
            return x
        wide = widened(x)
        greatest = wide.max(axis=self.axis, keepdims=True)
        out = np.subtract(wide, greatest, out=scratch(wide.shape, wide.dtype))
        out -= np.log(np.exp(out).sum(axis=self.axis, keepdims=True))
        return out

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (grad - out.exp() * grad.sum(axis=self.axis, keepdims=True),)


def softmax(x: Value, axis: int = -1, *, dtype: DType | None = None) -> Value:
    """Return e^`x` / Σ e^`x` along `axis`, computed so that it does not overflow.

    A row of −∞ alone gives NaN. With `dtype`, `x` is converted first.

    >>> import lamina
    >>> softmax(lamina.tensor([0.0, 0.0, float("-inf")]))
    Tensor([0.5, 0.5, 0. ])
    """
    given = x if dtype is None else cast(x, dtype)
    return _along(Softmax, given, axis)


def log_softmax(x: Value, axis: int = -1, *, dtype: DType | None = None) -> Value:
    """Return log softmax(`x`) along `axis`, exact where the softmax itself rounds to 0.

    >>> import lamina
    >>> log_softmax(lamina.tensor([0.0, 1000.0]))
    Tensor([-1000.,     0.])
    """
    given = x if dtype is None else cast(x, dtype)
    return _along(LogSoftmax, given, axis)


def _along(op: type[Softmax] | type[LogSoftmax], x: Value, axis: int) -> Value:
    if not x.shape:
        return op(0)(x.reshape((1,))).reshape(())
    return op(normalize_axis(axis, len(x.shape)))(x)
