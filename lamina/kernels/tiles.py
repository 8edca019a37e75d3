"""Tiles: consecutive elements of an operand of any layout, carried to or from a place where they
lie side by side.

Kernels that know lines alone call the functions compiled here, one for each width of element, by
their address: no layout makes another kernel to compile.
"""

from lamina.codegen import jit
from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, element_of, i64, u8, u16, u32, u64
from lamina.codegen.values import Value

TILE = 1024
"""The most elements of a tile."""

ROOM_BYTES = TILE * 8 + 128
"""Memory of one operand's tile; not a multiple of 4096, lest all tiles fall on the same sets."""

_UNROLL = 8
_BITS: dict[int, Scalar] = {1: u8, 2: u16, 4: u32, 8: u64}


def locate(k: Builder, axes: Value, rank: Value, index: Value, operands: int) -> list[Value]:
    """Return how far element `index`, counted over the axes, lies from the start of each operand.

    At `axes` lie `rank` sizes, outermost first, then as many strides for each operand.
    """
    zero = k.integer(0)
    with k.loop(rank, carry=[index, *[zero] * operands]) as turn:
        rest, *offsets = turn.carried
        axis = rank - 1 - turn.index
        size = axes[axis]
        outer = rest // size
        digit = rest - outer * size
        turn.next = [
            outer,
            *(
                offset + digit * axes[rank * (place + 1) + axis]
                for place, offset in enumerate(offsets)
            ),
        ]
    return turn.results[1:]


def _copy_run(k: Builder, to: Value, step_to: Value, of: Value, step_of: Value, n: Value) -> None:
    with k.either(k.both(step_to.equals(1), step_of.equals(1))) as (plain, spread):
        with plain:
            lanes = k.target.lanes(element_of(of.type))
            whole = n // lanes * lanes
            with k.loop(whole, step=lanes) as turn:
                to.store(turn.index, of.load(turn.index, lanes=lanes))
            with k.loop(n, start=whole) as turn:
                to[turn.index] = of[turn.index]
        with spread:
            whole = n // _UNROLL * _UNROLL
            with k.loop(whole, step=_UNROLL) as turn:
                there, here = to + turn.index * step_to, of + turn.index * step_of
                for value in [here[step_of * number] for number in range(_UNROLL)]:
                    there[0] = value
                    there = there + step_to
            with k.loop(n, start=whole) as turn:
                to[turn.index * step_to] = of[turn.index * step_of]


def emit_carry(module: KernelModule, itemsize: int, is_out: bool) -> None:
    """Define `carry(tile, operand, sizes, strides, rank, start, count)`: copy elements `start` to
    `start + count`, counted over the axes, from the operand to the tile, or back with `is_out`.
    """
    bits, numbers = Pointer(_BITS[itemsize]), Pointer(i64)
    parameters: dict[str, Type] = {
        "tile": bits, "operand": bits, "sizes": numbers, "strides": numbers,
        "rank": i64, "start": i64, "count": i64,
    }  # fmt: skip
    with module.function("carry", parameters) as opened:
        k, tile, operand, sizes, strides, rank, start, count = opened
        inner, one = rank - 1, k.integer(1)
        size, stride = sizes[inner], strides[inner]
        has_rows = rank > 1
        row = k.select(has_rows, rank - 2, inner)
        rows = k.select(has_rows, sizes[row], one)
        row_stride = k.select(has_rows, strides[row], k.integer(0))
        plane = rows * size
        done = k.cell(i64, 0)
        with k.repeat_while(lambda: done.get() < count):
            place = start + done.get()
            base = operand + _outer(k, sizes, strides, rank - 2, place // plane)
            within = place % plane
            end = k.minimum(rows, (within + count - done.get() + size - 1) // size)
            first = k.cell(i64, within % size)
            with k.loop(end, start=within // size) as turn:
                length = k.minimum(size - first.get(), count - done.get())
                there = base + (turn.index * row_stride + first.get() * stride)
                here = tile + done.get()
                if is_out:
                    _copy_run(k, there, stride, here, one, length)
                else:
                    _copy_run(k, here, one, there, stride, length)
                done.set(done.get() + length)
                first.set(0)


def _outer(k: Builder, sizes: Value, strides: Value, axes: Value, index: Value) -> Value:
    """Return the offset of `index`, counted over the first `axes` axes."""
    with k.loop(axes, carry=[index, k.integer(0)]) as turn:
        rest, offset = turn.carried
        axis = axes - 1 - turn.index
        outer = rest // sizes[axis]
        turn.next = [outer, offset + (rest - outer * sizes[axis]) * strides[axis]]
    return turn.results[1]


def carrier(itemsize: int, *, is_out: bool) -> int:
    """Return the address of the function that carries elements of so many bytes."""
    return jit.address(emit_carry, itemsize, is_out, name="carry")


def carry(
    k: Builder, function: Value, tile: Value, operand: Value, axes: Value, rank: Value, place: int,
    start: Value, count: Value,
) -> None:  # fmt: skip
    """Call the carrier at the address `function` for operand number `place` of `axes`."""
    strides = axes + rank * (place + 1)
    k.call_at(function, tile, operand, axes, strides, rank, start, count)
