"""Values of the kernel language: what `a + b` emits.

A `Value` belongs to the builder that made it. Python numbers take the type of the other operand,
and a scalar meeting a vector is copied to all lanes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lamina.codegen import llvm
from lamina.codegen.types import (
    Pointer,
    Scalar,
    Type,
    Vector,
    element_of,
    i1,
    i32,
    i64,
    with_element,
)
from lamina.errors import CompileError

Number = int | float
_CONSTANTS_KEPT = 4096
_FLOAT = {"+": "fadd", "-": "fsub", "*": "fmul", "/": "fdiv"}
_INTEGER = {
    "+": "add", "-": "sub", "*": "mul", "//": "sdiv", "%": "srem",
    "&": "and_", "|": "or_", "^": "xor", "<<": "shl", ">>": "ashr",
}  # fmt: skip
_UNSIGNED = _INTEGER | {"//": "udiv", "%": "urem", ">>": "lshr"}


@dataclass(frozen=True, slots=True)
class Value:
    """A number, vector or address known when the kernel runs.

    Integer `//` and `%` round towards zero; `>>` keeps the sign of a signed type.
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

    def __xor__(self, other: Value | Number) -> Value:
        return _arithmetic("^", self, other)

    def __lshift__(self, other: Value | Number) -> Value:
        return _arithmetic("<<", self, other)

    def __rshift__(self, other: Value | Number) -> Value:
        return _arithmetic(">>", self, other)

    def __neg__(self) -> Value:
        if element_of(self.type).is_float:
            return Value(self.emit, self.emit.fneg(self.ir), self.type)
        return constant_like(self, 0) - self

    def __invert__(self) -> Value:
        return Value(self.emit, self.emit.not_(self.ir), self.type)

    def __radd__(self, other: Number) -> Value:
        return _arithmetic("+", constant_like(self, other), self)

    def __rsub__(self, other: Number) -> Value:
        return _arithmetic("-", constant_like(self, other), self)

    def __rmul__(self, other: Number) -> Value:
        return _arithmetic("*", constant_like(self, other), self)

    def __rtruediv__(self, other: Number) -> Value:
        return _arithmetic("/", constant_like(self, other), self)

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

    def differs(self, other: Value | Number) -> Value:
        """Return the truth of `self != other`, lane by lane: a NaN differs from all."""
        return compare("!=", self, other)

    def __eq__(self, other: object) -> bool:
        raise CompileError(
            f"== compares while the kernel is written; this {self.type} is a run-time value\n"
            "compare in the kernel: a.equals(b), a.differs(b)"
        )

    def __bool__(self) -> bool:
        raise CompileError(
            f"a run-time {self.type} has no truth while the kernel is written\n"
            "branch in the kernel: k.when(…), k.either(…) or k.select(…); k.both for `and`"
        )

    def __index__(self) -> int:
        raise CompileError(
            f"a number known when the kernel is written is needed; this {self.type} is a run-time "
            "value\nloop in the kernel: with k.loop(n) as turn"
        )

    def __iter__(self) -> Iterator[Value]:
        raise CompileError(
            f"a run-time {self.type} has no items to go through\n"
            "take lanes with k.lane(vector, number), elements with k.loop"
        )

    def __getitem__(self, index: Value | Number) -> Value:
        return self.load(index)

    def __setitem__(self, index: Value | Number, value: Value | Number) -> None:
        self.store(index, value)

    def load(
        self, index: Value | Number = 0, *, lanes: int | None = None, align: int | None = None
    ) -> Value:
        """Return the scalar at `index`, or the vector of `lanes` scalars that starts there.

        `align` promises that the address is a multiple of so many bytes.
        """
        scalar = element_of(self.type)
        loaded: Type = scalar if lanes is None else Vector(scalar, lanes)
        place = _offset(self, index)
        ir = self.emit.load(place.ir, typ=loaded.llvm_type(), align=align or scalar.bytes)
        return Value(self.emit, ir, loaded)

    def store(self, index: Value | Number, value: Value | Number) -> None:
        """Write a scalar or vector at `index`."""
        scalar = element_of(self.type)
        if not isinstance(value, Value):
            value = constant(self.emit, scalar, value)
        if element_of(value.type) != scalar:
            raise CompileError(
                f"store: cannot put {value.type} where {scalar} lies\n"
                f"convert it: k.convert(value, {scalar})"
            )
        self.emit.store(value.ir, _offset(self, index).ir, align=scalar.bytes)


def constant(emit: Any, type_: Type, number: Number) -> Value:
    """Return `number` as a value of a scalar or vector type."""
    scalar = element_of(type_)
    python = _bits_of_half(scalar, number) if scalar.is_half else _native(scalar, number)
    return Value(emit, _constant(type_, repr(python)), type_)


@lru_cache(maxsize=_CONSTANTS_KEPT)
def _constant(type_: Type, text: str) -> Any:
    """Return LLVM's constant of the number that a text says: 0.0 and −0.0 are two of them."""
    scalar = element_of(type_)
    number = float(text) if scalar.is_float and not scalar.is_half else int(text)
    content = [number] * type_.lanes if isinstance(type_, Vector) else number
    return llvm.ir.Constant(type_.llvm_type(), content)


@lru_cache(maxsize=_CONSTANTS_KEPT)
def _undefined(type_: Vector) -> Any:
    return llvm.ir.Constant(type_.llvm_type(), llvm.ir.Undefined)


def _native(scalar: Scalar, number: Number) -> Number:
    if scalar.is_float:
        return float(number)
    if number != int(number):
        raise CompileError(
            f"{number!r} meets {scalar}\ngive a whole number, or convert the {scalar}"
        )
    return int(number)


def _bits_of_half(scalar: Scalar, number: Number) -> int:
    """Return the bits of `number` as a 16-bit float, rounded to nearest even."""
    if scalar.name == "f16":
        return int.from_bytes(struct.pack("<e", number), "little")
    bits = int.from_bytes(struct.pack("<f", number), "little")
    if number != number:
        return bits >> 16 | 0x40
    return bits + 0x7FFF + (bits >> 16 & 1) >> 16


def constant_like(value: Value, number: Number) -> Value:
    """Return `number` in the type of `value`."""
    return constant(value.emit, value.type, number)


def splat(value: Value, lanes: int) -> Value:
    """Return a vector with the scalar `value` in every lane."""
    type_ = Vector(element_of(value.type), lanes)
    undefined, emit = _undefined(type_), value.emit
    first = emit.insert_element(undefined, value.ir, _constant(i32, "0"))
    every = _constant(Vector(i32, lanes), "0")
    return Value(emit, emit.shuffle_vector(first, undefined, every), type_)


def _matched(a: Value, b: Value | Number) -> tuple[Value, Value]:
    if not isinstance(b, Value):
        return a, constant_like(a, b)
    if isinstance(a.type, Vector) and isinstance(b.type, Scalar):
        b = splat(b, a.type.lanes)
    if isinstance(b.type, Vector) and isinstance(a.type, Scalar):
        a = splat(a, b.type.lanes)
    if a.type != b.type:
        raise CompileError(f"operands of {a.type} and {b.type} do not meet\nconvert one of them")
    return a, b


def _arithmetic(symbol: str, left: Value, right: Value | Number) -> Value:
    a, b = _matched(left, right)
    scalar = element_of(a.type)
    if scalar.is_half:
        raise CompileError(f"{symbol} is not defined for {scalar}\nconvert it to f32 first")
    table = _FLOAT if scalar.is_float else _INTEGER if scalar.is_signed else _UNSIGNED
    if symbol not in table:
        raise CompileError(f"{symbol} is not defined for {scalar.name}")
    return Value(a.emit, getattr(a.emit, table[symbol])(a.ir, b.ir), a.type)


def compare(symbol: str, left: Value, right: Value | Number) -> Value:
    """Return the truth of `left symbol right`, lane by lane. A NaN differs, and is all else no."""
    a, b = _matched(left, right)
    scalar = element_of(a.type)
    if scalar.is_half:
        raise CompileError(f"{symbol} is not defined for {scalar}\nconvert it to f32 first")
    if scalar.is_float:
        emit = a.emit.fcmp_unordered if symbol == "!=" else a.emit.fcmp_ordered
    else:
        emit = a.emit.icmp_signed if scalar.is_signed else a.emit.icmp_unsigned
    return Value(a.emit, emit(symbol, a.ir, b.ir), with_element(a.type, i1))


def _offset(pointer: Value, index: Value | Number) -> Value:
    if not isinstance(pointer.type, Pointer):
        raise CompileError(
            f"{pointer.type} is no pointer; only pointers are indexed\n"
            "make one of an address: k.pointer_at(address, scalar)"
        )
    if not isinstance(index, Value):
        if index == 0:
            return pointer
        index = constant(pointer.emit, i64, index)
    element = pointer.type.element.llvm_type()
    ir = pointer.emit.gep(pointer.ir, [index.ir], source_etype=element)
    return Value(pointer.emit, ir, pointer.type)
