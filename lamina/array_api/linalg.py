"""The `linalg` extension: matrices are the last two axes, leading axes a batch.

Everything but products and norms is computed by LAPACK through numpy, in float32 or float64.
"""

from collections.abc import Sequence
from typing import Any

from lamina import dtypes
from lamina.ops.algebra import decompositions, einsum, products
from lamina.ops.algebra import linalg as square
from lamina.ops.reductions import reduction
from lamina.ops.shapes import movement
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors
from lamina.tensor.keywords import second_keywords

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]

Axis = int | Sequence[int] | None


def cholesky(x: Tensor, *, upper: bool = False) -> Tensor:
    """Return the Cholesky factor of each symmetric positive definite matrix: x = L·Lᵀ, or Rᵀ·R.

    MatrixError where one is not positive definite.
    """
    return square.cholesky(x, upper=upper)


@second_keywords
def cross(x1: Tensor, x2: Tensor, *, axis: int = -1) -> Tensor:
    """Return the cross product of vectors of 3 along `axis`, broadcast."""
    return einsum.cross(x1, x2, axis)


def det(x: Tensor) -> Tensor:
    """Return the determinant of each square matrix.

    >>> import lamina
    >>> lamina.linalg.det(lamina.tensor([[3.0, 1.0], [1.0, 2.0]]))
    Tensor(5.)
    """
    return square.det(x)


@takes_tensors
def diagonal(x: Tensor, *, offset: int = 0) -> Tensor:
    """Return a view of a diagonal of each matrix; `offset` > 0 is above the main one."""
    return movement.diagonal(x, offset, -2, -1)


def eig(x: Tensor) -> decompositions.EigenPairs:
    """Return complex eigenvalues and eigenvectors of each square matrix; they have no gradient."""
    return decompositions.eig(x)


def eigh(x: Tensor) -> decompositions.EigenPairs:
    """Return eigenvalues, ascending, and eigenvectors of each symmetric matrix.

    Of a matrix that is not symmetric, those of its symmetric part. The largest component of each
    vector is positive. Between equal eigenvalues the derivative of their vectors counts as zero.
    """
    return decompositions.eigh(x)


def eigvals(x: Tensor) -> Tensor:
    """Return the complex eigenvalues of each square matrix; they have no gradient."""
    return decompositions.eig(x).eigenvalues


def eigvalsh(x: Tensor) -> Tensor:
    """Return the eigenvalues of each symmetric matrix, ascending."""
    return decompositions.eigvalsh(x)


def inv(x: Tensor) -> Tensor:
    """Return the inverse of each square matrix; MatrixError where one is singular."""
    return square.inv(x)


@second_keywords
def matmul(x1: Tensor, x2: Tensor) -> Tensor:
    """Return the matrix product; a vector counts as a row (left) or a column (right)."""
    return products.matmul(x1, x2)


@takes_tensors
def matrix_norm(x: Tensor, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """Return a norm of each matrix: "fro", "nuc", or ±1, ±2, ±inf."""
    return decompositions.matrix_norm(x, "fro" if ord is None else ord, keepdims=keepdims)


@takes_tensors
def matrix_power(x: Tensor, n: int) -> Tensor:
    """Return the n-th power of each square matrix; n < 0 is a power of the inverse."""
    return square.matrix_power(x, n)


@takes_tensors
def matrix_rank(x: Tensor, *, rtol: Any = None) -> Tensor:
    """Return how many singular values of each matrix exceed `rtol` times the largest.

    `rtol` is by default max(m, n)·eps.
    """
    return decompositions.matrix_rank(x, rtol)


@takes_tensors
def matrix_transpose(x: Tensor) -> Tensor:
    """Return a view of `x` with rows and columns of each matrix exchanged."""
    return x.mT


@second_keywords
def norm(
    x: Tensor, ord: Any = None, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None
) -> Tensor:
    """Return a norm of vectors, or of matrices where two axes are given with an `ord`."""
    x = x if dtype is None else x.to(dtype)
    is_matrix = ord is not None and (x.ndim == 2 if axis is None else _count(axis) == 2)
    if not is_matrix:
        return vector_norm(x, axis=axis, keepdims=keepdims, ord=2 if ord is None else ord)
    axes = (-2, -1) if axis is None else tuple(axis)  # type: ignore[arg-type]
    moved = movement.move_axes(x, axes, (-2, -1))
    value = decompositions.matrix_norm(moved, ord, keepdims=keepdims)
    return movement.move_axes(value, (-2, -1), axes) if keepdims else value


def _count(axis: int | Sequence[int]) -> int:
    return 1 if isinstance(axis, int) else len(axis)


@second_keywords
def outer(x1: Tensor, x2: Tensor) -> Tensor:
    """Return the product of every element of one vector with every one of the other: (m, n)."""
    return einsum.outer(x1, x2)


@takes_tensors
def pinv(x: Tensor, *, rtol: Any = None) -> Tensor:
    """Return the Moore-Penrose inverse of each matrix.

    Singular values up to `rtol` times the largest count as zero; by default max(m, n)·eps.
    """
    return decompositions.pinv(x, rtol)


def qr(x: Tensor, *, mode: str = "reduced") -> decompositions.Factors:
    """Return Q with orthonormal columns and upper triangular R, x = Q·R; "complete" squares Q."""
    return decompositions.qr(x, mode)


def slogdet(x: Tensor) -> square.SignLog:
    """Return sign and log |det| of each square matrix; the gradient comes through the second."""
    return square.slogdet(x)


@second_keywords
def solve(x1: Tensor, x2: Tensor) -> Tensor:
    """Return X of x1·X = x2 for a vector (n,) or matrices (…, n, k); MatrixError if singular.

    >>> import lamina
    >>> lamina.linalg.solve(lamina.tensor([[2.0, 0.0], [0.0, 4.0]]), lamina.tensor([2.0, 2.0]))
    Tensor([1. , 0.5])
    """
    return square.solve(x1, x2)


def svd(x: Tensor, full_matrices: bool = True) -> decompositions.SingularTriplet:
    """Return U, S and Vh with x = U·diag(S)·Vh, singular values from the largest down.

    With `full_matrices` U and Vh are square, and have no derivative unless `x` is square too.
    """
    return decompositions.svd(x, full_matrices=full_matrices)


def svdvals(x: Tensor) -> Tensor:
    """Return the singular values of each matrix, from the largest down."""
    return decompositions.svdvals(x)


@second_keywords
def tensordot(x1: Tensor, x2: Tensor, axes: Any = 2) -> Tensor:
    """Return Σ over pairs of axes: the last `axes` of x1 with the first of x2, or two lists."""
    return einsum.tensordot(x1, x2, axes)


@takes_tensors
def trace(x: Tensor, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """Return the sum along a diagonal of each matrix; integers add up in (u)int64."""
    return square.trace(x, offset, dtype=None if dtype is None else dtypes.as_dtype(dtype))


@second_keywords
def vecdot(x1: Tensor, x2: Tensor, *, axis: int = -1) -> Tensor:
    """Return Σ conj(x1)·x2 along `axis`, broadcast."""
    return einsum.vecdot(x1, x2, axis)


@second_keywords
def vector_norm(x: Tensor, ord: Any = 2, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return (Σ |x|^ord)^(1/ord) over `axis`; ±inf the greatest or least |x|, 0 a count."""
    return reduction.norm(x, ord, axis, keepdims)
