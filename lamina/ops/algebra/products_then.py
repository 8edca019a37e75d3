"""Matrix products that go on with each sum before it is stored, and operands packed ahead.

These ops are made by programs: what they compute, other ops say one after the other.
"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina import dtypes
from lamina import layout as lay
from lamina.errors import ShapeError
from lamina.kernels.by_numpy import evaluate
from lamina.kernels.expression import Expression
from lamina.kernels.gemm import Epilogue, PackedRight, gemm, pack_right
from lamina.kernels.gemm.packed import packed_size
from lamina.layout import Shape, broadcast_shapes
from lamina.memory import Array, Spec
from lamina.memory.array import NDArray
from lamina.ops.algebra.products import Matmul
from lamina.ops.registry import Kernel, Op, Value, define


@define
@final
@dataclass(frozen=True, slots=True)
class PackRight(Op):
    """The right operand (k, n) of products in the order in which their kernel reads it."""

    name = "pack_right"
    differentiable = False

    def infer(self, *inputs: Spec) -> Spec:
        (b,) = inputs
        if len(b.shape) != 2:
            raise ShapeError(f"pack_right: {b.shape} given; expected a matrix (k, n)")
        return Spec((packed_size(b.shape, b.dtype.name),), b.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        # The order is the kernel's own: without one, the elements stand in theirs.
        (b,) = inputs
        out = np.zeros(packed_size(b.shape, b.dtype.name), b.dtype)
        out[: b.size] = b.reshape(-1)
        return out

    def lower(self, *inputs: Spec) -> Kernel | None:
        return _pack


@define
@final
@dataclass(frozen=True, slots=True)
class MatmulThen(Op):
    """expression(Σₖ a[…, i, k]·b[…, k, j], …) of further operands that stretch to the product.

    `Input(0)` is the sum. With `packed`, the columns of b, that is what `pack_right` made of it.
    """

    name = "matmul_then"
    differentiable = False

    expression: Expression
    dtype: str
    packed: int | None = None

    def infer(self, *inputs: Spec) -> Spec:
        a, b, *further = inputs
        product = Matmul().infer(a, b if self.packed is None else self._unpacked(a))
        shape = broadcast_shapes(product.shape, *(x.shape for x in further))
        if shape != product.shape:
            raise ShapeError(
                f"matmul_then: operands {[x.shape for x in further]} given; expected to stretch to "
                f"{product.shape}"
            )
        return Spec(shape, dtypes.as_dtype(self.dtype))

    def _unpacked(self, a: Spec) -> Spec:
        assert self.packed is not None
        return Spec((a.shape[-1], self.packed), a.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        a, b, *further = inputs
        if self.packed is not None:
            depth = a.shape[-1]
            b = b[: depth * self.packed].reshape(depth, self.packed)
        product = np.matmul(a, b)
        (found,) = evaluate((self.expression,), [product, *further])
        return np.broadcast_to(np.asarray(found), product.shape)

    def operations(self, output: Spec, *inputs: Spec) -> int:
        return Matmul().operations(output, *inputs)

    def lower(self, *inputs: Spec) -> Kernel | None:
        return self._multiply

    def _multiply(self, out: Array, a: Array, b: Array, *further: Array) -> None:
        epilogue = Epilogue(self.expression)
        if self.packed is None:
            lead = out.shape[:-2]
            gemm(out, _stretched(a, lead), _stretched(b, lead), epilogue=epilogue, inputs=further)
            return
        right = PackedRight(b.storage, (a.shape[-1], self.packed), b.dtype, b.address)
        gemm(out, a, right, epilogue=epilogue, inputs=further)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return Op.vjp(self, grad, out, *inputs)


def _stretched(x: Array, lead: Shape) -> Array:
    return x if x.shape[:-2] == lead else x.with_layout(lay.expand(x.layout, lead + x.shape[-2:]))


def _pack(out: Array, b: Array) -> None:
    pack_right(b, out)
