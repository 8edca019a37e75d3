"""The kernel language: staged Python that emits LLVM IR.

A kernel is a Python function that is run once with symbolic values. Python's `for` unrolls;
`Builder.loop` makes a loop that runs in the kernel, and what it carries from one turn to the next
is named. Vectors are as wide as the target's registers.

>>> from lamina.codegen.target import SCALAR
>>> from lamina.codegen.types import Pointer, f32, i64
>>> module = KernelModule(SCALAR)
>>> with module.function("add_one", {"x": Pointer(f32), "n": i64}) as (k, x, n):
...     with k.loop(n) as turn:
...         x[turn.index] = x[turn.index] + 1.0
>>> print(module, end="")
function add_one(x: pointer, n: i64)
    loop %0 from 0 below n step 1
        %1: f32 = load x[%0]
        %2: f32 = %1 + 1.0
        store %2 to x[%0]
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lamina.codegen import llvm
from lamina.codegen.control import Loop
from lamina.codegen.diagnostics import MISUSES, located
from lamina.codegen.emission import Function
from lamina.codegen.listing import listing
from lamina.codegen.memory import Cell, Memory
from lamina.codegen.target import Target
from lamina.codegen.types import Type
from lamina.codegen.values import Value
from lamina.codegen.verifier import verified_builder
from lamina.errors import CompileError

__all__ = ["Builder", "Cell", "Function", "KernelModule", "Loop"]


class KernelModule:
    """A set of functions that are compiled together for one target."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.ir = llvm.ir.Module("lamina")

    def __str__(self) -> str:
        return listing(self.ir)

    @contextmanager
    def function(
        self, name: str, parameters: dict[str, Type], *, inline: str = "auto"
    ) -> Iterator[Any]:
        """Define a function; gives (builder, value of each parameter …), and `.handle` on the
        builder.

        `inline` is "always", "never" or "auto". A function named with a leading underscore is
        private.
        """
        kinds = [kind.llvm_type() for kind in parameters.values()]
        handle = llvm.ir.Function(
            self.ir, llvm.ir.FunctionType(llvm.ir.VoidType(), kinds), name=name
        )
        handle.linkage = "internal" if name.startswith("_") else "external"
        handle.attributes.add("nounwind")
        if inline != "auto":
            handle.attributes.add({"always": "alwaysinline", "never": "noinline"}[inline])
        emit = verified_builder(handle)
        builder = Builder(self, emit, Function(handle, tuple(parameters.values())))
        for argument, label in zip(handle.args, parameters, strict=True):
            argument.name = label
        pairs = zip(handle.args, parameters.values(), strict=True)
        try:
            yield builder, *(Value(emit, argument, kind) for argument, kind in pairs)
        except (CompileError, *MISUSES) as error:
            raise located(error) from None
        emit.ret_void()


class Builder(Memory):
    """Emits into one function.

    Its parts: `emission`, `control`, `shuffles`, `memory`, `mathematics`, `conversions`.
    """

    def call(self, function: Function, *arguments: Value) -> None:
        """Call another function of the module."""
        given = tuple(argument.type for argument in arguments)
        if given != function.parameters:
            wanted, got = (", ".join(map(str, kinds)) for kinds in (function.parameters, given))
            raise CompileError(f"call: {function.ir.name} takes ({wanted}), got ({got})")
        self.emit.call(function.ir, [argument.ir for argument in arguments])

    def call_at(self, address: Value, *arguments: Value) -> None:
        """Call the function of another module that starts at the i64 `address`."""
        kinds = [argument.ir.type for argument in arguments]
        kind = llvm.ir.FunctionType(llvm.ir.VoidType(), kinds)
        function = self.emit.inttoptr(address.ir, kind.as_pointer())
        self.emit.call(function, [argument.ir for argument in arguments])
