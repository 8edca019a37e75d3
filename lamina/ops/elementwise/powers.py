"""Powers: any base and exponent, and the few whose exponent is a small whole number."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina.dtypes import from_numpy
from lamina.kernels.expression import Expression, Input, apply
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.blocks import in_blocks
from lamina.ops.elementwise.arithmetic import power
from lamina.ops.elementwise.functions import sqrt, square
from lamina.ops.pointwise import Pointwise
from lamina.ops.registry import Operand, Value, define

_LARGEST = 8
# Three roundings, 3 ULP, is all that is given away where float64 itself is multiplied.
_EXACT_ENOUGH = range(-2, 5)


@define
@final
@dataclass(frozen=True, slots=True)
class IntegerPower(Pointwise):
    """xⁿ for real floats, n ≠ 0, by repeated multiplication."""

    name = "integer_power"
    exponent: int = 3

    def ref(self, *inputs: NDArray) -> NDArray:
        (x,) = inputs
        if from_numpy(x.dtype).itemsize == 8 and self.exponent not in _EXACT_ENOUGH:
            return np.power(x, self.exponent)
        return in_blocks(self._multiplied)(x).astype(x.dtype, copy=False)

    def expression(self, *inputs: Spec) -> Expression | None:
        if inputs[0].dtype.itemsize == 8 and self.exponent not in _EXACT_ENOUGH:
            return apply("pow", Input(0), self.exponent)
        product = wide = apply("to_float64", Input(0))
        for bit in f"{abs(self.exponent):b}"[1:]:
            product = product * product
            product = product * wide if bit == "1" else product
        return product if self.exponent > 0 else 1 / product

    def _multiplied(self, x: NDArray) -> NDArray:
        # Shorter floats are multiplied as float64, and so rounded once.
        wide = x.astype(np.float64, copy=False)
        product = wide
        for bit in f"{abs(self.exponent):b}"[1:]:
            product = product * product
            product = product * wide if bit == "1" else product
        return product if self.exponent > 0 else 1 / product

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        if self.exponent == 1:
            return (grad,)
        return (grad * (raised(inputs[0], self.exponent - 1) * self.exponent),)


def raised(x: Value, exponent: Value) -> Value:
    """Return `x` to the power `exponent`, broadcast together.

    Small whole numbers and ½ as exponent of floats are computed without logarithms. ArgumentError
    for integers to a negative power.

    >>> import lamina
    >>> raised(lamina.tensor([-2.0, 3.0]), 3)
    Tensor([-8., 27.])
    """
    is_number = type(exponent) in (int, float) and isinstance(x, Operand)
    if not is_number or x.dtype.kind != "float":
        return power(x, exponent)
    if exponent == 2:
        return square(x)
    if exponent == 0.5:
        return sqrt(x)
    if exponent != 0 and abs(exponent) <= _LARGEST and exponent == int(exponent):
        return IntegerPower(int(exponent))(x)
    return power(x, exponent)
