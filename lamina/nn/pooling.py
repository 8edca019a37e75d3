"""Layers that fold windows of one, two or three axes to a number each."""

from typing import Any, final

from lamina.nn import functional as F
from lamina.nn.module import Module
from lamina.ops.layers.spatial import Sizes, per_axis
from lamina.tensor import Tensor


class _MaxPool(Module):
    """What `MaxPool1d` to `MaxPool3d` share."""

    rank: int

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[self.rank - 1]
        return pool(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


@final
class MaxPool1d(_MaxPool):
    """The greatest value of every window along one axis: (N, C, L) to (N, C, L′).

    With `return_indices`, also its place in the axis. What padding adds is −∞.

    >>> from lamina import nn
    >>> nn.MaxPool1d(2)(lamina.tensor([[1.0, 3.0, 2.0, 0.0]]))
    Tensor([[3., 2.]])
    """

    rank = 1


@final
class MaxPool2d(_MaxPool):
    """The greatest value of every window along two axes: (N, C, H, W) to (N, C, H′, W′).

    With `return_indices`, also its place, counted over both axes in C order.

    >>> from lamina import nn
    >>> nn.MaxPool2d(3, stride=2, padding=1)(lamina.ones(1, 2, 8, 8)).shape
    (1, 2, 4, 4)
    """

    rank = 2


@final
class MaxPool3d(_MaxPool):
    """The greatest value of every window along three axes; see `MaxPool2d`."""

    rank = 3


class _AvgPool(Module):
    """What `AvgPool1d` to `AvgPool3d` share."""

    rank: int

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[self.rank - 1]
        return pool(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


@final
class AvgPool1d(_AvgPool):
    """The mean of every window along one axis: (N, C, L) to (N, C, L′).

    What padding adds counts as zeros with `count_include_pad`, else not at all; `divisor_override`
    divides the sum instead of the number of values.

    >>> from lamina import nn
    >>> nn.AvgPool1d(2)(lamina.tensor([[1.0, 3.0, 2.0, 0.0]]))
    Tensor([[2., 1.]])
    """

    rank = 1

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(
            per_axis(kernel_size, 1, "kernel_size", least=1),
            None if stride is None else per_axis(stride, 1, "stride", least=1),
            per_axis(padding, 1, "padding"),
            ceil_mode,
            count_include_pad,
        )


@final
class AvgPool2d(_AvgPool):
    """The mean of every window along two axes: (N, C, H, W) to (N, C, H′, W′); see `AvgPool1d`.

    >>> from lamina import nn
    >>> nn.AvgPool2d(2)(lamina.ones(1, 2, 8, 8)).shape
    (1, 2, 4, 4)
    """

    rank = 2


@final
class AvgPool3d(_AvgPool):
    """The mean of every window along three axes; see `AvgPool1d`."""

    rank = 3


class _LPPool(Module):
    """What `LPPool1d` to `LPPool3d` share."""

    rank: int

    def __init__(
        self,
        norm_type: float,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        pool = (F.lp_pool1d, F.lp_pool2d, F.lp_pool3d)[self.rank - 1]
        return pool(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


@final
class LPPool1d(_LPPool):
    """(Σ xᵖ)^(1/p) of every window along one axis, p being `norm_type`.

    >>> from lamina import nn
    >>> nn.LPPool1d(2, 2)(lamina.tensor([[3.0, 4.0]]))
    Tensor([[5.]])
    """

    rank = 1


@final
class LPPool2d(_LPPool):
    """(Σ xᵖ)^(1/p) of every window along two axes, p being `norm_type`."""

    rank = 2


@final
class LPPool3d(_LPPool):
    """(Σ xᵖ)^(1/p) of every window along three axes, p being `norm_type`."""

    rank = 3


class _AdaptiveAvgPool(Module):
    """What `AdaptiveAvgPool1d` to `AdaptiveAvgPool3d` share."""

    rank: int

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)
        return pool[self.rank - 1](input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


@final
class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of `output_size` windows that cover one axis evenly: (N, C, L) to (N, C, output_size).

    >>> from lamina import nn
    >>> nn.AdaptiveAvgPool1d(2)(lamina.tensor([[1.0, 3.0, 2.0, 0.0]]))
    Tensor([[2., 1.]])
    """

    rank = 1


@final
class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of windows that cover two axes evenly; a size of None keeps that axis.

    >>> from lamina import nn
    >>> nn.AdaptiveAvgPool2d((None, 1))(lamina.ones(1, 2, 7, 5)).shape
    (1, 2, 7, 1)
    """

    rank = 2


@final
class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means of windows that cover three axes evenly; a size of None keeps that axis."""

    rank = 3


class _AdaptiveMaxPool(Module):
    """What `AdaptiveMaxPool1d` to `AdaptiveMaxPool3d` share."""

    rank: int

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        pool = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)
        return pool[self.rank - 1](input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


@final
class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The greatest values of `output_size` windows that cover one axis evenly.

    With `return_indices`, also their places.

    >>> from lamina import nn
    >>> nn.AdaptiveMaxPool1d(2)(lamina.tensor([[1.0, 3.0, 2.0, 0.0]]))
    Tensor([[3., 2.]])
    """

    rank = 1


@final
class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The greatest values of windows that cover two axes evenly; None keeps an axis."""

    rank = 2


@final
class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The greatest values of windows that cover three axes evenly; None keeps an axis."""

    rank = 3
