"""The kernel of the gradient of 3×3 weights by Winograd's minimal filtering.

    dw = Gᵀ·[Σ_tiles (Aᵀ·z·A) ⊙ (B·d·Bᵀ)]·G

d is a tile of the input, z the gradient of the tile's results: the transforms of the convolution,
turned. A chunk is a block of inputs times a block of output channels; it goes through the tiles of
all images, a block at a time, in an order that only shapes decide. Lanes of sums are inputs, or
output channels where those fill the registers better: it does not change a product.
"""

from dataclasses import dataclass
from itertools import accumulate

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Type, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.channel_lanes import (
    SET_SKEW,
    call_for_height,
    emit_multiplications,
    emit_patch,
    even_groups,
    loaded,
    store_apart,
)
from lamina.kernels.convolution.winograd_kernel import shapes
from lamina.kernels.convolution.winograd_stages import Shapes, emit_input
from lamina.kernels.convolution.winograd_tiles import Run, runs
from lamina.kernels.convolution.winograd_transforms import TAPS

FIELDS = (
    "counter", "chunks", "out", "x", "w",
    "x_blocks", "w_blocks", "x_block", "w_block", "inputs", "outputs",
    "tiles", "tile_rows", "tile_columns", "height", "width", "w_height", "w_width", "top", "left",
    "lanes_are_outputs", "out_group", "out_image", "out_channel", "out_row", "out_column",
    "x_group", "x_image", "x_channel", "x_row", "w_group", "w_output", "w_channel", "w_row",
)  # fmt: skip
SLOT = {name: place for place, name in enumerate(FIELDS)}
# Inputs and output channels of the largest chunk, and tiles of a block: a sum goes to memory after
# so many products.
LARGEST_BLOCK = 128
BLOCK_TILES = 64
_LINE_BYTES = 64


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Where the parts of a thread's scratch memory start, in bytes."""

    patch: int
    spare: int
    v: int
    z: int
    m: int
    size: int

    @classmethod
    def of(cls, s: Shapes) -> "_Scratch":
        tiles = s.points * (LARGEST_BLOCK * BLOCK_TILES + SET_SKEW)
        sums = s.points * (LARGEST_BLOCK * LARGEST_BLOCK + SET_SKEW)
        counts = (s.transform.size * s.patch_pitch, s.points * s.lanes, tiles, tiles, sums)
        sizes = (-(-n * s.scalar.bytes // _LINE_BYTES) * _LINE_BYTES for n in counts)
        return cls(*accumulate(sizes, initial=0))


def scratch_bytes(s: Shapes) -> int:
    """Return how much scratch memory a thread needs."""
    return _Scratch.of(s).size


@dataclass(frozen=True, slots=True)
class _Stages:
    patch: Function
    input: Function
    gradient: Function
    multiply: dict[int, Function]
    taps: Function


def _emit_gradient(module: KernelModule, s: Shapes) -> Function:
    """Define `_gradient(patch, tiles, z, pitch, spare)`: Aᵀ·z·A of each tile of a run."""
    parameters: dict[str, Type] = {
        "patch": Pointer(s.scalar), "tiles": i64, "z": Pointer(s.scalar), "pitch": i64,
        "spare": Pointer(s.scalar),
    }  # fmt: skip
    size, outputs, lanes = s.transform.size, s.transform.outputs, s.lanes
    with module.function("_gradient", parameters, inline="never") as opened:
        k, patch, tiles, z, pitch, spare = opened
        with k.loop(tiles) as tile:
            source = patch + tile.index * (outputs * lanes)
            target = z + tile.index * s.panel
            with k.loop(outputs) as column:
                here = source + column.index * lanes
                found = s.transform.gradient(k, loaded(here, s.patch_pitch, outputs, lanes))
                store_apart(spare + column.index * lanes, found, outputs * lanes)
            with k.loop(size) as row:
                here = spare + row.index * (outputs * lanes)
                found = s.transform.gradient(k, loaded(here, lanes, outputs, lanes))
                store_apart(target + row.index * pitch * size, found, pitch)
        handle: Function = k.handle
    return handle


def _emit_taps(module: KernelModule, s: Shapes) -> Function:
    """Define `_taps(m, pitch, count, out, line, lane, row, column, left, spare)`: Gᵀ·m·G of `count`
    rows and `left` lanes of sums, written to their places.
    """
    pointer = Pointer(s.scalar)
    parameters: dict[str, Type] = {
        "m": pointer, "pitch": i64, "count": i64, "out": pointer, "line": i64, "lane": i64,
        "row": i64, "column": i64, "left": i64, "spare": pointer,
    }  # fmt: skip
    size, lanes = s.transform.size, s.lanes
    with module.function("_taps", parameters, inline="never") as opened:
        k, m, pitch, count, out, step, each, row, column, left, spare = opened
        with k.loop(count) as turn:
            source = m + turn.index * s.panel
            with k.loop(size) as across:
                here = source + across.index * pitch
                rows = [(here + pitch * (line * size)).load(0, lanes=lanes) for line in range(size)]
                found = s.transform.taps(k, rows)
                store_apart(spare + across.index * lanes, found, size * lanes)
            taps: list[Value] = []
            for line in range(TAPS):
                here = spare + line * size * lanes
                taps += s.transform.taps(k, loaded(here, lanes, size, lanes))
            target = out + turn.index * step
            is_record = k.both(column.equals(1), row.equals(TAPS))
            with k.either(is_record) as (record, apart):
                with record:
                    _write_records(k, s, taps, target, each, left, spare)
                with apart:
                    store_apart(spare, taps, lanes)
                    with k.loop(k.minimum(left, lanes)) as lane:
                        for tap in range(TAPS * TAPS):
                            there = row * (tap // TAPS) + column * (tap % TAPS)
                            place = lane.index + tap * lanes
                            (target + lane.index * each)[there] = spare[place]
        handle: Function = k.handle
    return handle


def _write_records(
    k: Builder, s: Shapes, taps: list[Value], out: Value, each: Value, left: Value, spare: Value
) -> None:
    """Write the taps of each lane side by side: squares of registers, then those that remain."""
    lanes, start = s.lanes, 0
    if lanes > len(taps):
        taps = [*taps, *[taps[0]] * (lanes - len(taps))]
        for number, record in enumerate(k.transpose(taps)):
            with k.when(left > number):
                k.store_first(out + each * number, record, k.integer(TAPS * TAPS))
        return
    while start + lanes <= len(taps):
        for number, record in enumerate(k.transpose(taps[start : start + lanes])):
            with k.when(left > number):
                (out + each * number).store(start, record)
        start += lanes
    store_apart(spare, taps[start:], lanes)
    with k.loop(k.minimum(left, lanes)) as lane:
        for number, tap in enumerate(range(start, len(taps))):
            (out + each * lane.index)[tap] = (spare + number * lanes)[lane.index]


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of the products of a chunk: its transformed tiles and how far apart their places
    are, how many channels there are now and at most, and their stride in out.
    """

    tiles: Value
    pitch: Value
    count: Value
    block: Value
    out: Value


class _Chunk:
    """Emits the work on one chunk."""

    def __init__(self, k: Builder, s: Shapes, stages: _Stages, args: Value, scratch: Value) -> None:
        self.k = k
        self.s = s
        self.stages = stages
        self.args = args
        parts = _Scratch.of(s)
        self.patch, self.spare, self.v, self.z, self.m = (
            k.cast_pointer(scratch + start, s.scalar)
            for start in (parts.patch, parts.spare, parts.v, parts.z, parts.m)
        )
        self.v_pitch = self.get("x_block") * BLOCK_TILES + SET_SKEW
        self.z_pitch = self.get("w_block") * BLOCK_TILES + SET_SKEW
        self.m_pitch = self.get("x_block") * self.get("w_block") + SET_SKEW

    def get(self, name: str) -> Value:
        return self.args[SLOT[name]]

    def at(self, name: str, *terms: tuple[Value, str]) -> Value:
        """Return where operand `name` has the place that indices times strides give."""
        place = self.group * self.get(f"{name}_group")
        for index, stride in terms:
            place = place + index * self.get(stride)
        return self.k.pointer_at(self.get(name), self.s.scalar) + place

    def run(self, number: Value) -> None:
        """Work on chunk `number`: its group, its inputs, its output channels."""
        k = self.k
        x_block, w_block = number % self.get("x_blocks"), number // self.get("x_blocks")
        self.group = w_block // self.get("w_blocks")
        self.input = x_block * self.get("x_block")
        self.output = w_block % self.get("w_blocks") * self.get("w_block")
        self.inputs = k.minimum(self.get("x_block"), self.get("inputs") - self.input)
        self.outputs = k.minimum(self.get("w_block"), self.get("outputs") - self.output)
        self._orient()
        with k.loop(self.get("tiles"), step=BLOCK_TILES) as turn:
            self.tiles = k.minimum(self.get("tiles") - turn.index, BLOCK_TILES)
            lines = (self.get("tile_rows"), self.get("tile_columns"))
            with runs(k, turn.index, self.tiles, *lines) as run:
                self._transform_inputs(run)
                self._transform_gradients(run)
            with k.loop(self.s.points) as point:
                self._multiply(point.index, turn.index)
        with k.loop(self.across.count, step=self.s.lanes) as lane:
            self._write(lane.index)

    def _orient(self) -> None:
        """Choose which side of the products is spread over lanes, and which over rows."""
        inputs = (self.v, self.v_pitch, self.inputs, self.get("x_block"), self.get("out_image"))
        outputs = (self.z, self.z_pitch, self.outputs, self.get("w_block"), self.get("out_channel"))
        is_turned = self.get("lanes_are_outputs").equals(1)
        pairs = list(zip(outputs, inputs, strict=True))
        self.across = _Side(*(self.k.select(is_turned, a, b) for a, b in pairs))
        self.down = _Side(*(self.k.select(is_turned, b, a) for a, b in pairs))

    def _transform_inputs(self, run: Run) -> None:
        k, s = self.k, self.s
        outputs, size = s.transform.outputs, s.transform.size
        with k.loop(self.inputs, step=s.lanes) as lane:
            row, column = run.row * outputs, run.column * outputs
            image = self.input + lane.index
            x = self.at("x", (image, "x_image"), (run.image, "x_channel"))
            k.call(
                self.stages.patch, x, self.get("x_image"), self.get("x_row"),
                self.inputs - lane.index, row - self.get("top"), k.integer(size),
                column - self.get("left"), run.tiles * outputs + (size - outputs),
                self.get("height"), self.get("width"), self.patch, k.integer(s.patch_pitch),
            )  # fmt: skip
            v = self.v + self._panel_place(lane.index, run.first)
            k.call(self.stages.input, self.patch, run.tiles, v, self.v_pitch, self.spare)

    def _transform_gradients(self, run: Run) -> None:
        k, s = self.k, self.s
        outputs = s.transform.outputs
        with k.loop(self.outputs, step=s.lanes) as lane:
            row, column = run.row * outputs, run.column * outputs
            output = self.output + lane.index
            w = self.at("w", (output, "w_output"), (run.image, "w_channel"))
            k.call(
                self.stages.patch, w, self.get("w_output"), self.get("w_row"),
                self.outputs - lane.index, row, k.integer(outputs), column, run.tiles * outputs,
                self.get("w_height"), self.get("w_width"), self.patch, k.integer(s.patch_pitch),
            )  # fmt: skip
            z = self.z + self._panel_place(lane.index, run.first)
            k.call(self.stages.gradient, self.patch, run.tiles, z, self.z_pitch, self.spare)

    def _panel_place(self, lane: Value, tile: Value) -> Value:
        panel = self.s.panel
        return lane // panel * (BLOCK_TILES * panel) + tile * panel + lane % panel

    def _multiply(self, place: Value, adds: Value) -> None:
        """Multiply at one place of the tile: a sum over the tiles of a block."""
        k, panel, down, across = self.k, self.s.panel, self.down, self.across
        left, right = (side.tiles + place * side.pitch for side in (down, across))
        m = self.m + place * self.m_pitch
        with k.loop(down.count, step=panel) as line:
            rows = k.minimum(down.count - line.index, panel)
            with even_groups(k, rows, self.s.registers.rows) as (first, height):
                here = left + (line.index * BLOCK_TILES + first)
                with k.loop(across.count, step=panel) as lane:
                    there = right + lane.index * BLOCK_TILES
                    sums = m + (lane.index * down.block + (line.index + first) * panel)
                    places = (here, there, sums, k.integer(panel))
                    call_for_height(k, self.stages.multiply, height, self.tiles, *places, adds)

    def _write(self, lane: Value) -> None:
        k, panel, down, across = self.k, self.s.panel, self.down, self.across
        m = self.m + (lane // panel * panel * down.block + lane % panel)
        out = self.at("out", (self.input, "out_image"), (self.output, "out_channel"))
        k.call(
            self.stages.taps, m, self.m_pitch, down.count, out + lane * across.out, down.out,
            across.out, self.get("out_row"), self.get("out_column"), across.count - lane,
            self.spare,
        )  # fmt: skip


def emit_winograd_gradient(module: KernelModule, dtype: str, outputs: int) -> None:
    """Define `run(arguments, scratch)`: claim chunks and compute them."""
    s = shapes(module.target, dtype, outputs)
    stages = _Stages(
        patch=emit_patch(module, s.registers, s.lanes),
        input=emit_input(module, s, s.panel),
        gradient=_emit_gradient(module, s),
        multiply=emit_multiplications(module, s.registers, row_pitch=1, step=s.panel),
        taps=_emit_taps(module, s),
    )
    parameters: dict[str, Type] = {"args": Pointer(i64), "scratch": Pointer(i8)}
    with module.function("run", parameters) as (k, args, scratch):
        chunk = _Chunk(k, s, stages, args, scratch)
        with k.claimed(args, chunk.get("chunks")) as number:
            chunk.run(number)
