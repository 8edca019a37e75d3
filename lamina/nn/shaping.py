"""Layers that rearrange what they see."""

from collections.abc import Sequence
from typing import final

from lamina.nn import functional as F
from lamina.nn.module import Module
from lamina.ops.layers.resampling import Mode
from lamina.ops.layers.spatial import Sizes
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors


@final
class Flatten(Module):
    """The axes from `start_dim` to `end_dim` made one.

    >>> from lamina import nn
    >>> nn.Flatten()(lamina.ones(2, 3, 4)).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    @takes_tensors
    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


@final
class Unflatten(Module):
    """The axis `dim` split into several.

    >>> from lamina import nn
    >>> nn.Unflatten(1, (3, 4))(lamina.ones(2, 12)).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    @takes_tensors
    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


@final
class PixelShuffle(Module):
    """Groups of r² channels laid out as r × r pixels: (*, C·r², H, W) to (*, C, H·r, W·r).

    Shi et al., "Real-time single image and video super-resolution", CVPR 2016.

    >>> from lamina import nn
    >>> nn.PixelShuffle(2)(lamina.ones(1, 8, 3, 3)).shape
    (1, 2, 6, 6)
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


@final
class PixelUnshuffle(Module):
    """The inverse of `PixelShuffle`: (*, C, H·r, W·r) to (*, C·r², H, W).

    >>> from lamina import nn
    >>> nn.PixelUnshuffle(2)(lamina.ones(1, 2, 6, 6)).shape
    (1, 8, 3, 3)
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


@final
class ChannelShuffle(Module):
    """Channels dealt out over `groups` in turn: (N, C, *) to (N, C, *).

    >>> from lamina import nn
    >>> nn.ChannelShuffle(2)(lamina.arange(4).reshape(1, 4, 1)).flatten().tolist()
    [0, 2, 1, 3]
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


class _Windows(Module):
    """What `Fold` and `Unfold` share: which windows."""

    def __init__(
        self, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


@final
class Unfold(_Windows):
    """Every window of an image as a column: (N, C, H, W) to (N, C·kernel, windows).

    >>> from lamina import nn
    >>> nn.Unfold(2)(lamina.ones(1, 3, 4, 4)).shape
    (1, 12, 9)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


@final
class Fold(_Windows):
    """Columns added back where their windows lie: (N, C·kernel, windows) to (N, C, *output_size).

    >>> from lamina import nn
    >>> nn.Fold((3, 3), 2)(lamina.ones(1, 4, 4))[0, 0].tolist()
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """

    def __init__(
        self,
        output_size: Sizes,
        kernel_size: Sizes,
        dilation: Sizes = 1,
        padding: Sizes = 0,
        stride: Sizes = 1,
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"


def _factors(given: float | Sequence[float] | None) -> float | tuple[float, ...] | None:
    if given is None:
        return None
    return tuple(map(float, given)) if isinstance(given, Sequence) else float(given)


class Upsample(Module):
    """Images or signals made larger, to `size` or by `scale_factor`; see `F.interpolate`.

    >>> from lamina import nn
    >>> nn.Upsample(scale_factor=2)(lamina.ones(1, 1, 3, 3)).shape
    (1, 1, 6, 6)
    """

    def __init__(
        self,
        size: Sizes | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: Mode = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        self.scale_factor = _factors(scale_factor)
        self.mode: Mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        if self.scale_factor is not None:
            return f"scale_factor={self.scale_factor!r}, mode={self.mode!r}"
        return f"size={self.size!r}, mode={self.mode!r}"


@final
class UpsamplingNearest2d(Upsample):
    """`Upsample` of images by the nearest pixel."""

    def __init__(
        self, size: Sizes | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, mode="nearest")


@final
class UpsamplingBilinear2d(Upsample):
    """`Upsample` of images by bilinear interpolation, corners onto corners."""

    def __init__(
        self, size: Sizes | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
