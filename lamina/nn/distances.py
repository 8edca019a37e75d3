"""How alike or how far apart vectors are, as layers."""

from typing import final

from lamina.nn import functional as F
from lamina.nn.module import Module
from lamina.tensor import Tensor


@final
class CosineSimilarity(Module):
    """x1·x2 / (‖x1‖·‖x2‖) along `dim`, each norm at least `eps`.

    >>> from lamina import nn
    >>> nn.CosineSimilarity()(lamina.tensor([[1.0, 0.0]]), lamina.tensor([[3.0, 4.0]]))
    Tensor([0.6])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


@final
class PairwiseDistance(Module):
    """‖x1 − x2 + eps‖ₚ over the last axis.

    >>> from lamina import nn
    >>> nn.PairwiseDistance(eps=0.0)(lamina.zeros(1, 2), lamina.tensor([[3.0, 4.0]]))
    Tensor([5.])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
