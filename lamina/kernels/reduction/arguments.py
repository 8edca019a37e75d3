"""What the kernels of reductions are told: where things lie, and over which axes they go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lamina.codegen.builder import Builder
from lamina.codegen.types import Scalar, f64
from lamina.codegen.values import Value
from lamina.kernels.reduction.program import Program
from lamina.kernels.scalars import STORED
from lamina.kernels.walk import Axes

# How the elements of an operand lie along the terms, or along the lanes where those are results:
# side by side, one for all, or anyhow.
Way = Literal["along", "one", "scattered"]

_FIELDS = (
    "counter", "chunks", "results_each", "results", "terms", "outer", "tile", "tiles",
    "levels", "outer_levels", "parts", "partial", "parameters", "gathered", "gathered_each",
)  # fmt: skip
SLOT = {name: place for place, name in enumerate(_FIELDS)}
VARYING = len(_FIELDS)
"""Where the numbers, the addresses of the operands, and the axes begin."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is compiled for: a program, and of its operands, outputs first, the dtypes and
    how they lie; how many axes of each kind there are.
    """

    program: Program
    dtypes: tuple[str, ...]
    ways: tuple[Way, ...]
    kept: int
    outer: int
    run: int


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of a kernel as it reads them."""

    k: Builder
    args: Value
    form: Form

    def __getitem__(self, name: str) -> Value:
        return self.args[SLOT[name]]

    @property
    def _operands(self) -> int:
        return VARYING + self.form.program.numbers

    @property
    def kept(self) -> Axes:
        """The axes of the results."""
        count = len(self.form.dtypes)
        return Axes(self.k, self.args, self._operands + count, self.form.kept, count)

    @property
    def outer(self) -> Axes:
        """The axes of the terms before the last group."""
        count = len(self.form.dtypes)
        return Axes(self.k, self.args, self.kept.end, self.form.outer, count)

    @property
    def run(self) -> Axes:
        """The last group of axes of the terms."""
        count = len(self.form.dtypes)
        return Axes(self.k, self.args, self.outer.end, self.form.run, count)

    @property
    def column(self) -> Axes:
        """The axis of the results that lies in the lanes."""
        return Axes(self.k, self.args, self.run.end, 1, len(self.form.dtypes))

    def pointers(self) -> list[Value]:
        """Return the addresses of the operands."""
        return [
            self.k.pointer_at(self.args[self._operands + place], STORED[dtype])
            for place, dtype in enumerate(self.form.dtypes)
        ]

    def numbers(self) -> list[Value]:
        """Return the numbers that came with the call."""
        scalar: Scalar = self.form.program.scalar
        return [
            self.k.convert(self.k.bitcast(self.args[VARYING + place], f64), scalar)
            for place in range(self.form.program.numbers)
        ]
