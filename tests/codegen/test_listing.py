"""The text of a kernel: stable, and complete enough to read what the kernel does."""

from pathlib import Path

import pytest

from lamina.codegen import atomics, jit
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import AVX2, AVX512
from lamina.codegen.types import Pointer, bf16, f32, i8, i32, i64, u8

FOLDER = Path(__file__).parent / "listings"
WHOLE = {"args": Pointer(i64), "scratch": Pointer(i8)}


def emit_dot(module: KernelModule) -> None:
    """A tail that is masked, a sum that is carried, one lane at the end."""
    with module.function("run", WHOLE) as (k, args, _):
        x, y, n = k.pointer_at(args[0], f32), k.pointer_at(args[1], bf16), args[2]
        lanes = k.target.lanes(f32)
        with k.loop(n, step=lanes, carry=[k.zeros(f32)]) as turn:
            left = n - turn.index
            right = k.convert(k.load_first(y + turn.index, left, lanes), f32)
            turn.next = [k.fma(k.load_first(x + turn.index, left), right, turn.carried[0])]
        x[n] = k.sum_lanes(turn.results[0])


def emit_branches(module: KernelModule) -> None:
    """Branches in loops in branches, a cell, a shared counter, a call."""
    with module.function("_clear", {"x": Pointer(u8), "n": i64}, inline="never") as (k, x, n):
        with k.loop(n) as turn:
            x[turn.index] = 0
        clear = k.handle
    with module.function("run", WHOLE) as (k, args, scratch):
        number = k.cell(i64, k.claim(args))
        with k.repeat_while(lambda: number.get() < args[1]):
            with k.either((number.get() % 3).equals(0)) as (then, otherwise):
                with then, k.loop(4, start=1, step=2) as turn, k.when(turn.index > 2):
                    scratch[turn.index] = 1
                with otherwise, k.when(args[2].differs(0)):
                    k.call(clear, k.cast_pointer(scratch, u8), number.get())
            number.set(k.claim(args))


def emit_lanes(module: KernelModule) -> None:
    """Lanes that move, are chosen, and are turned into other numbers."""
    with module.function("run", WHOLE) as (k, args, _):
        x = k.pointer_at(args[0], i32)
        low, high = x.load(0, lanes=8, align=32), x.load(8, lanes=8, align=32)
        k.prefetch(x + 64)
        mixed = k.shuffle(low, high, [0, 8, 1, 9, 2, 10, 3, 11])
        chosen = k.select(mixed > k.splat(x[9]), mixed, ~mixed & k.iota(i32))
        x.store(8, k.bitcast(k.sqrt(k.convert(chosen, f32)), i32))


def emit_shared(module: KernelModule) -> None:
    """Steps on words that threads share, with their orders."""
    with module.function("run", WHOLE) as (k, args, _):
        word = k.cast_pointer(args, i32)
        seen = atomics.load(k, word)
        _, done = atomics.compare_exchange(k, word, seen, seen + 1)
        with k.when(done):
            atomics.add(k, args + 1, atomics.exchange(k, args + 2, 0), order="release")
            atomics.fence(k)
        atomics.sleep_while(k, word, seen)


EMITTERS = (emit_dot, emit_branches, emit_lanes, emit_shared)


@pytest.mark.parametrize("emitter", EMITTERS, ids=lambda e: e.__name__[5:])
def test_listing(emitter, golden):
    golden(FOLDER / f"{emitter.__name__[5:]}.txt", str(jit.build(emitter, AVX2)))


def test_two_builds_have_one_text():
    first, second = (str(jit.build(emit_dot, AVX512)) for _ in range(2))
    assert first == second
    assert "×16" in first
