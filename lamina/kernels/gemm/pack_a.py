"""Packing tiles of A: from strided rows to the columns that micro-kernels read.

A table gives for each k its offset in elements, and how many k from there on lie side by side in
memory (the run). Runs of k are turned in squares of registers; where rows lie side by side they are
copied; single elements otherwise. Packers may write past the part they fill, into what is filled
next or into the slack at the end of the buffer.
"""

from collections.abc import Callable

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, i64
from lamina.codegen.values import Value
from lamina.kernels.gemm.arithmetic import Arithmetic, Source

INDEX = Pointer(i64)
WORTH_A_TRANSPOSE = 3


def each_group(
    k: Builder, at: Value, count: Value, group: int, body: Callable[[int], None]
) -> None:
    """Emit `body(n)` for the n k of the group that starts at `at`: all, or those that are left."""
    if group == 1:
        body(1)
        return
    with k.either(at + group <= count) as (whole, part):
        with whole:
            body(group)
        with part:
            body(1)


class _Tile:
    """Emits the packing of one tile."""

    def __init__(self, source: Source, values: list[Value]) -> None:
        self.source, self.k, self.lanes = source, source.k, source.lanes
        self.group = source.arithmetic.group
        self.square = self.lanes * self.group
        self.target, self.a, self.stride, self.rows, self.height = values[:5]
        self.start, self.count, self.offsets, self.runs = values[5:]

    def run(self) -> None:
        k = self.k
        turns = self.stride.differs(1)
        whole = k.cell(i64, self.start)
        with k.when(k.both(turns, self.runs[0] >= self.count)):
            whole.set(self.count // self.square * self.square)
            self._turn_whole(whole.get())
        at = k.cell(i64, whole.get())
        with k.repeat_while(lambda: at.get() < self.count):
            place = at.get()
            run = k.minimum(self.runs[place], k.minimum(self.count - place, self.square))
            if self.group > 1:
                ends = (place + run).equals(self.count)
                run = k.select(ends, run, run // self.group * self.group)
            with k.either(k.both(run > WORTH_A_TRANSPOSE, turns)) as (squares, rows):
                with squares:
                    self._turn(place, run)
                    at.set(place + run)
                with rows:
                    each_group(k, place, self.count, self.group, lambda n: self._row(place, n))
                    at.set(place + self.group)

    def _to(self, place: Value) -> Value:
        return self.target + place // self.group * self.height

    def _turn_whole(self, whole: Value) -> None:
        """Turn the first `whole` k of rows that lie side by side, and ask for those of the next
        tile.
        """
        k = self.k
        start, ahead = self.a + self.offsets[0], self.rows * self.stride
        # The last rows first: what they write past the tile the others then overwrite.
        for_rows = self._row_groups()
        with k.loop(for_rows) as turn:
            row = (for_rows - 1 - turn.index) * self.lanes
            rows = self._row_pointers(start, row)
            with k.loop(whole, step=self.square) as along:
                places = [pointer + along.index for pointer in rows]
                self._store_square(self._columns(places), self._to(along.index) + row)
                for place in places:
                    k.prefetch(place + ahead)

    def _columns(self, places: list[Value]) -> list[Value]:
        if self.source.is_direct:
            return list(self.k.load_transposed(places))
        return self.k.transpose([self.source.along_k(place) for place in places])

    def _turn(self, place: Value, run: Value) -> None:
        """Turn `run` k, at most one square, of every group of rows."""
        k = self.k
        with k.loop(self._row_groups()) as turn:
            row = (self._row_groups() - 1 - turn.index) * self.lanes
            rows = self._row_pointers(self.a + self.offsets[place], row)
            columns = k.transpose([self.source.along_k(pointer, run) for pointer in rows])
            self._store_square(columns, self._to(place) + row)

    def _store_square(self, columns: list[Value], target: Value) -> None:
        for number, column in enumerate(columns):
            (target + self.height * number).store(0, column)

    def _row_groups(self) -> Value:
        return (self.height + (self.lanes - 1)) // self.lanes

    def _row_pointers(self, start: Value, row: Value) -> list[Value]:
        """Return where a register's rows start; those past the last are the last."""
        lines = [self.k.minimum(row + lane, self.rows - 1) for lane in range(self.lanes)]
        return [start + line * self.stride for line in lines]

    def _row(self, place: Value, count: int) -> None:
        """Pack `count` k, one group, of all rows."""
        k, target = self.k, self._to(place)
        places = [self.a + self.offsets[place + number] for number in range(count)]
        with k.either(self.stride.equals(1)) as (side_by_side, apart):
            with side_by_side, k.loop(self.rows, step=self.lanes) as turn:
                here = [start + turn.index for start in places]
                unit = self.source.across(here, self.rows - turn.index)
                (target + turn.index).store(0, unit)
            with apart, k.loop(self.height) as turn:
                line = k.minimum(turn.index, self.rows - 1) * self.stride
                target[turn.index] = self.source.joined([start[line] for start in places])


def emit_pack_a(module: KernelModule, stored: Scalar, arithmetic: Arithmetic) -> Function:
    """Define `_pack_a(target, source, stride, rows, height, start, count, offsets, runs)`.

    target[k·height + i] = source[i·stride + offsets[k]] for k from `start` on, which is 0 unless
    the stride is 1; rows past `rows` hold anything. Of a unit
    of several k, k counts units in `target`; where the last has too few, it ends in zeros.
    """
    parameters: dict[str, Type] = {
        "target": Pointer(arithmetic.unit), "source": Pointer(stored), "stride": i64, "rows": i64,
        "height": i64, "start": i64, "count": i64, "offsets": INDEX, "runs": INDEX,
    }  # fmt: skip
    with module.function("_pack_a", parameters, inline="never") as (k, *values):
        _Tile(Source(k, stored, arithmetic), values).run()
        handle: Function = k.handle
    return handle
