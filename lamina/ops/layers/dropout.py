"""Dropout: elements set to zero at random, by masks that are never stored."""

from dataclasses import dataclass
from functools import cache
from math import prod, sqrt
from typing import Any, final

import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.errors import ArgumentError, DTypeError, ShapeError
from lamina.kernels import random
from lamina.layout import Shape
from lamina.memory import Array, Spec, of_numpy
from lamina.memory.array import NDArray, scratch, scratch_full
from lamina.ops.halves import wide_dtype, widened
from lamina.ops.registry import Kernel, Op, Value, define, in_c_order
from lamina.philox import Generator, default_generator, stream

# SELU's value far left of 0, −scale·alpha (Klambauer et al., "Self-Normalizing Neural Networks").
_SELU_FLOOR = -1.7580993408473766


@define
@final
@dataclass(frozen=True, slots=True)
class Dropout(Op):
    """x / (1 − p) where the element is kept, 0 elsewhere.

    The second input names the draw: its seed and its number, uint64. Element i in C order is kept
    if the i-th 32-bit word of the draw is at least p·2³² (the lower half of a 64-bit word first).
    The mask is made anew for the derivative.
    """

    name = "dropout"
    saves = (1,)
    promotes_from = 2
    p: float

    def infer(self, *inputs: Spec) -> Spec:
        x, numbers = inputs
        if x.dtype.kind != "float":
            raise DTypeError(f"dropout: {x.dtype.name} given, expected a real float")
        if numbers != _NUMBERS:
            raise DTypeError(
                f"dropout: draw {numbers.dtype.name} {numbers.shape} given; expected two numbers "
                "of uint64, a seed and a count: generator.numbers()"
            )
        return x

    def ref(self, *inputs: NDArray) -> NDArray:
        x, numbers = widened(inputs[0]), inputs[1]
        if self.p >= 1:
            return scratch_full(x.shape, x.dtype, 0)
        factor = scratch(x.shape, x.dtype)
        np.multiply(self.keeps(x.shape, numbers), x.dtype.type(1 / (1 - self.p)), out=factor)
        return np.multiply(factor, x, out=factor)

    def lower(self, *inputs: Spec) -> Kernel | None:
        return self._drop if self.p < 1 else None

    def _drop(self, out: Array, x: Array, numbers: Array) -> None:
        line, state = in_c_order(x), in_c_order(numbers)
        limits = _limits(self.p, wide_dtype(x.dtype))
        recipe = random.dropout(x.dtype.name)
        addresses = (out.address, line.address, *(limit.address for limit in limits))
        random.run_random(recipe, prod(x.shape), state.address, addresses)

    def keeps(self, shape: Shape, numbers: NDArray) -> NDArray:
        """Return which elements of `shape` are kept."""
        count = prod(shape)
        state = (int(numbers[0]), int(numbers[1]))
        raw = stream(state).bit_generator.random_raw((count + 1) // 2)
        words: NDArray = np.asarray(raw).astype("<u8", copy=False).view("<u4")[:count]
        return (words >= np.uint32(_threshold(self.p))).reshape(shape)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (self(grad, inputs[1]), None)


_NUMBERS = Spec((2,), dtypes.uint64)


def _threshold(p: float) -> int:
    return min(round(p * 2**32), 2**32 - 1)


@cache
def _limits(p: float, dtype: DType) -> tuple[Array, Array]:
    """Return what the kernel reads of p: the least word that keeps, and the scale in `dtype`."""
    threshold = np.array(_threshold(p), np.uint32)
    return of_numpy(threshold), of_numpy(np.array(1 / (1 - p), dtype.numpy))


def dropout(x: Value, p: float = 0.5, generator: Generator = default_generator) -> Value:
    """Return `x` with elements set to 0 with probability `p`, the others divided by 1 − `p`.

    The mask is the next draw of `generator`. Srivastava et al., "Dropout" (2014).

    >>> import lamina
    >>> sorted(set(dropout(lamina.ones(99), 0.5).tolist()))
    [0.0, 2.0]
    """
    _check_probability("dropout", p)
    return Dropout(p)(x, generator.numbers()) if p > 0 else x


def feature_dropout(x: Value, p: float = 0.5, generator: Generator = default_generator) -> Value:
    """Return `x` with whole channels set to 0 with probability `p`, the others divided by 1 − `p`.

    `x` is (N, C, …). Tompson et al., "Efficient Object Localization" (2015).
    """
    _check_probability("feature_dropout", p)
    return x * dropout(x.new_ones(_per_channel(x)), p, generator) if p > 0 else x


def alpha_dropout(x: Value, p: float = 0.5, generator: Generator = default_generator) -> Value:
    """Return `x` with elements set to SELU's floor with probability `p`, then scaled and shifted.

    Mean 0 and variance 1 stay what they are. Klambauer et al., "Self-Normalizing Neural Networks"
    (2017).
    """
    _check_probability("alpha_dropout", p)
    return _with_floor(x, x.shape, p, generator)


def feature_alpha_dropout(
    x: Value, p: float = 0.5, generator: Generator = default_generator
) -> Value:
    """Return `x` with whole channels set to SELU's floor with probability `p`, scaled and shifted.

    `x` is (N, C, …).
    """
    _check_probability("feature_alpha_dropout", p)
    return _with_floor(x, _per_channel(x), p, generator)


def _with_floor(x: Value, shape: Shape, p: float, generator: Generator) -> Value:
    if p == 0:
        return x
    if p == 1:
        return x * 0.0
    scale = 1 / sqrt((1 - p) * (1 + p * _SELU_FLOOR**2))
    kept = dropout(x.new_ones(shape), p, generator) * (1 - p)
    floor = (1.0 - kept) * (scale * _SELU_FLOOR) - scale * _SELU_FLOOR * p
    return x * (kept * scale) + floor


def _per_channel(x: Value) -> Shape:
    if len(x.shape) < 2:
        raise ShapeError(f"dropout of channels: {x.shape} given; expected (N, C, …)")
    return (*x.shape[:2], *(1,) * (len(x.shape) - 2))


def _check_probability(name: str, p: float) -> None:
    if not 0 <= p <= 1:
        raise ArgumentError(f"{name}: probability {p} given; expected 0 to 1")
