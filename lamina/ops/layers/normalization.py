"""Normalisation: by batch, layer, group, instance and root mean square.

All are one op, `standardize`, and differ in the axes; where the statistics are given it is
`normalize`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any, NamedTuple, final

import numpy as np

from lamina.errors import ArgumentError, ShapeError
from lamina.kernels.elementwise import compute
from lamina.kernels.expression import Expression, Input, apply
from lamina.layout import Shape
from lamina.memory import Array, Spec, empty
from lamina.memory.array import NDArray, scratch
from lamina.ops.elementwise.functions import sqrt
from lamina.ops.halves import wide_dtype, widened
from lamina.ops.layers.standardize import (
    Moments,
    are_computed_alike,
    check_float,
    check_stretches,
    standardize,
)
from lamina.ops.pointwise import unbroadcast
from lamina.ops.reductions.sum_products import sum_products
from lamina.ops.registry import Kernel, Op, Value, define
from lamina.ops.shapes.movement import reshape

_X: Expression = Input(0)


class _Parts(NamedTuple):
    """The inputs of `normalize` by name."""

    x: Any
    mean: Any
    variance: Any
    weight: Any
    bias: Any


@define
@final
@dataclass(frozen=True, slots=True)
class Normalize(Op):
    """(x − mean) / √(variance + eps) · weight + bias; mean, weight and bias where there are any.

    All have as many axes as `x` and stretch along those of size 1.
    """

    name = "normalize"
    saves = (0, 1, 2, 3)
    eps: float
    has_mean: bool = True
    has_weight: bool = False
    has_bias: bool = False

    def _named(self, inputs: Sequence[Any]) -> _Parts:
        given = iter(inputs)
        x = next(given)
        mean = next(given) if self.has_mean else None
        variance = next(given)
        weight = next(given) if self.has_weight else None
        return _Parts(x, mean, variance, weight, next(given) if self.has_bias else None)

    def infer(self, *inputs: Spec) -> Spec:
        x = inputs[0]
        check_float(self, x.dtype)
        check_stretches(self, x, *inputs[1:])
        if self.has_mean and inputs[1].shape != inputs[2].shape:
            raise ShapeError(
                f"normalize: mean {inputs[1].shape} and variance {inputs[2].shape} given; expected "
                "one shape"
            )
        return x

    def ref(self, *inputs: NDArray) -> NDArray:
        x, mean, variance, weight, bias = self._named([widened(a) for a in inputs])
        scale = 1 / np.sqrt(variance + self.eps)
        if weight is not None and weight.shape == scale.shape:
            scale, weight = scale * weight, None
        out = scratch(x.shape, x.dtype)
        np.multiply(x if mean is None else np.subtract(x, mean, out=out), scale, out=out)
        if weight is not None:
            out *= weight
        if bias is not None:
            out += bias
        return out

    def lower(self, *inputs: Spec) -> Kernel | None:
        return self._scale if are_computed_alike(inputs) else None

    def _scale(self, out: Array, *inputs: Array) -> None:
        """Fold variance and weight into a scale, then go over `x` once."""
        parts = self._named(inputs)
        rate = 1.0 / apply("sqrt", Input(0) + self.eps)
        scale = empty(parts.variance.shape, wide_dtype(parts.variance.dtype))
        weight = parts.weight
        if weight is not None and weight.shape == scale.shape:
            compute([rate * Input(1)], [scale], [parts.variance, weight])
            weight = None
        else:
            compute([rate], [scale], [parts.variance])
        operands, value = [parts.x], _X
        for function, part in (
            ("subtract", parts.mean),
            ("multiply", scale),
            ("multiply", weight),
            ("add", parts.bias),
        ):
            if part is not None:
                value = apply(function, value, Input(len(operands)))
                operands.append(part)
        compute([value], [out], operands)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        x, mean, variance, weight, bias = self._named(inputs)
        axes = tuple(a for a, n in enumerate(variance.shape) if n == 1)
        rate = 1.0 / sqrt(variance + self.eps)
        centred = cache(lambda: x if mean is None else x - mean)
        # A weight that is constant over the axes of the statistics moves out of their sums.
        is_outside = weight is not None and weight.shape == variance.shape
        inner = grad if weight is None or is_outside else grad * weight
        scale = rate * weight if is_outside else rate
        total = cache(lambda: inner.sum(axis=axes, keepdims=True))
        moment = cache(lambda: sum_products(inner, centred(), axes))
        rules = (
            lambda: inner * scale,
            lambda: -scale * total(),
            lambda: scale * rate * rate * moment() * -0.5,
            lambda: rate * moment() if is_outside else _by_weight(grad, centred() * rate, weight),
            lambda: unbroadcast(grad, bias),
        )
        parts = (x, mean, variance, weight, bias)
        return tuple(r for r, part in zip(rules, parts, strict=True) if part is not None)


def _by_weight(grad: Value, normalized: Value, weight: Value) -> Value:
    axes = tuple(a for a, n in enumerate(weight.shape) if n == 1)
    return sum_products(grad, normalized, axes)


def normalize(
    x: Value,
    mean: Value | None,
    variance: Value,
    weight: Value | None,
    bias: Value | None,
    eps: float,
) -> Value:
    """Return (`x` − `mean`) / √(`variance` + `eps`) · `weight` + `bias`, of whatever is given."""
    op = Normalize(eps, mean is not None, weight is not None, bias is not None)
    return op(*(part for part in (x, mean, variance, weight, bias) if part is not None))


def batch_norm(
    x: Value,
    running_mean: Value | None,
    running_var: Value | None,
    weight: Value | None = None,
    bias: Value | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    """Return `x` normalised a channel, by the batch's statistics (`training`) or the running ones.

        (x − mean) / √(var + eps) · weight + bias

    `x` is (N, C, …), all others (C,). In training the running statistics move in place towards the
    batch's by the share `momentum`, the variance then being the unbiased one. ShapeError where
    training sees fewer than two values a channel. Ioffe and Szegedy, "Batch Normalization" (2015).

    >>> import lamina
    >>> batch_norm(lamina.tensor([[1.0], [3.0]]), None, None, training=True, eps=0.0)
    Tensor([[-1.],
            [ 1.]])
    """
    channels = _channels("batch_norm", x)
    _check_sizes("batch_norm", (channels,), running_mean, running_var, weight, bias)
    if not training and (running_mean is None or running_var is None):
        raise ArgumentError("batch_norm: no running statistics given; pass them, or training=True")
    shape = (1, channels, *(1,) * (len(x.shape) - 2))
    if training:
        axes = (0, *range(2, len(x.shape)))
        count = prod(x.shape[a] for a in axes)
        if count < 2:
            raise ShapeError(
                f"batch_norm: {x.shape} given in training; expected at least 2 values a channel"
            )
        if running_mean is not None or running_var is not None:
            mean, variance = Moments(axes)(x.detach())
            _move_towards(running_mean, mean, momentum)
            _move_towards(running_var, variance * (count / (count - 1)), momentum)
        return standardize(x, axes, _shaped(weight, shape), _shaped(bias, shape), eps)
    mean, variance = reshape(running_mean, shape), reshape(running_var, shape)
    return normalize(x, mean, variance, _shaped(weight, shape), _shaped(bias, shape), eps)


def instance_norm(
    x: Value,
    running_mean: Value | None = None,
    running_var: Value | None = None,
    weight: Value | None = None,
    bias: Value | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    """Return `x` normalised for each sample and channel over its spatial axes.

    `x` is (N, C, *S), all others (C,). Running statistics, where given, move towards the mean over
    the batch; without `use_input_stats` they are what `x` is normalised by.

    >>> import lamina
    >>> instance_norm(lamina.tensor([[[1.0, 3.0]]]), eps=0.0)
    Tensor([[[-1.,  1.]]])
    """
    channels = _channels("instance_norm", x)
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    _check_sizes("instance_norm", (channels,), running_mean, running_var, weight, bias)
    axes = tuple(range(2, len(x.shape)))
    count = prod(x.shape[2:])
    if not axes or count < 2:
        raise ShapeError(f"instance_norm: {x.shape} given; expected at least 2 places a channel")
    if running_mean is not None or running_var is not None:
        mean, variance = Moments(axes)(x.detach())
        _move_towards(running_mean, _batch_mean(mean), momentum)
        _move_towards(running_var, _batch_mean(variance * (count / (count - 1))), momentum)
    shape = (1, channels, *(1,) * len(axes))
    return standardize(x, axes, _shaped(weight, shape), _shaped(bias, shape), eps)


def group_norm(
    x: Value,
    num_groups: int,
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
) -> Value:
    """Return `x` normalised for each sample over each of `num_groups` groups of channels.

    `x` is (N, C, …), `weight` and `bias` (C,); C must divide by `num_groups`. Wu and He, "Group
    Normalization" (2018).

    >>> import lamina
    >>> group_norm(lamina.tensor([[1.0, 3.0, 10.0, 30.0]]), 2, eps=0.0)
    Tensor([[-1.,  1., -1.,  1.]])
    """
    channels = _channels("group_norm", x)
    if num_groups < 1 or channels % num_groups:
        raise ShapeError(
            f"group_norm: {channels} channels given with num_groups={num_groups}; expected a "
            "number that divides the channels"
        )
    _check_sizes("group_norm", (channels,), weight, bias)
    each = channels // num_groups
    split = reshape(x, (x.shape[0], num_groups, each, prod(x.shape[2:])))
    shape = (1, num_groups, each, 1)
    out = standardize(split, (2, 3), _shaped(weight, shape), _shaped(bias, shape), eps)
    return reshape(out, x.shape)


def layer_norm(
    x: Value,
    normalized_shape: int | Sequence[int],
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
) -> Value:
    """Return `x` normalised over its last axes, those of `normalized_shape`; variance is biased.

    `x` is (…, *normalized_shape), `weight` and `bias` have that shape. Ba, Kiros and Hinton, "Layer
    Normalization" (2016).

    >>> import lamina
    >>> layer_norm(lamina.tensor([[1.0, 3.0]]), 2, eps=0.0)
    Tensor([[-1.,  1.]])
    """
    sizes = _last_sizes("layer_norm", x, normalized_shape)
    _check_sizes("layer_norm", sizes, weight, bias)
    lead = len(x.shape) - len(sizes)
    axes, shape = tuple(range(lead, len(x.shape))), (1,) * lead + sizes
    return standardize(x, axes, _shaped(weight, shape), _shaped(bias, shape), eps)


def rms_norm(
    x: Value,
    normalized_shape: int | Sequence[int],
    weight: Value | None = None,
    eps: float | None = None,
) -> Value:
    """Return `x` / √(mean of `x`² + `eps`) · `weight` over the axes of `normalized_shape`.

    `eps` is by default the step of the dtype at 1 (float32's for 16 bits). Zhang and Sennrich,
    "Root Mean Square Layer Normalization" (2019).

    >>> import lamina
    >>> rms_norm(lamina.tensor([[3.0, 4.0]]), 2) * 12.5**0.5
    Tensor([[3., 4.]])
    """
    sizes = _last_sizes("rms_norm", x, normalized_shape)
    _check_sizes("rms_norm", sizes, weight)
    lead = len(x.shape) - len(sizes)
    axes = tuple(range(lead, len(x.shape)))
    smallest = float(np.finfo(wide_dtype(x.dtype).numpy).eps) if eps is None else eps
    scale = _shaped(weight, (1,) * lead + sizes)
    return standardize(x, axes, scale, None, smallest, centred=False)


def _channels(name: str, x: Value) -> int:
    if len(x.shape) < 2:
        raise ShapeError(f"{name}: {x.shape} given; expected (N, C, …)")
    channels: int = x.shape[1]
    return channels


def _last_sizes(name: str, x: Value, given: int | Sequence[int]) -> Shape:
    sizes = (given,) if isinstance(given, int) else tuple(given)
    if not sizes or x.shape[-len(sizes) :] != sizes:
        raise ShapeError(
            f"{name}: {x.shape} given with normalized_shape {sizes}; expected its last sizes"
        )
    return sizes


def _check_sizes(name: str, shape: Shape, *values: Value | None) -> None:
    for value in values:
        if value is not None and value.shape != shape:
            raise ShapeError(f"{name}: weight or statistics {value.shape} given, expected {shape}")


def _shaped(value: Value | None, shape: Shape) -> Value | None:
    return None if value is None else reshape(value, shape)


def _batch_mean(value: Value) -> Value:
    return value.sum(axis=0) * (1 / max(value.shape[0], 1))


def _move_towards(running: Value | None, value: Value, momentum: float) -> None:
    """Write running · (1 − momentum) + value · momentum into `running`."""
    if running is not None:
        running.mul_(1.0 - momentum)
        running.add_(reshape(value.detach(), running.shape), alpha=momentum)
