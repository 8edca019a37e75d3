"""What is done to the terms of each result, as data: statements, one after the other.

A statement folds all terms into a parameter, which later ones may use as a variance uses the mean;
writes an element for every term; or writes the result itself. So a softmax or a normalisation goes
through memory once where the terms of a result fit into a cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from lamina.codegen.builder import Builder
from lamina.codegen.types import Scalar, element_of, integer_like
from lamina.codegen.values import Value
from lamina.kernels.expression import Expression, Input
from lamina.kernels.functions import FUNCTIONS
from lamina.kernels.reduction.order import Combine
from lamina.kernels.scalars import COMPUTED

TOTAL = Input(0)
"""The first input of what finishes a phase; parameters follow."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Terms, how two of them become one, and the parameter that becomes of the last one.

    `term` is over the inputs, then the parameters so far; `finish` over the combined terms, then
    the parameters. All have the dtype `dtype`.
    """

    term: Expression
    combine: str
    finish: Expression
    dtype: str

    @property
    def scalar(self) -> Scalar:
        """The type of the terms."""
        return COMPUTED[self.dtype]

    @property
    def is_ordered(self) -> bool:
        """Whether the result depends on the order of the terms."""
        return self.combine in ("add", "multiply") and self.scalar.is_float

    @property
    def identity(self) -> int | float:
        """What combines with a term into that term; for sums −0, as +0 would change −0."""
        if self.combine in ("add", "multiply"):
            one = 1 if self.combine == "multiply" else 0
            return -0.0 if self.scalar.is_float and not one else one
        if self.scalar.is_float:
            return -inf if self.combine == "maximum" else inf
        half = 1 << (self.scalar.bits - 1)
        least, greatest = (-half, half - 1) if self.scalar.is_signed else (0, 2 * half - 1)
        return least if self.combine == "maximum" else greatest

    def combined(self, k: Builder) -> Combine:
        """Return what emits the combination of two results."""
        if self.combine in ("maximum", "minimum") and self.scalar.is_float:
            return lambda a, b: _extreme(k, a, b, is_greatest=self.combine == "maximum")
        return lambda a, b: FUNCTIONS[self.combine](k, a, b)


def _extreme(k: Builder, a: Value, b: Value, *, is_greatest: bool) -> Value:
    """Return the larger or smaller of two floats; a NaN where either is one.

    Of a choice of `a` where that is NaN LLVM makes four instructions; setting all bits takes three.
    """
    number = integer_like(element_of(a.type))
    extreme = k.maximum(a, b) if is_greatest else k.minimum(a, b)
    unordered = a.differs(a)
    bits = k.bitcast(extreme, number) | -k.convert(unordered, number)
    return k.bitcast(bits, element_of(a.type))


@dataclass(frozen=True, slots=True)
class Write:
    """An element of an output for every term: `value` is over the inputs, then the parameters."""

    output: int
    value: Expression


@dataclass(frozen=True, slots=True)
class Gather:
    """As `Write`, but what the results of one chunk would write to a place is added up there."""

    output: int
    value: Expression


@dataclass(frozen=True, slots=True)
class Result:
    """One element of an output: `value` is over the parameters."""

    output: int
    value: Expression


Statement = Phase | Write | Gather | Result


@dataclass(frozen=True, slots=True)
class Program:
    """Statements over `inputs` operands that write `outputs`; computed with in `dtype`.

    The first parameters are `numbers` that come with the call, such as how many terms there are.
    """

    inputs: int
    outputs: int
    dtype: str
    statements: tuple[Statement, ...]
    numbers: int = 0

    @property
    def scalar(self) -> Scalar:
        """The type of parameters and values."""
        return COMPUTED[self.dtype]

    @property
    def phases(self) -> list[Phase]:
        return [statement for statement in self.statements if isinstance(statement, Phase)]

    def gathered(self) -> Iterable[int]:
        """Return the outputs that chunks add up in."""
        return [s.output for s in self.statements if isinstance(s, Gather)]

    def written(self) -> Iterable[int]:
        """Return the outputs that have an element for every term."""
        return [s.output for s in self.statements if isinstance(s, Write)]
