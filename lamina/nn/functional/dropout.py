"""Dropping elements or whole channels; nothing is dropped unless `training`."""

from lamina.errors import ShapeError
from lamina.ops.layers import dropout as ops
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors
from lamina.tensor.views import assign


@takes_tensors
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Return x with each element made 0 with probability `p`, the others divided by 1 − p.

    >>> sorted(set(dropout(lamina.ones(99), 0.5).tolist()))
    [0.0, 2.0]
    """
    out: Tensor = ops.dropout(input, p if training else _idle(p))
    return assign(input, out) if inplace and out is not input else out


@takes_tensors
def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Return (N, C, L) or (C, L) with each channel made 0 with probability `p`, the others divided
    by 1 − p."""
    return _channels_dropped("dropout1d", input, p, training, inplace, (2, 3))


@takes_tensors
def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Return (N, C, H, W) or (N, C, L) with each channel made 0 with probability `p`, the others
    divided by 1 − p."""
    return _channels_dropped("dropout2d", input, p, training, inplace, (4, 3))


@takes_tensors
def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Return (N, C, D, H, W) or (C, D, H, W) with each channel made 0 with probability `p`, the
    others divided by 1 − p."""
    return _channels_dropped("dropout3d", input, p, training, inplace, (4, 5))


@takes_tensors
def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Return x with elements set to SELU's floor with probability `p`; mean 0 and variance 1 stay.

    >>> alpha_dropout(lamina.ones(2), 0.5, training=False)
    Tensor([1., 1.])
    """
    out: Tensor = ops.alpha_dropout(input, p if training else _idle(p))
    return assign(input, out) if inplace and out is not input else out


@takes_tensors
def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Return (N, C, *) with whole channels set to SELU's floor with probability `p`."""
    share = p if training else _idle(p)
    out: Tensor = ops.feature_alpha_dropout(input, share)
    return assign(input, out) if inplace and out is not input else out


def _idle(p: float) -> float:
    """Return the share to drop in evaluation, 0, where `p` is one at all."""
    return 0.0 if 0 <= p <= 1 else p


def _channels_dropped(
    name: str, input: Tensor, p: float, training: bool, inplace: bool, ndims: tuple[int, int]
) -> Tensor:
    if len(input.shape) not in ndims:
        raise ShapeError(
            f"{name}: shape {input.shape} given; expected {min(ndims)} or {max(ndims)} axes"
        )
    is_single = ndims[0] < ndims[1] and len(input.shape) == ndims[0]
    batch = input.unsqueeze(0) if is_single else input
    out: Tensor = ops.feature_dropout(batch, p if training else _idle(p))
    out = out.squeeze(0) if is_single else out
    return assign(input, out) if inplace and p > 0 and training else out
