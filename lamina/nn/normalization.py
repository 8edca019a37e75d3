"""Normalisation within a sample: over its last axes, groups of channels, neighbouring channels."""

from collections.abc import Sequence
from typing import Any, final

from lamina.errors import ArgumentError
from lamina.nn import functional as F
from lamina.nn.module import Module
from lamina.nn.parameter import Parameter
from lamina.tensor import Tensor, ones, zeros


def _sizes(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    is_single = isinstance(normalized_shape, int)
    return (normalized_shape,) if is_single else tuple(normalized_shape)  # type: ignore[return-value,arg-type]


class LayerNorm(Module):
    """(x − mean) / √(var + eps) · weight + bias over the last axes, which are `normalized_shape`.

    The variance is the biased one. Ba et al., "Layer normalization", 2016.

    >>> from lamina import nn
    >>> nn.LayerNorm(2)(lamina.tensor([[1.0, 3.0]])).round()
    Tensor([[-1.,  1.]], grad_fn=<round>)
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        sizes, made = self.normalized_shape, {"device": device, "dtype": dtype}
        self.register_parameter(
            "weight", Parameter(ones(sizes, **made)) if elementwise_affine else None
        )
        self.register_parameter(
            "bias", Parameter(zeros(sizes, **made)) if elementwise_affine and bias else None
        )

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


@final
class RMSNorm(Module):
    """x / √(mean(x²) + eps) · weight over the last axes; `eps` is by default the dtype's own.

    Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019.

    >>> from lamina import nn
    >>> nn.RMSNorm(2)(lamina.tensor([[3.0, 3.0]])).tolist()
    [[1.0, 1.0]]
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        made = ones(self.normalized_shape, device=device, dtype=dtype)
        self.register_parameter("weight", Parameter(made) if elementwise_affine else None)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


@final
class GroupNorm(Module):
    """(x − mean) / √(var + eps) · weight + bias, mean and variance over each group of channels.

    (N, C, *) in `num_groups` groups; weight and bias are one a channel. Wu and He, "Group
    normalization", ECCV 2018.

    >>> from lamina import nn
    >>> nn.GroupNorm(2, 4)(lamina.ones(1, 4, 3, 3)).shape
    (1, 4, 3, 3)
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ArgumentError(
                f"GroupNorm: {num_channels} channels given in {num_groups} groups; expected a "
                "number of groups that divides them"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        made = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(ones(num_channels, **made)) if affine else None)
        self.register_parameter(
            "bias", Parameter(zeros(num_channels, **made)) if affine and bias else None
        )

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


@final
class LocalResponseNorm(Module):
    """x / (k + alpha · mean(x²))^beta, the mean over `size` neighbouring channels.

    Krizhevsky et al., "ImageNet classification with deep convolutional neural networks",
    NeurIPS 2012.

    >>> from lamina import nn
    >>> nn.LocalResponseNorm(2)(lamina.ones(1, 4, 3)).shape
    (1, 4, 3)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
