"""Matrix products."""

from dataclasses import dataclass
from math import prod
from typing import Any, final

import numpy as np

from lamina import dtypes
from lamina import layout as lay
from lamina.errors import DTypeError, ShapeError
from lamina.kernels.expression import Input
from lamina.kernels.gemm import Epilogue, gemm
from lamina.layout import Shape, broadcast_shapes
from lamina.memory import Array, Spec
from lamina.memory.array import NDArray
from lamina.ops.halves import widened
from lamina.ops.pointwise import unbroadcast
from lamina.ops.registry import Kernel, Op, Value, define
from lamina.ops.shapes.movement import expand_dims, squeeze, swap_axes


@define
@final
@dataclass(frozen=True, slots=True)
class Matmul(Op):
    """out[…, i, j] = Σₖ a[…, i, k]·b[…, k, j], leading axes broadcast."""

    name = "matmul"
    bilinear = True
    promotion = "common"

    def infer(self, *inputs: Spec) -> Spec:
        a, b = inputs
        if len(a.shape) < 2 or len(b.shape) < 2 or a.shape[-1] != b.shape[-2]:
            raise ShapeError(
                f"matmul: {a.shape} @ {b.shape} given; expected (…, m, k) @ (…, k, n) with equal k"
            )
        if a.dtype is dtypes.bool_:
            raise DTypeError("matmul: bool given, expected numbers; convert with .to(lamina.int32)")
        try:
            lead = broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ShapeError as error:
            raise ShapeError(f"matmul: {error}") from None
        return Spec((*lead, a.shape[-2], b.shape[-1]), a.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        return np.matmul(*map(widened, inputs))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        a, b = inputs
        return (
            lambda: unbroadcast(grad @ swap_axes(b, -1, -2), a),
            lambda: unbroadcast(swap_axes(a, -1, -2) @ grad, b),
        )

    def operations(self, output: Spec, *inputs: Spec) -> int:
        return 2 * prod(output.shape) * inputs[0].shape[-1]

    def lower(self, *inputs: Spec) -> Kernel | None:
        dtype = inputs[0].dtype
        if dtype.kind == "float":
            return _multiply
        return _multiply_bytes if dtype in (dtypes.int8, dtypes.uint8) else None


def _multiply(out: Array, a: Array, b: Array, *, epilogue: Epilogue | None = None) -> None:
    lead = out.shape[:-2]
    gemm(out, _stretched(a, lead), _stretched(b, lead), epilogue=epilogue)


def _multiply_bytes(out: Array, a: Array, b: Array) -> None:
    # Whole numbers wrap around: the low byte of a sum of 32 bits is the sum of low bytes.
    _multiply(out, a, b, epilogue=_AS_STORED)


_AS_STORED = Epilogue(Input(0))


def _stretched(x: Array, lead: Shape) -> Array:
    return x if x.shape[:-2] == lead else x.with_layout(lay.expand(x.layout, lead + x.shape[-2:]))


def matmul(a: Value, b: Value) -> Value:
    """Return the matrix product of `a` and `b`; a vector counts as a row (left) or a column
    (right).

    `a` is (…, m, k) or (k,), `b` (…, k, n) or (k,); leading axes broadcast. ShapeError where the
    inner sizes differ.

    >>> import lamina
    >>> matmul(lamina.tensor([[1.0, 2.0]]), lamina.tensor([3.0, 4.0]))
    Tensor([11.])
    """
    is_row, is_column = len(np.shape(a)) == 1, len(np.shape(b)) == 1
    if not np.shape(a) or not np.shape(b):
        raise ShapeError("matmul: a 0-d operand was given; multiply it with * instead")
    left = expand_dims(a, 0) if is_row else a
    right = expand_dims(b, 1) if is_column else b
    out = Matmul()(left, right)
    gone = tuple(axis for axis, drop in ((-2, is_row), (-1, is_column)) if drop)
    return squeeze(out, gone) if gone else out
