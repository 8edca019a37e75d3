"""Losses, with PyTorch's names, arguments and means.

`reduction` says what becomes of the losses of the elements or samples: "mean", "sum" or "none".
"""

import math
from typing import Any

import numpy as np

from lamina.errors import ArgumentError, ShapeError
from lamina.memory.array import NDArray
from lamina.ops.elementwise.activations import logsigmoid
from lamina.ops.elementwise.arithmetic import absolute, equal, maximum, minimum, not_equal, where
from lamina.ops.elementwise.functions import clip, exp, log, log1p, sqrt, square
from lamina.ops.halves import widened
from lamina.ops.indices.gathering import ArrayIndex
from lamina.ops.indices.labels import PickLabel, as_labels, checked_reduction, one_hot
from lamina.ops.layers.softmax import log_softmax
from lamina.ops.objectives.cross_entropy import CrossEntropy
from lamina.ops.objectives.distances import pairwise_distance
from lamina.ops.pointwise import Elementwise, unbroadcast
from lamina.ops.registry import Value, define
from lamina.ops.shapes.movement import expand_dims


def _reduced(loss: Value, reduction: str) -> Value:
    match checked_reduction(reduction):
        case "mean":
            return loss.mean()
        case "sum":
            return loss.sum()
        case "none":
            return loss


def _same_shape(name: str, input: Value, target: Value) -> None:
    if tuple(input.shape) != tuple(target.shape):
        raise ShapeError(
            f"{name}: input of shape {tuple(input.shape)} and target of shape "
            f"{tuple(target.shape)} given; expected equal shapes: reshape or expand one of them"
        )


def mse_loss(input: Value, target: Value, *, reduction: str = "mean") -> Value:
    """Return (input − target)².

    >>> import lamina
    >>> mse_loss(lamina.tensor([1.0, 3.0]), lamina.tensor([1.0, 1.0]))
    Tensor(2.)
    """
    _same_shape("mse_loss", input, target)
    return _reduced(square(input - target), reduction)


def l1_loss(input: Value, target: Value, *, reduction: str = "mean") -> Value:
    """Return |input − target|."""
    _same_shape("l1_loss", input, target)
    return _reduced(absolute(input - target), reduction)


def huber_loss(
    input: Value, target: Value, *, reduction: str = "mean", delta: float = 1.0
) -> Value:
    """Return d²/2 where d = |input − target| is below `delta`, and delta·(d − delta/2) beyond.

    >>> import lamina
    >>> huber_loss(lamina.tensor([0.5, 3.0]), lamina.zeros(2), reduction="none")
    Tensor([0.125, 2.5  ])
    """
    _same_shape("huber_loss", input, target)
    if not delta > 0:
        raise ArgumentError(f"huber_loss: delta {delta} given; expected more than 0")
    d = absolute(input - target)
    return _reduced(where(d < delta, square(d) * 0.5, (d - delta / 2) * delta), reduction)


def smooth_l1_loss(
    input: Value, target: Value, *, reduction: str = "mean", beta: float = 1.0
) -> Value:
    """Return d²/(2·beta) where d = |input − target| is below `beta`, and d − beta/2 beyond."""
    _same_shape("smooth_l1_loss", input, target)
    if beta < 0:
        raise ArgumentError(f"smooth_l1_loss: beta {beta} given; expected 0 or more")
    d = absolute(input - target)
    if beta == 0:
        return _reduced(d, reduction)
    return _reduced(where(d < beta, square(d) * (0.5 / beta), d - beta / 2), reduction)


def cross_entropy(
    input: Value,
    target: Any,
    weight: Value | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Value:
    """Return −Σ_c weight_c·q_c·log softmax(input)_c, with q the target distribution.

    `input` is (class,) or (sample, class, …) scores. `target` holds labels, of the shape of `input`
    without classes, or probabilities, of its shape. The distribution is mixed with the uniform one
    by the share `label_smoothing`. "mean" divides by the weights of the labels that count; of
    probabilities, by the samples. LabelError for a label outside the classes.

    >>> import lamina
    >>> cross_entropy(lamina.tensor([[0.0, 0.0], [9.0, -9.0]]), lamina.tensor([1, 0]))
    Tensor(0.3466)
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(f"cross_entropy: label_smoothing {label_smoothing} is not in 0 to 1")
    axis = _class_axis(input)
    target = as_labels(target, input)
    if weight is None and label_smoothing == 0.0 and target.dtype.kind != "float":
        return CrossEntropy(axis, ignore_index, checked_reduction(reduction))(input, target)
    log_probs = log_softmax(input, axis)
    if target.dtype.kind == "float":
        return _probability_loss(log_probs, target, weight, reduction, label_smoothing)
    loss = nll_loss(log_probs, target, weight, ignore_index=ignore_index, reduction=reduction)
    if label_smoothing == 0.0:
        return loss
    flat = _smoothing_loss(log_probs, target, weight, ignore_index, reduction)
    return loss * (1.0 - label_smoothing) + flat * (label_smoothing / input.shape[axis])


def _class_axis(scores: Value) -> int:
    if not scores.shape:
        raise ShapeError("class scores of shape () given; expected (class,) or (sample, class, …)")
    return min(1, len(scores.shape) - 1)


def _per_class(weight: Value, scores: Value) -> Value:
    """Return class weights in the shape that broadcasts to the scores."""
    axis = _class_axis(scores)
    classes = scores.shape[axis]
    if weight.shape != (classes,):
        raise ShapeError(
            f"weight of shape {weight.shape} given for {classes} classes; expected ({classes},)"
        )
    return weight.reshape((classes,) + (1,) * (len(scores.shape) - axis - 1))


def _probability_loss(
    log_probs: Value, target: Value, weight: Value | None, reduction: str, smoothing: float
) -> Value:
    _same_shape("cross_entropy", log_probs, target)
    axis = _class_axis(log_probs)
    if smoothing:
        target = target * (1.0 - smoothing) + smoothing / log_probs.shape[axis]
    weighted = log_probs if weight is None else log_probs * _per_class(weight, log_probs)
    loss = -(weighted * target).sum(axis=axis)
    return _reduced(loss, reduction)


def _smoothing_loss(
    log_probs: Value, labels: Value, weight: Value | None, ignored: int, reduction: str
) -> Value:
    """Return −Σ_c weight_c·log p_c of the samples that count."""
    weighted = log_probs if weight is None else log_probs * _per_class(weight, log_probs)
    loss = -weighted.sum(axis=_class_axis(log_probs))
    loss = where(equal(labels, ignored), 0.0, loss)
    if reduction == "mean":
        return loss.sum() / _label_weights(labels, weight, ignored).sum()
    return _reduced(loss, reduction)


def nll_loss(
    input: Value,
    target: Any,
    weight: Value | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Value:
    """Return −weight·input at the label of each sample, 0 where the label is `ignore_index`.

    `input` is (class,) or (sample, class, …) log-probabilities, `target` labels of that shape
    without classes. "mean" divides by the weights of the labels that count. LabelError for a label
    outside the classes.

    >>> import lamina
    >>> nll_loss(lamina.tensor([[-1.0, -2.0], [-3.0, -4.0]]), lamina.tensor([0, -100]))
    Tensor(1.)
    """
    labels, axis = as_labels(target, input), _class_axis(input)
    if weight is None:
        return -PickLabel(axis, ignore_index, checked_reduction(reduction))(input, labels)
    _per_class(weight, input)
    weights = _label_weights(labels, weight, ignore_index)
    loss = -PickLabel(axis, ignore_index)(input, labels) * weights
    return loss.sum() / weights.sum() if reduction == "mean" else _reduced(loss, reduction)


def _label_weights(labels: Value, weight: Value | None, ignored: int) -> Value:
    """Return the weight of each label, 0 (or False) where it is `ignored`."""
    counts = not_equal(labels, ignored)
    if weight is None:
        return counts
    return where(counts, ArrayIndex((0,), 0)(weight, where(counts, labels, 0)), 0.0)


def _bce(p: NDArray, y: NDArray) -> NDArray:
    p, y = widened(p), widened(y)
    outside = ~((p >= 0) & (p <= 1))
    if outside.any():
        raise ArgumentError(
            f"binary_cross_entropy: input {p[outside][0]} given; expected probabilities, 0 to 1: "
            "pass logits to binary_cross_entropy_with_logits"
        )
    return -(y * np.maximum(np.log(p), -100) + (1 - y) * np.maximum(np.log1p(-p), -100))


binary_entropy = define(
    Elementwise(
        "binary_entropy",
        _bce,
        lambda g, out, p, y: (
            lambda: unbroadcast(g * (p - y) / maximum(p * (1 - p), 1e-12), p),
            lambda: unbroadcast(g * (clip(log1p(-p), -100.0) - clip(log(p), -100.0)), y),
        ),
    )
)


def binary_cross_entropy(
    input: Value, target: Value, weight: Value | None = None, *, reduction: str = "mean"
) -> Value:
    """Return −(y·log p + (1 − y)·log(1 − p)) for probabilities p and targets y, logs from −100.

    ArgumentError for a probability outside 0 to 1.

    >>> import lamina
    >>> binary_cross_entropy(lamina.tensor([0.5, 1.0]), lamina.tensor([1.0, 1.0]))
    Tensor(0.3466)
    """
    _same_shape("binary_cross_entropy", input, target)
    loss = binary_entropy(input, target)
    return _reduced(loss if weight is None else loss * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Value,
    target: Value,
    weight: Value | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Value | None = None,
) -> Value:
    """Return −(pos_weight·y·log σ(x) + (1 − y)·log(1 − σ(x))), exact for any logit x.

    >>> import lamina
    >>> binary_cross_entropy_with_logits(lamina.tensor([0.0, 800.0]), lamina.tensor([1.0, 1.0]))
    Tensor(0.3466)
    """
    _same_shape("binary_cross_entropy_with_logits", input, target)
    positive = logsigmoid(input)
    if pos_weight is not None:
        positive = positive * ((pos_weight - 1) * target + 1)
    loss = (1 - target) * input - positive
    return _reduced(loss if weight is None else loss * weight, reduction)


def kl_div(
    input: Value, target: Value, *, reduction: str = "mean", log_target: bool = False
) -> Value:
    """Return target·(log target − input), `input` being log-probabilities; 0 where target is 0.

    With `log_target` the target is given as logarithms. "batchmean" divides the sum by the size of
    the first axis, which is the divergence as mathematics has it.

    >>> import lamina
    >>> half = lamina.tensor([[0.5, 0.5]])
    >>> kl_div(half.log(), half, reduction="batchmean")
    Tensor(0.)
    """
    if log_target:
        loss = exp(target) * (target - input)
    else:
        logs = log(where(target > 0, target, 1.0))
        loss = target * (logs - input)
    if reduction == "batchmean":
        return loss.sum() / loss.shape[0]
    return _reduced(loss, reduction)


def hinge_embedding_loss(
    input: Value, target: Value, *, margin: float = 1.0, reduction: str = "mean"
) -> Value:
    """Return the distance x where the target is 1, and max(0, margin − x) where it is −1."""
    far = where(target != 1, clip(margin - input, 0.0), 0.0)
    return _reduced(far + where(target != -1, input, 0.0), reduction)


def margin_ranking_loss(
    input1: Value, input2: Value, target: Value, *, margin: float = 0.0, reduction: str = "mean"
) -> Value:
    """Return max(0, margin − y·(x1 − x2)): y = 1 wants x1 the greater, y = −1 x2."""
    return _reduced(clip(margin - target * (input1 - input2), 0.0), reduction)


def multi_margin_loss(
    input: Value,
    target: Any,
    *,
    p: int = 1,
    margin: float = 1.0,
    weight: Value | None = None,
    reduction: str = "mean",
) -> Value:
    """Return Σ_{c ≠ y} max(0, weight_y·(margin − x_y + x_c)ᵖ) / classes for scores x, labels y.

    `input` is (sample, class) or (class,). LabelError for a label outside the classes.
    """
    if p not in (1, 2):
        raise ArgumentError(f"multi_margin_loss: p {p} given; expected 1 or 2")
    axis, labels = _class_axis(input), as_labels(target, input)
    own = PickLabel(axis)(input, labels)
    excess = clip(margin - expand_dims(own, axis) + input, 0.0)
    excess = excess if p == 1 else square(excess)
    loss = where(one_hot(labels, input.shape[axis]) == 0, excess, 0.0).mean(axis=axis)
    if weight is not None:
        _per_class(weight, input)
        loss = loss * ArrayIndex((0,), 0)(weight, labels)
    return _reduced(loss, reduction)


def cosine_embedding_loss(
    input1: Value, input2: Value, target: Value, *, margin: float = 0.0, reduction: str = "mean"
) -> Value:
    """Return 1 − cos(x1, x2) where the target is 1, max(0, cos(x1, x2) − margin) where it is −1."""
    squares = [(x * x).sum(axis=-1) + 1e-12 for x in (input1, input2)]
    cosine = (input1 * input2).sum(axis=-1) / sqrt(squares[0] * squares[1])
    near = where(target == 1, 1 - cosine, 0.0)
    return _reduced(near + where(target == -1, clip(cosine - margin, 0.0), 0.0), reduction)


def triplet_margin_loss(
    anchor: Value,
    positive: Value,
    negative: Value,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Value:
    """Return max(0, d(anchor, positive) − d(anchor, negative) + margin), d the p-norm's distance.

    With `swap` the negative counts as near as it is to either of the others (V. Balntas et al.,
    BMVC 2016).
    """
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = minimum(far, pairwise_distance(positive, negative, p, eps))
    return _reduced(clip(near - far + margin, 0.0), reduction)


def poisson_nll_loss(
    input: Value,
    target: Value,
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Value:
    """Return the rate − target·log(rate), the rate being exp(input), or input itself.

    With `full` Stirling's approximation of log(target!) is added where the target exceeds 1.
    """
    loss = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        many = where(target > 1, target, 1.0)
        stirling = many * log(many) - many + log(many * (2 * math.pi)) * 0.5
        loss = loss + where(target > 1, stirling, 0.0)
    return _reduced(loss, reduction)


def gaussian_nll_loss(
    input: Value,
    target: Value,
    var: Value,
    *,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Value:
    """Return (log v + (input − target)²/v) / 2 with v = max(var, eps); plus log(2π)/2 if `full`.

    `var` has the shape of `input`, or size 1 in the last axis or lacks it.
    """
    if var.shape != input.shape and var.shape == input.shape[:-1]:
        var = expand_dims(var, -1)
    spread = clip(var, eps)
    loss = (log(spread) + square(input - target) / spread) * 0.5
    return _reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)
