"""Run kernels for other processors, under emulation, and compare what they compute with numpy.

    python scripts/run_elsewhere.py [--only TARGET …]

AArch64 and RISC-V kernels run under qemu-user, WebAssembly kernels under wasmtime. What is missing
is named, with the command that brings it, and skipped.
"""

import argparse
import shutil
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from unittest.mock import patch

import numpy as np
from emulators import DATA_AT, EMULATORS, Call, Machine, under_qemu, under_wasmtime

from lamina.codegen import cpu, jit, target
from lamina.codegen.builder import KernelModule
from lamina.codegen.mathlib.over_arrays import emit_over_array
from lamina.codegen.target import TARGETS, Target
from lamina.codegen.types import Pointer, f32, i8, i64
from lamina.kernels.convolution.entry import conv
from lamina.kernels.gemm import gemm
from lamina.kernels.launch import Plan
from lamina.kernels.reduction.plan import Calls, reduce

WHOLE = {"args": Pointer(i64), "scratch": Pointer(i8)}
LENGTHS = (0, 1, 3, 4, 5, 7, 8, 9, 31, 32, 33)


class Bench:
    """Makes kernel calls of one target on numpy arrays."""

    def __init__(self, row: Target, machine: Machine, base: int) -> None:
        self.target = row
        self.machine = machine
        self.base = base

    def call(self, emitter: jit.Emitter, parameters: tuple, slots: list) -> None:
        """Run `emitter`'s kernel; a slot of its arguments is a number or an array to write to."""
        kernel = jit.Kernel(emitter, parameters, self.target)
        arrays = [slot for slot in slots if isinstance(slot, np.ndarray)]
        places = self._places(arrays, 8 * len(slots))
        numbers = [places[id(s)] if isinstance(s, np.ndarray) else s for s in slots]
        block = struct.pack(f"<{len(numbers)}q", *numbers)
        self._run(kernel, "run", block, arrays, places)

    def run_plan(self, plan: Plan | Calls, arrays: list[np.ndarray]) -> None:
        """Make the calls of a plan on its operands, in the order that the plan counts them."""
        work = np.zeros(max(plan.workspace_bytes, 64), np.uint8)
        operands = [*arrays, work]
        for step in plan.steps:
            places = self._places(operands, 8 * len(step.arguments))
            block = type(step.arguments).from_buffer_copy(step.arguments)
            for slot, place in step.places:
                block[slot] = places[id(operands[place.base])] + place.offset
            kernel, name = step.entry.asked
            self._run(kernel, name, bytes(block), operands, places)

    def _places(self, arrays: list[np.ndarray], offset: int) -> dict[int, int]:
        places = {}
        for array in arrays:
            offset = -(-offset // 64) * 64
            places[id(array)] = self.base + offset
            offset += array.nbytes
        return places

    def _run(
        self, kernel: jit.Kernel, name: str, block: bytes, arrays: list, places: dict[int, int]
    ) -> None:
        memory = bytearray(block)
        for array in arrays:
            memory = memory.ljust(places[id(array)] - self.base, b"\0") + array.tobytes()
        size = -(-len(memory) // 64) * 64
        memory = memory.ljust(size, b"\0")
        after = self.machine(Call(kernel, name, self.base, self.base + size), memory, self.base)
        for array in arrays:
            offset = places[id(array)] - self.base
            content = np.frombuffer(after, array.dtype, array.size, offset)
            array[...] = content.reshape(array.shape)


@dataclass(frozen=True)
class Asked:
    """Stands for a function of a kernel for another processor."""

    asked: tuple[jit.Kernel, str]


@dataclass(frozen=True)
class Dense:
    """An array as kernels see it; plans do not keep its address."""

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype


def dense(array: np.ndarray) -> Dense:
    strides = tuple(step // array.itemsize for step in array.strides)
    return Dense(array.ctypes.data, array.shape, strides, array.dtype)


def forget_plans() -> None:
    """Drop what kernels have worked out for another target."""
    target.host_target.cache_clear()
    for name, module in list(sys.modules.items()):
        if name.startswith("lamina.kernels"):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


@contextmanager
def planning_for(row: Target) -> Iterator[list[Plan | Calls]]:
    """Let kernels believe that they are on another processor; gives the plans they would run."""
    plans: list[Plan | Calls] = []
    there = cpu.Cpu(row.name, row.arch, frozenset(row.features), 1, 0, 0, 0)

    def ask(emitter, *parameters, name="run", target=None):
        return Asked((jit.Kernel(emitter, parameters, target or row), name))

    forget_plans()
    with (
        patch.object(cpu, "describe", lambda: there),
        patch.object(target, "settings", replace(target.settings, target=row.name)),
        patch.object(jit, "kernel", ask),
        patch.object(Plan, "run", lambda self, *addresses: plans.append(self)),
        patch.object(Calls, "run", lambda self, addresses: plans.append(self)),
    ):
        yield plans
    forget_plans()


def emit_double(module: KernelModule) -> None:
    """Double the first n of x: whole registers and a masked tail."""
    with module.function("run", WHOLE) as (k, args, _):
        x, n, lanes = k.pointer_at(args[0], f32), args[1], k.target.lanes(f32)
        with k.loop(n, step=lanes) as turn:
            place, left = x + turn.index, n - turn.index
            k.store_first(place, k.load_first(place, left) * 2.0, left)


def emit_sum(module: KernelModule) -> None:
    """Sum n numbers: a register of sums, then its lanes."""
    with module.function("run", WHOLE) as (k, args, _):
        x, out, n = k.pointer_at(args[0], f32), k.pointer_at(args[1], f32), args[2]
        lanes = k.target.lanes(f32)
        with k.loop(n, step=lanes, carry=[k.zeros(f32)]) as turn:
            left = n - turn.index
            turn.next = [turn.carried[0] + k.load_first(x + turn.index, left)]
        out[0] = k.sum_lanes(turn.results[0])


def check_tails(bench: Bench) -> None:
    for n in LENGTHS:
        x = np.arange(40, dtype="f4")
        bench.call(emit_double, (), [x, n])
        np.testing.assert_array_equal(x, np.where(np.arange(40) < n, 2, 1) * np.arange(40))


def check_sum(bench: Bench) -> None:
    for n in LENGTHS:
        x, out = np.random.default_rng(n).standard_normal(40).astype("f4"), np.zeros(1, "f4")
        bench.call(emit_sum, (), [x, out, n])
        # n additions, each rounded once
        bound = (n + 1) * 2.0**-24 * np.abs(x[:n]).sum(dtype="f8")
        assert abs(out[0] - x[:n].sum(dtype="f8")) <= bound


def check_reductions(bench: Bench) -> None:
    x = np.random.default_rng(0).standard_normal((7, 53)).astype("f4")
    for name, axis in (("sum", 0), ("sum", 1), ("max", 1), ("mean", 0)):
        out = np.zeros(x.sum(axis).shape, "f4")
        with planning_for(bench.target) as plans:
            reduce(name, dense(out), [dense(x)], (axis,), (float(x.shape[axis]), 1.0))
        bench.run_plan(plans[0], [out, x])
        want = getattr(np, name)(x.astype("f8"), axis)
        bound = 54 * 2.0**-24 * np.abs(x).sum(axis, dtype="f8")
        assert (np.abs(out - want) <= bound).all(), (name, axis)


def check_functions(bench: Bench) -> None:
    x = np.linspace(-20, 20, 203, dtype="f4")
    for name in ("exp", "tanh", "sin"):
        out = np.zeros_like(x)
        bench.call(emit_over_array, (name, f32), [x.size, out, x])
        want = getattr(np, name)(x.astype("f8"))
        # Within 4 roundings of the value; the tables of the functions state less.
        assert (np.abs(out - want) <= 4 * np.spacing(np.abs(want).astype("f4"))).all(), name


def check_product(bench: Bench) -> None:
    for m, n, k in ((1, 5, 7), (3, 17, 40), (15, 33, 70), (29, 50, 300)):
        random = np.random.default_rng(m)
        a, b = random.standard_normal((m, k)), random.standard_normal((k, n))
        a, b, out = a.astype("f4"), b.astype("f4"), np.zeros((m, n), "f4")
        with planning_for(bench.target) as plans:
            gemm(*map(dense, (out, a, b)))
        bench.run_plan(plans[0], [out, a, b])
        bound = (2 * k + 2) * 2.0**-24 * (np.abs(a).astype("f8") @ np.abs(b).astype("f8"))
        assert (np.abs(out - a.astype("f8") @ b.astype("f8")) <= bound).all(), (m, n, k)


def check_convolution(bench: Bench) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 3, 9, 11)).astype("f4")
    w = random.standard_normal((5, 3, 3, 3)).astype("f4")
    out = np.zeros((2, 5, 7, 9), "f4")
    with planning_for(bench.target) as plans:
        conv(
            *map(dense, (out, x, w)),
            stride=(1, 1), padding=(0, 0), dilation=(1, 1), input_dilation=(1, 1),
        )  # fmt: skip
    bench.run_plan(plans[0], [out, x, w])
    windows = np.lib.stride_tricks.sliding_window_view(x.astype("f8"), (3, 3), (2, 3))
    want = np.einsum("nchwij,ocij->nohw", windows, w.astype("f8"))
    # Winograd's filtering, where it is chosen, loses up to ten times what a plain sum does.
    bound = 10 * 56 * 2.0**-24 * np.einsum("nchwij,ocij->nohw", np.abs(windows), np.abs(w))
    assert (np.abs(out - want) <= bound).all()


CHECKS = {
    "tails": check_tails,
    "sum": check_sum,
    "reductions": check_reductions,
    "functions": check_functions,
    "matrix product": check_product,
    "convolution": check_convolution,
}


def missing(row: Target) -> str | None:
    """Return what is needed to run a target's kernels and is not there."""
    if row.arch == "wasm32":
        return None if find_spec("wasmtime") else "wasmtime: pip install wasmtime"
    emulator = EMULATORS[row.arch]
    return None if shutil.which(emulator) else f"{emulator}: apt-get install qemu-user"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    elsewhere = [row.name for row in TARGETS.values() if row.arch in ("wasm32", *EMULATORS)]
    parser.add_argument("--only", nargs="+", choices=elsewhere, default=elsewhere)
    for name in parser.parse_args().only:
        row = TARGETS[name]
        lacking = missing(row)
        if lacking:
            print(f"{name}: skipped; it needs {lacking}")
            continue
        machine, base = (under_wasmtime, 1 << 20) if row.arch == "wasm32" else (under_qemu, DATA_AT)
        bench = Bench(row, machine, base)
        for what, check in CHECKS.items():
            check(bench)
            print(f"{name}: {what} as numpy has it")


if __name__ == "__main__":
    main()
