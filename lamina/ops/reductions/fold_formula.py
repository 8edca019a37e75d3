"""A reduction of what a scalar expression makes of its inputs: the terms are never in memory.

The op is made by programs: what it computes, two ops say one after the other.
"""

from dataclasses import dataclass, replace
from typing import Any, final

from lamina.errors import ShapeError
from lamina.kernels.by_numpy import evaluate
from lamina.kernels.expression import Expression
from lamina.kernels.reduction.folds import fold_of
from lamina.kernels.reduction.plan import neighbours
from lamina.kernels.reduction.program import Phase, Program
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.layers.standardize import check_stretches
from lamina.ops.programmed import Programmed, Work
from lamina.ops.reductions.extremes import Max, Min
from lamina.ops.reductions.folding import Reduction, folded_size
from lamina.ops.reductions.sums import Mean, Sum
from lamina.ops.registry import define, require

FOLDS: dict[str, type[Reduction]] = {"sum": Sum, "mean": Mean, "max": Max, "min": Min}


@define
@final
@dataclass(frozen=True, slots=True)
class FoldFormula(Programmed):
    """fold over the axes of expression(x₀, x₁, …); all inputs stretch to the first, and are of one
    float dtype.
    """

    name = "fold_formula"
    differentiable = False

    expression: Expression
    fold: str
    axes: tuple[int, ...]
    keepdims: bool = False

    @property
    def _reduction(self) -> Reduction:
        return FOLDS[self.fold](self.axes, self.keepdims)

    def infer(self, *inputs: Spec) -> Spec:
        first, *others = inputs
        check_stretches(self, first, *others)
        is_alike = all(x.dtype is first.dtype for x in others)
        require(is_alike, self, ShapeError, f"{inputs} given; expected one dtype")
        return self._reduction.infer(first)

    def ref(self, *inputs: NDArray) -> Any:
        (terms,) = evaluate((self.expression,), inputs)
        return self._reduction.ref(terms)

    def work(self, *inputs: Spec) -> Work | None:
        first = inputs[0]
        program = fold_of(self.fold, first.dtype.name)
        phase, *rest = program.statements
        assert isinstance(phase, Phase)
        statements = (replace(phase, term=self.expression), *rest)
        made = Program(len(inputs), 1, program.dtype, statements, program.numbers)
        count = float(folded_size(first.shape, self._reduction))
        return Work(made, neighbours(self.axes), (count,) * program.numbers)
