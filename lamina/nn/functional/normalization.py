"""Values brought to mean 0 and variance 1, to norm 1, or held down by their neighbours."""

from collections.abc import Sequence

from lamina.errors import ShapeError
from lamina.ops.layers import normalization as ops
from lamina.ops.layers.padding import pad
from lamina.ops.layers.pooling import avg_pool
from lamina.ops.objectives import distances
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors


@takes_tensors
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return (x − mean) / √(var + eps) · weight + bias for each channel of (N, C, *).

    In training mean and variance are the batch's, and the running ones move towards them in place
    by the share `momentum`; else the running ones are used.

    >>> batch_norm(lamina.tensor([[1.0], [3.0]]), None, None, training=True, eps=0.0).tolist()
    [[-1.0], [1.0]]
    """
    return ops.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


@takes_tensors
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return (x − mean) / √(var + eps) · weight + bias for each channel of each sample.

    >>> instance_norm(lamina.tensor([[[1.0, 3.0]]]), eps=0.0).tolist()
    [[[-1.0, 1.0]]]
    """
    return ops.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


@takes_tensors
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return (x − mean) / √(var + eps) · weight + bias over the last axes, `normalized_shape`.

    >>> layer_norm(lamina.tensor([[1.0, 3.0]]), (2,), eps=0.0)
    Tensor([[-1.,  1.]])
    """
    return ops.layer_norm(input, normalized_shape, weight, bias, eps)


@takes_tensors
def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Return x / √(mean(x²) + eps) · weight over the last axes, `normalized_shape`."""
    return ops.rms_norm(input, normalized_shape, weight, eps)


@takes_tensors
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return (x − mean) / √(var + eps) · weight + bias for each group of channels of (N, C, *).

    >>> group_norm(lamina.tensor([[1.0, 3.0, 10.0, 30.0]]), 2, eps=0.0)
    Tensor([[-1.,  1., -1.,  1.]])
    """
    return ops.group_norm(input, num_groups, weight, bias, eps)


@takes_tensors
def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Return x / (k + alpha · mean(x²))^beta, the mean over `size` neighbouring channels.

    Channels beyond the first and last count as zeros. `input` is (N, C, *).
    """
    if len(input.shape) < 3:
        raise ShapeError(f"local_response_norm: shape {input.shape} given; expected (N, C, *)")
    rows = (input * input).flatten(2).permute(0, 2, 1)
    ends = (size // 2, (size - 1) // 2)
    mean = avg_pool(pad(rows, ends), (size,), 1).permute(0, 2, 1).reshape(input.shape)
    return input / (mean * alpha + k) ** beta


@takes_tensors
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Return x / max(‖x‖ₚ, eps), the norm taken along `dim`.

    >>> normalize(lamina.tensor([[3.0, 4.0]]))
    Tensor([[0.6, 0.8]])
    """
    return distances.normalize(input, p, dim, eps)
