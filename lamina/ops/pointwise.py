"""The op families that work element by element, and what their derivatives share."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, final

import numpy as np

from lamina import dtypes
from lamina.codegen.target import compiles_here
from lamina.dtypes import DType
from lamina.errors import DTypeError, ShapeError
from lamina.kernels.expression import Expression, Input, apply, in_order
from lamina.layout import broadcast_shapes
from lamina.memory import Array, Spec, allocate, empty, no_memory
from lamina.memory.array import NDArray
from lamina.ops.fused import Prepared, prepare
from lamina.ops.registry import Arrays, Op, Promotion, Value, adopt

Kinds = frozenset[dtypes.Kind]
NUMERIC: Kinds = frozenset({"signed", "unsigned", "float", "complex"})
REAL: Kinds = frozenset({"signed", "unsigned", "float"})
FLOATING: Kinds = frozenset({"float", "complex"})
REAL_FLOATING: Kinds = frozenset({"float"})
INTEGRAL: Kinds = frozenset({"bool", "signed", "unsigned"})
BOOLEAN: Kinds = frozenset({"bool"})
ANY: Kinds = NUMERIC | BOOLEAN
COMPILED: Kinds = ANY - {"complex"}

# Layouts that ops met, and what was worked out for them; None where the reference runs.
_PREPARED: dict[tuple[Any, ...], Any] = {}
_UNSEEN = object()
_PREPARED_KEPT = 4096


class Pointwise(Op):
    """An op whose output at an index depends on the inputs there alone; inputs broadcast.

    Its native form is a scalar `expression`, which is also what is fused with other ops.
    """

    __slots__ = ()
    kinds: Kinds = REAL_FLOATING
    promotion: Promotion = "float"

    @abstractmethod
    def ref(self, *inputs: NDArray) -> Any: ...

    def result(self, dtype: DType) -> DType:
        """Return the dtype that comes of inputs of `dtype`."""
        return dtype

    def infer(self, *inputs: Spec) -> Spec:
        dtype = inputs[-1].dtype
        if dtype.kind not in self.kinds:
            raise DTypeError(
                f"{self.name}: {dtype.name} given, expected {' or '.join(sorted(self.kinds))}; "
                "convert it with .to(dtype)"
            )
        first = inputs[0].shape
        if len(inputs) == 1 or all(x.shape == first for x in inputs[1:]):
            return Spec(first, self.result(dtype))
        try:
            return Spec(broadcast_shapes(*(x.shape for x in inputs)), self.result(dtype))
        except ShapeError as error:
            raise ShapeError(f"{self.name}: {error}") from None

    def expression(self, *inputs: Spec) -> Expression | None:
        """Return what becomes of an element of each input; None where there is no native form."""
        return None

    def operations(self, output: Spec, *inputs: Spec) -> int:
        expression = self.expression(*inputs)
        return prod(output.shape) * (len(in_order(expression)) if expression else 1)

    def run(self, *inputs: Array) -> Arrays:
        key = (self, *[x.layout for x in inputs], *[x.dtype for x in inputs])
        prepared = _PREPARED.get(key, _UNSEEN)
        if prepared is _UNSEEN:
            prepared = _remember(key, self._prepare(inputs))
        if prepared is None:
            return self.run_reference(*inputs)
        plan, layout, dtype, nbytes, offsets = prepared
        storage = allocate(nbytes)
        places = [x.storage.address + start for x, start in zip(inputs, offsets, strict=True)]
        plan.run(storage.address, *places)
        return Array(storage, layout, dtype)

    def write(self, out: Array, *inputs: Array) -> bool:
        """Write the output to `out`, of its shape and dtype; False where there is no native form.

        An input may be `out` itself, but share no other memory with it.
        """
        key = (self, out.layout, *[x.layout for x in inputs], *[x.dtype for x in inputs])
        prepared = _PREPARED.get(key, _UNSEEN)
        if prepared is _UNSEEN:
            prepared = _remember(key, self._prepare(inputs, out))
        if prepared is None:
            return False
        places = [x.storage.address + start for x, start in zip(inputs, prepared.offsets)]
        prepared.plan.run(out.address, *places)
        return True

    def run_reference(self, *inputs: Array) -> Arrays:
        """Return the output as `ref` computes it."""
        return Op.run(self, *inputs)

    def _prepare(self, inputs: tuple[Array, ...], out: Array | None = None) -> Prepared | None:
        specs = [x.spec for x in inputs]
        expected = self.infer(*specs)
        expression = self.expression(*specs) if compiles_here() else None
        if expression is None:
            return None
        return prepare(expression, expected, inputs, None if out is None else out.layout)


def _remember(key: tuple[Any, ...], prepared: Prepared | None) -> Prepared | None:
    while len(_PREPARED) >= _PREPARED_KEPT:
        _PREPARED.pop(next(iter(_PREPARED)), None)
    _PREPARED[key] = prepared
    return prepared


def forget_prepared() -> None:
    """Drop what was worked out for the layouts met: kernels are asked for anew."""
    _PREPARED.clear()


@final
@dataclass(frozen=True, slots=True)
class Elementwise(Pointwise):
    """A row of the elementwise table: a name, a numpy function, a derivative, a scalar expression.

    `scalar` is the name of a function of `kernels.functions`, or makes an expression of the
    inputs; it holds for inputs of `scalar_kinds`.
    """

    name: str
    fn: Callable[..., Any]
    grad: Callable[..., tuple[Any, ...]] | None = None
    kinds: Kinds = REAL_FLOATING
    promotion: Promotion = "float"
    saves: tuple[int, ...] | None = None
    returns: Literal["same", "bool", "real"] = "same"
    bilinear: bool = False
    scalar: str | Callable[..., Expression] | None = None
    scalar_kinds: Kinds = COMPILED

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        return self.grad is not None

    def result(self, dtype: DType) -> DType:
        match self.returns:
            case "same":
                return dtype
            case "bool":
                return dtypes.bool_
            case "real":
                return dtypes.real_of(dtype)

    def ref(self, *inputs: NDArray) -> Any:
        return self.fn(*inputs)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        if self.grad is None:
            return Pointwise.vjp(self, grad, out, *inputs)
        return self.grad(grad, out, *inputs)

    def expression(self, *inputs: Spec) -> Expression | None:
        if self.scalar is None or inputs[-1].dtype.kind not in self.scalar_kinds:
            return None
        places = [Input(n) for n in range(len(inputs))]
        return apply(self.scalar, *places) if isinstance(self.scalar, str) else self.scalar(*places)

    def run_reference(self, *inputs: Array) -> Arrays:
        expected = self.infer(*[x.spec for x in inputs])
        arrays = [x.numpy() for x in inputs]
        try:
            with np.errstate(all="ignore"):
                if isinstance(self.fn, np.ufunc):
                    out = empty(*expected)
                    self.fn(*arrays, out=out.numpy())
                    return out
                return adopt(self.fn(*arrays), expected)
        except MemoryError as error:
            raise no_memory(self.name, error) from None


def unbroadcast(grad: Value, like: Value) -> Value:
    """Return `grad` summed over the axes along which `like` was stretched to its shape."""
    shape = like.shape
    if grad.shape == shape:
        return grad
    lead = len(grad.shape) - len(shape)
    axes = tuple(
        a for a in range(len(grad.shape)) if a < lead or (shape[a - lead] == 1 != grad.shape[a])
    )
    return grad.sum(axis=axes, keepdims=True).reshape(shape)
