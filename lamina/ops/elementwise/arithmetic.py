"""Arithmetic, comparison and logic, element by element."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.errors import ArgumentError, DTypeError
from lamina.kernels.expression import Expression, Input, apply
from lamina.memory import Spec
from lamina.memory.array import NDArray, scratch_copy
from lamina.ops.elementwise import exceptional
from lamina.ops.elementwise.choosing import choose
from lamina.ops.pointwise import (
    ANY,
    BOOLEAN,
    FLOATING,
    INTEGRAL,
    NUMERIC,
    REAL,
    REAL_FLOATING,
    Elementwise,
    Pointwise,
    unbroadcast,
)
from lamina.ops.registry import OUT, Value, define

add = define(
    Elementwise(
        "add",
        np.add,
        lambda g, out, a, b: (unbroadcast(g, a), unbroadcast(g, b)),
        kinds=ANY,
        promotion="common",
        saves=(),
        scalar="add",
    )
)
subtract = define(
    Elementwise(
        "subtract",
        np.subtract,
        lambda g, out, a, b: (unbroadcast(g, a), unbroadcast(-g, b)),
        kinds=NUMERIC,
        promotion="common",
        saves=(),
        scalar="subtract",
    )
)
multiply = define(
    Elementwise(
        "multiply",
        np.multiply,
        lambda g, out, a, b: (
            lambda: unbroadcast(g * b, a),
            lambda: unbroadcast(g * a, b),
        ),
        kinds=ANY,
        promotion="common",
        bilinear=True,
        scalar="multiply",
    )
)
divide = define(
    Elementwise(
        "divide",
        np.true_divide,
        lambda g, out, a, b: (
            lambda: unbroadcast(g / b, a),
            lambda: unbroadcast(-g * out / b, b),
        ),
        kinds=FLOATING,
        saves=(1, OUT),
        scalar="divide",
    )
)
sign = define(
    Elementwise(
        "sign",
        np.sign,
        lambda g, out, x: (g * 0,),
        kinds=NUMERIC,
        promotion="common",
        saves=(),
        scalar="sign",
    )
)
trunc = define(
    Elementwise(
        "trunc",
        np.trunc,
        lambda g, out, x: (g * 0,),
        kinds=REAL,
        promotion="common",
        saves=(),
        scalar="trunc",
    )
)
floor_divide = define(
    Elementwise(
        "floor_divide",
        exceptional.floor_divide,
        kinds=REAL,
        promotion="common",
        scalar="floor_divide",
        scalar_kinds=INTEGRAL,
    )
)
remainder = define(
    Elementwise(
        "remainder",
        np.remainder,
        lambda g, out, a, b: (
            lambda: unbroadcast(g, a),
            lambda: unbroadcast(-g * floor_divide(a, b), b),
        ),
        kinds=REAL,
        promotion="common",
        scalar="remainder",
        scalar_kinds=INTEGRAL,
    )
)
fmod = define(
    Elementwise(
        "fmod",
        np.fmod,
        lambda g, out, a, b: (
            lambda: unbroadcast(g, a),
            lambda: unbroadcast(-g * trunc(a / b), b),
        ),
        kinds=REAL,
        promotion="common",
        scalar="fmod",
        scalar_kinds=INTEGRAL,
    )
)


def _power_by_base(g: Value, a: Value, b: Value) -> Value:
    # Where the exponent is 0 the power is constant, whatever the base: 0, not 0·∞.
    return unbroadcast(where(b == 0, 0.0, g * b * power(a, where(b == 0, 1.0, b - 1))), a)


def _power_by_exponent(g: Value, out: Value, a: Value, b: Value) -> Value:
    # 0 ** b is 0 for every b > 0, so log 0 must not get a say; the log is taken of a harmless 1.
    is_flat = (a == 0) & (b >= 0)
    return unbroadcast(g * where(is_flat, 0.0, out * where(is_flat, 1.0, a).log()), b)


def _power(a: NDArray, b: NDArray) -> NDArray:
    if b.dtype.kind == "i" and b.size and b.min() < 0:
        raise ArgumentError(
            f"power: integers to the power {b.min()} given, expected an exponent ≥ 0; "
            "convert the base to a float dtype"
        )
    return np.power(a, b)


power = define(
    Elementwise(
        "power",
        _power,
        lambda g, out, a, b: (
            lambda: _power_by_base(g, a, b),
            lambda: _power_by_exponent(g, out, a, b),
        ),
        kinds=NUMERIC,
        promotion="common",
        saves=(0, 1, OUT),
        scalar="pow",
        scalar_kinds=REAL_FLOATING,
    )
)
negative = define(
    Elementwise(
        "negative",
        np.negative,
        lambda g, out, x: (-g,),
        kinds=NUMERIC,
        promotion="common",
        saves=(),
        scalar="negative",
    )
)
positive = define(
    Elementwise(
        "positive",
        np.positive,
        lambda g, out, x: (g,),
        kinds=NUMERIC,
        promotion="common",
        saves=(),
        scalar=lambda x: x,
    )
)
absolute = define(
    Elementwise(
        "absolute",
        np.absolute,
        lambda g, out, x: (g * sign(x),),
        kinds=NUMERIC,
        promotion="common",
        returns="real",
        scalar="absolute",
    )
)


def _share_ties(g: Value, out: Value, a: Value, b: Value) -> tuple[Value, Value]:
    """A value that ties gets half the gradient, as PyTorch shares it."""
    half = where(a == b, 0.5, 1.0).to(g.dtype)
    return (
        unbroadcast(where(a == out, g * half, 0.0), a),
        unbroadcast(where(b == out, g * half, 0.0), b),
    )


maximum = define(
    Elementwise(
        "maximum",
        np.maximum,
        _share_ties,
        kinds=ANY,
        promotion="common",
        saves=(0, 1, OUT),
        scalar="maximum",
    )
)
minimum = define(
    Elementwise(
        "minimum",
        np.minimum,
        _share_ties,
        kinds=ANY,
        promotion="common",
        saves=(0, 1, OUT),
        scalar="minimum",
    )
)


def _comparison(name: str, fn: np.ufunc, kinds: frozenset[dtypes.Kind] = ANY) -> Elementwise:
    return define(
        Elementwise(name, fn, kinds=kinds, promotion="common", returns="bool", scalar=name)
    )


equal = _comparison("equal", np.equal)
not_equal = _comparison("not_equal", np.not_equal)
less = _comparison("less", np.less, REAL | BOOLEAN)
less_equal = _comparison("less_equal", np.less_equal, REAL | BOOLEAN)
greater = _comparison("greater", np.greater, REAL | BOOLEAN)
greater_equal = _comparison("greater_equal", np.greater_equal, REAL | BOOLEAN)
logical_and = _comparison("logical_and", np.logical_and)
logical_or = _comparison("logical_or", np.logical_or)
logical_xor = _comparison("logical_xor", np.logical_xor)
logical_not = _comparison("logical_not", np.logical_not)
isnan = _comparison("isnan", np.isnan, NUMERIC)
isinf = _comparison("isinf", np.isinf, NUMERIC)
isfinite = _comparison("isfinite", np.isfinite, NUMERIC)
signbit = _comparison("signbit", np.signbit, REAL)


def _bitwise(name: str, fn: np.ufunc, kinds: frozenset[dtypes.Kind] = INTEGRAL) -> Elementwise:
    return define(Elementwise(name, fn, kinds=kinds, promotion="common", scalar=name))


bitwise_and = _bitwise("bitwise_and", np.bitwise_and)
bitwise_or = _bitwise("bitwise_or", np.bitwise_or)
bitwise_xor = _bitwise("bitwise_xor", np.bitwise_xor)
bitwise_invert = _bitwise("bitwise_invert", np.invert)
bitwise_left_shift = _bitwise("bitwise_left_shift", np.left_shift, INTEGRAL - BOOLEAN)
bitwise_right_shift = _bitwise("bitwise_right_shift", np.right_shift, INTEGRAL - BOOLEAN)


@define
@final
@dataclass(frozen=True, slots=True)
class Cast(Pointwise):
    """`x` in another dtype; the gradient comes back in the dtype of `x`.

    Floats become integers without their fraction: what is too large as the largest there is, a NaN
    as 0.
    """

    name = "cast"
    promotion = "none"
    kinds = ANY
    saves = ()

    dtype: DType

    def result(self, dtype: DType) -> DType:
        return self.dtype

    def ref(self, *inputs: NDArray) -> NDArray:
        return scratch_copy(inputs[0], self.dtype.numpy)

    def expression(self, *inputs: Spec) -> Expression | None:
        if self.dtype.is_complex or inputs[0].dtype.is_complex:
            return None
        return apply(f"to_{self.dtype.name}", Input(0))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        return (grad.to(x.dtype) if x.dtype.is_floating_point else None,)


@define
@final
@dataclass(frozen=True, slots=True)
class Where(Pointwise):
    """`a` where the condition holds, else `b`."""

    name = "where"
    promotion = "common"
    promotes_from = 1
    kinds = ANY
    saves = (0,)

    def infer(self, *inputs: Spec) -> Spec:
        if inputs[0].dtype is not dtypes.bool_:
            raise DTypeError(
                f"where: condition of {inputs[0].dtype.name} given, expected bool; compare it first"
            )
        # Named: in a slots dataclass a bare super() would see the class before slots were added.
        return Pointwise.infer(self, *inputs)

    def ref(self, *inputs: NDArray) -> NDArray:
        return choose(*inputs)

    def expression(self, *inputs: Spec) -> Expression | None:
        if inputs[1].dtype.is_complex:
            return None
        return apply("where", *(Input(place) for place in range(3)))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        condition, a, b = inputs
        return (
            None,
            lambda: unbroadcast(where(condition, grad, 0.0), a),
            lambda: unbroadcast(where(condition, 0.0, grad), b),
        )


def cast(x: Value, dtype: DType) -> Value:
    """Return `x` converted to `dtype`; `x` itself where it has that dtype."""
    return x if x.dtype is dtype else Cast(dtype)(x)


def where(condition: Value, a: Value, b: Value) -> Value:
    """Return `a` where `condition` holds and `b` elsewhere, all broadcast together.

    >>> import lamina
    >>> where(lamina.tensor([True, False]), lamina.tensor([1, 2]), 0)
    Tensor([1, 0])
    """
    return Where()(condition, a, b)
