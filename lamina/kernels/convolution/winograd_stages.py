"""The stages of a Winograd convolution, each a function of the module: lanes are channels.

Patches of the input are turned so that a register holds one place of as many channels as it has
lanes, results are turned back; in between every stage reads and writes whole registers.
"""

from dataclasses import dataclass
from itertools import islice

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.channel_lanes import (
    CHANNEL_BLOCK,
    SET_SKEW,
    Registers,
    loaded,
    store_apart,
)
from lamina.kernels.convolution.results import BIAS, reads
from lamina.kernels.convolution.winograd_transforms import TAPS, Transform
from lamina.kernels.expression import Expression, emit

LONGEST_RUN = 16


@dataclass(frozen=True, slots=True)
class Shapes:
    """What a module is compiled for; sizes count scalars."""

    registers: Registers
    transform: Transform

    @property
    def scalar(self) -> Scalar:
        return self.registers.scalar

    @property
    def lanes(self) -> int:
        return self.registers.lanes

    @property
    def panel(self) -> int:
        return self.registers.panel

    @property
    def points(self) -> int:
        return self.transform.size**2

    @property
    def patch_pitch(self) -> int:
        return (LONGEST_RUN * self.transform.outputs + TAPS - 1 + self.lanes) * self.lanes

    @property
    def pixel_pitch(self) -> int:
        return (LONGEST_RUN * self.transform.outputs + self.lanes) * self.lanes

    @property
    def weight_pitch(self) -> int:
        """How far apart the places of transformed weights are."""
        return CHANNEL_BLOCK * self.panel + SET_SKEW

    @property
    def weight_block(self) -> int:
        """How many scalars the transformed weights of a block of channels and a panel take."""
        return self.points * self.weight_pitch


def emit_input(module: KernelModule, s: Shapes, tile_pitch: int) -> Function:
    """Define `_input(patch, tiles, v, pitch, spare)`: B·d·Bᵀ of each tile of a run.

    The places of a tile lie `pitch` apart in v, tiles `tile_pitch`.
    """
    parameters: dict[str, Type] = {
        "patch": Pointer(s.scalar), "tiles": i64, "v": Pointer(s.scalar), "pitch": i64,
        "spare": Pointer(s.scalar),
    }  # fmt: skip
    size, lanes = s.transform.size, s.lanes
    with module.function("_input", parameters, inline="never") as opened:
        k, patch, tiles, v, pitch, spare = opened
        with k.loop(tiles) as tile:
            source = patch + tile.index * (s.transform.outputs * lanes)
            target = v + tile.index * tile_pitch
            with k.loop(size) as column:
                here = source + column.index * lanes
                found = s.transform.input(k, loaded(here, s.patch_pitch, size, lanes))
                store_apart(spare + column.index * lanes, found, size * lanes)
            with k.loop(size) as row:
                here = spare + row.index * (size * lanes)
                found = s.transform.input(k, loaded(here, lanes, size, lanes))
                store_apart(target + row.index * pitch * size, found, pitch)
        handle: Function = k.handle
    return handle


def emit_weights(module: KernelModule, s: Shapes) -> Function:
    """Define `_weights(w, output, channel, row, column, left, count, u, spare)`: G·g·Gᵀ of a panel
    of output channels, of which there are `left`, and `count` channels.
    """
    parameters: dict[str, Type] = {
        "w": Pointer(s.scalar), "output": i64, "channel": i64, "row": i64, "column": i64,
        "left": i64, "count": i64, "u": Pointer(s.scalar), "spare": Pointer(s.scalar),
    }  # fmt: skip
    with module.function("_weights", parameters, inline="never") as opened:
        k, w, output, channel, row, column, left, count, u, spare = opened
        ascends, descends = (
            k.both(column.equals(sign), row.equals(sign * TAPS)) for sign in (1, -1)
        )
        either = k.either_true(ascends, descends)
        conditions = {"ascending": ascends, "descending": descends, "apart": either.equals(0)}
        for order, condition in conditions.items():
            with k.when(condition), k.loop(count) as turn:
                for first in range(0, s.panel, s.lanes):
                    lanes = [k.minimum(left - 1, first + lane) for lane in range(s.lanes)]
                    sources = [w + (lane * output + turn.index * channel) for lane in lanes]
                    if order == "apart":
                        taps = _gathered(k, s, sources, row, column, spare)
                    else:
                        taps = _record(k, s, sources, order)
                    _transform_weights(k, s, taps, u + turn.index * s.panel + first, spare)
        handle: Function = k.handle
    return handle


def _record(k: Builder, s: Shapes, sources: list[Value], order: str) -> list[Value]:
    """Return the taps, a register each, that lie side by side in memory."""
    count = TAPS * TAPS
    if order == "descending":
        sources = [source + (1 - count) for source in sources]
    if s.lanes > count:
        rows = [k.load_first(source, k.integer(count)) for source in sources]
        taps = k.transpose(rows)[:count]
    else:
        taps = []
        for start in range(0, count, s.lanes):
            first = min(start, count - s.lanes)
            columns = k.load_transposed([source + first for source in sources])
            taps += islice(columns, start - first, None)
    return taps if order == "ascending" else taps[::-1]


def _gathered(
    k: Builder, s: Shapes, sources: list[Value], row: Value, column: Value, spare: Value
) -> list[Value]:
    """Return the taps, a register each, that lie anywhere."""
    for tap in range(TAPS * TAPS):
        there = row * (tap // TAPS) + column * (tap % TAPS)
        for lane, source in enumerate(sources):
            spare[tap * s.lanes + lane] = source[there]
    return loaded(spare, s.lanes, TAPS * TAPS, s.lanes)


def _transform_weights(
    k: Builder, s: Shapes, taps: list[Value], target: Value, spare: Value
) -> None:
    size = s.transform.size
    for column in range(TAPS):
        found = s.transform.weights(k, taps[column::TAPS])
        store_apart(spare + column * s.lanes, found, TAPS * s.lanes)
    with k.loop(size) as row:
        here = spare + row.index * (TAPS * s.lanes)
        found = s.transform.weights(k, loaded(here, s.lanes, TAPS, s.lanes))
        store_apart(target + row.index * (size * s.weight_pitch), found, s.weight_pitch)


def emit_output(module: KernelModule, s: Shapes, after: Expression) -> Function:
    """Define `_output(m, pitch, tiles, pixels, spare, bias, left)`: what becomes of A·m·Aᵀ of each
    tile of a run, for as many output channels as a register has lanes, of which `left` are there.
    """
    parameters: dict[str, Type] = {
        "m": Pointer(s.scalar), "pitch": i64, "tiles": i64, "pixels": Pointer(s.scalar),
        "spare": Pointer(s.scalar), "bias": Pointer(s.scalar), "left": i64,
    }  # fmt: skip
    size, outputs, lanes = s.transform.size, s.transform.outputs, s.lanes
    with module.function("_output", parameters, inline="never") as opened:
        k, m, pitch, tiles, pixels, spare, bias, left = opened
        added = k.load_first(bias, left) if reads(after, BIAS) else k.zeros(s.scalar)
        with k.loop(tiles) as tile:
            source = m + tile.index * s.panel
            target = pixels + tile.index * (outputs * lanes)
            with k.loop(size) as column:
                here = source + column.index * pitch
                rows = [(here + pitch * (row * size)).load(0, lanes=lanes) for row in range(size)]
                found = s.transform.output(k, rows)
                store_apart(spare + column.index * lanes, found, size * lanes)
            with k.loop(outputs) as row:
                here = spare + row.index * (size * lanes)
                found = s.transform.output(k, loaded(here, lanes, size, lanes))
                results = [emit(k, after, [total, added]) for total in found]
                store_apart(target + row.index * s.pixel_pitch, results, lanes)
        handle: Function = k.handle
    return handle
