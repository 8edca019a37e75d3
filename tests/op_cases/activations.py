"""Activations and their slopes, from their formulas in extended precision."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lamina.ops.elementwise import activations as ops
from lamina.ops.pointwise import Elementwise
from lamina.ops.registry import OPS

from .case import Case
from .drawing import away, uniform
from .oracles import by_element

WIDE = uniform(-6, 6)
LOOPS = "exp, log1p and a few roundings"
GATED = "where the gate is near 0 it is a difference of numbers near 1"

Formula = Callable[[Any], Any]


def logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def log_of_grown(x: Any) -> Any:
    """log(1 + eˣ)."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def bell(x: Any) -> Any:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


share_below = by_element(lambda x: math.erfc(-x / math.sqrt(2)) / 2)


def gelu_tanh_gate(x: Any) -> Any:
    return (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def mish_gate(x: Any) -> Any:
    return np.tanh(log_of_grown(x))


def product_with(gate: Formula) -> Formula:
    """x·gate(x); at −∞ its limit 0."""
    return lambda x: np.where(x == -np.inf, 0, x * gate(x))


def slope_of(gate: Formula, steepness: Formula) -> Formula:
    """gate(x) + x·gate′(x); its limits 0 and 1 at the infinities."""

    def slope(x: Any) -> Any:
        return np.where(np.isinf(x), (x > 0) * 1.0, gate(x) + x * steepness(x))

    return slope


def gelu_tanh_steepness(x: Any) -> Any:
    gate = gelu_tanh_gate(x)
    return 2 * gate * (1 - gate) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)


def mish_steepness(x: Any) -> Any:
    return (1 - mish_gate(x) ** 2) * logistic(x)


GATES: dict[str, tuple[Formula, Formula]] = {
    "silu": (logistic, lambda x: logistic(x) * logistic(-x)),
    "gelu": (share_below, bell),
    "gelu_tanh": (gelu_tanh_gate, gelu_tanh_steepness),
    "mish": (mish_gate, mish_steepness),
}


def gated(name: str, formula: Formula, ulp: float) -> Case:
    return Case(
        OPS[name], (WIDE,), formula, ulp=ulp, why=GATED, scale=1, half_ulp=1, signed_zeros=False
    )


def smooth(op: Any, oracle: Formula, *, label: str = "", scale: float = 0) -> Case:
    return Case(
        op,
        (away(0.0),),
        oracle,
        ulp=4,
        why=LOOPS,
        half_ulp=1,
        signed_zeros=False,
        label=label,
        scale=scale,
    )


def bent(op: Elementwise, oracle: Formula, *points: float, ulp: float = 2) -> Case:
    """A function of straight pieces that meet at `points`."""
    return Case(op, (away(*points),), oracle, ulp=ulp, why="a few roundings", signed_zeros=False)


def elu(x: Any, alpha: float, scale: float = 1, rate: float = 1) -> Any:
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) * rate))


def hard_gate(x: Any) -> Any:
    return np.clip(x + 3, 0, 6) / 6


ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805

CASES = [
    *(gated(name, product_with(gate), 8) for name, (gate, _) in GATES.items()),
    *(gated(f"{name}_slope", slope_of(*both), 16) for name, both in GATES.items()),
    bent(ops.relu, lambda x: np.where(x < 0, 0, x), 0),
    smooth(ops.logsigmoid, lambda x: -log_of_grown(-x)),
    smooth(ops.softsign, lambda x: np.where(np.isinf(x), np.sign(x), x / (1 + np.abs(x)))),
    bent(ops.hardswish, lambda x: np.where(x <= -3, 0, x * hard_gate(x)), -3, 3),
    bent(ops.hardsigmoid, hard_gate, -3, 3),
    bent(ops.LeakyRelu(0.25), lambda x: np.where(x < 0, x / 4, x), 0),
    smooth(ops.Elu(1.5), lambda x: elu(x, 1.5)),
    smooth(ops.Elu(ALPHA, SCALE), lambda x: elu(x, ALPHA, SCALE), label="selu"),
    smooth(ops.Elu(2.0, 1.0, 0.5), lambda x: elu(x, 2, 1, 0.5), label="celu"),
    smooth(ops.Softplus(), log_of_grown),
    smooth(
        ops.Softplus(2.0, 3.0),
        lambda x: np.where(2 * x > 3, x, log_of_grown(2 * x) / 2),
        label="steep",
    ),
    bent(ops.Hardtanh(), lambda x: np.clip(x, -1, 1), -1, 1),
    bent(ops.Softshrink(0.5), lambda x: x - np.clip(x, -0.5, 0.5), -0.5, 0.5),
    bent(ops.Hardshrink(0.5), lambda x: np.where(np.abs(x) <= 0.5, 0, x), -0.5, 0.5),
    bent(ops.Threshold(0.5, -2), lambda x: np.where(x <= 0.5, -2, x), 0.5),
]
