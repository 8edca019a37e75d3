"""The kernel of a Winograd convolution: the loops over blocks of tiles around the stages.

Work is cut into chunks: a block of tiles, and some of the panels of output channels. A chunk
transforms its tiles; then, panel by panel, it transforms weights unless they come transformed,
multiplies place by place of the tile, and transforms back. A sum over channels is cut into blocks
whose length only the number of channels decides, and tiles share no sum: the same bits come out
however the work is cut.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.target import Target
from lamina.codegen.types import Pointer, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.channel_lanes import (
    CHANNEL_BLOCK,
    SET_SKEW,
    call_for_height,
    emit_multiplications,
    emit_patch,
    emit_write,
    even_groups,
    registers_of,
)
from lamina.kernels.convolution.winograd_stages import (
    Shapes,
    emit_input,
    emit_output,
    emit_weights,
)
from lamina.kernels.convolution.winograd_tiles import Run, runs
from lamina.kernels.convolution.winograd_transforms import TRANSFORMS
from lamina.kernels.expression import Expression

FIELDS = (
    "counter", "chunks", "out", "x", "w", "u", "is_prepared",
    "blocks", "parts", "part_outputs", "block_tiles", "tiles", "tile_rows", "tile_columns",
    "channels", "outputs", "k_block", "k_blocks",
    "height", "width", "out_height", "out_width", "top", "left",
    "out_group", "out_image", "out_channel", "out_row", "out_column", "x_group", "x_image",
    "x_channel", "x_row", "x_column", "w_group", "w_output", "w_channel", "w_row", "w_column",
    "v_start", "bias",
)  # fmt: skip
SLOT = {name: place for place, name in enumerate(FIELDS)}
_LINE_BYTES = 64


def shapes(target: Target, dtype: str, outputs: int) -> Shapes:
    """Return what the module of F(outputs × outputs, 3×3) is compiled for."""
    return Shapes(registers_of(target, dtype), TRANSFORMS[outputs])


@dataclass(frozen=True, slots=True)
class Scratch:
    """Where the parts of a thread's scratch memory start, in bytes; v comes after m."""

    patch: int
    pixels: int
    spare: int
    u: int
    m: int

    @classmethod
    def of(cls, s: Shapes) -> "Scratch":
        """Return the parts for a module."""
        size = s.transform.size
        counts = (
            size * s.patch_pitch, s.transform.outputs * s.pixel_pitch, s.points * s.lanes,
            s.weight_block,
        )  # fmt: skip
        return cls(*accumulate((_whole_lines(n * s.scalar.bytes) for n in counts), initial=0))


def _whole_lines(size: int) -> int:
    return -(-size // _LINE_BYTES) * _LINE_BYTES


def v_start(s: Shapes, block_tiles: int) -> int:
    """Return where in scratch memory the transformed tiles start, in bytes."""
    m = s.points * (block_tiles * s.panel + SET_SKEW)
    return Scratch.of(s).m + _whole_lines(m * s.scalar.bytes)


def scratch_bytes(s: Shapes, block_tiles: int, k_blocks: int) -> int:
    """Return how much scratch memory a thread needs."""
    v = k_blocks * s.points * (block_tiles * CHANNEL_BLOCK + SET_SKEW)
    return v_start(s, block_tiles) + v * s.scalar.bytes


@dataclass(frozen=True, slots=True)
class _Stages:
    patch: Function
    input: Function
    multiply: dict[int, Function]
    output: Function
    write: Function


class _Arguments:
    """Reads the arguments of a call."""

    def __init__(self, k: Builder, s: Shapes, args: Value) -> None:
        self.k = k
        self.s = s
        self.args = args

    def get(self, name: str) -> Value:
        return self.args[SLOT[name]]

    def at(self, name: str) -> Value:
        return self.k.pointer_at(self.get(name), self.s.scalar)


class _Weights(_Arguments):
    """Emits the transformation of weights."""

    def __init__(
        self, k: Builder, s: Shapes, transform: Function, args: Value, scratch: Value
    ) -> None:
        super().__init__(k, s, args)
        self.transform = transform
        self.spare = k.cast_pointer(scratch + Scratch.of(s).spare, s.scalar)

    def run(self, number: Value) -> None:
        """Transform block `number` of the weights: its group, its panel, its block of channels."""
        k, s = self.k, self.s
        panels = (self.get("outputs") + (s.panel - 1)) // s.panel
        block, panel = number % self.get("k_blocks"), number // self.get("k_blocks") % panels
        group = number // (panels * self.get("k_blocks"))
        channel = block * self.get("k_block")
        count = k.minimum(self.get("k_block"), self.get("channels") - channel)
        u = self.at("u") + number * s.weight_block
        self.write(group, panel * s.panel, channel, count, u)

    def write(self, group: Value, output: Value, channel: Value, count: Value, u: Value) -> None:
        """Write the transformed weights of a panel and a block of channels to `u`."""
        w = self.at("w") + (
            group * self.get("w_group")
            + output * self.get("w_output")
            + channel * self.get("w_channel")
        )
        strides = (self.get(f"w_{axis}") for axis in ("output", "channel", "row", "column"))
        left = self.get("outputs") - output
        self.k.call(self.transform, w, *strides, left, count, u, self.spare)


class _Chunk(_Arguments):
    """Emits the work on one chunk."""

    def __init__(
        self, k: Builder, s: Shapes, last: "Last", stages: _Stages, weights: _Weights, args: Value,
        scratch: Value,
    ) -> None:  # fmt: skip
        super().__init__(k, s, args)
        self.last = last
        self.stages = stages
        self.weights = weights
        parts = Scratch.of(s)
        self.patch, self.pixels, self.spare, self.u, self.m = (
            k.cast_pointer(scratch + start, s.scalar)
            for start in (parts.patch, parts.pixels, parts.spare, parts.u, parts.m)
        )
        self.v = k.cast_pointer(scratch + self.get("v_start"), s.scalar)
        self.v_pitch = self.get("block_tiles") * CHANNEL_BLOCK + SET_SKEW
        self.m_pitch = self.get("block_tiles") * s.panel + SET_SKEW

    def run(self, number: Value) -> None:
        """Work on chunk `number`: its group, its block of tiles, its output channels."""
        k = self.k
        part = number % self.get("parts")
        block = number // self.get("parts") % self.get("blocks")
        self.group = number // (self.get("parts") * self.get("blocks"))
        self.start = block * self.get("block_tiles")
        self.tiles = k.minimum(self.get("block_tiles"), self.get("tiles") - self.start)
        self._transform_tiles()
        first = part * self.get("part_outputs")
        stop = k.minimum(first + self.get("part_outputs"), self.get("outputs"))
        with k.loop(stop, start=first, step=self.s.panel) as panel:
            with k.loop(self.get("k_blocks")) as turn:
                self._multiply_block(panel.index, turn.index)
            for vector in range(self.s.registers.vectors):
                self._write_results(panel.index, vector * self.s.lanes)

    def _runs(self) -> AbstractContextManager[Run]:
        lines = (self.get("tile_rows"), self.get("tile_columns"))
        return runs(self.k, self.start, self.tiles, *lines)

    def _transform_tiles(self) -> None:
        k, s = self.k, self.s
        outputs = s.transform.outputs
        with self._runs() as run, k.loop(self.get("channels"), step=s.lanes) as channel:
            image = self.at("x") + (
                self.group * self.get("x_group") + run.image * self.get("x_image")
            )
            k.call(
                self.stages.patch, image + channel.index * self.get("x_channel"),
                self.get("x_column" if self.last.x else "x_channel"), self.get("x_row"),
                self.get("channels") - channel.index,
                run.row * outputs - self.get("top"), k.integer(s.transform.size),
                run.column * outputs - self.get("left"),
                run.tiles * outputs + (s.transform.size - outputs), self.get("height"),
                self.get("width"), self.patch, k.integer(s.patch_pitch),
            )  # fmt: skip
            block, place = channel.index // self.get("k_block"), channel.index % self.get("k_block")
            v = self.v + (block * s.points * self.v_pitch + run.first * CHANNEL_BLOCK + place)
            k.call(self.stages.input, self.patch, run.tiles, v, self.v_pitch, self.spare)

    def _multiply_block(self, output: Value, block: Value) -> None:
        """Multiply with a block of channels, at every place of the tile."""
        k, s = self.k, self.s
        channel = block * self.get("k_block")
        count = k.minimum(self.get("k_block"), self.get("channels") - channel)
        is_prepared = self.get("is_prepared").equals(1)
        panels = (self.get("outputs") + (s.panel - 1)) // s.panel
        number = (self.group * panels + output // s.panel) * self.get("k_blocks") + block
        prepared = self.at("u") + number * s.weight_block
        u = k.select(is_prepared, prepared, self.u)
        with k.when(self.get("is_prepared").equals(0)):
            self.weights.write(self.group, output, channel, count, u)
        v = self.v + block * s.points * self.v_pitch
        with k.loop(s.points) as place:
            self._multiply_place(
                count, v + place.index * self.v_pitch, u + place.index * s.weight_pitch,
                self.m + place.index * self.m_pitch, block,
            )  # fmt: skip

    def _multiply_place(self, count: Value, v: Value, u: Value, m: Value, adds: Value) -> None:
        """Multiply at one place, a group of tiles after the other."""
        with even_groups(self.k, self.tiles, self.s.registers.rows) as (first, height):
            place = (v + first * CHANNEL_BLOCK, u, m + first * self.s.panel)
            pitch = self.k.integer(self.s.panel)
            call_for_height(self.k, self.stages.multiply, height, count, *place, pitch, adds)

    def _write_results(self, output: Value, lane: int) -> None:
        k, s = self.k, self.s
        outputs = s.transform.outputs
        left = self.get("outputs") - output - lane
        with k.when(left > 0), self._runs() as run:
            m = self.m + (run.first * s.panel + lane)
            bias = self.at("bias") + (self.group * self.get("outputs") + output + lane)
            buffers = (self.pixels, self.spare, bias)
            k.call(self.stages.output, m, self.m_pitch, run.tiles, *buffers, left)
            row, column = run.row * outputs, run.column * outputs
            place = (
                self.group * self.get("out_group")
                + run.image * self.get("out_image")
                + (output + lane) * self.get("out_channel")
                + row * self.get("out_row")
                + column * self.get("out_column")
            )
            k.call(
                self.stages.write, self.pixels, k.integer(s.pixel_pitch), self.at("out") + place,
                self.get("out_column" if self.last.out else "out_channel"), self.get("out_row"),
                left,
                k.minimum(self.get("out_height") - row, outputs),
                k.minimum(run.tiles * outputs, self.get("out_width") - column),
            )  # fmt: skip


class Last(NamedTuple):
    """Whether the channels of a pixel lie side by side in x, and in out."""

    x: bool = False
    out: bool = False


def emit_winograd(
    module: KernelModule, dtype: str, outputs: int, after: Expression, last: Last
) -> None:
    """Define `run(arguments, scratch)`, which claims chunks and computes them; `after` says what
    becomes of a sum and its bias.
    """
    s = shapes(module.target, dtype, outputs)
    stages = _Stages(
        patch=emit_patch(module, s.registers, s.lanes, is_last=last.x),
        input=emit_input(module, s, CHANNEL_BLOCK),
        multiply=emit_multiplications(module, s.registers, row_pitch=CHANNEL_BLOCK, step=1),
        output=emit_output(module, s, after),
        write=emit_write(module, s.registers, s.lanes, is_last=last.out),
    )
    transform = emit_weights(module, s)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        weights = _Weights(k, s, transform, args, scratch)
        chunk = _Chunk(k, s, last, stages, weights, args, scratch)
        with k.claimed(args, chunk.get("chunks")) as number:
            chunk.run(number)


def emit_winograd_weights(module: KernelModule, dtype: str, outputs: int) -> None:
    """Define `run(arguments, scratch)`, which claims blocks of weights and transforms them to where
    `u` points.
    """
    s = shapes(module.target, dtype, outputs)
    transform = emit_weights(module, s)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        weights = _Weights(k, s, transform, args, scratch)
        with k.claimed(args, weights.get("chunks")) as number:
            weights.run(number)
