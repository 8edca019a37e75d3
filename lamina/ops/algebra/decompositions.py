"""Eigenvalues, singular values and QR of matrices, and what is read off them.

Matrices are the last two axes, leading axes a batch. The reference is LAPACK, through numpy.
Of each eigenvector, and of each left singular vector, the largest component is made real and
positive, so that the vectors are unique where the values differ. Between equal values their
derivative counts as zero.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, final

import numpy as np

from lamina import dtypes
from lamina.errors import ArgumentError, GradientError, ShapeError
from lamina.layout import Shape, broadcast_shapes
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.algebra.linalg import MatrixOp, Solve, symmetric_part, transposed
from lamina.ops.elementwise.arithmetic import cast, where
from lamina.ops.reductions import reduction
from lamina.ops.registry import OUT, Op, Value, define
from lamina.ops.shapes.copying import concat, tril, triu


class EigenPairs(NamedTuple):
    """Eigenvalues (…, n), and eigenvectors as the columns of (…, n, n)."""

    eigenvalues: Value
    eigenvectors: Value


class Factors(NamedTuple):
    """An orthogonal and an upper triangular factor."""

    Q: Value
    R: Value


class SingularTriplet(NamedTuple):
    """X = U·diag(S)·Vh, the singular values S from the largest down."""

    U: Value
    S: Value
    Vh: Value


@define
@final
@dataclass(frozen=True, slots=True)
class Eigh(MatrixOp):
    """Eigenvalues, ascending, and eigenvectors of the symmetric part of matrices.

    Derivative: X̄ = V·(diag λ̄ + F∘(Vᵀ·V̄))·Vᵀ, F_ij = 1/(λⱼ − λᵢ); Giles, "Collected matrix
    derivative results", 2008, 3.1.
    """

    name = "eigh"
    saves = (OUT,)

    def infer(self, *inputs: Spec) -> tuple[Spec, ...]:
        (x,) = inputs
        self.check(x, square=True)
        return Spec(x.shape[:-1], dtypes.real_of(x.dtype)), x

    def ref(self, *inputs: NDArray) -> Any:
        values, vectors = self.lapack(np.linalg.eigh, symmetric_part(inputs[0]))
        return values, vectors / _direction(vectors)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        values, vectors = out
        gaps = _reciprocal(values[..., None, :] - values[..., :, None])
        turned = gaps * (transposed(vectors) @ grad[1])
        full = (vectors * grad[0][..., None, :] + vectors @ turned) @ transposed(vectors)
        return ((full + transposed(full)) * 0.5,)


@define
@final
@dataclass(frozen=True, slots=True)
class EigenvaluesH(MatrixOp):
    """Eigenvalues of the symmetric part of matrices, ascending: X̄ = V·diag(λ̄)·Vᵀ."""

    name = "eigvalsh"
    saves = (0,)

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        self.check(x, square=True)
        return Spec(x.shape[:-1], dtypes.real_of(x.dtype))

    def ref(self, *inputs: NDArray) -> NDArray:
        return self.lapack(np.linalg.eigvalsh, symmetric_part(inputs[0]))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        vectors = Eigh()(inputs[0])[1]
        return ((vectors * grad[..., None, :]) @ transposed(vectors),)


@define
@final
@dataclass(frozen=True, slots=True)
class Eig(MatrixOp):
    """Complex eigenvalues and eigenvectors of square matrices; no derivative."""

    name = "eig"
    differentiable = False

    def infer(self, *inputs: Spec) -> tuple[Spec, ...]:
        (x,) = inputs
        self.check(x, square=True)
        complex_dtype = dtypes.complex_of(x.dtype)
        return Spec(x.shape[:-1], complex_dtype), Spec(x.shape, complex_dtype)

    def ref(self, *inputs: NDArray) -> Any:
        values, vectors = self.lapack(np.linalg.eig, inputs[0])
        return values, vectors / _direction(vectors)


@define
@final
@dataclass(frozen=True, slots=True)
class QR(MatrixOp):
    """X = Q·R with orthonormal columns in Q and R upper triangular.

    Derivative: Walter and Lehmann, "Algorithmic differentiation of linear algebra functions with
    application in optimum experimental design", 2010, for full column rank.
    """

    name = "qr"
    saves = (0, OUT)
    mode: Literal["reduced", "complete"] = "reduced"

    def infer(self, *inputs: Spec) -> tuple[Spec, ...]:
        (x,) = inputs
        self.check(x, square=False)
        *lead, m, n = x.shape
        k = m if self.mode == "complete" else min(m, n)
        return Spec((*lead, m, k), x.dtype), Spec((*lead, k, n), x.dtype)

    def ref(self, *inputs: NDArray) -> Any:
        return np.linalg.qr(inputs[0], self.mode)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        m, n = inputs[0].shape[-2:]
        if self.mode == "complete" and m > n:
            raise GradientError(
                f"qr: the complete Q of a {m}×{n} matrix is not unique, so it has no derivative; "
                'use mode="reduced"'
            )
        if m >= n:
            return (_through_qr(*out, *grad),)
        # Only the first m columns decide Q; the others are Q·V.
        q, r = out
        to_q, to_r = grad
        beyond = inputs[0][..., m:] @ transposed(to_r[..., m:])
        first = _through_qr(q, r[..., :m], to_q + beyond, to_r[..., :m])
        return (concat((first, q @ to_r[..., m:]), axis=-1),)


def _through_qr(q: Value, r: Value, to_q: Value, to_r: Value) -> Value:
    inner = r @ transposed(triu(to_r)) - transposed(to_q) @ q
    mirrored = tril(inner) + transposed(tril(inner, -1))
    return transposed(Solve()(r, transposed(to_q + q @ mirrored)))


@define
@final
@dataclass(frozen=True, slots=True)
class SVD(MatrixOp):
    """X = U·diag(S)·Vᵀ, singular values from the largest down.

    Derivative: Townsend, "Differentiating the singular value decomposition", 2016, of the reduced
    form.
    """

    name = "svd"
    saves = (OUT,)
    full: bool = False

    def infer(self, *inputs: Spec) -> tuple[Spec, ...]:
        (x,) = inputs
        self.check(x, square=False)
        *lead, m, n = x.shape
        k = min(m, n)
        sizes = (m, n) if self.full else (k, k)
        singular = Spec((*lead, k), dtypes.real_of(x.dtype))
        return Spec((*lead, m, sizes[0]), x.dtype), singular, Spec((*lead, sizes[1], n), x.dtype)

    def ref(self, *inputs: NDArray) -> Any:
        u, s, vh = self.lapack(lambda x: np.linalg.svd(x, full_matrices=self.full), inputs[0])
        k = s.shape[-1]
        turn = _direction(u)
        vh[..., :k, :] *= np.swapaxes(turn, -1, -2)[..., :k, :]
        return u / turn, s, vh

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        m, n = inputs[0].shape[-2:]
        if self.full and m != n:
            raise GradientError(
                f"svd: the full U and Vh of a {m}×{n} matrix are not unique, so they have no "
                "derivative; use full_matrices=False"
            )
        u, s, vh = out
        to_u, to_s, to_vh = grad
        gaps = _reciprocal((s * s)[..., None, :] - (s * s)[..., :, None])
        from_u = gaps * (_skew(transposed(u) @ to_u))
        from_v = gaps * (_skew(vh @ transposed(to_vh)))
        inner = from_u * s[..., None, :] + s[..., :, None] * from_v
        full = (u * to_s[..., None, :] + u @ inner) @ vh
        if m > n:
            beyond = to_u - u @ (transposed(u) @ to_u)
            full = full + (beyond * _reciprocal(s)[..., None, :]) @ vh
        if n > m:
            beyond = to_vh - (to_vh @ transposed(vh)) @ vh
            full = full + (u * _reciprocal(s)[..., None, :]) @ beyond
        return (full,)


@define
@final
@dataclass(frozen=True, slots=True)
class SingularValues(MatrixOp):
    """Singular values from the largest down: X̄ = U·diag(s̄)·Vᵀ."""

    name = "svdvals"
    saves = (0,)

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        self.check(x, square=False)
        return Spec((*x.shape[:-2], min(x.shape[-2:])), dtypes.real_of(x.dtype))

    def ref(self, *inputs: NDArray) -> NDArray:
        return self.lapack(lambda x: np.linalg.svd(x, compute_uv=False), inputs[0])

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        u, _, vh = SVD()(inputs[0])
        return ((u * grad[..., None, :]) @ vh,)


@define
@final
@dataclass(frozen=True, slots=True)
class PseudoInverse(MatrixOp):
    """The Moore-Penrose inverse X⁺; singular values up to `rtol` times the largest count as zero.

    Derivative: Golub and Pereyra, "The differentiation of pseudo-inverses…", 1973, eq. 4.12, where
    the rank does not change.
    """

    name = "pinv"
    saves = (0, OUT)

    def infer(self, *inputs: Spec) -> Spec:
        x, rtol = inputs
        self.check(x, square=False)
        *lead, m, n = x.shape
        _check_tolerance(self, rtol, tuple(lead))
        return Spec((*lead, n, m), x.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        x, rtol = inputs
        return self.lapack(lambda a: np.linalg.pinv(a, rtol=rtol.real), x)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        x, _ = inputs
        across, back = transposed(out), transposed(grad)
        rows = (back - x @ (out @ back)) @ out @ across
        columns = across @ (out @ back)
        total = rows + columns - (columns @ out) @ x - across @ grad @ across
        return (total, None)


@define
@final
@dataclass(frozen=True, slots=True)
class Rank(MatrixOp):
    """How many singular values exceed `rtol` times the largest."""

    name = "matrix_rank"
    differentiable = False

    def infer(self, *inputs: Spec) -> Spec:
        x, rtol = inputs
        self.check(x, square=False)
        _check_tolerance(self, rtol, x.shape[:-2])
        return Spec(x.shape[:-2], dtypes.int64)

    def ref(self, *inputs: NDArray) -> NDArray:
        x, rtol = inputs
        values = self.lapack(lambda a: np.linalg.svd(a, compute_uv=False), x)
        bound = values.max(axis=-1, initial=0) * rtol.real
        return np.count_nonzero(values > np.asarray(bound)[..., None], axis=-1)


def _check_tolerance(op: Op, rtol: Spec, lead: Shape) -> None:
    if broadcast_shapes(rtol.shape, lead) != lead:
        raise ShapeError(
            f"{op.name}: rtol of shape {rtol.shape} given for a batch {lead}; expected a number or "
            "one for each matrix"
        )


def _direction(vectors: NDArray) -> NDArray:
    """Return the sign, or the phase, of the largest component of each column: (…, 1, n)."""
    size = np.abs(vectors)
    if 0 in size.shape:
        return np.ones((*size.shape[:-2], 1, size.shape[-1]), vectors.dtype)
    place = size.argmax(axis=-2)[..., None, :]
    return np.take_along_axis(vectors, place, -2) / np.take_along_axis(size, place, -2)


def _skew(x: Value) -> Value:
    return x - transposed(x)


def _reciprocal(x: Value) -> Value:
    """Return 1/x, and 0 where x is 0."""
    is_zero = x == 0
    return where(is_zero, 0.0, 1.0 / where(is_zero, 1.0, x))


def eigh(x: Value) -> EigenPairs:
    """Return eigenvalues, ascending, and eigenvectors of each symmetric matrix.

    Of a matrix that is not symmetric, those of its symmetric part.
    """
    return EigenPairs(*Eigh()(x))


def eigvalsh(x: Value) -> Value:
    """Return the eigenvalues of each symmetric matrix, ascending."""
    return EigenvaluesH()(x)


def eig(x: Value) -> EigenPairs:
    """Return complex eigenvalues and eigenvectors of each square matrix; they have no gradient."""
    return EigenPairs(*Eig()(x))


def qr(x: Value, mode: str = "reduced") -> Factors:
    """Return Q with orthonormal columns and upper triangular R with `x` = Q·R."""
    if mode == "reduced":
        return Factors(*QR("reduced")(x))
    if mode == "complete":
        return Factors(*QR("complete")(x))
    raise ArgumentError(f"qr: mode {mode!r} given; expected 'reduced' or 'complete'")


def svd(x: Value, *, full_matrices: bool = False) -> SingularTriplet:
    """Return U, S and Vh with `x` = U·diag(S)·Vh."""
    return SingularTriplet(*SVD(bool(full_matrices))(x))


def svdvals(x: Value) -> Value:
    """Return the singular values of each matrix, from the largest down.

    >>> import lamina
    >>> svdvals(lamina.tensor([[3.0, 0.0], [0.0, -4.0]]))
    Tensor([4., 3.])
    """
    return SingularValues()(x)


def pinv(x: Value, rtol: Value | float | None = None) -> Value:
    """Return the pseudo-inverse of each matrix; `rtol` is by default max(m, n)·eps."""
    return PseudoInverse()(x, _tolerance(x, rtol))


def matrix_rank(x: Value, rtol: Value | float | None = None) -> Value:
    """Return the rank of each matrix, an int64; `rtol` is by default max(m, n)·eps."""
    return Rank()(x, _tolerance(x, rtol))


def _tolerance(x: Value, rtol: Value | float | None) -> Value:
    real = dtypes.real_of(x.dtype)
    if rtol is None:
        precision = np.float64 if real is dtypes.float64 else np.float32
        return float(max(x.shape[-2:], default=0) * np.finfo(precision).eps)
    return rtol if isinstance(rtol, int | float) else cast(rtol, real)


def matrix_norm(x: Value, ord: str | float = "fro", *, keepdims: bool = False) -> Value:
    """Return a norm of each matrix: "fro", "nuc", or ±1, ±2, ±inf."""
    values = _matrix_norm(x, ord)
    return values[..., None, None] if keepdims else values


def _matrix_norm(x: Value, ord: str | float) -> Value:
    match ord:
        case "fro":
            return reduction.norm(x, 2, (-2, -1))
        case "nuc":
            return svdvals(x).sum(axis=-1)
        case 2 | -2:
            values = svdvals(x)
            return values[..., 0 if ord == 2 else -1]
        case 1 | -1:
            along = abs(x).sum(axis=-2)
        case _ if abs(float(ord)) == float("inf"):
            along = abs(x).sum(axis=-1)
        case _:
            raise ArgumentError(
                f"matrix_norm: order {ord!r} given; expected 'fro', 'nuc', ±1, ±2 or ±inf"
            )
    return reduction.max(along, -1) if float(ord) > 0 else reduction.min(along, -1)
