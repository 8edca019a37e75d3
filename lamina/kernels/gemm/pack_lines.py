"""Packing tiles of A whose rows lie side by side: lines of memory, cut up among many tiles.

A line holds one k of all rows. Tile by tile, each cache line would come as often as there are tiles
in it, from rows of memory that may share few sets of the cache; so a few lines at a time are cut up
for all tiles of a block.
"""

from lamina.codegen.builder import Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, i64
from lamina.kernels.gemm.arithmetic import Arithmetic, Source
from lamina.kernels.gemm.pack_a import INDEX
from lamina.kernels.gemm.tiles import Tile

# How many units of k are cut up together: their addresses stay in registers.
LINES = 8


def emit_pack_lines(
    module: KernelModule, stored: Scalar, arithmetic: Arithmetic, tile: Tile
) -> Function:
    """Define `_pack_lines(target, source, tiles, count, offsets)` and return it.

    target[t·pitch + k·rows + i] = source[t·rows + i + offsets[k]]; `count` is of k, a multiple of
    as many as are cut up together. A register is read and written from each tile's rows on, past
    them where they do not fill it.
    """
    parameters: dict[str, Type] = {
        "target": Pointer(arithmetic.unit), "source": Pointer(stored), "tiles": i64, "count": i64,
        "offsets": INDEX,
    }  # fmt: skip
    group, height = arithmetic.group, tile.rows
    with module.function("_pack_lines", parameters, inline="never") as opened:
        k, target, source, tiles, count, offsets = opened
        reader = Source(k, stored, arithmetic)
        with k.loop(count, step=LINES * group) as block:
            lines = [source + offsets[block.index + number] for number in range(LINES * group)]
            start = target + block.index // group * height
            with k.loop(tiles) as turn:
                first, here = turn.index * height, start + turn.index * tile.pitch
                for number in range(LINES):
                    of_unit = lines[number * group : (number + 1) * group]
                    for lane in range(0, height, reader.lanes):
                        unit = reader.across([line + (first + lane) for line in of_unit])
                        (here + number * height).store(lane, unit)
        handle: Function = k.handle
    return handle
