"""Convolution: one op, of which its two gradients and the transposed convolution are cases."""

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, Literal, final

import numpy as np

from lamina import dtypes
from lamina.errors import ArgumentError, DTypeError, ShapeError
from lamina.kernels.convolution.entry import conv as native_conv
from lamina.layout import Shape
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.halves import in_float32, is_half, widened
from lamina.ops.layers.spatial import Sizes, cut_axis, inside, per_axis, reach
from lamina.ops.registry import Kernel, Op, Value, define
from lamina.ops.shapes.movement import expand_dims, flip, reshape, squeeze, swap_axes


@define
@final
@dataclass(frozen=True, slots=True)
class Conv(Op):
    """out[n, o, p] = Σ_{c,k} w[o, c, k] · x̂[n, c, p·stride + k·dilation − padding].

    x̂ is `x` with input_dilation − 1 zeros between neighbours, and 0 outside; `padding` is the one
    before each axis, and may be negative. Shapes: `x` (N, C·groups, *S), `w` (O, C, *K), out
    (N / batch_groups, O, *out_spatial). Part g of `groups` of the channels of `x`, or of
    `batch_groups` of its samples, gives part g of the channels of out.
    """

    name = "conv"
    bilinear = True
    promotion = "common"

    out_spatial: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    input_dilation: Shape
    groups: int = 1
    batch_groups: int = 1

    def infer(self, *inputs: Spec) -> Spec:
        x, w = inputs
        if x.dtype is dtypes.bool_:
            raise DTypeError("conv: bool given, expected numbers; convert with .to(lamina.float32)")
        parts = self.groups * self.batch_groups
        fits = (
            min(self.groups, self.batch_groups) == 1
            and len(x.shape) == len(w.shape) == len(self.out_spatial) + 2
            and x.shape[1] == w.shape[1] * self.groups
            and x.shape[0] % self.batch_groups == 0
            and w.shape[0] % parts == 0
        )
        if not fits:
            raise ShapeError(
                f"conv: input {x.shape} and weight {w.shape} given with groups={self.groups}, "
                f"batch_groups={self.batch_groups}; expected (N, C·groups, …) and (O, C, …) with "
                f"O divisible by {parts}"
            )
        return Spec((x.shape[0] // self.batch_groups, w.shape[0], *self.out_spatial), x.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        x, w = map(widened, inputs)
        parts = self.groups * self.batch_groups
        patches = self._patches(x, w.shape[2:])
        batch, channels, spatial = x.shape[0] // self.batch_groups, w.shape[1], self.out_spatial
        # (N, C, *P, *K) as one matrix a part: rows (N, *P), columns (C, *K).
        if self.batch_groups > 1:
            split = patches.reshape(parts, batch, *patches.shape[1:])
        else:
            split = patches.reshape(batch, parts, channels, *patches.shape[2:]).swapaxes(0, 1)
        rows = np.moveaxis(split, 2, 2 + len(spatial))
        matrix = rows.reshape(parts, batch * prod(spatial), prod(w.shape[1:]))
        weights = w.reshape(parts, w.shape[0] // parts, prod(w.shape[1:]))
        out = matrix @ weights.swapaxes(1, 2)
        cube = out.reshape(parts, batch, prod(spatial), w.shape[0] // parts)
        return cube.transpose(1, 0, 3, 2).reshape(batch, w.shape[0], *spatial)

    def _patches(self, x: NDArray, kernel: Shape) -> NDArray:
        """Return the window of every output: a view (N, C, *P, *K) of `x` padded."""
        lengths = [
            (p - 1) * s + reach(k, d) if p else 0
            for p, s, k, d in zip(self.out_spatial, self.stride, kernel, self.dilation, strict=True)
        ]
        padded = np.zeros((*x.shape[:2], *lengths), x.dtype)
        source, target = x, padded
        for axis, length in enumerate(lengths, 2):
            before, step = self.padding[axis - 2], self.input_dilation[axis - 2]
            first, last = inside(before, step, x.shape[axis], length)
            source = source[cut_axis(axis, first, last)]
            stop = before + (last - 1) * step + 1 if last > first else 0
            start = before + first * step if last > first else 0
            target = target[cut_axis(axis, start, stop, step)]
        target[...] = source
        steps = padded.strides[2:]
        return np.lib.stride_tricks.as_strided(
            padded,
            (*x.shape[:2], *self.out_spatial, *kernel),
            (
                *padded.strides[:2],
                *(a * b for a, b in zip(steps, self.stride, strict=True)),
                *(a * b for a, b in zip(steps, self.dilation, strict=True)),
            ),
        )

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        x, w = inputs
        return (
            lambda: self._by_input(grad, x.shape, w),
            lambda: self._by_weight(grad, x, w.shape),
        )

    def _by_input(self, grad: Value, shape: Shape, w: Value) -> Value:
        parts = self.groups * self.batch_groups
        whole = [reach(k, d) - 1 for k, d in zip(w.shape[2:], self.dilation, strict=True)]
        op = Conv(
            out_spatial=shape[2:],
            stride=self.input_dilation,
            padding=tuple(r - p for r, p in zip(whole, self.padding, strict=True)),
            dilation=self.dilation,
            input_dilation=self.stride,
            groups=parts,
        )
        found = op(grad, transposed_weights(w, parts))
        if self.batch_groups == 1:
            return found
        split = reshape(found, (found.shape[0], parts, shape[1], *shape[2:]))
        return reshape(swap_axes(split, 0, 1), shape)

    def _by_weight(self, grad: Value, x: Value, shape: Shape) -> Value:
        op = Conv(
            out_spatial=shape[2:],
            stride=self.dilation,
            padding=self.padding,
            dilation=self.stride,
            input_dilation=self.input_dilation,
            groups=self.batch_groups,
            batch_groups=self.groups,
        )
        return swap_axes(op(swap_axes(x, 0, 1), swap_axes(grad, 0, 1)), 0, 1)

    def operations(self, output: Spec, *inputs: Spec) -> int:
        return 2 * prod(output.shape) * prod(inputs[1].shape[1:])

    def lower(self, *inputs: Spec) -> Kernel | None:
        dtype = inputs[0].dtype
        if dtype.kind != "float" or len(self.out_spatial) > 3:
            return None
        kernel = partial(
            native_conv,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            input_dilation=self.input_dilation,
            groups=self.groups,
            batch_groups=self.batch_groups,
        )
        return in_float32(kernel) if is_half(dtype) else kernel


def transposed_weights(w: Value, groups: int) -> Value:
    """Return weights with inputs and outputs exchanged in each group, and every kernel reversed:
    (groups·O, C, *K) → (groups·C, O, *K).
    """
    turned = flip(w, range(2, len(w.shape)))
    if groups == 1:
        return swap_axes(turned, 0, 1)
    outputs, channels, *kernel = w.shape
    split = reshape(turned, (groups, outputs // groups, channels, *kernel))
    return reshape(swap_axes(split, 1, 2), (groups * channels, outputs // groups, *kernel))


def conv(
    x: Value,
    w: Value,
    b: Value | None = None,
    *,
    stride: Sizes = 1,
    padding: Sizes | Literal["same", "valid"] = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Value:
    """Return the cross-correlation of `x` with the kernels `w`, plus `b` a channel.

        out[n, o, p] = b[o] + Σ_{c,k} w[o, c, k] · x[n, c, p·stride + k·dilation − padding]

    `x` is (N, C, *S) or (C, *S), `w` (O, C / groups, *K), `b` (O,), with any number of spatial
    axes; out is (N, O, *P) with P = ⌊(S + 2·padding − dilation·(K − 1) − 1) / stride⌋ + 1.
    In float32, 3×3 taps of stride 1 may be computed by Winograd's minimal filtering, the gradient
    of such weights too: errors are then relative to the largest input nearby, and an infinity or
    NaN reaches whole tiles of 4×4 results, or every tap of the gradient.
    "same" pads so that P = S (the odd zero goes behind), "valid" does not pad. ShapeError where
    channels do not divide by groups or a kernel is larger than the padded input.

    >>> import lamina
    >>> conv(lamina.tensor([[[1.0, 2.0, 4.0]]]), lamina.tensor([[[-1.0, 1.0]]]))
    Tensor([[[1., 2.]]])
    """
    count = _check("conv", x, w, b, groups, outputs=w.shape[0] if w.shape else 0)
    steps = per_axis(stride, count, "stride", least=1)
    gaps = per_axis(dilation, count, "dilation", least=1)
    reaches = [reach(k, d) for k, d in zip(w.shape[2:], gaps, strict=True)]
    before, both = _paddings(padding, steps, reaches)
    sizes = x.shape[-count:]
    room = [n + p - r for n, p, r in zip(sizes, both, reaches, strict=True)]
    if min(room) < 0 or 0 in sizes:
        raise ShapeError(
            f"conv: kernel {w.shape[2:]} (dilation {gaps}) does not fit spatial size {sizes} with "
            f"padding {padding!r}; give a larger input or more padding"
        )
    spatial = tuple(r // s + 1 for r, s in zip(room, steps, strict=True))
    op = Conv(spatial, steps, before, gaps, (1,) * count, groups)
    return _applied(op, x, w, b)


def conv_transpose(
    x: Value,
    w: Value,
    b: Value | None = None,
    *,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Value:
    """Return the transpose of `conv` applied to `x`: what its gradient does to an output.

    `x` is (N, C, *S) or (C, *S), `w` (C, O / groups, *K), `b` (O,); out is (N, O, *P) with
    P = (S − 1)·stride − 2·padding + dilation·(K − 1) + output_padding + 1. ShapeError where
    channels do not divide by groups or nothing would be left.

    >>> import lamina
    >>> conv_transpose(lamina.tensor([[[1.0, 2.0]]]), lamina.tensor([[[1.0, 10.0]]]), stride=2)
    Tensor([[[ 1., 10.,  2., 20.]]])
    """
    outputs = w.shape[1] * groups if len(w.shape) > 1 else 0
    count = _check("conv_transpose", x, w, b, groups, outputs=outputs)
    steps = per_axis(stride, count, "stride", least=1)
    gaps = per_axis(dilation, count, "dilation", least=1)
    removed = per_axis(padding, count, "padding")
    extra = per_axis(output_padding, count, "output_padding")
    if any(e >= max(s, d) for e, s, d in zip(extra, steps, gaps, strict=True)):
        raise ArgumentError(
            f"conv_transpose: output_padding {extra} given with stride {steps} and dilation "
            f"{gaps}; expected less than the greater of those"
        )
    whole = [reach(k, d) - 1 for k, d in zip(w.shape[2:], gaps, strict=True)]
    spatial = tuple(
        (n - 1) * s - 2 * p + r + e + 1
        for n, s, p, r, e in zip(x.shape[-count:], steps, removed, whole, extra, strict=True)
    )
    if min(spatial) < 1:
        raise ShapeError(
            f"conv_transpose: output of spatial size {spatial} from {x.shape[-count:]} with "
            f"kernel {w.shape[2:]} and padding {removed}; expected at least 1: pad less"
        )
    before = tuple(r - p for r, p in zip(whole, removed, strict=True))
    op = Conv(spatial, (1,) * count, before, gaps, steps, groups)
    return _applied(op, x, transposed_weights(w, groups), b)


def _check(name: str, x: Value, w: Value, b: Value | None, groups: int, *, outputs: int) -> int:
    """Return the number of spatial axes; raise where input, weight and bias do not go together."""
    count = len(w.shape) - 2
    if count < 1 or len(x.shape) not in (count + 1, count + 2):
        raise ShapeError(
            f"{name}: input {x.shape} with weight {w.shape} given; expected (N, C, *spatial) or "
            "(C, *spatial), and a weight with as many spatial axes and two more"
        )
    channels = x.shape[-count - 1]
    has, wants = (channels, w.shape[1] * groups) if name == "conv" else (channels, w.shape[0])
    if groups < 1 or channels % groups or outputs % groups:
        raise ShapeError(
            f"{name}: {channels} input and {outputs} output channels given with groups={groups}; "
            "expected both divisible by a positive number of groups"
        )
    if has != wants:
        raise ShapeError(
            f"{name}: input {x.shape} has {has} channels; weight {w.shape} with groups={groups} "
            f"expects {wants}"
        )
    if b is not None and b.shape != (outputs,):
        raise ShapeError(f"{name}: bias {b.shape} given; expected ({outputs},), one an output")
    if 0 in w.shape[2:]:
        raise ShapeError(f"{name}: weight {w.shape} has an empty kernel; expected sizes ≥ 1")
    return count


def _paddings(
    padding: Sizes | str, stride: Shape, reaches: list[int]
) -> tuple[Shape, tuple[int, ...]]:
    """Return the padding before each axis, and before and behind together."""
    count = len(stride)
    if padding == "valid":
        return (0,) * count, (0,) * count
    if padding == "same":
        if set(stride) != {1}:
            raise ArgumentError(
                f'conv: padding="same" given with stride {stride}; expected stride 1'
            )
        return tuple((r - 1) // 2 for r in reaches), tuple(r - 1 for r in reaches)
    if isinstance(padding, str):
        raise ArgumentError(f'conv: padding {padding!r} given; expected numbers, "same" or "valid"')
    before = per_axis(padding, count, "padding")
    return before, tuple(2 * p for p in before)


def _applied(op: Conv, x: Value, w: Value, b: Value | None) -> Value:
    """Return `op` of samples or of a single one, the bias added."""
    is_single = len(x.shape) < len(w.shape)
    out = op(expand_dims(x, 0) if is_single else x, w)
    if b is not None:
        out = out + reshape(b, (-1, *(1,) * len(op.out_spatial)))
    return squeeze(out, 0) if is_single else out
