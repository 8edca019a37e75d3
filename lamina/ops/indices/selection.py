"""Index expressions, as in `x[1:, None, [0, 2]]`: what each entry does with which axis.

Without arrays an expression is basic: a view. With arrays it is read as a view first, which takes
whole the axes that arrays choose along, and a choice of places along those axes second.
"""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, final

import numpy as np

from lamina import dtypes
from lamina import layout as lay
from lamina.errors import DTypeError, IndexingError
from lamina.layout import Layout, Shape
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.indices import places as at
from lamina.ops.indices.gathering import Argwhere, common_shape, is_mask
from lamina.ops.registry import Operand, Value, View, define
from lamina.ops.shapes.strided import add_through


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


def basic_steps(index: Any, shape: Shape) -> tuple[Step, ...] | None:
    """Return the steps of a basic index of a tensor of `shape`; None where it needs arrays."""
    entries = index if isinstance(index, tuple) else (index,)
    if not all(map(_is_basic, entries)):
        if any(isinstance(e, _ARRAYS) for e in entries):
            return None
        entries = tuple(map(as_entry, entries))
    steps: list[Step] = []
    axis = 0
    for entry in _spelled_out(entries, len(shape)):
        if entry is None:
            steps.append(Step("new"))
            continue
        if isinstance(entry, slice):
            steps.append(_slice_step(entry, shape[axis]))
        else:
            steps.append(Step("pick", check_place(int(entry), axis, shape)))
        axis += 1
    return tuple(steps)


# What chooses several places, or a truth value.
_ARRAYS = (Operand, np.ndarray, list, tuple, range, bool, np.bool_)


def _is_basic(entry: Any) -> bool:
    if isinstance(entry, slice) or entry is None or entry is Ellipsis:
        return True
    return isinstance(entry, int | np.integer) and not isinstance(entry, bool)


def _slice_step(entry: slice, size: int) -> Step:
    start, stop, step = entry.indices(size)
    return Step("slice", start, step, len(range(start, stop, step)))


def check_place(place: int, axis: int, shape: Sequence[int]) -> int:
    """Return `place` counted from the front of `axis`; IndexingError where there is none."""
    size = shape[axis]
    if not -size <= place < size:
        raise IndexingError(f"index {place} is outside axis {axis}, of size {size}")
    return place % size


def _spelled_out(entries: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """Return an entry for each axis: the ellipsis, and what was left out, filled with slices."""
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
    return len(entry.shape) if _is_array(entry) and is_mask(entry) else 1


def _is_array(entry: Any) -> bool:
    return isinstance(entry, Operand | np.ndarray)


@final
@dataclass(slots=True)
class Choice:
    """An index with arrays: a basic index, then places along some axes of what it gives.

    `shape` is that of the view with the axes under each mask made one; the places are joined in
    `places`, one array for each of `axes`, and their own axes stand at `place` of the result.
    `sources` are the axes of the indexed tensor, for messages.
    """

    steps: list[Step] = field(default_factory=list)
    shape: list[int] = field(default_factory=list)
    axes: list[int] = field(default_factory=list)
    places: list[Any] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    place: int = 0

    def choose(self, places: Any, source: int, size: int) -> None:
        """Let `places` choose along the next axis of the view, of that size."""
        self.axes.append(len(self.shape))
        self.places.append(places)
        self.sources.append(source)
        self.shape.append(size)

    @property
    def selected(self) -> Shape:
        """The shape of what is chosen."""
        block = common_shape([tuple(p.shape) for p in self.places])
        rest = tuple(n for axis, n in enumerate(self.shape) if axis not in self.axes)
        return (*rest[: self.place], *block, *rest[self.place :])

    def check(self) -> None:
        """Raise IndexingError for places that do not fit together, or lie outside their axis."""
        common_shape([tuple(p.shape) for p in self.places])
        for places, axis, source in zip(self.places, self.axes, self.sources, strict=True):
            at.counted(np.asarray(places), source, self.shape[axis])


def choice(index: Any, shape: Shape) -> Choice:
    """Return what an index with arrays chooses from a tensor of `shape`."""
    entries = tuple(map(as_entry, index if isinstance(index, tuple) else (index,)))
    spelled = _spelled_out(entries, len(shape))
    made = Choice(place=0 if _are_apart(entries) else _axes_before(spelled))
    axis = 0
    for entry in spelled:
        if entry is None:
            made.steps.append(Step("new"))
            made.shape.append(1)
        elif isinstance(entry, slice):
            made.steps.append(_slice_step(entry, shape[axis]))
            made.shape.append(made.steps[-1].length)
            axis += 1
        elif isinstance(entry, int):
            made.steps.append(Step("pick", check_place(entry, axis, shape)))
            axis += 1
        elif is_mask(entry):
            axis += _choose_by_mask(made, entry, axis, shape)
        else:
            made.steps.append(Step("slice", 0, 1, shape[axis]))
            made.choose(entry, axis, shape[axis])
            axis += 1
    return made


def _choose_by_mask(made: Choice, mask: Any, axis: int, shape: Shape) -> int:
    """Let a mask choose along the axes it covers; return how many those are."""
    covered = shape[axis : axis + len(mask.shape)]
    for offset, (size, expected) in enumerate(zip(mask.shape, covered, strict=True)):
        # A mask without elements chooses nothing, whatever it covers.
        if size not in (expected, 0):
            raise IndexingError(
                f"a mask of shape {tuple(mask.shape)} has size {size} where axis {axis + offset} "
                f"of the tensor has {expected}; expected equal sizes"
            )
    # A truth value by itself chooses along a new axis: all of it or nothing.
    steps = [Step("slice", 0, 1, n) for n in covered] or [Step("new")]
    made.steps.extend(steps)
    made.choose(_places_of(mask), axis, math.prod(covered))
    return len(covered)


def _places_of(mask: Any) -> Any:
    if isinstance(mask, np.ndarray):
        return np.flatnonzero(mask)
    return Argwhere()(mask.reshape((-1,))).reshape((-1,))


def _chosen(entries: tuple[Any, ...]) -> list[int]:
    """Return which entries choose places; numpy counts single ones among them."""
    return [i for i, e in enumerate(entries) if _is_array(e) or isinstance(e, int)]


def _are_apart(entries: tuple[Any, ...]) -> bool:
    """Return whether something stands between the arrays, be it an ellipsis for no axes.

    The axes of the places come first then; otherwise they stand where the arrays do.
    """
    chosen = _chosen(entries)
    return chosen[-1] - chosen[0] >= len(chosen)


def _axes_before(entries: tuple[Any, ...]) -> int:
    """Return how many axes of the result stand before the first array."""
    return _chosen(entries)[0]


def as_entry(entry: Any) -> Any:
    """Return an entry of an index as None, an ellipsis, a slice, an int, or an array."""
    if entry is None or entry is Ellipsis or isinstance(entry, slice | Operand):
        return entry
    if isinstance(entry, bool | np.bool_):
        return np.asarray(entry)
    if isinstance(entry, int | np.integer):
        return int(entry)
    if isinstance(entry, _ARRAYS):
        return as_places(entry)
    try:
        return operator.index(entry)
    except TypeError:
        raise IndexingError(
            f"{type(entry).__name__} given as an index; expected integers, slices, None, an "
            "ellipsis, or arrays of integers or truth values"
        ) from None


def as_places(entry: Any) -> Any:
    """Return index arrays and sequences as a numpy array of their own; tensors as they are."""
    if isinstance(entry, Operand):
        return entry
    try:
        array = np.array(entry)
    except ValueError:
        raise IndexingError(
            "an index of nested sequences of unequal lengths was given; make the rows equally long"
        ) from None
    if not array.size and not isinstance(entry, np.ndarray):
        return array.astype(np.intp)
    try:
        kind = dtypes.from_numpy(array.dtype)
    except DTypeError:
        kind = dtypes.float64
    if kind.kind not in ("bool", "signed", "unsigned"):
        raise IndexingError(
            f"an index of {array.dtype} given; expected integers or truth values: convert it first"
        )
    return array
