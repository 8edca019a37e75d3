"""Sums of products along axes, without the products being stored."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina.errors import ShapeError
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.halves import wide_dtype, widened
from lamina.ops.programmed import Programmed, Work
from lamina.ops.reductions.folding import fold, reduced_shape
from lamina.ops.registry import Value, define


@define
@final
@dataclass(frozen=True, slots=True)
class SumProducts(Programmed):
    """Σ a·b over the axes, which stay with size 1; float32 for inputs of 16 bits."""

    name = "sum_products"
    promotion = "common"
    bilinear = True
    axes: tuple[int, ...]

    def infer(self, *inputs: Spec) -> Spec:
        a, b = inputs
        if a.shape != b.shape:
            raise ShapeError(f"sum_products: {a.shape} with {b.shape} given; expected equal shapes")
        return Spec(reduced_shape(a.shape, self.axes, True), wide_dtype(a.dtype))

    def ref(self, *inputs: NDArray) -> NDArray:
        a, b = inputs
        return summed_products(a, b, self.axes)

    def work(self, *inputs: Spec) -> Work | None:
        return fold("sum_products", self.axes, inputs[0])

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        a, b = inputs
        return (lambda: grad * b, lambda: grad * a)


def summed_products(a: NDArray, b: NDArray, axes: tuple[int, ...]) -> NDArray:
    """Return Σ a·b over `axes` of numpy arrays, the axes kept with size 1."""
    every = list(range(a.ndim))
    kept = [axis for axis in every if axis not in axes]
    total = np.einsum(widened(a), every, widened(b), every, kept)
    return np.reshape(total, reduced_shape(a.shape, axes, True))


def sum_products(a: Value, b: Value, axes: tuple[int, ...]) -> Value:
    """Return Σ `a`·`b` over `axes`, counted from the front and kept with size 1.

    >>> import lamina
    >>> x = lamina.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> sum_products(x, x, (1,))
    Tensor([[ 5.],
            [25.]])
    """
    return SumProducts(axes)(a, b)
