"""Lengths of vectors, and how far apart or alike two of them are."""

from lamina.layout import broadcast_shapes
from lamina.ops.elementwise.arithmetic import maximum
from lamina.ops.reductions.reduction import norm
from lamina.ops.registry import Value
from lamina.ops.shapes.movement import expand


def cosine_similarity(x1: Value, x2: Value, axis: int = 1, eps: float = 1e-8) -> Value:
    """Return x1·x2 / (max(‖x1‖, eps)·max(‖x2‖, eps)) along `axis`; the other axes broadcast.

    >>> import lamina
    >>> cosine_similarity(lamina.tensor([[1.0, 0.0]]), lamina.tensor([[1.0, 1.0]]))
    Tensor([0.7071])
    """
    shape = broadcast_shapes(tuple(x1.shape), tuple(x2.shape))
    a, b = expand(x1, shape), expand(x2, shape)
    lengths = maximum(norm(a, 2, axis), eps) * maximum(norm(b, 2, axis), eps)
    return (a * b).sum(axis=axis) / lengths


def pairwise_distance(
    x1: Value, x2: Value, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False
) -> Value:
    """Return ‖x1 − x2 + eps‖ₚ over the last axis, kept with size 1 by `keepdims`.

    >>> import lamina
    >>> pairwise_distance(lamina.tensor([[3.0, 4.0]]), lamina.zeros(1, 2), eps=0.0)
    Tensor([5.])
    """
    return norm(x1 - x2 + eps, p, -1, keepdims)


def normalize(x: Value, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Value:
    """Return x / max(‖x‖ₚ, eps), the norm taken along `axis`.

    >>> import lamina
    >>> normalize(lamina.tensor([[3.0, 4.0]]))
    Tensor([[0.6, 0.8]])
    """
    return x / maximum(norm(x, p, axis, True), eps)
