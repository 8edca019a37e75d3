"""The plain reductions: programs of phases whose last parameter is the result."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from lamina.kernels.expression import Expression, Input, apply
from lamina.kernels.reduction.program import TOTAL, Phase, Program, Result
from lamina.kernels.scalars import COMPUTED, STORED

X, Y = Input(0), Input(1)
Maker = Callable[[str], Program]


def reduction(
    inputs: int, *phases: Phase, numbers: int = 0, result: Expression | None = None
) -> Program:
    """Return the program whose only output is `result`, or what the last of `phases` gives."""
    last = Input(numbers + len(phases) - 1) if result is None else result
    return Program(inputs, 1, phases[0].dtype, (*phases, Result(0, last)), numbers)


def _one(
    combine: str,
    finish: Expression = TOTAL,
    term: Expression = X,
    *,
    inputs: int = 1,
    numbers: int = 0,
) -> Maker:
    return lambda dtype: reduction(inputs, Phase(term, combine, finish, dtype), numbers=numbers)


def _variance(finish: Expression) -> Maker:
    def program(dtype: str) -> Program:
        apart = X - Input(3)
        mean = Phase(X, "add", TOTAL / Input(1), dtype)
        return reduction(1, mean, Phase(apart * apart, "add", finish, dtype), numbers=2)

    return program


def _logsumexp(dtype: str) -> Program:
    peak = Phase(X, "maximum", apply("where", apply("isfinite", TOTAL), TOTAL, 0.0), dtype)
    finish = apply("log", TOTAL) + Input(1)
    return reduction(1, peak, Phase(apply("exp", X - Input(1)), "add", finish, dtype))


def _norm(order: float) -> Maker:
    """Return the fold of (Σ |x|ᵖ)^(1/p) for any p."""
    return _one(
        "add",
        apply("pow", TOTAL, 1 / order),
        apply("pow", apply("absolute", X), order),
    )


def _truth(combine: str) -> Maker:
    """Return the fold of truth values, kept in integers as wide as the elements."""

    def program(dtype: str) -> Program:
        number = f"int{COMPUTED[dtype].bits}"
        is_true = apply(f"to_{number}", apply("not_equal", X, 0))
        phase = Phase(is_true, combine, TOTAL, number)
        return reduction(1, phase, result=apply("not_equal", Input(0), 0))

    return program


_FOLDS: dict[str, Maker] = {
    "sum": _one("add"),
    "mean": _one("add", TOTAL / Input(1), numbers=1),
    "prod": _one("multiply"),
    "max": _one("maximum"),
    "min": _one("minimum"),
    "norm1": _one("add", term=apply("absolute", X)),
    "norm2": _one("add", apply("sqrt", TOTAL), X * X),
    "sum_products": _one("add", term=X * Y, inputs=2),
    "var": _variance(TOTAL / Input(2)),
    "std": _variance(apply("sqrt", TOTAL / Input(2))),
    "logsumexp": _logsumexp,
    "any": _truth("maximum"),
    "all": _truth("minimum"),
}


@cache
def fold_of(name: str, dtype: str) -> Program:
    """Return the reduction called `name` of elements of `dtype`; "norm" and an order name a norm.

    >>> fold_of("norm2", "float16").phases[0]
    Phase(term=multiply(x0,x0), combine='add', finish=sqrt(x0), dtype='float32')
    """
    maker = _FOLDS.get(name) or _norm(float(name.removeprefix("norm")))
    return maker(computed_dtype(dtype))


def computed_dtype(dtype: str) -> str:
    """Return the dtype that elements of `dtype` are computed with.

    >>> computed_dtype("bfloat16"), computed_dtype("bool")
    ('float32', 'uint8')
    """
    if dtype == "bool":
        return "uint8"
    return "float32" if STORED[dtype].is_half else dtype
