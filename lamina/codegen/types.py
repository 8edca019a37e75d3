"""The types of the kernel language: scalars, vectors of them and pointers to them."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from lamina.codegen import llvm


@dataclass(frozen=True, slots=True)
class Scalar:
    """A machine number: its width, whether it is floating, whether it has a sign.

    The 16-bit floats are kept as such and computed with as f32: `Builder.convert` changes one into
    the other.
    """

    name: str
    bits: int
    is_float: bool
    is_signed: bool = True

    def __str__(self) -> str:
        return self.name

    @property
    def bytes(self) -> int:
        return self.bits // 8

    @property
    def is_half(self) -> bool:
        """Whether this is a float that has no arithmetic of its own."""
        return self.is_float and self.bits == 16

    @property
    def ir_name(self) -> str:
        """How LLVM writes the type in the name of an intrinsic."""
        return f"f{self.bits}" if self.is_float and not self.is_half else f"i{self.bits}"

    def llvm_type(self) -> Any:
        if not self.is_float or self.is_half:
            return llvm.ir.IntType(self.bits)
        return llvm.ir.FloatType() if self.bits == 32 else llvm.ir.DoubleType()


@dataclass(frozen=True, slots=True)
class Vector:
    """`lanes` scalars that one instruction works on."""

    element: Scalar
    lanes: int

    def __str__(self) -> str:
        return f"{self.element}×{self.lanes}"

    def llvm_type(self) -> Any:
        return _vector_type(self)


@cache
def _vector_type(vector: Vector) -> Any:
    return llvm.ir.VectorType(vector.element.llvm_type(), vector.lanes)


@dataclass(frozen=True, slots=True)
class Pointer:
    """The address of scalars that lie one after the other."""

    element: Scalar

    def __str__(self) -> str:
        return f"pointer to {self.element}"

    def llvm_type(self) -> Any:
        return llvm.ir.PointerType()


Type = Scalar | Vector | Pointer

i1 = Scalar("i1", 1, False)
i8 = Scalar("i8", 8, False)
i16 = Scalar("i16", 16, False)
i32 = Scalar("i32", 32, False)
i64 = Scalar("i64", 64, False)
u8 = Scalar("u8", 8, False, is_signed=False)
u16 = Scalar("u16", 16, False, is_signed=False)
u32 = Scalar("u32", 32, False, is_signed=False)
u64 = Scalar("u64", 64, False, is_signed=False)
f16 = Scalar("f16", 16, True)
bf16 = Scalar("bf16", 16, True)
f32 = Scalar("f32", 32, True)
f64 = Scalar("f64", 64, True)

_INTEGERS = {8: i8, 16: i16, 32: i32, 64: i64}


# How a step that all threads agree on stands to what is read and written around it.
Order = Literal["relaxed", "acquire", "release", "acquire_release", "sequential"]
LLVM_ORDERS = {
    "relaxed": "monotonic",
    "acquire": "acquire",
    "release": "release",
    "acquire_release": "acq_rel",
    "sequential": "seq_cst",
}


def integer_like(scalar: Scalar) -> Scalar:
    """Return the integer type as wide as `scalar`, whose vectors can mask vectors of it."""
    return _INTEGERS[scalar.bits]


def element_of(type_: Type) -> Scalar:
    """Return the scalar that `type_` is made of."""
    return type_ if isinstance(type_, Scalar) else type_.element


def with_element(type_: Type, scalar: Scalar) -> Type:
    """Return `type_` with `scalar` in place of what it is made of.

    >>> with_element(Vector(f32, 8), i32) == Vector(i32, 8)
    True
    """
    if isinstance(type_, Vector):
        return Vector(scalar, type_.lanes)
    return Pointer(scalar) if isinstance(type_, Pointer) else scalar
