"""Starting values of parameters, written in place and drawn from a counted random stream.

Every function returns the tensor it wrote. Without `generator` the numbers come from
`lamina.philox.default_generator`, which `lamina.manual_seed` starts again.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from lamina.autograd import no_grad
from lamina.errors import ArgumentError, ShapeError
from lamina.layout import Shape
from lamina.memory.array import NDArray
from lamina.philox import Generator
from lamina.tensor import Tensor, from_numpy
from lamina.tensor.draws import stream_of

FanMode = Literal["fan_in", "fan_out"]

_GAINS: dict[str, Callable[[float], float]] = {
    **dict.fromkeys(("linear", "sigmoid"), lambda _: 1.0),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), lambda _: 1.0),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), lambda _: 1.0),
    "tanh": lambda _: 5 / 3,
    "relu": lambda _: math.sqrt(2),
    "leaky_relu": lambda slope: math.sqrt(2 / (1 + slope**2)),
    "selu": lambda _: 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor by which weights before `nonlinearity` are scaled to keep the variance.

    `param` is the negative slope of "leaky_relu" (0.01 without it).

    >>> calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity not in _GAINS:
        raise ArgumentError(
            f"no gain is known for {nonlinearity!r}; expected one of {', '.join(_GAINS)}"
        )
    return _GAINS[nonlinearity](0.01 if param is None else param)


def fans(shape: Shape) -> tuple[int, int]:
    """Return how many inputs an output sees, and how many outputs an input reaches.

    `shape` is (outputs, inputs, *kernel). ShapeError for fewer than two axes.

    >>> fans((64, 3, 3, 3))
    (27, 576)
    """
    if len(shape) < 2:
        raise ShapeError(f"fans of shape {tuple(shape)} were asked for; expected 2 axes or more")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _write(tensor: Tensor, values: NDArray) -> Tensor:
    with no_grad():
        return tensor.copy_(from_numpy(values))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Write `val` everywhere."""
    with no_grad():
        return tensor.fill_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """Write 0 everywhere."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Write 1 everywhere."""
    return constant_(tensor, 1.0)


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Write numbers evenly spread over [a, b).

    >>> bool((uniform_(lamina.empty(100), -1.0, 1.0).abs() <= 1.0).all())
    True
    """
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Write numbers of a normal distribution."""
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Write numbers of a normal distribution held to [a, b]: those outside are drawn again."""
    if not (a < b and std > 0):
        raise ArgumentError(
            f"trunc_normal_ was given std {std}, a {a}, b {b}; expected std > 0 and a < b"
        )
    low, high = (a - mean) / std, (b - mean) / std
    drawn = _standard_within(stream_of(generator), low, high, math.prod(tensor.shape))
    values = np.clip(drawn * std + mean, a, b)
    return _write(tensor, values.reshape(tensor.shape))


def _standard_within(stream: np.random.Generator, low: float, high: float, count: int) -> NDArray:
    """Return `count` numbers of the standard normal distribution held to [low, high]."""
    propose = _from_normal if low <= -1 and high >= 1 else _from_uniform
    kept = np.empty(0)
    while kept.size < count:
        wanted = 2 * (count - kept.size) + 16
        kept = np.concatenate([kept, propose(stream, low, high, wanted)])
    return kept[:count]


def _from_normal(stream: np.random.Generator, low: float, high: float, count: int) -> NDArray:
    drawn = stream.standard_normal(count)
    return drawn[(drawn >= low) & (drawn <= high)]


def _from_uniform(stream: np.random.Generator, low: float, high: float, count: int) -> NDArray:
    # Proposals cover [low, high] up to where the density has fallen by a factor of e⁴⁰, so that a
    # window far out in a tail accepts its share.
    peak = min(max(low, 0.0), high)
    reach = 10.0 if peak == 0 else min(40 / abs(peak), 10.0)
    drawn = stream.uniform(max(low, peak - reach), min(high, peak + reach), count)
    accepted = stream.random(count) < np.exp((peak**2 - drawn**2) / 2)
    return drawn[accepted]


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Write numbers evenly spread over ±gain·√(6 / (fan_in + fan_out)).

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010.
    """
    bound = gain * math.sqrt(6 / sum(fans(tensor.shape)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Write normal numbers of standard deviation gain·√(2 / (fan_in + fan_out)); see
    `xavier_uniform_`."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor.shape))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: FanMode = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Write numbers evenly spread over ±gain·√(3 / fan); `a` is the slope of "leaky_relu".

    He et al., "Delving deep into rectifiers", ICCV 2015.
    """
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: FanMode = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Write normal numbers of standard deviation gain / √fan; see `kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"mode {mode!r} given; expected 'fan_in' or 'fan_out'")
    fan = fans(tensor.shape)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Write a (semi-)orthogonal matrix of rows × the rest, times `gain`.

    Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", ICLR 2014. The signs make it uniform over all such matrices.
    """
    if len(tensor.shape) < 2:
        raise ShapeError(f"orthogonal_ was given shape {tensor.shape}; expected 2 axes or more")
    if 0 in tensor.shape:
        return tensor
    rows = tensor.shape[0]
    columns = math.prod(tensor.shape[1:])
    drawn = stream_of(generator).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    q *= np.sign(np.diagonal(r))
    matrix = q if rows >= columns else q.T
    return _write(tensor, gain * matrix.reshape(tensor.shape))


def eye_(tensor: Tensor) -> Tensor:
    """Write the identity into a matrix: ones on the diagonal, zeros elsewhere."""
    if len(tensor.shape) != 2:
        raise ShapeError(f"eye_ was given shape {tensor.shape}; expected 2 axes")
    return _write(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Write a convolution's weight that hands as many channels through as it can, per group."""
    shape = tensor.shape
    if len(shape) not in (3, 4, 5):
        raise ShapeError(f"dirac_ was given shape {shape}; expected 3, 4 or 5 axes")
    if shape[0] % groups:
        raise ArgumentError(f"dirac_: {groups} groups do not divide {shape[0]} output channels")
    per_group = shape[0] // groups
    values = np.zeros(shape)
    centre = tuple(n // 2 for n in shape[2:])
    for group in range(groups):
        for channel in range(min(per_group, shape[1])):
            values[(group * per_group + channel, channel, *centre)] = 1
    return _write(tensor, values)


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """Write normal numbers into a matrix, then zeros at the share `sparsity` of every column.

    Martens, "Deep learning via Hessian-free optimization", ICML 2010.
    """
    if len(tensor.shape) != 2:
        raise ShapeError(f"sparse_ was given shape {tensor.shape}; expected 2 axes")
    rows, columns = tensor.shape
    stream = stream_of(generator)
    values = stream.standard_normal((rows, columns)) * std
    zeros = math.ceil(sparsity * rows)
    for column in range(columns):
        values[stream.permutation(rows)[:zeros], column] = 0
    return _write(tensor, values)
