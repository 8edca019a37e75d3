"""Object code that must not be loaded, and memory that must not be written."""

import ctypes

import pytest

from lamina.codegen import assemble, jit, llvm, loader
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import SCALAR
from lamina.codegen.types import Pointer, i8, i64
from lamina.errors import CompileError


def emit_answer(module: KernelModule) -> None:
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (_, args, _s):
        args[0] = 42


def test_code_runs_without_llvm():
    code = loader.load(assemble.object_code(jit.build(emit_answer, SCALAR)))
    block = (ctypes.c_int64 * 1)()
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(code.address("run"))
    run(ctypes.addressof(block), 0)
    assert block[0] == 42


def test_loaded_code_is_not_writable():
    code = loader.load(assemble.object_code(jit.build(emit_answer, SCALAR)))
    with open("/proc/self/maps") as maps:
        rows = [line.split() for line in maps]
    spans = [(row[0].split("-"), row[1]) for row in rows]
    found = [mode for (a, b), mode in spans if int(a, 16) <= code.base < int(b, 16)]
    assert [mode[:3] for mode in found] == ["r-x"]


def emit_stranger(module: KernelModule) -> None:
    kind = llvm.ir.FunctionType(llvm.ir.VoidType(), [])
    stranger = llvm.ir.Function(module.ir, kind, name="system")
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, _, _s):
        k.emit.call(stranger, [])


def test_only_memory_routines_may_be_called():
    code = assemble.object_code(jit.build(emit_stranger, SCALAR))
    with pytest.raises(CompileError, match="kernel calls 'system'; only memset"):
        loader.load(code)


def emit_invalid(module: KernelModule) -> None:
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, _, _s):
        kind = llvm.ir.FunctionType(llvm.ir.VoidType(), [])
        k.emit.call(llvm.ir.Function(module.ir, kind, name="llvm.sqrt.f32"), [])


def test_what_llvm_rejects_is_a_compile_error():
    with pytest.raises(CompileError, match="LLVM rejects the kernel for scalar"):
        assemble.object_code(jit.build(emit_invalid, SCALAR))
