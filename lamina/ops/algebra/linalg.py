"""Linear algebra of square matrices: inverse, systems, determinants, Cholesky, powers.

Matrices are the last two axes, leading axes a batch. The reference is LAPACK, through numpy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, final

import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.errors import DTypeError, MatrixError, ShapeError
from lamina.layout import broadcast_shapes
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.algebra.products import matmul
from lamina.ops.elementwise.arithmetic import cast
from lamina.ops.pointwise import unbroadcast
from lamina.ops.registry import OUT, Op, Promotion, Value, define
from lamina.ops.shapes.copying import tril, triu
from lamina.ops.shapes.movement import diagonal, expand_dims, squeeze, swap_axes


class MatrixOp(Op):
    """An op that LAPACK computes: single or double precision, real or complex."""

    __slots__ = ()
    promotion: Promotion = "float"

    def check(self, x: Spec, *, square: bool) -> None:
        """Raise a typed error unless `x` holds matrices that LAPACK takes."""
        if len(x.shape) < 2 or (square and x.shape[-1] != x.shape[-2]):
            wanted = "square matrices, (…, n, n)" if square else "matrices, (…, m, n)"
            raise ShapeError(f"{self.name}: shape {x.shape} given; expected {wanted}")
        if x.dtype.itemsize == 2:
            raise DTypeError(
                f"{self.name}: {x.dtype.name} given, expected float32, float64 or complex; "
                "convert it with .to(lamina.float32)"
            )

    def lapack(self, function: Callable[..., Any], *arrays: Any) -> Any:
        """Return what numpy's `function` makes of `arrays`; MatrixError where it finds nothing."""
        try:
            return function(*arrays)
        except np.linalg.LinAlgError as error:
            reason = str(error).lower()
            raise MatrixError(
                f"{self.name}: {reason}; check the matrix, or add a small multiple of the "
                "identity to it"
            ) from None


@define
@final
@dataclass(frozen=True, slots=True)
class Inverse(MatrixOp):
    """X⁻¹."""

    name = "inv"
    saves = (OUT,)

    def infer(self, *inputs: Spec) -> Spec:
        self.check(inputs[0], square=True)
        return inputs[0]

    def ref(self, *inputs: NDArray) -> NDArray:
        return self.lapack(np.linalg.inv, *inputs)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        across = transposed(out)
        return (-(across @ grad @ across),)


@define
@final
@dataclass(frozen=True, slots=True)
class Solve(MatrixOp):
    """The X for which A·X = B, by LU with partial pivoting."""

    name = "solve"
    saves = (0, OUT)

    def infer(self, *inputs: Spec) -> Spec:
        a, b = inputs
        self.check(a, square=True)
        if len(b.shape) < 2 or b.shape[-2] != a.shape[-1]:
            raise ShapeError(
                f"solve: matrices {a.shape} and right-hand sides {b.shape} given; expected "
                "(…, n, n) with (…, n, k) or (n,)"
            )
        lead = broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return Spec((*lead, *b.shape[-2:]), b.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        return self.lapack(np.linalg.solve, *inputs)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        a, b = inputs
        back = self(transposed(a), grad)
        return (
            lambda: unbroadcast(-(back @ transposed(out)), a),
            lambda: unbroadcast(back, b),
        )


@define
@final
@dataclass(frozen=True, slots=True)
class Determinant(MatrixOp):
    """det X."""

    name = "det"

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        self.check(x, square=True)
        return Spec(x.shape[:-2], x.dtype)

    def ref(self, *inputs: NDArray) -> Any:
        return np.linalg.det(inputs[0])

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (grad[..., None, None] * Cofactors()(inputs[0]),)


@define
@final
@dataclass(frozen=True, slots=True)
class Cofactors(MatrixOp):
    """The derivative of the determinant: det X · X⁻ᵀ, which exists for singular X too.

    By singular values, X = U·diag(s)·Vᵀ: cof X = det U · det V · U·diag(Π_{j≠i} sⱼ)·Vᵀ. Its own
    derivative needs X to be regular.
    """

    name = "cofactors"
    saves = (0, OUT)

    def infer(self, *inputs: Spec) -> Spec:
        self.check(inputs[0], square=True)
        if inputs[0].dtype.is_complex:
            raise DTypeError("cofactors: complex matrices given; complex numbers have no gradient")
        return inputs[0]

    def ref(self, *inputs: NDArray) -> NDArray:
        u, s, vh = self.lapack(np.linalg.svd, inputs[0])
        others = np.where(np.eye(s.shape[-1], dtype=bool), 1, s[..., None, :]).prod(axis=-1)
        sign = np.round(np.linalg.det(u) * np.linalg.det(vh))
        return (u * (sign[..., None] * others)[..., None, :]) @ vh

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        across = transposed(Inverse()(inputs[0]))
        share = (grad * out).sum(axis=(-2, -1), keepdims=True)
        return (share * across - across @ transposed(grad) @ out,)


class SignLog(NamedTuple):
    """A determinant as sign and logarithm of its absolute value."""

    sign: Value
    logabsdet: Value


@define
@final
@dataclass(frozen=True, slots=True)
class SignLogDeterminant(MatrixOp):
    """Sign of det X, and log |det X|; the gradient comes through the second alone."""

    name = "slogdet"
    saves = (0,)

    def infer(self, *inputs: Spec) -> tuple[Spec, ...]:
        (x,) = inputs
        self.check(x, square=True)
        lead = x.shape[:-2]
        return Spec(lead, x.dtype), Spec(lead, dtypes.real_of(x.dtype))

    def ref(self, *inputs: NDArray) -> Any:
        return np.linalg.slogdet(inputs[0])

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (grad[1][..., None, None] * transposed(Inverse()(inputs[0])),)


@define
@final
@dataclass(frozen=True, slots=True)
class Cholesky(MatrixOp):
    """The triangular L of X = L·Lᵀ, or R of X = Rᵀ·R, of the symmetric part of X.

    Derivative: Murray, "Differentiation of the Cholesky decomposition", 2016, eq. 10.
    """

    name = "cholesky"
    saves = (OUT,)
    side: Literal["lower", "upper"] = "lower"

    def infer(self, *inputs: Spec) -> Spec:
        self.check(inputs[0], square=True)
        return inputs[0]

    def ref(self, *inputs: NDArray) -> NDArray:
        (x,) = inputs
        part = symmetric_part(x)
        return self.lapack(lambda a: np.linalg.cholesky(a, upper=self.side == "upper"), part)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        upper = self.side == "upper"
        across = out if upper else transposed(out)
        inner = across @ tril(transposed(grad) if upper else grad)
        half = (tril(inner) + tril(inner, -1)) * 0.5
        left = Solve()(across, half)
        full = transposed(Solve()(across, transposed(left)))
        return ((full + transposed(full)) * 0.5,)


def symmetric_part(x: NDArray) -> NDArray:
    """Return (X + Xᴴ)/2, which is X itself where X is symmetric or Hermitian."""
    return x * 0.5 + np.conj(np.swapaxes(x, -1, -2)) * 0.5


def transposed(x: Value) -> Value:
    """Return a view of `x` with rows and columns of each matrix exchanged."""
    return swap_axes(x, -1, -2)


def inv(x: Value) -> Value:
    """Return the inverse of each matrix; MatrixError where one is singular.

    >>> import lamina
    >>> inv(lamina.tensor([[2.0, 0.0], [0.0, 4.0]]))
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    return Inverse()(x)


def solve(a: Value, b: Value) -> Value:
    """Return X of A·X = B, for one vector (n,) or for matrices (…, n, k)."""
    if len(b.shape) == 1:
        return squeeze(Solve()(a, expand_dims(b, 1)), -1)
    return Solve()(a, b)


def det(x: Value) -> Value:
    """Return the determinant of each matrix."""
    return Determinant()(x)


def slogdet(x: Value) -> SignLog:
    """Return sign and log |det| of each matrix, which over- and underflow later than det does."""
    return SignLog(*SignLogDeterminant()(x))


def cholesky(x: Value, *, upper: bool = False) -> Value:
    """Return the Cholesky factor of each symmetric positive definite matrix.

    Of a matrix that is not symmetric, that of its symmetric part.
    """
    return Cholesky("upper" if upper else "lower")(x)


def matrix_power(x: Value, n: int) -> Value:
    """Return the n-th power of each square matrix, by squaring; n < 0 is a power of the inverse.

    >>> import lamina
    >>> matrix_power(lamina.tensor([[1, 1], [0, 1]]), 5)
    Tensor([[1, 5],
            [0, 1]])
    """
    if len(x.shape) < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"matrix_power: shape {x.shape} given; expected square ones, (…, n, n)")
    if n == 0:
        return triu(tril(x.new_ones(x.shape)))
    base = inv(x) if n < 0 else x
    power = base
    for bit in f"{abs(n):b}"[1:]:
        power = matmul(power, power)
        power = matmul(power, base) if bit == "1" else power
    return power


def trace(x: Value, offset: int = 0, *, dtype: DType | None = None) -> Value:
    """Return the sum along a diagonal of each matrix; integers add up in (u)int64."""
    along = diagonal(x, offset, -2, -1)
    return (along if dtype is None else cast(along, dtype)).sum(axis=-1, dtype=dtype)


def add_product(x: Value, a: Value, b: Value, *, beta: float = 1, alpha: float = 1) -> Value:
    """Return beta·x + alpha·(a @ b)."""
    product = matmul(a, b)
    return (x if beta == 1 else x * beta) + (product if alpha == 1 else product * alpha)
