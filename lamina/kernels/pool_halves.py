"""Windows of 2×2 that lie side by side, the most frequent ones: all of them in registers.

The terms of a window are combined in the order of `kernels.pool`: rows first, then from left to
right; taps are numbered row by row.
"""

from __future__ import annotations

from collections.abc import Callable

from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.types import element_of, integer_like
from lamina.codegen.values import Value
from lamina.kernels.pool_planes import COUNT, SIZE, Along, Axes, Plane, open_planes
from lamina.kernels.reduction.program import TOTAL, Phase
from lamina.kernels.scalars import SCALARS, STORED

_TAPS = 4


def halves(axes: Axes) -> bool:
    """Return whether windows along `axes` are those that these kernels are for."""

    def is_half(axis: Along) -> bool:
        plain = (axis.taps, axis.stride, axis.padding, axis.dilation) == (2, 2, 0, 1)
        return plain and axis.reach <= axis.size

    deep = axes[0]
    is_flat = (deep.size, deep.windows, deep.taps, deep.padding) == (1, 1, 1, 0)
    return is_flat and is_half(axes[1]) and is_half(axes[2])


class _Pairs:
    """A register of windows: where it is among them, and the places that it covers."""

    def __init__(self, k: Builder, lanes: int, window: Value, top: Value, left: Value) -> None:
        self.k, self.lanes = k, lanes
        self.window, self.top, self.left = window, top, left

    def loaded(self, x: Value, row: Value) -> tuple[Value, Value]:
        """Return the places of a row under the windows, as two registers."""
        there = x + (self.top + row)
        return (
            self.k.load_first(there, self.left * 2),
            self.k.load_first(there + self.lanes, self.left * 2 - self.lanes),
        )

    def columns(self, low: Value, high: Value) -> list[Value]:
        """Return the left and the right place of each window."""
        places = range(2 * self.lanes)
        return [self.k.shuffle(low, high, places[side::2]) for side in (0, 1)]

    def store(self, out: Value, row: Value, left: Value, right: Value) -> None:
        """Write the left and the right place of each window to a row."""
        lanes, here = self.lanes, out + (self.top + row)
        order = [lane // 2 + lane % 2 * lanes for lane in range(2 * lanes)]
        low, high = (self.k.shuffle(left, right, order[n : n + lanes]) for n in (0, lanes))
        self.k.store_first(here, low, self.left * 2)
        self.k.store_first(here + lanes, high, self.left * 2 - lanes)


def _each(plane: Plane, lanes: int, body: Callable[[_Pairs, Value], None]) -> None:
    """Emit `body(pairs, length of a row)` for each register of windows of a plane."""
    k = plane.k
    width, count = plane.of(SIZE, 2), plane.of(COUNT, 2)
    with k.loop(plane.of(COUNT, 1)) as line, k.loop(count, step=lanes) as turn:
        window = line.index * count + turn.index
        top = line.index * 2 * width + turn.index * 2
        body(_Pairs(k, lanes, window, top, count - turn.index), width)


def emit_halves(module: KernelModule, dtype: str, combine: str) -> None:
    """Define the kernel of the windows' greatest (combine "maximum") or mean ("add")."""
    phase = Phase(TOTAL, combine, TOTAL, dtype)
    scalar = SCALARS[dtype]
    lanes = module.target.lanes(scalar)

    def work(plane: Plane, _: Value, operands: list[Value]) -> None:
        k, (x, out) = plane.k, operands
        fold = phase.combined(k)
        first = 0.0 if combine == "add" else phase.identity
        identity = k.constant(k.vector(scalar), first)

        def body(pairs: _Pairs, width: Value) -> None:
            rows = [pairs.loaded(x, row) for row in (k.integer(0), width)]
            low, high = (fold(fold(identity, a), b) for a, b in zip(*rows, strict=True))
            left, right = pairs.columns(low, high)
            value = fold(fold(identity, left), right)
            value = value / float(_TAPS) if combine == "add" else value
            k.store_first(out + pairs.window, value, pairs.left)

        _each(plane, lanes, body)

    open_planes(module, (dtype, dtype), work)


def emit_places_of_halves(module: KernelModule, dtype: str, number: str) -> None:
    """Define the kernel that finds the first tap of each window that holds its greatest."""
    scalar = SCALARS[dtype]
    lanes = module.target.lanes(scalar)
    kind = integer_like(scalar)

    def work(plane: Plane, _: Value, operands: list[Value]) -> None:
        k, (x, greatest, places) = plane.k, operands

        def body(pairs: _Pairs, width: Value) -> None:
            wanted = k.load_first(greatest + pairs.window, pairs.left)
            unordered = wanted.differs(wanted)
            found = k.splat(k.constant(kind, _TAPS - 1))
            taps = [
                value
                for row in (k.integer(0), width)
                for value in pairs.columns(*pairs.loaded(x, row))
            ]
            for tap, value in reversed(list(enumerate(taps[:-1]))):
                hit = value.equals(wanted) | (value.differs(value) & unordered)
                found = k.select(hit, k.splat(k.constant(kind, tap)), found)
            k.store_first(places + pairs.window, k.convert(found, STORED[number]), pairs.left)

        _each(plane, lanes, body)

    open_planes(module, (dtype, dtype, number), work)


def _clear_rest(plane: Plane, out: Value, lanes: int) -> None:
    """Set the plane to 0 if windows leave a row or column of it out."""
    k, scalar = plane.k, element_of(out.type)
    rows, columns = (plane.of(SIZE, axis) - plane.of(COUNT, axis) * 2 for axis in (1, 2))
    with k.when(rows + columns > 0):
        size = plane.of(SIZE, 1) * plane.of(SIZE, 2)
        with k.loop(size, step=lanes) as turn:
            k.store_first(out + turn.index, k.zeros(scalar), size - turn.index)


def emit_put_in_halves(module: KernelModule, dtype: str, number: str) -> None:
    """Define the kernel that puts the value of each window to the place of its tap, 0 elsewhere."""
    scalar = SCALARS[dtype]
    lanes = module.target.lanes(scalar)
    kind = integer_like(scalar)

    def work(plane: Plane, _: Value, operands: list[Value]) -> None:
        k, (out, values, places) = plane.k, operands
        _clear_rest(plane, out, lanes)

        def body(pairs: _Pairs, width: Value) -> None:
            # Added to 0, as it is where windows overlap: −0 becomes 0.
            value = k.load_first(values + pairs.window, pairs.left) + 0.0
            stored = k.load_first(places + pairs.window, pairs.left, lanes)
            tap = k.minimum(k.convert(stored, kind), _TAPS - 1)
            shares = [k.select(tap.equals(n), value, k.zeros(scalar)) for n in range(_TAPS)]
            pairs.store(out, k.integer(0), *shares[:2])
            pairs.store(out, width, *shares[2:])

        _each(plane, lanes, body)

    open_planes(module, (dtype, dtype, number), work)


def emit_spread_over_halves(module: KernelModule, dtype: str) -> None:
    """Define the kernel that gives each place its quarter of the window it is in."""
    scalar = SCALARS[dtype]
    lanes = module.target.lanes(scalar)

    def work(plane: Plane, _: Value, operands: list[Value]) -> None:
        k, (out, grad) = plane.k, operands
        _clear_rest(plane, out, lanes)

        def body(pairs: _Pairs, width: Value) -> None:
            share = k.load_first(grad + pairs.window, pairs.left) / float(_TAPS) + 0.0
            for row in (k.integer(0), width):
                pairs.store(out, row, share, share)

        _each(plane, lanes, body)

    open_planes(module, (dtype, dtype), work)
