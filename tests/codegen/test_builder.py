"""The kernel language: what kernels compute, and which instructions they become."""

import ctypes

import numpy as np
import pytest
from usable_targets import USABLE

from lamina.codegen import assemble, jit
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import TARGETS
from lamina.codegen.types import Pointer, Vector, f32, f64, i8, i64

WHOLE = {"args": Pointer(i64), "scratch": Pointer(i8)}


@pytest.fixture(params=USABLE, ids=lambda target: target.name)
def target(request):
    return request.param


def call(emitter, target, *arrays, extra=(), parameters=()):
    numbers = [array.ctypes.data for array in arrays] + list(extra)
    block = (ctypes.c_int64 * len(numbers))(*numbers)
    jit.kernel(emitter, *parameters, target=target)(ctypes.addressof(block), 0)


def emit_scale(module: KernelModule) -> None:
    with module.function("run", WHOLE) as (k, args, _):
        x, n = k.pointer_at(args[0], f32), args[1]
        lanes = k.target.lanes(f32)
        with k.loop(n, step=lanes) as turn:
            place, left = x + turn.index, n - turn.index
            k.store_first(place, k.load_first(place, left) * 2.0, left)


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 15, 16, 17, 63, 64, 65])
def test_tails_are_masked(target, n):
    x = np.arange(80, dtype="f4")
    call(emit_scale, target, x, extra=[n])
    assert (x[:n] == 2 * np.arange(n)).all()
    assert (x[n:] == np.arange(n, 80)).all()


def emit_transpose(module: KernelModule, scalar) -> None:
    with module.function("run", WHOLE) as (k, args, _):
        source, *to = (k.pointer_at(args[number], scalar) for number in range(3))
        lanes = k.target.lanes(scalar)
        sources = [source + row * lanes for row in range(lanes)]
        turned = k.transpose([row.load(0, lanes=lanes) for row in sources])
        for target, columns in zip(to, (turned, k.load_transposed(sources)), strict=True):
            for number, column in enumerate(columns):
                target.store(number * lanes, column)


@pytest.mark.parametrize("scalar", [f32, f64], ids=str)
def test_transpose(target, scalar):
    lanes = target.lanes(scalar)
    x = np.arange(lanes * lanes, dtype=f"f{scalar.bytes}").reshape(lanes, lanes)
    y, z = np.zeros_like(x), np.zeros_like(x)
    call(emit_transpose, target, x, y, z, parameters=(scalar,))
    assert (y == x.T).all()
    assert (z == x.T).all()


def emit_seconds(module: KernelModule) -> None:
    with module.function("run", WHOLE) as (k, args, _):
        x, y = (k.pointer_at(args[number], f32) for number in range(2))
        k.store_seconds(y, x.load(0, lanes=k.target.lanes(f32)), args[2])
        k.store_spread(y + 100, x.load(0, lanes=k.target.lanes(f32)), k.integer(3), args[2])


@pytest.mark.parametrize("n", range(18))
def test_lanes_are_stored_apart(target, n):
    x, y = np.arange(1, 17, dtype="f4"), np.zeros(200, "f4")
    want = np.zeros(200, "f4")
    stored = x[: min(n, target.lanes(f32))]
    want[: 2 * len(stored) : 2] = stored
    want[100 : 100 + 3 * len(stored) : 3] = stored
    call(emit_seconds, target, x, y, extra=[n])
    assert (y == want).all()


def emit_fibonacci(module: KernelModule) -> None:
    with module.function("run", WHOLE) as (k, args, _):
        with k.loop(args[1], carry=[k.integer(0), k.integer(1)]) as turn:
            a, b = turn.carried
            turn.next = [b, a + b]
        k.pointer_at(args[0], i64)[0] = turn.results[0]


@pytest.mark.parametrize(("n", "want"), [(0, 0), (1, 1), (10, 55), (50, 12586269025)])
def test_loops_carry_values(n, want):
    out = np.zeros(1, "i8")
    call(emit_fibonacci, USABLE[0], out, extra=[n])
    assert out[0] == want


def emit_claims(module: KernelModule) -> None:
    with module.function("run", WHOLE) as (k, args, _):
        out = k.pointer_at(args[1], i64)
        number = k.cell(i64, k.claim(args))
        with k.repeat_while(lambda: number.get() < 5):
            with k.either((number.get() % 2).equals(0)) as (even, odd):
                with even:
                    out[number.get()] = number.get() * 10
                with odd:
                    out[number.get()] = -1
            number.set(k.claim(args))


def test_branches_cells_and_claims():
    out = np.zeros(6, "i8")
    block = (ctypes.c_int64 * 2)(0, out.ctypes.data)
    jit.kernel(emit_claims, target=USABLE[0])(ctypes.addressof(block), 0)
    assert out.tolist() == [0, -1, 20, -1, 40, 0]
    assert block[0] == 6


def emit_zero(module: KernelModule) -> None:
    """A loop that LLVM replaces by a call of memset."""
    with module.function("run", WHOLE) as (k, args, _):
        x = k.pointer_at(args[0], f32)
        with k.loop(args[1]) as turn:
            x[turn.index] = 0.0


def test_libc_is_reached_from_loaded_code(target):
    assert "memset" in assemble.assembly(jit.build(emit_zero, target))
    x = np.ones(1000, "f4")
    call(emit_zero, target, x, extra=[999])
    assert x.sum() == 1


def emit_fma(module: KernelModule) -> None:
    with module.function("run", WHOLE) as (k, args, _):
        x = k.pointer_at(args[0], f32)
        lanes = k.target.lanes(f32)
        a = x.load(0, lanes=lanes)
        x.store(0, k.fma(a, a, a))


@pytest.mark.parametrize("name", ["sse4.2", "avx2", "avx512"])
def test_fma_is_one_instruction_where_there_is_one(name):
    text = assemble.assembly(jit.build(emit_fma, TARGETS[name]))
    register = {"sse4.2": "xmm", "avx2": "ymm", "avx512": "zmm"}[name]
    assert ("vfmadd" in text) == TARGETS[name].has_fma
    assert register in text


def test_stages_can_be_printed():
    module = jit.build(emit_fma, TARGETS["avx2"])
    assert "llvm.fma.v8f32" in str(module.ir)
    assert "define void @run" in assemble.optimised_ir(module)


def test_vectors_are_as_wide_as_the_target():
    names = ("scalar", "sse4.2", "avx2", "avx512", "neon", "rvv256", "simd128")
    assert [TARGETS[name].lanes(f32) for name in names] == [1, 4, 8, 16, 4, 8, 4]
    assert Vector(f32, 8).element == f32


def emit_primes(module: KernelModule) -> None:
    with module.function("run", WHOLE) as (k, args, _):
        out, lanes = k.pointer_at(args[0], i64), k.target.lanes(i64)
        indices = out.load(0, lanes=lanes)
        found = k.cell(indices.type, indices)
        with k.when(args[1] > 0):
            found.set(k.gather(k.table(i64, (2, 3, 5, 7, 11, 13, 17, 19)), indices))
        out.store(0, found.get())


@pytest.mark.parametrize("n", [0, 1])
def test_tables_and_cells_of_vectors(target, n):
    x = np.array([3, 7, 0, 1, 2, 4, 5, 6])
    lanes, want = target.lanes(i64), x.copy()
    if n:
        want[:lanes] = np.array([2, 3, 5, 7, 11, 13, 17, 19])[x[:lanes]]
    call(emit_primes, target, x, extra=[n])
    assert (x == want).all()
