"""Normalisation: moments, what is made of them, and the sums in their derivatives."""

from typing import Any

import numpy as np

from lamina.ops.layers.normalization import Moments, Normalize
from lamina.ops.reductions.sum_products import SumProducts

from .case import FLOATS, Case
from .drawing import normal, uniform


def moments(axes: tuple[int, ...]) -> Any:
    def oracle(x: Any) -> Any:
        mean = x.mean(axis=axes, keepdims=True)
        return mean, ((x - mean) ** 2).mean(axis=axes, keepdims=True)

    return oracle


def normalized(op: Normalize) -> Any:
    def oracle(x: Any, *others: Any) -> Any:
        rest = list(others)
        mean = rest.pop(0) if op.has_mean else 0
        out = (x - mean) / np.sqrt(rest.pop(0) + op.eps)
        if op.has_weight:
            out = out * rest.pop(0)
        return out + rest.pop(0) if op.has_bias else out

    return oracle


def normalize(label: str, x: tuple[int, ...], stats: Any, params: Any, *given: bool) -> Case:
    op = Normalize(0.125, *given)
    has_mean, has_weight, has_bias = given
    inputs = [normal(*x)]
    inputs += [normal(*stats)] if has_mean else []
    inputs += [uniform(0.5, 2.0, *stats)]
    inputs += [normal(*params)] if has_weight else []
    inputs += [normal(*params)] if has_bias else []
    why = "four operations rounded, one of them on 1/√"
    return Case(op, tuple(inputs), normalized(op), ulp=4, why=why, scale=2, label=label)


CHANNELS, ROWS, WIDTH = (1, 3, 1), (2, 3, 1), (1, 1, 4)
SUM = "a sum of at most 24 numbers of about 1"

CASES = [
    *(
        Case(Moments(axes), (normal(2, 3, 4),), moments(axes), ulp=4, why=SUM, scale=1, label=label)
        for label, axes in (("channels", (0, 2)), ("rows", (2,)), ("all", (0, 1, 2)))
    ),
    normalize("channels", (2, 3, 4), CHANNELS, CHANNELS, True, True, True),
    normalize("rows", (2, 3, 4), ROWS, WIDTH, True, True, True),
    normalize("rows-weight", (2, 3, 4), ROWS, WIDTH, True, True, False),
    normalize("rows-bias", (2, 3, 4), ROWS, WIDTH, True, False, True),
    normalize("plain", (2, 3, 4), CHANNELS, None, True, False, False),
    normalize("scaled", (2, 3, 4), ROWS, WIDTH, False, True, False),
    normalize("scaled-plain", (2, 3, 4), ROWS, None, False, False, False),
    *(
        Case(
            SumProducts(axes),
            (normal(2, 3, 4), normal(2, 3, 4)),
            lambda a, b, axes=axes: (a * b).sum(axis=axes, keepdims=True),
            ulp=8,
            why=SUM,
            scale=2,
            label=label,
            dtypes=FLOATS,
        )
        for label, axes in (("channels", (0, 2)), ("rows", (2,)), ("none", ()))
    ),
]
