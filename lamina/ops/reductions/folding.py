"""What every reduction is made of: axes that are folded into one value each."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from lamina.dtypes import DType
from lamina.kernels.reduction.folds import fold_of
from lamina.kernels.reduction.plan import neighbours
from lamina.kernels.scalars import STORED
from lamina.layout import Shape, normalize_axes
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.programmed import Programmed, Work
from lamina.ops.registry import Value

Axes = int | Iterable[int] | None


_RUN = 64


@dataclass(frozen=True, slots=True)
class Reduction(Programmed):
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

    def work(self, *inputs: Spec) -> Work | None:
        return None


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


def fold(name: str, axes: tuple[int, ...], x: Spec, numbers: tuple[float, ...] = ()) -> Work | None:
    """Return the native fold called `name` of inputs like `x`; None where there is none."""
    if x.dtype.name not in STORED:
        return None
    program = fold_of(name, x.dtype.name)
    return Work(program, neighbours(axes), numbers)


def total(x: NDArray, op: Reduction, *, keepdims: bool | None = None) -> NDArray:
    """Return Σ `x` over the axes of `op`, in the dtype of `x`.

    Terms are added in an order that follows from the places of the axes alone: the bits are the
    same for any layout of `x` and any size of the axes that stay. Along the last axis the order is
    numpy's, pairwise; along others runs of 64 terms are added, then the runs. So the error grows
    with log n.
    """
    axes = tuple(sorted(op.axes))
    keep = op.keepdims if keepdims is None else keepdims
    whole = x if x.flags.c_contiguous else np.array(x, order="C")
    if not axes or axes[-1] == x.ndim - 1 or x.size == 0 or x.dtype.kind not in "fc":
        return whole.sum(axis=axes, dtype=x.dtype, keepdims=keep)
    return _down(_columns(whole, axes)).reshape(reduced_shape(x.shape, axes, keep))


def _columns(x: NDArray, axes: tuple[int, ...]) -> NDArray:
    """Return `x` as (before, folded, behind), moved only where the axes are not neighbours."""
    first, last = axes[0], axes[-1]
    if last - first >= len(axes):
        x = np.ascontiguousarray(np.moveaxis(x, axes, range(len(axes))))
        first, last = 0, len(axes) - 1
    return x.reshape(prod(x.shape[:first]), prod(x.shape[first : last + 1]), -1)


def _down(x: NDArray) -> NDArray:
    """Return Σ over the middle axis of three."""
    before, n, behind = x.shape
    if behind == 1:
        # A column alone numpy would add in another order, as if it were a row.
        return _down(np.repeat(x, 2, axis=2))[:, :1]
    runs = n // _RUN
    if runs < 2:
        return np.add.reduce(x, axis=1)
    even = x[:, : runs * _RUN].reshape(before, runs, _RUN, behind)
    sums = _down(np.add.reduce(even, axis=2))
    return sums + np.add.reduce(x[:, runs * _RUN :], axis=1) if n % _RUN else sums
