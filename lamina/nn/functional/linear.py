"""Matrix products and tables of vectors."""

from typing import Any, Literal

from lamina import dtypes
from lamina.autograd import no_grad
from lamina.errors import ArgumentError, DTypeError, ShapeError
from lamina.ops.algebra import einsum
from lamina.ops.elementwise.arithmetic import where
from lamina.ops.indices import indexing, labels
from lamina.ops.layers import attention
from lamina.ops.reductions import reduction
from lamina.ops.shapes import movement
from lamina.ops.shapes.copying import stack
from lamina.tensor import Tensor, zeros
from lamina.tensor.guard import takes_tensors


@takes_tensors
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x·weightᵀ + bias: `input` (*, in), `weight` (out, in) or (in,), `bias` (out,).

    >>> linear(lamina.tensor([1.0, 2.0]), lamina.tensor([[1.0, 1.0]]), lamina.tensor([0.5]))
    Tensor([3.5])
    """
    if not isinstance(input, Tensor):
        raise DTypeError(
            f"linear was given {type(input).__name__}; expected a tensor, made with lamina.tensor()"
        )
    if len(weight.shape) not in (1, 2) or not input.shape or input.shape[-1] != weight.shape[-1]:
        raise ShapeError(
            f"linear: input {input.shape} with weight {weight.shape} given; expected (*, in) with "
            "(out, in): the last sizes must be equal"
        )
    # One matrix product however many leading axes there are: the gradient of the weight is then
    # one product as well, not one a leading index.
    is_deep = len(input.shape) > 2 and len(weight.shape) == 2
    rows = movement.reshape(input, (-1, input.shape[-1])) if is_deep and input.numel() else input
    out = rows @ (weight.T if len(weight.shape) == 2 else weight)
    out = out if bias is None else out + bias
    return movement.reshape(out, (*input.shape[:-1], weight.shape[0])) if rows is not input else out


@takes_tensors
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return Σᵢⱼ x1[…, i]·weight[o, i, j]·x2[…, j] + bias[o].

    >>> bilinear(lamina.ones(1, 2), lamina.ones(1, 3), lamina.ones(4, 2, 3)).tolist()
    [[6.0, 6.0, 6.0, 6.0]]
    """
    fits = (
        len(weight.shape) == 3
        and input1.shape[:-1] == input2.shape[:-1]
        and (input1.shape[-1:], input2.shape[-1:]) == (weight.shape[1:2], weight.shape[2:])
    )
    if not fits:
        raise ShapeError(
            f"bilinear: inputs {input1.shape} and {input2.shape} with weight {weight.shape} given; "
            "expected (*, i), (*, j) and (out, i, j)"
        )
    out: Tensor = einsum.einsum("...i,oij,...j->...o", input1, weight, input2)
    return out if bias is None else out + bias


@takes_tensors
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
) -> Tensor:
    """Return row i of `weight` for every number i of `input`: (*) to (*, weight's row).

    The row `padding_idx` gets no gradient. With `max_norm` the rows that are looked up are first
    scaled down in place. With `scale_grad_by_freq` the gradient of a row is divided by how often
    it was looked up.

    >>> embedding(lamina.tensor([1, 1]), lamina.tensor([[1.0], [2.0]])).tolist()
    [[2.0], [2.0]]
    """
    if max_norm is not None:
        _hold_down(weight, input, max_norm, norm_type)
    rows: Tensor = indexing.embedding(weight, input, padding_idx)
    if not scale_grad_by_freq:
        return rows
    counts = zeros(weight.shape[0], dtype=rows.dtype)
    for_each = indexing.scatter_add(counts, 0, input.flatten(), rows.new_ones(input.numel()))
    share = 1.0 / for_each[input].unsqueeze(-1)
    # The value of `rows` with the gradient scaled.
    return rows.detach() + (rows - rows.detach()) * share


@no_grad()
def _hold_down(weight: Tensor, input: Tensor, max_norm: float, norm_type: float) -> None:
    is_used = zeros(weight.shape[0], dtype=dtypes.bool_)
    is_used[input.flatten()] = True
    size = reduction.norm(weight, norm_type, 1, True)
    scale = where(is_used.unsqueeze(1) & (size > max_norm), max_norm / (size + 1e-7), 1.0)
    weight.mul_(scale.to(weight.dtype))


@takes_tensors
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    *,
    mode: Literal["sum", "mean", "max"] = "mean",
) -> Tensor:
    """Return the sum, mean or maximum of the rows of `weight` in each bag: (B, n) to (B, row).

    With one axis of numbers, `offsets` says where each bag starts. An empty bag gives zeros.

    >>> table = lamina.tensor([[1.0], [2.0], [4.0]])
    >>> embedding_bag(lamina.tensor([0, 1, 2]), table, lamina.tensor([0, 1]), mode="sum").tolist()
    [[1.0], [6.0]]
    """
    if mode not in ("sum", "mean", "max"):
        raise ArgumentError(f"embedding_bag: mode {mode!r} given; expected 'sum', 'mean' or 'max'")
    if (len(input.shape), offsets is None) not in ((2, True), (1, False)):
        raise ShapeError(
            f"embedding_bag: numbers of shape {input.shape} given; expected 2 axes, or 1 axis and "
            "offsets"
        )
    if offsets is None:
        return _folded(embedding(input, weight), mode, 1)
    starts = offsets.tolist()
    rows = embedding(input, weight)
    empty_bag = weight.new_zeros(weight.shape[1])
    bags = [
        _folded(rows[start:stop], mode, 0) if stop > start else empty_bag
        for start, stop in zip(starts, [*starts[1:], input.shape[0]], strict=True)
    ]
    return stack(bags)


def _folded(rows: Tensor, mode: str, axis: int) -> Tensor:
    fold = {"sum": reduction.sum, "mean": reduction.mean, "max": reduction.max}[mode]
    return fold(rows, axis)


@takes_tensors
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Return 1 at the place that each whole number names and 0 elsewhere: (*) to (*, num_classes).

    By default there are as many classes as the greatest number needs. LabelError for a number
    outside the classes.

    >>> one_hot(lamina.tensor([0, 2])).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    return labels.one_hot(tensor, num_classes)


@takes_tensors
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Return softmax(query·keyᵀ·scale + mask)·value over the last two axes.

    `query` is (*, L, E), `key` (*, S, E), `value` (*, S, V). A bool mask says where to look, a
    float mask is added; `is_causal` looks back only. `scale` is 1/√E by default. Vaswani et al.,
    "Attention is all you need", NeurIPS 2017.
    """
    out: Any = attention.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask,
        dropout_p,
        is_causal,
        scale=scale,
        enable_gqa=enable_gqa,
    )
    return out
