"""Kernels compiled for every target: each becomes the instructions that the target has for it."""

import re
from dataclasses import replace

import pytest

from lamina.codegen import assemble, cpu, jit, loader, target
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import TARGETS
from lamina.codegen.types import Pointer, f32, i8, i64
from lamina.errors import CompileError
from lamina.kernels.gemm.arithmetic import Recipe
from lamina.kernels.gemm.contract import emit_contraction
from lamina.kernels.gemm.tiles import tile_for

PRODUCT = Recipe.of("float32")
WHOLE = {"args": Pointer(i64), "scratch": Pointer(i8)}


def emit_multiply_add(module: KernelModule) -> None:
    """Write x·y + z to x over whole registers, then copy a tail."""
    with module.function("run", WHOLE) as (k, args, _):
        x, y, z = (k.pointer_at(args[number], f32) for number in range(3))
        lanes = k.target.lanes(f32)
        with k.loop(args[3], step=lanes) as turn:
            here = [pointer + turn.index for pointer in (x, y, z)]
            whole = [place.load(0, lanes=lanes) for place in here]
            here[0].store(0, k.fma(*whole))
        k.store_first(x, k.load_first(y, args[4]), args[4])


# What a multiply-add of float32 becomes: instruction and register.
MULTIPLY_ADD = {
    "scalar": r"mulss.*xmm",
    "sse4.2": r"mulps.*xmm",
    "avx2": r"vfmadd\d+ps.*ymm",
    "avx2-vnni": r"vfmadd\d+ps.*ymm",
    "avx512": r"vfmadd\d+ps.*zmm",
    "avx512-vnni": r"vfmadd\d+ps.*zmm",
    "avx512-bf16": r"vfmadd\d+ps.*zmm",
    "amx": r"vfmadd\d+ps.*zmm",
    "aarch64-scalar": r"fmla\tv\d+\.2s",  # LLVM knows no vector of one float there
    "neon": r"fmla\tv\d+\.4s",
    "neon-dot": r"fmla\tv\d+\.4s",
    "riscv64-scalar": r"fmadd\.s\tf",
    "rvv128": r"vfm(add|acc)\.vv\tv",
    "rvv256": r"vfm(add|acc)\.vv\tv",
    "wasm32-scalar": r"f32\.mul",
    "simd128": r"f32x4\.mul",
}


def test_every_target_is_asked_for_its_instruction():
    assert MULTIPLY_ADD.keys() == TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_multiply_add(name):
    text = assemble.assembly(jit.build(emit_multiply_add, TARGETS[name]))
    assert re.search(MULTIPLY_ADD[name], text)
    assert not re.search(r"call\s+fmaf?\b", text)


@pytest.mark.parametrize("name", ["neon", "rvv128", "simd128", "avx512"])
def test_the_matrix_product_is_compiled(name):
    text = assemble.assembly(jit.build(emit_contraction, TARGETS[name], PRODUCT))
    tile = tile_for(TARGETS[name])
    assert len(re.findall(MULTIPLY_ADD[name] + r"|vfmacc|fmla", text)) >= tile.rows * tile.vectors


def test_a_target_is_a_row_of_data():
    """Kernels read what a row says, never its name: a new row needs nothing else."""
    new = replace(TARGETS["neon"], name="new")
    for parameters in ((emit_multiply_add,), (emit_contraction, PRODUCT)):
        emitter, *rest = parameters
        old_code, new_code = (
            assemble.object_code(jit.build(emitter, row, *rest)) for row in (TARGETS["neon"], new)
        )
        assert new_code == old_code


def test_names_are_those_of_the_rows():
    rows = [row for file in (target.x86, target.arm, target.riscv) for row in file.TARGETS]
    assert all(TARGETS[row.name] is row for row in rows)


CPUINFO = {
    "flags\t\t: fpu pni ssse3 sse4_1 sse4_2 popcnt avx_vnni": {"sse3", "sse4.2", "avxvnni"},
    "Features\t: fp asimd asimddp": {"neon", "dotprod"},
    "isa\t\t: rv64imafdcv_zicsr_zvl256b": {"m", "v", "zvl128b", "zvl256b", "zicsr"},
    "isa\t\t: rv64gcv": {"a", "d", "v", "zvl128b"},
    "isa\t\t: rv64gc": {"m", "f"},
}


@pytest.mark.parametrize("text", CPUINFO)
def test_features_are_in_llvm_s_words(text):
    found = cpu._features(text)
    assert found >= CPUINFO[text]
    assert ("zvl128b" in found) == ("v" in found)
    assert "zvl512b" not in found


MACHINES = {
    "arm": ("aarch64", {"neon", "dotprod"}, "neon-dot"),
    "riscv": ("riscv64", set(TARGETS["rvv128"].features), "rvv128"),
    "sapphire rapids": ("x86_64", set(TARGETS["amx"].features), "amx"),
    "cascade lake": ("x86_64", set(TARGETS["avx512-vnni"].features), "avx512-vnni"),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_best_target_of_a_machine(machine, monkeypatch):
    arch, features, best = MACHINES[machine]
    there = cpu.Cpu(machine, arch, frozenset(features), 1, 0, 0, 0)
    monkeypatch.setattr(cpu, "describe", lambda: there)
    assert target.choose_target(None).name == best


def test_code_of_another_architecture_is_not_loaded():
    code = assemble.object_code(jit.build(emit_multiply_add, TARGETS["neon"]))
    with pytest.raises(CompileError, match="object code is for aarch64"):
        loader.load(code)
    wasm = assemble.object_code(jit.build(emit_multiply_add, TARGETS["simd128"]))
    with pytest.raises(CompileError, match="no ELF file"):
        loader.load(wasm)


def emit_tile_product(module: KernelModule) -> None:
    """AMX is reached by name: a product of 8-bit tiles 1 and 2 is added to tile 0."""
    with module.function("run", WHOLE) as (k, _, _s):
        kind = k.constant(i8, 0).ir.type
        product = k.intrinsic("llvm.x86.tdpbssd", k.handle.ir.ftype.return_type, [kind] * 3)
        k.emit.call(product, [k.constant(i8, number).ir for number in range(3)])


def test_tiles_of_amx():
    text = assemble.assembly(jit.build(emit_tile_product, TARGETS["amx"]))
    assert re.search(r"tdpbssd\s+%tmm2, %tmm1, %tmm0", text)
