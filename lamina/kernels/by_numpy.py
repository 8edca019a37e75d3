"""Scalar expressions evaluated by numpy: what runs where no kernel can be compiled."""

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from lamina.errors import CompileError
from lamina.kernels.expression import Apply, Constant, Expression, Input, in_order

_CALLED: dict[str, Callable[..., Any]] = {"round": np.rint, "where": np.where}
_HALVES = ("float16", "bfloat16")


def evaluate(roots: Sequence[Expression], inputs: Sequence[Any]) -> list[Any]:
    """Return the values of expressions of numpy arrays; 16-bit floats are computed with as float32.

    CompileError for a function that numpy has by no such name.

    >>> evaluate([Input(0) * 2.0], [np.array([1.0, 2.0])])
    [array([2., 4.])]
    """
    values: dict[Expression, Any] = {}

    def value_of(node: Expression) -> Any:
        match node:
            case Input(place):
                return inputs[place]
            case Constant(number, dtype):
                return number if dtype is None else _dtype(dtype).type(number)
            case _:
                return values[node]

    for node in in_order(*roots):
        values[node] = _applied(node, [value_of(operand) for operand in node.operands])
    return [value_of(root) for root in roots]


def _applied(node: Apply, operands: list[Any]) -> Any:
    wide = [
        x.astype(np.float32)
        if getattr(x, "dtype", None) is not None and x.dtype.name in _HALVES
        else x
        for x in operands
    ]
    if node.function.startswith("to_"):
        return wide[0].astype(_dtype(node.function.removeprefix("to_")))
    function = _CALLED.get(node.function) or getattr(np, node.function, None)
    if function is None:
        raise CompileError(f"{node.function} is not in numpy; compile the expression to a kernel")
    return function(*wide)


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
