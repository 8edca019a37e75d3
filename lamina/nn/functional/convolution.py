"""Convolutions of one, two and three axes, and the windows behind them."""

from collections.abc import Sequence
from math import prod
from typing import Literal

from lamina import layout as lay
from lamina.errors import ShapeError
from lamina.layout import Layout
from lamina.ops.layers import convolution as ops
from lamina.ops.layers.padding import pad
from lamina.ops.layers.spatial import Sizes, per_axis, reach
from lamina.ops.shapes.movement import expand_dims, permute, reshape
from lamina.ops.shapes.movement import unfold as windows
from lamina.ops.shapes.strided import StridedAdd
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors

NamedPadding = Literal["same", "valid"]


def _check_rank(name: str, weight: Tensor, rank: int) -> None:
    if len(weight.shape) != rank + 2:
        raise ShapeError(
            f"{name}: weight of shape {weight.shape} given; expected {rank + 2} axes: outputs, "
            "inputs and the kernel"
        )


@takes_tensors
def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | NamedPadding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Return the convolution of (N, C, L) or (C, L) with `weight` (O, C / groups, K).

        out[n, o, p] = bias[o] + Σ_{c,k} weight[o, c, k]·x[n, c, p·stride + k·dilation − padding]

    `padding` is a number, "same" (as long as the input, stride 1) or "valid" (none).

    >>> conv1d(lamina.tensor([[[1.0, 2.0, 4.0]]]), lamina.tensor([[[-1.0, 1.0]]]))
    Tensor([[[1., 2.]]])
    """
    _check_rank("conv1d", weight, 1)
    return _conv(input, weight, bias, stride, padding, dilation, groups)


@takes_tensors
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | NamedPadding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Return the convolution of (N, C, H, W) or (C, H, W) with `weight`; see `conv1d`."""
    _check_rank("conv2d", weight, 2)
    return _conv(input, weight, bias, stride, padding, dilation, groups)


@takes_tensors
def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | NamedPadding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Return the convolution of (N, C, D, H, W) or (C, D, H, W) with `weight`; see `conv1d`."""
    _check_rank("conv3d", weight, 3)
    return _conv(input, weight, bias, stride, padding, dilation, groups)


def _conv(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes | NamedPadding,
    dilation: Sizes,
    groups: int,
) -> Tensor:
    return ops.conv(
        input, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups
    )


@takes_tensors
def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Return the transpose of `conv1d` with `weight` (C, O / groups, K) applied to (N, C, L).

    The result is (L − 1)·stride − 2·padding + dilation·(K − 1) + output_padding + 1 long.

    >>> conv_transpose1d(lamina.tensor([[[1.0, 2.0]]]), lamina.tensor([[[1.0, 10.0]]]), stride=2)
    Tensor([[[ 1., 10.,  2., 20.]]])
    """
    _check_rank("conv_transpose1d", weight, 1)
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation)


@takes_tensors
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Return the transpose of `conv2d` applied to (N, C, H, W); see `conv_transpose1d`."""
    _check_rank("conv_transpose2d", weight, 2)
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation)


@takes_tensors
def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Return the transpose of `conv3d` applied to (N, C, D, H, W); see `conv_transpose1d`."""
    _check_rank("conv_transpose3d", weight, 3)
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation)


def _transposed(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    dilation: Sizes,
) -> Tensor:
    return ops.conv_transpose(
        input,
        weight,
        bias,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
    )


@takes_tensors
def unfold(
    input: Tensor,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """Return every window of (N, C, H, W) as a column: (N, C·kernel, windows); without N likewise.

    >>> unfold(lamina.arange(9.0).reshape(1, 1, 3, 3), 2)[0, :, 0].tolist()
    [0.0, 1.0, 3.0, 4.0]
    """
    if len(input.shape) not in (3, 4):
        raise ShapeError(f"unfold: shape {input.shape} given; expected (N, C, H, W) or (C, H, W)")
    kernel = per_axis(kernel_size, 2, "kernel_size", least=1)
    gaps = per_axis(dilation, 2, "dilation", least=1)
    steps = per_axis(stride, 2, "stride", least=1)
    rows, columns = per_axis(padding, 2, "padding")
    x = expand_dims(input, 0) if len(input.shape) == 3 else input
    x = pad(x, (columns, columns, rows, rows))
    counts = _window_counts("unfold", x.shape[2:], kernel, gaps, steps)
    for axis in (0, 1):
        x = windows(x, 2 + axis, kernel[axis], steps[axis], dilation=gaps[axis])
    # (N, C, H′, W′, kh, kw) → (N, C, kh, kw, H′, W′)
    ordered = permute(x, (0, 1, 4, 5, 2, 3))
    sizes = (x.shape[0], x.shape[1] * prod(kernel), prod(counts))
    columns_of: Tensor = reshape(ordered, sizes)
    return columns_of if len(input.shape) == 4 else columns_of[0]


@takes_tensors
def fold(
    input: Tensor,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """Return columns (N, C·kernel, windows) added up where their windows lie: (N, C, H, W).

    The transpose of `unfold`, of which `output_size` is (H, W).

    >>> fold(lamina.ones(1, 4, 4), (3, 3), 2)[0, 0, 1].tolist()
    [2.0, 4.0, 2.0]
    """
    height, width = per_axis(output_size, 2, "output_size", least=1)
    kernel = per_axis(kernel_size, 2, "kernel_size", least=1)
    gaps = per_axis(dilation, 2, "dilation", least=1)
    steps = per_axis(stride, 2, "stride", least=1)
    rows, columns = per_axis(padding, 2, "padding")
    sizes = (height + 2 * rows, width + 2 * columns)
    counts = _window_counts("fold", sizes, kernel, gaps, steps)
    area = prod(kernel)
    if len(input.shape) not in (2, 3) or input.shape[-1] != prod(counts) or input.shape[-2] % area:
        raise ShapeError(
            f"fold: shape {input.shape} given; expected (N, C·{area}, {prod(counts)}) for windows "
            f"of {kernel} in {(height, width)}"
        )
    x = expand_dims(input, 0) if len(input.shape) == 2 else input
    batch, channels = x.shape[0], x.shape[1] // area
    split = reshape(x, (batch, channels, *kernel, *counts))
    ordered = permute(split, (0, 1, 4, 5, 2, 3))
    shape = (batch, channels, *sizes)
    summed: Tensor = StridedAdd(_windows_of(shape, kernel, gaps, steps), shape)(ordered)
    out = summed[:, :, rows : rows + height, columns : columns + width]
    return out if len(input.shape) == 3 else out[0]


def _windows_of(
    shape: tuple[int, ...], kernel: Sequence[int], gaps: Sequence[int], steps: Sequence[int]
) -> Layout:
    layout = lay.contiguous(shape)
    for axis in (0, 1):
        layout = lay.windows(layout, 2 + axis, kernel[axis], steps[axis], gaps[axis])
    return layout


def _window_counts(
    name: str,
    sizes: Sequence[int],
    kernel: Sequence[int],
    gaps: Sequence[int],
    steps: Sequence[int],
) -> tuple[int, ...]:
    rooms = [n - reach(k, d) for n, k, d in zip(sizes, kernel, gaps, strict=True)]
    if min(rooms) < 0:
        raise ShapeError(
            f"{name}: windows of {tuple(kernel)} (dilation {tuple(gaps)}) do not fit the padded "
            f"size {tuple(sizes)}; give a larger image or more padding"
        )
    return tuple(room // step + 1 for room, step in zip(rooms, steps, strict=True))
