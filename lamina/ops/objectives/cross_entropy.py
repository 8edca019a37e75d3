"""Softmax and the logarithm of a label's share as one op, and its gradient as another."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina.errors import DTypeError
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.halves import widened
from lamina.ops.indices import places as at
from lamina.ops.indices.gathering import Placing
from lamina.ops.indices.labels import Over, PickLabel, checked_labels, spec_of_picked
from lamina.ops.layers.softmax import softmax
from lamina.ops.registry import Value, define, require


@define
@final
@dataclass(frozen=True, slots=True)
class CrossEntropy(Placing):
    """−log softmax(scores) at the label, folded `over` the samples as pick_label folds.

    Does what log_softmax, pick_label and negative do, and keeps the scores alone for its gradient.
    """

    name = "cross_entropy"
    axis: int
    ignored: int | None = None
    over: Over = "none"

    @property
    def picked(self) -> PickLabel:
        """The op that takes and folds the labels' scores."""
        return PickLabel(self.axis, self.ignored, self.over)

    def infer(self, *inputs: Spec) -> Spec:
        scores, labels = inputs
        require(
            scores.dtype.is_floating_point,
            self,
            DTypeError,
            f"scores of {scores.dtype.name} given; expected floats: convert them with .to()",
        )
        return spec_of_picked(self, self.axis, self.over, scores, labels)

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        scores, labels = inputs
        axis = self.axis
        places, skipped = checked_labels(labels, scores.shape[axis], self.ignored)
        shifted = _below_the_greatest(scores, axis)
        own = np.empty(labels.shape, shifted.dtype)
        at.read_along(own, shifted, axis, np.expand_dims(places, axis))
        loss = np.log(np.exp(shifted, out=shifted).sum(axis)) - own
        if skipped is not None:
            loss[skipped] = 0
        if self.over == "none":
            out[...] = loss
        else:
            out[...] = loss.sum() * self.picked.share(labels, skipped)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (CrossEntropyGradient(self.axis, self.ignored, self.over)(grad, *inputs), None)


@define
@final
@dataclass(frozen=True, slots=True)
class CrossEntropyGradient(Placing):
    """(softmax(scores) − 1 at the label) times the gradient of the loss."""

    name = "cross_entropy_gradient"
    axis: int
    ignored: int | None = None
    over: Over = "none"

    @property
    def picked(self) -> PickLabel:
        """The op that takes and folds the labels' scores."""
        return PickLabel(self.axis, self.ignored, self.over)

    def infer(self, *inputs: Spec) -> Spec:
        return inputs[1]

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        grad, scores, labels = inputs
        axis = self.axis
        places, skipped = checked_labels(labels, scores.shape[axis], self.ignored)
        weight = np.broadcast_to(widened(grad) * self.picked.share(labels, skipped), labels.shape)
        if skipped is not None:
            weight = np.where(skipped, 0, weight)
        shifted = _below_the_greatest(scores, axis)
        np.exp(shifted, out=shifted)
        shifted *= np.expand_dims(weight / shifted.sum(axis), axis)
        spots = at.along(np.expand_dims(places, axis), axis, scores.shape)
        shifted.reshape(-1)[spots.reshape(-1)] -= weight.reshape(-1)
        out[...] = shifted

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        weight, scores, labels = inputs
        axis = self.axis
        shares = softmax(scores, axis)
        drift = grad - (grad * shares).sum(axis=axis, keepdims=True)

        def by_scores() -> Value:
            spread = self.picked.spread(scores.shape[axis])(weight, labels)
            return spread.sum(axis=axis, keepdims=True) * shares * drift

        return (lambda: -self.picked(drift, labels), by_scores, None)


def _below_the_greatest(scores: NDArray, axis: int) -> NDArray:
    """Return the scores less the greatest of each sample, which is 0 then; 16-bit ones widened."""
    wide = widened(scores)
    if not wide.size:
        return wide
    return np.subtract(wide, wide.max(axis, keepdims=True), order="C")
