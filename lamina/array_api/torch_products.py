"""Products of tensors that PyTorch has beyond the Array API."""

from typing import Any

from lamina.ops.algebra import einsum as sums
from lamina.ops.algebra import linalg
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors

__all__ = ["addmm", "addmv", "baddbmm", "einsum", "inner", "kron", "outer"]


def einsum(equation: str, *operands: Any) -> Tensor:
    """Return the sum of products that `equation` names, axes by letters.

    >>> import lamina
    >>> lamina.einsum("ij,j->i", lamina.tensor([[1, 2], [3, 4]]), lamina.tensor([1, 1]))
    Tensor([3, 7])
    """
    is_list = len(operands) == 1 and isinstance(operands[0], list | tuple)
    return sums.einsum(equation, *(operands[0] if is_list else operands))


@takes_tensors
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """Return beta·input + alpha·(mat1 @ mat2)."""
    return linalg.add_product(input, mat1, mat2, beta=beta, alpha=alpha)


@takes_tensors
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return beta·input + alpha·(mat @ vec)."""
    return addmm(input, mat, vec, beta=beta, alpha=alpha)


@takes_tensors
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """Return beta·input + alpha·(batch1 @ batch2), matrix by matrix."""
    return addmm(input, batch1, batch2, beta=beta, alpha=alpha)


@takes_tensors
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Return Σ over the last axes: of every row of `input` with every row of `other`."""
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    return sums.tensordot(input, other, ([-1], [-1]))


@takes_tensors
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Return the Kronecker product: `other` once for every element of `input`, scaled by it."""
    return sums.kron(input, other)


@takes_tensors
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Return the product of every element of one vector with every one of the other: (m, n)."""
    return sums.outer(input, vec2)
