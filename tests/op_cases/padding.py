"""Padding with constants, and with more of the tensor itself."""

from typing import Any

import numpy as np

from lamina.ops.layers.axis_map import AxisMap
from lamina.ops.layers.padding import Extension, Pad

from .case import NUMBERS, Case
from .drawing import normal
from .linear_maps import mapped, matrix_of

NUMPY_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def extended(mode: str, before: int, behind: int) -> Any:
    return lambda x: np.pad(x, (before, behind), NUMPY_MODES[mode])


def padded(low: tuple[int, ...], high: tuple[int, ...], value: float) -> Any:
    def oracle(x: Any) -> Any:
        kept = x[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, a, b in zip(x.shape, low, high))]
        widths = [(max(a, 0), max(b, 0)) for a, b in zip(low, high, strict=True)]
        return np.pad(kept, widths, constant_values=value)

    return oracle


CASES = [
    *(
        Case(Pad(low, high, value), (normal(3, 4),), padded(low, high, value), label=label)
        for label, low, high, value in (
            ("both", (1, 2), (0, 3), 0.0),
            ("value", (0, 1), (1, 0), 1.5),
            ("cut", (-1, 2), (1, -3), 0.5),
        )
    ),
    Case(Pad((1, 0), (0, 2)), (normal(3, 4),), padded((1, 0), (0, 2), 0), dtypes=NUMBERS),
    *(
        Case(
            AxisMap(1, rule, transposed=transposed),
            (normal(2, rule.target if transposed else 4, 3),),
            mapped(matrix_of(extended(mode, 3, 2), 4), 1, transposed=transposed),
            ulp=2,
            why="at most 4 numbers added",
            scale=2,
            label=f"{mode}-back" if transposed else mode,
        )
        for mode in NUMPY_MODES
        for transposed in (False, True)
        for rule in (Extension(4, 9, 3, mode),)
    ),
]
