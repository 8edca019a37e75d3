"""Softmax and the logarithm of a label's share as one op, and its gradient as another."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina.codegen.target import compiles_here
from lamina.errors import DTypeError
from lamina.kernels.reduction.folds import computed_dtype
from lamina.kernels.softmax import log_total_program, softmax_program
from lamina.memory import Array, Spec
from lamina.memory.array import NDArray, scratch
from lamina.ops.halves import widened
from lamina.ops.indices import places as at
from lamina.ops.indices.gathering import Placing
from lamina.ops.indices.labels import Over, PickLabel, checked_labels, spec_of_picked
from lamina.ops.layers.softmax import softmax
from lamina.ops.objectives.label_rows import LabelRows, fits, unmoved
from lamina.ops.programmed import run_on
from lamina.ops.reductions.folding import reduced_shape
from lamina.ops.registry import Arrays, Value, define, require


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

    def run(self, *inputs: Array) -> Arrays:
        scores, labels = inputs
        expected = self.infer(scores.spec, labels.spec)
        if not compiles_here() or not fits(scores.spec):
            return Placing.run(self, *inputs)
        _check_present(labels, scores.shape[self.axis], self.ignored)
        rows = LabelRows.of(scores, labels, self.axis, self.ignored)
        return rows.folded(self.over, expected.shape)

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        scores, labels = inputs
        axis = self.axis
        places, skipped = checked_labels(labels, scores.shape[axis], self.ignored)
        own = np.empty(labels.shape, scores.dtype)
        at.read_along(own, scores, axis, np.expand_dims(places, axis))
        greatest, log_total = _log_totals(scores, axis)
        loss = log_total - (widened(own) - greatest)
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

    def run(self, *inputs: Array) -> Arrays:
        grad, scores, labels = inputs
        if not compiles_here() or not fits(scores.spec):
            return Placing.run(self, *inputs)
        _check_present(labels, scores.shape[self.axis], self.ignored)
        rows = LabelRows.of(scores, labels, self.axis, self.ignored)
        return unmoved(rows.gradient(grad, self.over), scores.spec, self.axis)

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        grad, scores, labels = inputs
        axis = self.axis
        places, skipped = checked_labels(labels, scores.shape[axis], self.ignored)
        weight = np.broadcast_to(widened(grad) * self.picked.share(labels, skipped), labels.shape)
        if skipped is not None:
            weight = np.where(skipped, 0, weight)
        shares = _scaled_softmax(widened(scores), axis, np.expand_dims(weight, axis))
        spots = at.along(np.expand_dims(places, axis), axis, scores.shape)
        shares.reshape(-1)[spots.reshape(-1)] -= weight.reshape(-1)
        out[...] = shares

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        weight, scores, labels = inputs
        axis = self.axis
        shares = softmax(scores, axis)
        drift = grad - (grad * shares).sum(axis=axis, keepdims=True)

        def by_scores() -> Value:
            spread = self.picked.spread(scores.shape[axis])(weight, labels)
            return spread.sum(axis=axis, keepdims=True) * shares * drift

        return (lambda: -self.picked(drift, labels), by_scores, None)


def _check_present(labels: Array, classes: int, ignored: int | None) -> None:
    """Raise LabelError for a label that is no class; in a program such a row gives NaN."""
    if labels.storage.is_present:
        checked_labels(labels.numpy(), classes, ignored)


def _log_totals(scores: NDArray, axis: int) -> tuple[NDArray, NDArray]:
    """Return the greatest score of each sample, and log Σ e^(score − greatest)."""
    if compiles_here() and scores.size:
        dtype = computed_dtype(scores.dtype.name)
        shape = reduced_shape(scores.shape, (axis,), False)
        found = scratch(shape, dtype), scratch(shape, dtype)
        run_on(log_total_program(scores.dtype.name), found, (scores,), axis)
        return found
    wide = widened(scores)
    greatest = wide.max(axis, initial=-np.inf)
    apart = np.subtract(wide, np.expand_dims(greatest, axis))
    return greatest, np.log(np.exp(apart, out=apart).sum(axis))


def _scaled_softmax(scores: NDArray, axis: int, scale: NDArray) -> NDArray:
    """Return softmax(scores) · scale in C order."""
    out = scratch(scores.shape, scores.dtype)
    if compiles_here() and scores.size:
        program = softmax_program(scores.dtype.name, empty_is_zero=False, is_scaled=True)
        given = (np.ascontiguousarray(scores), np.ascontiguousarray(scale, scores.dtype), out)
        run_on(program, (out,), given, axis)
    elif scores.size:
        np.exp(scores - scores.max(axis, keepdims=True), out=out)
        out *= scale / out.sum(axis, keepdims=True)
    return out
