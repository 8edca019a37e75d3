"""Arithmetic, comparison, logic, casts and choices."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lamina import dtypes
from lamina.ops import arithmetic as ops

from .case import FLOATS, NUMBERS, Case
from .drawing import DEFAULT, Draw, away, normal, truth, uniform

PAIR = (normal(*DEFAULT), normal(*DEFAULT))
POSITIVE = (uniform(0.5, 3), uniform(0.5, 3))


def apart() -> tuple[Draw, Draw]:
    """Two inputs that are never equal, nor near a multiple of one another."""
    return uniform(-3, -1, *DEFAULT), away(-2.0, -1.0, spread=1.0)


def in_dtype(function: Callable[..., Any]) -> Callable[..., Any]:
    """Integers wrap in their own dtype, as numpy's do; floats are in extended precision."""
    return lambda *inputs: function(*inputs)


CASES = [
    Case(ops.add, PAIR, np.add),
    Case(ops.subtract, PAIR, np.subtract),
    Case(ops.multiply, PAIR, np.multiply),
]
