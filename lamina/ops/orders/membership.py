"""Whether elements are among others."""

from dataclasses import dataclass
from typing import final

import numpy as np

from lamina import dtypes
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.registry import Op, Value, define


@define
@final
@dataclass(frozen=True, slots=True)
class IsIn(Op):
    """Whether each element of the first input equals some of the second; NaN equals none."""

    name = "isin"
    differentiable = False
    promotion = "common"

    def infer(self, *inputs: Spec) -> Spec:
        return Spec(inputs[0].shape, dtypes.bool_)

    def ref(self, *inputs: NDArray) -> NDArray:
        x, among = inputs
        return np.isin(x, among)


def isin(x: Value, among: Value) -> Value:
    """Return whether each element of `x` is among those of `among`."""
    return IsIn()(x, among)
