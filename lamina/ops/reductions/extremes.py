"""Reductions that choose: the greatest and least element, where they are, any and all."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.errors import DTypeError, ShapeError
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.elementwise.arithmetic import cast
from lamina.ops.programmed import Work
from lamina.ops.reductions.folding import Reduction, fold, folded_size, restore_axes
from lamina.ops.registry import OUT, Value, define


@dataclass(frozen=True, slots=True)
class _Choice(Reduction):
    """A reduction that nothing can be chosen by from no elements, or without an order."""

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if x.dtype.is_complex:
            raise DTypeError(f"{self.name}: {x.dtype.name} given, expected numbers in an order")
        out = Reduction.infer(self, x)
        if folded_size(x.shape, self) == 0 and 0 not in out.shape:
            raise ShapeError(
                f"{self.name}: {x.shape} has no elements along axes {self.axes} to choose from"
            )
        return out

    @abstractmethod
    def ref(self, *inputs: NDArray) -> Any: ...


def _shared(op: Reduction, grad: Value, out: Value, x: Value) -> Value:
    """Return `grad` divided evenly among the elements equal to the extreme."""
    is_extreme = cast(x == restore_axes(out, op, x.shape), grad.dtype)
    count = is_extreme.sum(op.axes, True)
    return is_extreme * (restore_axes(grad, op, x.shape) / count)


@define
@final
@dataclass(frozen=True, slots=True)
class Max(_Choice):
    """The greatest element; NaN where there is one. Equals share the gradient."""

    name = "max"
    saves = (0, OUT)

    def ref(self, *inputs: NDArray) -> Any:
        return np.max(inputs[0], axis=self.axes, keepdims=self.keepdims)

    def work(self, *inputs: Spec) -> Work | None:
        return fold("max", self.axes, inputs[0])

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (_shared(self, grad, out, *inputs),)


@define
@final
@dataclass(frozen=True, slots=True)
class Min(_Choice):
    """The least element; NaN where there is one. Equals share the gradient."""

    name = "min"
    saves = (0, OUT)

    def ref(self, *inputs: NDArray) -> Any:
        return np.min(inputs[0], axis=self.axes, keepdims=self.keepdims)

    def work(self, *inputs: Spec) -> Work | None:
        return fold("min", self.axes, inputs[0])

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (_shared(self, grad, out, *inputs),)


@define
@final
@dataclass(frozen=True, slots=True)
class ArgMax(_Choice):
    """The place along one axis of the greatest element: the first of equals; NaN is greatest."""

    name = "argmax"
    differentiable = False

    def result(self, dtype: DType) -> DType:
        return dtypes.int64

    def ref(self, *inputs: NDArray) -> Any:
        return np.argmax(inputs[0], axis=self.axes[0], keepdims=self.keepdims)


@define
@final
@dataclass(frozen=True, slots=True)
class ArgMin(_Choice):
    """The place along one axis of the least element: the first of equals; NaN is least."""

    name = "argmin"
    differentiable = False

    def result(self, dtype: DType) -> DType:
        return dtypes.int64

    def ref(self, *inputs: NDArray) -> Any:
        return np.argmin(inputs[0], axis=self.axes[0], keepdims=self.keepdims)


@define
@final
@dataclass(frozen=True, slots=True)
class Some(Reduction):
    """Whether some element is not zero."""

    name = "any"
    differentiable = False

    def result(self, dtype: DType) -> DType:
        return dtypes.bool_

    def ref(self, *inputs: NDArray) -> Any:
        return np.any(inputs[0], axis=self.axes, keepdims=self.keepdims)

    def work(self, *inputs: Spec) -> Work | None:
        return fold("any", self.axes, inputs[0])


@define
@final
@dataclass(frozen=True, slots=True)
class Every(Reduction):
    """Whether no element is zero."""

    name = "all"
    differentiable = False

    def result(self, dtype: DType) -> DType:
        return dtypes.bool_

    def ref(self, *inputs: NDArray) -> Any:
        return np.all(inputs[0], axis=self.axes, keepdims=self.keepdims)

    def work(self, *inputs: Spec) -> Work | None:
        return fold("all", self.axes, inputs[0])
