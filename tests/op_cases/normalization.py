"""Normalisation: moments, what is made of them, and the sums in their derivatives."""

from typing import Any

import numpy as np

from lamina.ops.layers.normalization import Normalize
from lamina.ops.layers.standardize import Moments, Standardize, StandardizeGradient
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


EPS = 0.125


def statistics(x: Any, axes: tuple[int, ...], centred: bool) -> tuple[Any, Any]:
    """x̂ and 1 / √(variance + eps)."""
    apart = x - x.mean(axis=axes, keepdims=True) if centred else x
    rate = 1 / np.sqrt((apart**2).mean(axis=axes, keepdims=True) + EPS)
    return apart * rate, rate


def standardize(label: str, axes: tuple[int, ...], weight: Any, *given: bool) -> Case:
    op = Standardize(axes, EPS, *given)
    inputs = [normal(2, 3, 4), *(uniform(0.5, 2.0, *weight) for _ in range(sum(given[1:])))]

    def oracle(x: Any, *others: Any) -> Any:
        hat, _ = statistics(x, axes, op.centred)
        out = hat * others[0] if op.has_weight else hat
        return out + others[-1] if op.has_bias else out

    why = "sums of at most 24 numbers, a root and four operations"
    return Case(op, tuple(inputs), oracle, ulp=6, why=why, scale=2, label=label)


def standardize_gradient(label: str, axes: tuple[int, ...], weight: Any, centred: bool) -> Case:
    op = StandardizeGradient(axes, EPS, centred, weight is not None)
    inputs = [normal(2, 3, 4), normal(2, 3, 4)]
    inputs += [uniform(0.5, 2.0, *weight)] if weight else []

    def oracle(grad: Any, x: Any, *others: Any) -> Any:
        hat, rate = statistics(x, axes, centred)
        inner = grad * others[0] if others else grad
        centre = inner.mean(axis=axes, keepdims=True) if centred else 0
        by_x = rate * (inner - centre - hat * (inner * hat).mean(axis=axes, keepdims=True))
        if label not in ("channels", "rows"):
            return by_x
        over = tuple(axis for axis, n in enumerate(weight) if n == 1)
        return (by_x, *(part.sum(axis=over, keepdims=True) for part in (grad * hat, grad)))

    why = "sums of at most 24 numbers of sums, and six operations"
    return Case(op, tuple(inputs), oracle, ulp=16, why=why, scale=4, half_ulp=0.7, label=label)


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
    standardize("channels", (0, 2), (1, 3, 1), True, True, True),
    standardize("rows", (2,), (1, 1, 4), True, True, True),
    standardize("rows-weight", (2,), (1, 1, 4), False, True, False),
    standardize("parts", (1, 2), (1, 3, 1), True, True, True),
    standardize("plain", (2,), None, True, False, False),
    standardize_gradient("channels", (0, 2), (1, 3, 1), True),
    standardize_gradient("rows", (2,), (1, 1, 4), True),
    standardize_gradient("parts", (1, 2), (1, 3, 1), True),
    standardize_gradient("plain", (2,), None, True),
    standardize_gradient("squares", (2,), None, False),
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
