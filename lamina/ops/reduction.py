"""Reductions over axes: sum, and what is like it."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.layout import Shape, normalize_axes
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.arithmetic import cast
from lamina.ops.registry import Op, Value, define

Axes = int | Iterable[int] | None


@dataclass(frozen=True, slots=True)
class Reduction(Op):
    """An op that folds some axes into one value each; `axes` are counted from the front."""

    axes: tuple[int, ...]
    keepdims: bool = False

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        return Spec(reduced_shape(x.shape, self.axes, self.keepdims), self.result(x.dtype))

    def result(self, dtype: DType) -> DType:
        """Return the dtype that comes of inputs of `dtype`."""
        return dtype

    @abstractmethod
    def ref(self, *inputs: NDArray) -> Any: ...


@define
@final
@dataclass(frozen=True, slots=True)
class Sum(Reduction):
    """Σ over the axes, pairwise in numpy's order, in the dtype of the input."""

    name = "sum"
    saves = ()

    def ref(self, *inputs: NDArray) -> Any:
        (x,) = inputs
        return np.sum(x, axis=self.axes, dtype=x.dtype, keepdims=self.keepdims)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        return (restore_axes(grad, self, x.shape).expand(x.shape),)


def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """Return `shape` with `axes` dropped, or kept with size 1."""
    if keepdims:
        return tuple(1 if a in axes else n for a, n in enumerate(shape))
    return tuple(n for a, n in enumerate(shape) if a not in axes)


def restore_axes(value: Value, op: Reduction, shape: Shape) -> Value:
    """Return what a reduction of `shape` gave with its folded axes back, of size 1."""
    return value if op.keepdims else value.reshape(reduced_shape(shape, op.axes, True))


def axes_of(x: Value, axis: Axes) -> tuple[int, ...]:
    """Return `axis` as the axes of `x` it names, counted from the front."""
    return normalize_axes(axis, len(x.shape))


def sum(
    x: Value, axis: Axes = None, keepdims: bool = False, *, dtype: DType | None = None
) -> Value:
    """Return Σ `x` over `axis`. Integers and bools add up in (u)int64, floats in their own dtype."""
    from_dtype = x.dtype
    total = dtypes.uint64 if from_dtype.kind == "unsigned" else dtypes.int64
    wanted = dtype or (from_dtype if from_dtype.kind in ("float", "complex") else total)
    return Sum(axes_of(x, axis), keepdims)(cast(x, wanted))
