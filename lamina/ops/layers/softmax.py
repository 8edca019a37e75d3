"""Softmax and its logarithm along an axis."""

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from lamina.dtypes import DType
from lamina.errors import DTypeError, ShapeError
from lamina.kernels.softmax import gradient_program, log_softmax_program, softmax_program
from lamina.layout import normalize_axis
from lamina.memory import Spec
from lamina.memory.array import NDArray, scratch
from lamina.ops.elementwise.arithmetic import cast
from lamina.ops.halves import widened
from lamina.ops.programmed import Programmed, Work
from lamina.ops.reductions.sum_products import sum_products
from lamina.ops.registry import OUT, Op, Value, define


def _float_spec(op: Op, *inputs: Spec) -> Spec:
    first = inputs[0]
    if first.dtype.kind != "float":
        raise DTypeError(f"{op.name}: {first.dtype.name} given, expected a real float")
    if any(x != first for x in inputs):
        raise ShapeError(f"{op.name}: {inputs} given; expected one shape and dtype")
    return first


@define
@final
@dataclass(frozen=True, slots=True)
class Softmax(Programmed):
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

    def work(self, *inputs: Spec) -> Work | None:
        is_zero = self.empty == "zero"
        program = softmax_program(inputs[0].dtype.name, empty_is_zero=is_zero, is_scaled=False)
        return Work(program, ((self.axis,),), (), reads_back=program.inputs > 1)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (SoftmaxGradient(self.axis)(grad, out),)


@define
@final
@dataclass(frozen=True, slots=True)
class SoftmaxGradient(Programmed):
    """y · (g − Σ g·y) along the axis, of the gradient g and the softmax y."""

    name = "softmax_gradient"
    promotion = "common"
    axis: int

    def infer(self, *inputs: Spec) -> Spec:
        return _float_spec(self, *inputs)

    def ref(self, *inputs: NDArray) -> NDArray:
        grad, values = map(widened, inputs)
        return values * (grad - np.sum(grad * values, axis=self.axis, keepdims=True))

    def work(self, *inputs: Spec) -> Work | None:
        program = gradient_program(inputs[0].dtype.name, is_log=False)
        return Work(program, ((self.axis,),), ())

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        given, values = inputs

        def by_values() -> Value:
            apart = given - sum_products(given, values, (self.axis,))
            return grad * apart - given * sum_products(grad, values, (self.axis,))

        return (lambda: self(grad, values), by_values)


@define
@final
@dataclass(frozen=True, slots=True)
class LogSoftmax(Programmed):
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

    def work(self, *inputs: Spec) -> Work | None:
        return Work(log_softmax_program(inputs[0].dtype.name), ((self.axis,),), ())

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (LogSoftmaxGradient(self.axis)(grad, out),)


@define
@final
@dataclass(frozen=True, slots=True)
class LogSoftmaxGradient(Programmed):
    """g − e^y · Σ g along the axis, of the gradient g and the log softmax y."""

    name = "log_softmax_gradient"
    promotion = "common"
    axis: int

    def infer(self, *inputs: Spec) -> Spec:
        return _float_spec(self, *inputs)

    def ref(self, *inputs: NDArray) -> NDArray:
        grad, values = map(widened, inputs)
        return grad - np.exp(values) * grad.sum(axis=self.axis, keepdims=True)

    def work(self, *inputs: Spec) -> Work | None:
        program = gradient_program(inputs[0].dtype.name, is_log=True)
        return Work(program, ((self.axis,),), ())

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        given, values = inputs

        def by_grad() -> Value:
            return grad - sum_products(grad, values.exp(), (self.axis,))

        def by_values() -> Value:
            return -grad * values.exp() * given.sum(axis=self.axis, keepdims=True)

        return (by_grad, by_values)


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
