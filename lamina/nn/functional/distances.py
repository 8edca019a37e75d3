"""How alike or how far apart vectors are."""

from lamina.ops.objectives import distances as ops
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors


@takes_tensors
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Return x1·x2 / (‖x1‖·‖x2‖) along `dim`, each norm at least `eps`.

    >>> cosine_similarity(lamina.tensor([1.0, 0.0]), lamina.tensor([3.0, 4.0]), dim=0)
    Tensor(0.6)
    """
    return ops.cosine_similarity(x1, x2, dim, eps)


@takes_tensors
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """Return ‖x1 − x2 + eps‖ₚ over the last axis; leading axes broadcast.

    >>> pairwise_distance(lamina.zeros(1, 2), lamina.tensor([[3.0, 4.0]]), eps=0.0)
    Tensor([5.])
    """
    return ops.pairwise_distance(x1, x2, p, eps, keepdim)
