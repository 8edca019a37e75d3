"""Indexing: basic (a view) and, in `gather`, by arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, final

import numpy as np

from lamina import layout as lay
from lamina.errors import IndexingError
from lamina.layout import Layout, Shape
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.registry import Value, View, define
from lamina.ops.strided import add_through


class Step(NamedTuple):
    """What a basic index does with one axis of the result or the source."""

    kind: Literal["slice", "pick", "new"]
    start: int = 0
    step: int = 1
    length: int = 1


@define
@final
@dataclass(frozen=True, slots=True)
class BasicIndex(View):
    """Slices, single places and new axes: always a view."""

    name = "index"
    steps: tuple[Step, ...]

    def infer(self, *inputs: Spec) -> Spec:
        return Spec(self.relayout(lay.contiguous(inputs[0].shape)).shape, inputs[0].dtype)

    def relayout(self, layout: Layout) -> Layout:
        axis = 0
        for kind, start, step, count in self.steps:
            match kind:
                case "slice":
                    layout = lay.cut(layout, axis, start, step, count)
                    axis += 1
                case "pick":
                    layout = lay.select(layout, axis, start)
                case "new":
                    layout = lay.insert_axis(layout, axis)
                    axis += 1
        return layout

    def ref(self, *inputs: NDArray) -> NDArray:
        return inputs[0][tuple(_to_numpy(s) for s in self.steps)]

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (add_through(self, grad, inputs[0].shape),)


def _to_numpy(step: Step) -> slice | int | None:
    match step.kind:
        case "slice":
            stop = step.start + step.step * step.length
            return (
                slice(step.start, stop if stop >= 0 else None, step.step)
                if step.length
                else slice(0)
            )
        case "pick":
            return step.start
        case "new":
            return None


def spell_out(index: Any, ndim: int) -> tuple[Any, ...]:
    """Return an index as a tuple with an entry for each axis: the ellipsis, and what was left out, filled."""
    entries = index if isinstance(index, tuple) else (index,)
    used = sum(_axes_used(e) for e in entries)
    dots = [i for i, e in enumerate(entries) if e is Ellipsis]
    if len(dots) > 1:
        raise IndexingError(f"an index may hold one ellipsis, {len(dots)} given")
    if used > ndim:
        raise IndexingError(f"{used} indices were given for {ndim} axes; leave some out")
    fill = (slice(None),) * (ndim - used)
    place = dots[0] if dots else len(entries)
    return (*entries[:place], *fill, *entries[place + 1 :])


def _axes_used(entry: Any) -> int:
    if entry is None or entry is Ellipsis:
        return 0
    kind = getattr(entry, "dtype", None)
    return len(entry.shape) if str(kind) in ("lamina.bool", "bool") and len(entry.shape) else 1


def basic_steps(index: Any, shape: Shape) -> tuple[Step, ...] | None:
    """Return the steps of a basic index of a tensor of `shape`; None where it needs arrays."""
    steps: list[Step] = []
    axis = 0
    for entry in spell_out(index, len(shape)):
        if entry is None:
            steps.append(Step("new"))
            continue
        if isinstance(entry, slice):
            start, stop, step = entry.indices(shape[axis])
            steps.append(Step("slice", start, step, len(range(start, stop, step))))
        elif isinstance(entry, int | np.integer) and not isinstance(entry, bool):
            steps.append(Step("pick", check_place(int(entry), axis, shape)))
        else:
            return None
        axis += 1
    return tuple(steps)


def check_place(place: int, axis: int, shape: Sequence[int]) -> int:
    """Return `place` counted from the front of `axis`; IndexingError where there is none."""
    size = shape[axis]
    if not -size <= place < size:
        raise IndexingError(f"index {place} is outside axis {axis}, of size {size}")
    return place % size


def array_index(x: Value, index: Any) -> Value:
    """Return the elements of `x` that arrays of places, or of truth values, choose; a copy."""
    raise NotImplementedError


def index_put(x: Value, index: Any, values: Value, *, accumulate: bool = False) -> Value:
    """Return a copy of `x` with `values` at `index`, replacing what was there or added to it."""
    raise NotImplementedError
