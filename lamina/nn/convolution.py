"""Convolutions and their transposes along one, two and three axes."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from lamina.errors import ArgumentError, ShapeError
from lamina.layout import Shape
from lamina.nn import functional as F
from lamina.nn import init
from lamina.nn.functional.spatial import PadMode
from lamina.nn.module import Module
from lamina.nn.parameter import Parameter
from lamina.ops.layers.spatial import Sizes, per_axis
from lamina.tensor import Tensor, empty

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]

# What `F.pad` calls each mode.
_PAD_MODES: dict[str, PadMode] = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "replicate",
    "circular": "circular",
}


class _Convolution(Module):
    """What a convolution and its transpose share: sizes, weights, printing."""

    rank: int
    bias: Parameter | None
    output_padding: Shape

    def _prepare(
        self,
        channels: tuple[int, int],
        kernel_size: Sizes,
        stride: Sizes,
        dilation: Sizes,
        groups: int,
        padding_mode: str,
    ) -> None:
        self.in_channels, self.out_channels = channels
        if groups < 1 or any(n < 1 or n % groups for n in channels):
            raise ArgumentError(
                f"{type(self).__name__}: {channels[0]} input and {channels[1]} output channels "
                f"given with groups={groups}; expected both divisible by a positive number of "
                "groups, and neither of them 0"
            )
        if padding_mode not in _PAD_MODES:
            raise ArgumentError(
                f"{type(self).__name__}: padding_mode {padding_mode!r} given; expected one "
                f"of {', '.join(_PAD_MODES)}"
            )
        self.kernel_size = per_axis(kernel_size, self.rank, "kernel_size", least=1)
        self.stride = per_axis(stride, self.rank, "stride", least=1)
        self.dilation = per_axis(dilation, self.rank, "dilation", least=1)
        self.groups = groups
        self.padding_mode = padding_mode
        self.padding: Shape | str = (0,) * self.rank
        self.output_padding = (0,) * self.rank

    def _make_parameters(self, shape: Shape, *, bias: bool, device: Any, dtype: Any) -> None:
        self.weight = Parameter(empty(*shape, device=device, dtype=dtype))
        self.register_parameter(
            "bias",
            Parameter(empty(self.out_channels, device=device, dtype=dtype)) if bias else None,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new starting values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in, _ = init.fans(self.weight.shape)
        if self.bias is not None and fan_in:
            bound = 1 / math.sqrt(fan_in)
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        zeros, ones = (0,) * self.rank, (1,) * self.rank
        optional = (
            (self.padding != zeros, f"padding={self.padding}"),
            (self.dilation != ones, f"dilation={self.dilation}"),
            (self.output_padding != zeros, f"output_padding={self.output_padding}"),
            (self.groups != 1, f"groups={self.groups}"),
            (self.bias is None, "bias=False"),
            (self.padding_mode != "zeros", f"padding_mode={self.padding_mode}"),
        )
        start = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        return ", ".join(
            [start, f"stride={self.stride}", *(text for is_told, text in optional if is_told)]
        )


class _Forward(_Convolution):
    """`Conv1d` to `Conv3d`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | Literal["same", "valid"] = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        channels = (in_channels, out_channels)
        self._prepare(channels, kernel_size, stride, dilation, groups, padding_mode)
        if isinstance(padding, str):
            self._check_named_padding(padding)
            self.padding = padding
        else:
            self.padding = per_axis(padding, self.rank, "padding")
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self._make_parameters(shape, bias=bias, device=device, dtype=dtype)

    def _check_named_padding(self, padding: str) -> None:
        if padding not in ("same", "valid"):
            raise ArgumentError(
                f"{type(self).__name__}: padding {padding!r} given; expected numbers, 'same' or "
                "'valid'"
            )
        if padding == "same" and set(self.stride) != {1}:
            raise ArgumentError(
                f"{type(self).__name__}: padding='same' given with stride {self.stride}; expected "
                "stride 1"
            )

    def forward(self, input: Tensor) -> Tensor:
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.rank - 1]
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._pads(), mode=_PAD_MODES[self.padding_mode])
            padding = 0
        return convolve(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def _pads(self) -> list[int]:
        """Return the padding as `F.pad` wants it: before and behind, the last axis first."""
        pads: list[int] = []
        for axis in reversed(range(self.rank)):
            match self.padding:
                case "valid":
                    pads += [0, 0]
                case "same":
                    total = self.dilation[axis] * (self.kernel_size[axis] - 1)
                    pads += [total // 2, total - total // 2]
                case sizes:
                    pads += [int(sizes[axis])] * 2
        return pads


class Conv1d(_Forward):
    """Convolution along one axis: (N, C, L) to (N, out_channels, L′), or without N.

        out[n, o, p] = bias[o] + Σ_{c,k} weight[o, c, k]·x[n, c, p·stride + k·dilation − padding]

    `weight` is (out_channels, in_channels / groups, kernel). `padding` is a number an axis, "same"
    or "valid"; `padding_mode` says what lies there: "zeros", "reflect", "replicate" or "circular".
    Weight and bias start evenly spread over ±1/√(in_channels / groups · kernel).

    >>> from lamina import nn
    >>> nn.Conv1d(2, 4, 3, padding=1)(lamina.ones(1, 2, 8)).shape
    (1, 4, 8)
    """

    rank = 1


class Conv2d(_Forward):
    """Convolution along two axes: (N, C, H, W) to (N, out_channels, H′, W′); see `Conv1d`.

    >>> from lamina import nn
    >>> nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)(lamina.ones(1, 3, 8, 8)).shape
    (1, 8, 4, 4)
    """

    rank = 2


class Conv3d(_Forward):
    """Convolution along three axes: (N, C, D, H, W) to (N, out_channels, D′, H′, W′); see `Conv1d`.

    >>> from lamina import nn
    >>> nn.Conv3d(1, 2, 2)(lamina.ones(1, 1, 3, 3, 3)).shape
    (1, 2, 2, 2, 2)
    """

    rank = 3


class _Transposed(_Convolution):
    """`ConvTranspose1d` to `ConvTranspose3d`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: Literal["zeros"] = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if padding_mode != "zeros":
            raise ArgumentError(
                f"{type(self).__name__}: padding_mode {padding_mode!r} given; a transposed "
                "convolution takes 'zeros' alone"
            )
        channels = (in_channels, out_channels)
        self._prepare(channels, kernel_size, stride, dilation, groups, padding_mode)
        self._removed = per_axis(padding, self.rank, "padding")
        self.padding = self._removed
        self.output_padding = per_axis(output_padding, self.rank, "output_padding")
        shape = (in_channels, out_channels // groups, *self.kernel_size)
        self._make_parameters(shape, bias=bias, device=device, dtype=dtype)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        convolve = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.rank - 1]
        extra = self.output_padding
        if output_size is not None:
            extra = self._padding_for(tuple(output_size)[-self.rank :], input.shape[-self.rank :])
        return convolve(
            input,
            self.weight,
            self.bias,
            self.stride,
            self._removed,
            extra,
            self.groups,
            self.dilation,
        )

    def _padding_for(self, wanted: Shape, sizes: Shape) -> Shape:
        """Return the output padding that makes the output `wanted` large."""
        least = tuple(
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                sizes, self.stride, self._removed, self.dilation, self.kernel_size, strict=True
            )
        )
        most = tuple(low + s - 1 for low, s in zip(least, self.stride, strict=True))
        if len(wanted) != self.rank or any(
            not low <= n <= high for low, n, high in zip(least, wanted, most, strict=False)
        ):
            raise ShapeError(
                f"{type(self).__name__}: output_size {wanted} asked for; from {sizes} it can be "
                f"{least} to {most}"
            )
        return tuple(n - low for n, low in zip(wanted, least, strict=True))


class ConvTranspose1d(_Transposed):
    """The transpose of `Conv1d`: (N, C, L) to (N, out_channels, L′).

    L′ = (L − 1)·stride − 2·padding + dilation·(kernel − 1) + output_padding + 1; `output_size` in
    the call asks for one of the sizes that the same convolution would bring back to L. `weight` is
    (in_channels, out_channels / groups, kernel).

    >>> from lamina import nn
    >>> nn.ConvTranspose1d(2, 4, 4, stride=2, padding=1)(lamina.ones(1, 2, 8)).shape
    (1, 4, 16)
    """

    rank = 1


class ConvTranspose2d(_Transposed):
    """The transpose of `Conv2d`: (N, C, H, W) to (N, out_channels, H′, W′); see
    `ConvTranspose1d`.

    >>> from lamina import nn
    >>> nn.ConvTranspose2d(4, 2, 2, stride=2)(lamina.ones(1, 4, 3, 3)).shape
    (1, 2, 6, 6)
    """

    rank = 2


class ConvTranspose3d(_Transposed):
    """The transpose of `Conv3d`; see `ConvTranspose1d`.

    >>> from lamina import nn
    >>> nn.ConvTranspose3d(1, 1, 2)(lamina.ones(1, 1, 2, 2, 2)).shape
    (1, 1, 3, 3, 3)
    """

    rank = 3
