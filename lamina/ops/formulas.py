"""Several scalar expressions of the same inputs, in one pass over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, final

import numpy as np

from lamina import dtypes
from lamina.codegen.target import compiles_here
from lamina.errors import ShapeError
from lamina.kernels.by_numpy import evaluate
from lamina.kernels.elementwise import compute
from lamina.kernels.expression import Expression, in_order
from lamina.layout import broadcast_shapes
from lamina.memory import Array, Spec, empty
from lamina.memory.array import NDArray
from lamina.ops.registry import Arrays, Op, define


@define
@final
@dataclass(frozen=True, slots=True)
class Formulas(Op):
    """outᵢ[n] = eᵢ(x₀[n], x₁[n], …), inputs broadcast: what elementwise ops become together."""

    name = "formulas"
    differentiable = False

    expressions: tuple[Expression, ...]
    dtypes: tuple[str, ...]

    def infer(self, *inputs: Spec) -> tuple[Spec, ...]:
        try:
            shape = broadcast_shapes(*(x.shape for x in inputs))
        except ShapeError as error:
            raise ShapeError(f"formulas: {error}") from None
        return tuple(Spec(shape, dtypes.as_dtype(name)) for name in self.dtypes)

    def ref(self, *inputs: NDArray) -> tuple[NDArray, ...]:
        shape = np.broadcast_shapes(*(x.shape for x in inputs))
        found = evaluate(self.expressions, inputs)
        return tuple(np.broadcast_to(value, shape) for value in found)

    def operations(self, output: Spec, *inputs: Spec) -> int:
        return prod(output.shape) * max(1, len(in_order(*self.expressions)))

    def run(self, *inputs: Array) -> Arrays:
        if not compiles_here():
            return Op.run(self, *inputs)
        outputs = tuple(empty(*spec) for spec in self.infer(*[x.spec for x in inputs]))
        self.write(outputs, inputs)
        return outputs

    def write(self, outputs: Sequence[Array], inputs: Sequence[Array]) -> None:
        """Write the outputs; one may be an input, element for element."""
        compute(self.expressions, outputs, inputs)


def formulas_of(expression: Expression, dtype: str) -> Any:
    """Return the op of one expression."""
    return Formulas((expression,), (dtype,))
