"""Packing panels of B: from strided views, described by tables of offsets, to rows of units.

Packers copy whole runs with vector loads: along the panel where its columns run, through a turned
square of registers where k runs, one by one elsewhere. They may write past the part they fill, into
what is filled next or into the slack at the end of the buffer.
"""

from functools import partial

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, i64
from lamina.codegen.values import Value
from lamina.kernels.gemm.arithmetic import Arithmetic, Source
from lamina.kernels.gemm.pack_a import INDEX, WORTH_A_TRANSPOSE, each_group

# How many panels are packed together.
STRIP = 4
_ROWS_AHEAD = 12


class _Panel:
    """What the ways of packing a panel share: where it goes, comes from, and its tables."""

    def __init__(self, source: Source, width: int, values: list[Value]) -> None:
        self.source, self.k, self.lanes = source, source.k, source.lanes
        self.group = source.arithmetic.group
        self.square = self.lanes * self.group
        self.width = width
        self.target, self.b, self.count, self.valid = values[:4]
        self.slack, self.step, self.k_step = values[4:7]
        self.k_offsets, self.k_runs, self.offsets, self.runs = values[7:]

    def run(self) -> None:
        """Pack in the way that the runs allow."""
        k = self.k
        run = self.runs[0]
        whole = k.both(self.step.equals(1), self.valid.equals(self.width))
        with k.either(k.both(run >= self.width, whole)) as (rows, others):
            with rows:
                self.copy_rows(1, k.integer(0))
            with others:
                k_runs = k.both(run < self.valid, self.k_runs[0] > run)
                with k.either(k_runs) as (squares, along):
                    with squares:
                        self._copy_squares()
                    with along, k.either(run > 1) as (runs, scattered):
                        with runs:
                            self._copy_runs()
                        with scattered:
                            self._gather_rows()

    def _to(self, place: Value) -> Value:
        return self.target + place // self.group * self.width

    def _rows(self, place: Value, count: int) -> list[Value]:
        """Return where the rows of `count` k, one group, start in B."""
        return [self.b + self.k_offsets[place + number] for number in range(count)]

    def copy_rows(self, panels: int, apart: Value) -> None:
        """Fill panels `apart` whose columns lie side by side: a row of all for each k.

        Rows that lie a multiple of 4 KiB apart share few sets of a cache, which would lose the rest
        of each line before the next panel comes for it.
        """
        k = self.k

        def copy(place: Value, count: int) -> None:
            here = self._to(place)
            there = [row + self.offsets[0] for row in self._rows(place, count)]
            ahead = k.minimum(place + _ROWS_AHEAD, self.count - 1)
            coming = self.b + (self.k_offsets[ahead] + self.offsets[0])
            for number in range(panels):
                k.prefetch(coming + number * self.width)
                for lane in range(0, self.width, self.lanes):
                    places = [row + (number * self.width + lane) for row in there]
                    (here + apart * number).store(lane, self.source.across(places))

        with k.loop(self.count, step=self.group) as turn:
            each_group(k, turn.index, self.count, self.group, lambda n: copy(turn.index, n))

    def _copy_runs(self) -> None:
        """The columns fall into runs: copy run after run for each k."""
        k = self.k
        place, origin, length = (k.stack(i64, self.width + 1) for _ in range(3))
        pieces = k.cell(i64, 0)
        at = k.cell(i64, 0)
        with k.repeat_while(lambda: at.get() < self.valid):
            begin = at.get()
            run = k.minimum(self.runs[begin], self.valid - begin)
            with k.loop(run, step=self.lanes) as turn:
                number = pieces.get()
                place[number] = begin + turn.index
                origin[number] = self.offsets[begin] + turn.index * self.step
                length[number] = run - turn.index
                pieces.set(number + 1)
            at.set(begin + run)
        self._copy_pieces(pieces.get(), place, origin, length)

    def _copy_pieces(self, pieces: Value, place: Value, origin: Value, length: Value) -> None:
        k = self.k

        def copy(way: str, at: Value, count: int) -> None:
            here, there = self._to(at), self._rows(at, count)
            with k.loop(pieces) as piece:
                left = length[piece.index] if way == "careful" else None
                places = [row + origin[piece.index] for row in there]
                unit = self.source.across(places, left, 2 if way == "every second" else 1)
                (here + place[piece.index]).store(0, unit)

        for way, condition in self._ways(self.step):
            with k.when(condition), k.loop(self.count, step=self.group) as turn:
                body = partial(copy, way, turn.index)
                each_group(k, turn.index, self.count, self.group, body)

    def _ways(self, step: Value) -> list[tuple[str, Value]]:
        """Return the ways to load a run, each with the condition under which it is taken."""
        twos = step.equals(2)
        free = self.k.both(self.slack.equals(1), step.equals(1))
        return [("every second", twos), ("free", free), ("careful", self.slack.equals(0))]

    def _copy_squares(self) -> None:
        """K runs in memory: turn squares of registers, where a run is long enough."""
        k = self.k
        whole = k.cell(i64, 0)
        with k.when(k.both(self.k_runs[0] >= self.count, self.k_step.equals(1))):
            whole.set(self.count // self.square * self.square)
            self._copy_columns(whole.get())
        at = k.cell(i64, whole.get())
        with k.repeat_while(lambda: at.get() < self.count):
            place = at.get()
            run = k.minimum(self.k_runs[place], k.minimum(self.count - place, self.square))
            if self.group > 1:
                ends = (place + run).equals(self.count)
                run = k.select(ends, run, run // self.group * self.group)
            with k.either(run > WORTH_A_TRANSPOSE) as (squares, others):
                with squares:
                    self._copy_square(place, run)
                    at.set(place + run)
                with others:
                    each_group(k, place, self.count, self.group, lambda n: self._gather(place, n))
                    at.set(place + self.group)

    def _copy_columns(self, whole: Value) -> None:
        """Turn the first `whole` k, a few columns at a time: caches hold few lines of columns that
        lie a multiple of 4 KiB apart.
        """
        k = self.k
        with k.loop(self.valid, step=self.lanes) as group:
            offsets = [self.offsets[group.index + lane] for lane in range(self.lanes)]
            sources = [self.b + (self.k_offsets[0] + offset) for offset in offsets]
            with k.loop(whole, step=self.square) as turn:
                places = [source + turn.index for source in sources]
                if self.source.is_direct:
                    columns = list(k.load_transposed(places))
                else:
                    columns = k.transpose([self.source.along_k(place) for place in places])
                self._store_square(columns, self._to(turn.index) + group.index)

    def _copy_square(self, place: Value, run: Value) -> None:
        k = self.k
        there = self.b + self.k_offsets[place]
        for way, condition in self._ways(self.k_step):
            with k.when(condition), k.loop(self.valid, step=self.lanes) as turn:
                sources = [there + self.offsets[turn.index + lane] for lane in range(self.lanes)]
                if way == "every second":
                    rows = [self.source.across([source], None, 2) for source in sources]
                else:
                    left = run if way == "careful" else None
                    rows = [self.source.along_k(source, left) for source in sources]
                self._store_square(k.transpose(rows), self._to(place) + turn.index)

    def _store_square(self, columns: list[Value], target: Value) -> None:
        for number, column in enumerate(columns):
            target.store(number * self.width, column)

    def _gather_rows(self) -> None:
        with self.k.loop(self.count, step=self.group) as turn:
            at = turn.index
            each_group(self.k, at, self.count, self.group, lambda n: self._gather(at, n))

    def _gather(self, place: Value, count: int) -> None:
        """Nothing runs: copy scalars."""
        here, there = self._to(place), self._rows(place, count)
        with self.k.loop(self.valid) as turn:
            offset = self.offsets[turn.index]
            here[turn.index] = self.source.joined([row[offset] for row in there])


def _clear(k: Builder, panel: Value, count: Value, arithmetic: Arithmetic) -> None:
    lanes = k.target.lanes(arithmetic.unit)
    with k.loop(count, step=lanes) as turn:
        panel.store(turn.index, k.zeros(arithmetic.unit))


def emit_pack_b(
    module: KernelModule, stored: Scalar, arithmetic: Arithmetic, width: int
) -> Function:
    """Define `_pack_b(target, source, count, valid, slack, step, k_step, …tables)` and return it.

    Panel after panel of a strip: target[k·width + j] = source[k_offsets[k] + offsets[j]]; columns
    past `valid` hold numbers of no meaning, but none that was there before: processors are slow
    with subnormal ones. `slack` is 1 where two registers may be read past the end of what
    `source` covers. Columns run in elements `step` apart, k in elements `k_step` apart; either is
    1, or 2 where there is slack. Of a unit of several k, k counts units in `target`.
    """
    parameters: dict[str, Type] = {
        "target": Pointer(arithmetic.unit), "source": Pointer(stored), "count": i64, "valid": i64,
        "slack": i64, "step": i64, "k_step": i64,
        "k_offsets": INDEX, "k_runs": INDEX, "offsets": INDEX, "runs": INDEX,
    }  # fmt: skip
    with module.function("_pack_b", parameters, inline="never") as (k, *values):
        source = Source(k, stored, arithmetic)
        target, _, count, valid, _, step, *_, offsets, runs = values
        apart = arithmetic.units(count) * width
        whole = k.both(valid.equals(STRIP * width), runs[0] >= valid)
        with k.either(k.both(whole, step.equals(1))) as (strip, panels):
            with strip:
                _Panel(source, width, values).copy_rows(STRIP, apart)
            with panels, k.loop(valid, step=width) as turn:
                moved = [*values]
                moved[0] = target + turn.index // width * apart
                moved[3] = k.minimum(valid - turn.index, width)
                with k.when(moved[3] < width):
                    _clear(k, moved[0], apart, arithmetic)
                moved[-2:] = [offsets + turn.index, runs + turn.index]
                _Panel(source, width, moved).run()
        handle: Function = k.handle
    return handle
