"""The direct convolution: tiles of pixels × output channels in registers, no matrix in between.

    out[p, o] = Σ_e Σ_s w[e, s, o] · x[offset(p) + offset(e) + s]

Registers hold output channels; entries e are a block of input channels at a tap, whose channels s
lie side by side. Pixels are any: their offsets come from a table, so that tiles run over the ends
of rows and images and none is left part empty (after Dukhan, "The indirect convolution algorithm",
2019). A chunk sums into a buffer, block of entries after block, and writes it out when done.
"""

from dataclasses import dataclass
from itertools import accumulate
from math import prod

from lamina.codegen import jit
from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, Scalar, Type, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.filters import FilterTables, emit_pack_filters, filter_axes
from lamina.kernels.convolution.results import SUM, emit_pixels, emit_planes
from lamina.kernels.convolution.tiling import Tiling, tiling_for
from lamina.kernels.expression import Expression
from lamina.kernels.launch import Place, Step, argument_block, workers_for
from lamina.kernels.offsets import emit_table
from lamina.kernels.operand import AXES, Axes, flat, product
from lamina.kernels.scalars import SCALARS

_FIELDS = (
    "counter", "chunks", "out", "x", "w", "bias", "residual", "bands", "panel_chunks", "pixels",
    "band", "panels",
    "panel_chunk", "outputs", "channels", "blocks", "block_group", "taps", "out_channel",
    "out_group", "x_group", "packs", "w_row", "w_channel",
    "buffer", "filters", "pixel_tables", "entry_tables", "filter_tables",
)  # fmt: skip
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_PIXEL_AXES = len(_FIELDS)
_ENTRY_AXES = _PIXEL_AXES + 3 * AXES
_FILTER_AXES = _ENTRY_AXES + 3 * AXES
_CHUNKS_A_THREAD = 4
_MOST_BAND = 1024
_LEAST_BAND = 96
_BAND_BYTES = 256 << 10
_LINE_BYTES = 64
_UNROLL = 4


def _entry(
    k: Builder, sums: list[Value], pixels: list[Value], w: Value, tiling: Tiling
) -> list[Value]:
    """Return the sums after the channels of one entry, which begin at `pixels` in x."""
    count = min(tiling.block, tiling.unrolled)
    if tiling.block == count:
        return _steps(k, sums, pixels, w, tiling, count)
    with k.loop(tiling.block, step=count, carry=sums) as turn:
        here = [pixel + turn.index for pixel in pixels]
        weights = w + turn.index * tiling.panel
        turn.next = _steps(k, turn.carried, here, weights, tiling, count)
    return turn.results


def _steps(
    k: Builder, sums: list[Value], pixels: list[Value], w: Value, tiling: Tiling, count: int
) -> list[Value]:
    """Return the sums after `count` channels that lie side by side."""
    lanes, vectors = tiling.lanes, tiling.vectors
    for step in range(count):
        weights = [w.load(step * tiling.panel + v * lanes, lanes=lanes) for v in range(vectors)]
        done: list[Value] = []
        for number, pixel in enumerate(pixels):
            content = k.splat(pixel[step])
            done += [
                k.fma(content, weight, sums[number * vectors + v])
                for v, weight in enumerate(weights)
            ]
        sums = done
    return sums


def _emit_tile(module: KernelModule, scalar: Scalar, tiling: Tiling, height: int) -> Function:
    """Define `_tile_<height>(count, entries, pixels, x, w, c, adds, ahead)` and return it.

    Sums `count` entries for the pixels at the offsets `pixels`, into or on top of the rows of `c`,
    and asks for a cache line of the weights `ahead` with each entry.
    """
    pointer, index = Pointer(scalar), Pointer(i64)
    parameters: dict[str, Type] = {
        "count": i64, "entries": index, "pixels": index, "x": pointer, "w": pointer,
        "c": pointer, "adds": i64, "ahead": pointer,
    }  # fmt: skip
    unroll = 1 if tiling.block > 1 else _UNROLL
    line = _LINE_BYTES // scalar.bytes
    with module.function(f"_tile_{height}", parameters, inline="never") as opened:
        k, count, entries, pixels, x, w, c, adds, ahead = opened
        places = [x + pixels[number] for number in range(height)]
        start = [k.zeros(scalar)] * (height * tiling.vectors)
        size = tiling.block * tiling.panel
        whole = count // unroll * unroll
        with k.loop(whole, step=unroll, carry=[w, *start]) as turn:
            weights, *sums = turn.carried
            k.prefetch(ahead + turn.index * line)
            for number in range(unroll):
                offset = entries[turn.index + number]
                sums = _entry(k, sums, [place + offset for place in places], weights, tiling)
                weights = weights + size
            turn.next = [weights, *sums]
        sums = turn.results[1:]
        if unroll > 1:
            with k.loop(count, start=whole, carry=turn.results) as rest:
                weights, *sums = rest.carried
                offset = entries[rest.index]
                sums = _entry(k, sums, [place + offset for place in places], weights, tiling)
                rest.next = [weights + size, *sums]
            sums = rest.results[1:]
        with k.either(adds.equals(1)) as (then, otherwise):
            with then:
                for number, total in enumerate(sums):
                    place = number * tiling.lanes
                    c.store(place, c.load(place, lanes=tiling.lanes) + total)
            with otherwise:
                for number, total in enumerate(sums):
                    c.store(number * tiling.lanes, total)
        handle: Function = k.handle
    return handle


class _Chunk:
    """Emits the work on one chunk: a band of pixels of some panels."""

    def __init__(
        self, k: Builder, scalar: Scalar, parts: "_Parts", args: Value, scratch: Value
    ) -> None:
        self.k = k
        self.scalar = scalar
        self.parts = parts
        self.tiling = parts.tiling
        self.args = args
        self.buffer, self.filters = (
            k.cast_pointer(scratch + self.get(name), scalar) for name in ("buffer", "filters")
        )
        pixels, entries, filters = (
            k.cast_pointer(scratch + self.get(f"{name}_tables"), i64)
            for name in ("pixel", "entry", "filter")
        )
        # The last tile may read past the band, where its height is not compiled.
        room = self.get("band") + self.tiling.pixels
        self.targets, self.runs, self.pixels, self.pixel_runs = (
            pixels + room * row for row in range(4)
        )
        total = self.get("block_group") * self.get("taps")
        self.entries = [entries + total * row for row in range(4)]
        count = self.get("taps") * self.tiling.block
        self.count = count
        self.tables = FilterTables.filled(k, parts.table, args + _FILTER_AXES, count, filters)

    def get(self, name: str) -> Value:
        return self.args[_SLOT[name]]

    def run(self, number: Value) -> None:
        """Do chunk `number`: its group, its band of pixels, its panels."""
        k, panel_chunks, bands = self.k, self.get("panel_chunks"), self.get("bands")
        self.group = number // (panel_chunks * bands)
        first = number // panel_chunks % bands * self.get("band")
        self.size = k.minimum(self.get("band"), self.get("pixels") - first)
        self._fill_pixels(first)
        self.out, x, self.bias, self.residual = (
            k.pointer_at(self.get(name), self.scalar) for name in ("out", "x", "bias", "residual")
        )
        self.x = x + self.group * self.get("x_group")
        start = number % panel_chunks * self.get("panel_chunk")
        stop = k.minimum(start + self.get("panel_chunk"), self.get("panels"))
        with k.loop(stop, start=start) as turn:
            self._panel(turn.index)

    def _fill_pixels(self, first: Value) -> None:
        k = self.k
        k.call(
            self.parts.table, self.args + _PIXEL_AXES, first, self.size, k.integer(1),
            self.targets, self.runs, self.pixels, self.pixel_runs,
        )  # fmt: skip
        for place in range(self.tiling.pixels):
            self.pixels[self.size + place] = self.pixels[self.size - 1]

    def _panel(self, panel: Value) -> None:
        k = self.k
        first = panel * self.tiling.panel
        self.valid = k.minimum(self.get("outputs") - first, self.tiling.panel)
        blocks, step = self.get("blocks"), self.get("block_group")
        with k.loop(blocks, step=step) as turn:
            count = k.minimum(step, blocks - turn.index)
            self._fill_entries(turn.index, count)
            weights = self._weights(panel, turn.index, count)
            adds = k.select(turn.index > 0, k.integer(1), k.integer(0))
            self._tiles(count * self.get("taps"), weights, adds)
        offset = self.group * self.get("out_group") + first * self.get("out_channel")
        bias = self.group * self.get("outputs") + first
        out, residual = self.out + offset, self.residual + offset
        k.call(
            self.parts.store, out, self.get("out_channel"), self.buffer, self.size, self.valid,
            self.targets, self.runs, self.bias + bias, residual,
        )  # fmt: skip

    def _fill_entries(self, block: Value, count: Value) -> None:
        taps = self.get("taps")
        self.k.call(
            self.parts.table, self.args + _ENTRY_AXES, block * taps, count * taps,
            self.k.integer(1), *self.entries,
        )  # fmt: skip

    def _weights(self, panel: Value, block: Value, count: Value) -> Value:
        """Return where the packed weights of `count` blocks lie, packed now if they were not."""
        k = self.k
        w = k.pointer_at(self.get("w"), self.scalar)
        self.following = self._following(w, panel, block + count)
        with k.when(self.get("packs").equals(1)):
            row = self.group * self.get("outputs") + panel * self.tiling.panel
            channel = block * self.tiling.block
            k.call(
                self.parts.pack, self.filters,
                w + (row * self.get("w_row") + channel * self.get("w_channel")),
                self.get("w_row"), self.valid, self.get("channels") - channel,
                self.get("w_channel"), count, self.count,
                self.tables.offsets, self.tables.runs, self.tables.targets,
            )  # fmt: skip
        size = self.count * self.tiling.panel
        number = (self.group * self.get("panels") + panel) * self.get("blocks") + block
        return k.select(self.get("packs").equals(1), self.filters, w + number * size)

    def _following(self, w: Value, panel: Value, block: Value) -> Value:
        """Return where the weights after those before `block` lie, of this panel or the next."""
        k = self.k
        is_last = block >= self.get("blocks")
        row = self.group * self.get("outputs") + panel * self.tiling.panel
        row = row + k.select(is_last, k.integer(self.tiling.panel), k.integer(0))
        block = k.select(is_last, k.integer(0), block)
        return w + (row * self.get("w_row") + block * self.tiling.block * self.get("w_channel"))

    def _tiles(self, count: Value, weights: Value, adds: Value) -> None:
        """Sum `count` entries for all pixels: in tiles as even as they come."""
        k, most = self.k, self.tiling.pixels
        tiles = (self.size + (most - 1)) // most
        each, more = self.size // tiles, self.size % tiles
        size = count * (self.tiling.block * self.tiling.panel)
        line = _LINE_BYTES // self.scalar.bytes
        with k.loop(tiles) as turn:
            place = turn.index * each + k.minimum(turn.index, more)
            pixels = each + k.select(turn.index < more, k.integer(1), k.integer(0))
            self._ask_for_weights(turn.index, tiles)
            # The packed weights that come next are asked for along the way.
            ahead = weights + size + k.minimum(turn.index * count * line, size)
            height = self._compiled_height(pixels)
            for number, function in self.parts.tiles.items():
                with k.when(height.equals(number)):
                    k.call(
                        function, count, self.entries[2], self.pixels + place, self.x, weights,
                        self.buffer + place * self.tiling.panel, adds, ahead,
                    )  # fmt: skip

    def _ask_for_weights(self, tile: Value, tiles: Value) -> None:
        """Ask for a share of the weights that are to be packed next: some rows of the panel."""
        k = self.k
        size = self.get("block_group") * self.count
        line = _LINE_BYTES // self.scalar.bytes
        with k.when(self.get("packs").equals(1)):
            start, stop = (number * self.valid // tiles for number in (tile, tile + 1))
            with k.loop(stop, start=start) as row:
                here = self.following + row.index * self.get("w_row")
                with k.loop(size, step=line) as place:
                    k.prefetch(here + place.index, level=2)

    def _compiled_height(self, pixels: Value) -> Value:
        height = self.k.integer(self.tiling.pixels)
        for number in reversed(self.tiling.heights[:-1]):
            height = self.k.select(pixels <= number, self.k.integer(number), height)
        return height


@dataclass(frozen=True, slots=True)
class _Parts:
    """The functions that a chunk's loops call."""

    tiling: Tiling
    table: Function
    pack: Function
    store: Function
    tiles: dict[int, Function]


def emit_tiled(
    module: KernelModule, dtype: str, block: int, epilogue: Expression, is_last: bool
) -> None:
    """Define `run(arguments, scratch)`: claim chunks and compute them.

    Results are planes of channels or, where channels are last, lie side by side.
    """
    scalar = SCALARS[dtype]
    tiling = tiling_for(module.target, scalar, block)
    parts = _Parts(
        tiling=tiling,
        table=emit_table(module),
        pack=emit_pack_filters(module, scalar, tiling),
        store=(emit_pixels if is_last else emit_planes)(module, scalar, tiling, epilogue),
        tiles={height: _emit_tile(module, scalar, tiling, height) for height in tiling.heights},
    )
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        chunk = _Chunk(k, scalar, parts, args, scratch)
        with k.claimed(args, chunk.get("chunks")) as number:
            chunk.run(number)


@dataclass(frozen=True, slots=True)
class Tiled:
    """One direct convolution to compute; axes are (size, stride, stride …), outermost first.

    `pixels` have strides in out and x; `sums`, over blocks of `block` channels and taps, in w and
    x. `w` is packed, or where `packs` says so is packed by each chunk: then the strides of `sums`
    in w, with channels one by one, and `w_row` tell where it lies. Where `is_last`, the channels of
    out lie side by side.
    """

    dtype: str
    block: int
    out: Place
    x: Place
    w: Place
    packs: bool
    groups: int
    outputs: int
    channels: int
    out_channel: int
    out_group: int
    x_group: int
    w_row: int
    pixels: Axes
    sums: Axes
    band: int
    epilogue: Expression = SUM
    is_last: bool = False
    bias: Place | None = None
    residual: Place | None = None

    def step(self) -> Step:
        """Return the kernel call that computes it."""
        scalar = SCALARS[self.dtype]
        tiling = tiling_for(host_target(), scalar, self.block)
        taps = prod(axis[0] for axis in self.sums[1:])
        blocks, panels = -(-self.channels // self.block), -(-self.outputs // tiling.panel)
        block_group = min(blocks, max(1, tiling.steps // (self.block * taps)))
        pixels = product(self.pixels)
        flops = 2 * pixels * self.groups * self.outputs * self.channels * taps
        workers = workers_for(flops=flops)
        bands = -(-pixels // self.band)
        wanted = 1 if workers == 1 else -(-_CHUNKS_A_THREAD * workers // (bands * self.groups))
        panel_chunk = -(-panels // min(wanted, panels))
        panel_chunks = -(-panels // panel_chunk)
        chunks = self.groups * bands * panel_chunks
        room = self.band + tiling.pixels
        sizes = (
            (room + tiling.lanes) * tiling.panel * scalar.bytes,
            block_group * taps * self.block * tiling.panel * scalar.bytes + 2 * _LINE_BYTES,
            4 * room * 8,
            4 * block_group * taps * 8,
            4 * self.block * taps * 8,
        )
        starts = list(accumulate((-(-size // 64) * 64 for size in sizes), initial=0))
        filters = filter_axes(self.sums, tiling)
        entries = [(blocks, 0, self.sums[0][2] * self.block)]
        entries += [(size, 0, stride) for size, _, stride in self.sums[1:]]
        arguments = argument_block(
            0, chunks, 0, 0, 0, 0, 0, bands, panel_chunks, pixels, self.band, panels,
            panel_chunk, self.outputs, self.channels, blocks, block_group, taps,
            self.out_channel, self.out_group, self.x_group, self.packs, self.w_row,
            self.sums[0][1],
            *starts[:-1], *flat(self.pixels, 2), *flat(entries, 2), *flat(filters, 2),
        )  # fmt: skip
        named = {
            "out": self.out, "x": self.x, "w": self.w, "bias": self.bias, "residual": self.residual,
        }  # fmt: skip
        places = tuple((_SLOT[name], place) for name, place in named.items() if place is not None)
        entry = jit.kernel(emit_tiled, self.dtype, self.block, self.epilogue, self.is_last)
        return Step(entry, arguments, places, starts[-1], min(workers, chunks))


def band_of(pixels: int, taps: int, pixel_bytes: int, tiling: Tiling) -> int:
    """Return how many pixels a chunk has at most; it changes when work is done, never a result.

    Where there is but one tap, each panel reads all of the band's x, of `pixel_bytes` a pixel,
    anew: it should stay in the second cache.
    """
    most = _MOST_BAND
    if taps == 1:
        most = max(_LEAST_BAND, min(most, _BAND_BYTES // pixel_bytes))
    each = _ceil_div(pixels, _ceil_div(pixels, most))
    return _ceil_div(each, tiling.lanes) * tiling.lanes


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)
