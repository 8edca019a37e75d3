"""Branches and loops: their bodies are graphs."""

from typing import Any

import numpy as np

from lamina.graph.control import Cond, While
from lamina.graph.text import parse

from .case import Case
from .drawing import Draw, normal, uniform

TYPES = "inputs %x: {0}[3], %y: {0}[3]\n"
THEN = TYPES + "%0: {0}[3] = multiply(%x, %y)\nreturn %0"
OTHERWISE = TYPES + "%0: {0}[3] = exp(%x)\nreturn %0"
TEST = (
    TYPES + "%0: bool[3] = less(%x, %y)\n%1: bool[] = all[axes=(0,), keepdims=False](%0)\nreturn %1"
)
BODY = TYPES + "%0: {0}[3] = add(%x, %y)\nreturn %0"


def cond(chosen: bool, dtype: str) -> Case:
    op = Cond(*(parse(text.format(dtype)) for text in (THEN, OTHERWISE)))

    def oracle(_: Any, x: Any, y: Any) -> Any:
        return x * y if chosen else np.exp(x)

    flag = Draw((), lambda rng, shape: np.array(chosen), dtype="bool")
    return Case(
        op, (flag, normal(3), normal(3)), oracle, ulp=1.1, why="the error of exp", dtypes=(dtype,),
        label=f"{chosen}-{dtype}", repeatable=False,
    )  # fmt: skip


def loop(dtype: str) -> Case:
    op = While(*(parse(text.format(dtype)) for text in (TEST, BODY)), 1)

    def oracle(x: Any, y: Any) -> Any:
        while (x < y).all():
            x = x + y
        return x

    return Case(
        op, (uniform(0.1, 0.2, 3), uniform(0.5, 1.0, 3)), oracle, dtypes=(dtype,), label=dtype,
        order=0, why_order="a loop of unknown length has no derivative", repeatable=False,
    )  # fmt: skip


CASES = [
    *(cond(chosen, dtype) for chosen in (True, False) for dtype in ("float64", "float32")),
    *(loop(dtype) for dtype in ("float64", "float32")),
]
