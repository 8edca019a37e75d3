"""Convolution of few channels a group, such as depthwise: no panels, one output row at a time.

    out[n, g, o, p] = Σ_k w[g, o, k] · x[n, g, offset(k) + p·step]

The sum runs over the taps in order in one register a block of pixels, as in the matrix kernel.
"""

import ctypes
from dataclasses import dataclass
from math import prod

from lamina.codegen import jit
from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, Scalar, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.padded import copy_cost, on_copies
from lamina.kernels.convolution.problem import Problem, place_axes, plane_axes, sum_axes
from lamina.kernels.convolution.strategy import Strategy
from lamina.kernels.launch import Place, Step, View, workers_for
from lamina.kernels.offsets import emit_table, locate
from lamina.kernels.operand import AXES, Axes, coalesce, flat, product
from lamina.kernels.scalars import SCALARS

_FIELDS = (
    "counter", "planes", "out", "w", "x", "taps", "lines", "width", "out_step", "step",
)  # fmt: skip
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_TAP_AXES = len(_FIELDS)
_PLANE_AXES = _TAP_AXES + 3 * AXES
_LINE_AXES = _PLANE_AXES + 4 * AXES
_Block = ctypes.c_int64 * (_LINE_AXES + 3 * AXES)
_REGISTERS = 4
_MOST_TAPS = 512
# Cycles of a product of registers, and of a row.
_PRODUCT, _ROW = 3.5, 40


class _Plane:
    """Emits the rows of one output plane."""

    def __init__(self, k: Builder, scalar: Scalar, args: Value, taps: list[Value]) -> None:
        self.k = k
        self.scalar = scalar
        self.args = args
        self.lanes = k.target.lanes(scalar)
        self.w_offsets, _, self.x_offsets, _ = taps

    def get(self, name: str) -> Value:
        return self.args[_SLOT[name]]

    def run(self, number: Value) -> None:
        k = self.k
        starts = locate(k, self.args, _PLANE_AXES, number, 3)
        out, w, x = (
            k.pointer_at(self.get(name), self.scalar) + start
            for name, start in zip(("out", "w", "x"), starts, strict=True)
        )
        with k.loop(self.get("lines")) as line:
            to, source = locate(k, self.args, _LINE_AXES, line.index, 2)
            for every in (1, 2):
                with k.when(self.get("step").equals(every)):
                    self._row(out + to, w, x + source, every)

    def _row(self, out: Value, w: Value, x: Value, every: int) -> None:
        k, width = self.k, self.get("width")
        wide = _REGISTERS * self.lanes
        whole = width // wide * wide
        with k.loop(whole, step=wide) as turn:
            self._block(out, w, x, turn.index, every, _REGISTERS)
        with k.loop(width, start=whole, step=self.lanes) as turn:
            self._block(out, w, x, turn.index, every, 1)

    def _block(self, out: Value, w: Value, x: Value, at: Value, every: int, registers: int) -> None:
        k = self.k
        here = x + at * every
        with k.loop(self.get("taps"), carry=[k.zeros(self.scalar)] * registers) as tap:
            factor = k.splat(w[self.w_offsets[tap.index]])
            source = here + self.x_offsets[tap.index]
            tap.next = [
                k.fma(factor, self._load(source + number * self.lanes * every, every), total)
                for number, total in enumerate(tap.carried)
            ]
        for number, total in enumerate(tap.results):
            self._store(out, at + number * self.lanes, total)

    def _load(self, source: Value, every: int) -> Value:
        low = source.load(0, lanes=self.lanes)
        if every == 1:
            return low
        high = source.load(self.lanes, lanes=self.lanes)
        return self.k.shuffle(low, high, range(0, 2 * self.lanes, 2))

    def _store(self, out: Value, at: Value, total: Value) -> None:
        k, step = self.k, self.get("out_step")
        left = self.get("width") - at
        with k.either(step.equals(1)) as (side_by_side, apart):
            with side_by_side:
                k.store_first(out + at, total, left)
            with apart:
                spare = k.stack(self.scalar, self.lanes)
                spare.store(0, total)
                with k.loop(k.minimum(left, self.lanes)) as lane:
                    out[(at + lane.index) * step] = spare[lane.index]


def emit_row_by_row(module: KernelModule, dtype: str) -> None:
    """Define `run(arguments, scratch)`: claim output planes and compute them."""
    scalar = SCALARS[dtype]
    table = emit_table(module)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        first = k.cast_pointer(scratch, i64)
        taps = [first + row * _MOST_TAPS for row in range(4)]
        count = args[_SLOT["taps"]]
        k.call(table, args + _TAP_AXES, k.integer(0), count, k.integer(1), *taps)
        plane = _Plane(k, scalar, args, taps)
        number = k.cell(i64, k.claim(args))
        with k.repeat_while(lambda: number.get() < plane.get("planes")):
            plane.run(number.get())
            number.set(k.claim(args))


@dataclass(frozen=True, slots=True)
class RowByRow:
    """One convolution to compute; axes are (size, stride, stride …), outermost first.

    `taps` have strides in w and x, `planes` in out, w and x, `lines` in out and x. A row has
    `width` pixels, `out_step` apart in out and `x_step` (1 or 2) in x, which may be read two
    blocks of registers past its end.
    """

    dtype: str
    out: Place
    w: Place
    x: Place
    width: int
    out_step: int
    x_step: int
    taps: Axes
    planes: Axes
    lines: Axes

    def step(self) -> Step:
        """Return the kernel call that computes it."""
        planes, taps, lines = (product(axes) for axes in (self.planes, self.taps, self.lines))
        arguments = _Block(
            0, planes, 0, 0, 0, taps, lines, self.width, self.out_step, self.x_step,
            *flat(self.taps, 2), *flat(self.planes, 3), *flat(self.lines, 2),
        )  # fmt: skip
        entry = jit.kernel(emit_row_by_row, self.dtype)
        workers = workers_for(chunks=planes, flops=2 * planes * taps * lines * self.width)
        places = ((_SLOT["out"], self.out), (_SLOT["w"], self.w), (_SLOT["x"], self.x))
        scratch = 4 * _MOST_TAPS * 8
        return Step(entry, arguments, places, scratch, workers)


def _compute(p: Problem, x: View) -> Step:
    """Compute `p` row by row from its padded input."""
    w, here, sums = sum_axes(p, x)
    return RowByRow(
        dtype=p.dtype,
        out=p.out.place,
        w=w.place,
        x=here.place,
        width=p.places[2],
        out_step=p.out.strides[4],
        x_step=x.strides[4] * p.stride[2],
        taps=coalesce(sums),
        planes=plane_axes(p, x),
        lines=place_axes(p, x)[:2],
    ).step()


def _cost(p: Problem) -> float:
    lanes = host_target().lanes(SCALARS[p.dtype])
    rows = p.places[0] * p.places[1] * p.w.shape[0]
    registers = -(-p.places[2] // lanes)
    return copy_cost(p) + rows * (_ROW + registers * _PRODUCT * prod(p.w.shape[1:]))


ROW_BY_ROW = Strategy(
    name="row by row",
    applies=lambda p: prod(p.w.shape[1:]) <= _MOST_TAPS and p.stride[2] <= 2,
    cost=_cost,
    plan=lambda p: on_copies(p, _compute),
)
