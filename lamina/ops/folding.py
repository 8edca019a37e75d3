"""What every reduction is made of: axes that are folded into one value each."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from lamina.dtypes import DType
from lamina.layout import Shape, normalize_axes
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.registry import Op, Value

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


def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """Return `shape` with `axes` dropped, or kept with size 1."""
    if keepdims:
        return tuple(1 if a in axes else n for a, n in enumerate(shape))
    return tuple(n for a, n in enumerate(shape) if a not in axes)


def folded_size(shape: Shape, op: Reduction) -> int:
    """Return how many elements of `shape` are folded into each value."""
    return prod(shape[a] for a in op.axes)


def restore_axes(value: Value, op: Reduction, shape: Shape) -> Value:
    """Return what a reduction of `shape` gave with its folded axes back, of size 1."""
    return value if op.keepdims else value.reshape(reduced_shape(shape, op.axes, True))


def spread(value: Value, op: Reduction, shape: Shape) -> Value:
    """Return what a reduction of `shape` gave, stretched over the elements it came from."""
    return restore_axes(value, op, shape).expand(shape)


def axes_of(x: Value, axis: Axes) -> tuple[int, ...]:
    """Return `axis` as the axes of `x` it names, counted from the front."""
    return normalize_axes(axis, len(x.shape))


def total(x: NDArray, op: Reduction, *, keepdims: bool | None = None) -> NDArray:
    """Return Σ `x` over the axes of `op`, in the dtype of `x`."""
    keep = op.keepdims if keepdims is None else keepdims
    return np.sum(x, axis=op.axes, dtype=x.dtype, keepdims=keep)
