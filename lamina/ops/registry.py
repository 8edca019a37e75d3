"""What an op is, and the table of all of them.

An op is one frozen record: its shapes and dtypes (`infer`), its meaning (`ref`), its derivative
(`vjp`)
and its native form (`lower`) stand next to each other. Attributes are dataclass fields, so an op
instance is a key. Ops know nothing of tensors: calling one hands it to the first value's `apply`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import prod
from typing import Any, Literal, TypeVar

import numpy as np

from lamina.codegen.target import compiles_here
from lamina.dtypes import from_numpy
from lamina.errors import ArgumentError, DTypeError, GradientError
from lamina.kernels.elementwise import compute
from lamina.kernels.expression import Input
from lamina.kernels.scalars import STORED
from lamina.layout import Layout, Shape
from lamina.memory import Array, Spec, empty, no_memory, pooled, scratch_copy, settled
from lamina.memory.array import NDArray

# A tensor, or whatever else answers to the same operators; derivative rules are written over it.
Value = Any
Kernel = Callable[..., None]
Specs = Spec | tuple[Spec, ...]
Arrays = Array | tuple[Array, ...]
Promotion = Literal["none", "common", "float"]

OUT = -1
"""Place of the output in `Op.saves`."""


class Operand(ABC):
    """What ops apply to. Each kind of value says how an op runs on it: now, or into a graph."""

    __slots__ = ()

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Sizes of the axes."""

    @abstractmethod
    def apply(self, op: "Op", inputs: tuple[Any, ...]) -> Any:
        """Return `op` of `inputs`, of which this value is one."""


class Op(ABC):
    """An operation on arrays. Subclasses are frozen dataclasses registered with `define`."""

    __slots__ = ()

    name: str
    differentiable: bool = True
    # Which inputs `vjp` reads, and OUT for the output; the others reach it as a Spec. None: all
    # inputs.
    saves: tuple[int, ...] | None = None
    # Linear in each of two inputs: the gradient of one reads the other alone, so only that is
    # saved.
    bilinear: bool = False
    # How dtypes are made equal before the op runs, and from which input on.
    promotion: Promotion = "none"
    promotes_from: int = 0

    @abstractmethod
    def infer(self, *inputs: Spec) -> Specs:
        """Return shape and dtype of the output (a tuple of them for several); check the inputs."""

    @abstractmethod
    def ref(self, *inputs: NDArray) -> Any:
        """Return the output in numpy: the meaning, the oracle, and the fallback."""

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        """Return the gradient of each input, given that of the output.

        None where an input has none. A gradient that costs much may be a function of no arguments,
        called only when it is wanted. Written with differentiable operations, so it has a vjp
        itself.
        """
        raise GradientError(f"{self.name} has no derivative; detach() its inputs")

    def lower(self, *inputs: Spec) -> Kernel | None:
        """Return the native kernel, called as kernel(out, *inputs); None where there is none."""
        return None

    def operations(self, output: Spec, *inputs: Spec) -> int:
        """Return how many arithmetic operations the output takes: here one for each element."""
        return max(prod(spec.shape) for spec in (output, *inputs))

    def run(self, *inputs: Array) -> Arrays:
        """Return the output, computed now."""
        specs = [x.spec for x in inputs]
        expected = self.infer(*specs)
        kernel = self.lower(*specs) if compiles_here() else None
        if kernel is not None and isinstance(expected, Spec):
            out = empty(*expected)
            kernel(out, *inputs)
            return out
        result = by_reference(self, inputs)
        if isinstance(expected, Spec):
            return adopt(result, expected)
        return tuple(adopt(r, s) for r, s in zip(result, expected, strict=True))

    def __call__(self, *inputs: Value) -> Value:
        """Apply to values; the first tensor among them says how."""
        for value in inputs:
            if isinstance(value, Operand):
                return value.apply(self, inputs)
        given = ", ".join(type(v).__name__ for v in inputs) or "nothing"
        raise DTypeError(
            f"{self.name} was given {given}; expected a tensor, made with lamina.tensor()"
        )


class View(Op):
    """An op that moves no data: the output is the input's storage seen through another layout."""

    __slots__ = ()
    saves = ()

    @abstractmethod
    def relayout(self, layout: Layout) -> Layout | None:
        """Return the output's layout; None where it takes a copy."""

    def run(self, *inputs: Array) -> Arrays:
        (array,) = inputs
        layout = self.relayout(array.layout)
        if layout is not None:
            return array.with_layout(layout)
        whole = in_c_order(array)
        layout = self.relayout(whole.layout)
        assert layout is not None, "a contiguous layout can always be viewed"
        return whole.with_layout(layout)


def in_c_order(array: Array) -> Array:
    """Return `array` if its elements lie in C order, else a copy."""
    if array.layout.is_contiguous:
        return array
    if not compiles_here() or array.dtype.name not in STORED:
        return pooled(array.numpy())
    out = empty(*array.spec)
    compute(_SAME, (out,), (array,))
    return out


_SAME = (Input(0),)


def by_reference(op: Op, inputs: tuple[Array, ...]) -> Any:
    """Return what `ref` makes of `inputs`; MemoryCapError where numpy finds no memory for it."""
    try:
        with np.errstate(all="ignore"):
            return op.ref(*[x.numpy() for x in inputs])
    except MemoryError as error:
        raise no_memory(op.name, error) from None


def adopt(result: Any, expected: Spec) -> Array:
    """Return a numpy result as an array of the dtype that was inferred.

    Results of the pool stay where they are, others are copied there from 64 KiB on. Below 4 KiB
    results are numpy's own throughout, and below 64 KiB those not written into `scratch` arrays:
    the pool does not count them.
    """
    array = np.asarray(result)
    if array.dtype != expected.dtype.numpy:
        array = scratch_copy(array, expected.dtype.numpy)
    return settled(array)


OPS: dict[str, "Op | type[Op]"] = {}
"""Every op by name: an instance where it has no attributes, else its class."""

O = TypeVar("O", bound="Op | type[Op]")


def define(op: O) -> O:
    """Enter an op into the table; also a class decorator."""
    name = op.name
    if name in OPS:
        raise ArgumentError(f"an op named {name!r} is defined already; choose another name")
    OPS[name] = op
    return op


def spec_of(array: NDArray) -> Spec:
    """Return shape and dtype of a numpy array."""
    return Spec(array.shape, from_numpy(array.dtype))


def require(condition: bool, op: Op, error: type[Exception], message: str) -> None:
    """Raise `error` with the op's name before `message` unless `condition` holds."""
    if not condition:
        raise error(f"{op.name}: {message}")
