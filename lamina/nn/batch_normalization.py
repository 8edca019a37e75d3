"""Normalisation with statistics of the batch, or of each sample, kept as running means."""

from typing import Any, final

from lamina.autograd import no_grad
from lamina.errors import ShapeError
from lamina.nn import functional as F
from lamina.nn import init
from lamina.nn.module import Module
from lamina.nn.parameter import Parameter
from lamina.tensor import Tensor, empty, tensor
from lamina.tensor.guard import takes_tensors


class _ChannelNorm(Module):
    """One scale and one shift for each channel, and running statistics of it."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats

        def per_channel() -> Tensor:
            return empty(num_features, device=device, dtype=dtype)

        self.register_parameter("weight", Parameter(per_channel()) if affine else None)
        self.register_parameter("bias", Parameter(per_channel()) if affine and bias else None)
        self.register_buffer("running_mean", per_channel() if track_running_stats else None)
        self.register_buffer("running_var", per_channel() if track_running_stats else None)
        self.register_buffer("num_batches_tracked", tensor(0) if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget what was seen: mean 0, variance 1."""
        if self.running_mean is None or self.running_var is None:
            return
        init.zeros_(self.running_mean)
        init.ones_(self.running_var)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Start again: scale 1, shift 0, no running statistics."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_ndim(self, input: Tensor, *expected: int) -> None:
        if len(input.shape) not in expected:
            wanted = " or ".join(str(n) for n in expected)
            raise ShapeError(
                f"{type(self).__name__} was given shape {input.shape}; expected {wanted} axes, "
                f"{self.num_features} channels"
            )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_ChannelNorm):
    """What `BatchNorm1d` to `BatchNorm3d` share."""

    axes: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    @takes_tensors
    def forward(self, input: Tensor) -> Tensor:
        self._check_ndim(input, *self.axes)
        is_updating = self.training and self.track_running_stats
        is_reading = not self.training or is_updating
        out = F.batch_norm(
            input,
            self.running_mean if is_reading else None,
            self.running_var if is_reading else None,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            self._share_of_batch() if is_updating else 0.0,
            self.eps,
        )
        if is_updating and self.num_batches_tracked is not None:
            with no_grad():
                self.num_batches_tracked.add_(1)
        return out

    def _share_of_batch(self) -> float:
        """Return the weight of this batch in the running statistics."""
        if self.momentum is not None or self.num_batches_tracked is None:
            return self.momentum or 0.0
        # Without momentum the statistics are plain means over all batches so far.
        return 1 / (float(self.num_batches_tracked.item()) + 1)


class BatchNorm1d(_BatchNorm):
    """(x − mean) / √(var + eps) · weight + bias for each channel of (N, C) or (N, C, L).

    In training, mean and (biased) variance are those of the batch, and the running ones move by
    the share `momentum` towards them (the variance unbiased); without momentum they are means over
    all batches. In evaluation the running ones are used. Ioffe and Szegedy, "Batch normalization",
    ICML 2015.

    >>> from lamina import nn
    >>> norm = nn.BatchNorm1d(1)
    >>> norm(lamina.tensor([[0.0], [2.0]])).round().tolist()
    [[-1.0], [1.0]]
    >>> norm.running_mean
    Tensor([0.1])
    """

    axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of the channels of (N, C, H, W); see `BatchNorm1d`."""

    axes = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of the channels of (N, C, D, H, W); see `BatchNorm1d`."""

    axes = (5,)


class _InstanceNorm(_ChannelNorm):
    """What `InstanceNorm1d` to `InstanceNorm3d` share."""

    rank: int

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    @takes_tensors
    def forward(self, input: Tensor) -> Tensor:
        self._check_ndim(input, self.rank + 1, self.rank + 2)
        if input.shape[-self.rank - 1] != self.num_features and self.affine:
            raise ShapeError(
                f"{type(self).__name__} was given shape {input.shape}; expected "
                f"{self.num_features} channels"
            )
        is_single = len(input.shape) == self.rank + 1
        out = F.instance_norm(
            input.unsqueeze(0) if is_single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum or 0.0,
            self.eps,
        )
        return out[0] if is_single else out


@final
class InstanceNorm1d(_InstanceNorm):
    """(x − mean) / √(var + eps) · weight + bias for each channel of each sample of (N, C, L).

    Without `affine` there is no weight or bias. With `track_running_stats` the means over samples
    are kept, and used in evaluation. Ulyanov et al., "Instance normalization", 2016.

    >>> from lamina import nn
    >>> nn.InstanceNorm1d(1)(lamina.tensor([[[0.0, 2.0]]])).round().tolist()
    [[[-1.0, 1.0]]]
    """

    rank = 1


@final
class InstanceNorm2d(_InstanceNorm):
    """Normalisation of each channel of each sample of (N, C, H, W); see `InstanceNorm1d`."""

    rank = 2


@final
class InstanceNorm3d(_InstanceNorm):
    """Normalisation of each channel of each sample of (N, C, D, H, W); see `InstanceNorm1d`."""

    rank = 3
