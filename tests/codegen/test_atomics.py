"""Steps that all threads agree on: their meaning, and the orders that other processors are told."""

import ctypes
import threading
from dataclasses import replace

import pytest

from lamina.codegen import assemble, atomics, jit
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import SCALAR
from lamina.codegen.types import Pointer, i8, i32, i64
from lamina.errors import CompileError

AARCH64 = replace(SCALAR, name="aarch64", arch="aarch64", cpu="generic", features=())
RISCV = replace(SCALAR, name="riscv", arch="riscv64", cpu="generic-rv64", features=("a", "m"))
WASM = replace(SCALAR, name="wasm", arch="wasm32", cpu="generic", features=())
PARAMETERS = {"args": Pointer(i64), "scratch": Pointer(i8)}
TIMES = 100_000


def emit_each(module: KernelModule) -> None:
    """Do each step on a word of its own; put what it found four words further."""
    with module.function("run", PARAMETERS) as (k, args, _):
        args[4] = atomics.add(k, args, 5)
        args[5] = atomics.exchange(k, args + 1, 20)
        for word, expected in ((2, 30), (3, 41)):
            found, done = atomics.compare_exchange(
                k, args + word, k.constant(i64, expected), expected + 1
            )
            args[word + 4] = k.select(done, found + 1000, found)
        atomics.fence(k)
        atomics.store(k, args + 8, atomics.load(k, args + 3))


def test_each_step_does_what_it_says():
    words = (ctypes.c_int64 * 9)(1, 10, 30, 40)
    jit.kernel(emit_each)(ctypes.addressof(words), 0)
    assert list(words) == [6, 20, 31, 40, 1, 10, 1030, 40, 40]


def emit_many(module: KernelModule) -> None:
    """Add 1 many times, by adding and by comparing, to an i64 and to an i32."""
    with module.function("run", PARAMETERS) as (k, args, _):
        short = k.cast_pointer(args + 1, i32)
        with k.loop(TIMES):
            atomics.add(k, args, 1, order="relaxed")
            done = k.cell(i32, 0)
            with k.repeat_while(lambda: done.get().equals(0)):
                seen = atomics.load(k, short, order="relaxed")
                _, got = atomics.compare_exchange(k, short, seen, seen + 1)
                done.set(k.select(got, k.constant(i32, 1), k.constant(i32, 0)))


def test_no_step_is_lost_between_threads():
    words = (ctypes.c_int64 * 2)()
    entry = jit.kernel(emit_many)
    callers = [threading.Thread(target=entry, args=(ctypes.addressof(words), 0)) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert list(words) == [3 * TIMES] * 2


def emit_hand_over(module: KernelModule) -> None:
    """Publish, look, wait and wake: what the orders are needed for."""
    with module.function("run", PARAMETERS) as (k, args, _):
        word = k.cast_pointer(args, i32)
        args[1] = atomics.load(k, args)
        atomics.store(k, args + 2, 1)
        atomics.add(k, args + 3, 1)
        atomics.pause(k)
        atomics.sleep_while(k, word, k.constant(i32, 1))
        atomics.wake(k, word, atomics.ALL)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (AARCH64, ("ldar", "stlr", "ldaxr", "stlxr", "isb", "#98", "bl\tsyscall")),
        (RISCV, ("fence\tr, rw", "fence\trw, w", "amoadd.d.aqrl", "call\tsyscall")),
        (SCALAR, ("lock", "pause", "$202", "syscall")),
    ],
    ids=lambda given: getattr(given, "name", ""),
)
def test_each_processor_is_told_the_orders(target, words):
    text = assemble.assembly(jit.build(emit_hand_over, target))
    assert [word for word in words if word not in text] == []


def test_where_threads_cannot_sleep_the_kernel_is_refused():
    with pytest.raises(CompileError, match="no way to sleep on wasm32 is known; expected x86_64"):
        jit.build(emit_hand_over, WASM)
