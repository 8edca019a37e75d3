"""Activations, from their formulas in extended precision."""

import math

import numpy as np

from lamina.ops import activations as ops

from .case import Case
from .drawing import away, uniform

WIDE = uniform(-6, 6)
LOOPS = "exp and a few roundings"
GATED = "a gate near 0 is the difference of two numbers near 1"


def logistic(x: object) -> object:
    return 1 / (1 + np.exp(-x))


def softplus(x: object) -> object:
    return np.log1p(np.exp(x))


def density(x: object) -> object:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def normal_share(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def at_infinity(formula: object, lowest: float) -> object:
    """The limit at −∞, where a formula says −∞·0."""

    def limited(x: object) -> object:
        return np.where(x == -np.inf, lowest, formula(x))

    return limited


CASES = [
    Case(ops.relu, (away(0.0),), lambda x: np.where(x < 0, 0, x), signed_zeros=False),
]
