"""Activations, element by element."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from lamina.errors import ArgumentError, ShapeError
from lamina.kernels.expression import Expression, Input, apply
from lamina.layout import normalize_axis
from lamina.memory import Spec
from lamina.memory.array import NDArray, scratch
from lamina.ops.blocks import in_blocks
from lamina.ops.elementwise import gates
from lamina.ops.elementwise.arithmetic import absolute, where
from lamina.ops.elementwise.choosing import choose
from lamina.ops.elementwise.functions import sigmoid, tanh
from lamina.ops.elementwise.gates import mish, silu
from lamina.ops.pointwise import REAL, Elementwise, Kinds, Pointwise
from lamina.ops.registry import OUT, Value, define
from lamina.ops.shapes.movement import reshape

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "silu",
    "softplus",
    "softshrink",
    "softsign",
    "tanhshrink",
    "threshold",
]

SIGNED: Kinds = frozenset({"signed", "float"})

# Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks", 2017.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805

relu = define(
    Elementwise(
        "relu",
        lambda x: np.maximum(x, x.dtype.type(0), out=scratch(x.shape, x.dtype)),
        lambda g, out, x: (where(out > 0, g, 0.0),),
        kinds=REAL,
        promotion="common",
        saves=(OUT,),
        scalar=lambda x: apply("maximum", 0, x),
    )
)


@in_blocks
def _logsigmoid(x: NDArray) -> NDArray:
    out: NDArray = np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))
    return out


logsigmoid = define(
    Elementwise(
        "logsigmoid", _logsigmoid, lambda g, out, x: (g * sigmoid(-x),), scalar="log_sigmoid"
    )
)


@in_blocks
def _softsign(x: NDArray) -> NDArray:
    limit = np.finfo(x.dtype).max
    held = np.minimum(np.maximum(x, -limit), limit)
    return held / (1 + np.abs(held))


def _grad_of_softsign(g: Value, out: Value, x: Value) -> tuple[Any, ...]:
    room = 1 + absolute(x)
    return (g / (room * room),)


def _softsign_expression(x: Expression) -> Expression:
    held = apply("finite", x)
    return held / (1 + apply("absolute", held))


def _six_at_most(x: Expression) -> Expression:
    return apply("minimum", 6, apply("maximum", 0, x))


def _hardswish_expression(x: Expression) -> Expression:
    held = apply("maximum", -3, x)
    return held * (apply("minimum", 6, held + 3) / 6)


softsign = define(
    Elementwise("softsign", _softsign, _grad_of_softsign, scalar=_softsign_expression)
)


@in_blocks
def _hardswish(x: NDArray) -> NDArray:
    held = np.maximum(x, -3)
    return held * (np.minimum(held + 3, 6) / x.dtype.type(6))


hardswish = define(
    Elementwise(
        "hardswish",
        _hardswish,
        lambda g, out, x: (where(x < -3, 0.0, where(x <= 3, g * (x / 3 + 0.5), g)),),
        scalar=_hardswish_expression,
    )
)
hardsigmoid = define(
    Elementwise(
        "hardsigmoid",
        in_blocks(lambda x: np.minimum(np.maximum(x + 3, 0), 6) / x.dtype.type(6)),
        lambda g, out, x: (where((x > -3) & (x < 3), g / 6, 0.0),),
        scalar=lambda x: _six_at_most(x + 3) / 6,
    )
)


class _Formula(Pointwise):
    """An activation whose numbers are attributes."""

    __slots__ = ()

    @abstractmethod
    def formula(self, x: NDArray) -> NDArray:
        """Return the values for a block of elements."""

    @abstractmethod
    def scalar(self, x: Expression) -> Expression:
        """Return what becomes of one element."""

    def ref(self, *inputs: NDArray) -> NDArray:
        return in_blocks(self.formula)(inputs[0])

    def expression(self, *inputs: Spec) -> Expression | None:
        return self.scalar(Input(0))


@define
@final
@dataclass(frozen=True, slots=True)
class LeakyRelu(_Formula):
    """x where x > 0, else slope·x."""

    name = "leaky_relu"
    slope: float

    def formula(self, x: NDArray) -> NDArray:
        return choose(x > 0, x, x * x.dtype.type(self.slope))

    def scalar(self, x: Expression) -> Expression:
        return apply("where", x > 0, x, x * self.slope)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        return (where(x > 0, grad, grad * self.slope),)


@define
@final
@dataclass(frozen=True, slots=True)
class Elu(_Formula):
    """scale·x where x > 0, else scale·alpha·(exp(rate·x) − 1): ELU, SELU and CELU."""

    name = "elu"
    saves = (0, OUT)
    alpha: float = 1.0
    scale: float = 1.0
    rate: float = 1.0

    def formula(self, x: NDArray) -> NDArray:
        below = np.expm1(np.minimum(x, 0) * x.dtype.type(self.rate))
        kind = x.dtype.type
        return choose(x > 0, x * kind(self.scale), below * kind(self.scale * self.alpha))

    def scalar(self, x: Expression) -> Expression:
        below = apply("expm1", apply("minimum", 0.0, x) * self.rate)
        return apply("where", x > 0, x * self.scale, below * (self.scale * self.alpha))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        below = self.rate * (out + self.scale * self.alpha)
        return (grad * where(x > 0, self.scale, below),)


@define
@final
@dataclass(frozen=True, slots=True)
class Softplus(_Formula):
    """log(1 + exp(beta·x))/beta; x itself where beta·x > threshold."""

    name = "softplus"
    beta: float = 1.0
    threshold: float = 20.0

    def formula(self, x: NDArray) -> NDArray:
        steep = x * x.dtype.type(self.beta)
        soft = (np.maximum(steep, 0) + np.log1p(np.exp(-np.abs(steep)))) / x.dtype.type(self.beta)
        return choose(steep > self.threshold, x, soft)

    def scalar(self, x: Expression) -> Expression:
        steep = x * self.beta
        soft = apply("softplus", steep) / self.beta
        return apply("where", steep > self.threshold, x, soft)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        steep = x * self.beta
        return (grad * where(steep > self.threshold, 1.0, sigmoid(steep)),)


@define
@final
@dataclass(frozen=True, slots=True)
class Hardtanh(_Formula):
    """x held between two numbers; no gradient on them or beyond."""

    name = "hardtanh"
    kinds = SIGNED
    promotion = "common"
    low: float = -1.0
    high: float = 1.0

    def formula(self, x: NDArray) -> NDArray:
        return np.minimum(np.maximum(x, x.dtype.type(self.low)), x.dtype.type(self.high))

    def scalar(self, x: Expression) -> Expression:
        return apply("minimum", self.high, apply("maximum", self.low, x))

    def expression(self, *inputs: Spec) -> Expression | None:
        is_float = inputs[0].dtype.kind == "float"
        op = self if is_float else Hardtanh(int(self.low), int(self.high))
        return op.scalar(Input(0))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        return (where((x > self.low) & (x < self.high), grad, 0.0),)


@define
@final
@dataclass(frozen=True, slots=True)
class Softshrink(_Formula):
    """x moved towards 0 by `reach`, and 0 within it."""

    name = "softshrink"
    saves = (OUT,)
    reach: float = 0.5

    def formula(self, x: NDArray) -> NDArray:
        reach = x.dtype.type(self.reach)
        return np.sign(x) * np.maximum(np.abs(x) - reach, x.dtype.type(0))

    def scalar(self, x: Expression) -> Expression:
        return apply("sign", x) * apply("maximum", 0.0, apply("absolute", x) - self.reach)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (where(out == 0, 0.0, grad),)


@define
@final
@dataclass(frozen=True, slots=True)
class Hardshrink(_Formula):
    """x where |x| > `reach`, else 0."""

    name = "hardshrink"
    reach: float = 0.5

    def formula(self, x: NDArray) -> NDArray:
        return choose(np.abs(x) <= x.dtype.type(self.reach), np.zeros((), x.dtype), x)

    def scalar(self, x: Expression) -> Expression:
        return apply("where", apply("absolute", x) <= self.reach, 0.0, x)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        return (where(absolute(x) <= self.reach, 0.0, grad),)


@define
@final
@dataclass(frozen=True, slots=True)
class Threshold(_Formula):
    """x where x > `threshold`, else `value`."""

    name = "threshold"
    kinds = SIGNED
    promotion = "common"
    threshold: float
    value: float

    def formula(self, x: NDArray) -> NDArray:
        return choose(x <= x.dtype.type(self.threshold), np.array(self.value, x.dtype), x)

    def scalar(self, x: Expression) -> Expression:
        return apply("where", x <= self.threshold, self.value, x)

    def expression(self, *inputs: Spec) -> Expression | None:
        is_float = inputs[0].dtype.kind == "float"
        op = self if is_float else Threshold(int(self.threshold), int(self.value))
        return op.scalar(Input(0))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        return (where(x <= self.threshold, 0.0, grad),)


def relu6(x: Value) -> Value:
    """Return min(max(x, 0), 6)."""
    return Hardtanh(0.0, 6.0)(x)


def leaky_relu(x: Value, slope: float = 0.01) -> Value:
    """Return x where x > 0, else `slope`·x.

    >>> import lamina
    >>> leaky_relu(lamina.tensor([-2.0, 3.0]), 0.5)
    Tensor([-1.,  3.])
    """
    return LeakyRelu(float(slope))(x)


def elu(x: Value, alpha: float = 1.0) -> Value:
    """Return x where x > 0, else `alpha`·(exp x − 1): Clevert, Unterthiner and Hochreiter, 2015."""
    return Elu(float(alpha))(x)


def selu(x: Value) -> Value:
    """Return ELU scaled so that mean 0 and variance 1 are kept: Klambauer and others, 2017."""
    return Elu(_SELU_ALPHA, _SELU_SCALE)(x)


def celu(x: Value, alpha: float = 1.0) -> Value:
    """Return x where x > 0, else `alpha`·(exp(x/`alpha`) − 1): Barron, 2017."""
    if alpha == 0:
        raise ArgumentError("celu: alpha = 0 given; expected another number, it divides x")
    return Elu(float(alpha), 1.0, 1.0 / alpha)(x)


def gelu(x: Value, approximate: Literal["none", "tanh"] = "none") -> Value:
    """Return x·Φ(x), Φ being the normal distribution: Hendrycks and Gimpel, 2016.

    With "tanh": x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
    """
    match approximate:
        case "none":
            return gates.gelu_erf(x)
        case "tanh":
            return gates.gelu_tanh(x)
    raise ArgumentError(f"gelu: approximate={approximate!r} given, expected 'none' or 'tanh'")


def softplus(x: Value, beta: float = 1.0, threshold: float = 20.0) -> Value:
    """Return log(1 + exp(`beta`·x))/`beta`; x itself where `beta`·x > `threshold`."""
    return Softplus(float(beta), float(threshold))(x)


def hardtanh(x: Value, min_val: float = -1.0, max_val: float = 1.0) -> Value:
    """Return x held between `min_val` and `max_val`, with no gradient on them or beyond."""
    if min_val > max_val:
        raise ArgumentError(f"hardtanh: {min_val} to {max_val} given; expected the lesser first")
    return Hardtanh(min_val, max_val)(x)


def softshrink(x: Value, reach: float = 0.5) -> Value:
    """Return x moved towards 0 by `reach`, and 0 within it."""
    if reach < 0:
        raise ArgumentError(f"softshrink: {reach} given, expected 0 or more")
    return Softshrink(float(reach))(x)


def hardshrink(x: Value, reach: float = 0.5) -> Value:
    """Return x where |x| > `reach`, else 0."""
    return Hardshrink(float(reach))(x)


def threshold(x: Value, threshold: float, value: float) -> Value:
    """Return x where x > `threshold`, else `value`."""
    return Threshold(threshold, value)(x)


def tanhshrink(x: Value) -> Value:
    """Return x − tanh x."""
    return x - tanh(x)


def prelu(x: Value, weight: Value) -> Value:
    """Return x where x > 0, else `weight`·x; `weight` has one number, or one for each channel.

    Channels are axis 1 of `x`: He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015.
    """
    count = weight.shape[0] if weight.shape else 1
    channels = x.shape[1] if len(x.shape) > 1 else 1
    if len(weight.shape) > 1 or count not in (1, channels):
        raise ShapeError(
            f"prelu: weight of shape {weight.shape} given for {channels} channels; "
            f"expected (1,) or ({channels},)"
        )
    slope = reshape(weight, (count, *(1,) * (len(x.shape) - 2))) if len(x.shape) > 1 else weight
    return where(x > 0, x, slope * x)


def glu(x: Value, axis: int = -1) -> Value:
    """Return a·sigmoid(b), a and b the halves of `x` along `axis`: Dauphin and others, 2016."""
    place = normalize_axis(axis, len(x.shape))
    size = x.shape[place]
    if size % 2:
        raise ShapeError(f"glu: {x.shape} given; expected an even size along axis {axis}")
    before = (slice(None),) * place
    return x[(*before, slice(0, size // 2))] * sigmoid(x[(*before, slice(size // 2, size))])
