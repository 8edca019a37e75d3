"""Kernels whose lanes are channels: turning rows of an image into registers that hold one place of
as many channels as there are lanes, products of those with weights, and turning results back.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.target import Target
from lamina.codegen.types import Pointer, Scalar, Type, element_of, i64
from lamina.codegen.values import Value
from lamina.kernels.gemm.tiles import tile_for
from lamina.kernels.scalars import SCALARS

# Channels that are summed up before a sum goes to memory.
CHANNEL_BLOCK = 64
# Without it what is read together would lie a multiple of 4 KiB apart, in one set of the cache.
SET_SKEW = 16
_UNROLL = 4


@dataclass(frozen=True, slots=True)
class Registers:
    """A register tile: `rows` places times a panel of output channels, `vectors` registers wide."""

    scalar: Scalar
    lanes: int
    vectors: int
    rows: int

    @property
    def panel(self) -> int:
        """How many output channels a register tile has."""
        return self.vectors * self.lanes


def registers_of(target: Target, dtype: str) -> Registers:
    """Return the register tile of a target."""
    tile, scalar = tile_for(target), SCALARS[dtype]
    return Registers(scalar, target.lanes(scalar), tile.vectors, tile.rows)


def emit_patch(
    module: KernelModule, r: Registers, place_pitch: int, *, is_last: bool = False
) -> Function:
    """Define `_patch(x, step, row, left, top, lines, start, columns, height, width, patch,
    pitch)`.

    Copies places [top, top + lines) × [start, start + columns) of `left` channels to `patch`, zeros
    where that is outside the image; what lanes past `left` hold is of no use. Places lie
    `place_pitch` apart in the patch, lines `pitch`. `step` is the distance of channels, of columns
    where channels are last.
    """
    parameters: dict[str, Type] = {
        "x": Pointer(r.scalar), "step": i64, "row": i64, "left": i64, "top": i64, "lines": i64,
        "start": i64, "columns": i64, "height": i64, "width": i64, "patch": Pointer(r.scalar),
        "pitch": i64,
    }  # fmt: skip
    with module.function("_patch", parameters, inline="never") as opened:
        k, x, step, row, left, top, lines, start, columns, height, width, patch, pitch = opened
        # Lanes past the channels that are there hold a copy of the last one.
        channels = () if is_last else range(r.lanes)
        planes = [x + k.minimum(left - 1, lane) * step for lane in channels]
        low = k.maximum(start, 0)
        count = k.minimum(width, start + columns) - low
        with k.loop(lines) as turn:
            here, line = top + turn.index, patch + turn.index * pitch
            is_inside = k.both(k.both(here > -1, here < height), count > 0)
            with k.either(is_inside) as (inside, outside):
                with inside:
                    shift = low - start
                    target = line + shift * place_pitch
                    if is_last:
                        pixels = x + (here * row + low * step)
                        _move_line(k, r, (pixels, step), (target, place_pitch), count, left)
                    else:
                        sources = [plane + (here * row + low) for plane in planes]
                        _turn_line(k, r, sources, target, count, place_pitch)
                    _clear(k, r, line, k.integer(0), shift, place_pitch)
                    _clear(k, r, line, shift + count, columns, place_pitch)
                with outside:
                    _clear(k, r, line, k.integer(0), columns, place_pitch)
        handle: Function = k.handle
    return handle


def _clear(
    k: Builder, r: Registers, line: Value, start: Value, stop: Value, place_pitch: int
) -> None:
    with k.loop(stop, start=start) as turn:
        line.store(turn.index * place_pitch, k.zeros(r.scalar))


def _turn_line(
    k: Builder, r: Registers, sources: list[Value], line: Value, count: Value, place_pitch: int
) -> None:
    """Turn `count` places of a row of each channel; a last square overlaps the one before."""
    with k.either(count > r.lanes - 1) as (long, short):
        with long, k.loop(count, step=r.lanes) as turn:
            at = k.minimum(turn.index, count - r.lanes)
            columns = k.load_transposed([source + at for source in sources])
            for place, column in enumerate(columns):
                (line + at * place_pitch).store(place * place_pitch, column)
        with short:
            squares = [k.load_first(source, count) for source in sources]
            for place, column in enumerate(k.transpose(squares)):
                line.store(place * place_pitch, column)


def _move_line(
    k: Builder, r: Registers, source: tuple[Value, Value | int], target: tuple[Value, Value | int],
    count: Value, left: Value,
) -> None:  # fmt: skip
    """Copy a register of channels of `count` pixels, of which `left` are there; source and target
    are places and the steps from pixel to pixel.
    """
    (x, x_step), (out, out_step) = source, target
    with k.either(left >= r.lanes) as (whole, part):
        with whole, k.loop(count) as turn:
            content = (x + turn.index * x_step).load(0, lanes=r.lanes)
            (out + turn.index * out_step).store(0, content)
        with part, k.loop(count) as turn:
            content = k.load_first(x + turn.index * x_step, left, r.lanes)
            k.store_first(out + turn.index * out_step, content, left)


def loaded(source: Value, pitch: int, count: int, lanes: int) -> list[Value]:
    """Return `count` registers that lie `pitch` apart."""
    return [source.load(number * pitch, lanes=lanes) for number in range(count)]


def store_apart(target: Value, values: Sequence[Value], pitch: Value | int) -> None:
    """Write registers `pitch` apart."""
    for number, value in enumerate(values):
        (target + pitch * number).store(0, value)


def emit_multiplications(
    module: KernelModule, r: Registers, *, row_pitch: int, step: int
) -> dict[int, Function]:
    """Define `_multiply_<height>` for every height of a tile and return them all."""
    return {
        height: _emit_multiply(module, r, height, row_pitch, step)
        for height in range(1, r.rows + 1)
    }


def _emit_multiply(
    module: KernelModule, r: Registers, height: int, row_pitch: int, step: int
) -> Function:
    """Define `_multiply_<height>(count, v, u, m, pitch, adds)`: m (+)= v·u for `height` rows and a
    panel.

    Rows of v are `row_pitch` apart, the terms of a sum `step`; rows of u are a panel apart, and
    those of m `pitch`.
    """
    pointer = Pointer(r.scalar)
    parameters: dict[str, Type] = {
        "count": i64, "v": pointer, "u": pointer, "m": pointer, "pitch": i64, "adds": i64,
    }  # fmt: skip
    with module.function(f"_multiply_{height}", parameters, inline="never") as opened:
        k, count, v, u, m, pitch, adds = opened
        start = [k.zeros(r.scalar)] * (height * r.vectors)
        rows = [row * row_pitch for row in range(height)]
        whole = count // _UNROLL
        with k.loop(whole, carry=[v, u, *start]) as turn:
            left, right, *sums = turn.carried
            for number in range(_UNROLL):
                sums = _step(k, r, sums, left + number * step, right + number * r.panel, rows)
            turn.next = [left + _UNROLL * step, right + _UNROLL * r.panel, *sums]
        with k.loop(count, start=whole * _UNROLL, carry=turn.results) as rest:
            left, right, *sums = rest.carried
            sums = _step(k, r, sums, left, right, rows)
            rest.next = [left + step, right + r.panel, *sums]
        lines = [m + pitch * row for row in range(height)]
        places = [line + i * r.lanes for line in lines for i in range(r.vectors)]
        store_sums(k, rest.results[2:], places, adds)
        handle: Function = k.handle
    return handle


def _step(
    k: Builder, r: Registers, sums: list[Value], v: Value, u: Value, rows: list[int]
) -> list[Value]:
    panel = loaded(u, r.lanes, r.vectors, r.lanes)
    done: list[Value] = []
    for number, row in enumerate(rows):
        left = k.splat(v[row])
        done += [k.fma(left, right, sums[number * r.vectors + i]) for i, right in enumerate(panel)]
    return done


def store_sums(k: Builder, sums: list[Value], places: list[Value], adds: Value) -> None:
    """Write registers to `places`, on top of what is there where `adds` is positive."""
    lanes = k.target.lanes(element_of(places[0].type))
    with k.either(adds > 0) as (then, otherwise):
        with then:
            for place, total in zip(places, sums, strict=True):
                place.store(0, place.load(0, lanes=lanes) + total)
        with otherwise:
            for place, total in zip(places, sums, strict=True):
                place.store(0, total)


@contextmanager
def even_groups(k: Builder, count: Value, most: int) -> Iterator[tuple[Value, Value]]:
    """Go through `count` rows in groups of at most `most`, as few and as equal as they can be; give
    the first row of a group and its height.
    """
    groups = (count + (most - 1)) // most
    height, higher = count // groups, count % groups
    with k.loop(groups) as group:
        first = group.index * height + k.minimum(group.index, higher)
        yield first, height + k.select(group.index < higher, k.integer(1), k.integer(0))


def call_for_height(
    k: Builder, functions: dict[int, Function], height: Value, *arguments: Value
) -> None:
    """Call the function that was emitted for `height`."""
    for number, function in functions.items():
        with k.when(height.equals(number)):
            k.call(function, *arguments)


def emit_write(
    module: KernelModule, r: Registers, place_pitch: int, *, is_last: bool = False
) -> Function:
    """Define `_write(pixels, pitch, out, step, row, left, rows, columns)`: write the results of
    `left` output channels, turned back unless channels are last. Pixels are `place_pitch` apart,
    their rows `pitch`; `step` is the distance of channels in out, of columns where those are last.
    """
    parameters: dict[str, Type] = {
        "pixels": Pointer(r.scalar), "pitch": i64, "out": Pointer(r.scalar), "step": i64,
        "row": i64, "left": i64, "rows": i64, "columns": i64,
    }  # fmt: skip
    with module.function("_write", parameters, inline="never") as opened:
        k, pixels, pitch, out, step, row, left, rows, columns = opened
        with k.loop(rows) as turn:
            line, target = pixels + turn.index * pitch, out + turn.index * row
            if is_last:
                _move_line(k, r, (line, place_pitch), (target, step), columns, left)
            else:
                targets = [target + step * lane for lane in range(r.lanes)]
                _write_line(k, r, line, place_pitch, targets, left, columns)
        handle: Function = k.handle
    return handle


def _write_line(
    k: Builder, r: Registers, line: Value, place_pitch: int, targets: list[Value], left: Value,
    columns: Value,
) -> None:  # fmt: skip
    """Turn a line of pixels back into a row of each of `left` channels."""
    with k.either(columns > r.lanes - 1) as (long, short):
        with long, k.loop(columns, step=r.lanes) as square:
            at = k.minimum(square.index, columns - r.lanes)
            places = [target + at for target in targets]
            here = line + at * place_pitch
            sources = [here + number * place_pitch for number in range(r.lanes)]
            _write_square(k, r, sources, places, left, None)
        with short:
            sources = [line + number * place_pitch for number in range(r.lanes)]
            _write_square(k, r, sources, targets, left, columns)


def _write_square(
    k: Builder, r: Registers, sources: list[Value], places: list[Value], left: Value,
    columns: Value | None,
) -> None:  # fmt: skip
    with k.either(left > r.lanes - 1) as (all_lanes, some):
        with all_lanes:
            for place, channel in zip(places, k.load_transposed(sources), strict=True):
                _write_part(k, place, channel, columns)
        with some:
            for lane, channel in enumerate(k.load_transposed(sources)):
                with k.when(left > lane):
                    _write_part(k, places[lane], channel, columns)


def _write_part(k: Builder, place: Value, value: Value, columns: Value | None) -> None:
    if columns is None:
        place.store(0, value)
    else:
        k.store_first(place, value, columns)
