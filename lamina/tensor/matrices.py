"""Products of a tensor and others, and what is known of its matrices."""

from typing import Any

from lamina.ops.algebra import decompositions, einsum, linalg, products
from lamina.ops.registry import Operand

Tensor = Any


class Matrices(Operand):
    """Matrices are the last two axes."""

    __slots__ = ()

    def mv(self, vec: Tensor) -> Tensor:
        """Return the product of a matrix and a vector."""
        return products.matmul(self, vec)

    def outer(self, vec2: Tensor) -> Tensor:
        """Return the product of every element of one vector with every one of the other."""
        return einsum.outer(self, vec2)

    def cross(self, other: Tensor, dim: int = -1) -> Tensor:
        """Return the cross product of vectors of 3 along an axis."""
        return einsum.cross(self, other, dim)

    def addmm(self, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """Return beta·self + alpha·(mat1 @ mat2)."""
        return linalg.add_product(self, mat1, mat2, beta=beta, alpha=alpha)

    addmv = addmm
    baddbmm = addmm

    def trace(self) -> Tensor:
        """Return the sum along the diagonal."""
        return linalg.trace(self)

    def det(self) -> Tensor:
        """Return the determinant of each square matrix."""
        return linalg.det(self)

    def slogdet(self) -> linalg.SignLog:
        """Return sign and log |det| of each square matrix."""
        return linalg.slogdet(self)

    def inverse(self) -> Tensor:
        """Return the inverse of each square matrix."""
        return linalg.inv(self)

    def pinverse(self, rcond: float | None = None) -> Tensor:
        """Return the Moore-Penrose inverse of each matrix."""
        return decompositions.pinv(self, rcond)

    def matrix_power(self, n: int) -> Tensor:
        """Return the n-th power of each square matrix."""
        return linalg.matrix_power(self, n)
