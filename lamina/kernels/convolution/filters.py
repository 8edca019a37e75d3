"""Weights in the order in which the direct convolution reads them.

    packed[group][panel][block of channels][tap][channel in the block][output channel in the panel]

Channels past the last are zeros; output channels past the last repeat it and are never stored.
"""

from dataclasses import dataclass
from math import prod

from lamina.codegen import jit
from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.tiling import Tiling, tiling_for
from lamina.kernels.launch import Place, Step, argument_block, workers_for
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


class _Rows:
    """Emits the packing of a register of output channels, whose weights start at `sources`."""

    def __init__(
        self, k: Builder, tiling: Tiling, target: Value, sources: list[Value], tables: FilterTables
    ) -> None:
        self.k = k
        self.lanes = tiling.lanes
        self.panel = tiling.panel
        self.target = target
        self.sources = sources
        self.tables = tables

    def matrix(self, count: Value) -> None:
        """Pack `count` weights of one tap, which lie side by side."""
        k, lanes = self.k, self.lanes
        whole = count // lanes * lanes
        with k.loop(whole, step=lanes) as turn:
            here = self.target + turn.index * self.panel
            for number, column in enumerate(self._square(turn.index)):
                here.store(number * self.panel, column)
        with k.loop(count, start=whole) as turn:
            self._column(turn.index, turn.index * self.panel)

    def block(self, target: Value, start: Value, count: Value) -> None:
        """Pack `count` weights of a block, from `start` on: squares of registers in long runs."""
        k, lanes, tables = self.k, self.lanes, self.tables
        at = k.cell(i64, 0)
        with k.repeat_while(lambda: at.get() < count):
            place = at.get()
            run = k.minimum(tables.runs[place], count - place)
            offset, targets = start + tables.offsets[place], tables.targets + place
            whole = run // lanes * lanes
            with k.loop(whole, step=lanes) as turn:
                for number, column in enumerate(self._square(offset + turn.index)):
                    self.target.store(target + targets[turn.index + number], column)
            left = run - whole
            with k.either(left > _WORTH_A_TRANSPOSE) as (then, otherwise):
                with then:
                    self._part(offset + whole, target, targets + whole, left)
                with otherwise, k.loop(left) as turn:
                    self._column(offset + whole + turn.index, target + targets[whole + turn.index])
            at.set(place + run)

    def _square(self, offset: Value) -> list[Value]:
        return list(self.k.load_transposed([source + offset for source in self.sources]))

    def _part(self, offset: Value, target: Value, targets: Value, left: Value) -> None:
        k = self.k
        rows = [k.load_first(source + offset, left) for source in self.sources]
        for number, column in enumerate(k.transpose(rows)):
            with k.when(left > number):
                self.target.store(target + targets[number], column)

    def _column(self, offset: Value, target: Value) -> None:
        for number, source in enumerate(self.sources):
            self.target[target + number] = source[offset]


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
        taps, size = count // tiling.block, count * tiling.panel
        with k.when(channels < blocks * tiling.block), k.loop(count * tiling.vectors) as line:
            last = target + (blocks - 1) * size
            last.store(line.index * tiling.lanes, k.zeros(scalar))
        with k.loop(tiling.panel, step=tiling.lanes) as group:
            sources = [
                source + k.minimum(group.index + number, rows - 1) * row
                for number in range(tiling.lanes)
            ]
            packing = _Rows(k, tiling, target + group.index, sources, FilterTables(*tables))
            with k.either(k.both(taps.equals(1), channel.equals(1))) as (plain, others):
                with plain:
                    packing.matrix(k.minimum(channels, blocks * tiling.block))
                with others, k.loop(blocks) as turn:
                    left = k.minimum(channels - turn.index * tiling.block, tiling.block)
                    start = turn.index * tiling.block * channel
                    packing.block(turn.index * size, start, left * taps)
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
        with k.claimed(args, get["chunks"]) as number:
            group, panel = number // get["panels"], number % get["panels"]
            first = panel * tiling.panel
            size = get["blocks"] * count * tiling.panel
            k.call(
                pack, target + number * size,
                source + (group * get["outputs"] + first) * get["row"], get["row"],
                k.minimum(get["outputs"] - first, tiling.panel), get["channels"], get["channel"],
                get["blocks"], count, tables.offsets, tables.runs, tables.targets,
            )  # fmt: skip


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
    workers = workers_for(chunks=chunks, nbytes=total)
    places = ((_SLOT["target"], target), (_SLOT["source"], source))
    entry = jit.kernel(emit_filters, dtype, tiling.block)
    return Step(entry, arguments, places, 4 * 8 * count, workers)


def filter_bytes(shape: Shape, groups: int, tiling: Tiling, dtype: str) -> int:
    """Return the size of weights of `shape` (groups · outputs, channels, taps), packed."""
    panels = groups * -(-(shape[0] // groups) // tiling.panel)
    depth = -(-shape[1] // tiling.block) * tiling.block * prod(shape[2:])
    return panels * tiling.panel * depth * SCALARS[dtype].bytes
