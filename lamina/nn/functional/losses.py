"""Losses. `reduction` is "mean", "sum" or "none", the loss of each element or sample."""

from collections.abc import Callable
from typing import Any

from lamina.errors import ArgumentError, DTypeError, ShapeError
from lamina.nn.functional.distances import pairwise_distance
from lamina.ops.elementwise.activations import logsigmoid, relu, softplus
from lamina.ops.elementwise.arithmetic import minimum, where
from lamina.ops.indices.indexing import gather
from lamina.ops.objectives import ctc
from lamina.ops.objectives import losses as ops
from lamina.tensor import Tensor, from_numpy, full_like
from lamina.tensor.guard import takes_tensors


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"reduction {reduction!r} given; expected 'mean', 'sum' or 'none'")
    if reduction == "none":
        return loss
    return loss.mean() if reduction == "mean" else loss.sum()


@takes_tensors
def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Return (input − target)².

    >>> mse_loss(lamina.tensor([1.0, 3.0]), lamina.tensor([1.0, 1.0]))
    Tensor(2.)
    """
    return ops.mse_loss(input, target, reduction=reduction)


@takes_tensors
def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Return |input − target|."""
    return ops.l1_loss(input, target, reduction=reduction)


@takes_tensors
def smooth_l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """Return ½d²/beta where d = |input − target| < beta, else d − ½·beta."""
    return ops.smooth_l1_loss(input, target, reduction=reduction, beta=beta)


@takes_tensors
def huber_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", delta: float = 1.0
) -> Tensor:
    """Return ½d² where d = |input − target| < delta, else delta·(d − ½·delta)."""
    return ops.huber_loss(input, target, reduction=reduction, delta=delta)


@takes_tensors
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return −Σ q·log softmax(input) over the classes, axis 1 (axis 0 of a single sample).

    `target` holds class numbers, or q itself, the share of each class, in the shape of `input`.
    Labels equal to `ignore_index` count for nothing; `weight` is one a class; `label_smoothing`
    mixes q with equal shares. LabelError for a label outside the classes.

    >>> cross_entropy(lamina.zeros(1, 2), lamina.tensor([1]))
    Tensor(0.6931)
    """
    return ops.cross_entropy(
        input,
        target,
        weight,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


@takes_tensors
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Return −input at the class that `target` names; see `cross_entropy` for the options."""
    return ops.nll_loss(input, target, weight, ignore_index=ignore_index, reduction=reduction)


@takes_tensors
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """Return −(target·log input + (1 − target)·log(1 − input)), the logarithms from −100 up."""
    return ops.binary_cross_entropy(input, target, weight, reduction=reduction)


@takes_tensors
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Return `binary_cross_entropy` of sigmoid(input), exact for any input; `pos_weight` weighs
    the positives."""
    return ops.binary_cross_entropy_with_logits(
        input, target, weight, reduction=reduction, pos_weight=pos_weight
    )


@takes_tensors
def kl_div(
    input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """Return target·(log target − input); `input` holds logarithms, `target` too with `log_target`.

    `reduction` may also be "batchmean": the sum over the size of axis 0.
    """
    return ops.kl_div(input, target, reduction=reduction, log_target=log_target)


@takes_tensors
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean"
) -> Tensor:
    """Return input where target is 1, max(0, margin − input) where it is −1."""
    return ops.hinge_embedding_loss(input, target, margin=margin, reduction=reduction)


@takes_tensors
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    *,
    reduction: str = "mean",
) -> Tensor:
    """Return max(0, margin − target·(input1 − input2)), target being ±1."""
    return ops.margin_ranking_loss(input1, input2, target, margin=margin, reduction=reduction)


@takes_tensors
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
) -> Tensor:
    """Return Σ max(0, margin − input[target] + input[i])ᵖ over the other classes, by their
    number."""
    return ops.multi_margin_loss(
        input, target, p=p, margin=margin, weight=weight, reduction=reduction
    )


@takes_tensors
def soft_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Return log(1 + e^(−target·input)), target being ±1.

    >>> soft_margin_loss(lamina.tensor([0.0]), lamina.tensor([1.0]))
    Tensor(0.6931)
    """
    _check_same("soft_margin_loss", input, target)
    return _reduced(softplus(-target * input), reduction)


@takes_tensors
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """Return the mean over the classes, the last axis, of
    −(target·log σ(input) + (1 − target)·log σ(−input))."""
    _check_same("multilabel_soft_margin_loss", input, target)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    weighed = loss if weight is None else loss * weight
    return _reduced(weighed.mean(-1), reduction)


@takes_tensors
def multilabel_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Return Σ max(0, 1 − input[label] + input[other]) over labels and others, by the classes.

    (N, C) or (C,); a row of `target` holds labels up to the first −1.

    >>> multilabel_margin_loss(lamina.tensor([0.0, 1.0, 0.0]), lamina.tensor([1, -1, 0]))
    Tensor(0.)
    """
    _check_same("multilabel_margin_loss", input, target)
    if not target.dtype.is_integer:
        raise DTypeError(
            f"multilabel_margin_loss: target of {target.dtype.name} given; expected whole numbers"
        )
    listed: Any = target.detach().numpy()
    is_listed = from_numpy((listed >= 0).cumprod(-1).astype(bool))
    own = gather(input, -1, where(is_listed, target, 0))
    classes = from_numpy(_classes_listed(listed))
    excess = relu(1 - own.unsqueeze(-1) + input.unsqueeze(-2))
    counts = is_listed.unsqueeze(-1) & ~classes.unsqueeze(-2)
    loss = where(counts, excess, 0.0).sum((-2, -1)) / input.shape[-1]
    return _reduced(loss, reduction)


def _classes_listed(listed: Any) -> Any:
    """Return, for each row of labels up to a −1, whether each class is among them."""
    rows = listed.reshape(-1, listed.shape[-1])
    found = (rows * 0).astype(bool)
    for row, labels in enumerate(rows):
        stop = int((labels < 0).argmax()) if (labels < 0).any() else len(labels)
        found[row, labels[:stop]] = True
    return found.reshape(listed.shape)


@takes_tensors
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    *,
    reduction: str = "mean",
) -> Tensor:
    """Return 1 − cos(input1, input2) where target is 1, max(0, cos − margin) where it is −1."""
    return ops.cosine_embedding_loss(input1, input2, target, margin=margin, reduction=reduction)


@takes_tensors
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Tensor:
    """Return max(0, ‖anchor − positive‖ₚ − ‖anchor − negative‖ₚ + margin).

    With `swap`, the negative's distance to the positive counts where that is smaller.
    """
    return ops.triplet_margin_loss(
        anchor,
        positive,
        negative,
        margin=margin,
        p=p,
        eps=eps,
        swap=swap,
        reduction=reduction,
    )


@takes_tensors
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Return `triplet_margin_loss` with a distance of one's own (Euclid's by default)."""
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return _reduced(relu(near - far + margin), reduction)


@takes_tensors
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    *,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """Return e^input − target·input, or input − target·log(input + eps) without `log_input`.

    `full` adds Stirling's approximation of log target!.
    """
    return ops.poisson_nll_loss(
        input, target, log_input=log_input, full=full, eps=eps, reduction=reduction
    )


@takes_tensors
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Return ½(log var + (input − target)²/var), `var` at least `eps`; `full` adds ½·log 2π."""
    spread = var if isinstance(var, Tensor) else full_like(input, var)
    return ops.gaussian_nll_loss(input, target, spread, full=full, eps=eps, reduction=reduction)


@takes_tensors
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Return −log of the probability of `targets`, summed over all their alignments with the steps.

    `log_probs` is (T, N, C), `targets` (N, S) or end to end; "mean" divides each loss by its
    target's length first. `zero_infinity` turns impossible targets into 0. Graves et al.,
    "Connectionist temporal classification", ICML 2006.
    """
    return ctc.ctc_loss(
        log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity
    )


def _check_same(name: str, input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        raise ShapeError(
            f"{name}: input of shape {input.shape} and target of shape {target.shape} given; "
            "expected equal shapes"
        )
