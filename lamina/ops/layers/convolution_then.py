"""Convolutions that go on with each sum before it is stored: made by programs."""

from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np

from lamina.errors import ShapeError
from lamina.kernels.by_numpy import evaluate
from lamina.kernels.convolution.ahead import Layer
from lamina.kernels.convolution.entry import conv as native_conv
from lamina.kernels.convolution.results import BIAS, RESIDUAL, reads
from lamina.kernels.expression import Expression
from lamina.layout import Shape, permute
from lamina.memory import Array, Spec
from lamina.memory.array import NDArray
from lamina.ops.layers.convolution import Conv
from lamina.ops.registry import Kernel, Op, define, in_c_order


@define
@final
@dataclass(frozen=True, slots=True)
class ConvThen(Op):
    """expression(conv(x, w), bias, residual): `Input(0)` is the sum.

    Where the expression reads them, `Input(1)` is a bias (O,), a number a channel, and `Input(2)` a
    residual of the shape of the output. Where a strategy is named `ahead`, the last input is what
    `prepare_filters` made of the weights for it. Channels that are `x_last` or `out_last` come
    after the spatial axes: x is (N, *S, C) then, or the output (N, *P, O).
    """

    name = "conv_then"
    differentiable = False

    conv: Conv
    expression: Expression
    ahead: str | None = None
    x_last: bool = False
    out_last: bool = False

    @property
    def has_bias(self) -> bool:
        """Whether a bias comes after the weights."""
        return reads(self.expression, BIAS)

    @property
    def has_residual(self) -> bool:
        """Whether a residual comes last."""
        return reads(self.expression, RESIDUAL)

    def infer(self, *inputs: Spec) -> Spec:
        x, w = inputs[:2]
        out = self.conv.infer(Spec(_first(x.shape), x.dtype) if self.x_last else x, w)
        channels = out.shape[1]
        if self.out_last:
            out = Spec(_last(out.shape), out.dtype)
        wanted = [Spec((channels,), out.dtype)] * self.has_bias + [out] * self.has_residual
        further = inputs[2:] if self.ahead is None else inputs[2:-1]
        if list(further) != wanted:
            raise ShapeError(f"conv_then: {inputs[2:]} given after the weights; expected {wanted}")
        return out

    def ref(self, *inputs: NDArray) -> NDArray:
        x, w, *further = inputs
        total = self.conv.ref(np.moveaxis(x, -1, 1) if self.x_last else x, w)
        if self.out_last:
            total = np.moveaxis(total, 1, -1)
        values = [total, total, total]
        if self.has_bias:
            axes = () if self.out_last else (1,) * len(self.conv.out_spatial)
            values[1] = further.pop(0).reshape(-1, *axes)
        if self.has_residual:
            values[2] = further.pop(0)
        (found,) = evaluate((self.expression,), values)
        return np.asarray(found)

    def operations(self, output: Spec, *inputs: Spec) -> int:
        out, x = output.shape, inputs[0].shape
        return self.conv.operations(
            Spec(_first(out) if self.out_last else out, output.dtype),
            Spec(_first(x) if self.x_last else x, output.dtype),
            inputs[1],
        )

    def lower(self, *inputs: Spec) -> Kernel | None:
        return self._run if inputs[0].dtype.name in ("float32", "float64") else None

    def _run(self, out: Array, x: Array, w: Array, *further: Array) -> None:
        left = [in_c_order(array) for array in further]
        prepared = left.pop() if self.ahead is not None else None
        op = self.conv
        given = x if prepared is None else in_c_order(x)
        kernel = partial(
            native_conv,
            stride=op.stride,
            padding=op.padding,
            dilation=op.dilation,
            input_dilation=op.input_dilation,
            groups=op.groups,
            batch_groups=op.batch_groups,
            epilogue=self.expression,
            strategy=self.ahead,
            prepared=prepared,
        )
        bias = left.pop(0) if self.has_bias else None
        residual = _as_laid(left.pop(0), out) if self.has_residual else None
        if self.x_last:
            given = _channels_second(given)
        if self.out_last:
            out = _channels_second(out)
            residual = None if residual is None else _channels_second(residual)
        kernel(out, given, w, bias=bias, residual=residual)


def _last(shape: Shape) -> Shape:
    return (shape[0], *shape[2:], shape[1])


def _first(shape: Shape) -> Shape:
    return (shape[0], shape[-1], *shape[1:-1])


def _as_laid(array: Array, like: Array) -> Array:
    """Return an array in C order with the steps of another one: those of axes of one place are
    nobody's business.
    """
    return array.with_layout(array.layout._replace(strides=like.layout.strides))


def _channels_second(array: Array) -> Array:
    """Return a view (N, C, *S) of images (N, *S, C)."""
    axes = len(array.shape)
    return array.with_layout(permute(array.layout, (0, axes - 1, *range(1, axes - 1))))


@define
@final
@dataclass(frozen=True, slots=True)
class PrepareFilters(Op):
    """The weights of a layer as its strategy wants them: packed, or transformed."""

    name = "prepare_filters"
    differentiable = False

    layer: Layer

    def infer(self, *inputs: Spec) -> Spec:
        (w,) = inputs
        if (w.dtype.name, w.shape) != (self.layer.dtype, self.layer.w) or not self.layer.size:
            raise ShapeError(f"prepare_filters: {w} given for {self.layer}; expected its weights")
        return Spec((self.layer.size,), w.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        # The order is the kernel's own: without one, the weights stand in theirs.
        (w,) = inputs
        out = np.zeros(self.layer.size, w.dtype)
        out[: min(w.size, out.size)] = w.reshape(-1)[: out.size]
        return out

    def lower(self, *inputs: Spec) -> Kernel | None:
        return lambda out, w: self.layer.prepare(out, in_c_order(w))
