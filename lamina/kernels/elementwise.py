"""One kernel for any expressions: outᵢ[n] = eᵢ(x₀[n], x₁[n], …), over operands of any layout.

The kernel itself knows lines: each operand is read or written along consecutive places. Operands
whose elements lie otherwise pass through the first-level cache a tile at a time, carried by the
functions of `tiles`; so a layout costs no compiling. What is one number for all elements may be
compiled as such. Elements are independent: no result depends on how the work is cut.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

from lamina.codegen import cpu, jit, mathlib, threads
from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.target import Target, host_target
from lamina.codegen.types import Pointer, Type, Vector, element_of, i1, i8, i64
from lamina.codegen.values import Value, splat
from lamina.errors import LayoutError, ShapeError
from lamina.kernels.expression import Expression, emit_all, in_order
from lamina.kernels.launch import PLANS_KEPT, Launch, argument_block, notebook, workers_for
from lamina.kernels.operand import Operand, Shape, coalesce, product
from lamina.kernels.scalars import COMPUTED, STORED
from lamina.kernels.tiles import ROOM_BYTES, TILE, carrier, carry, locate

_FIELDS = ("items", "line", "tiles", "tile", "rank")
_ITEMS, _LINE, _TILES, _TILE, _RANK = range(len(_FIELDS))
_CARRIERS = len(_FIELDS)
_LAYOUT, _COUNTER, _ADDRESSES = range(3)

_CHUNK = 16384
_LONG_LINE = 128
_WORTH_A_NUMBER = 4096
# What a function of `mathlib` takes of time in which multiply-adds run, and what others take.
_FLOPS_OF_FUNCTION, _FLOPS_OF_STEP = 150, 2
# Registers in a turn of a chain of steps: two hide much of each other's waiting.
_PAIR = 2
_NOTHING = 0
# Streaming stores want registers aligned to their size, whatever the target.
_ALIGNED = 64


class Recipe(NamedTuple):
    """What is compiled: expressions, the dtypes of outputs and inputs, which inputs are numbers."""

    expressions: tuple[Expression, ...]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    numbers: tuple[bool, ...]
    streams: bool = False

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Dtypes of all operands, outputs first."""
        return self.outputs + self.inputs

    def lanes(self, target: Target) -> int:
        """Return how many elements are computed together: a register of the widest dtype."""
        widest = max(8, *(COMPUTED[dtype].bits for dtype in self.dtypes))
        return max(1, target.vector_bytes * 8 // widest)

    @property
    def flops(self) -> int:
        """How many floating-point operations take as long as one element does."""
        nodes = in_order(*self.expressions)
        long = sum(node.function in mathlib.FUNCTIONS for node in nodes)
        return long * _FLOPS_OF_FUNCTION + (len(nodes) - long) * _FLOPS_OF_STEP

    @property
    def unroll(self) -> int:
        """How many registers are computed in a turn: short expressions wait for memory."""
        if self.takes_long:
            return _PAIR
        size = len(in_order(*self.expressions))
        return 4 if size < 4 else 2 if size < 12 else 1

    @property
    def takes_long(self) -> bool:
        """Whether each element waits for a chain of steps: registers then take them in pairs."""
        return any(node.function in mathlib.FUNCTIONS for node in in_order(*self.expressions))


def _loaded(value: Value, dtype: str) -> Value:
    return value.differs(0) if COMPUTED[dtype] == i1 else value


class Line:
    """Emits the computation of consecutive elements."""

    def __init__(self, k: Builder, recipe: Recipe, pointers: Sequence[Value]) -> None:
        self.k, self.recipe = k, recipe
        self.lanes = recipe.lanes(k.target)
        count = len(recipe.outputs)
        self.outputs, self.inputs = pointers[:count], pointers[count:]
        pairs = zip(self.inputs, recipe.inputs, recipe.numbers, strict=True)
        self.known = [_loaded(p[0], dtype) if number else None for p, dtype, number in pairs]

    def emit(self, count: Value) -> None:
        """Compute the first `count` elements of the line."""
        k, step = self.k, self.lanes * self.recipe.unroll
        lanes = self.lanes * (_PAIR if self.recipe.takes_long else 1)
        whole = count // step * step
        with k.loop(whole, step=step) as turn:
            places = [turn.index + start for start in range(0, step, lanes)]
            results = [self._results(place, lanes, None) for place in places]
            for place, values in zip(places, results, strict=True):
                self._store(place, values, lanes)
        with k.loop(count, start=whole, step=self.lanes) as turn:
            left = None if self.lanes == 1 else count - turn.index
            values = self._results(turn.index, self.lanes, left)
            self._store(turn.index, values, self.lanes, left)

    def _results(self, place: Value, lanes: int, left: Value | None) -> list[Value]:
        values = []
        for known, pointer, dtype in zip(self.known, self.inputs, self.recipe.inputs, strict=True):
            if known is not None:
                values.append(known)
            elif left is None:
                values.append(_loaded(pointer.load(place, lanes=lanes), dtype))
            else:
                values.append(_loaded(self.k.load_first(pointer + place, left, lanes), dtype))
        return emit_all(self.k, self.recipe.expressions, values)

    def _store(
        self, place: Value, values: list[Value], lanes: int, left: Value | None = None
    ) -> None:
        for pointer, value in zip(self.outputs, values, strict=True):
            stored = self.k.convert(value, element_of(pointer.type))
            if not isinstance(stored.type, Vector):
                stored = splat(stored, lanes)
            if left is not None:
                self.k.store_first(pointer + place, stored, left)
            elif self.recipe.streams:
                self.k.store_streaming(pointer, place, stored)
            else:
                pointer.store(place, stored)


def _emit_item(module: KernelModule, recipe: Recipe) -> Function:
    """Define `_item(args, scratch, item)`: compute one tile."""
    parameters: dict[str, Type] = {"args": Pointer(i64), "scratch": Pointer(i8), "item": i64}
    with module.function("_item", parameters, inline="never") as (k, args, scratch, item):
        layout = k.pointer_at(args[_LAYOUT], i64)
        operands = len(recipe.dtypes)
        line, tile = layout[_LINE], layout[_TILE]
        within = item % layout[_TILES] * tile
        start = item // layout[_TILES] * line + within
        count = k.minimum(line - within, tile)
        axes = layout + (_CARRIERS + operands)
        offsets = locate(k, axes, layout[_RANK], start, operands)

        def address(place: int) -> Value:
            return k.pointer_at(args[_ADDRESSES + place], STORED[recipe.dtypes[place]])

        def room(place: int) -> Value:
            return k.cast_pointer(scratch + place * ROOM_BYTES, STORED[recipe.dtypes[place]])

        def carried(place: int) -> Value:
            function = layout[_CARRIERS + place]
            is_far = function.differs(_NOTHING)
            with k.when(is_far):
                operand, rank = address(place), layout[_RANK]
                carry(k, function, room(place), operand, axes, rank, place, start, count)
            return is_far

        pointers = []
        for place in range(operands):
            if place < len(recipe.outputs):
                is_far = layout[_CARRIERS + place].differs(_NOTHING)
            else:
                is_far = carried(place)
            pointers.append(k.select(is_far, room(place), address(place) + offsets[place]))
        Line(k, recipe, pointers).emit(count)
        if recipe.streams:
            k.fence()
        for place in range(len(recipe.outputs)):
            carried(place)
        handle: Function = k.handle
    return handle


def emit_elementwise(module: KernelModule, recipe: Recipe) -> None:
    """Define `run(arguments, scratch)`, which computes all tiles, and `share`, which claims them.

    Arguments: the address of the layout, of a counter of tiles claimed (for `share`), then of each
    output and input. The layout: tiles in all, elements of a line, tiles of a line, elements of a
    tile, number of axes; the carrier of each operand, 0 where it is a line itself; sizes of the
    axes, outermost first, and for each operand its strides.
    """
    item = _emit_item(module, recipe)
    parameters: dict[str, Type] = {"args": Pointer(i64), "scratch": Pointer(i8)}
    with module.function("run", parameters) as (k, args, scratch):
        items = k.pointer_at(args[_LAYOUT], i64)[_ITEMS]
        with k.loop(items) as turn:
            k.call(item, args, scratch, turn.index)
    with module.function("share", parameters) as (k, args, scratch):
        items = k.pointer_at(args[_LAYOUT], i64)[_ITEMS]
        counter = k.pointer_at(args[_COUNTER], i64)
        with k.claimed(counter, items) as claimed:
            k.call(item, args, scratch, claimed)


@dataclass(frozen=True, slots=True)
class Plan:
    """A kernel call prepared for one set of layouts: `run` needs addresses alone."""

    entry: jit.Entry
    shared: jit.Entry
    layout: ctypes.Array[ctypes.c_int64]
    layout_address: int
    packed: struct.Struct
    items: int
    scratch_bytes: int
    flops: int
    nbytes: int
    # What to add to each address to reach the element where the work begins.
    starts: tuple[int, ...]
    streaming: tuple[jit.Entry, jit.Entry] | None
    # Whether nothing is left to be decided when the call comes.
    is_plain: bool

    def run(self, *addresses: int) -> None:
        """Compute the outputs at the first addresses from the inputs at the others."""
        if notebook.launches is not None:
            self._note(notebook.launches, addresses)
            return
        if self.is_plain:
            self.entry(self.packed.pack(self.layout_address, 0, *addresses), 0)
            return
        if self.items == 0:
            return
        addresses = tuple(a + s for a, s in zip(addresses, self.starts, strict=True))
        entry, shared = self.entry, self.shared
        if self.streaming is not None and addresses[0] % _ALIGNED == 0:
            entry, shared = self.streaming
        layout = self.layout_address
        workers = workers_for(flops=self.flops, nbytes=self.nbytes, chunks=self.items)
        if workers > 1:
            self._share(shared, layout, addresses, workers)
        else:
            scratch = threads.workspace(self.scratch_bytes)
            entry(self.packed.pack(layout, 0, *addresses), scratch.address)

    def _note(self, launches: list[Launch], addresses: tuple[int, ...]) -> None:
        if self.items == 0:
            return
        places = tuple(
            (_ADDRESSES + n, address + start)
            for n, (address, start) in enumerate(zip(addresses, self.starts, strict=True))
        )
        entry, shared = self.entry, self.shared
        if self.streaming is not None and places[0][1] % _ALIGNED == 0:
            entry, shared = self.streaming
        workers = workers_for(flops=self.flops, nbytes=self.nbytes, chunks=self.items)
        arguments = argument_block(self.layout_address, 0, *(0 for _ in places), 0)
        launches.append(
            Launch(
                entry if workers == 1 else shared,
                bytes(arguments),
                places,
                self.scratch_bytes,
                workers,
                own=((_COUNTER, len(arguments) - 1),),
                keeps=self,
            )
        )

    def _share(
        self, entry: jit.Entry, layout: int, addresses: tuple[int, ...], workers: int
    ) -> None:
        block = argument_block(layout, 0, *addresses, 0)
        block[_COUNTER] = ctypes.addressof(block) + 8 * (len(block) - 1)
        threads.run(entry, ctypes.addressof(block), self.scratch_bytes, threads=workers)


class Laid(NamedTuple):
    """An operand as plans see it: a dtype's name and strides in elements, 0 where broadcast."""

    dtype: str
    strides: Shape


def _turned(shape: Shape, operands: Sequence[Laid]) -> tuple[list[tuple[int, ...]], list[int]]:
    """Return axes (size, stride of each operand …) along which the first output is written
    forwards, and by how many elements that moves the start of each operand.
    """
    axes = [(size, *strides) for size, *strides in zip(shape, *(o.strides for o in operands))]
    starts = [0] * len(operands)
    for place, (size, first, *_) in enumerate(axes):
        if first < 0:
            _, *strides = axes[place]
            starts = [s + (size - 1) * stride for s, stride in zip(starts, strides, strict=True)]
            axes[place] = (size, *(-stride for stride in strides))
    axes = [axis for axis in axes if axis[0] != 1]
    return coalesce(sorted(axes, key=lambda axis: -axis[1])), starts


def _is_line(axes: Sequence[tuple[int, ...]], operand: int) -> bool:
    """Return whether the elements of an operand follow each other over all axes."""
    step = 1
    for size, *strides in reversed(axes):
        if strides[operand] != step:
            return False
        step *= size
    return True


@lru_cache(maxsize=PLANS_KEPT)
def plan(
    expressions: tuple[Expression, ...],
    shape: Shape,
    outputs: tuple[Laid, ...],
    inputs: tuple[Laid, ...],
) -> Plan:
    """Return the call that computes `expressions` of the inputs, one for each output.

    All operands have strides for `shape`; no output may overlap itself, or an input unless it is
    laid out the same. Inputs of 16-bit floats are computed with as f32.
    """
    operands = (*outputs, *inputs)
    axes, starts = _turned(shape, operands)
    total = product(axes) if 0 not in shape else 0
    numbers = tuple(
        total >= _WORTH_A_NUMBER and not any(axis[1 + len(outputs) + n] for axis in axes)
        for n in range(len(inputs))
    )
    is_number = (False,) * len(outputs) + numbers
    varying = [n for n, number in enumerate(is_number) if not number]
    lines = [_is_line(axes, n) for n in range(len(operands))]
    inner = axes[-1] if axes else (1, *(1 for _ in operands))
    is_long = inner[0] >= _LONG_LINE and not all(lines[n] for n in varying)
    near = [inner[1 + n] == 1 if is_long else lines[n] for n in range(len(operands))]
    near = [a or b for a, b in zip(near, is_number, strict=True)]
    line = inner[0] if is_long else total
    tile = min(_CHUNK if all(near) else TILE, max(line, 1))
    tiles = -(-line // tile)
    items = total // max(line, 1) * tiles
    recipe = Recipe(
        expressions, tuple(o.dtype for o in outputs), tuple(i.dtype for i in inputs), numbers
    )
    carriers = [
        _NOTHING if near[n] else carrier(STORED[operand.dtype].bytes, is_out=n < len(outputs))
        for n, operand in enumerate(operands)
    ]
    layout = argument_block(
        *(items, line, tiles, tile, len(axes)),
        *carriers,
        *(axis[column] for column in range(1 + len(operands)) for axis in axes),
    )
    sizes = [STORED[operand.dtype].bytes for operand in operands]
    nbytes = total * sum(sizes[n] for n in varying)
    entry, shared = _entries(recipe)
    is_aligned = not is_long or inner[0] * sizes[0] % _ALIGNED == 0
    streaming = _streaming(recipe, nbytes, all(near) and lines[0] and is_aligned)
    return Plan(
        entry=entry,
        shared=shared,
        layout=layout,
        layout_address=ctypes.addressof(layout),
        packed=struct.Struct(f"{_ADDRESSES + len(operands)}q"),
        items=items,
        scratch_bytes=0 if all(near) else ROOM_BYTES * len(operands),
        flops=total * recipe.flops,
        nbytes=nbytes,
        starts=tuple(start * size for start, size in zip(starts, sizes, strict=True)),
        streaming=streaming,
        is_plain=items == 1 and all(near) and not any(starts) and streaming is None,
    )


def _streaming(
    recipe: Recipe, nbytes: int, has_aligned_lines: bool
) -> tuple[jit.Entry, jit.Entry] | None:
    """Return the kernel that writes past the caches, for operands that none of them can hold."""
    largest = cpu.describe().l3_bytes or cpu.describe().l2_bytes
    if len(recipe.outputs) > 1 or not has_aligned_lines or nbytes <= largest:
        return None
    return _entries(recipe._replace(streams=True)) if host_target().vector_bytes else None


def _entries(recipe: Recipe) -> tuple[jit.Entry, jit.Entry]:
    alone = jit.kernel(emit_elementwise, recipe)
    return alone, jit.kernel(emit_elementwise, recipe, name="share")


def compute(
    expressions: Sequence[Expression], outputs: Sequence[Operand], inputs: Sequence[Operand]
) -> None:
    """Write each expression of the inputs, broadcast, to the output at its place.

    An output may be an input, element for element; ShapeError where shapes do not fit, LayoutError
    where an output shares memory in any other way. Nothing has been written then.
    """
    bind(expressions, outputs, inputs)()


def bind(
    expressions: Sequence[Expression], outputs: Sequence[Operand], inputs: Sequence[Operand]
) -> Callable[[], None]:
    """Return the call that `compute` makes; it keeps the operands, which stay where they are."""
    shape = outputs[0].shape
    operands = (*outputs, *inputs)
    count = len(outputs)
    laid = [_spread(operand, shape, place < count) for place, operand in enumerate(operands)]
    for place in range(count):
        for other in range(place + 1, len(operands)):
            _check_apart(shape, operands[place], laid[place], operands[other], laid[other])
    prepared = plan(tuple(expressions), shape, tuple(laid[:count]), tuple(laid[count:]))
    return partial(_run_kept, operands, prepared, tuple(o.address for o in operands))


def _run_kept(_: tuple[Operand, ...], prepared: Plan, addresses: tuple[int, ...]) -> None:
    prepared.run(*addresses)


def _spread(operand: Operand, shape: Shape, is_output: bool) -> Laid:
    missing = len(shape) - len(operand.shape)
    sizes = (*(1 for _ in range(missing)), *operand.shape)
    if missing < 0 or any(n not in (1, want) for n, want in zip(sizes, shape, strict=True)):
        raise ShapeError(f"{operand.shape} does not stretch to {shape}; give operands that do")
    if is_output and sizes != shape:
        raise ShapeError(f"output of shape {operand.shape} given; expected {shape}, as the first")
    steps = (*(0 for _ in range(missing)), *operand.strides)
    strides = tuple(0 if n == 1 else step for n, step in zip(sizes, steps, strict=True))
    return Laid(operand.dtype.name, strides)


def _span(shape: Shape, operand: Operand, laid: Laid) -> tuple[int, int]:
    """Return the first and one-past-last address that an operand covers."""
    reach = [(n - 1) * step for n, step in zip(shape, laid.strides, strict=True)]
    size = STORED[laid.dtype].bytes
    low = operand.address + size * sum(step for step in reach if step < 0)
    return low, operand.address + size * (sum(step for step in reach if step > 0) + 1)


def _check_apart(shape: Shape, out: Operand, own: Laid, other: Operand, its: Laid) -> None:
    (start, end), (its_start, its_end) = _span(shape, out, own), _span(shape, other, its)
    is_same = out.address == other.address and own.strides == its.strides
    is_same = is_same and STORED[own.dtype].bytes == STORED[its.dtype].bytes
    if 0 not in shape and not is_same and start < its_end and its_start < end:
        raise LayoutError(
            "an output shares memory with another operand, at other places; copy that operand first"
        )
