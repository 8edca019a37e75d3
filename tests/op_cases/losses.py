"""Losses that are ops of their own, and what labels pick and spread."""

from typing import Any

import numpy as np

from lamina.ops.indices.labels import PickLabel, SpreadLabel
from lamina.ops.objectives.cross_entropy import CrossEntropy, CrossEntropyGradient
from lamina.ops.objectives.ctc import CTC, CTCCurvature, CTCGradient
from lamina.ops.objectives.losses import binary_entropy

from .case import ALL, Case
from .drawing import fixed, normal, uniform, whole

SCORES, LABELS = normal(6, 4), whole(0, 4, 6)
IMAGES, PIXELS = normal(2, 3, 4), whole(0, 3, 2, 4)
SUMMED: dict[str, Any] = {"ulp": 4, "scale": 4.0, "why": "a sum over samples"}
ALIGNED: dict[str, Any] = {"ulp": 8, "scale": 1.0, "why": "float64 inside: that of exp and log"}
CLOSE: dict[str, Any] = {"ulp": 6, "scale": 4.0, "why": "exp, a sum over classes, log"}


def one_hot(labels: Any, classes: int, ignored: int | None = None) -> Any:
    """1 at the label along a new axis 1, nothing where it is ignored."""
    found = np.expand_dims(labels, 1) == np.arange(classes).reshape(-1, *(1,) * (labels.ndim - 1))
    return found & (True if ignored is None else np.expand_dims(labels != ignored, 1))


def share(labels: Any, over: str, ignored: int | None = None) -> Any:
    """What each sample weighs."""
    return np.longdouble(1) / (labels != ignored).sum() if over == "mean" else np.longdouble(1)


def picked(scores: Any, labels: Any, over: str = "none", ignored: int | None = None) -> Any:
    found = np.where(one_hot(labels, scores.shape[1], ignored), scores, 0).sum(1)
    if over == "none":
        return found.astype(scores.dtype)
    return found.sum() * share(labels, over, ignored)


def spread(
    values: Any, labels: Any, classes: int, over: str = "none", ignored: int | None = None
) -> Any:
    hot = one_hot(labels, classes, ignored)
    if over == "none":
        return hot * np.expand_dims(values, 1)
    return hot * (values * share(labels, over, ignored))


def log_softmax(scores: Any) -> Any:
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


def slope(
    grad: Any, scores: Any, labels: Any, over: str = "none", ignored: int | None = None
) -> Any:
    """(softmax − one-hot) by the gradient, 0 for the ignored."""
    kept = np.expand_dims(labels != ignored, 1) * share(labels, over, ignored)
    grads = np.expand_dims(grad, 1) if over == "none" else grad
    return (np.exp(log_softmax(scores)) - one_hot(labels, scores.shape[1])) * kept * grads


# Two sequences of 4 and 3 times over 3 classes, of which 0 is the blank; two labels, and one.
TARGETS = fixed([[1, 1], [2, 7]], "int64")
HEARD, SAID = fixed([4, 3], "int32"), fixed([2, 1], "int64")
SPOKEN = normal(4, 2, 3)


def paths(target: tuple[int, ...], times: int) -> Any:
    """Every way to say `target` in so many times, by trying all there are: (path, time)."""

    def said(path: tuple[int, ...]) -> tuple[int, ...]:
        merged = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
        return tuple(c for c in merged if c)

    return np.array([path for path in np.ndindex(*(3,) * times) if said(path) == target])


def weighed_paths(log_probs: Any, targets: Any, heard: Any, said: Any) -> Any:
    """For each sequence: which class each path emits when (path, time, class), and path weights."""
    for n, (times, length) in enumerate(zip(heard, said, strict=True)):
        found = paths(tuple(targets[n, :length].tolist()), int(times))
        emits = np.zeros((len(found), len(log_probs), 3))
        np.put_along_axis(emits[:, :times], found[:, :, None], 1.0, 2)
        yield emits, np.exp((emits * log_probs[:, n]).sum((1, 2)))


def ctc(*inputs: Any) -> Any:
    return np.stack([-np.log(weights.sum()) for _, weights in weighed_paths(*inputs)])


def ctc_gradient(*inputs: Any) -> Any:
    each = [-np.tensordot(w / w.sum(), emits, 1) for emits, w in weighed_paths(*inputs)]
    return np.stack(each, 1)


def ctc_curvature(log_probs: Any, moved: Any, *rest: Any) -> Any:
    each = []
    for n, (emits, weights) in enumerate(weighed_paths(log_probs, *rest)):
        chances = weights / weights.sum()
        gains = (emits * moved[:, n]).sum((1, 2))
        each.append(-np.tensordot(chances * (gains - chances @ gains), emits, 1))
    return np.stack(each, 1)


CASES = [
    Case(PickLabel(1), (SCORES, LABELS), picked, dtypes=ALL),
    Case(
        PickLabel(1, 2),
        (IMAGES, PIXELS),
        lambda x, y: picked(x, y, ignored=2),
        label="of images",
    ),
    Case(
        PickLabel(1, None, "sum"),
        (SCORES, LABELS),
        lambda x, y: picked(x, y, "sum"),
        label="summed",
        **SUMMED,
    ),
    Case(
        PickLabel(1, 1, "mean"),
        (SCORES, fixed([0, 1, 3, 1, 2, 2], "uint8")),
        lambda x, y: picked(x, y, "mean", 1),
        label="averaged",
        **SUMMED,
    ),
    Case(
        SpreadLabel(1, 3),
        (normal(2, 4), PIXELS),
        lambda v, y: spread(v, y, 3),
        dtypes=ALL,
    ),
    Case(
        SpreadLabel(1, 4, 1, "mean"),
        (normal(), fixed([0, 1, 3, 1, 2, 2], "int64")),
        lambda v, y: spread(v, y, 4, "mean", 1),
        label="averaged",
        ulp=1,
        half_ulp=1.5,
        why="divided, then rounded",
        repeatable=False,
    ),
    Case(
        CrossEntropy(1),
        (SCORES, LABELS),
        lambda x, y: -picked(log_softmax(x), y),
        **CLOSE,
    ),
    Case(
        CrossEntropy(1, 2, "mean"),
        (IMAGES, fixed([[0, 1, 2, 2], [1, 1, 0, 2]], "int64")),
        lambda x, y: -picked(log_softmax(x), y, "mean", 2),
        label="of images",
        **CLOSE,
    ),
    Case(
        CrossEntropyGradient(1),
        (normal(6), SCORES, LABELS),
        slope,
        **CLOSE,
    ),
    Case(
        CrossEntropyGradient(1, 2, "mean"),
        (normal(), IMAGES, fixed([[0, 1, 2, 2], [1, 1, 0, 2]], "int64")),
        lambda g, x, y: slope(g, x, y, "mean", 2),
        label="of images",
        **CLOSE,
    ),
    Case(
        binary_entropy,
        (uniform(0.1, 0.9), uniform(0, 1)),
        lambda p, y: -(y * np.log(p) + (1 - y) * np.log1p(-p)),
        ulp=4,
        why="two logarithms, weighed and added",
        special=False,
    ),
    Case(CTC(0), (SPOKEN, TARGETS, HEARD, SAID), ctc, **ALIGNED),
    Case(
        CTCGradient(0),
        (SPOKEN, TARGETS, HEARD, SAID),
        ctc_gradient,
        order=1,
        why_order="its second derivative is the third of the loss: it raises GradientError",
        **ALIGNED,
    ),
    Case(
        CTCCurvature(0),
        (SPOKEN, normal(4, 2, 3), TARGETS, HEARD, SAID),
        ctc_curvature,
        order=0,
        why_order="its first derivative is the third of the loss: it raises GradientError",
        **ALIGNED,
    ),
]
