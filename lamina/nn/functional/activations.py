"""Activations. With `inplace` the result is also written over the input, as PyTorch does."""

from typing import Any, Literal

from lamina.dtypes import as_dtype
from lamina.errors import ArgumentError
from lamina.ops.elementwise import activations as ops
from lamina.ops.elementwise import functions
from lamina.ops.elementwise.arithmetic import where
from lamina.ops.layers import softmax as normalised
from lamina.philox import default_generator
from lamina.tensor import Tensor, from_numpy
from lamina.tensor.guard import takes_tensors
from lamina.tensor.views import assign

Approximation = Literal["none", "tanh"]


def _placed(input: Tensor, out: Tensor, inplace: bool) -> Tensor:
    return assign(input, out) if inplace else out


@takes_tensors
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return max(x, 0).

    >>> relu(lamina.tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """
    return _placed(input, ops.relu(input), inplace)


@takes_tensors
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """Return min(max(x, 0), 6)."""
    return _placed(input, ops.relu6(input), inplace)


@takes_tensors
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Return x where x > 0, else negative_slope·x.

    >>> leaky_relu(lamina.tensor([-1.0, 2.0]), 0.5)
    Tensor([-0.5,  2. ])
    """
    return _placed(input, ops.leaky_relu(input, negative_slope), inplace)


@takes_tensors
def rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Return x where x > 0, else a·x: a drawn from [lower, upper) in training, else their mean."""
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    drawn = default_generator.next().uniform(lower, upper, input.shape)
    slopes = from_numpy(drawn).to(input.dtype)
    return _placed(input, where(input > 0, input, input * slopes), inplace)


@takes_tensors
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x where x > 0, else alpha·(eˣ − 1)."""
    return _placed(input, ops.elu(input, alpha), inplace)


@takes_tensors
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x where x > 0, else alpha·(e^(x/alpha) − 1)."""
    return _placed(input, ops.celu(input, alpha), inplace)


@takes_tensors
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return 1.0507·(max(x, 0) + min(1.6733·(eˣ − 1), 0))."""
    return _placed(input, ops.selu(input), inplace)


@takes_tensors
def gelu(input: Tensor, approximate: Approximation = "none") -> Tensor:
    """Return x·Φ(x), Φ being the normal distribution function, exactly or by "tanh".

    >>> gelu(lamina.tensor([0.0, 100.0]))
    Tensor([  0., 100.])
    """
    return ops.gelu(input, approximate=approximate)


@takes_tensors
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x·sigmoid(x)."""
    return _placed(input, ops.silu(input), inplace)


@takes_tensors
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x·tanh(softplus(x))."""
    return _placed(input, ops.mish(input), inplace)


@takes_tensors
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x·min(max(x + 3, 0), 6)/6."""
    return _placed(input, ops.hardswish(input), inplace)


@takes_tensors
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """Return min(max(x + 3, 0), 6)/6."""
    return _placed(input, ops.hardsigmoid(input), inplace)


@takes_tensors
def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """Return x limited to [min_val, max_val]."""
    return _placed(input, ops.hardtanh(input, min_val, max_val), inplace)


@takes_tensors
def sigmoid(input: Tensor) -> Tensor:
    """Return 1 / (1 + e⁻ˣ)."""
    return functions.sigmoid(input)


@takes_tensors
def tanh(input: Tensor) -> Tensor:
    """Return the hyperbolic tangent."""
    return functions.tanh(input)


@takes_tensors
def logsigmoid(input: Tensor) -> Tensor:
    """Return log(1 / (1 + e⁻ˣ))."""
    return ops.logsigmoid(input)


@takes_tensors
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Return log(1 + e^(beta·x)) / beta; x itself where beta·x > threshold."""
    return ops.softplus(input, beta, threshold)


@takes_tensors
def softsign(input: Tensor) -> Tensor:
    """Return x / (1 + |x|)."""
    return ops.softsign(input)


@takes_tensors
def tanhshrink(input: Tensor) -> Tensor:
    """Return x − tanh(x)."""
    return ops.tanhshrink(input)


@takes_tensors
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """Return x moved towards 0 by `lambd`, 0 within ±lambd."""
    return ops.softshrink(input, lambd)


@takes_tensors
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """Return x where |x| > lambd, else 0."""
    return ops.hardshrink(input, lambd)


@takes_tensors
def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """Return x where x > threshold, else `value`."""
    return _placed(input, ops.threshold(input, threshold, value), inplace)


@takes_tensors
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Return x where x > 0, else weight·x; `weight` has one element, or one a channel (axis 1)."""
    return ops.prelu(input, weight)


@takes_tensors
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Return a·sigmoid(b), a and b being the halves of x along `dim`.

    >>> glu(lamina.tensor([3.0, 0.0]))
    Tensor([1.5])
    """
    return ops.glu(input, dim)


def _axis(name: str, dim: int | None) -> int:
    if dim is None:
        raise ArgumentError(f"{name}: no dim given; name the axis that adds up to 1")
    return dim


def _converted(input: Tensor, dtype: Any) -> Tensor:
    return input if dtype is None else input.to(as_dtype(dtype))


@takes_tensors
def softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """Return eˣ / Σ eˣ along `dim`, computed in `dtype` if given.

    >>> softmax(lamina.tensor([0.0, 0.0]), dim=0)
    Tensor([0.5, 0.5])
    """
    return normalised.softmax(_converted(input, dtype), _axis("softmax", dim))


@takes_tensors
def log_softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """Return x − log Σ eˣ along `dim`, computed in `dtype` if given."""
    return normalised.log_softmax(_converted(input, dtype), _axis("log_softmax", dim))


@takes_tensors
def softmin(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """Return e⁻ˣ / Σ e⁻ˣ along `dim`, computed in `dtype` if given."""
    return normalised.softmax(-_converted(input, dtype), _axis("softmin", dim))


@takes_tensors
def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """Return softmax((logits + g) / tau) with Gumbel noise g; with `hard`, one-hot forward.

    Jang et al., "Categorical reparameterization with Gumbel-softmax", ICLR 2017.
    """
    noise = from_numpy(default_generator.next().gumbel(size=logits.shape)).to(logits.dtype)
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    is_greatest = soft == soft.amax(dim, True)
    return is_greatest.to(soft.dtype) - soft.detach() + soft
