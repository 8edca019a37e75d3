"""Linear algebra by the book, in extended precision: oracles for a matrix and for a batch."""

from collections.abc import Callable
from typing import Any

import numpy as np

Matrix = Any


def over_batch(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of matrices as one of batches of them; several outputs make a tuple."""

    def batched(x: Any, *more: Any) -> Any:
        lead = x.shape[:-2]
        found = [function(x[i], *(_at(m, i, lead) for m in more)) for i in np.ndindex(*lead)]
        if isinstance(found[0], tuple):
            return tuple(_stacked(part, lead) for part in zip(*found, strict=True))
        return _stacked(found, lead)

    return batched


def _at(value: Any, place: tuple[int, ...], lead: tuple[int, ...]) -> Any:
    return value[place] if value.ndim >= len(lead) and value.ndim else value


def _stacked(parts: Any, lead: tuple[int, ...]) -> Any:
    array = np.array(parts)
    return array.reshape(*lead, *array.shape[1:])


def eliminate(a: Matrix, b: Matrix) -> Matrix:
    """X of A·X = B by Gauss-Jordan elimination with row pivoting."""
    a, x = a.copy(), b.astype(np.result_type(a, b))
    n = len(a)
    for i in range(n):
        pivot = i + int(np.argmax(np.abs(a[i:, i])))
        a[[i, pivot]], x[[i, pivot]] = a[[pivot, i]], x[[pivot, i]]
        x[i], a[i] = x[i] / a[i, i], a[i] / a[i, i]
        for row in range(n):
            if row != i:
                x[row], a[row] = x[row] - a[row, i] * x[i], a[row] - a[row, i] * a[i]
    return x


def inverse(a: Matrix) -> Matrix:
    return eliminate(a, np.eye(len(a)).astype(a.dtype))


def determinant(a: Matrix) -> Any:
    """Expansion along the first row."""
    if len(a) == 0:
        return np.longdouble(1)
    return sum((-1) ** j * a[0, j] * determinant(minor(a, 0, j)) for j in range(len(a)))


def minor(a: Matrix, row: int, column: int) -> Matrix:
    return np.delete(np.delete(a, row, 0), column, 1)


def cofactors(a: Matrix) -> Matrix:
    out = np.empty_like(a)
    for i, j in np.ndindex(*a.shape):
        out[i, j] = (-1) ** (i + j) * determinant(minor(a, i, j))
    return out


def symmetric(a: Matrix) -> Matrix:
    return (a + a.T) / 2


def cholesky(a: Matrix) -> Matrix:
    """Row by row, of the symmetric part."""
    a = symmetric(a)
    low = np.zeros_like(a)
    for i, j in np.ndindex(*a.shape):
        if j < i:
            low[i, j] = (a[i, j] - low[i, :j] @ low[j, :j]) / low[j, j]
        if j == i:
            low[i, i] = np.sqrt(a[i, i] - low[i, :i] @ low[i, :i])
    return low


def householder(a: Matrix) -> tuple[Matrix, Matrix]:
    """Complete Q and R; a reflection sends a column to the side it is not on, as LAPACK's do."""
    m, n = a.shape
    q, r = np.eye(m).astype(a.dtype), a.copy()
    for i in range(min(m - 1, n)):
        v = r[i:, i].copy()
        v[0] += np.copysign(np.sqrt(v @ v), v[0])
        mirror = np.eye(m).astype(a.dtype)
        mirror[i:, i:] -= 2 * np.outer(v, v) / (v @ v)
        q, r = q @ mirror, mirror @ r
    return q, np.triu(r)


def jacobi(a: Matrix, sweeps: int = 12) -> tuple[Any, Matrix]:
    """Eigenvalues, ascending, and eigenvectors of the symmetric part, by Jacobi's rotations."""
    a = symmetric(a)
    n = len(a)
    v = np.eye(n).astype(a.dtype)
    for _ in range(sweeps):
        for p in range(n):
            for q in range(p + 1, n):
                turn = np.eye(n).astype(a.dtype)
                angle = np.arctan2(2 * a[p, q], a[q, q] - a[p, p]) / 2
                c, s = np.cos(angle), np.sin(angle)
                turn[p, p], turn[q, q], turn[p, q], turn[q, p] = c, c, s, -s
                a, v = turn.T @ a @ turn, v @ turn
    order = np.argsort(np.diag(a))
    return np.diag(a)[order], upright(v[:, order])


def upright(v: Matrix) -> Matrix:
    """Columns turned so that the largest component of each is positive."""
    return v * np.sign(v[np.argmax(np.abs(v), axis=0), np.arange(v.shape[1])])


def singular(a: Matrix) -> tuple[Matrix, Any, Matrix]:
    """U, S and Vᵀ by the eigenvectors of A·Aᵀ or Aᵀ·A, whichever is smaller."""
    if a.shape[0] > a.shape[1]:
        squares, v = jacobi(a.T @ a)
        s = np.sqrt(squares[::-1])
        u = a @ v[:, ::-1] / s
        sign = np.sign(u[np.argmax(np.abs(u), axis=0), np.arange(u.shape[1])])
        return u * sign, s, (v[:, ::-1] * sign).T
    squares, u = jacobi(a @ a.T)
    s, u = np.sqrt(squares[::-1]), u[:, ::-1]
    return u, s, (u.T @ a) / s[:, None]


def pseudo_inverse(a: Matrix) -> Matrix:
    """(Aᵀ·A)⁻¹·Aᵀ or Aᵀ·(A·Aᵀ)⁻¹: of full rank."""
    if a.shape[0] >= a.shape[1]:
        return eliminate(a.T @ a, a.T)
    return eliminate(a @ a.T, a).T
