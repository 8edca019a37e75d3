"""Softmax, its logarithm and their gradients as programs over the terms of a row.

A row that fits into a cache is read from memory once and written once. Results of 16-bit floats
would round on the way, so exponentials are computed twice for them.
"""

from __future__ import annotations

from functools import cache
from math import inf

from lamina.kernels.expression import Expression, Input, apply
from lamina.kernels.reduction.folds import computed_dtype
from lamina.kernels.reduction.program import TOTAL, Phase, Program, Result, Write
from lamina.kernels.scalars import STORED


def _exp(x: Expression) -> Expression:
    return apply("exp", x)


@cache
def softmax_program(dtype: str, *, empty_is_zero: bool, is_scaled: bool) -> Program:
    """Return e^(x − max) / Σ e^(x − max); times a second input where it is scaled.

    Its last input is the output, except of 16-bit floats. With `empty_is_zero` terms that are all
    −∞ give zeros, not NaN.
    """
    number = computed_dtype(dtype)
    reads_back = not STORED[dtype].is_half
    x, scale = Input(0), Input(1)
    back = Input(1 + is_scaled)
    inputs = 1 + is_scaled + reads_back
    peak, rate = Input(inputs), Input(inputs + 1)
    greatest: Expression = TOTAL
    total: Expression = TOTAL
    if empty_is_zero:
        greatest = apply("where", apply("equal", TOTAL, -inf), 0.0, TOTAL)
        total = apply("where", apply("equal", TOTAL, 0.0), 1.0, TOTAL)
    power = _exp(x - peak)
    known = back if reads_back else power
    weight = rate * scale if is_scaled else rate
    writes = (Write(0, power),) if reads_back else ()
    statements = (
        Phase(x, "maximum", greatest, number),
        *writes,
        Phase(known, "add", 1.0 / total, number),
        Write(0, known * weight),
    )
    return Program(inputs, 1, number, statements)


@cache
def log_total_program(dtype: str) -> Program:
    """Return as results the greatest x, and log Σ e^(x − max)."""
    number = computed_dtype(dtype)
    x, peak = Input(0), Input(1)
    statements = (
        Phase(x, "maximum", TOTAL, number),
        Phase(_exp(x - peak), "add", apply("log", TOTAL), number),
        Result(0, Input(0)),
        Result(1, Input(1)),
    )
    return Program(1, 2, number, statements)


@cache
def log_softmax_program(dtype: str) -> Program:
    """Return x − max − log Σ e^(x − max)."""
    number = computed_dtype(dtype)
    x, peak, logarithm = Input(0), Input(1), Input(2)
    statements = (
        Phase(x, "maximum", TOTAL, number),
        Phase(_exp(x - peak), "add", apply("log", TOTAL), number),
        Write(0, x - peak - logarithm),
    )
    return Program(1, 1, number, statements)


@cache
def gradient_program(dtype: str, *, is_log: bool) -> Program:
    """Return y · (g − Σ g·y) of the gradient g and the softmax y, or of the log g − e^y · Σ g."""
    number = computed_dtype(dtype)
    grad, out, total = Input(0), Input(1), Input(2)
    term = grad if is_log else grad * out
    value = grad - _exp(out) * total if is_log else out * (grad - total)
    return Program(2, 1, number, (Phase(term, "add", TOTAL, number), Write(0, value)))
