"""Ops that class labels drive: the score of each label, and its transpose."""

import math
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from lamina import dtypes
from lamina.errors import ArgumentError, DTypeError, LabelError, ShapeError
from lamina.layout import Shape
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.halves import widened
from lamina.ops.indices import places as at
from lamina.ops.indices.gathering import Placing
from lamina.ops.indices.selection import as_places
from lamina.ops.registry import Op, Operand, Value, define, require

Over = Literal["none", "sum", "mean"]


@define
@final
@dataclass(frozen=True, slots=True)
class PickLabel(Placing):
    """Of the scores along an axis the one that the label names; 0 where the label is `ignored`.

    `over` the samples they stay apart, or their sum or mean is taken; the mean is over the samples
    that are not ignored.
    """

    name = "pick_label"
    saves = (1,)
    axis: int
    ignored: int | None = None
    over: Over = "none"

    def infer(self, *inputs: Spec) -> Spec:
        return spec_of_picked(self, self.axis, self.over, *inputs)

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        scores, labels = inputs
        places, skipped = checked_labels(labels, scores.shape[self.axis], self.ignored)
        picked = out if self.over == "none" else np.empty(labels.shape, scores.dtype)
        at.read_along(picked, scores, self.axis, np.expand_dims(places, self.axis))
        if skipped is not None:
            picked[skipped] = 0
        if self.over != "none":
            out[...] = widened(picked).sum() * self.share(labels, skipped)

    def share(self, labels: NDArray, skipped: NDArray | None) -> float:
        """Return what each sample weighs in the result; NaN where a mean has none."""
        if self.over != "mean":
            return 1.0
        count = labels.size - (0 if skipped is None else int(skipped.sum()))
        return 1.0 / count if count else math.nan

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        scores, labels = inputs
        return (self.spread(scores.shape[self.axis])(grad, labels), None)

    def spread(self, classes: int) -> "SpreadLabel":
        """Return the transpose of this op for scores of so many classes."""
        return SpreadLabel(self.axis, classes, self.ignored, self.over)


@define
@final
@dataclass(frozen=True, slots=True)
class SpreadLabel(Placing):
    """Each value at the place of its label along a new axis of `classes`, zeros elsewhere.

    The transpose of `pick_label`: where that folds the samples, one value is shared by them.
    """

    name = "spread_label"
    saves = (1,)
    axis: int
    classes: int
    ignored: int | None = None
    over: Over = "none"

    @property
    def picked(self) -> PickLabel:
        """The op of which this is the transpose."""
        return PickLabel(self.axis, self.ignored, self.over)

    def infer(self, *inputs: Spec) -> Spec:
        values, labels = inputs
        axis = self.axis
        if self.over == "none":
            _check_labels(self, labels, values.shape, "there is one value for each label")
        return Spec((*labels.shape[:axis], self.classes, *labels.shape[axis:]), values.dtype)

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        values, labels = inputs
        axis = self.axis
        places, skipped = checked_labels(labels, self.classes, self.ignored)
        spots = at.along(np.expand_dims(places, axis), axis, out.shape).reshape(-1)
        given = np.broadcast_to(values, labels.shape).reshape(-1)
        if skipped is not None:
            kept = ~skipped.reshape(-1)
            spots, given = spots[kept], given[kept]
        out[...] = 0
        share = self.picked.share(labels, skipped)
        out.reshape(-1)[spots] = given if share == 1.0 else given * share

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (self.picked(grad, inputs[1]), None)


def spec_of_picked(op: Op, axis: int, over: Over, scores: Spec, labels: Spec) -> Spec:
    """Return shape and dtype of one score a label; errors in the labels are those of `op`."""
    shape = (*scores.shape[:axis], *scores.shape[axis + 1 :])
    _check_labels(op, labels, shape, f"the classes of {scores.shape} are axis {axis}")
    return Spec(shape if over == "none" else (), scores.dtype)


def _check_labels(op: Op, labels: Spec, expected: Shape, because: str) -> None:
    require(
        labels.dtype.is_integer,
        op,
        DTypeError,
        f"labels of {labels.dtype.name} given; expected integers: convert them with .to('int64')",
    )
    require(
        labels.shape == expected,
        op,
        ShapeError,
        f"labels of shape {labels.shape} given; expected {expected}, as {because}",
    )


def checked_labels(
    labels: NDArray, classes: int, ignored: int | None
) -> tuple[NDArray, NDArray | None]:
    """Return labels that all lie in the classes, and where they stand for ones to be left out.

    LabelError for a label that is neither a class nor `ignored`.
    """
    if not labels.size:
        return labels.astype(np.intp), None
    inside = labels.min() >= 0 and labels.max() < classes
    if inside and (ignored is None or not 0 <= ignored < classes):
        return labels.astype(np.intp, copy=False), None
    skipped = np.zeros(labels.shape, bool) if ignored is None else labels == ignored
    wrong = ~skipped & ((labels < 0) | (labels >= classes))
    if wrong.any():
        position = tuple(np.argwhere(wrong)[0].tolist())
        raise LabelError(
            f"label {labels[position]} at position {position} is outside the {classes} classes, "
            f"0 to {classes - 1}; correct it, or give it as ignore_index to leave it out"
        )
    return np.where(skipped, 0, labels).astype(np.intp), skipped


def checked_reduction(reduction: str) -> Over:
    """Return `reduction` if it is one; ArgumentError otherwise."""
    match reduction:
        case "none" | "sum" | "mean":
            return reduction
    raise ArgumentError(f"reduction {reduction!r} given; expected 'mean', 'sum' or 'none'")


def as_labels(labels: Any, like: Value) -> Value:
    """Return labels as a tensor: sequences and arrays too, beside a tensor `like`."""
    if isinstance(labels, Operand):
        return labels
    return like.new_tensor(as_places(labels), dtype=dtypes.int64)


def one_hot(labels: Value, num_classes: int = -1) -> Value:
    """Return 1 (int64) at the place of each label along a new last axis, 0 elsewhere.

    (…) labels give (…, num_classes); −1 stands for the greatest label plus 1. LabelError for a
    label outside the classes.

    >>> import lamina
    >>> one_hot(lamina.tensor([2, 0]))
    Tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    if num_classes == -1:
        found = np.asarray(labels)
        if not found.size:
            raise ArgumentError("one_hot of no labels: give num_classes")
        num_classes = int(found.max()) + 1
    if num_classes < 1:
        raise ArgumentError(f"one_hot: {num_classes} classes given; expected at least 1")
    ones = labels.new_ones(labels.shape, dtype=dtypes.int64)
    return SpreadLabel(len(labels.shape), num_classes)(ones, labels)
