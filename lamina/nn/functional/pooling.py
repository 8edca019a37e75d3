"""Windows of one, two and three axes folded to a number each."""

from collections.abc import Sequence
from typing import Any

from lamina.errors import ShapeError
from lamina.ops.layers import pooling as ops
from lamina.ops.layers.spatial import Sizes, per_axis
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors

# A size of None keeps the axis as it is.
OutputSizes = int | Sequence[int | None]


def _kernel(name: str, input: Tensor, kernel_size: Sizes, rank: int) -> tuple[int, ...]:
    _check_ndim(name, input, rank)
    return per_axis(kernel_size, rank, "kernel_size", least=1)


def _check_ndim(name: str, input: Tensor, rank: int) -> None:
    if len(input.shape) not in (rank + 1, rank + 2):
        raise ShapeError(
            f"{name}: shape {input.shape} given; expected {rank + 1} or {rank + 2} axes: channels "
            f"and {rank} more, with or without a batch"
        )


def _adaptive(name: str, input: Tensor, size: OutputSizes, rank: int) -> tuple[int | None, ...]:
    _check_ndim(name, input, rank)
    given = tuple(size) if isinstance(size, Sequence) else (size,) * rank
    if len(given) not in (1, rank):
        raise ShapeError(f"{name}: output_size {size} given; expected {rank} sizes")
    return given * rank if len(given) == 1 else given


@takes_tensors
def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the greatest value of every window of (N, C, L) or (C, L), the first of equal ones.

    `stride` is by default the kernel. With `return_indices`, a pair with the places in the axis.

    >>> max_pool1d(lamina.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    Tensor([[3., 2.]])
    """
    return _max_pool(
        "max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


@takes_tensors
def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the greatest value of every window of (N, C, H, W) or (C, H, W); see `max_pool1d`.

    Places are counted over both axes in C order.
    """
    return _max_pool(
        "max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


@takes_tensors
def max_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the greatest value of every window of (N, C, D, H, W); see `max_pool2d`."""
    return _max_pool(
        "max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def _max_pool(
    name: str,
    rank: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    return ops.max_pool(
        input,
        _kernel(name, input, kernel_size, rank),
        stride,
        padding,
        dilation,
        ceil_mode=ceil_mode,
        return_indices=return_indices,
    )


@takes_tensors
def avg_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the mean of every window of (N, C, L) or (C, L).

    Padding counts as zeros with `count_include_pad`, else not at all; `divisor_override` divides
    the sum instead of the number of values.

    >>> avg_pool1d(lamina.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    Tensor([[2., 1.]])
    """
    kernel = _kernel("avg_pool1d", input, kernel_size, 1)
    return _avg_pool(input, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)


@takes_tensors
def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the mean of every window of (N, C, H, W) or (C, H, W); see `avg_pool1d`."""
    kernel = _kernel("avg_pool2d", input, kernel_size, 2)
    return _avg_pool(input, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)


@takes_tensors
def avg_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the mean of every window of (N, C, D, H, W) or (C, D, H, W); see `avg_pool1d`."""
    kernel = _kernel("avg_pool3d", input, kernel_size, 3)
    return _avg_pool(input, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _avg_pool(
    input: Tensor,
    kernel: tuple[int, ...],
    stride: Sizes | None,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    return ops.avg_pool(
        input,
        kernel,
        stride,
        padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
    )


@takes_tensors
def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return (Σ xᵖ)^(1/p) of every window of (N, C, L) or (C, L), p being `norm_type`.

    >>> lp_pool1d(lamina.tensor([[3.0, 4.0]]), 2, 2)
    Tensor([[5.]])
    """
    kernel = _kernel("lp_pool1d", input, kernel_size, 1)
    return ops.lp_pool(input, norm_type, kernel, stride, ceil_mode=ceil_mode)


@takes_tensors
def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return (Σ xᵖ)^(1/p) of every window of (N, C, H, W) or (C, H, W), p being `norm_type`."""
    kernel = _kernel("lp_pool2d", input, kernel_size, 2)
    return ops.lp_pool(input, norm_type, kernel, stride, ceil_mode=ceil_mode)


@takes_tensors
def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return (Σ xᵖ)^(1/p) of every window of (N, C, D, H, W), p being `norm_type`."""
    kernel = _kernel("lp_pool3d", input, kernel_size, 3)
    return ops.lp_pool(input, norm_type, kernel, stride, ceil_mode=ceil_mode)


@takes_tensors
def adaptive_avg_pool1d(input: Tensor, output_size: OutputSizes) -> Tensor:
    """Return means of `output_size` windows that cover (N, C, L) or (C, L) evenly.

    Window i runs from ⌊i·L/out⌋ to ⌈(i + 1)·L/out⌉.

    >>> adaptive_avg_pool1d(lamina.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    Tensor([[2., 1.]])
    """
    size = _adaptive("adaptive_avg_pool1d", input, output_size, 1)
    return ops.adaptive_avg_pool(input, size)


@takes_tensors
def adaptive_avg_pool2d(input: Tensor, output_size: OutputSizes) -> Tensor:
    """Return means of windows that cover (N, C, H, W) evenly; None keeps an axis."""
    size = _adaptive("adaptive_avg_pool2d", input, output_size, 2)
    return ops.adaptive_avg_pool(input, size)


@takes_tensors
def adaptive_avg_pool3d(input: Tensor, output_size: OutputSizes) -> Tensor:
    """Return means of windows that cover (N, C, D, H, W) evenly; None keeps an axis."""
    size = _adaptive("adaptive_avg_pool3d", input, output_size, 3)
    return ops.adaptive_avg_pool(input, size)


@takes_tensors
def adaptive_max_pool1d(
    input: Tensor, output_size: OutputSizes, return_indices: bool = False
) -> Any:
    """Return the greatest values of `output_size` windows that cover (N, C, L) evenly.

    With `return_indices`, a pair with their places in the axis.

    >>> adaptive_max_pool1d(lamina.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    Tensor([[3., 2.]])
    """
    size = _adaptive("adaptive_max_pool1d", input, output_size, 1)
    return ops.adaptive_max_pool(input, size, return_indices=return_indices)


@takes_tensors
def adaptive_max_pool2d(
    input: Tensor, output_size: OutputSizes, return_indices: bool = False
) -> Any:
    """Return the greatest values of windows that cover (N, C, H, W) evenly; None keeps an axis."""
    size = _adaptive("adaptive_max_pool2d", input, output_size, 2)
    return ops.adaptive_max_pool(input, size, return_indices=return_indices)


@takes_tensors
def adaptive_max_pool3d(
    input: Tensor, output_size: OutputSizes, return_indices: bool = False
) -> Any:
    """Return the greatest values of windows that cover (N, C, D, H, W) evenly; None keeps an
    axis."""
    size = _adaptive("adaptive_max_pool3d", input, output_size, 3)
    return ops.adaptive_max_pool(input, size, return_indices=return_indices)
