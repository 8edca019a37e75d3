"""Reductions that add or multiply: sum, mean, product, variance, norm, log-sum-exp."""

from dataclasses import dataclass
from math import inf, nan
from typing import Any, final

import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.elementwise.arithmetic import absolute, isinf, sign, where
from lamina.ops.elementwise.functions import exp
from lamina.ops.halves import widened
from lamina.ops.programmed import Work
from lamina.ops.reductions.folding import (
    Reduction,
    fold,
    folded_size,
    reduced_shape,
    restore_axes,
    spread,
    total,
)
from lamina.ops.reductions.scan import products_beside
from lamina.ops.registry import OUT, Value, define
from lamina.ops.shapes.movement import permute, reshape


@define
@final
@dataclass(frozen=True, slots=True)
class Sum(Reduction):
    """Σ x over the axes, in the dtype of the input; see `total` for the order."""

    name = "sum"
    saves = ()

    def ref(self, *inputs: NDArray) -> Any:
        return total(widened(inputs[0]), self)

    def work(self, *inputs: Spec) -> Work | None:
        return None if inputs[0].dtype is dtypes.bool_ else fold("sum", self.axes, inputs[0])

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (spread(grad, self, inputs[0].shape),)


@define
@final
@dataclass(frozen=True, slots=True)
class Mean(Reduction):
    """Σ x / n over the axes; NaN where n is 0."""

    name = "mean"
    promotion = "float"
    saves = ()

    def ref(self, *inputs: NDArray) -> Any:
        x = widened(inputs[0])
        return total(x, self) / x.dtype.type(folded_size(x.shape, self))

    def work(self, *inputs: Spec) -> Work | None:
        count = float(folded_size(inputs[0].shape, self))
        return fold("mean", self.axes, inputs[0], (count,))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        shape = inputs[0].shape
        return (spread(grad / max(folded_size(shape, self), 1), self, shape),)


@define
@final
@dataclass(frozen=True, slots=True)
class Product(Reduction):
    """Π x over the axes, in the dtype of the input.

    Its derivative multiplies what stands before each element with what stands behind it, so zeros
    are no exception.
    """

    name = "prod"

    def ref(self, *inputs: NDArray) -> Any:
        x = widened(inputs[0])
        return np.prod(x, axis=self.axes, dtype=x.dtype, keepdims=self.keepdims)

    def work(self, *inputs: Spec) -> Work | None:
        return None if inputs[0].dtype is dtypes.bool_ else fold("prod", self.axes, inputs[0])

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        kept = tuple(a for a in range(len(x.shape)) if a not in self.axes)
        order = (*kept, *self.axes)
        folded = permute(x, order)
        flat = reshape(folded, (*(x.shape[a] for a in kept), folded_size(x.shape, self)))
        others = reshape(products_beside(flat), folded.shape)
        back = tuple(order.index(a) for a in range(len(order)))
        return (spread(grad, self, x.shape) * permute(others, back),)


@define
@final
@dataclass(frozen=True, slots=True)
class Variance(Reduction):
    """Σ (x − mean)² / (n − correction) over the axes; NaN where the divisor is not positive."""

    name = "var"
    promotion = "float"
    correction: float = 0.0

    def result(self, dtype: DType) -> DType:
        return dtypes.real_of(dtype)

    def ref(self, *inputs: NDArray) -> Any:
        return _variance(widened(inputs[0]), self, self.correction)

    def work(self, *inputs: Spec) -> Work | None:
        count = float(folded_size(inputs[0].shape, self))
        return fold("var", self.axes, inputs[0], (count, max(count - self.correction, 0.0)))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        return (_pull(grad * 2, self, self.correction, x),)


@define
@final
@dataclass(frozen=True, slots=True)
class Deviation(Reduction):
    """√(Σ (x − mean)² / (n − correction)) over the axes; its gradient is 0 where it is 0."""

    name = "std"
    promotion = "float"
    saves = (0, OUT)
    correction: float = 0.0

    def result(self, dtype: DType) -> DType:
        return dtypes.real_of(dtype)

    def ref(self, *inputs: NDArray) -> Any:
        return np.sqrt(_variance(widened(inputs[0]), self, self.correction))

    def work(self, *inputs: Spec) -> Work | None:
        count = float(folded_size(inputs[0].shape, self))
        return fold("std", self.axes, inputs[0], (count, max(count - self.correction, 0.0)))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        return (_pull(grad / where(out == 0, 1.0, out), self, self.correction, x),)


def _variance(x: NDArray, op: Reduction, correction: float) -> NDArray:
    n = folded_size(x.shape, op)
    apart = x - total(x, op, keepdims=True) / x.dtype.type(n)
    square = apart.real**2 + apart.imag**2 if apart.dtype.kind == "c" else np.square(apart)
    return total(square, op) / square.dtype.type(max(n - correction, 0))


def _pull(grad: Value, op: Reduction, correction: float, x: Value) -> Value:
    """Return `grad`·(x − mean) / (n − correction)."""
    divisor = folded_size(x.shape, op) - correction
    mean = Mean(op.axes, True)(x)
    return restore_axes(grad * (1 / divisor if divisor > 0 else nan), op, x.shape) * (x - mean)


@define
@final
@dataclass(frozen=True, slots=True)
class Norm(Reduction):
    """(Σ |x|ᵖ)^(1/p) over the axes, for finite p ≠ 0; its gradient is 0 where it is 0."""

    name = "norm"
    promotion = "float"
    saves = (0, OUT)
    order: float = 2.0

    def result(self, dtype: DType) -> DType:
        return dtypes.real_of(dtype)

    def ref(self, *inputs: NDArray) -> Any:
        size = np.abs(widened(inputs[0]))
        if self.order == 1:
            return total(size, self)
        if self.order == 2:
            return np.sqrt(total(np.square(size), self))
        return total(size**self.order, self) ** (1 / self.order)

    def work(self, *inputs: Spec) -> Work | None:
        return fold(f"norm{self.order:.17g}", self.axes, inputs[0])

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        if self.order == 1:
            return (spread(grad, self, x.shape) * sign(x),)
        divisor = restore_axes(where(out == 0, 1.0, out), self, x.shape)
        share = restore_axes(grad, self, x.shape) / divisor
        if self.order == 2:
            return (share * x,)
        # |x|ᵖ⁻¹ = |x|·|x|ᵖ⁻² with x for |x| carries the sign; 0 stays 0 for p < 2 as well.
        size = absolute(x)
        ratio = where(size == 0, 1.0, size) / divisor
        return (share * divisor * (sign(x) * ratio ** (self.order - 1)),)


@define
@final
@dataclass(frozen=True, slots=True)
class LogSumExp(Reduction):
    """log Σ exp x over the axes, without overflow; −∞ of nothing."""

    name = "logsumexp"
    promotion = "float"
    saves = (0, OUT)

    def ref(self, *inputs: NDArray) -> Any:
        x = widened(inputs[0])
        peak = np.max(x, axis=self.axes, keepdims=True, initial=-np.inf)
        peak = np.where(np.isfinite(peak), peak, 0).astype(x.dtype, copy=False)
        out = np.log(total(np.exp(x - peak), self, keepdims=True)) + peak
        return out if self.keepdims else out.reshape(reduced_shape(x.shape, self.axes, False))

    def work(self, *inputs: Spec) -> Work | None:
        return fold("logsumexp", self.axes, inputs[0])

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        whole = restore_axes(out, self, x.shape)
        # ∞ − ∞ is NaN: the elements that are ∞ have weight 1 where the result is ∞, −∞ has none.
        gap = where((x == whole) & isinf(x), 0.0, x - whole)
        weight = where(x == -inf, 0.0, exp(gap))
        return (restore_axes(grad, self, x.shape) * weight,)
