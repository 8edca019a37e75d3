"""Normalisation by own statistics: mean and variance, what is made of them, and the gradients."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any, final

import numpy as np

from lamina.dtypes import DType
from lamina.errors import DTypeError, ShapeError
from lamina.kernels.normalize import (
    Weights,
    moments_program,
    normalize_gradient_program,
    normalize_program,
)
from lamina.kernels.reduction.folds import computed_dtype
from lamina.kernels.reduction.plan import neighbours
from lamina.kernels.reduction.program import Program
from lamina.layout import Shape, broadcast_shapes
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.elementwise.functions import sqrt
from lamina.ops.halves import wide_dtype, widened
from lamina.ops.pointwise import unbroadcast
from lamina.ops.programmed import Programmed, Work
from lamina.ops.reductions.folding import reduced_shape
from lamina.ops.reductions.sum_products import sum_products, summed_products
from lamina.ops.registry import OUT, Op, Value, define


@define
@final
@dataclass(frozen=True, slots=True)
class Moments(Programmed):
    """Mean and biased variance over the axes, which stay with size 1; float32 for 16-bit inputs."""

    name = "moments"
    saves = (0, OUT)
    axes: tuple[int, ...]

    def infer(self, *inputs: Spec) -> tuple[Spec, ...]:
        (x,) = inputs
        check_float(self, x.dtype)
        spec = Spec(reduced_shape(x.shape, self.axes, True), wide_dtype(x.dtype))
        return spec, spec

    def ref(self, *inputs: NDArray) -> tuple[NDArray, NDArray]:
        x = widened(inputs[0])
        mean = x.mean(axis=self.axes, keepdims=True, dtype=x.dtype)
        centred = x - mean
        return mean, summed_products(centred, centred, self.axes) / self._count(x.shape)

    def work(self, *inputs: Spec) -> Work | None:
        (x,) = inputs
        program = moments_program(x.dtype.name)
        return Work(program, neighbours(self.axes), (float(self._count(x.shape)),))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,), (mean, _), (by_mean, by_variance) = inputs, out, grad
        share = 1 / self._count(x.shape)
        return ((x - mean) * (by_variance * (2 * share)) + by_mean * share,)

    def _count(self, shape: Shape) -> int:
        return max(prod(shape[a] for a in self.axes), 1)


@define
@final
@dataclass(frozen=True, slots=True)
class Standardize(Programmed):
    """(x − m) / √(v + eps) · weight + bias, m and v being mean and variance of `x` over the axes.

    Without `centred` m is 0, and v the mean of the squares. Weight and bias, where there are any,
    have as many axes as `x` and stretch along those of size 1.
    """

    name = "standardize"
    axes: tuple[int, ...]
    eps: float
    centred: bool = True
    has_weight: bool = False
    has_bias: bool = False

    def infer(self, *inputs: Spec) -> Spec:
        x = inputs[0]
        check_float(self, x.dtype)
        check_stretches(self, x, *inputs[1:])
        return x

    def ref(self, *inputs: NDArray) -> NDArray:
        x, *others = map(widened, inputs)
        hat, _ = _standardized(x, self.axes, self.eps, centred=self.centred)
        if self.has_weight:
            hat = hat * others[0]
        return hat + others[-1] if self.has_bias else hat

    def work(self, *inputs: Spec) -> Work | None:
        x, *others = inputs
        program = normalize_program(
            x.dtype.name,
            centred=self.centred,
            has_weight=self.has_weight,
            has_bias=self.has_bias,
        )
        return _work(program, self.axes, self.eps, x, others)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        x, *others = inputs
        weight = others[0] if self.has_weight else None
        by_bias = (lambda: unbroadcast(grad, others[-1]),) if self.has_bias else ()
        if weight is None:
            op = StandardizeGradient(self.axes, self.eps, self.centred)
            return (lambda: op(grad, x), *by_bias)
        op = StandardizeGradient(self.axes, self.eps, self.centred, True)
        if _variation(x.shape, weight.shape, self.axes) == "other":
            hat = Standardize(self.axes, self.eps, self.centred)
            by_weight = (lambda: unbroadcast(grad * hat(x), weight),)
            return (lambda: op(grad, x, weight), *by_weight, *by_bias)
        gradients = cache(lambda: op(grad, x, weight))
        has_same = self.has_bias and others[1].shape == weight.shape
        last = (lambda: gradients()[2],) if has_same else by_bias
        return (lambda: gradients()[0], lambda: gradients()[1], *last)


@define
@final
@dataclass(frozen=True, slots=True)
class StandardizeGradient(Programmed):
    """The gradients of x, weight and bias of `standardize`, given those of its output.

    With h = grad · weight, x̂ and r as there, and means over the axes:

        x̄ = r · (h − mean h − x̂ · mean(h·x̂)),  w̄ = Σ grad · x̂,  b̄ = Σ grad

    w̄ and b̄ are there for a weight that is constant over the axes, or varies with all of them alone.
    """

    name = "standardize_gradient"
    axes: tuple[int, ...]
    eps: float
    centred: bool = True
    has_weight: bool = False

    def _variation(self, inputs: Sequence[Any]) -> Weights:
        if not self.has_weight:
            return "none"
        return _variation(inputs[1].shape, inputs[2].shape, self.axes)

    def infer(self, *inputs: Spec) -> Spec | tuple[Spec, ...]:
        grad, x, *weight = inputs
        check_float(self, x.dtype)
        check_stretches(self, x, grad, *weight)
        has_all = self._variation(inputs) in ("results", "terms")
        return (x, weight[0], weight[0]) if has_all else x

    def ref(self, *inputs: NDArray) -> Any:
        grad, x, *weight = map(widened, inputs)
        hat, rate = _standardized(x, self.axes, self.eps, centred=self.centred)
        inner = grad * weight[0] if weight else grad
        moment = (inner * hat).mean(axis=self.axes, keepdims=True)
        centre = inner.mean(axis=self.axes, keepdims=True) if self.centred else 0
        by_x = rate * (inner - centre - hat * moment)
        if self._variation(inputs) not in ("results", "terms"):
            return by_x
        over = tuple(a for a, n in enumerate(weight[0].shape) if n == 1)
        return (by_x, *(part.sum(axis=over, keepdims=True) for part in (grad * hat, grad)))

    def work(self, *inputs: Spec) -> Work | None:
        _, x, *weight = inputs
        program = normalize_gradient_program(
            x.dtype.name, self._variation(inputs), centred=self.centred
        )
        return _work(program, self.axes, self.eps, x, weight)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return _second_gradients(self, grad, *inputs)


def _second_gradients(op: StandardizeGradient, grad: Value, *inputs: Value) -> tuple[Any, ...]:
    """Return the gradients of the inputs of `op`, given those of its outputs.

    Each is written with the gradient P of a plain `standardize`, which is its own transpose: with
    u, v and z the gradients of x̄, w̄ and b̄,

        ḡ = w·P(u) + v·x̂ + z,   w̄ = Σ g·P(u),
        x̄ = P(v·g) − r·(mean(x̂·u)·P(h) + mean(x̂·h)·P(u)) − r²·x̂·A / n,
        A = Σ h·u − n·mean(h)·mean(u) − n·mean(x̂·h)·mean(x̂·u)
    """
    given, x, *weights = inputs
    has_all = isinstance(grad, tuple)
    by_x = grad[0] if has_all else grad
    weight = weights[0] if weights else None
    share = 1 / max(prod(x.shape[a] for a in op.axes), 1)
    plain = StandardizeGradient(op.axes, op.eps, op.centred)
    hat = cache(lambda: Standardize(op.axes, op.eps, op.centred)(x))
    pulled = cache(lambda: plain(by_x, x))
    inner = given if weight is None else given * weight

    def mean(value: Value) -> Value:
        return value.sum(axis=op.axes, keepdims=True) * share

    def by_given() -> Value:
        total = pulled() if weight is None else pulled() * weight
        return total + grad[1] * hat() + grad[2] if has_all else total

    def by_input() -> Value:
        rate = _rate(x, op)
        ours, theirs = mean(hat() * by_x), mean(hat() * inner)
        rest = mean(inner * by_x) - ours * theirs
        if op.centred:
            rest = rest - mean(inner) * mean(by_x)
        drawn = ours * plain(inner, x) + theirs * pulled()
        total = -(drawn * rate) - hat() * (rest * rate * rate)
        return total + plain(grad[1] * given, x) if has_all else total

    if weight is None:
        return by_given, by_input
    return by_given, by_input, lambda: unbroadcast(given * pulled(), weight)


def _rate(x: Value, op: StandardizeGradient) -> Value:
    """Return 1 / √(variance + eps), or of the mean of the squares."""
    if op.centred:
        return 1.0 / sqrt(Moments(op.axes)(x)[1] + op.eps)
    share = 1 / max(prod(x.shape[a] for a in op.axes), 1)
    return 1.0 / sqrt(sum_products(x, x, op.axes) * share + op.eps)


def _standardized(
    x: NDArray, axes: tuple[int, ...], eps: float, *, centred: bool
) -> tuple[NDArray, NDArray]:
    """Return (x − mean) · rate, and the rate."""
    apart = x - x.mean(axis=axes, keepdims=True) if centred else x
    count = max(prod(x.shape[a] for a in axes), 1)
    rate = 1 / np.sqrt(summed_products(apart, apart, axes) / count + x.dtype.type(eps))
    return apart * rate, rate


def _variation(x: Shape, weight: Shape, axes: tuple[int, ...]) -> Weights:
    """Return what a weight varies with: all results alone, all terms alone, or otherwise."""
    inside = [weight[a] for a in axes]
    outside = [n for a, n in enumerate(weight) if a not in axes]
    if max(inside) == 1 and outside == [n for a, n in enumerate(x) if a not in axes]:
        return "results"
    is_whole = inside == [x[a] for a in axes]
    return "terms" if is_whole and max(outside, default=1) == 1 else "other"


def are_computed_alike(inputs: Sequence[Spec]) -> bool:
    """Return whether a kernel computes with all inputs in one dtype."""
    return len({computed_dtype(spec.dtype.name) for spec in inputs}) == 1


def _work(
    program: Program, axes: tuple[int, ...], eps: float, x: Spec, others: Sequence[Spec]
) -> Work | None:
    """Return the run of a program; neighbours stay together along which no operand changes ways."""
    if not are_computed_alike((x, *others)):
        return None
    groups: list[list[int]] = []
    for axis in sorted(axes):
        ways = [[spec.shape[a] > 1 for spec in others] for a in (axis - 1, axis)]
        is_alike = ways[0] == ways[1] or 1 in (x.shape[axis - 1], x.shape[axis])
        if groups and groups[-1][-1] == axis - 1 and is_alike:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    count = float(prod(x.shape[a] for a in axes))
    return Work(program, tuple(map(tuple, groups)), (count, eps))


def check_float(op: Op, dtype: DType) -> None:
    """Raise DTypeError for anything but a real float."""
    if dtype.kind != "float":
        raise DTypeError(f"{op.name}: {dtype.name} given, expected a real float; convert it first")


def check_stretches(op: Op, x: Spec, *others: Spec) -> None:
    """Raise ShapeError for a shape with other axes than `x`, or that does not stretch to it."""
    for other in others:
        if len(other.shape) != len(x.shape) or broadcast_shapes(x.shape, other.shape) != x.shape:
            raise ShapeError(f"{op.name}: {other.shape} given for {x.shape}; it must stretch")


def standardize(
    x: Value,
    axes: tuple[int, ...],
    weight: Value | None,
    bias: Value | None,
    eps: float,
    *,
    centred: bool = True,
) -> Value:
    """Return `x` normalised by its own statistics over `axes`, times `weight` plus `bias`."""
    op = Standardize(axes, eps, centred, weight is not None, bias is not None)
    return op(*(part for part in (x, weight, bias) if part is not None))
