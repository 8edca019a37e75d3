"""Few rows times a matrix, read once as a stream: what a layer does to one sample.

    out[z, m, n] = Σ_k a[z, m, k] · b[z, k, n]

Lanes are columns of the result. Where b's columns lie side by side they are loaded as they are;
where k does, squares are transposed in registers. Each result is summed in the order of the
matrix kernel, blocks of k included, so that a row has the same bits whichever kernel made it.
"""

from dataclasses import dataclass
from itertools import chain
from typing import final

from lamina.codegen import cpu, jit
from lamina.codegen.builder import Function, KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, Type, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.gemm.arithmetic import Recipe, arithmetic_of
from lamina.kernels.gemm.contract import FurtherOperand
from lamina.kernels.gemm.finish import Further
from lamina.kernels.gemm.row_sums import (
    BATCH_AXES,
    SLOT,
    AlongColumns,
    Columns,
    Sums,
    Work,
)
from lamina.kernels.gemm.tiles import k_block, tile_for
from lamina.kernels.launch import Place, Step, argument_block, workers_for
from lamina.kernels.offsets import locate
from lamina.kernels.operand import AXES, Axes, Shape, flat, product
from lamina.kernels.scalars import STORED

_CHUNKS_A_THREAD = 4
MOST_ROWS = 8
# How far ahead along k a matrix is asked for that the caches do not hold.
_ELEMENTS_AHEAD = 512
_NEVER = 0x7FFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Stream:
    """A run of k for one register of columns: where it starts in b and a, its length."""

    b: Value
    a: Value
    count: Value
    running: Value
    adds: Value


class _Squares:
    """Emits the sums of one stream, or of several of as many squares, turn by turn."""

    def __init__(
        self, sums: Sums, streams: list[_Stream], a_pitch: Value, valid: Value, is_far: bool
    ) -> None:
        self.sums = sums
        self.is_far = is_far
        self.k = sums.k
        self.lanes = sums.lanes
        self.streams = streams
        self.a_pitch = a_pitch
        self.valid = valid

    def run(self) -> None:
        whole = self.streams[0].count // self.lanes * self.lanes
        totals = self._squares(whole)
        height = self.sums.height
        for number, stream in enumerate(self.streams):
            mine = self._rest(stream, whole, totals[number * height :][:height])
            self.sums.keep(mine, stream.running, stream.adds)

    def _a(self, stream: _Stream, at: Value) -> list[Value]:
        return [stream.a + (self.a_pitch * row + at) for row in range(self.sums.height)]

    def _squares(self, whole: Value) -> list[Value]:
        k, height = self.k, self.sums.height
        starts = [self._quads(stream.b) for stream in self.streams]
        quads, carried = len(starts[0]), len(starts[0]) * len(starts)
        carry = [*chain(*starts), *self.sums.zeros(len(starts))]
        with k.loop(whole, step=self.lanes, carry=carry) as turn:
            done: list[Value] = []
            for number, stream in enumerate(self.streams):
                sources = self._sources(turn.carried[number * quads :][:quads])
                if self.is_far:
                    for source in sources:
                        k.prefetch(source + _ELEMENTS_AHEAD)
                mine = turn.carried[carried + number * height :][:height]
                left = self._a(stream, turn.index)
                for at, column in enumerate(self.sums.columns_of(sources)):
                    mine = self.sums.step(mine, at, [column], left)
                done += mine
            turn.next = [*(place + self.lanes for place in turn.carried[:carried]), *done]
        return turn.results[carried:]

    def _quads(self, b: Value) -> list[Value]:
        """Return where every fourth column starts: x86 adds up to three strides on its own."""
        step, is_alone = self.sums.get("b_column"), len(self.streams) == 1
        return [b + step * column for column in range(0, 1 if is_alone else self.lanes, 4)]

    def _sources(self, quads: list[Value]) -> list[Value]:
        """Return where each column starts; of a single stream, those past `valid` as the last."""
        k, step = self.k, self.sums.get("b_column")
        if len(self.streams) > 1:
            return [quads[column // 4] + step * (column % 4) for column in range(self.lanes)]
        last = self.valid - 1
        columns = [k.minimum(k.integer(column), last) for column in range(self.lanes)]
        return [quads[0] + step * column for column in columns]

    def _rest(self, stream: _Stream, whole: Value, totals: list[Value]) -> list[Value]:
        """Return the sums with the last k, fewer than a square has."""
        k, lanes = self.k, self.lanes
        count = stream.count - whole
        spare = k.stack(self.sums.total, max(2, lanes * lanes))
        with k.when(count > 0):
            sources = self._sources(self._quads(stream.b + whole))
            rows = [self.sums.b(source, count) for source in sources]
            for at, column in enumerate(k.transpose(rows)):
                spare.store(at * lanes, column)
        with k.loop(count, carry=totals) as turn:
            row = (spare + turn.index * lanes).load(0, lanes=lanes)
            left = self._a(stream, whole + turn.index)
            turn.next = self.sums.step(turn.carried, 0, [row], left)
        return turn.results


def _emit_streams(
    module: KernelModule, recipe: Recipe, height: int, count: int, is_far: bool
) -> Function:
    """Define `_streams_<count>(args, valid, a_pitch, …b, a, count, running, adds of each)`."""
    total = Pointer(arithmetic_of(recipe).total)
    one: dict[str, Type] = {
        "b": Pointer(STORED[recipe.b]), "a": total, "count": i64, "running": total, "adds": i64,
    }  # fmt: skip
    parameters: dict[str, Type] = {"args": Pointer(i64), "valid": i64, "a_pitch": i64}
    for number in range(count):
        parameters |= {f"{name}_{number}": kind for name, kind in one.items()}
    with module.function(f"_streams_{count}", parameters, inline="never") as opened:
        k, args, valid, a_pitch, *values = opened
        starts = range(0, len(values), len(one))
        streams = [_Stream(*values[start : start + len(one)]) for start in starts]
        _Squares(Sums(k, recipe, height, args), streams, a_pitch, valid, is_far).run()
        handle: Function = k.handle
    return handle


@final
class _AlongSums(Columns):
    """The k of one column lie side by side: squares of k and columns are transposed.

    A sum is one chain of FMAs, so several go together: of blocks of k, or of registers of columns
    where k has one block. (Many columns at once would meet in one set of the first cache.)
    """

    wide = 2

    def __init__(self, module: KernelModule, recipe: Recipe, height: int, is_far: bool) -> None:
        self.count = 2
        self.streams = {
            count: _emit_streams(module, recipe, height, count, is_far) for count in (1, 2)
        }

    def run(self, sums: Sums, place: Work, first: Value, stop: Value) -> None:
        k, lanes, block = sums.k, sums.lanes, sums.get("k_block")
        is_short = sums.get("k") <= block
        columns = k.select(is_short, k.integer(self.count * lanes), k.integer(lanes))
        count = k.maximum(sums.get("k"), 1)
        running = k.stack(sums.total, max(2, self.count * sums.height * lanes))
        with k.loop(stop, start=first, step=columns) as turn:
            with k.loop(count, step=self.count * block) as blocks:
                streams, left = [], []
                for number in range(self.count):
                    slot = k.select(is_short, k.integer(number), k.integer(0))
                    later = k.select(is_short, k.integer(0), block * number)
                    column = turn.index + slot * lanes
                    to = running + slot * (sums.height * lanes)
                    streams.append(_stream(sums, place, column, blocks.index + later, to))
                    left.append(stop - column)
                self._compute(sums, place, streams, left)
            sums.finish(place, running, turn.index, k.minimum(turn.index + columns, stop))

    def _compute(self, sums: Sums, place: Work, streams: list[_Stream], left: list[Value]) -> None:
        """Compute streams: together where all are whole and as long, else one after the other."""
        k, lanes, half = sums.k, sums.lanes, len(streams) // 2
        if half == 0:
            self._compute_one(sums, place, streams[0], left[0])
            return
        squares = streams[0].count // lanes
        fits = left[-1] >= lanes
        for stream in streams[1:]:
            as_long = k.both(stream.count > 0, (stream.count // lanes).equals(squares))
            fits = k.both(fits, as_long)
        with k.either(fits) as (together, apart):
            with together:
                values = [value for stream in streams for value in _values(stream)]
                function = self.streams[len(streams)]
                k.call(function, sums.args, k.integer(lanes), place.a_pitch, *values)
            with apart:
                self._compute(sums, place, streams[:half], left[:half])
                self._compute(sums, place, streams[half:], left[half:])

    def _compute_one(self, sums: Sums, place: Work, stream: _Stream, left: Value) -> None:
        k = sums.k
        # Without any k a first block still writes its zeros.
        counts = k.either_true(stream.count > 0, stream.adds.equals(0))
        with k.when(k.both(left > 0, counts)):
            valid = k.minimum(left, sums.lanes)
            k.call(self.streams[1], sums.args, valid, place.a_pitch, *_values(stream))


def _stream(sums: Sums, place: Work, column: Value, start: Value, running: Value) -> _Stream:
    return _Stream(
        b=place.b + (column * sums.get("b_column") + start),
        a=place.a + start,
        count=sums.k.minimum(sums.get("k_block"), sums.get("k") - start),
        running=running,
        adds=start,
    )


def _values(stream: _Stream) -> tuple[Value, ...]:
    return stream.b, stream.a, stream.count, stream.running, stream.adds


_WAYS: dict[str, type[Columns]] = {
    "columns": AlongColumns,
    "sums": _AlongSums,
}


def _side_by_side(sums: Sums, a: Value, copy: Value) -> tuple[Value, Value]:
    """Return the rows of a and their pitch; elements that lie apart, or of another type than the
    sums, are copied.
    """
    k, step, count = sums.k, sums.get("a_column"), sums.get("k")
    is_plain = step.equals(1 if STORED[sums.recipe.a] == sums.total else _NEVER)
    with k.when(is_plain.equals(0)):
        for row in range(sums.height):
            source = a + sums.get("a_row") * row
            with k.loop(count) as turn:
                copy[count * row + turn.index] = k.convert(source[turn.index * step], sums.total)
    plain = k.cast_pointer(a, sums.total)
    return k.select(is_plain, plain, copy), k.select(is_plain, sums.get("a_row"), count)


def _run_chunk(sums: Sums, columns: Columns, copy: Value, number: Value) -> None:
    k, recipe = sums.k, sums.recipe
    batch, part = number // sums.get("n_chunks"), number % sums.get("n_chunks")
    starts = locate(k, sums.args, BATCH_AXES, batch, 3 + len(recipe.inputs))
    out, a, b = (
        k.pointer_at(sums.get(name), STORED[dtype]) + start
        for name, dtype, start in zip(("out", "a", "b"), recipe[:3], starts, strict=False)
    )
    further = []
    for place, (dtype, lies) in enumerate(recipe.inputs):
        slot = _further_slot(len(recipe.inputs), place)
        pointer = k.pointer_at(sums.args[slot], STORED[dtype]) + starts[3 + place]
        further.append(Further(dtype, lies, pointer, sums.args[slot + 1], sums.args[slot + 2]))
    rows, pitch = _side_by_side(sums, a, copy)
    first = part * sums.get("n_chunk")
    stop = k.minimum(first + sums.get("n_chunk"), sums.get("n"))
    columns.run(sums, Work(out, rows, pitch, b, further), first, stop)


def _further_slot(inputs: int, number: int) -> int:
    return BATCH_AXES + (4 + inputs) * AXES + 3 * number


def emit_rows(
    module: KernelModule, recipe: Recipe, height: int, way: str, is_far: bool = False
) -> None:
    """Define `run(arguments, scratch)`: claim chunks of the columns of `height` rows.

    `is_far` says that b comes from memory, not from a cache.
    """
    columns = _WAYS[way](module, recipe, height, is_far)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        sums = Sums(k, recipe, height, args)
        with k.claimed(args, sums.get("chunks")) as number:
            _run_chunk(sums, columns, k.cast_pointer(scratch, sums.total), number)


@dataclass(frozen=True, slots=True)
class FewRows:
    """One product to compute, of at most MOST_ROWS rows; strides count elements.

    b's columns or its rows have stride 1. `batch` has axes (size, stride in out, a, b and each
    further operand).
    """

    recipe: Recipe
    out: Place
    a: Place
    b: Place
    m: int
    n: int
    k: int
    out_strides: Shape
    a_strides: Shape
    b_strides: Shape
    batch: Axes
    further: tuple[FurtherOperand, ...] = ()

    def step(self) -> Step:
        """Return the kernel call that computes it."""
        target, total = host_target(), arithmetic_of(self.recipe).total
        way = "columns" if self.b_strides[1] == 1 else "sums"
        wide = _WAYS[way].wide * target.lanes(total)
        z, inputs = product(self.batch), len(self.further)
        nbytes = self.n * self.k * z * STORED[self.recipe.b].bytes
        workers = workers_for(nbytes=nbytes)
        parts = 1 if workers == 1 else -(-_CHUNKS_A_THREAD * workers // z)
        n_chunk = -(-self.n // (parts * wide)) * wide
        n_chunks = -(-self.n // n_chunk)
        arguments = argument_block(
            0, n_chunks * z, 0, 0, 0, self.n, self.k,
            *self.out_strides, *self.a_strides, *self.b_strides,
            k_block(self.k, tile_for(target)), n_chunk, n_chunks, *flat(self.batch, 3 + inputs),
            *(number for x in self.further for number in (0, x.row, x.column)),
        )  # fmt: skip
        is_far = way == "sums" and nbytes > (cpu.describe().l3_bytes or cpu.describe().l2_bytes)
        entry = jit.kernel(emit_rows, self.recipe, self.m, way, is_far)
        places = [(SLOT["out"], self.out), (SLOT["a"], self.a), (SLOT["b"], self.b)]
        places += [(_further_slot(inputs, i), x.place) for i, x in enumerate(self.further)]
        is_plain = self.a_strides[1] == 1 and STORED[self.recipe.a] == total
        scratch = 0 if is_plain else self.m * self.k * total.bytes
        return Step(entry, arguments, tuple(places), scratch, min(workers, n_chunks * z))
