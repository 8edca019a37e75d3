"""Convolution of few channels a group: no panels, one output row at a time.

    out[n, g, o, p] = Σ_k w[g, o, k] · x[n, g, offset(k) + p·step]

A few registers of neighbouring pixels meet the weights of a few output channels. Each sum runs over
the taps in order, a few channels for a whole band of rows before the next ones: what they read then
stays in the first cache.
"""

import ctypes
from dataclasses import dataclass
from itertools import accumulate
from math import prod

from lamina.codegen import jit
from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, Scalar, Type, element_of, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.channel_lanes import call_for_height, even_groups, store_sums
from lamina.kernels.convolution.padded import copy_cost, on_copies
from lamina.kernels.convolution.problem import Problem, group_axis, place_axes, sum_axes
from lamina.kernels.convolution.strategy import Strategy, layout_cost
from lamina.kernels.launch import Place, Step, View, workers_for
from lamina.kernels.offsets import emit_table, locate
from lamina.kernels.operand import AXES, Axes, coalesce, flat, product
from lamina.kernels.scalars import SCALARS

_FIELDS = (
    "counter", "chunks", "out", "w", "x", "taps", "lines", "width", "out_step", "step",
    "outputs", "out_output", "w_output", "output_groups", "bands", "band", "tap_block", "pitch",
)  # fmt: skip
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_TAP_AXES = len(_FIELDS)
_PLANE_AXES = _TAP_AXES + 3 * AXES
_LINE_AXES = _PLANE_AXES + 4 * AXES
_Block = ctypes.c_int64 * (_LINE_AXES + 3 * AXES)
# Registers of pixels and output channels of a tile: twelve sums stay in registers.
_REGISTERS, _OUTPUTS = 4, 3
_MOST_TAPS = 2048
# What that many taps read of a row should be in the first cache still when the next row comes.
_TAPS_OF_A_BLOCK = 48
_LINES_OF_A_BAND = 8
# Cycles of a product of registers, of a load of pixels, of a register written, and of a row.
_PRODUCT, _LOAD, _WRITTEN, _ROW = 0.6, 0.6, 20, 80


def _load(k: Builder, source: Value, every: int) -> Value:
    lanes = k.target.lanes(element_of(source.type))
    low = source.load(0, lanes=lanes)
    if every == 1:
        return low
    high = source.load(lanes, lanes=lanes)
    return k.shuffle(low, high, range(0, 2 * lanes, 2))


def _store(k: Builder, out: Value, total: Value, left: Value, step: Value) -> None:
    lanes = k.target.lanes(element_of(out.type))
    is_whole = k.both(step.equals(1), left > lanes - 1)
    with k.either(is_whole) as (whole, part):
        with whole:
            out.store(0, total)
        with part, k.either(step.equals(1)) as (side_by_side, apart):
            with side_by_side:
                k.store_first(out, total, left)
            with apart:
                k.store_spread(out, total, step, left)


def _emit_tile(
    module: KernelModule, scalar: Scalar, outputs: int, registers: int, every: int
) -> Function:
    """Define `_tile_<every>_<outputs>_<registers>(taps, offsets, x, w, sums, pitch, adds)`.

    `w` holds the weights of `outputs` output channels for each tap; their sums are `pitch` apart.
    """
    pointer = Pointer(scalar)
    parameters: dict[str, Type] = {
        "taps": i64, "offsets": Pointer(i64), "x": pointer, "w": pointer, "sums": pointer,
        "pitch": i64, "adds": i64,
    }  # fmt: skip
    lanes = module.target.lanes(scalar)
    name = f"_tile_{every}_{outputs}_{registers}"
    with module.function(name, parameters, inline="never") as opened:
        k, taps, offsets, x, w, sums, pitch, adds = opened
        start = [k.zeros(scalar)] * (outputs * registers)
        with k.loop(taps, carry=[w, *start]) as tap:
            weights, *totals = tap.carried
            source = x + offsets[tap.index]
            factors = [k.splat(weights[number]) for number in range(outputs)]
            done: list[Value] = []
            for register in range(registers):
                pixels = _load(k, source + register * lanes * every, every)
                here = totals[register * outputs : (register + 1) * outputs]
                done += [k.fma(f, pixels, total) for f, total in zip(factors, here, strict=True)]
            tap.next = [weights + outputs, *done]
        places = [
            (sums + pitch * channel) + register * lanes
            for register in range(registers)
            for channel in range(outputs)
        ]
        store_sums(k, tap.results[1:], places, adds)
        handle: Function = k.handle
    return handle


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Where tables of offsets, the weights of a tile and its sums lie, in bytes."""

    tables: int
    weights: int
    sums: int

    @classmethod
    def of(cls, scalar: Scalar) -> "_Scratch":
        sizes = (4 * _MOST_TAPS * i64.bytes, _MOST_TAPS * _OUTPUTS * scalar.bytes)
        return cls(*accumulate(sizes, initial=0))


class _Chunk:
    """Emits the work on one chunk: a band of rows of a few output channels."""

    def __init__(self, k: Builder, scalar: Scalar, args: Value, scratch: Value) -> None:
        self.k = k
        self.scalar = scalar
        self.args = args
        self.lanes = k.target.lanes(scalar)
        parts = _Scratch.of(scalar)
        first = k.cast_pointer(scratch + parts.tables, i64)
        self.tables = [first + row * _MOST_TAPS for row in range(4)]
        self.weights, self.sums = (
            k.cast_pointer(scratch + start, scalar) for start in (parts.weights, parts.sums)
        )
        self.line_pitch = self.get("pitch") * _OUTPUTS

    def get(self, name: str) -> Value:
        return self.args[_SLOT[name]]

    def run(self, number: Value, tiles: dict[int, dict[int, dict[int, Function]]]) -> None:
        """Work on chunk `number` by the functions `tiles[every][outputs][registers]`."""
        k = self.k
        band = number % self.get("bands") * self.get("band")
        rest = number // self.get("bands")
        group, plane = rest % self.get("output_groups"), rest // self.get("output_groups")
        starts = locate(k, self.args, _PLANE_AXES, plane, 3)
        self.out, w, self.x = (
            k.pointer_at(self.get(name), self.scalar) + start
            for name, start in zip(("out", "w", "x"), starts, strict=True)
        )
        first = group * _OUTPUTS
        outputs = k.minimum(self.get("outputs") - first, _OUTPUTS)
        self.out = self.out + first * self.get("out_output")
        self._pack(w + first * self.get("w_output"), outputs)
        lines = k.minimum(self.get("band"), self.get("lines") - band)
        for every, by_outputs in tiles.items():
            for count, functions in by_outputs.items():
                is_so = k.both(self.get("step").equals(every), outputs.equals(count))
                with k.when(is_so):
                    self._sum(band, lines, every, count, functions)
        with k.loop(lines) as line, k.loop(outputs) as output:
            self._write(band, line.index, output.index)

    def _sum(
        self, band: Value, lines: Value, every: int, outputs: int, functions: dict[int, Function]
    ) -> None:
        """Sum a block of taps for all rows of the band, then the next."""
        k, taps = self.k, self.get("taps")
        # Without any tap sums are zero: one block of none.
        stop, size = k.maximum(taps, 1), self.get("tap_block")
        with k.loop(stop, step=size) as block, k.loop(lines) as line:
            count = k.minimum(size, taps - block.index)
            _, source = locate(k, self.args, _LINE_AXES, band + line.index, 2)
            registers = (self.get("width") + (self.lanes - 1)) // self.lanes
            with even_groups(k, registers, _REGISTERS) as (first, number):
                at = first * self.lanes
                call_for_height(
                    k, functions, number, count, self.tables[2] + block.index,
                    self.x + (source + at * every), self.weights + block.index * outputs,
                    self.sums + (line.index * self.line_pitch + at), self.get("pitch"),
                    block.index,
                )  # fmt: skip

    def _write(self, band: Value, line: Value, output: Value) -> None:
        k, step = self.k, self.get("out_step")
        to, _ = locate(k, self.args, _LINE_AXES, band + line, 2)
        out = self.out + (to + output * self.get("out_output"))
        sums = self.sums + (line * self.line_pitch + output * self.get("pitch"))
        with k.loop(self.get("width"), step=self.lanes) as at:
            total = (sums + at.index).load(0, lanes=self.lanes)
            _store(k, out + at.index * step, total, self.get("width") - at.index, step)

    def _pack(self, w: Value, outputs: Value) -> None:
        """Bring the weights of each tap side by side."""
        k = self.k
        with k.loop(self.get("taps")) as tap, k.loop(outputs) as output:
            place = self.tables[0][tap.index] + output.index * self.get("w_output")
            self.weights[tap.index * outputs + output.index] = w[place]


def emit_row_by_row(module: KernelModule, dtype: str) -> None:
    """Define `run(arguments, scratch)`: claim bands of rows and compute them."""
    scalar = SCALARS[dtype]
    table = emit_table(module)
    tiles = {
        every: {
            outputs: {
                registers: _emit_tile(module, scalar, outputs, registers, every)
                for registers in range(1, _REGISTERS + 1)
            }
            for outputs in range(1, _OUTPUTS + 1)
        }
        for every in (1, 2)
    }
    parameters: dict[str, Type] = {"args": Pointer(i64), "scratch": Pointer(i8)}
    with module.function("run", parameters) as (k, args, scratch):
        chunk = _Chunk(k, scalar, args, scratch)
        count = args[_SLOT["taps"]]
        k.call(table, args + _TAP_AXES, k.integer(0), count, k.integer(1), *chunk.tables)
        with k.claimed(args, chunk.get("chunks")) as number:
            chunk.run(number, tiles)


@dataclass(frozen=True, slots=True)
class RowByRow:
    """One convolution to compute; axes are (size, stride, stride …), outermost first.

    `taps` have strides in w and x, `planes` in out, w and x, `lines` in out and x; a plane has
    `outputs` output channels. A row has `width` pixels, `out_step` apart in out and `x_step` (1 or
    2) in x, which may be read two blocks of registers past its end. `tap_block` taps are summed
    before the next row is begun.
    """

    dtype: str
    out: Place
    w: Place
    x: Place
    width: int
    outputs: int
    out_output: int
    w_output: int
    out_step: int
    x_step: int
    tap_block: int
    taps: Axes
    planes: Axes
    lines: Axes

    def step(self) -> Step:
        """Return the kernel call that computes it."""
        planes, taps, lines = (product(axes) for axes in (self.planes, self.taps, self.lines))
        groups, bands = -(-self.outputs // _OUTPUTS), -(-lines // _LINES_OF_A_BAND)
        chunks = planes * groups * bands
        scalar, lanes = SCALARS[self.dtype], host_target().lanes(SCALARS[self.dtype])
        pitch = -(-self.width // lanes) * lanes
        band = -(-lines // bands)
        scratch = _Scratch.of(scalar).sums + band * _OUTPUTS * pitch * scalar.bytes
        arguments = _Block(
            0, chunks, 0, 0, 0, taps, lines, self.width, self.out_step, self.x_step,
            self.outputs, self.out_output, self.w_output, groups, bands, band, self.tap_block,
            pitch,
            *flat(self.taps, 2), *flat(self.planes, 3), *flat(self.lines, 2),
        )  # fmt: skip
        entry = jit.kernel(emit_row_by_row, self.dtype)
        flops = 2 * planes * self.outputs * taps * lines * self.width
        workers = workers_for(chunks=chunks, flops=flops)
        places = ((_SLOT["out"], self.out), (_SLOT["w"], self.w), (_SLOT["x"], self.x))
        return Step(entry, arguments, places, scratch, workers)


def _compute(p: Problem, x: View) -> Step:
    """Compute `p` row by row from its padded input."""
    w, here, sums = sum_axes(p, x)
    taps = max(1, prod(p.taps))
    return RowByRow(
        dtype=p.dtype,
        out=p.out.place,
        w=w.place,
        x=here.place,
        width=p.places[2],
        outputs=p.outputs,
        out_output=p.out.strides[1],
        w_output=p.w.strides[0],
        out_step=p.out.strides[4],
        x_step=x.strides[4] * p.stride[2],
        tap_block=max(1, _TAPS_OF_A_BLOCK // taps) * taps,
        taps=coalesce(sums),
        planes=[(p.out.shape[0], p.out.strides[0], 0, x.strides[0]), group_axis(p, x)],
        lines=place_axes(p, x)[:2],
    ).step()


def _cost(p: Problem) -> float:
    lanes = host_target().lanes(SCALARS[p.dtype])
    groups, taps = p.parts * -(-p.outputs // _OUTPUTS), prod(p.w.shape[1:])
    rows = p.places[0] * p.places[1]
    registers = rows * -(-p.places[2] // lanes)
    products = taps * (p.parts * p.outputs * _PRODUCT + groups * _LOAD * p.stride[2])
    calls = rows * groups * -(-taps // _TAPS_OF_A_BLOCK)
    written = registers * p.parts * p.outputs * _WRITTEN
    return copy_cost(p) + registers * products + written + calls * _ROW + layout_cost(p)


ROW_BY_ROW = Strategy(
    name="row by row",
    applies=lambda p: prod(p.w.shape[1:]) <= _MOST_TAPS and p.stride[2] <= 2,
    cost=_cost,
    plan=lambda p: on_copies(p, _compute),
)
