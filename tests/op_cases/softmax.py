"""Softmax and its logarithm."""

from typing import Any

import numpy as np

from lamina.ops.layers.softmax import (
    LogSoftmax,
    LogSoftmaxGradient,
    Softmax,
    SoftmaxGradient,
)

from .case import Case
from .drawing import fixed, normal

WHY = "the error of exp, of the sum, and of x − max, up to 6, which exp makes relative"
INF = np.inf


def softmax(axis: int) -> Any:
    def oracle(x: Any) -> Any:
        power = np.exp(x)
        return power / power.sum(axis=axis, keepdims=True)

    return oracle


def log_softmax(axis: int) -> Any:
    return lambda x: x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


def by_softmax(axis: int) -> Any:
    return lambda g, y: y * (g - (g * y).sum(axis=axis, keepdims=True))


def by_log_softmax(axis: int) -> Any:
    return lambda g, y: g - np.exp(y) * g.sum(axis=axis, keepdims=True)


GRADIENT_WHY = "a sum of at most 4 products, and two operations on it"

CASES = [
    *(
        Case(
            make(axis), (normal(2, 3, 4),), oracle(axis),
            ulp=8, why=WHY, scale=scale, label=f"axis-{axis}", shapes=shapes,
        )
        for make, oracle, scale in ((Softmax, softmax, 0.0), (LogSoftmax, log_softmax, 4.0))
        for axis, shapes in ((0, (((3,),),)), (1, ()), (2, (((0, 3, 2),),)))
    ),
    *(
        Case(
            make(axis), (normal(2, 3, 4), normal(2, 3, 4)), oracle(axis),
            ulp=8, why=GRADIENT_WHY, scale=4.0, label=f"axis-{axis}", half_ulp=0.6,
        )
        for make, oracle in ((SoftmaxGradient, by_softmax), (LogSoftmaxGradient, by_log_softmax))
        for axis in (0, 2)
    ),
    Case(
        Softmax(1, empty="zero"),
        (fixed([[0.0, 1.0], [-INF, -INF], [-INF, 2.0]]),),
        lambda x: np.where(np.isinf(x).all(axis=1, keepdims=True), 0, softmax(1)(x)),
        ulp=4, why=WHY, label="empty-rows",
        order=0, why_order="−∞ has no neighbourhood; finite rows are as in the other cases",
        repeatable=False,
    ),
]  # fmt: skip
