"""Depthwise convolution where the channels of a pixel lie side by side: lanes are channels.

The taps are unrolled and their weights stay in registers while a row of pixels passes by. Places
outside the image are read from a register of zeros. A sum runs over the taps in order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod
from typing import NamedTuple

from lamina.codegen import jit
from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, Scalar, element_of, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.pixel_tiles import Lanes
from lamina.kernels.convolution.problem import Problem, is_channels_last
from lamina.kernels.convolution.results import BIAS, RESIDUAL, SUM, reads
from lamina.kernels.convolution.strategy import Prepared, Strategy
from lamina.kernels.expression import Expression, emit
from lamina.kernels.launch import OUT, WORKSPACE, Place, Plan, Step, argument_block, workers_for
from lamina.kernels.operand import Shape
from lamina.kernels.scalars import SCALARS

_FIELDS = (
    "counter", "chunks", "out", "x", "w", "bias", "residual", "channels", "height", "width",
    "out_height", "out_width", "out_image", "out_row", "out_column", "x_image", "x_row", "x_column",
    "top", "left", "low", "high",
)  # fmt: skip
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_PACKING = ("counter", "chunks", "target", "w", "channels", "padded", "channel", "row", "column")
_MOST_TAPS = 25
# Cycles: of a product, of what comes after the sum.
_PRODUCT, _STORE = 0.6, 3.0


class Taps(NamedTuple):
    """How many taps there are along rows and columns, their stride and dilation."""

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def places(self) -> list[tuple[int, int]]:
        """Row and column of each tap, in the order in which they are summed up."""
        return list(product(range(self.size[0]), range(self.size[1])))


def each_register(
    k: Builder, scalar: Scalar, channels: Value, work: Callable[[Value, Lanes], None]
) -> None:
    """Emit `work(first, lanes)` for each register of channels; the last may not be whole."""
    lanes = k.target.lanes(scalar)
    whole = channels // lanes * lanes
    with k.loop(whole, step=lanes) as turn:
        work(turn.index, Lanes(k, scalar, None))
    with k.when(whole < channels):
        work(whole, Lanes(k, scalar, channels - whole))


@dataclass(frozen=True, slots=True)
class TapRow:
    """One row of the output, and what it reads.

    `rows` has for each row of taps whether it lies inside the image, and where output column 0
    reads its first tap. `low` to `high` are the columns all of whose taps lie inside; pixels of x
    and out are `x_column` and `out_column` apart, taps of the packed weights `padded`.
    """

    taps: Taps
    after: Expression
    channels: Value
    rows: list[tuple[Value, Value]]
    width: Value
    left: Value
    x_column: Value
    w: Value
    padded: Value
    bias: Value
    residual: Value
    out: Value
    out_column: Value
    out_width: Value
    low: Value
    high: Value
    zeros: Value

    def emit(self, k: Builder) -> None:
        """Emit the work on it, a register of channels after the other."""
        scalar = element_of(self.out.type)
        each_register(k, scalar, self.channels, partial(self._columns, k))

    def _columns(self, k: Builder, first: Value, lanes: Lanes) -> None:
        scalar, start = element_of(self.out.type), self.w + first
        weights = [
            (start + self.padded * tap).load(0, lanes=lanes.count)
            for tap in range(len(self.taps.places))
        ]
        bias = lanes.load(self.bias + first) if reads(self.after, BIAS) else k.zeros(scalar)
        # A row that is not there is a register of zeros, read again and again.
        lines = [
            (
                k.select(inside, line + first, self.zeros),
                k.select(inside, self.x_column, k.integer(0)),
            )
            for inside, line in self.rows
        ]
        low, high, end = self.low, self.high, self.out_width
        for begin, stop, is_inside in ((0, low, False), (low, high, True), (high, end, False)):
            across = self.taps.stride[1]
            carry = [line + step * (across * begin) for line, step in lines]
            with k.loop(stop, start=begin, carry=carry) as turn:
                pixels = [(p, step) for p, (_, step) in zip(turn.carried, lines, strict=True)]
                places = self._places(k, turn.index, pixels, is_inside=is_inside)
                total = k.zeros(scalar)
                for weight, place in zip(weights, places, strict=True):
                    total = k.fma(weight, lanes.load(place), total)
                there = turn.index * self.out_column + first
                inputs = [total, bias]
                if reads(self.after, RESIDUAL):
                    inputs.append(lanes.load(self.residual + there))
                lanes.store(self.out + there, emit(k, self.after, inputs))
                turn.next = [pixel + step * across for pixel, step in pixels]

    def _places(
        self, k: Builder, place: Value, pixels: list[tuple[Value, Value]], *, is_inside: bool
    ) -> list[Value]:
        """Return where each tap of output column `place` reads; `pixels` has for each row of taps
        where its first one reads, and the step to the next pixel.
        """
        steps = [tap * self.taps.dilation[1] for tap in range(self.taps.size[1])]
        found = [pixel + step * count for pixel, step in pixels for count in steps]
        if is_inside:
            return found
        columns = [place * self.taps.stride[1] + (count - self.left) for count in steps]
        there = [k.both(column > -1, column < self.width) for column in columns]
        return [
            k.select(there[number % len(there)], here, self.zeros)
            for number, here in enumerate(found)
        ]


def _row(
    k: Builder, taps: Taps, after: Expression, get: Callable[[str], Value], scalar: Scalar,
    number: Value, zeros: Value,
) -> TapRow:  # fmt: skip
    """Return row `number` of all images."""
    image, row = number // get("out_height"), number % get("out_height")
    out = image * get("out_image") + row * get("out_row")
    pointers = {name: k.pointer_at(get(name), scalar) for name in ("out", "x", "w", "bias")}
    residual = k.pointer_at(get("residual"), scalar)
    x = pointers["x"] + image * get("x_image")
    lanes = k.target.lanes(scalar)
    rows: list[tuple[Value, Value]] = []
    for tap in range(taps.size[0]):
        line = row * taps.stride[0] + (tap * taps.dilation[0] - get("top"))
        is_there = k.both(line > -1, line < get("height"))
        rows.append((is_there, x + (line * get("x_row") - get("left") * get("x_column"))))
    names = ("channels", "width", "left", "x_column", "out_column", "out_width", "low", "high")
    return TapRow(
        taps=taps,
        after=after,
        rows=rows,
        w=pointers["w"],
        padded=(get("channels") + (lanes - 1)) // lanes * lanes,
        bias=pointers["bias"],
        residual=residual + out,
        out=pointers["out"] + out,
        zeros=zeros,
        **{name: get(name) for name in names},
    )


def zero_register(k: Builder, scalar: Scalar, scratch: Value) -> Value:
    """Return where a register of zeros is written now: what is read outside of an image."""
    zeros = k.cast_pointer(scratch, scalar)
    zeros.store(0, k.zeros(scalar))
    return zeros


def emit_depthwise_last(module: KernelModule, dtype: str, taps: Taps, after: Expression) -> None:
    """Define `run(arguments, scratch)`: claim rows of the output and compute them, `after` saying
    what becomes of the sums.
    """
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        scalar = SCALARS[dtype]
        zeros = zero_register(k, scalar, scratch)

        def get(name: str) -> Value:
            return args[_SLOT[name]]

        with k.claimed(args, get("chunks")) as number:
            _row(k, taps, after, get, scalar, number, zeros).emit(k)


def emit_pack_taps(module: KernelModule, dtype: str, taps: Taps) -> None:
    """Define `run(arguments, _)`: write the weights of each tap side by side, zeros at the end."""
    scalar = SCALARS[dtype]
    slot = {name: place for place, name in enumerate(_PACKING)}
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        target, w = (k.pointer_at(args[slot[name]], scalar) for name in ("target", "w"))
        channels, padded = args[slot["channels"]], args[slot["padded"]]
        strides = [args[slot[name]] for name in ("channel", "row", "column")]
        for tap, (row, column) in enumerate(taps.places):
            line = target + padded * tap
            source = w + (strides[1] * row + strides[2] * column)
            with k.loop(channels) as turn:
                line[turn.index] = source[turn.index * strides[0]]
            with k.loop(padded, start=channels) as rest:
                line[rest.index] = 0


def packed_taps(
    dtype: str, taps: Taps, w_strides: Shape, channels: int, w: Place, target: Place
) -> Prepared:
    """Return the call that packs weights with strides along (channel, row, column), and how many
    bytes they take.
    """
    scalar = SCALARS[dtype]
    lanes = host_target().lanes(scalar)
    padded = -(-channels // lanes) * lanes
    arguments = argument_block(0, 1, 0, 0, channels, padded, *w_strides)
    places = ((_PACKING.index("target"), target), (_PACKING.index("w"), w))
    step = Step(jit.kernel(emit_pack_taps, dtype, taps), arguments, places, 0, 1)
    return Prepared(step, prod(taps.size) * padded * scalar.bytes)


def _packed(p: Problem, target: Place) -> Prepared:
    strides = (p.w.strides[0], *p.w.strides[3:])
    return packed_taps(p.dtype, taps_of(p), strides, p.w.shape[0], p.w.place, target)


def taps_of(p: Problem) -> Taps:
    """Return the taps of a problem of planes."""
    taps, stride, dilation = ((x[1], x[2]) for x in (p.taps, p.stride, p.dilation))
    return Taps(taps, stride, dilation)


def _applies(p: Problem) -> bool:
    is_depthwise = p.channels == p.outputs == p.batch_groups == 1 < p.groups
    is_plane = p.taps[0] == p.places[0] == p.x.shape[2] == 1 and p.padding[0] == 0
    is_whole = p.spread == (1, 1, 1) and 0 < prod(p.taps) <= _MOST_TAPS
    return (
        is_depthwise and is_plane and is_whole
        and is_channels_last(p.x) and is_channels_last(p.out)
    )  # fmt: skip


def _cost(p: Problem) -> float:
    registers = -(-p.groups // host_target().lanes(SCALARS[p.dtype])) * prod(p.places)
    return registers * (prod(p.taps) * _PRODUCT + _STORE)


def inside(taps: Taps, left: int, width: int, out_width: int) -> tuple[int, int]:
    """Return the first column of the output all of whose taps lie inside, and the end of those."""
    step, reach = taps.stride[1], (taps.size[1] - 1) * taps.dilation[1]
    low = min(out_width, max(0, -(-left // step)))
    high = (width - 1 - reach + left) // step + 1
    return low, max(low, min(out_width, high))


def _plan(p: Problem) -> Plan:
    scalar, taps = SCALARS[p.dtype], taps_of(p)
    packing = None if p.prepared is not None else _packed(p, Place(WORKSPACE, 0))
    chunks = p.out.shape[0] * p.places[1]
    out, x = p.out.strides, p.x.strides
    arguments = argument_block(
        0, chunks, 0, 0, 0, 0, 0, p.groups, *p.x.shape[3:], *p.places[1:], out[0], *out[3:], x[0],
        *x[3:], *p.padding[1:], *inside(taps, p.padding[2], p.x.shape[4], p.places[2]),
    )  # fmt: skip
    places = {"out": p.out.place, "x": p.x.place, "w": p.prepared or Place(WORKSPACE, 0)}
    places |= {} if p.after is None else p.after.places(p.out.place)
    after = SUM if p.after is None else p.after.expression
    flops = 2 * chunks * p.places[2] * p.groups * prod(p.taps)
    step = Step(
        jit.kernel(emit_depthwise_last, p.dtype, taps, after),
        arguments,
        tuple((_SLOT[name], place) for name, place in places.items()),
        host_target().lanes(scalar) * scalar.bytes,
        workers_for(chunks=chunks, flops=flops, nbytes=chunks * out[3] * scalar.bytes),
    )
    if packing is None:
        return Plan((step,))
    return Plan((packing.step, step), packing.nbytes)


DEPTHWISE_LAST = Strategy(
    name="depthwise channels last",
    applies=_applies,
    cost=_cost,
    plan=_plan,
    fuses=lambda _: True,
    prepared=lambda p: _packed(p, Place(OUT, 0)),
)
