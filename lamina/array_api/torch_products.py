"""Products of tensors that PyTorch has beyond the Array API."""

from typing import Any

from lamina.ops import einsum as sums
from lamina.ops.products import matmul
from lamina.tensor import Tensor

__all__ = ["addmm", "addmv", "baddbmm", "einsum", "inner", "kron", "outer"]


def einsum(equation: str, *operands: Any) -> Tensor:
    """Return the sum of products that `equation` names, axes by letters.

    >>> import lamina
    >>> lamina.einsum("ij,j->i", lamina.tensor([[1, 2], [3, 4]]), lamina.tensor([1, 1]))
    Tensor([3, 7])
    """
    is_list = len(operands) == 1 and isinstance(operands[0], list | tuple)
    return sums.einsum(equation, *(operands[0] if is_list else operands))


def addmm(x: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return beta·x + alpha·(mat1 @ mat2)."""
    product = matmul(mat1, mat2)
    return (x if beta == 1 else x * beta) + (product if alpha == 1 else product * alpha)


def addmv(x: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return beta·x + alpha·(mat @ vec)."""
    return addmm(x, mat, vec, beta=beta, alpha=alpha)


def baddbmm(
    x: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """Return beta·x + alpha·(batch1 @ batch2), matrix by matrix."""
    return addmm(x, batch1, batch2, beta=beta, alpha=alpha)


def inner(x: Tensor, other: Tensor) -> Tensor:
    """Return Σ over the last axes: of every row of `x` with every row of `other`."""
    if x.ndim == 0 or other.ndim == 0:
        return x * other
    return sums.tensordot(x, other, ([-1], [-1]))


def kron(x: Tensor, other: Tensor) -> Tensor:
    """Return the Kronecker product: a copy of `other` for every element of `x`, scaled by it."""
    return sums.kron(x, other)


def outer(x: Tensor, vec2: Tensor) -> Tensor:
    """Return the product of every element of one vector with every one of the other: (m, n)."""
    return sums.outer(x, vec2)
