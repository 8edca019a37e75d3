"""From a program and strided operands to kernel calls."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

from lamina.codegen import jit
from lamina.codegen.target import host_target
from lamina.errors import LayoutError
from lamina.kernels.launch import (
    PLANS_KEPT,
    Place,
    Step,
    argument_block,
    workers_for,
    workspace,
)
from lamina.kernels.operand import Operand, Shape, coalesce
from lamina.kernels.reduction.arguments import SLOT, VARYING, Form, Way
from lamina.kernels.reduction.by_column import emit_columns
from lamina.kernels.reduction.by_part import PART, emit_parts, emit_together
from lamina.kernels.reduction.by_row import emit_rows
from lamina.kernels.reduction.folds import fold_of
from lamina.kernels.reduction.order import BLOCK, PARTIAL
from lamina.kernels.reduction.program import Program, Result
from lamina.kernels.reduction.rows import partial_lanes
from lamina.kernels.scalars import STORED
from lamina.kernels.walk import flat_axes, rounded

Axis = tuple[int, ...]
Groups = tuple[tuple[int, ...], ...]
_TERMS_A_CHUNK = 1 << 14
_LONG = 4 * PART
_FEW_RESULTS = 16
_WIDEST = 8
_TILE = 128
_NARROW_TILE = 64
_TILE_TERMS = 1 << 15
GATHERED_TOGETHER = 32
"""Results that add up in one place, one after the other, before those places are added in pairs."""


def reduce(
    name: str,
    out: Operand,
    inputs: Sequence[Operand],
    axes: tuple[int, ...],
    numbers: tuple[float, ...] = (),
) -> None:
    """Write to `out` the fold called `name` of `inputs`, which have one shape, over `axes`.

    `out` has either all axes, those of `axes` with size 1, or the others alone. No axis is empty.
    """
    shape = inputs[0].shape
    program = fold_of(name, inputs[0].dtype.name)
    strides = _in_full(out.strides, shape, axes)
    run(
        program,
        shape,
        neighbours(axes),
        (out, *inputs),
        (strides, *(x.strides for x in inputs)),
        numbers[: program.numbers],
    )


def _in_full(strides: Shape, shape: Shape, axes: tuple[int, ...]) -> Shape:
    """Return steps of a result along all axes of what it is made of."""
    if len(strides) == len(shape):
        return tuple(0 if axis in axes else step for axis, step in enumerate(strides))
    left = iter(strides)
    return tuple(0 if axis in axes else next(left) for axis in range(len(shape)))


def neighbours(axes: tuple[int, ...]) -> Groups:
    """Return `axes` in order, those that follow each other together.

    >>> neighbours((0, 3, 2))
    ((0,), (2, 3))
    """
    groups: list[list[int]] = []
    for axis in sorted(axes):
        if groups and groups[-1][-1] == axis - 1:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return tuple(tuple(group) for group in groups)


def run(
    program: Program,
    shape: Shape,
    groups: Groups,
    operands: Sequence[Operand],
    strides: Sequence[Shape],
    numbers: tuple[float, ...],
) -> None:
    """Run `program` on `operands`, outputs first, whose `strides` are along all axes of `shape`.

    Terms lie along the axes of `groups`: those of the last group are folded as if they were one
    axis, and what comes of that along the other groups. LayoutError where elements are written
    along terms that do not lie side by side in all operands.
    """
    dtypes = tuple(operand.dtype.name for operand in operands)
    calls = plan(program, shape, groups, dtypes, tuple(strides), numbers)
    calls.run([operand.address for operand in operands])


@dataclass(frozen=True, slots=True)
class Calls:
    """Kernel calls to make one after the other, and the workspace that they share."""

    steps: tuple[Step, ...]
    workspace_bytes: int = 0

    def run(self, bases: Sequence[int]) -> None:
        """Make the calls with operands at these addresses."""
        work = workspace(self.workspace_bytes)
        for step in self.steps:
            step.run((*bases, work.address))


@lru_cache(maxsize=PLANS_KEPT)
def plan(
    program: Program,
    shape: Shape,
    groups: Groups,
    dtypes: tuple[str, ...],
    strides: tuple[Shape, ...],
    numbers: tuple[float, ...],
) -> Calls:
    """Return the kernel calls of `run` for operands of these layouts."""
    assert len(numbers) == program.numbers, "one number too few would move every argument behind it"
    folded = {axis for group in groups for axis in group}
    along = [(size, *(s[axis] for s in strides)) for axis, size in enumerate(shape)]
    problem = Problem(
        program=program,
        dtypes=dtypes,
        numbers=numbers,
        kept=coalesce([axis for place, axis in enumerate(along) if place not in folded]),
        outer=coalesce([along[axis] for group in groups[:-1] for axis in group]),
        run=coalesce([along[axis] for group in groups[-1:] for axis in group]),
        has_groups=len(groups) > 1,
    )
    if list(program.gathered()):
        return problem.gathering()
    column = problem.column_axis()
    if column is not None:
        return Calls((problem.by_column(column),))
    return problem.by_part() if problem.is_long() else Calls((problem.by_row(),))


@dataclass(frozen=True, slots=True)
class Problem:
    """A program over axes (size, step of each operand) of the results and of the terms.

    The terms of `run` lie in one group; groups follow each other along `outer`.
    """

    program: Program
    dtypes: tuple[str, ...]
    numbers: tuple[float, ...]
    kept: list[Axis]
    outer: list[Axis]
    run: list[Axis]
    has_groups: bool

    @property
    def terms(self) -> int:
        return prod(axis[0] for axis in self.run)

    @property
    def groups(self) -> int:
        return prod(axis[0] for axis in self.outer)

    @property
    def results(self) -> int:
        return prod(axis[0] for axis in self.kept)

    @property
    def _is_reduction(self) -> bool:
        """Whether nothing but results is written."""
        writes = self.program.statements[len(self.program.phases) :]
        return all(isinstance(statement, Result) for statement in writes)

    def ways(self) -> tuple[Way, ...]:
        """Return how operands lie along the terms."""
        if len(self.run) != 1:
            way: Way = "scattered" if self.run else "along"
            return tuple(way for _ in self.dtypes)
        found: dict[int, Way] = {0: "one", 1: "along"}
        return tuple(found.get(step, "scattered") for step in self.run[0][1:])

    def column_axis(self) -> int | None:
        """Return the axis of the results to go along with registers, if that is the better way."""
        if len(self.run) > 1 or ("scattered" not in self.ways() and self.run):
            return None
        fitting = [n for n, axis in enumerate(self.kept) if self._is_column(axis)]
        return max(fitting, key=lambda n: self.kept[n][0], default=None)

    def _is_column(self, axis: Axis) -> bool:
        steps, outputs = axis[1:], self.program.outputs
        written = set(self.program.written())
        return all(
            step == 1 or (place not in written if place < outputs else step == 0)
            for place, step in enumerate(steps)
        ) and any(step == 1 for step in steps[outputs:])

    def is_long(self) -> bool:
        """Return whether results are few, and terms enough for several threads each."""
        few = self.results < _FEW_RESULTS and self.terms >= _LONG
        return few and not self.has_groups and self._is_reduction

    def by_part(self) -> Calls:
        """Return the calls that compute parts of each result, and put them together."""
        form = self._form(self.kept, self.ways())
        parts = -(-self.terms // PART)
        steps: list[Step] = []
        work = len(self.dtypes)
        for number, phase in enumerate(self.program.phases):
            lanes = partial_lanes(host_target(), phase)
            room = self.results * parts * lanes * phase.scalar.bytes
            for emitter, chunks in (
                (emit_parts, self.results * parts),
                (emit_together, self.results),
            ):
                entry = jit.kernel(emitter, form, number)
                step = self._step(entry, self.kept, chunks, parts=parts)
                places = (
                    *step.places,
                    (SLOT["partial"], Place(work, 0)),
                    (SLOT["parameters"], Place(work, room)),
                )
                steps.append(replace(step, places=places))
        return Calls(tuple(steps), room + len(steps) * self.results * _WIDEST)

    def gathering(self) -> Calls:
        """Return the calls that work on chunks of results, and add up what the chunks gathered."""
        dtype, work = self.program.dtype, len(self.dtypes)
        gathered = list(self.program.gathered())
        chunks = -(-self.results // GATHERED_TOGETHER)
        length = self.terms * self.groups
        room = chunks * length * STORED[dtype].bytes
        places = {output: Place(work, room * n) for n, output in enumerate(gathered)}
        kinds = tuple(dtype if n in places else given for n, given in enumerate(self.dtypes))
        step = replace(self, dtypes=kinds).by_row()
        first = VARYING + self.program.numbers
        moved = tuple((slot, places.get(slot - first, place)) for slot, place in step.places)
        steps = [replace(step, places=moved)]
        for output, place in places.items():
            total = Problem(
                fold_of("sum", dtype), (self.dtypes[output], dtype), (),
                kept=[(length, 1, 1)], outer=[], run=[(chunks, 0, length)], has_groups=False,
            ).by_column(0)  # fmt: skip
            slots = [slot for slot, _ in total.places]
            ends = zip(slots, (Place(output, 0), place), strict=True)
            steps.append(replace(total, places=tuple(ends)))
        return Calls(tuple(steps), room * len(gathered))

    def by_row(self) -> Step:
        """Return the call that works on one result after the other."""
        ways = self.ways()
        written = {*self.program.written(), *self.program.gathered()}
        if (
            written
            and self.run
            and ("scattered" in ways or any(ways[w] != "along" for w in written))
        ):
            raise LayoutError(
                "a kernel that writes along terms was given operands whose terms lie apart; copy "
                "them to C order first"
            )
        each = max(1, _TERMS_A_CHUNK // (self.terms * self.groups))
        gathered = 0
        if list(self.program.gathered()):
            each, gathered = GATHERED_TOGETHER, self.terms * self.groups
        chunks = -(-self.results // each)
        entry = jit.kernel(emit_rows, self._form(self.kept, ways))
        return self._step(entry, self.kept, chunks, results_each=each, gathered_each=gathered)

    def by_column(self, column: int) -> Step:
        """Return the call that works on results along an axis side by side."""
        axis = self.kept[column]
        lines = [other for n, other in enumerate(self.kept) if n != column]
        is_large = self.terms * self.groups > _TILE_TERMS // _TILE
        tile = _NARROW_TILE if is_large and not self._passes_once else _TILE
        tiles = -(-axis[0] // tile)
        levels = (self.terms // BLOCK).bit_length() + 1
        outer_levels = self.groups.bit_length() + 1 if self.has_groups else 0
        is_input = (place >= self.program.outputs for place in range(len(self.dtypes)))
        ways: tuple[Way, ...] = tuple(
            "one" if given and step != 1 else "along"
            for given, step in zip(is_input, axis[1:], strict=True)
        )
        form = self._form(lines, ways)
        chunks = prod(other[0] for other in lines) * tiles
        call = self._step(
            jit.kernel(emit_columns, form), lines, chunks, column=axis, tile=tile, tiles=tiles,
            levels=levels, outer_levels=outer_levels,
        )  # fmt: skip
        scalar = self.program.scalar
        rows = (levels + outer_levels + 1) * PARTIAL + len(self.program.phases)
        lanes = host_target().lanes(scalar)
        return replace(call, scratch_bytes=(rows * tile + lanes) * scalar.bytes)

    @property
    def _passes_once(self) -> bool:
        return len(self.program.phases) == 1 and self._is_reduction

    def _form(self, kept: Sequence[Axis], ways: tuple[Way, ...]) -> Form:
        return Form(
            self.program,
            self.dtypes,
            ways,
            kept=rounded(len(kept)),
            outer=rounded(len(self.outer)) if self.has_groups else 0,
            run=rounded(len(self.run)),
        )

    def _step(
        self,
        entry: jit.Entry,
        kept: Sequence[Axis],
        chunks: int,
        column: Axis | None = None,
        **fields: int,
    ) -> Step:
        count = len(self.dtypes)
        header = fields | {
            "chunks": chunks,
            "results": self.results,
            "terms": self.terms,
            "outer": self.groups,
        }
        arguments = argument_block(
            *(header.get(name, 0) for name in SLOT),
            *(_bits(number) for number in self.numbers),
            *(0,) * count,
            *flat_axes(kept, count),
            *(flat_axes(self.outer, count) if self.has_groups else ()),
            *flat_axes(self.run, count),
            *flat_axes([] if column is None else [column], count),
        )
        widest = max(STORED[dtype].bytes for dtype in self.dtypes)
        size = self.results * self.terms * self.groups * widest
        workers = workers_for(nbytes=size, chunks=chunks)
        first = VARYING + self.program.numbers
        places = tuple((first + operand, Place(operand, 0)) for operand in range(count))
        return Step(entry, arguments, places, 0, workers)


def _bits(number: float) -> int:
    """Return the bits of a float64 as an integer."""
    bits: int = struct.unpack("<q", struct.pack("<d", number))[0]
    return bits
