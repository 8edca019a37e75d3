"""Ops that copy, because their result cannot be a view: clone, join."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina.errors import ShapeError
from lamina.layout import normalize_axis
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.pointwise import ANY, Elementwise
from lamina.ops.registry import Op, Value, define

copy = define(
    Elementwise(
        "copy",
        lambda x: np.array(x, order="C"),
        lambda g, out, x: (g,),
        kinds=ANY,
        promotion="none",
        saves=(),
    )
)


@define
@final
@dataclass(frozen=True, slots=True)
class Concat(Op):
    """Tensors joined end to end along an axis."""

    name = "concat"
    promotion = "common"
    saves = ()
    axis: int

    def infer(self, *inputs: Spec) -> Spec:
        first = inputs[0].shape
        for place, x in enumerate(inputs):
            same = x.shape[: self.axis] + x.shape[self.axis + 1 :]
            if len(x.shape) != len(first) or same != first[: self.axis] + first[self.axis + 1 :]:
                raise ShapeError(
                    f"concat: tensor {place} of shape {x.shape} joined to {first} along axis "
                    f"{self.axis}; expected equal sizes along every other axis"
                )
        total = sum(x.shape[self.axis] for x in inputs)
        return Spec((*first[: self.axis], total, *first[self.axis + 1 :]), inputs[0].dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        return np.concatenate(inputs, axis=self.axis)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        parts, start = [], 0
        for x in inputs:
            stop = start + x.shape[self.axis]
            parts.append(grad[(*(slice(None),) * self.axis, slice(start, stop))])
            start = stop
        return tuple(parts)


def concat(tensors: Any, axis: int | None = 0) -> Value:
    """Return `tensors` joined end to end along `axis`; None flattens them first."""
    values = tuple(tensors)
    if not values:
        raise ShapeError("concat: no tensors given; give at least one")
    if axis is None:
        values, axis = tuple(v.reshape((-1,)) for v in values), 0
    return Concat(normalize_axis(axis, len(values[0].shape)))(*values)


def stack(tensors: Any, axis: int = 0) -> Value:
    """Return `tensors`, all of one shape, joined along a new axis at place `axis`."""
    values = tuple(tensors)
    if not values:
        raise ShapeError("stack: no tensors given; give at least one")
    shapes = {tuple(v.shape) for v in values}
    if len(shapes) > 1:
        raise ShapeError(f"stack: shapes {sorted(shapes)} given; expected one shape for all")
    place = normalize_axis(axis, len(values[0].shape) + 1)
    index = (*(slice(None),) * place, None)
    return Concat(place)(*(v[index] for v in values))
