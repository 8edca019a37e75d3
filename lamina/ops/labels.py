"""Ops that class labels drive: the score of each label, and its transpose."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina import dtypes
from lamina.errors import ArgumentError, DTypeError, LabelError, ShapeError
from lamina.layout import Shape
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops import places as at
from lamina.ops.gathering import Placing
from lamina.ops.registry import Op, Value, define, require
from lamina.ops.selection import as_places


@define
@final
@dataclass(frozen=True, slots=True)
class PickLabel(Placing):
    """Of the scores along an axis the one that the label names; 0 where the label is `ignored`."""

    name = "pick_label"
    saves = (1,)
    axis: int
    ignored: int | None = None

    def infer(self, *inputs: Spec) -> Spec:
        scores, labels = inputs
        expected = _without(scores.shape, self.axis)
        _check_labels(
            self, labels, expected, f"the classes of {scores.shape} lie along axis {self.axis}"
        )
        return Spec(expected, scores.dtype)

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        scores, labels = inputs
        places, skipped = counted(labels, scores.shape[self.axis], self.ignored)
        at.read_along(out, scores, self.axis, np.expand_dims(places, self.axis))
        if skipped is not None:
            out[skipped] = 0

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        scores, labels = inputs
        return (SpreadLabel(self.axis, scores.shape[self.axis], self.ignored)(grad, labels), None)


@define
@final
@dataclass(frozen=True, slots=True)
class SpreadLabel(Placing):
    """Each value at the place of its label along a new axis of `classes`, zeros elsewhere."""

    name = "spread_label"
    saves = (1,)
    axis: int
    classes: int
    ignored: int | None = None

    def infer(self, *inputs: Spec) -> Spec:
        values, labels = inputs
        _check_labels(self, labels, values.shape, "there is one value for each label")
        shape = (*values.shape[: self.axis], self.classes, *values.shape[self.axis :])
        return Spec(shape, values.dtype)

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        values, labels = inputs
        places, skipped = counted(labels, self.classes, self.ignored)
        spots = at.along(np.expand_dims(places, self.axis), self.axis, out.shape)
        out[...] = 0
        given = values if skipped is None else np.where(skipped, np.zeros((), values.dtype), values)
        out.reshape(-1)[spots.reshape(-1)] = given.reshape(-1)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (PickLabel(self.axis, self.ignored)(grad, inputs[1]), None)


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])


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


def counted(labels: NDArray, classes: int, ignored: int | None) -> tuple[NDArray, NDArray | None]:
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


def one_hot(labels: Any, num_classes: int = -1) -> Value:
    """Return 1 (int64) at the place of each label along a new last axis, 0 elsewhere.

    (…) labels give (…, num_classes); −1 stands for the greatest label plus 1. LabelError for a
    label outside the classes.

    >>> import lamina
    >>> one_hot(lamina.tensor([2, 0]))
    Tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    labels = as_places(labels)
    if num_classes == -1:
        found = np.asarray(labels)
        if not found.size:
            raise ArgumentError("one_hot of no labels: give num_classes")
        num_classes = int(found.max()) + 1
    if num_classes < 1:
        raise ArgumentError(f"one_hot: {num_classes} classes given; expected at least 1")
    ones = labels.new_ones(labels.shape, dtype=dtypes.int64)
    return SpreadLabel(len(labels.shape), num_classes)(ones, labels)
