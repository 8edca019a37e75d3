"""How a classifier does, class by class."""

from dataclasses import dataclass

import numpy as np

from lamina.errors import LabelError, ShapeError
from lamina.tensor import Tensor, from_numpy


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Figures of one class: precision tp/(tp+fp), recall tp/(tp+fn), their harmonic mean F₁."""

    label: int
    count: int
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def confusion_matrix(predictions: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Return counts (classes, classes): row the true class, column the predicted one.

    LabelError where a label is outside 0 … classes − 1.

    >>> confusion_matrix(Tensor([0, 1, 1]), Tensor([0, 0, 1]), 2)
    Tensor([[1, 1],
            [0, 1]])
    """
    guessed, true = predictions.numpy(), targets.numpy()
    if guessed.shape != true.shape or guessed.ndim != 1:
        raise ShapeError(
            f"predictions of shape {guessed.shape} for targets of shape {true.shape}; "
            "expected one label a sample in each"
        )
    for name, labels in (("prediction", guessed), ("target", true)):
        outside = labels[(labels < 0) | (labels >= classes)]
        if outside.size:
            raise LabelError(f"{name} {outside[0]} is outside the classes 0 to {classes - 1}")
    counts = np.bincount(true * classes + guessed, minlength=classes * classes)
    return from_numpy(counts.reshape(classes, classes).astype(np.int64))


def class_scores(confusion: Tensor) -> list[ClassScore]:
    """Return precision and recall of every class from a confusion matrix; 0 where undefined."""
    counts = confusion.numpy()
    hits = np.diagonal(counts)
    predicted, actual = counts.sum(axis=0), counts.sum(axis=1)
    return [
        ClassScore(
            label=c,
            count=int(actual[c]),
            precision=float(hits[c] / predicted[c]) if predicted[c] else 0.0,
            recall=float(hits[c] / actual[c]) if actual[c] else 0.0,
        )
        for c in range(len(counts))
    ]
