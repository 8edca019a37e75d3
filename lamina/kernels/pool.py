"""Windows over planes: their greatest, their mean, and where the greatest lies.

A plane has three axes, those that are missing being of size 1. A row of results is made in two
steps: rows of the plane are combined into one row with padding around it, then places of that row.
So the terms of a window are combined row by row for each column, then from left to right.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

from lamina.codegen import jit
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Scalar, element_of, i64
from lamina.codegen.values import Value
from lamina.kernels.launch import PLANS_KEPT, Place, Step, argument_block, workers_for
from lamina.kernels.operand import Operand, Shape
from lamina.kernels.pool_halves import (
    emit_halves,
    emit_places_of_halves,
    emit_put_in_halves,
    emit_spread_over_halves,
    halves,
)
from lamina.kernels.pool_places import emit_places
from lamina.kernels.pool_planes import (
    COUNT,
    DILATION,
    MISSING,
    PADDING,
    SIZE,
    SLOT,
    STRIDE,
    TAPS,
    Along,
    Axes,
    Plane,
    fill,
    open_planes,
    strided,
)
from lamina.kernels.reduction.program import TOTAL, Phase
from lamina.kernels.reduction.rows import loaded
from lamina.kernels.scalars import COMPUTED, SCALARS, STORED


def emit_pool(module: KernelModule, dtype: str, combine: str, step: int) -> None:
    """Define the kernel of the windows' greatest (combine "maximum") or mean ("add")."""
    number = "float32" if STORED[dtype].is_half else dtype
    phase = Phase(TOTAL, combine, TOTAL, number)
    scalar = COMPUTED[number]
    lanes = module.target.lanes(scalar)

    def prepare(plane: Plane, scratch: Value) -> None:
        identity = plane.k.constant(plane.k.vector(scalar), _identity(phase))
        fill(plane.k, plane.k.cast_pointer(scratch, scalar), plane.get("row"), identity)

    def work(plane: Plane, scratch: Value, operands: list[Value]) -> None:
        k, (x, out) = plane.k, operands
        row = k.cast_pointer(scratch, scalar)
        identity = k.constant(k.vector(scalar), _identity(phase))
        fold = phase.combined(k)
        width, count = plane.of(SIZE, 2), plane.of(COUNT, 2)

        def windows(depth: Value, height: Value, first: Value) -> None:
            inner = row + plane.of(PADDING, 2)
            with k.loop(width, step=lanes) as turn:
                left = width - turn.index
                total = _down(plane, x + turn.index, depth, height, fold, identity, left)
                mask = k.lanes_below(scalar, left, lanes)
                inner.store(turn.index, k.select(mask, total, identity))
            with k.loop(count, step=lanes) as turn:
                start = row + turn.index * plane.of(STRIDE, 2)
                with k.loop(plane.of(TAPS, 2), carry=[identity]) as tap:
                    here = start + tap.index * plane.of(DILATION, 2)
                    term = strided(k, here, lanes, plane.of(STRIDE, 2), step)
                    tap.next = [fold(tap.carried[0], term)]
                value = tap.results[0]
                if combine == "add":
                    rates = k.pointer_at(plane.get("rates"), scalar)
                    value = value / _divisor(plane, rates, depth, height, turn.index, lanes)
                value = k.convert(value, element_of(out.type))
                k.store_first(out + (first + turn.index), value, count - turn.index)

        plane.each_row(windows)

    open_planes(module, (dtype, dtype), work, prepare)


def _identity(phase: Phase) -> int | float:
    # A mean of nothing but −0 is 0, as it is where padding counts.
    return 0.0 if phase.combine == "add" else phase.identity


def _down(
    plane: Plane,
    x: Value,
    depth: Value,
    height: Value,
    fold: Callable[[Value, Value], Value],
    identity: Value,
    left: Value,
) -> Value:
    """Return a register of columns of the rows in a window combined."""
    k, width = plane.k, plane.of(SIZE, 2)
    lanes = k.target.lanes(element_of(identity.type))
    first, last = plane.taps_inside(0, depth)
    low, high = plane.taps_inside(1, height)
    with k.loop(last, start=first, carry=[identity]) as layer:
        with k.loop(high, start=low, carry=layer.carried) as line:
            deep = plane.places(0, depth, layer.index)
            row = deep * plane.of(SIZE, 1) + plane.places(1, height, line.index)
            line.next = [fold(line.carried[0], loaded(k, x + row * width, lanes, left))]
        layer.next = line.results
    return layer.results[0]


def _divisor(
    plane: Plane, rates: Value, depth: Value, height: Value, place: Value, lanes: int
) -> Value:
    """Return what the sums of windows are divided by: the product of a number for each axis."""
    deep = rates[depth] * rates[plane.of(COUNT, 0) + height]
    start = plane.of(COUNT, 0) + plane.of(COUNT, 1) + place
    return rates.load(start, lanes=lanes) * deep


def emit_spread(module: KernelModule, dtype: str, step: int) -> None:
    """Define the kernel that gives each place its share of the windows it is in: the transpose."""
    scalar = STORED[dtype]
    lanes = module.target.lanes(scalar)

    def work(plane: Plane, scratch: Value, operands: list[Value]) -> None:
        k, (out, grad) = plane.k, operands
        shares = k.cast_pointer(scratch, scalar)
        row = shares + (plane.of(COUNT, 2) + lanes)
        width, count = plane.of(SIZE, 2), plane.of(COUNT, 2)
        with k.loop(plane.sizes(SIZE), step=lanes) as turn:
            left = plane.sizes(SIZE) - turn.index
            k.store_first(out + turn.index, k.zeros(scalar), left)

        def windows(depth: Value, height: Value, first: Value) -> None:
            rates = k.pointer_at(plane.get("rates"), scalar)
            with k.loop(count, step=lanes) as turn:
                value = k.load_first(grad + (first + turn.index), count - turn.index)
                value = value / _divisor(plane, rates, depth, height, turn.index, lanes)
                shares.store(turn.index, value)
            fill(k, row, plane.get("row"), k.zeros(scalar))
            with k.loop(plane.of(TAPS, 2)) as tap:
                _add_across(plane, row + tap.index * plane.of(DILATION, 2), shares, step)
            inner = row + plane.of(PADDING, 2)

            def add(line: Value) -> None:
                target = out + line * width
                with k.loop(width, step=lanes) as turn:
                    left = width - turn.index
                    total = k.load_first(target + turn.index, left)
                    total = total + inner.load(turn.index, lanes=lanes)
                    k.store_first(target + turn.index, total, left)

            plane.rows(depth, height, add)

        plane.each_row(windows)

    open_planes(module, (dtype, dtype), work)


def _add_across(plane: Plane, row: Value, shares: Value, step: int) -> None:
    """Add the share of each window to its place in a row."""
    k, count, stride = plane.k, plane.of(COUNT, 2), plane.of(STRIDE, 2)
    if step != 1:
        with k.loop(count) as turn:
            place = turn.index * stride
            row[place] = row[place] + shares[turn.index]
        return
    lanes = k.target.lanes(element_of(row.type))
    with k.loop(count, step=lanes) as turn:
        # Shares past the last window are not there: only 0 may be added to what lies behind.
        share = k.load_first(shares + turn.index, count - turn.index)
        row.store(turn.index, row.load(turn.index, lanes=lanes) + share)


def emit_put(module: KernelModule, dtype: str, number: str) -> None:
    """Define the kernel that adds the value of each window to the place of its tap."""
    scalar = STORED[dtype]
    lanes = module.target.lanes(scalar)

    def work(plane: Plane, _: Value, operands: list[Value]) -> None:
        k, (out, values, places) = plane.k, operands
        size = plane.sizes(SIZE)
        with k.loop(size, step=lanes) as turn:
            k.store_first(out + turn.index, k.zeros(scalar), size - turn.index)

        def move(window: Value, place: Value) -> None:
            out[place] = out[place] + values[window]

        _each_place(plane, places, move)

    open_planes(module, (dtype, dtype, number), work)


def emit_take(module: KernelModule, dtype: str, number: str) -> None:
    """Define the kernel that reads the place of each window's tap."""

    def work(plane: Plane, _: Value, operands: list[Value]) -> None:
        x, out, places = operands

        def move(window: Value, place: Value) -> None:
            out[window] = x[place]

        _each_place(plane, places, move)

    open_planes(module, (dtype, dtype, number), work)


def _each_place(plane: Plane, places: Value, move: Callable[[Value, Value], None]) -> None:
    """Emit `move(window, place)`; whatever numbers are given, places lie inside the plane."""
    k = plane.k
    shifts = k.pointer_at(plane.get("shifts"), i64)
    taps, end = plane.sizes(TAPS) - 1, plane.sizes(SIZE) - 1

    def windows(depth: Value, height: Value, first: Value) -> None:
        zero = k.integer(0)
        row = plane.places(0, depth, zero) * plane.of(SIZE, 1) + plane.places(1, height, zero)
        with k.loop(plane.of(COUNT, 2)) as turn:
            window = first + turn.index
            tap = k.minimum(k.maximum(k.convert(places[window], i64), 0), taps)
            start = row * plane.of(SIZE, 2) + plane.places(2, turn.index, zero)
            move(window, k.minimum(k.maximum(start + shifts[tap], 0), end))

    plane.each_row(windows)


@dataclass(frozen=True, slots=True)
class Pooling:
    """A kernel call over planes."""

    step: Step

    def run(self, planes: Operand, *windows: Operand) -> None:
        """Make the call; operands lie in C order, with the planes or the windows of each plane."""
        self.step.run([planes.address, *(operand.address for operand in windows)])


def three_axes(axes: Sequence[Along]) -> Axes:
    """Return the axes of windows with those that are missing in front."""
    padded = (*(MISSING,) * (3 - len(axes)), *axes)
    return padded[0], padded[1], padded[2]


@lru_cache(maxsize=PLANS_KEPT)
def pooling(
    kind: str,
    dtype: str,
    number: str,
    planes: int,
    axes: Axes,
    divisors: tuple[tuple[float, ...], ...] = (),
) -> Pooling:
    """Return the call of kind "max", "mean", "spread", "places", "put" or "take".

    `number` is the dtype of the taps' numbers; `divisors` has a number for each window of each
    axis. "put" and "spread" are for floats of at least 32 bits.
    """
    scalar = COMPUTED["float32" if STORED[dtype].is_half else dtype]
    across = axes[2]
    step = across.stride if across.stride <= 2 else 0
    lanes = host_target().lanes(scalar)
    kinds: dict[str, tuple[jit.Emitter, tuple[Hashable, ...]]] = {
        "max": (emit_pool, (dtype, "maximum", step)),
        "mean": (emit_pool, (dtype, "add", step)),
        "spread": (emit_spread, (dtype, step)),
        "places": (emit_places, (dtype, number, step)),
        "put": (emit_put, (dtype, number)),
        "take": (emit_take, (dtype, number)),
    }
    is_quarter = all(n == 2.0 for axis in divisors[1:] for n in axis)
    if halves(axes) and dtype in SCALARS and lanes > 1 and (kind == "max" or is_quarter):
        kinds |= {
            "max": (emit_halves, (dtype, "maximum")),
            "mean": (emit_halves, (dtype, "add")),
            "spread": (emit_spread_over_halves, (dtype,)),
            "places": (emit_places_of_halves, (dtype, number)),
            "put": (emit_put_in_halves, (dtype, number)),
        }
    emitter, parameters = kinds[kind]
    row = max(across.reach, across.padding + across.size) + (2 + across.stride * 2) * lanes
    rates = _rates(scalar, divisors, lanes)
    shifts = _shifts(axes)
    arguments = argument_block(
        0, planes, 0, 0, 0, ctypes.addressof(rates), ctypes.addressof(shifts), row,
        *(number for axis in axes for number in axis),
    )  # fmt: skip
    elements = planes * (prod(a.size for a in axes) + prod(a.windows * a.taps for a in axes))
    workers = workers_for(nbytes=elements * scalar.bytes, chunks=planes)
    operands = 2 if kind in ("max", "mean", "spread") else 3
    places = tuple((SLOT["first"] + n, Place(n, 0)) for n in range(operands))
    scratch = (row + across.windows + 3 * lanes) * scalar.bytes
    entry = jit.kernel(emitter, *parameters)
    return Pooling(Step(entry, arguments, places, scratch, workers, keeps=(rates, shifts)))


def _rates(scalar: Scalar, divisors: tuple[tuple[float, ...], ...], lanes: int) -> Any:
    numbers = [*(n for axis in divisors for n in axis), *(1.0,) * lanes]
    kind = ctypes.c_float if scalar.bits == 32 else ctypes.c_double
    return (kind * len(numbers))(*numbers)


def _shifts(axes: Axes) -> Any:
    """Return how far each tap of a window lies behind its first, in elements of a plane."""
    steps: Shape = (axes[1].size * axes[2].size, axes[2].size, 1)
    taps = product(*(range(axis.taps) for axis in axes))
    shifts = [
        sum(t * a.dilation * step for t, a, step in zip(tap, axes, steps, strict=True))
        for tap in taps
    ]
    return (ctypes.c_int64 * len(shifts))(*shifts)
