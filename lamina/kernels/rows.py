"""Few rows times a matrix, read once as a stream: what a layer does to one sample.

    out[z, m, n] = Σ_k a[z, m, k] · b[z, k, n]

Lanes are columns of the result. Where b's columns lie side by side they are loaded as they are;
where k does, squares are transposed in registers. Each result is summed in the order of the
matrix kernel, blocks of k included, so that a row has the same bits whichever kernel made it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import chain
from typing import final

from lamina.codegen import jit, threads
from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, Scalar, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.direct import locate
from lamina.kernels.launch import Place, Step, argument_block
from lamina.kernels.operand import Axes, Shape, flat, product
from lamina.kernels.scalars import SCALARS
from lamina.kernels.tiles import k_block, tile_for

_FIELDS = (
    "counter", "chunks", "out", "a", "b", "n", "k", "out_row", "out_column", "a_row", "a_column",
    "b_row", "b_column", "k_block", "n_chunk", "n_chunks",
)  # fmt: skip
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_BATCH_AXES = len(_FIELDS)
_BYTES_WORTH_A_THREAD = 4 << 20
_CHUNKS_A_THREAD = 4
MOST_ROWS = 8


class _Chunk(ABC):
    """Emits the work on one chunk of columns."""

    # How many registers of columns a chunk is a multiple of.
    wide: int

    def __init__(
        self, k: Builder, scalar: Scalar, height: int, args: Value, scratch: Value
    ) -> None:
        self.k = k
        self.scalar = scalar
        self.height = height
        self.args = args
        self.lanes = k.target.lanes(scalar)
        self.copy = k.cast_pointer(scratch, scalar)

    def get(self, name: str) -> Value:
        return self.args[_SLOT[name]]

    def run(self, number: Value) -> None:
        """Work on chunk `number`: its batch, then its columns, as many together as are left."""
        k = self.k
        batch, part = number // self.get("n_chunks"), number % self.get("n_chunks")
        starts = locate(k, self.args, _BATCH_AXES, batch, 3)
        self.out, a, self.b = (
            k.pointer_at(self.get(name), self.scalar) + start
            for name, start in zip(("out", "a", "b"), starts, strict=True)
        )
        self._side_by_side(a)
        first = part * self.get("n_chunk")
        stop = k.minimum(first + self.get("n_chunk"), self.get("n"))
        self._columns(first, stop)

    @abstractmethod
    def _columns(self, first: Value, stop: Value) -> None:
        """Write the results of columns `first` to `stop`."""

    def _side_by_side(self, a: Value) -> None:
        """Set the rows of a, copied to the scratch memory where their elements lie apart."""
        k, step, count = self.k, self.get("a_column"), self.get("k")
        is_plain = step.equals(1)
        with k.when(is_plain.equals(0)):
            for row in range(self.height):
                source = a + self.get("a_row") * row
                with k.loop(count) as turn:
                    self.copy[count * row + turn.index] = source[turn.index * step]
        start = k.select(is_plain, a, self.copy)
        pitch = k.select(is_plain, self.get("a_row"), count)
        self.a = [start + pitch * row for row in range(self.height)]

    def _step(self, sums: list[Value], at: int, row: list[Value], a: list[Value]) -> list[Value]:
        """Return the sums after k `at`, whose registers of b are `row`."""
        k, done = self.k, []
        for line, left in enumerate(a):
            factor = k.splat(left[at])
            first = line * len(row)
            done += [k.fma(factor, right, sums[first + v]) for v, right in enumerate(row)]
        return done

    def _write(self, sums: list[Value], column: Value, valid: Value | None, adds: Value) -> None:
        k, registers = self.k, len(sums) // self.height
        left = k.integer(self.lanes) if valid is None else valid
        with k.either(self.get("out_column").equals(1)) as (side_by_side, apart):
            for context, write in ((side_by_side, self._store), (apart, self._scatter)):
                with context:
                    for number, total in enumerate(sums):
                        row, place = divmod(number, registers)
                        here = self.out + self.get("out_row") * row
                        write(here, column + place * self.lanes, total, left, adds)

    def _store(self, out: Value, at: Value, total: Value, left: Value, adds: Value) -> None:
        k = self.k
        with k.either(adds) as (then, otherwise):
            with then:
                k.store_first(out + at, k.load_first(out + at, left) + total, left)
            with otherwise:
                k.store_first(out + at, total, left)

    def _scatter(self, out: Value, at: Value, total: Value, left: Value, adds: Value) -> None:
        k = self.k
        spare = k.stack(self.scalar, max(2, self.lanes))
        spare.store(0, total)
        with k.loop(left) as lane:
            place = (at + lane.index) * self.get("out_column")
            content = spare[lane.index]
            with k.either(adds) as (then, otherwise):
                with then:
                    out[place] = out[place] + content
                with otherwise:
                    out[place] = content


@final
class _AlongColumns(_Chunk):
    """Columns lie side by side: every k is a row of registers."""

    wide = 16

    def _columns(self, first: Value, stop: Value) -> None:
        k, together = self.k, max(1, self.wide // self.height)
        wide = together * self.lanes
        whole = first + (stop - first) // wide * wide
        with k.loop(whole, start=first, step=wide) as turn:
            self._all_blocks(turn.index, together, None)
        with k.loop(stop, start=whole, step=self.lanes) as turn:
            self._all_blocks(turn.index, 1, k.minimum(stop - turn.index, self.lanes))

    def _all_blocks(self, column: Value, registers: int, valid: Value | None) -> None:
        k, block = self.k, self.get("k_block")
        with k.loop(k.maximum(self.get("k"), 1), step=block) as turn:
            count = k.minimum(block, self.get("k") - turn.index)
            sums = self._block(turn.index, count, column, registers, valid)
            self._write(sums, column, valid, turn.index > 0)

    def _block(
        self, start: Value, count: Value, column: Value, registers: int, valid: Value | None
    ) -> list[Value]:
        """Return the sums over `count` k from `start` on, `registers` for each row."""
        k, pitch = self.k, self.get("b_row")
        first = self.b + (start * pitch + column)
        carry = [first, *([k.zeros(self.scalar)] * (registers * self.height))]
        with k.loop(count, carry=carry) as turn:
            here, *sums = turn.carried
            row = [self._load(here + v * self.lanes, valid) for v in range(registers)]
            a = [line + (start + turn.index) for line in self.a]
            turn.next = [here + pitch, *self._step(sums, 0, row, a)]
        return turn.results[1:]

    def _load(self, source: Value, valid: Value | None) -> Value:
        if valid is None:
            return source.load(0, lanes=self.lanes)
        return self.k.load_first(source, valid)


@dataclass(frozen=True, slots=True)
class _Stream:
    """A run of k for one register of columns: a and b at its start, its length."""

    b: Value
    a: list[Value]
    count: Value


@final
class _AlongSums(_Chunk):
    """The k of one column lie side by side: squares of k and columns are transposed.

    A sum is one chain of FMAs, so two go together: of two blocks of k, or of two registers of
    columns where k has one block. (Many columns at once would meet in one set of the first cache.)
    """

    wide = 2

    def _columns(self, first: Value, stop: Value) -> None:
        k, lanes = self.k, self.lanes
        whole = first + (stop - first) // lanes * lanes
        pairs = first + (stop - first) // (2 * lanes) * (2 * lanes)
        with k.either(self.get("k") <= self.get("k_block")) as (one_block, blocks):
            with one_block:
                with k.loop(pairs, start=first, step=2 * lanes) as turn:
                    self._two_registers(turn.index)
                with k.loop(whole, start=pairs, step=lanes) as turn:
                    self._one(k.integer(0), turn.index, None)
            with blocks, k.loop(whole, start=first, step=lanes) as turn:
                self._pairs_of_blocks(turn.index)
        with k.when(whole < stop):
            self._all_blocks(whole, stop - whole)

    def _two_registers(self, column: Value) -> None:
        zero = self.k.integer(0)
        streams = [self._stream(zero, column + place) for place in (0, self.lanes)]
        for place, sums in zip((0, self.lanes), self._sums(streams, None), strict=True):
            self._write(sums, column + place, None, zero > 0)

    def _pairs_of_blocks(self, column: Value) -> None:
        k, block = self.k, self.get("k_block")
        last = self.get("k") - block
        with k.loop(last, step=2 * block) as turn:
            starts = [turn.index, turn.index + block]
            sums = self._sums([self._stream(start, column) for start in starts], None)
            for start, total in zip(starts, sums, strict=True):
                self._write(total, column, None, start > 0)
        blocks = (self.get("k") + block - 1) // block
        with k.when((blocks % 2).equals(1)):
            self._one((blocks - 1) * block, column, None)

    def _all_blocks(self, column: Value, valid: Value) -> None:
        count, block = self.k.maximum(self.get("k"), 1), self.get("k_block")
        with self.k.loop(count, step=block) as turn:
            self._one(turn.index, column, valid)

    def _one(self, start: Value, column: Value, valid: Value | None) -> None:
        (sums,) = self._sums([self._stream(start, column)], valid)
        self._write(sums, column, valid, start > 0)

    def _stream(self, start: Value, column: Value) -> _Stream:
        count = self.k.minimum(self.get("k_block"), self.get("k") - start)
        b = self.b + (column * self.get("b_column") + start)
        return _Stream(b, [line + start for line in self.a], count)

    def _sums(self, streams: list[_Stream], valid: Value | None) -> list[list[Value]]:
        """Return the sums of each stream: together as far as the last one goes, then alone."""
        k, lanes = self.k, self.lanes
        together = streams[-1].count // lanes * lanes
        zeros = [[k.zeros(self.scalar)] * self.height for _ in streams]
        sums = self._squares(streams, zeros, k.integer(0), together, valid)
        done = []
        for stream, mine in zip(streams, sums, strict=True):
            whole = stream.count // lanes * lanes
            (mine,) = self._squares([stream], [mine], together, whole, valid)
            done.append(self._rest(stream, mine, whole, valid))
        return done

    def _squares(
        self, streams: list[_Stream], sums: list[list[Value]], start: Value, stop: Value,
        valid: Value | None,
    ) -> list[list[Value]]:  # fmt: skip
        """Return the sums with the squares from k `start` to `stop` added."""
        k, lanes, height = self.k, self.lanes, self.height
        places = [self._quads(stream.b + start) for stream in streams]
        quads = len(places[0])
        with k.loop(stop, start=start, step=lanes, carry=[*chain(*places, *sums)]) as turn:
            following: list[Value] = []
            done: list[Value] = []
            for number, stream in enumerate(streams):
                here = turn.carried[number * quads :][:quads]
                first = len(streams) * quads + number * height
                mine = turn.carried[first : first + height]
                a = [line + turn.index for line in stream.a]
                for at, column in enumerate(k.load_transposed(self._sources(here, valid))):
                    mine = self._step(mine, at, [column], a)
                following += [place + lanes for place in here]
                done += mine
            turn.next = following + done
        results = turn.results[len(streams) * quads :]
        return [results[at : at + height] for at in range(0, len(results), height)]

    def _quads(self, b: Value) -> list[Value]:
        """Return where every fourth column starts: x86 adds up to three strides on its own."""
        step = self.get("b_column")
        return [b + step * column for column in range(0, self.lanes, 4)]

    def _sources(self, quads: list[Value], valid: Value | None) -> list[Value]:
        """Return where each column starts; those past `valid` are read as the last one."""
        k, step = self.k, self.get("b_column")
        columns = range(self.lanes)
        if valid is None:
            return [quads[column // 4] + step * (column % 4) for column in columns]
        return [quads[0] + step * k.minimum(k.integer(column), valid - 1) for column in columns]

    def _rest(
        self, stream: _Stream, sums: list[Value], whole: Value, valid: Value | None
    ) -> list[Value]:
        """Return the sums with the last k, fewer than a square has."""
        k, lanes = self.k, self.lanes
        count = stream.count - whole
        spare = k.stack(self.scalar, max(2, lanes * lanes))
        with k.when(count > 0):
            sources = self._sources(self._quads(stream.b + whole), valid)
            rows = [k.load_first(source, count) for source in sources]
            for at, column in enumerate(k.transpose(rows)):
                spare.store(at * lanes, column)
        with k.loop(count, carry=sums) as turn:
            row = (spare + turn.index * lanes).load(0, lanes=lanes)
            a = [line + (whole + turn.index) for line in stream.a]
            turn.next = self._step(turn.carried, 0, [row], a)
        return turn.results


_WAYS = {"columns": _AlongColumns, "sums": _AlongSums}


def emit_rows(module: KernelModule, dtype: str, height: int, way: str) -> None:
    """Define `run(arguments, scratch)`: claim chunks of the columns of `height` rows."""
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        chunk = _WAYS[way](k, SCALARS[dtype], height, args, scratch)
        number = k.cell(i64, k.claim(args))
        with k.repeat_while(lambda: number.get() < chunk.get("chunks")):
            chunk.run(number.get())
            number.set(k.claim(args))


@dataclass(frozen=True, slots=True)
class FewRows:
    """One product to compute, of at most MOST_ROWS rows; strides count elements.

    b's columns or its rows have stride 1. `batch` has axes (size, stride in out, a, b).
    """

    dtype: str
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

    def step(self) -> Step:
        """Return the kernel call that computes it."""
        target, scalar = host_target(), SCALARS[self.dtype]
        way = "columns" if self.b_strides[1] == 1 else "sums"
        wide = _WAYS[way].wide * target.lanes(scalar)
        z = product(self.batch)
        worthwhile = 1 + self.n * self.k * z * scalar.bytes // _BYTES_WORTH_A_THREAD
        workers = min(threads.num_threads(), worthwhile)
        parts = 1 if workers == 1 else -(-_CHUNKS_A_THREAD * workers // z)
        n_chunk = -(-self.n // (parts * wide)) * wide
        n_chunks = -(-self.n // n_chunk)
        arguments = argument_block(
            0, n_chunks * z, 0, 0, 0, self.n, self.k,
            *self.out_strides, *self.a_strides, *self.b_strides,
            k_block(self.k, tile_for(target)), n_chunk, n_chunks, *flat(self.batch, 3),
        )  # fmt: skip
        entry = jit.kernel(emit_rows, self.dtype, self.m, way)
        places = ((_SLOT["out"], self.out), (_SLOT["a"], self.a), (_SLOT["b"], self.b))
        scratch = 0 if self.a_strides[1] == 1 else self.m * self.k * scalar.bytes
        return Step(entry, arguments, places, scratch, min(workers, n_chunks * z))
