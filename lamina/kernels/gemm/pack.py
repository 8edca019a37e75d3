"""Packing: from strided views, described by tables of offsets, to the panels that micro-kernels
read.

A table gives for each index its offset in elements, and how many indices from there on lie side by
side in memory (the run). Packers copy whole runs with vector loads: along the panel where the
panel's own axis runs, through a transposed square of registers where k runs, one by one elsewhere.
They may write past the part they fill, into what is filled next or into the slack at the end of
the buffer.
"""

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, element_of, i64
from lamina.codegen.values import Value

# How many panels of B are packed together.
STRIP = 4
_WORTH_A_TRANSPOSE = 3
_ROWS_AHEAD = 12

_INDEX = Pointer(i64)


def _transpose_square(k: Builder, rows: list[Value], target: Value, pitch: Value | int) -> None:
    """Write a square of registers as columns, `pitch` scalars apart from row to row."""
    for number, column in enumerate(k.transpose(rows)):
        (target + k.integer(number) * pitch).store(0, column)


def _pack_a_row(
    k: Builder, target: Value, source: Value, stride: Value, rows: Value, height: Value
) -> None:
    lanes = k.target.lanes(element_of(target.type))
    with k.either(stride.equals(1)) as (then, otherwise):
        with then, k.loop(rows, step=lanes) as turn:
            (target + turn.index).store(0, k.load_first(source + turn.index, rows - turn.index))
        with otherwise, k.loop(height) as turn:
            target[turn.index] = source[k.minimum(turn.index, rows - 1) * stride]


def _pack_a_squares(
    k: Builder, target: Value, rows: list[Value], height: Value, count: Value, ahead: Value
) -> None:
    """Turn `count` k, a multiple of the lanes, of the rows that start at `rows`, square by square;
    ask for what lies `ahead` of them.
    """
    lanes = k.target.lanes(element_of(target.type))
    with k.loop(count, step=lanes) as turn:
        sources = [row + turn.index for row in rows]
        here = target + turn.index * height
        for number, column in enumerate(k.load_transposed(sources)):
            (here + height * number).store(0, column)
        for source in sources:
            k.prefetch(source + ahead)


def _pack_a_square(
    k: Builder,
    target: Value,
    source: Value,
    stride: Value,
    rows: Value,
    height: Value,
    count: Value,
) -> None:
    """Turn the first `count` k, at most one square, of every group of rows."""
    lanes = k.target.lanes(element_of(target.type))
    with k.loop(_groups(height, lanes)) as turn:
        row = (_groups(height, lanes) - 1 - turn.index) * lanes
        sources = _row_pointers(k, source, stride, row, rows, lanes)
        squares = [k.load_first(source, count) for source in sources]
        _transpose_square(k, squares, target + row, height)


def _row_pointers(
    k: Builder, source: Value, stride: Value, row: Value, rows: Value, lanes: int
) -> list[Value]:
    """Return where rows start; those past the last as the last."""
    last = rows - 1
    return [source + k.minimum(row + lane, last) * stride for lane in range(lanes)]


def _groups(height: Value, lanes: int) -> Value:
    return (height + (lanes - 1)) // lanes


def emit_pack_a(module: KernelModule, scalar: Scalar) -> Function:
    """Define `_pack_a(target, source, stride, rows, height, count, offsets, runs)` and return it.

    target[k·height + i] = source[i·stride + offsets[k]]; rows past `rows` hold anything.
    """
    pointer = Pointer(scalar)
    lanes = module.target.lanes(scalar)
    parameters: dict[str, Type] = {
        "target": pointer, "source": pointer, "stride": i64, "rows": i64, "height": i64,
        "count": i64, "offsets": _INDEX, "runs": _INDEX,
    }  # fmt: skip
    with module.function("_pack_a", parameters, inline="never") as opened:
        k, target, source, stride, rows, height, count, offsets, runs = opened
        turns = k.either_true(stride > 1, stride < 1)
        whole = k.cell(i64, 0)
        with k.when(k.both(turns, runs[0] >= count)):
            whole.set(count // lanes * lanes)
            there = source + offsets[0]
            with k.loop(_groups(height, lanes)) as turn:
                # The last group first: what it writes past its rows the others then overwrite.
                row = (_groups(height, lanes) - 1 - turn.index) * lanes
                places = _row_pointers(k, there, stride, row, rows, lanes)
                _pack_a_squares(k, target + row, places, height, whole.get(), rows * stride)
        at = k.cell(i64, whole.get())
        with k.repeat_while(lambda: at.get() < count):
            place = at.get()
            run = k.minimum(runs[place], lanes)
            here = target + place * height
            there = source + offsets[place]
            with k.either(k.both(run > _WORTH_A_TRANSPOSE, turns)) as (then, otherwise):
                with then:
                    _pack_a_square(k, here, there, stride, rows, height, run)
                    at.set(place + run)
                with otherwise:
                    _pack_a_row(k, here, there, stride, rows, height)
                    at.set(place + 1)
        handle: Function = k.handle
    return handle


class _PanelB:
    """What the ways of packing a panel of B share: where it goes, comes from, and its tables."""

    def __init__(self, k: Builder, scalar: Scalar, width: int, values: list[Value]) -> None:
        self.k = k
        self.width = width
        self.lanes = k.target.lanes(scalar)
        self.target, self.source, self.count, self.valid = values[:4]
        self.slack, self.step, self.k_step = values[4:7]
        self.k_offsets, self.k_runs, self.offsets, self.runs = values[7:]

    def row(self, place: Value) -> tuple[Value, Value]:
        return self.target + place * self.width, self.source + self.k_offsets[place]

    def load(self, source: Value, left: Value | None, every: int) -> Value:
        """Return a register of the elements `every` apart; past `left` nothing is read if given."""
        if left is not None:
            return self.k.load_first(source, left)
        low = source.load(0, lanes=self.lanes)
        if every == 1:
            return low
        high = source.load(self.lanes, lanes=self.lanes)
        return self.k.shuffle(low, high, range(0, 2 * self.lanes, 2))

    def copy_rows(self) -> None:
        """The columns lie side by side: copy a row of registers for each k."""
        with self.k.loop(self.count) as turn:
            here, there = self.row(turn.index)
            there = there + self.offsets[0]
            for lane in range(0, self.width, self.lanes):
                here.store(lane, there.load(lane, lanes=self.lanes))

    def copy_runs(self) -> None:
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
        for way, condition in self._ways(self.step):
            with self.k.when(condition), self.k.loop(self.count) as turn:
                here, there = self.row(turn.index)
                with self.k.loop(pieces) as piece:
                    left = length[piece.index] if way == "careful" else None
                    every = 2 if way == "every second" else 1
                    content = self.load(there + origin[piece.index], left, every)
                    (here + place[piece.index]).store(0, content)

    def _ways(self, step: Value) -> list[tuple[str, Value]]:
        """Return the ways to load a run, each with the condition under which it is taken."""
        twos = step.equals(2)
        free = self.k.both(self.slack.equals(1), step.equals(1))
        return [("every second", twos), ("free", free), ("careful", self.slack.equals(0))]

    def copy_squares(self) -> None:
        """K runs in memory: turn squares of registers, where a run is long enough."""
        k = self.k
        whole = k.cell(i64, 0)
        with k.when(k.both(self.k_runs[0] >= self.count, self.k_step.equals(1))):
            whole.set(self.count // self.lanes * self.lanes)
            self._copy_columns(whole.get())
        at = k.cell(i64, whole.get())
        with k.repeat_while(lambda: at.get() < self.count):
            place = at.get()
            run = k.minimum(self.k_runs[place], self.lanes)
            with k.either(run > _WORTH_A_TRANSPOSE) as (then, otherwise):
                with then:
                    self._copy_square(place, run)
                    at.set(place + run)
                with otherwise:
                    self.gather_row(place)
                    at.set(place + 1)

    def _copy_columns(self, whole: Value) -> None:
        """Turn the first `whole` k, a few columns at a time: caches hold few lines of columns that
        lie a multiple of 4 KiB apart.
        """
        with self.k.loop(self.valid, step=self.lanes) as group:
            first = [self.offsets[group.index + lane] for lane in range(self.lanes)]
            sources = [self.source + (self.k_offsets[0] + offset) for offset in first]
            with self.k.loop(whole, step=self.lanes) as turn:
                places = [source + turn.index for source in sources]
                here = self.target + (turn.index * self.width + group.index)
                for number, column in enumerate(self.k.load_transposed(places)):
                    here.store(number * self.width, column)

    def _copy_square(self, place: Value, run: Value) -> None:
        here, there = self.row(place)
        for way, condition in self._ways(self.k_step):
            with self.k.when(condition), self.k.loop(self.valid, step=self.lanes) as turn:
                sources = [there + self.offsets[turn.index + lane] for lane in range(self.lanes)]
                left = run if way == "careful" else None
                every = 2 if way == "every second" else 1
                rows = [self.load(source, left, every) for source in sources]
                _transpose_square(self.k, rows, here + turn.index, self.width)

    def gather_row(self, place: Value) -> None:
        """Nothing runs: copy scalars."""
        here, there = self.row(place)
        with self.k.loop(self.valid) as turn:
            here[turn.index] = there[self.offsets[turn.index]]


def _choose(panel: _PanelB) -> None:
    k = panel.k
    run = panel.runs[0]
    whole = k.both(panel.step.equals(1), panel.valid.equals(panel.width))
    with k.either(k.both(run >= panel.width, whole)) as (rows, others):
        with rows:
            panel.copy_rows()
        with others:
            k_runs = k.both(run < panel.valid, panel.k_runs[0] > run)
            with k.either(k_runs) as (squares, along):
                with squares:
                    panel.copy_squares()
                with along, k.either(run > 1) as (runs, scattered):
                    with runs:
                        panel.copy_runs()
                    with scattered, k.loop(panel.count) as turn:
                        panel.gather_row(turn.index)


def _copy_strip(panel: _PanelB, apart: Value) -> None:
    """Fill a whole strip, its columns side by side: panels `apart`, a row of all for each k.

    Rows that lie a multiple of 4 KiB apart share few sets of a cache, which would lose the rest of
    each line before the next panel comes for it.
    """
    k, width = panel.k, panel.width
    with k.loop(panel.count) as turn:
        here, there = panel.row(turn.index)
        there = there + panel.offsets[0]
        ahead = k.minimum(turn.index + _ROWS_AHEAD, panel.count - 1)
        coming = panel.source + (panel.k_offsets[ahead] + panel.offsets[0])
        for number in range(STRIP):
            k.prefetch(coming + number * width)
            for lane in range(0, width, panel.lanes):
                content = there.load(number * width + lane, lanes=panel.lanes)
                (here + apart * number).store(lane, content)


def emit_pack_b(module: KernelModule, scalar: Scalar, width: int) -> Function:
    """Define `_pack_b(target, source, count, valid, slack, step, k_step, …tables)` and return it.

    Panel after panel of a strip: target[k·width + j] = source[k_offsets[k] + offsets[j]]; columns
    past `valid` hold anything. `slack` is 1 where two registers may be read past the end of what
    `source` covers. Columns run in elements `step` apart, k in elements `k_step` apart; either is
    1, or 2 where there is slack.
    """
    pointer = Pointer(scalar)
    parameters: dict[str, Type] = {
        "target": pointer, "source": pointer, "count": i64, "valid": i64, "slack": i64,
        "step": i64, "k_step": i64,
        "k_offsets": _INDEX, "k_runs": _INDEX, "offsets": _INDEX, "runs": _INDEX,
    }  # fmt: skip
    with module.function("_pack_b", parameters, inline="never") as (k, *values):
        target, _, count, valid, _, step, *_, offsets, runs = values
        whole = k.both(valid.equals(STRIP * width), runs[0] >= valid)
        with k.either(k.both(whole, step.equals(1))) as (strip, panels):
            with strip:
                _copy_strip(_PanelB(k, scalar, width, values), count * width)
            with panels, k.loop(valid, step=width) as turn:
                moved = [*values]
                moved[0] = target + turn.index * count
                moved[3] = k.minimum(valid - turn.index, width)
                moved[-2:] = [offsets + turn.index, runs + turn.index]
                _choose(_PanelB(k, scalar, width, moved))
        handle: Function = k.handle
    return handle
