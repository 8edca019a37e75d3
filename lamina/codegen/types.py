"""The types of the kernel language: scalars, vectors of them and pointers to them."""

from dataclasses import dataclass
from typing import Any

from lamina.codegen import llvm


@dataclass(frozen=True, slots=True)
class Scalar:
    """A machine number: its width and whether it is floating."""

    name: str
    bits: int
    is_float: bool

    @property
    def bytes(self) -> int:
        return self.bits // 8

    def llvm_type(self) -> Any:
        if not self.is_float:
            return llvm.ir.IntType(self.bits)
        return llvm.ir.FloatType() if self.bits == 32 else llvm.ir.DoubleType()


@dataclass(frozen=True, slots=True)
class Vector:
    """`lanes` scalars that one instruction works on."""

    element: Scalar
    lanes: int

    def llvm_type(self) -> Any:
        return llvm.ir.VectorType(self.element.llvm_type(), self.lanes)


@dataclass(frozen=True, slots=True)
class Pointer:
    """The address of scalars that lie one after the other."""

    element: Scalar

    def llvm_type(self) -> Any:
        return llvm.ir.PointerType()


Type = Scalar | Vector | Pointer

i1 = Scalar("i1", 1, False)
i8 = Scalar("i8", 8, False)
i32 = Scalar("i32", 32, False)
i64 = Scalar("i64", 64, False)
f32 = Scalar("f32", 32, True)
f64 = Scalar("f64", 64, True)


def integer_like(scalar: Scalar) -> Scalar:
    """Return the integer type as wide as `scalar`, whose vectors can mask vectors of it."""
    return i32 if scalar.bits == 32 else i64


def element_of(type_: Type) -> Scalar:
    """Return the scalar that `type_` is made of."""
    return type_ if isinstance(type_, Scalar) else type_.element
