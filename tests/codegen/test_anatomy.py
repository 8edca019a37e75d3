"""Registers and spills, read from assembly."""

import pytest

from lamina.codegen.anatomy import anatomy, innermost_loops
from lamina.codegen.builder import KernelModule
from lamina.codegen.jit import Kernel
from lamina.codegen.target import TARGETS
from lamina.codegen.types import Pointer, f32, i8, i64


def emit_chains(module: KernelModule, count: int) -> None:
    """Carry `count` registers through a loop: more than there are must be spilled."""
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        x, lanes = k.pointer_at(args[0], f32), k.target.lanes(f32)
        start = [x.load(number * lanes, lanes=lanes) for number in range(count)]
        with k.loop(args[1], carry=start) as turn:
            *rest, last = turn.carried
            turn.next = [k.fma(last, value, value) for value in (last, *rest)]
        for number, value in enumerate(turn.results):
            x.store(number * lanes, value)


@pytest.mark.parametrize("name", ["sse4.2", "avx2", "avx512", "neon", "rvv128"])
def test_spills_appear_when_registers_run_out(name):
    target = TARGETS[name]
    few = anatomy(Kernel(emit_chains, (4,), target))["run"]
    many = anatomy(Kernel(emit_chains, (target.registers + 8,), target))["run"]
    assert few.spills == 0
    assert 4 <= few.registers < target.registers
    assert many.spills >= 8
    assert many.registers >= target.registers - 1
    assert many.instructions > few.instructions


LOOPS = """
.LBB0_1:
	addq	$1, %rax
.LBB0_2:
	vaddps	%ymm0, %ymm1, %ymm1
	jne	.LBB0_2
	cmpq	%rax, %rbx
	jne	.LBB0_1
	jmp	.LBB0_9
.LBB0_9:
	retq
"""


def test_the_innermost_of_two_loops():
    (loop,) = innermost_loops(LOOPS)
    assert loop[0] == ".LBB0_2:"
    assert len(loop) == 3


def test_targets_whose_registers_are_not_named_have_none():
    found = anatomy(Kernel(emit_chains, (4,), TARGETS["simd128"]))["run"]
    assert (found.registers, found.spills) == (0, 0)
    assert found.instructions > 10
