"""Weights in the order in which the direct convolution reads them.

    packed[group][panel][block of channels][tap][channel in the block][output channel in the panel]

Channels past the last are zeros; output channels past the last repeat it and are never stored.
"""

from dataclasses import dataclass
from math import prod

from lamina.codegen import jit, threads
from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.tiling import Tiling, tiling_for
from lamina.kernels.launch import Place, Step, argument_block
from lamina.kernels.offsets import emit_table
from lamina.kernels.operand import Axes, Shape, flat
from lamina.kernels.scalars import SCALARS

_FIELDS = (
    "counter", "chunks", "target", "source", "panels", "outputs", "channels", "blocks", "row",
    "channel", "count",
)  # fmt: skip
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_AXES = len(_FIELDS)
_WORTH_A_TRANSPOSE = 3
_BYTES_WORTH_A_THREAD = 1 << 20


@dataclass(frozen=True, slots=True)
class FilterTables:
    """Of the weights of a block of channels: where each lies, how many follow it, where it goes."""

    offsets: Value
    runs: Value
    targets: Value

    @classmethod
    def filled(
        cls, k: Builder, table: Function, axes: Value, count: Value, memory: Value
    ) -> "FilterTables":
        """Return the tables, worked out in `memory`, which has room for four times `count`."""
        parts = [memory + count * row for row in range(4)]
        k.call(table, axes, k.integer(0), count, k.integer(1), *parts)
        return cls(parts[0], parts[1], parts[2])


class _Block:
    """Emits the packing of one block of channels of a panel."""

    def __init__(
        self, k: Builder, tiling: Tiling, values: list[Value], tables: FilterTables
    ) -> None:
        self.k = k
        self.tiling = tiling
        self.target, self.source, self.row, self.rows, self.count = values
        self.tables = tables

    def source_row(self, row: Value | int) -> Value:
        return self.source + self.k.minimum(self.k.integer(row), self.rows - 1) * self.row

    def run(self) -> None:
        k = self.k
        at = k.cell(i64, 0)
        with k.repeat_while(lambda: at.get() < self.count):
            place = at.get()
            run = k.minimum(self.tables.runs[place], self.count - place)
            run = k.minimum(run, self.tiling.lanes)
            with k.either(run > _WORTH_A_TRANSPOSE) as (then, otherwise):
                with then:
                    with k.either(run.equals(self.tiling.lanes)) as (whole, part):
                        with whole:
                            self._squares(place, None)
                        with part:
                            self._squares(place, run)
                    at.set(place + run)
                with otherwise:
                    self._column(place)
                    at.set(place + 1)

    def _squares(self, place: Value, run: Value | None) -> None:
        k, lanes = self.k, self.tiling.lanes
        offset = self.tables.offsets[place]
        targets = [self.tables.targets[place + column] for column in range(lanes)]
        for first in range(0, self.tiling.panel, lanes):
            sources = [self.source_row(first + row) + offset for row in range(lanes)]
            if run is None:
                for target, column in zip(targets, k.load_transposed(sources), strict=True):
                    (self.target + target + first).store(0, column)
                continue
            rows = [k.load_first(source, run) for source in sources]
            for number, column in enumerate(k.transpose(rows)):
                with k.when(run > number):
                    (self.target + targets[number] + first).store(0, column)

    def _column(self, place: Value) -> None:
        here = self.target + self.tables.targets[place]
        with self.k.loop(self.tiling.panel) as turn:
            here[turn.index] = self.source_row(turn.index)[self.tables.offsets[place]]


def emit_pack_filters(module: KernelModule, scalar: Scalar, tiling: Tiling) -> Function:
    """Define `_pack_filters(target, source, row, rows, channels, channel, blocks, count, offsets,
    runs, targets)` and return it.

    Packs `blocks` blocks of a panel of `rows` output channels, `row` apart, of which `channels`
    input channels, `channel` apart, are left; `count` is the number of weights of a whole block
    and output channel.
    """
    pointer, index = Pointer(scalar), Pointer(i64)
    parameters: dict[str, Type] = {
        "target": pointer, "source": pointer, "row": i64, "rows": i64, "channels": i64,
        "channel": i64, "blocks": i64, "count": i64,
        "offsets": index, "runs": index, "targets": index,
    }  # fmt: skip
    with module.function("_pack_filters", parameters, inline="never") as opened:
        k, target, source, row, rows, channels, channel, blocks, count, *tables = opened
        taps = count // tiling.block
        with k.loop(blocks) as turn:
            left = channels - turn.index * tiling.block
            here = target + turn.index * count * tiling.panel
            with k.when(left < tiling.block), k.loop(count * tiling.vectors) as line:
                here.store(line.index * tiling.lanes, k.zeros(scalar))
            there = source + turn.index * tiling.block * channel
            filled = k.minimum(left, tiling.block) * taps
            _Block(k, tiling, [here, there, row, rows, filled], FilterTables(*tables)).run()
        handle: Function = k.handle
    return handle


def filter_axes(sums: Axes, tiling: Tiling) -> Axes:
    """Return the axes over a block's channels and taps, with strides in the weights and in what is
    packed; `sums` are those of the whole sum, channels first.
    """
    (_, channel, _), *taps = sums
    axes = [(tiling.block, channel, tiling.panel)]
    step = tiling.block * tiling.panel
    for number, (size, stride, _) in enumerate(taps):
        axes.append((size, stride, step * prod(axis[0] for axis in taps[number + 1 :])))
    return axes


def emit_filters(module: KernelModule, dtype: str, block: int) -> None:
    """Define `run(arguments, scratch)`: claim panels and pack their weights."""
    scalar = SCALARS[dtype]
    tiling = tiling_for(module.target, scalar, block)
    table = emit_table(module)
    pack = emit_pack_filters(module, scalar, tiling)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        get = {name: args[slot] for name, slot in _SLOT.items() if name != "counter"}
        count = get["count"]
        memory = k.cast_pointer(scratch, i64)
        tables = FilterTables.filled(k, table, args + _AXES, count, memory)
        target, source = (k.pointer_at(get[name], scalar) for name in ("target", "source"))
        number = k.cell(i64, k.claim(args))
        with k.repeat_while(lambda: number.get() < get["chunks"]):
            group, panel = number.get() // get["panels"], number.get() % get["panels"]
            first = panel * tiling.panel
            size = get["blocks"] * count * tiling.panel
            k.call(
                pack, target + number.get() * size,
                source + (group * get["outputs"] + first) * get["row"], get["row"],
                k.minimum(get["outputs"] - first, tiling.panel), get["channels"], get["channel"],
                get["blocks"], count, tables.offsets, tables.runs, tables.targets,
            )  # fmt: skip
            number.set(k.claim(args))


def packed_filters(
    source: Place, target: Place, *, dtype: str, tiling: Tiling, groups: int, outputs: int,
    channels: int, row: int, sums: Axes,
) -> Step:  # fmt: skip
    """Return the call that packs weights (groups · outputs, channels, taps) at `source`.

    `row` is the stride of output channels, `sums` the axes over channels and taps.
    """
    panels, blocks = -(-outputs // tiling.panel), -(-channels // tiling.block)
    count = tiling.block * prod(axis[0] for axis in sums[1:])
    chunks = groups * panels
    arguments = argument_block(
        0, chunks, 0, 0, panels, outputs, channels, blocks, row, sums[0][1], count,
        *flat(filter_axes(sums, tiling), 2),
    )  # fmt: skip
    total = chunks * blocks * count * tiling.panel * SCALARS[dtype].bytes
    workers = min(1 + total // _BYTES_WORTH_A_THREAD, chunks, threads.num_threads())
    places = ((_SLOT["target"], target), (_SLOT["source"], source))
    entry = jit.kernel(emit_filters, dtype, tiling.block)
    return Step(entry, arguments, places, 4 * 8 * count, workers)


def filter_bytes(shape: Shape, groups: int, tiling: Tiling, dtype: str) -> int:
    """Return the size of weights of `shape` (groups · outputs, channels, taps), packed."""
    panels = groups * -(-(shape[0] // groups) // tiling.panel)
    depth = -(-shape[1] // tiling.block) * tiling.block * prod(shape[2:])
    return panels * tiling.panel * depth * SCALARS[dtype].bytes
