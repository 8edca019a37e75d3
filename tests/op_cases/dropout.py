"""Dropout: a linear function once its draw is known."""

from typing import Any

import numpy as np

from lamina.ops.layers.dropout import Dropout

from .case import Case
from .drawing import Draw, fixed, normal


def dropped(p: float) -> Any:
    def oracle(x: Any, numbers: Any) -> Any:
        seed, draw = map(int, numbers)
        words = np.random.Philox(key=seed, counter=[0, 0, draw, 0]).random_raw(x.size)
        halves = np.array([h for w in words.tolist() for h in (w & 0xFFFFFFFF, w >> 32)], float)
        kept = halves[: x.size].reshape(x.shape) >= p * 2**32
        return np.where(kept, x / (1 - np.longdouble(p)), 0)

    return oracle


def draw_of(seed: int, draw: int) -> Draw:
    return fixed([seed, draw], "uint64")


CASES = [
    Case(
        Dropout(p), (normal(3, 5), draw_of(3, draw)), dropped(p),
        ulp=1.5, why="1/(1 − p) rounded, then the product", label=f"p-{p}", repeatable=False,
    )
    for p, draw in ((0.25, 0), (0.5, 7), (0.0, 1))
]  # fmt: skip
CASES.append(
    Case(
        Dropout(1.0),
        (normal(3, 5), draw_of(3, 0)),
        lambda x, _: x * 0,
        label="p-1",
        repeatable=False,
    )
)
