"""Between the matrices of a call and the tiles of a thread: rows, dense or turned to columns."""

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, i64
from lamina.codegen.values import Value
from lamina.kernels.attention.tiles import Tiles

# Rows of one head lie apart, between those of the others: no processor sees them coming.
ROWS_AHEAD = 16


def emit_pack_rows(module: KernelModule, scalar: Scalar, tiles: Tiles) -> Function:
    """Define `_pack_rows(target, pitch, source, row, column, count, rows, width, factor)` and
    return it.

    target[r·pitch + c] = factor · source[r·row + c·column] for r < `count` and c < `width`; what is
    left of `rows` rows of `pitch` numbers becomes 0.
    """
    numbers, lanes = Pointer(scalar), tiles.lanes
    parameters: dict[str, Type] = {
        "target": numbers, "pitch": i64, "source": numbers, "row": i64, "column": i64,
        "count": i64, "rows": i64, "width": i64, "factor": scalar,
    }  # fmt: skip
    with module.function("_pack_rows", parameters, inline="never") as opened:
        k, target, pitch, source, row, column, count, rows, width, factor = opened
        rate = k.splat(factor)
        with k.loop(count) as line:
            here, there = target + line.index * pitch, source + line.index * row
            whole = k.select(column.equals(1), width // lanes * lanes, k.integer(0))
            with k.loop(whole, step=lanes) as turn:
                k.prefetch(there + (turn.index + row * ROWS_AHEAD))
                here.store(turn.index, there.load(turn.index, lanes=lanes) * rate)
            with k.loop(pitch, start=whole, step=lanes) as turn:
                left = k.maximum(width - turn.index, 0)
                rest = k.load_spread(there + turn.index * column, column, left, lanes)
                here.store(turn.index, rest * rate)
        with k.loop(rows * pitch, start=count * pitch, step=lanes) as turn:
            target.store(turn.index, k.zeros(scalar))
        handle: Function = k.handle
    return handle


def emit_pack_columns(module: KernelModule, scalar: Scalar, tiles: Tiles) -> Function:
    """Define `_pack_columns(target, source, row, column, valid, width, factor)` and return it.

    target[c·tile + r] = factor · source[r·row + c·column] for r below the tile's width and c below
    `width`, rounded up to full registers; rows from `valid` on repeat the last one.
    """
    numbers, lanes = Pointer(scalar), tiles.lanes
    parameters: dict[str, Type] = {
        "target": numbers, "source": numbers, "row": i64, "column": i64, "valid": i64,
        "width": i64, "factor": scalar,
    }  # fmt: skip
    with module.function("_pack_columns", parameters, inline="never") as opened:
        k, target, source, row, column, valid, width, factor = opened
        rate = k.splat(factor)
        with k.loop(tiles.width, step=lanes) as group:
            places = [
                source + k.minimum(group.index + lane, valid - 1) * row for lane in range(lanes)
            ]
            whole = k.select(column.equals(1), width // lanes * lanes, k.integer(0))
            with k.loop(whole, step=lanes) as turn:
                here = target + (turn.index * tiles.width + group.index)
                moved = [place + turn.index for place in places]
                for place in moved:
                    k.prefetch(place + row * lanes)
                for number, register in enumerate(k.load_transposed(moved)):
                    here.store(number * tiles.width, register * rate)
            with k.loop(width, start=whole) as turn:
                here = target + (turn.index * tiles.width + group.index)
                for lane, place in enumerate(places):
                    here[lane] = place[turn.index * column] * factor
        handle: Function = k.handle
    return handle


def emit_unpack(module: KernelModule, scalar: Scalar, tiles: Tiles) -> Function:
    """Define `_unpack(target, row, valid, width, source, factors)` and return it.

    target[r·row + c] = source[c·tile + r] · factors[r] for r < `valid` and c < `width`.
    """
    numbers, lanes = Pointer(scalar), tiles.lanes
    parameters: dict[str, Type] = {
        "target": numbers, "row": i64, "valid": i64, "width": i64, "source": numbers,
        "factors": numbers,
    }  # fmt: skip
    with module.function("_unpack", parameters, inline="never") as opened:
        k, target, row, valid, width, source, factors = opened
        with k.loop(valid, step=lanes) as group, k.loop(width, step=lanes) as turn:
            rate = factors.load(group.index, lanes=lanes)
            there = source + (turn.index * tiles.width + group.index)
            columns = [there.load(n * tiles.width, lanes=lanes) * rate for n in range(lanes)]
            here = target + (group.index * row + turn.index)
            rows, columns_left = valid - group.index, width - turn.index
            is_whole = k.both(rows >= lanes, columns_left >= lanes)
            turned = k.transpose(columns)
            with k.either(is_whole) as (whole, part):
                with whole:
                    for number, register in enumerate(turned):
                        (here + row * number).store(0, register)
                with part:
                    _store_part(k, here, row, turned, rows, columns_left)
        handle: Function = k.handle
    return handle


def _store_part(
    k: Builder, here: Value, row: Value, registers: list[Value], rows: Value, columns: Value
) -> None:
    for number, register in enumerate(registers):
        with k.when(rows > number):
            k.store_first(here + row * number, register, columns)
