"""Rows read from places of a table, and rows added to places of a table.

Places are int64. One outside of the table reads NaN (all bits set), and is added nowhere. What is
added to one place is added in the order of the rows, whatever the number of threads: they share
the columns, not the rows.
"""

from __future__ import annotations

from functools import lru_cache

from lamina.codegen import jit
from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.types import Pointer, element_of, i8, i64, u8, u16, u32, u64
from lamina.codegen.values import Value
from lamina.kernels.launch import PLANS_KEPT, Place, Step, argument_block, workers_for
from lamina.kernels.scalars import STORED

_FIELDS = ("counter", "chunks", "out", "table", "places", "rows", "width", "size", "each", "outer")
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_WORDS = {1: u8, 2: u16, 4: u32, 8: u64}
_ROWS_BYTES = 1 << 15
_COLUMNS = 256


def _get(args: Value, name: str) -> Value:
    return args[_SLOT[name]]


def emit_read_rows(module: KernelModule, itemsize: int) -> None:
    """Define `run(arguments, _)`: claim chunks of rows and copy each from its place."""
    word = _WORDS[itemsize]
    lanes = module.target.lanes(word)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        places = k.pointer_at(_get(args, "places"), i64)
        rows, width, each = (_get(args, name) for name in ("rows", "width", "each"))

        with k.claimed(args, _get(args, "chunks")) as number:
            first = number * each
            last = k.minimum(first + each, rows * _get(args, "outer"))
            with k.loop(last, start=first) as turn:
                block, row = turn.index // rows, turn.index % rows
                size, place = _get(args, "size"), places[row]
                source = k.pointer_at(_get(args, "table"), word) + (block * size + place) * width
                target = k.pointer_at(_get(args, "out"), word) + turn.index * width
                whole = width // lanes * lanes
                with k.either(_is_inside(k, place, size)) as (inside, outside):
                    with inside:
                        with k.loop(whole, step=lanes) as column:
                            target.store(column.index, source.load(column.index, lanes=lanes))
                        with k.loop(width, start=whole) as column:
                            target[column.index] = source[column.index]
                    with outside, k.loop(width) as column:
                        target[column.index] = ~k.constant(word, 0)


def _is_inside(k: Builder, place: Value, size: Value) -> Value:
    return k.both(place >= 0, place < size)


def emit_add_rows(module: KernelModule, dtype: str, starts_empty: bool) -> None:
    """Define `run(arguments, _)`: claim blocks of columns, and add the rows to their places.

    The places hold zeros before if it `starts_empty`, else what they hold.
    """
    scalar = STORED[dtype]
    lanes = module.target.lanes(scalar)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        places = k.pointer_at(_get(args, "places"), i64)
        out, values = (k.pointer_at(_get(args, name), scalar) for name in ("out", "table"))
        rows, width = _get(args, "rows"), _get(args, "width")

        with k.claimed(args, _get(args, "chunks")) as number:
            first = number * _COLUMNS
            count = k.minimum(width - first, _COLUMNS)
            whole = count // lanes * lanes
            size = _get(args, "size")
            if starts_empty:
                with k.loop(size) as line:
                    target = out + (line.index * width + first)
                    _each(k, lanes, whole, count, lambda at, n: _clear(k, target + at, n))
            with k.loop(rows) as turn, k.when(_is_inside(k, places[turn.index], size)):
                target = out + (places[turn.index] * width + first)
                source = values + (turn.index * width + first)
                _each(k, lanes, whole, count, lambda at, n: _add(target + at, source + at, n))


def _each(k: Builder, lanes: int, whole: Value, count: Value, body: jit.Emitter) -> None:
    """Emit `body(place, lanes)` for whole registers, then `body(place, None)` for what is left."""
    with k.loop(whole, step=lanes) as turn:
        body(turn.index, lanes)
    with k.loop(count, start=whole) as turn:
        body(turn.index, None)


def _clear(k: Builder, target: Value, lanes: int | None) -> None:
    target.store(0, 0 if lanes is None else k.zeros(element_of(target.type)))


def _add(target: Value, source: Value, lanes: int | None) -> None:
    target.store(0, target.load(0, lanes=lanes) + source.load(0, lanes=lanes))


@lru_cache(maxsize=PLANS_KEPT)
def _reading(itemsize: int, outer: int, size: int, rows: int, width: int) -> Step:
    each = max(1, _ROWS_BYTES // max(width * itemsize, 1))
    chunks = -(-outer * rows // each)
    arguments = argument_block(0, chunks, 0, 0, 0, rows, width, size, each, outer)
    workers = workers_for(nbytes=2 * outer * rows * width * itemsize, chunks=chunks)
    entry = jit.kernel(emit_read_rows, itemsize)
    return Step(entry, arguments, _places(), 0, workers)


@lru_cache(maxsize=PLANS_KEPT)
def _adding(dtype: str, starts_empty: bool, size: int, rows: int, width: int) -> Step:
    chunks = -(-width // _COLUMNS)
    arguments = argument_block(0, chunks, 0, 0, 0, rows, width, size, 0, 1)
    nbytes = (3 * rows + size) * width * STORED[dtype].bytes
    entry = jit.kernel(emit_add_rows, dtype, starts_empty)
    return Step(entry, arguments, _places(), 0, workers_for(nbytes=nbytes, chunks=chunks))


def _places() -> tuple[tuple[int, Place], ...]:
    return tuple((_SLOT[name], Place(n, 0)) for n, name in enumerate(("out", "table", "places")))


def read_rows(
    out: int, table: int, places: int, *, shape: tuple[int, int, int, int], itemsize: int
) -> None:
    """Copy rows to `out`: out[b, i] = table[b, places[i]].

    Operands are addresses of C-ordered arrays, out (b, rows, width), table (b, size, width);
    `shape` is (b, size, rows, width).
    """
    _reading(itemsize, *shape).run((out, table, places))


def add_rows(
    out: int,
    values: int,
    places: int,
    *,
    shape: tuple[int, int, int],
    dtype: str,
    starts_empty: bool = True,
) -> None:
    """Write to `out` the sums of the rows for each place: out[places[i]] += values[i].

    What `out` held counts too, unless it `starts_empty`.

    Operands are addresses of C-ordered arrays, out (size, width), values (rows, width); `shape` is
    (size, rows, width). The rows for one place are added in their order.
    """
    _adding(dtype, starts_empty, *shape).run((out, values, places))
