"""Scalar expressions: what all fusion is written in.

An expression says what becomes of one element: of the inputs of an elementwise kernel, of a sum
that a matrix product is about to store, of what a reduction adds up. It is a frozen tree of names
from `functions.FUNCTIONS`, so that it can be a key, be printed, and be emitted anywhere a kernel
has values in registers.

>>> x, scale = Input(0), Input(1)
>>> x * scale + 1.0
add(multiply(x0,x1),1.0)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

from lamina.codegen.builder import Builder
from lamina.codegen.types import Scalar, Vector, element_of, f32
from lamina.codegen.values import Number, Value, constant_like, splat
from lamina.errors import CompileError
from lamina.kernels.functions import FUNCTIONS
from lamina.kernels.scalars import COMPUTED


class Expression:
    """A tree of functions over inputs and numbers; Python's operators make greater ones."""

    __slots__ = ()

    def __add__(self, other: Operand) -> Apply:
        return apply("add", self, other)

    def __radd__(self, other: Operand) -> Apply:
        return apply("add", other, self)

    def __sub__(self, other: Operand) -> Apply:
        return apply("subtract", self, other)

    def __rsub__(self, other: Operand) -> Apply:
        return apply("subtract", other, self)

    def __mul__(self, other: Operand) -> Apply:
        return apply("multiply", self, other)

    def __rmul__(self, other: Operand) -> Apply:
        return apply("multiply", other, self)

    def __truediv__(self, other: Operand) -> Apply:
        return apply("divide", self, other)

    def __rtruediv__(self, other: Operand) -> Apply:
        return apply("divide", other, self)

    def __neg__(self) -> Apply:
        return apply("negative", self)

    def __lt__(self, other: Operand) -> Apply:
        return apply("less", self, other)

    def __le__(self, other: Operand) -> Apply:
        return apply("less_equal", self, other)

    def __gt__(self, other: Operand) -> Apply:
        return apply("greater", self, other)

    def __ge__(self, other: Operand) -> Apply:
        return apply("greater_equal", self, other)


@final
@dataclass(frozen=True, slots=True)
class Input(Expression):
    """The element of input number `place`."""

    place: int

    def __repr__(self) -> str:
        return f"x{self.place}"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Constant(Expression):
    """A number, in the type of the operands beside it or, where `dtype` is named, in that one."""

    value: Number
    dtype: str | None = None

    # By their text: 0.0 and −0.0 are equal numbers, but not the same; a NaN is the same as itself.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"{self.value!r}" if self.dtype is None else f"{self.value!r}:{self.dtype}"


@final
@dataclass(frozen=True, slots=True)
class Apply(Expression):
    """A function of `functions.FUNCTIONS` applied to expressions."""

    function: str
    operands: tuple[Expression, ...]
    # Of a tree whose branches share much, hashing each branch anew would take exponential time.
    digest: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.function not in FUNCTIONS:
            raise CompileError(
                f"no function is named {self.function!r}; expected one of {', '.join(FUNCTIONS)}"
            )
        object.__setattr__(self, "digest", hash((self.function, self.operands)))

    def __hash__(self) -> int:
        return self.digest

    def __repr__(self) -> str:
        return _printed(self)


Operand = Expression | int | float


def apply(function: str, *operands: Operand) -> Apply:
    """Return a function of expressions and numbers.

    >>> apply("maximum", 0.0, Input(0))
    maximum(0.0,x0)
    """
    lifted = (o if isinstance(o, Expression) else Constant(o) for o in operands)
    return Apply(function, tuple(lifted))


def in_order(*roots: Expression) -> list[Apply]:
    """Return each function application under `roots` once, operands before what uses them.

    >>> square = Input(0) * Input(0)
    >>> in_order(square + square)
    [multiply(x0,x0), %0=multiply(x0,x0);add(%0,%0)]
    """
    found: dict[Apply, None] = {}
    waiting: list[Expression] = list(reversed(roots))
    while waiting:
        node = waiting[-1]
        missing = (
            [o for o in node.operands if isinstance(o, Apply) and o not in found]
            if isinstance(node, Apply) and node not in found
            else []
        )
        if missing:
            waiting.extend(reversed(missing))
            continue
        waiting.pop()
        if isinstance(node, Apply):
            found[node] = None
    return list(found)


def substituted(root: Expression, places: Sequence[Expression]) -> Expression:
    """Return an expression with others in the places of its inputs.

    >>> substituted(Input(0) + Input(1), [Input(1), Constant(2.0)])
    add(x1,2.0)
    """
    known: dict[Expression, Expression] = {}

    def of(node: Expression) -> Expression:
        match node:
            case Input(place):
                return places[place]
            case Apply():
                return known[node]
            case _:
                return node

    for node in in_order(root):
        known[node] = Apply(node.function, tuple(map(of, node.operands)))
    return of(root)


def _printed(root: Apply) -> str:
    """Return `root` as text; what occurs more than once has a name, so no branch is said twice."""
    nodes = in_order(root)
    uses: dict[Apply, int] = dict.fromkeys(nodes, 0)
    for node in nodes:
        for operand in node.operands:
            if isinstance(operand, Apply):
                uses[operand] += 1
    texts: dict[Expression, str] = {}
    shared: list[str] = []
    for node in nodes:
        inside = ",".join(texts.get(o) or repr(o) for o in node.operands)
        text = f"{node.function}({inside})"
        if uses[node] > 1:
            shared.append(f"%{len(shared)}={text}")
            text = f"%{len(shared) - 1}"
        texts[node] = text
    return ";".join([*shared, texts[root]])


def emit(k: Builder, expression: Expression, inputs: Sequence[Value]) -> Value:
    """Return the value of `expression` for elements in registers; what occurs twice is emitted
    once.

    `inputs` are scalars or vectors of equally many lanes; a scalar beside a vector counts for every
    lane. 16-bit floats are computed with as f32, truth values are i1. The result has the type that
    its last function gives: it is for the caller to convert it to what is stored.
    """
    return emit_all(k, (expression,), inputs)[0]


def emit_all(k: Builder, roots: Sequence[Expression], inputs: Sequence[Value]) -> list[Value]:
    """Return the values of several expressions of the same inputs, with what they share emitted
    once.
    """
    values: dict[Expression, Value] = {}

    def value_of(node: Expression) -> Value | None:
        match node:
            case Input(place):
                return inputs[place]
            case Constant(number, str(dtype)):
                return k.constant(COMPUTED[dtype], number)
            case Constant():
                return None
            case _:
                return values[node]

    for node in in_order(*roots):
        given = [value_of(operand) for operand in node.operands]
        values[node] = FUNCTIONS[node.function](k, *_levelled(k, node, given))
    results = [value_of(root) for root in roots]
    return [_known(value, root) for value, root in zip(results, roots, strict=True)]


def _known(value: Value | None, node: Expression) -> Value:
    if value is None:
        raise CompileError(f"the type of {node!r} is not known; write Constant(number, dtype)")
    return value


def _levelled(k: Builder, node: Apply, given: Sequence[Value | None]) -> list[Value]:
    """Return operands with numbers typed, 16-bit floats widened and scalars spread over lanes."""
    known = [value for value in given if value is not None]
    # In a choice the condition's type says nothing about the numbers chosen from.
    chosen = given[1:] if node.function == "where" else given
    like = next((value for value in chosen if value is not None), None)
    like = like if like is None else _widened(k, like)
    lanes = max((v.type.lanes for v in known if isinstance(v.type, Vector)), default=0)
    levelled = []
    for operand, value in zip(node.operands, given, strict=True):
        if value is None:
            assert isinstance(operand, Constant)
            value = constant_like(_known(like, operand), operand.value)
        value = _widened(k, value)
        if lanes and isinstance(value.type, Scalar):
            value = splat(value, lanes)
        levelled.append(value)
    return levelled


def _widened(k: Builder, value: Value) -> Value:
    return k.convert(value, f32) if element_of(value.type).is_half else value
