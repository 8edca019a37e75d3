"""The kernel of a convolution whose input has gaps: the gradient to the input of a strided one.

    out[c, p] = Σ_{o, k: p + k ≡ padding (mod spread)} w[c, o, k] · x[o, (p + k − padding) / spread]

Every tap belongs to one phase of the output. A chunk turns a part of x so that channels lie side by
side, sums the taps of all phases into a buffer where the phases are interleaved, and turns that
back: no zero between neighbours is ever multiplied, and out is written in whole registers.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Type, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.channel_lanes import (
    CHANNEL_BLOCK,
    Registers,
    call_for_height,
    emit_multiplications,
    emit_patch,
    emit_write,
    even_groups,
    registers_of,
)

FIELDS = (
    "counter", "chunks", "out", "x", "w", "u", "is_prepared", "clears",
    "images", "row_bands", "band_rows", "column_bands", "band_columns", "parts", "part_outputs",
    "rows", "columns", "outputs", "channels", "k_block", "k_blocks",
    "height", "width", "out_height", "out_width", "top", "left", "more_rows", "more_columns",
    "down", "across", "taps_down", "taps_across",
    "out_group", "out_image", "out_channel", "out_row",
    "x_group", "x_image", "x_channel", "x_row",
    "w_group", "w_output", "w_channel", "w_row", "w_column",
    "u_start", "m_start",
)  # fmt: skip
SLOT = {name: place for place, name in enumerate(FIELDS)}
# What follows the fields for each tap: where in x it reads, what phase it adds to, and whether it
# is the phase's first.
TAP_FIELDS = 5


class _Filters:
    """Emits the turning of weights: a register holds one tap of as many output channels as there
    are lanes.
    """

    def __init__(self, k: Builder, r: Registers, values: list[Value]) -> None:
        self.k = k
        self.r = r
        self.w, self.output, self.channel, self.row, self.column = values[:5]
        self.taps_down, self.taps_across, self.left, self.count, self.u, self.pitch = values[5:]
        self.taps = self.taps_down * self.taps_across

    def run(self) -> None:
        k = self.k
        is_matrix = k.both(self.taps.equals(1), self.output.equals(1))
        is_matrix = k.both(is_matrix, self.left > self.r.panel - 1)
        is_record = k.both(
            (self.column * self.column).equals(1),
            self.row.equals(self.column * self.taps_across),
        )
        is_record = k.both(is_record, self.taps > 1)
        with k.either(is_matrix) as (matrix, others):
            with matrix:
                self._copy()
            with others, k.either(is_record) as (record, apart):
                with record:
                    self._each_register(self._record)
                with apart:
                    self._each_register(self._gather)

    def _copy(self) -> None:
        """Output channels lie side by side already."""
        panel, lanes = self.r.panel, self.r.lanes
        with self.k.loop(self.count) as turn:
            for first in range(0, panel, lanes):
                register = (self.w + turn.index * self.channel).load(first, lanes=lanes)
                (self.u + turn.index * panel).store(first, register)

    def _each_register(self, turn_taps: Callable[[list[Value], Value], None]) -> None:
        k, r = self.k, self.r
        with k.loop(self.count) as turn, k.loop(r.panel, step=r.lanes) as first:
            rows = [k.minimum(first.index + lane, self.left - 1) for lane in range(r.lanes)]
            here = self.w + turn.index * self.channel
            sources = [here + row * self.output for row in rows]
            turn_taps(sources, self.u + turn.index * r.panel + first.index)

    def _record(self, sources: list[Value], target: Value) -> None:
        """Turn taps that lie side by side, forwards or backwards: the last square overlaps the one
        before.
        """
        k, lanes = self.k, self.r.lanes
        back = k.select(self.column > 0, k.integer(0), self.taps - 1)
        sources = [source + back * -1 for source in sources]
        target, step = target + back * self.pitch, self.column * self.pitch
        with k.either(self.taps > lanes - 1) as (squares, short):
            with squares, k.loop(self.taps, step=lanes) as turn:
                at = k.minimum(turn.index, self.taps - lanes)
                columns = k.load_transposed([source + at for source in sources])
                for number, register in enumerate(columns):
                    (target + (at + number) * step).store(0, register)
            with short:
                rows = [k.load_first(source, self.taps) for source in sources]
                for number, register in enumerate(k.transpose(rows)):
                    with k.when(self.taps > number):
                        (target + step * number).store(0, register)

    def _gather(self, sources: list[Value], target: Value) -> None:
        """Copy taps that lie anywhere, one by one."""
        k = self.k
        with k.loop(self.taps_down) as down, k.loop(self.taps_across) as across:
            there = down.index * self.row + across.index * self.column
            here = target + (down.index * self.taps_across + across.index) * self.pitch
            for lane, source in enumerate(sources):
                here[lane] = source[there]


def _emit_filters(module: KernelModule, r: Registers) -> Function:
    """Define `_filters(w, output, channel, row, column, taps_down, taps_across, left, count, u,
    pitch)`: the weights of a panel, of which there are `left` output channels, and `count`
    channels; taps are `pitch` apart.
    """
    pointer = Pointer(r.scalar)
    parameters: dict[str, Type] = {
        "w": pointer, "output": i64, "channel": i64, "row": i64, "column": i64, "taps_down": i64,
        "taps_across": i64, "left": i64, "count": i64, "u": pointer, "pitch": i64,
    }  # fmt: skip
    with module.function("_filters", parameters, inline="never") as (k, *values):
        _Filters(k, r, values).run()
        handle: Function = k.handle
    return handle


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a module is compiled for, and the functions that the chunk's loops call."""

    registers: Registers
    patch: Function
    filters: Function
    multiply: dict[int, Function]
    write: Function


class _Chunk:
    """Emits the work on one chunk."""

    def __init__(self, k: Builder, parts: _Parts, args: Value, scratch: Value) -> None:
        self.k = k
        self.parts = parts
        self.r = parts.registers
        self.args = args
        # The turned part of x comes first; its size is the chunk's.
        self.v = k.cast_pointer(scratch, self.r.scalar)
        self.u, self.m = (
            k.cast_pointer(scratch + self.get(name), self.r.scalar)
            for name in ("u_start", "m_start")
        )
        self.tap_pitch = CHANNEL_BLOCK * self.r.panel
        self.taps = self.get("taps_down") * self.get("taps_across")
        self.weight_block = self.taps * self.tap_pitch
        places = self.get("band_columns") + self.get("more_columns")
        self.v_pitch = places * CHANNEL_BLOCK
        self.v_block = (self.get("band_rows") + self.get("more_rows")) * self.v_pitch
        self.m_pitch = self.get("band_columns") * self.get("across") * self.r.panel

    def get(self, name: str) -> Value:
        return self.args[SLOT[name]]

    def at(self, name: str) -> Value:
        return self.k.pointer_at(self.get(name), self.r.scalar)

    def run(self, number: Value) -> None:
        """Work on chunk `number`: its group and image, its rows and columns, its output channels.

        Rows and columns count places of each phase.
        """
        k = self.k
        self._locate(number)
        self._turn_input()
        first = number % self.get("parts") * self.get("part_outputs")
        stop = k.minimum(first + self.get("part_outputs"), self.get("outputs"))
        with k.loop(stop, start=first, step=self.r.panel) as panel:
            with k.when(self.get("clears").equals(1)):
                self._clear()
            with k.loop(self.get("k_blocks")) as block:
                self._add_block(panel.index, block.index)
            for lane in range(0, self.r.panel, self.r.lanes):
                self._write(panel.index, lane)

    def _locate(self, number: Value) -> None:
        k = self.k
        rest = number // self.get("parts")
        column = rest % self.get("column_bands") * self.get("band_columns")
        rest = rest // self.get("column_bands")
        row = rest % self.get("row_bands") * self.get("band_rows")
        rest = rest // self.get("row_bands")
        self.image, self.group = rest % self.get("images"), rest // self.get("images")
        self.row, self.column = row, column
        self.rows = k.minimum(self.get("band_rows"), self.get("rows") - row)
        self.columns = k.minimum(self.get("band_columns"), self.get("columns") - column)

    def _turn_input(self) -> None:
        k, r = self.k, self.r
        x = self.at("x") + (self.group * self.get("x_group") + self.image * self.get("x_image"))
        with k.loop(self.get("channels"), step=r.lanes) as channel:
            block = channel.index // self.get("k_block")
            place = channel.index % self.get("k_block")
            k.call(
                self.parts.patch, x + channel.index * self.get("x_channel"), self.get("x_channel"),
                self.get("x_row"), self.get("channels") - channel.index,
                self.row + self.get("top"), self.rows + self.get("more_rows"),
                self.column + self.get("left"), self.columns + self.get("more_columns"),
                self.get("height"), self.get("width"), self.v + (block * self.v_block + place),
                self.v_pitch,
            )  # fmt: skip

    def _clear(self) -> None:
        """Zero the sums: some phases have no tap."""
        size = self.rows * self.get("down") * self.m_pitch
        with self.k.loop(size, step=self.r.lanes) as turn:
            self.m.store(turn.index, self.k.zeros(self.r.scalar))

    def _weights(self, output: Value, block: Value, count: Value) -> Value:
        """Return where the weights of a panel and a block are, turned now if they were not."""
        k, r = self.k, self.r
        panels = (self.get("outputs") + (r.panel - 1)) // r.panel
        number = (self.group * panels + output // r.panel) * self.get("k_blocks") + block
        is_prepared = self.get("is_prepared").equals(1)
        prepared = self.at("u") + number * self.weight_block
        u = k.select(is_prepared, prepared, self.u)
        with k.when(self.get("is_prepared").equals(0)):
            self._turn_weights(output, block * self.get("k_block"), count, u)
        return u

    def _turn_weights(self, output: Value, channel: Value, count: Value, u: Value) -> None:
        w = self.at("w") + (
            self.group * self.get("w_group")
            + output * self.get("w_output")
            + channel * self.get("w_channel")
        )
        names = ("w_output", "w_channel", "w_row", "w_column", "taps_down", "taps_across")
        sizes = [self.get(name) for name in names]
        left = self.get("outputs") - output
        pitch = self.k.integer(self.tap_pitch)
        self.k.call(self.parts.filters, w, *sizes, left, count, u, pitch)

    def prepare(self, number: Value) -> None:
        """Turn block `number` of the weights: its group, its panel, its block of channels."""
        k, r = self.k, self.r
        panels = (self.get("outputs") + (r.panel - 1)) // r.panel
        block, panel = number % self.get("k_blocks"), number // self.get("k_blocks") % panels
        self.group = number // (panels * self.get("k_blocks"))
        channel = block * self.get("k_block")
        count = k.minimum(self.get("k_block"), self.get("channels") - channel)
        u = self.at("u") + number * self.weight_block
        self._turn_weights(panel * r.panel, channel, count, u)

    def _add_block(self, output: Value, block: Value) -> None:
        """Add a block of channels, tap after tap."""
        k, r = self.k, self.r
        channel = block * self.get("k_block")
        count = k.minimum(self.get("k_block"), self.get("channels") - channel)
        u = self._weights(output, block, count)
        v = self.v + block * self.v_block
        across = self.get("across") * r.panel
        with k.loop(self.taps) as tap:
            fields = self.args + (tap.index * TAP_FIELDS + len(FIELDS))
            down, right, phase_row, phase_column, follows = (fields[n] for n in range(TAP_FIELDS))
            weights = u + tap.index * self.tap_pitch
            source = v + (down * self.v_pitch + right * CHANNEL_BLOCK)
            target = self.m + (phase_row * self.m_pitch + phase_column * r.panel)
            adds = k.maximum(follows, block)
            with k.loop(self.rows) as row, even_groups(k, self.columns, r.rows) as (first, tall):
                here = source + (row.index * self.v_pitch + first * CHANNEL_BLOCK)
                there = target + (row.index * self.get("down") * self.m_pitch + first * across)
                call_for_height(
                    k, self.parts.multiply, tall, count, here, weights, there, across, adds
                )

    def _write(self, output: Value, lane: int) -> None:
        k, down, across = self.k, self.get("down"), self.get("across")
        row, column = self.row * down, self.column * across
        left = self.get("outputs") - output - lane
        place = (
            self.group * self.get("out_group")
            + self.image * self.get("out_image")
            + (output + lane) * self.get("out_channel")
            + row * self.get("out_row")
            + column
        )
        with k.when(left > 0):
            k.call(
                self.parts.write, self.m + lane, self.m_pitch, self.at("out") + place,
                self.get("out_channel"), self.get("out_row"), left,
                k.minimum(self.rows * down, self.get("out_height") - row),
                k.minimum(self.columns * across, self.get("out_width") - column),
            )  # fmt: skip


def emit_input_gradient(module: KernelModule, dtype: str) -> None:
    """Define `run(arguments, scratch)`, which claims chunks and computes them, and `prepare`, which
    claims blocks of weights and turns them to where `u` points.
    """
    r = registers_of(module.target, dtype)
    parts = _Parts(
        registers=r,
        patch=emit_patch(module, r, CHANNEL_BLOCK),
        filters=_emit_filters(module, r),
        multiply=emit_multiplications(module, r, row_pitch=CHANNEL_BLOCK, step=1),
        write=emit_write(module, r, r.panel),
    )
    _emit_entry(module, "run", _Chunk.run, parts)
    _emit_entry(module, "prepare", _Chunk.prepare, parts)


def _emit_entry(
    module: KernelModule, name: str, work: Callable[[_Chunk, Value], None], parts: _Parts
) -> None:
    parameters: dict[str, Type] = {"args": Pointer(i64), "scratch": Pointer(i8)}
    with module.function(name, parameters) as (k, args, scratch):
        chunk = _Chunk(k, parts, args, scratch)
        with k.claimed(args, chunk.get("chunks")) as number:
            work(chunk, number)
