"""Convolution of images of few channels, plane by plane, to pixels whose channels lie side by side:
the first layer of a network.

    out[p, o] = Σ_{c, i, j} w[o, c, i, j] · x[c, p_h·stride + i, p_w·stride + j]

A chunk is a row of the output. The rows that it reads are copied with zeros around them, so that
the pixels of a tile read x at constant distances; a tile sums up all of its products in registers.
"""

from dataclasses import dataclass
from itertools import accumulate
from math import prod

from lamina.codegen import jit
from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, Scalar, Type, element_of, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.pixel_tiles import each_tile, emit_end
from lamina.kernels.convolution.problem import Problem, is_channels_last
from lamina.kernels.convolution.results import SUM
from lamina.kernels.convolution.strategy import Prepared, Strategy, weights_cost
from lamina.kernels.expression import Expression
from lamina.kernels.gemm.packed import packed_size, packing
from lamina.kernels.gemm.tiles import Tile, columns, k_block, tile_for
from lamina.kernels.launch import OUT, WORKSPACE, Place, Plan, Step, argument_block, workers_for
from lamina.kernels.operand import coalesce
from lamina.kernels.scalars import SCALARS

_FIELDS = (
    "counter", "chunks", "out", "x", "w", "bias", "residual", "channels", "rows", "height", "width",
    "out_height", "out_width", "outputs", "out_image", "out_row", "out_column", "x_image",
    "x_channel", "x_row", "stride", "dilation", "top", "left", "pitch", "panels", "sums",
)  # fmt: skip
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_MOST_CHANNELS = 8
_MOST_TAPS = 11
# Cycles: of a product of registers, of a tile's end, of a register copied.
_PRODUCT, _END, _COPIED = 0.55, 60.0, 3.0


@dataclass(frozen=True, slots=True)
class Across:
    """The taps of a row, the distance of pixels that neighbours read, and that of taps."""

    taps: int
    stride: int
    dilation: int


def _emit_tile(module: KernelModule, scalar: Scalar, across: Across) -> Function:
    """Define `_tile(lines, x, pitch, w, sums)`: the sums of a tile over so many lines of x, `pitch`
    apart, and a row of taps for each; rows of w are a panel wide.
    """
    pointer = Pointer(scalar)
    parameters: dict[str, Type] = {
        "lines": i64, "x": pointer, "pitch": i64, "w": pointer, "sums": pointer,
    }  # fmt: skip
    tile, lanes = tile_for(module.target), module.target.lanes(scalar)
    width = tile.vectors * lanes
    with module.function("_tile", parameters, inline="never") as opened:
        k, lines, x, pitch, w, sums = opened
        start = [k.zeros(scalar)] * (tile.rows * tile.vectors)
        # Of several taps in a row LLVM loads what they read ahead, until registers spill.
        with k.loop(lines, carry=[x, w, *start]) as turn:
            line, *carried = turn.carried
            with k.loop(across.taps, carry=carried) as tap:
                weights, *totals = tap.carried
                here = line + tap.index * across.dilation
                row = [weights.load(v * lanes, lanes=lanes) for v in range(tile.vectors)]
                for pixel in range(tile.rows):
                    content = k.splat(here[pixel * across.stride])
                    for v, weight in enumerate(row):
                        place = pixel * tile.vectors + v
                        totals[place] = k.fma(content, weight, totals[place])
                tap.next = [weights + width, *totals]
            turn.next = [line + pitch, *tap.results]
        for place, total in enumerate(turn.results[2:]):
            sums.store(place * lanes, total)
        handle: Function = k.handle
    return handle


class _Row:
    """Emits the work on a row of the output."""

    def __init__(
        self, k: Builder, across: Across, tile: Function, end: Function, args: Value, scratch: Value
    ) -> None:
        self.k, self.across, self.tile, self.end, self.args = k, across, tile, end, args
        self.scalar = scalar = element_of(end.parameters[0])
        self.width = columns(tile_for(k.target), k.target, scalar)
        self.lines = k.cast_pointer(scratch, scalar)
        self.sums = k.cast_pointer(scratch + self.get("sums"), scalar)

    def get(self, name: str) -> Value:
        return self.args[_SLOT[name]]

    def at(self, name: str) -> Value:
        return self.k.pointer_at(self.get(name), self.scalar)

    def run(self, number: Value) -> None:
        """Compute row `number` of all images."""
        k = self.k
        image, row = number // self.get("out_height"), number % self.get("out_height")
        self._copy_lines(image, row)
        start = image * self.get("out_image") + row * self.get("out_row")
        out, residual = self.at("out") + start, self.at("residual") + start
        outputs, step = self.get("outputs"), self.get("out_column")
        lines = self.get("channels") * self.get("rows")
        depth = lines * self.across.taps
        with k.loop(self.get("panels")) as panel:
            column = panel.index * self.width
            w = self.at("w") + column * depth

            def work(pixel: Value) -> None:
                source = self.lines + pixel * self.across.stride
                k.call(self.tile, lines, source, self.get("pitch"), w, self.sums)
                there = pixel * step + column
                k.call(
                    self.end, out + there, step, self.sums, self.at("bias") + column,
                    residual + there, outputs - column,
                )  # fmt: skip

            each_tile(k, self.get("out_width"), work)

    def _copy_lines(self, image: Value, row: Value) -> None:
        """Copy the lines that a row reads, channel by channel, with zeros around them."""
        k, lanes = self.k, self.k.target.lanes(self.scalar)
        first = row * self.get("stride") - self.get("top")
        x = self.at("x") + image * self.get("x_image")
        with k.loop(self.get("channels")) as channel, k.loop(self.get("rows")) as tap:
            number = channel.index * self.get("rows") + tap.index
            target = self.lines + number * self.get("pitch")
            here = first + tap.index * self.get("dilation")
            with k.loop(self.get("pitch"), step=lanes) as turn:
                target.store(turn.index, k.zeros(self.scalar))
            with k.when(k.both(here > -1, here < self.get("height"))):
                line = x + (channel.index * self.get("x_channel") + here * self.get("x_row"))
                inner = target + self.get("left")
                with k.loop(self.get("width"), step=lanes) as turn:
                    left = self.get("width") - turn.index
                    k.store_first(inner + turn.index, k.load_first(line + turn.index, left), left)


def emit_planes_last(module: KernelModule, dtype: str, across: Across, after: Expression) -> None:
    """Define `run(arguments, scratch)`: claim rows of the output and compute them, `after` saying
    what becomes of the sums.
    """
    scalar = SCALARS[dtype]
    width = columns(tile_for(module.target), module.target, scalar)
    tile, end = _emit_tile(module, scalar, across), emit_end(module, scalar, after, width)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        row = _Row(k, across, tile, end, args, scratch)
        with k.claimed(args, row.get("chunks")) as number:
            row.run(number)


def _tile() -> Tile:
    return tile_for(host_target())


def _applies(p: Problem) -> bool:
    is_plane = p.taps[0] == p.places[0] == p.x.shape[2] == 1 and p.padding[0] == 0
    is_whole = p.parts == 1 and p.spread == (1, 1, 1) and min(p.padding) >= 0
    is_small = 0 < p.channels <= _MOST_CHANNELS and 0 < p.taps[2] <= _MOST_TAPS
    depth = prod(p.w.shape[1:])
    return (
        is_plane and is_whole and is_small
        and depth > 0 and k_block(depth, _tile()) >= depth
        and p.places[2] >= _tile().rows
        and coalesce(list(zip(p.w.shape, p.w.strides, strict=True))) == [(prod(p.w.shape), 1)]
        and p.x.strides[4] == 1
        and is_channels_last(p.out)
    )  # fmt: skip


def _cost(p: Problem) -> float:
    lanes = host_target().lanes(SCALARS[p.dtype])
    panels = -(-p.outputs // (_tile().vectors * lanes))
    tiles = p.places[1] * -(-p.places[2] // _tile().rows) * panels
    copied = p.places[1] * p.channels * p.taps[1] * (2 * p.x.shape[4] // lanes + 4)
    products = prod(p.w.shape[1:]) * _tile().rows * _tile().vectors
    return tiles * (products * _PRODUCT + _END) + copied * _COPIED + weights_cost(p)


def _packed(p: Problem, target: Place) -> Prepared:
    depth = prod(p.w.shape[1:])
    shape = (depth, p.outputs)
    step = packing(shape, (1, depth), p.dtype, target, p.w.place)
    return Prepared(step, packed_size(shape, p.dtype) * SCALARS[p.dtype].bytes)


def _plan(p: Problem) -> Plan:
    scalar, target, tile = SCALARS[p.dtype], host_target(), _tile()
    packed = None if p.prepared is not None else _packed(p, Place(WORKSPACE, 0))
    lanes, width = target.lanes(scalar), columns(tile, target, scalar)
    across = Across(p.taps[2], p.stride[2], p.dilation[2])
    reach = max(p.padding[2] + p.x.shape[4], p.extent[2]) + lanes
    pitch = -(-reach // lanes) * lanes
    sizes = (p.channels * p.taps[1] * pitch, tile.rows * width)
    starts = list(accumulate((n * scalar.bytes for n in sizes), initial=0))
    chunks = p.out.shape[0] * p.places[1]
    numbers = {
        "chunks": chunks, "channels": p.channels, "rows": p.taps[1], "height": p.x.shape[3],
        "width": p.x.shape[4], "out_height": p.places[1], "out_width": p.places[2],
        "outputs": p.outputs, "out_image": p.out.strides[0], "out_row": p.out.strides[3],
        "out_column": p.out.strides[4],
        "x_image": p.x.strides[0], "x_channel": p.x.strides[1], "x_row": p.x.strides[3],
        "stride": p.stride[1], "dilation": p.dilation[1], "top": p.padding[1],
        "left": p.padding[2], "pitch": pitch, "panels": -(-p.outputs // width), "sums": starts[1],
    }  # fmt: skip
    places = {"out": p.out.place, "x": p.x.place, "w": p.prepared or Place(WORKSPACE, 0)}
    places |= {} if p.after is None else p.after.places(p.out.place)
    step = Step(
        jit.kernel(emit_planes_last, p.dtype, across, p.after.expression if p.after else SUM),
        argument_block(*(numbers.get(name, 0) for name in _FIELDS)),
        tuple((_SLOT[name], place) for name, place in places.items()),
        starts[-1],
        workers_for(chunks=chunks, flops=2 * p.out.shape[0] * p.products),
    )
    return Plan((step,)) if packed is None else Plan((packed.step, step), packed.nbytes)


PLANES_LAST = Strategy(
    name="planes to channels last",
    applies=_applies,
    cost=_cost,
    plan=_plan,
    fuses=lambda _: True,
    prepared=lambda p: _packed(p, Place(OUT, 0)),
)
