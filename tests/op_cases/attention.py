"""Attention, and its gradient."""

from typing import Any

import numpy as np

from lamina.ops.layers.tiled_attention import Attention, AttentionGradient

from .case import Case
from .drawing import Draw, normal, uniform

WHY = "two sums of at most 8 products, the exponential of the first"
SCALE = 0.4
SEEN = np.array([[True, True, False, True], [False, True, True, False], [True, False, False, True]])
LABELS = {"plain": False, "causal": True, "masked": False, "added": True}


def hidden(scores: Any, label: str, mask: Any) -> Any:
    """Return scores with the mask, −∞ where a key is not seen."""
    if LABELS[label]:
        scores = np.where(np.tri(*scores.shape[-2:]) > 0, scores, -np.inf)
    if label == "masked":
        return np.where(mask[0], scores, -np.inf)
    return scores + mask[0] if mask else scores


def attention(label: str) -> Any:
    def oracle(query: Any, key: Any, value: Any, *mask: Any) -> Any:
        scores = hidden(query @ key.swapaxes(-1, -2) * SCALE, label, mask)
        weights = np.exp(scores)
        total = weights.sum(axis=-1, keepdims=True)
        with np.errstate(divide="ignore"):
            sums = np.log(total)[..., 0]
        return weights / np.where(total == 0, 1, total) @ value, sums

    return oracle


def gradient(label: str) -> Any:
    def oracle(
        grad: Any, by_sums: Any, query: Any, key: Any, value: Any, out: Any, sums: Any, *mask: Any
    ) -> Any:
        scores = hidden(query @ key.swapaxes(-1, -2) * SCALE, label, mask)
        weights = np.exp(scores - sums[..., None])
        share = (grad * out).sum(axis=-1) - by_sums
        slopes = weights * (grad @ value.swapaxes(-1, -2) - share[..., None]) * SCALE
        return slopes @ key, slopes.swapaxes(-1, -2) @ query, weights.swapaxes(-1, -2) @ grad

    return oracle


def masks(label: str) -> tuple[Any, ...]:
    if label == "masked":
        return (Draw(SEEN.shape, lambda rng, shape: SEEN, dtype="bool"),)
    return (normal(3, 4),) if label == "added" else ()


def forward(label: str) -> Case:
    operands = (normal(2, 3, 5), normal(2, 4, 5), normal(2, 4, 2))
    op = Attention(SCALE, LABELS[label])
    inputs = (*operands, *masks(label))
    return Case(op, inputs, attention(label), ulp=12, why=WHY, scale=2, label=label, half_ulp=0.7)


def backward(label: str) -> Case:
    operands = (normal(2, 3, 5), normal(2, 4, 5), normal(2, 4, 2))
    made = (normal(2, 3, 2), uniform(1.0, 2.0, 2, 3))
    inputs = (normal(2, 3, 2), normal(2, 3), *operands, *made, *masks(label))
    op = AttentionGradient(SCALE, LABELS[label])
    return Case(op, inputs, gradient(label), ulp=24, why=WHY, scale=4, label=label, half_ulp=0.7)


CASES = [make(label) for make in (forward, backward) for label in LABELS]
