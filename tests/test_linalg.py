"""Linear algebra: what defines a factor or an inverse, checked on it; and what is refused."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

import lamina
from lamina import linalg
from lamina.errors import ArgumentError, DTypeError, GradientError, MatrixError, ShapeError

RNG = np.random.default_rng(3)
SQUARE = RNG.standard_normal((2, 3, 3))
TALL = RNG.standard_normal((2, 4, 3))
WIDE = RNG.standard_normal((2, 3, 4))
COMPLEX = SQUARE + 1j * RNG.standard_normal((2, 3, 3))
SHAPES = {"square": SQUARE, "tall": TALL, "wide": WIDE}


def close(a: lamina.Tensor, b: np.ndarray, tolerance: float = 1e-12) -> bool:
    return bool(np.allclose(a.detach().numpy(), b, rtol=tolerance, atol=tolerance))


def leibniz(matrix: np.ndarray) -> float:
    """The determinant as the sum over all permutations that defines it."""
    n = len(matrix)
    total = 0.0
    for order in itertools.permutations(range(n)):
        swaps = sum(a > b for a, b in itertools.combinations(order, 2))
        total += (-1) ** swaps * math.prod(matrix[row, col] for row, col in enumerate(order))
    return total


@pytest.mark.parametrize("x", [SQUARE, COMPLEX], ids=["real", "complex"])
def test_an_inverse_undoes(x: np.ndarray) -> None:
    assert close(
        lamina.tensor(x) @ linalg.inv(lamina.tensor(x)), np.broadcast_to(np.eye(3), x.shape)
    )


@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 3, 2), (5, 1, 3, 2)], ids=str)
def test_a_solution_solves(shape: tuple[int, ...]) -> None:
    a, b = lamina.tensor(SQUARE), lamina.tensor(RNG.standard_normal(shape))
    x = linalg.solve(a, b)
    product = (a @ (x.unsqueeze(-1) if len(shape) == 1 else x)).numpy().reshape(x.shape)
    assert np.allclose(product, np.broadcast_to(b.numpy(), product.shape))


def test_determinants_are_the_sum_over_permutations() -> None:
    expected = np.array([leibniz(m) for m in SQUARE])
    assert close(linalg.det(lamina.tensor(SQUARE)), expected)
    sign, log = linalg.slogdet(lamina.tensor(SQUARE))
    assert close(sign * log.exp(), expected)


@pytest.mark.parametrize("rank", [2, 1])
def test_a_singular_matrix_has_the_gradient_of_its_determinant(rank: int) -> None:
    matrix = RNG.standard_normal((3, rank)) @ RNG.standard_normal((rank, 3))
    x = lamina.tensor(matrix, requires_grad=True)
    linalg.det(x).backward()
    minors = [
        [(-1) ** (i + j) * leibniz(np.delete(np.delete(matrix, i, 0), j, 1)) for j in range(3)]
        for i in range(3)
    ]
    assert close(x.grad, np.array(minors))


@pytest.mark.parametrize("upper", [False, True])
def test_cholesky_factors(upper: bool) -> None:
    a = SQUARE @ SQUARE.mT
    factor = linalg.cholesky(lamina.tensor(a), upper=upper).numpy()
    assert np.array_equal(np.triu(factor) if upper else np.tril(factor), factor)
    assert np.allclose(factor.mT @ factor if upper else factor @ factor.mT, a)


@pytest.mark.parametrize("x", SHAPES.values(), ids=SHAPES.keys())
def test_qr_factors(x: np.ndarray) -> None:
    for mode in ("reduced", "complete"):
        q, r = (part.numpy() for part in linalg.qr(lamina.tensor(x), mode=mode))
        assert np.allclose(q @ r, x)
        assert np.allclose(q.mT @ q, np.eye(q.shape[-1]))
        assert np.array_equal(np.triu(r), r)


@pytest.mark.parametrize("x", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("full", [False, True])
def test_singular_values_factor(x: np.ndarray, full: bool) -> None:
    u, s, vh = (part.numpy() for part in linalg.svd(lamina.tensor(x), full_matrices=full))
    k = s.shape[-1]
    assert np.allclose((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], x)
    assert (np.diff(s) <= 0).all()
    assert np.allclose(u.mT @ u, np.eye(u.shape[-1]))
    assert close(linalg.svdvals(lamina.tensor(x)), s)


def test_eigenvectors_keep_their_direction() -> None:
    symmetric = SQUARE + SQUARE.mT
    values, vectors = linalg.eigh(lamina.tensor(symmetric))
    assert close(lamina.tensor(symmetric) @ vectors, (vectors * values.unsqueeze(-2)).numpy())
    assert close(linalg.eigvalsh(lamina.tensor(symmetric)), values.numpy())
    values, vectors = linalg.eig(lamina.tensor(SQUARE))
    assert values.dtype is lamina.complex128
    product = lamina.tensor(SQUARE).to(lamina.complex128) @ vectors
    assert close(product, (vectors * values.unsqueeze(-2)).numpy())


@pytest.mark.parametrize("x", SHAPES.values(), ids=SHAPES.keys())
def test_the_pseudo_inverse_meets_penrose(x: np.ndarray) -> None:
    p = linalg.pinv(lamina.tensor(x)).numpy()
    assert np.allclose(x @ p @ x, x)
    assert np.allclose(p @ x @ p, p)
    assert np.allclose((x @ p).mT, x @ p)
    assert np.allclose((p @ x).mT, p @ x)


def test_rank_counts_what_exceeds_the_tolerance() -> None:
    x = lamina.tensor(
        [[[1.0, 0.0], [0.0, 1e-9]], [[1.0, 2.0], [2.0, 4.0]], [[3.0, 0.0], [0.0, 2.0]]]
    )
    assert linalg.matrix_rank(x).tolist() == [1, 1, 2]
    assert linalg.matrix_rank(x, rtol=lamina.tensor([1e-10, 1e-6, 0.9])).tolist() == [2, 1, 1]


@pytest.mark.parametrize("n", [-2, -1, 0, 1, 2, 3, 7])
def test_powers_are_repeated_products(n: int) -> None:
    base = SQUARE if n >= 0 else np.linalg.inv(SQUARE)
    expected = np.broadcast_to(np.eye(3), SQUARE.shape)
    for _ in range(abs(n)):
        expected = expected @ base
    assert close(linalg.matrix_power(lamina.tensor(SQUARE), n), expected, 1e-9)


NORMS: dict[object, Callable[[np.ndarray], float]] = {
    "fro": lambda m: math.sqrt((m * m).sum()),
    1: lambda m: abs(m).sum(0).max(),
    -1: lambda m: abs(m).sum(0).min(),
    math.inf: lambda m: abs(m).sum(1).max(),
    -math.inf: lambda m: abs(m).sum(1).min(),
    2: lambda m: math.sqrt(np.linalg.eigvalsh(m.T @ m)[-1]),
    -2: lambda m: math.sqrt(np.linalg.eigvalsh(m.T @ m)[0]),
    "nuc": lambda m: np.sqrt(np.linalg.eigvalsh(m.T @ m)).sum(),
}


@pytest.mark.parametrize("order", NORMS, ids=str)
def test_matrix_norms(order: object) -> None:
    expected = [NORMS[order](m) for m in TALL]
    assert close(linalg.matrix_norm(lamina.tensor(TALL), ord=order), np.array(expected), 1e-9)
    kept = linalg.matrix_norm(lamina.tensor(TALL), ord=order, keepdims=True)
    assert kept.shape == (2, 1, 1)
    moved = linalg.norm(lamina.tensor(np.moveaxis(TALL, 0, -1)), order, dim=(0, 1))
    assert close(moved, np.array(expected), 1e-9)


def test_trace_of_integers_is_wide() -> None:
    x = lamina.tensor([[100, 1], [2, 100]], dtype=lamina.int8)
    total = linalg.trace(x)
    assert total.item() == 200
    assert total.dtype is lamina.int64
    assert linalg.trace(x, offset=1).item() == 1


@pytest.mark.parametrize(
    "function", [linalg.inv, linalg.det, linalg.cholesky, linalg.eigh, linalg.eig]
)
def test_only_square_matrices(function: Callable[..., object]) -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3\) given; expected square"):
        function(lamina.zeros(2, 3))


def test_what_does_not_exist_is_said() -> None:
    with pytest.raises(MatrixError, match="inv: singular"):
        linalg.inv(lamina.zeros(2, 2))
    with pytest.raises(MatrixError, match="cholesky: matrix is not positive definite"):
        linalg.cholesky(-lamina.eye(2))
    with pytest.raises(DTypeError, match="float16 given"):
        linalg.inv(lamina.eye(2, dtype=lamina.float16))
    with pytest.raises(ShapeError, match="right-hand sides"):
        linalg.solve(lamina.eye(2), lamina.zeros(3))
    with pytest.raises(ArgumentError, match="mode 'r'"):
        linalg.qr(lamina.eye(2), mode="r")
    with pytest.raises(ArgumentError, match="order 3"):
        linalg.matrix_norm(lamina.eye(2), ord=3)


def test_no_derivative_where_a_factor_is_not_unique() -> None:
    x = lamina.tensor(TALL, requires_grad=True)
    with pytest.raises(GradientError, match="full U and Vh"):
        linalg.svd(x).U.sum().backward()
    with pytest.raises(GradientError, match="complete Q"):
        linalg.qr(x, mode="complete").Q.sum().backward()


def test_single_precision_stays_single() -> None:
    x = lamina.tensor(SQUARE, dtype=lamina.float32)
    for value in (linalg.inv(x), linalg.det(x), *linalg.svd(x), linalg.pinv(x), *linalg.eigh(x)):
        assert value.dtype is lamina.float32
