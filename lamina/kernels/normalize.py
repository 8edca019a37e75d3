"""Normalisation by the statistics of the terms, and its gradients, as programs.

With n terms x, mean m, x̂ = (x − m)·r and r = 1 / √(variance + eps): y = x̂ · weight + bias. The
numbers of a call are n and eps.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from lamina.kernels.expression import Expression, Input, apply
from lamina.kernels.reduction.folds import computed_dtype
from lamina.kernels.reduction.program import (
    TOTAL,
    Gather,
    Phase,
    Program,
    Result,
    Statement,
    Write,
)

# How a weight varies: with the results, with the terms, or otherwise.
Weights = Literal["none", "results", "terms", "other"]
_NUMBERS = 2
_COUNT, _EPS = Input(1), Input(2)
"""The numbers, in what finishes a phase."""


def _statistics(
    x: Expression, inputs: int, dtype: str, *, centred: bool
) -> tuple[list[Phase], Expression, Expression]:
    """Return the phases of mean and rate, x less its mean, and the rate."""
    place = inputs + _NUMBERS
    rate = 1.0 / apply("sqrt", TOTAL / _COUNT + _EPS)
    if not centred:
        return [Phase(x * x, "add", rate, dtype)], x, Input(place)
    apart = x - Input(place)
    mean = Phase(x, "add", TOTAL / _COUNT, dtype)
    return [mean, Phase(apart * apart, "add", rate, dtype)], apart, Input(place + 1)


@cache
def normalize_program(dtype: str, *, centred: bool, has_weight: bool, has_bias: bool) -> Program:
    """Return y of x, weight and bias, of whatever there is."""
    number = computed_dtype(dtype)
    inputs = 1 + has_weight + has_bias
    phases, apart, rate = _statistics(Input(0), inputs, number, centred=centred)
    value: Expression = apart * rate
    if has_weight:
        value = value * Input(1)
    if has_bias:
        value = value + Input(inputs - 1)
    return Program(inputs, 1, number, (*phases, Write(0, value)), _NUMBERS)


@cache
def normalize_gradient_program(dtype: str, weights: Weights, *, centred: bool) -> Program:
    """Return the gradients of x, weight and bias, of those of y, x and the weight.

    Those of weight and bias are there for weights that vary with the results or with the terms.
    """
    number = computed_dtype(dtype)
    inputs = 2 if weights == "none" else 3
    grad, x = Input(0), Input(1)
    phases, apart, rate = _statistics(x, inputs, number, centred=centred)
    hat = apart * rate
    # A weight that is one for all terms moves out of their sums.
    inner: Expression = grad * Input(2) if weights in ("terms", "other") else grad
    place = inputs + _NUMBERS + len(phases)
    moment = Input(place)
    statements: list[Statement] = [*phases, Phase(inner * hat, "add", TOTAL, number)]
    value: Expression = inner - hat * (moment / Input(inputs))
    has_total = centred or weights == "results"
    if has_total:
        statements.append(Phase(inner, "add", TOTAL, number))
    if centred:
        value = value - Input(place + 1) / Input(inputs)
    value = value * rate
    statements.append(Write(0, value * Input(2) if weights == "results" else value))
    outputs = 1
    if weights == "results":
        # Expressions of results know no inputs: their parameters come first.
        kept = _NUMBERS + len(phases)
        statements += [Result(1, Input(kept)), Result(2, Input(kept + 1))]
        outputs = 3
    if weights == "terms":
        statements += [Gather(1, grad * hat), Gather(2, grad)]
        outputs = 3
    return Program(inputs, outputs, number, tuple(statements), _NUMBERS)


@cache
def moments_program(dtype: str) -> Program:
    """Return mean and variance of the terms; the only number is how many there are."""
    number = computed_dtype(dtype)
    apart = Input(0) - Input(2)
    statements = (
        Phase(Input(0), "add", TOTAL / Input(1), number),
        Phase(apart * apart, "add", TOTAL / Input(1), number),
        Result(0, Input(1)),
        Result(1, Input(2)),
    )
    return Program(1, 2, number, statements, 1)
