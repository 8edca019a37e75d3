"""Linear algebra: LAPACK in float32 and float64 against textbook algorithms in more precision."""

from typing import Any

import numpy as np

from lamina.ops.algebra import decompositions as dec
from lamina.ops.algebra import linalg as ops

from . import matrices as book
from .case import COMPLEX, Case
from .drawing import Draw, Generator, normal

REAL = ("float64", "float32")
BOTH = (*REAL, *COMPLEX)
CONDITION = "errors grow with the condition of the matrix, here below 100"
GAPS = "vectors are off by the distance of the values, here above 0.1"


def regular(*shape: int) -> Draw:
    """Matrices far from singular: the diagonal outweighs the rest."""

    def values(rng: Generator, size: tuple[int, ...]) -> Any:
        sign = np.where(rng.random(size[:-1]) < 0.3, -1, 1)
        return rng.uniform(-1, 1, size) + 3 * np.eye(size[-1]) * sign[..., None]

    return Draw(shape, values)


def spread(*shape: int) -> Draw:
    """Matrices whose singular values are near 1, 2, 3, …."""

    def values(rng: Generator, size: tuple[int, ...]) -> Any:
        *lead, m, n = size
        left, _ = np.linalg.qr(rng.standard_normal((*lead, m, m)))
        right, _ = np.linalg.qr(rng.standard_normal((*lead, n, n)))
        k = min(m, n)
        return left[..., :k] * (1 + np.arange(k)) @ right[..., :k, :]

    return Draw(shape, values)


def symmetric(*shape: int, definite: bool = False) -> Draw:
    """Symmetric matrices with eigenvalues near 1, −2, 3, …; without the signs if definite."""

    def values(rng: Generator, size: tuple[int, ...]) -> Any:
        basis, _ = np.linalg.qr(rng.standard_normal(size))
        n = size[-1]
        sign = 1 if definite else (-1) ** np.arange(n)
        found = basis * (sign * (1.0 + np.arange(n))) @ np.swapaxes(basis, -1, -2)
        return (found + np.swapaxes(found, -1, -2)) / 2

    return Draw(shape, values)


def turning(*shape: int) -> Draw:
    """2×2 matrices (a, b; −c, a) with b > c > 0: their eigenvalues are a pair a ± i·√(bc)."""

    def values(rng: Generator, size: tuple[int, ...]) -> Any:
        a, b, c = rng.normal(size=size[:-2]), 3.0, rng.uniform(1, 2, size[:-2])
        rows = [[a, b + 0 * a], [-c, a]]
        return np.moveaxis(np.array(rows), (0, 1), (-2, -1))

    return Draw(shape, values)


def eigen_pair(x: Any) -> tuple[Any, Any]:
    a, b, c = x[0, 0], x[0, 1], -x[1, 0]
    root = 1j * np.sqrt((b * c).astype(np.clongdouble))
    length = np.sqrt(1 + c / b)
    vectors = np.array([[1, 1], [root / b, -root / b]]) / length
    return np.array([a + root, a - root]), vectors


def solved(a: Any, b: Any) -> Any:
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = np.broadcast_to(a, (*lead, *a.shape[-2:]))
    b = np.broadcast_to(b, (*lead, *b.shape[-2:]))
    return book.over_batch(book.eliminate)(a, b)


def sign_and_log(x: Any) -> tuple[Any, Any]:
    value = book.determinant(x)
    return np.sign(value), np.log(abs(value))


def reduced(x: Any) -> tuple[Any, Any]:
    q, r = book.householder(x)
    k = min(x.shape)
    return q[:, :k], r[:k]


def ranks(x: Any, rtol: Any) -> Any:
    _, s, _ = book.singular(x)
    return np.int64((s > rtol * s.max()).sum())


def pseudo(x: Any, rtol: Any) -> Any:
    return book.pseudo_inverse(x)


def row(op: Any, draws: Any, oracle: Any, label: str = "", **options: Any) -> Case:
    defaults = {"ulp": 40, "why": CONDITION, "scale": 1.0, "dtypes": REAL}
    inputs = draws if isinstance(draws, tuple) else (draws,)
    return Case(op, inputs, oracle, label=label, **{**defaults, **options})


batch = book.over_batch
TOLERANCE = Draw((), lambda rng, size: np.full(size, 1e-2))
SHAPES = {"square": (2, 3, 3), "tall": (2, 4, 3), "wide": (2, 3, 4)}

CASES = [
    row(ops.Inverse(), regular(2, 3, 3), batch(book.inverse), dtypes=BOTH),
    row(ops.Solve(), (regular(2, 3, 3), normal(2, 3, 2)), solved, dtypes=BOTH),
    row(ops.Solve(), (regular(3, 3), normal(2, 3, 2)), solved, "broadcast", repeatable=False),
    row(ops.Determinant(), regular(2, 3, 3), batch(book.determinant), ulp=60),
    row(ops.Cofactors(), regular(2, 3, 3), batch(book.cofactors), ulp=60),
    row(ops.SignLogDeterminant(), regular(2, 3, 3), batch(sign_and_log)),
    row(ops.Cholesky(), symmetric(2, 3, 3, definite=True), batch(book.cholesky)),
    row(
        ops.Cholesky("upper"),
        symmetric(2, 3, 3, definite=True),
        batch(lambda x: book.cholesky(x).T),
        "upper",
    ),
    row(dec.Eigh(), symmetric(2, 3, 3), batch(book.jacobi), ulp=100, why=GAPS),
    row(dec.EigenvaluesH(), symmetric(2, 3, 3), batch(lambda x: book.jacobi(x)[0])),
    row(dec.Eig(), turning(3, 2, 2), batch(eigen_pair)),
    *(row(dec.QR(), spread(*shape), batch(reduced), name) for name, shape in SHAPES.items()),
    row(
        dec.QR("complete"),
        spread(2, 4, 3),
        batch(book.householder),
        "complete",
        order=0,
        why_order="the columns of Q beyond the rank are not unique",
    ),
    *(
        row(dec.SVD(), spread(*shape), batch(book.singular), name, ulp=100, why=GAPS)
        for name, shape in SHAPES.items()
    ),
    row(
        dec.SVD(full=True),
        spread(2, 3, 3),
        batch(book.singular),
        "full",
        ulp=100,
        why=GAPS,
    ),
    row(dec.SingularValues(), spread(2, 4, 3), batch(lambda x: book.singular(x)[1])),
    *(
        row(dec.PseudoInverse(), (spread(*shape), TOLERANCE), batch(pseudo), name)
        for name, shape in SHAPES.items()
    ),
    row(dec.Rank(), (spread(2, 4, 3), TOLERANCE), batch(ranks)),
]
