"""Images made larger, smaller, wider; channels and pixels exchanged."""

from collections.abc import Sequence
from typing import Any, Literal

from lamina.errors import ArgumentError, ShapeError
from lamina.ops.layers import padding as pads
from lamina.ops.layers import resampling as ops
from lamina.ops.layers.spatial import Sizes
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors

PadMode = Literal["constant", "reflect", "replicate", "circular"]


@takes_tensors
def pad(
    input: Tensor, pad: Sequence[int], mode: PadMode = "constant", value: float | None = None
) -> Tensor:
    """Return x with `pad` places more: before and behind the last axis, then the axis before it.

    They hold `value` (0 by default), or in mode "reflect", "replicate" or "circular" more of x
    itself. Negative numbers cut places off.

    >>> pad(lamina.tensor([1.0, 2.0, 3.0]), (1, 2))
    Tensor([0., 1., 2., 3., 0., 0.])
    """
    return pads.pad(input, tuple(pad), mode, value)


@takes_tensors
def interpolate(
    input: Tensor,
    size: Sizes | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: ops.Mode = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Return (N, C, *S) resampled to `size`, or by `scale_factor`, along its spatial axes.

    `mode` is "nearest", "nearest-exact", "linear" (one axis), "bilinear" or "bicubic" (two),
    "trilinear" (three) or "area". `align_corners` puts the outermost points on each other.

    >>> interpolate(lamina.tensor([[[1.0, 2.0]]]), scale_factor=2)
    Tensor([[[1., 1., 2., 2.]]])
    """
    return ops.interpolate(
        input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    )


@takes_tensors
def upsample(
    input: Tensor,
    size: Sizes | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: ops.Mode = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Return what `interpolate` does."""
    return interpolate(input, size, scale_factor, mode, align_corners)


@takes_tensors
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Return (*, C·r², H, W) as (*, C, H·r, W·r), r being `upscale_factor`."""
    return ops.pixel_shuffle(input, upscale_factor)


@takes_tensors
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Return (*, C, H·r, W·r) as (*, C·r², H, W), r being `downscale_factor`."""
    return ops.pixel_unshuffle(input, downscale_factor)


@takes_tensors
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Return (N, C, *) with the channels dealt out over `groups` in turn.

    >>> channel_shuffle(lamina.arange(4).reshape(1, 4, 1), 2).flatten().tolist()
    [0, 2, 1, 3]
    """
    if len(input.shape) < 3:
        raise ShapeError(f"channel_shuffle: shape {input.shape} given; expected (N, C, *)")
    batch, channels, *rest = input.shape
    if groups < 1 or channels % groups:
        raise ArgumentError(
            f"channel_shuffle: {channels} channels given in {groups} groups; expected a number of "
            "groups that divides them"
        )
    split: Any = input.reshape(batch, groups, channels // groups, *rest)
    return split.transpose(1, 2).reshape(input.shape)
