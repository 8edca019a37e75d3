"""What pooling kernels share: planes of three axes, and the windows over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.types import Pointer, element_of, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.scalars import STORED

FIELDS = ("counter", "planes", "first", "second", "third", "rates", "shifts", "row")
SLOT = {name: place for place, name in enumerate(FIELDS)}
AXES = len(FIELDS)
SIZE, COUNT, TAPS, STRIDE, PADDING, DILATION = range(6)


class Along(NamedTuple):
    """Windows along an axis: window p covers p·stride + k·dilation − padding for k < taps."""

    size: int
    windows: int
    taps: int
    stride: int
    padding: int
    dilation: int

    @property
    def reach(self) -> int:
        """How many places all windows cover."""
        return (self.windows - 1) * self.stride + (self.taps - 1) * self.dilation + 1


Axes = tuple[Along, Along, Along]
MISSING = Along(1, 1, 1, 1, 0, 1)


@dataclass(frozen=True, slots=True)
class Plane:
    """Emits work on planes."""

    k: Builder
    args: Value

    def get(self, name: str) -> Value:
        return self.args[SLOT[name]]

    def of(self, what: int, axis: int) -> Value:
        """Return one number of an axis, as `Along` has them."""
        return self.args[AXES + axis * 6 + what]

    def sizes(self, what: int) -> Value:
        """Return the product of a number over the axes."""
        return self.of(what, 0) * self.of(what, 1) * self.of(what, 2)

    def taps_inside(self, axis: int, place: Value) -> tuple[Value, Value]:
        """Return the range of the taps of the window at `place` that lie inside the axis."""
        k, dilation = self.k, self.of(DILATION, axis)
        start = place * self.of(STRIDE, axis) - self.of(PADDING, axis)
        first = k.maximum(dilation - 1 - start, 0) // dilation
        last = (k.maximum(self.of(SIZE, axis) - start, 0) + dilation - 1) // dilation
        return first, k.minimum(last, self.of(TAPS, axis))

    def places(self, axis: int, place: Value, tap: Value) -> Value:
        """Return where a tap of the window at `place` lies."""
        start = place * self.of(STRIDE, axis) - self.of(PADDING, axis)
        return start + tap * self.of(DILATION, axis)

    def rows(self, depth: Value, height: Value, body: Callable[[Value], None]) -> None:
        """Emit `body(row)` for each row of the plane in the windows at (depth, height)."""
        k = self.k
        first, last = self.taps_inside(0, depth)
        low, high = self.taps_inside(1, height)
        with k.loop(last, start=first) as layer, k.loop(high, start=low) as line:
            deep = self.places(0, depth, layer.index)
            body(deep * self.of(SIZE, 1) + self.places(1, height, line.index))

    def each_row(self, body: Callable[[Value, Value, Value], None]) -> None:
        """Emit `body(depth, height, first window)` for each row of windows."""
        k = self.k
        with k.loop(self.of(COUNT, 0)) as depth, k.loop(self.of(COUNT, 1)) as height:
            row = depth.index * self.of(COUNT, 1) + height.index
            body(depth.index, height.index, row * self.of(COUNT, 2))


def open_planes(
    module: KernelModule,
    dtypes: Sequence[str],
    work: Callable[[Plane, Value, list[Value]], None],
    prepare: Callable[[Plane, Value], None] | None = None,
) -> None:
    """Define `run(arguments, scratch)`: claim planes; the first operand has the planes, the others
    an element for each window.
    """
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        plane = Plane(k, args)
        if prepare is not None:
            prepare(plane, scratch)
        names = ("first", "second", "third")
        pointers = [
            k.pointer_at(plane.get(name), STORED[dtype])
            for name, dtype in zip(names, dtypes, strict=False)
        ]

        with k.claimed(args, plane.get("planes")) as number:
            sizes = [plane.sizes(SIZE), plane.sizes(COUNT), plane.sizes(COUNT)]
            moved = [p + number * n for p, n in zip(pointers, sizes, strict=False)]
            work(plane, scratch, moved)


def fill(k: Builder, memory: Value, count: Value, value: Value) -> None:
    lanes = k.target.lanes(element_of(memory.type))
    with k.loop(count, step=lanes) as turn:
        memory.store(turn.index, value)


def strided(k: Builder, memory: Value, lanes: int, stride: Value, step: int) -> Value:
    """Return every `stride`-th element; `step` is the stride where it is 1 or 2, else 0."""
    if step == 1:
        return memory.load(0, lanes=lanes)
    if step == 2 and lanes > 1:
        low, high = memory.load(0, lanes=lanes), memory.load(lanes, lanes=lanes)
        return k.shuffle(low, high, range(0, 2 * lanes, 2))
    value = memory.load(0, lanes=lanes)
    for lane in range(1, lanes):
        value = k.with_lane(value, lane, memory[stride * lane])
    return value
