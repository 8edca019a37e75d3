"""What every part of the builder stands on: where it emits, for which target, and constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from lamina.codegen import llvm
from lamina.codegen.target import Target
from lamina.codegen.types import Scalar, Type, Vector, element_of, i64
from lamina.codegen.values import Number, Value, constant, splat
from lamina.errors import CompileError


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a module, to be called from its other functions."""

    ir: Any
    parameters: tuple[Type, ...]


class Module(Protocol):
    """What functions are defined in."""

    target: Target
    ir: Any


class Emission:
    """A place in one function where instructions go."""

    def __init__(self, module: Module, emit: Any, handle: Function) -> None:
        self.module = module
        self.target = module.target
        self.emit = emit
        self.handle = handle

    def constant(self, type_: Type, number: Number) -> Value:
        """Return `number` as a value of `type_`."""
        return constant(self.emit, type_, number)

    def integer(self, number: Value | int) -> Value:
        """Return `number` as an i64 value; values pass through."""
        if isinstance(number, Value):
            if number.type != i64:
                raise CompileError(
                    f"{number.type} given; expected i64\nconvert it: k.convert(value, i64)"
                )
            return number
        given: object = number
        if not isinstance(given, int):
            raise CompileError(f"{number!r} given; expected a whole number\nuse // or int(…)")
        return self.constant(i64, number)

    def vector(self, scalar: Scalar) -> Vector:
        """Return the type of a full register of `scalar`."""
        return Vector(scalar, self.target.lanes(scalar))

    def zeros(self, scalar: Scalar) -> Value:
        """Return a full register of zeros."""
        return self.constant(self.vector(scalar), 0)

    def splat(self, value: Value) -> Value:
        """Return a full register with `value` in every lane."""
        return splat(value, self.target.lanes(element_of(value.type)))

    def intrinsic(self, name: str, result: Any, parameters: list[Any]) -> Any:
        """Return LLVM's function `name`, declared once in the module."""
        known = self.module.ir.globals.get(name)
        kind = llvm.ir.FunctionType(result, parameters)
        return known or llvm.ir.Function(self.module.ir, kind, name=name)


def suffix(type_: Type) -> str:
    """Return how LLVM writes a type in the name of an intrinsic."""
    scalar = element_of(type_).ir_name
    return f"v{type_.lanes}{scalar}" if isinstance(type_, Vector) else scalar
