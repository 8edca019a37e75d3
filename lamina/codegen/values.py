"""Values of the kernel language: what `a + b` emits.

A `Value` belongs to the builder that made it. Python numbers take the type of the other operand,
and a scalar meeting a vector is copied to all lanes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lamina.codegen import llvm
from lamina.codegen.types import Pointer, Scalar, Type, Vector, element_of, i1, i64
from lamina.errors import CompileError

Number = int | float
_FLOAT = {"+": "fadd", "-": "fsub", "*": "fmul", "/": "fdiv"}
_INTEGER = {"+": "add", "-": "sub", "*": "mul", "//": "sdiv", "%": "srem"}
_BITS = {"&": "and_", "|": "or_", "^": "xor", "<<": "shl", ">>": "lshr"}


@dataclass(frozen=True, slots=True)
class Value:
    """A number, vector or address known when the kernel runs. Integer `//` and `%` round towards
    zero.
    """

    emit: Any
    ir: Any
    type: Type

    def __add__(self, other: Value | Number) -> Value:
        if isinstance(self.type, Pointer):
            return _offset(self, other)
        return _arithmetic("+", self, other)

    def __sub__(self, other: Value | Number) -> Value:
        return _arithmetic("-", self, other)

    def __mul__(self, other: Value | Number) -> Value:
        return _arithmetic("*", self, other)

    def __truediv__(self, other: Value | Number) -> Value:
        return _arithmetic("/", self, other)

    def __floordiv__(self, other: Value | Number) -> Value:
        return _arithmetic("//", self, other)

    def __mod__(self, other: Value | Number) -> Value:
        return _arithmetic("%", self, other)

    def __and__(self, other: Value | Number) -> Value:
        return _arithmetic("&", self, other)

    def __or__(self, other: Value | Number) -> Value:
        return _arithmetic("|", self, other)

    def __radd__(self, other: Number) -> Value:
        return _arithmetic("+", constant_like(self, other), self)

    def __rsub__(self, other: Number) -> Value:
        return _arithmetic("-", constant_like(self, other), self)

    def __rmul__(self, other: Number) -> Value:
        return _arithmetic("*", constant_like(self, other), self)

    def __lt__(self, other: Value | Number) -> Value:
        return compare("<", self, other)

    def __le__(self, other: Value | Number) -> Value:
        return compare("<=", self, other)

    def __gt__(self, other: Value | Number) -> Value:
        return compare(">", self, other)

    def __ge__(self, other: Value | Number) -> Value:
        return compare(">=", self, other)

    def equals(self, other: Value | Number) -> Value:
        """Return the truth of `self == other`, lane by lane."""
        return compare("==", self, other)

    def __getitem__(self, index: Value | Number) -> Value:
        return self.load(index)

    def __setitem__(self, index: Value | Number, value: Value | Number) -> None:
        self.store(index, value)

    def load(self, index: Value | Number = 0, *, lanes: int | None = None) -> Value:
        """Return the scalar at `index`, or the vector of `lanes` scalars that starts there."""
        scalar = element_of(self.type)
        loaded: Type = scalar if lanes is None else Vector(scalar, lanes)
        place = _offset(self, index)
        ir = self.emit.load(place.ir, typ=loaded.llvm_type(), align=scalar.bytes)
        return Value(self.emit, ir, loaded)

    def store(self, index: Value | Number, value: Value | Number) -> None:
        """Write a scalar or vector at `index`."""
        scalar = element_of(self.type)
        if not isinstance(value, Value):
            value = constant(self.emit, scalar, value)
        if element_of(value.type) != scalar:
            raise CompileError(f"store: cannot put {value.type} where {scalar.name} lies")
        self.emit.store(value.ir, _offset(self, index).ir, align=scalar.bytes)


def constant(emit: Any, type_: Type, number: Number) -> Value:
    """Return `number` as a value of a scalar or vector type."""
    scalar = element_of(type_)
    python = float(number) if scalar.is_float else int(number)
    content = [python] * type_.lanes if isinstance(type_, Vector) else python
    return Value(emit, llvm.ir.Constant(type_.llvm_type(), content), type_)


def constant_like(value: Value, number: Number) -> Value:
    """Return `number` in the type of `value`."""
    return constant(value.emit, value.type, number)


def splat(value: Value, lanes: int) -> Value:
    """Return a vector with the scalar `value` in every lane."""
    type_ = Vector(element_of(value.type), lanes)
    undefined = llvm.ir.Constant(type_.llvm_type(), llvm.ir.Undefined)
    zero = llvm.ir.Constant(llvm.ir.IntType(32), 0)
    first = value.emit.insert_element(undefined, value.ir, zero)
    mask = llvm.ir.Constant(llvm.ir.VectorType(llvm.ir.IntType(32), lanes), [0] * lanes)
    return Value(value.emit, value.emit.shuffle_vector(first, undefined, mask), type_)


def _matched(a: Value, b: Value | Number) -> tuple[Value, Value]:
    if not isinstance(b, Value):
        return a, constant_like(a, b)
    if isinstance(a.type, Vector) and isinstance(b.type, Scalar):
        b = splat(b, a.type.lanes)
    if isinstance(b.type, Vector) and isinstance(a.type, Scalar):
        a = splat(a, b.type.lanes)
    if a.type != b.type:
        raise CompileError(f"operands of {a.type} and {b.type} do not meet; convert one of them")
    return a, b


def _arithmetic(symbol: str, left: Value, right: Value | Number) -> Value:
    a, b = _matched(left, right)
    table = _FLOAT if element_of(a.type).is_float else _INTEGER | _BITS
    if symbol not in table:
        raise CompileError(f"{symbol} is not defined for {element_of(a.type).name}")
    return Value(a.emit, getattr(a.emit, table[symbol])(a.ir, b.ir), a.type)


def compare(symbol: str, left: Value, right: Value | Number) -> Value:
    """Return the truth of `left symbol right` (ordered, signed), lane by lane."""
    a, b = _matched(left, right)
    is_float = element_of(a.type).is_float
    emit = a.emit.fcmp_ordered if is_float else a.emit.icmp_signed
    truth: Type = Vector(i1, a.type.lanes) if isinstance(a.type, Vector) else i1
    return Value(a.emit, emit(symbol, a.ir, b.ir), truth)


def _offset(pointer: Value, index: Value | Number) -> Value:
    if not isinstance(pointer.type, Pointer):
        raise CompileError(f"{pointer.type} is no pointer; only pointers are indexed")
    if not isinstance(index, Value):
        if index == 0:
            return pointer
        index = constant(pointer.emit, i64, index)
    element = pointer.type.element.llvm_type()
    ir = pointer.emit.gep(pointer.ir, [index.ir], source_etype=element)
    return Value(pointer.emit, ir, pointer.type)
