"""The stages of a Winograd convolution, each a function of the module: lanes are channels.

Patches of the input are turned so that a register holds one place of as many channels as it has
lanes, results are turned back; in between every stage reads and writes whole registers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.winograd_transforms import TAPS, Transform

LONGEST_RUN = 16
CHANNEL_BLOCK = 64
# Without it the places of a tile would lie a multiple of 4 KiB apart, in one set of the cache.
SET_SKEW = 16
_UNROLL = 4


@dataclass(frozen=True, slots=True)
class Shapes:
    """What a module is compiled for; sizes count scalars."""

    scalar: Scalar
    transform: Transform
    lanes: int
    vectors: int
    rows: int

    @property
    def panel(self) -> int:
        """How many output channels a register tile has."""
        return self.vectors * self.lanes

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


def emit_patch(module: KernelModule, s: Shapes) -> Function:
    """Define `_patch(x, channel, row, left, top, lines, start, columns, height, width, patch)`.

    Copies places [top, top + lines) × [start, start + columns) of `left` channels to `patch`, zeros
    where that is outside the image; lanes past `left` hold a copy of the last channel.
    """
    parameters: dict[str, Type] = {
        "x": Pointer(s.scalar), "channel": i64, "row": i64, "left": i64, "top": i64, "lines": i64,
        "start": i64, "columns": i64, "height": i64, "width": i64, "patch": Pointer(s.scalar),
    }  # fmt: skip
    with module.function("_patch", parameters, inline="never") as opened:
        k, x, channel, row, left, top, lines, start, columns, height, width, patch = opened
        planes = [x + k.minimum(left - 1, lane) * channel for lane in range(s.lanes)]
        low = k.maximum(start, 0)
        count = k.minimum(width, start + columns) - low
        with k.loop(lines) as turn:
            here, line = top + turn.index, patch + turn.index * s.patch_pitch
            is_inside = k.both(k.both(here > -1, here < height), count > 0)
            with k.either(is_inside) as (inside, outside):
                with inside:
                    shift = low - start
                    sources = [plane + (here * row + low) for plane in planes]
                    _turn_line(k, s, sources, line + shift * s.lanes, count)
                    _clear(k, s, line, k.integer(0), shift)
                    _clear(k, s, line, shift + count, columns)
                with outside:
                    _clear(k, s, line, k.integer(0), columns)
        handle: Function = k.handle
    return handle


def _clear(k: Builder, s: Shapes, line: Value, start: Value, stop: Value) -> None:
    with k.loop(stop, start=start) as turn:
        line.store(turn.index * s.lanes, k.zeros(s.scalar))


def _turn_line(k: Builder, s: Shapes, sources: list[Value], line: Value, count: Value) -> None:
    """Turn `count` places of a row of each channel; a last square overlaps the one before."""
    with k.either(count > s.lanes - 1) as (long, short):
        with long, k.loop(count, step=s.lanes) as turn:
            at = k.minimum(turn.index, count - s.lanes)
            columns = k.load_transposed([source + at for source in sources])
            for place, column in enumerate(columns):
                (line + at * s.lanes).store(place * s.lanes, column)
        with short:
            squares = [k.load_first(source, count) for source in sources]
            for place, column in enumerate(k.transpose(squares)):
                line.store(place * s.lanes, column)


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


def loaded(source: Value, pitch: int, count: int, lanes: int) -> list[Value]:
    return [source.load(number * pitch, lanes=lanes) for number in range(count)]


def store_apart(target: Value, values: Sequence[Value], pitch: Value | int) -> None:
    for number, value in enumerate(values):
        (target + pitch * number).store(0, value)


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
        ascends = k.both(column.equals(1), row.equals(TAPS))
        descends = k.both(column.equals(-1), row.equals(-TAPS))
        either = k.either_true(ascends, descends)
        conditions = {"ascending": ascends, "descending": descends, "apart": either.equals(0)}
        for order, condition in conditions.items():
            with k.when(condition), k.loop(count) as turn:
                for vector in range(s.vectors):
                    lanes = [k.minimum(left - 1, vector * s.lanes + i) for i in range(s.lanes)]
                    sources = [w + (lane * output + turn.index * channel) for lane in lanes]
                    if order == "apart":
                        taps = _gathered(k, s, sources, row, column, spare)
                    else:
                        taps = _record(k, s, sources, order)
                    target = u + turn.index * s.panel + vector * s.lanes
                    _transform_weights(k, s, taps, target, spare)
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


def emit_multiply(
    module: KernelModule, s: Shapes, height: int, row_pitch: int, step: int
) -> Function:
    """Define `_multiply_<height>(count, v, u, m, adds)`: m (+)= v·u for `height` rows and a panel.

    Rows of v are `row_pitch` apart, the terms of a sum `step`; rows of u and m are a panel apart.
    """
    pointer = Pointer(s.scalar)
    parameters: dict[str, Type] = {
        "count": i64, "v": pointer, "u": pointer, "m": pointer, "adds": i64,
    }  # fmt: skip
    with module.function(f"_multiply_{height}", parameters, inline="never") as opened:
        k, count, v, u, m, adds = opened
        start = [k.zeros(s.scalar)] * (height * s.vectors)
        rows = [row * row_pitch for row in range(height)]
        whole = count // _UNROLL
        with k.loop(whole, carry=[v, u, *start]) as turn:
            left, right, *sums = turn.carried
            for number in range(_UNROLL):
                sums = _step(k, s, sums, left + number * step, right + number * s.panel, rows)
            turn.next = [left + _UNROLL * step, right + _UNROLL * s.panel, *sums]
        with k.loop(count, start=whole * _UNROLL, carry=turn.results) as rest:
            left, right, *sums = rest.carried
            sums = _step(k, s, sums, left, right, rows)
            rest.next = [left + step, right + s.panel, *sums]
        _store_sums(k, s, rest.results[2:], m, adds)
        handle: Function = k.handle
    return handle


def _step(
    k: Builder, s: Shapes, sums: list[Value], v: Value, u: Value, rows: list[int]
) -> list[Value]:
    panel = loaded(u, s.lanes, s.vectors, s.lanes)
    done: list[Value] = []
    for number, row in enumerate(rows):
        left = k.splat(v[row])
        done += [k.fma(left, right, sums[number * s.vectors + i]) for i, right in enumerate(panel)]
    return done


def _store_sums(k: Builder, s: Shapes, sums: list[Value], m: Value, adds: Value) -> None:
    with k.either(adds > 0) as (then, otherwise):
        with then:
            for number, total in enumerate(sums):
                place = number * s.lanes
                m.store(place, m.load(place, lanes=s.lanes) + total)
        with otherwise:
            for number, total in enumerate(sums):
                m.store(number * s.lanes, total)


def emit_output(module: KernelModule, s: Shapes) -> Function:
    """Define `_output(m, pitch, tiles, pixels, spare)`: A·m·Aᵀ of each tile of a run, for as many
    output channels as a register has lanes.
    """
    parameters: dict[str, Type] = {
        "m": Pointer(s.scalar), "pitch": i64, "tiles": i64, "pixels": Pointer(s.scalar),
        "spare": Pointer(s.scalar),
    }  # fmt: skip
    size, outputs, lanes = s.transform.size, s.transform.outputs, s.lanes
    with module.function("_output", parameters, inline="never") as opened:
        k, m, pitch, tiles, pixels, spare = opened
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
                store_apart(target + row.index * s.pixel_pitch, found, lanes)
        handle: Function = k.handle
    return handle


def emit_write(module: KernelModule, s: Shapes) -> Function:
    """Define `_write(pixels, out, channel, row, left, rows, columns)`: turn results back and write
    those of `left` output channels.
    """
    parameters: dict[str, Type] = {
        "pixels": Pointer(s.scalar), "out": Pointer(s.scalar), "channel": i64, "row": i64,
        "left": i64, "rows": i64, "columns": i64,
    }  # fmt: skip
    with module.function("_write", parameters, inline="never") as opened:
        k, pixels, out, channel, row, left, rows, columns = opened
        with k.loop(rows) as turn:
            line = pixels + turn.index * s.pixel_pitch
            targets = [out + (turn.index * row + channel * lane) for lane in range(s.lanes)]
            with k.either(columns > s.lanes - 1) as (long, short):
                with long, k.loop(columns, step=s.lanes) as square:
                    at = k.minimum(square.index, columns - s.lanes)
                    places = [target + at for target in targets]
                    _write_square(k, s, line + at * s.lanes, places, left, None)
                with short:
                    _write_square(k, s, line, targets, left, columns)
        handle: Function = k.handle
    return handle


def _write_square(
    k: Builder, s: Shapes, line: Value, places: list[Value], left: Value, columns: Value | None
) -> None:
    with k.either(left > s.lanes - 1) as (all_lanes, some):
        with all_lanes:
            for place, channel in zip(places, _channels(k, s, line), strict=True):
                _write_part(k, place, channel, columns)
        with some:
            for lane, channel in enumerate(_channels(k, s, line)):
                with k.when(left > lane):
                    _write_part(k, places[lane], channel, columns)


def _channels(k: Builder, s: Shapes, line: Value) -> Iterator[Value]:
    return k.load_transposed([line + place * s.lanes for place in range(s.lanes)])


def _write_part(k: Builder, place: Value, value: Value, columns: Value | None) -> None:
    if columns is None:
        place.store(0, value)
    else:
        k.store_first(place, value, columns)
