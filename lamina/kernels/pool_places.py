"""Which tap of each window holds its greatest: registers of windows where steps are 1 or 2."""

from __future__ import annotations

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import element_of, i64, integer_like
from lamina.codegen.values import Value
from lamina.kernels.pool_planes import (
    COUNT,
    PADDING,
    SIZE,
    TAPS,
    Plane,
    open_planes,
)
from lamina.kernels.reduction.rows import computed
from lamina.kernels.scalars import STORED

Window = tuple[Value, Value, Value]


def emit_places(module: KernelModule, dtype: str, number: str, step: int) -> None:
    """Define the kernel that finds the first tap of each window that holds its greatest; `step` is
    the stride along the last axis where it is 1 or 2, else 0.
    """
    lanes = module.target.lanes(STORED[dtype])

    def work(plane: Plane, _: Value, operands: list[Value]) -> None:
        k, (x, greatest, places) = plane.k, operands

        def one(window: Window, at: Value) -> None:
            wanted = computed(k, greatest[at])
            places[at] = k.convert(_first_equal(plane, x, window, wanted), STORED[number])

        def register(window: Window, at: Value, left: Value) -> None:
            wanted = k.load_first(greatest + at, left)
            found = _first_equals(plane, x, window, wanted, step)
            k.store_first(places + at, k.convert(found, STORED[number]), left)

        def windows(depth: Value, height: Value, first: Value) -> None:
            count = plane.of(COUNT, 2)
            if not step or STORED[dtype].is_half or lanes == 1:
                with k.loop(count) as place:
                    one((depth, height, place.index), first + place.index)
                return
            # A register begins inside the row: windows over the padding in front come one by one.
            before = (plane.of(PADDING, 2) + (step - 1)) // step
            before = k.minimum(before, count)
            with k.loop(before) as place:
                one((depth, height, place.index), first + place.index)
            with k.loop(count, start=before, step=lanes) as turn:
                register((depth, height, turn.index), first + turn.index, count - turn.index)

        plane.each_row(windows)

    open_planes(module, (dtype, dtype, number), work)


def _first_equals(plane: Plane, x: Value, window: Window, wanted: Value, step: int) -> Value:
    """Return what `_first_equal` does, for a register of windows that begins at `window`."""
    k, scalar = plane.k, element_of(wanted.type)
    lanes = k.target.lanes(scalar)
    kind = integer_like(scalar)
    ranges = [plane.taps_inside(axis, window[axis]) for axis in (0, 1)]
    unordered = wanted.differs(wanted)
    last_tap = k.splat(k.convert(plane.sizes(TAPS) - 1, kind))
    width, taps = plane.of(SIZE, 2), plane.of(TAPS, 2)

    def across(number: Value, row: Value, found: Value) -> Value:
        with k.loop(taps, carry=[found]) as turn:
            tap = taps - 1 - turn.index
            start = plane.places(2, window[2], tap)
            left = width - start
            values = _apart(plane, x + (row * width + start), left, step)
            inside = k.lanes_below(scalar, (k.maximum(left, 0) + (step - 1)) // step, lanes)
            hit = values.equals(wanted) | (values.differs(values) & unordered)
            name = k.splat(k.convert(number * taps + tap, kind))
            turn.next = [k.select(hit & inside, name, turn.carried[0])]
        return turn.results[0]

    def along(axis: int, number: Value, row: Value, found: Value) -> Value:
        if axis == 2:
            return across(number, row, found)
        first, last = ranges[axis]
        with k.loop(last, start=first, carry=[found]) as turn:
            tap = last - 1 - (turn.index - first)
            name = number * plane.of(TAPS, axis) + tap
            here = row * plane.of(SIZE, axis) + plane.places(axis, window[axis], tap)
            turn.next = [along(axis + 1, name, here, turn.carried[0])]
        return turn.results[0]

    return along(0, k.integer(0), k.integer(0), last_tap)


def _apart(plane: Plane, source: Value, left: Value, step: int) -> Value:
    """Return a register of elements `step` apart, of a row with `left` elements from here on."""
    k = plane.k
    low = k.load_first(source, left)
    if step == 1:
        return low
    lanes = k.target.lanes(element_of(source.type))
    high = k.load_first(source + lanes, left - lanes)
    return k.shuffle(low, high, range(0, 2 * lanes, 2))


def _first_equal(plane: Plane, x: Value, window: tuple[Value, ...], wanted: Value) -> Value:
    """Return the number of the first tap that holds `wanted`, the last where none does.

    The last tap is tried first.
    """
    k = plane.k
    ranges = [plane.taps_inside(axis, place) for axis, place in enumerate(window)]
    found = k.cell(i64, plane.sizes(TAPS) - 1)

    def try_taps(axis: int, number: Value, row: Value) -> None:
        first, last = ranges[axis]
        with k.loop(last, start=first) as turn:
            tap = last - 1 - (turn.index - first)
            name = number * plane.of(TAPS, axis) + tap
            here = row * plane.of(SIZE, axis) + plane.places(axis, window[axis], tap)
            if axis < 2:
                try_taps(axis + 1, name, here)
                return
            value = computed(k, x[here])
            hit = value.equals(wanted)
            if element_of(value.type).is_float:
                both = k.both(value.differs(value), wanted.differs(wanted))
                hit = k.either_true(hit, both)
            found.set(k.select(hit, name, found.get()))

    try_taps(0, k.integer(0), k.integer(0))
    return found.get()
