"""The same kernels for every SIMD target that this processor runs: how much each width brings.

    python benchmarks/simd.py [--threads N] [--quick]

Each target works in processes of its own, taking turns with the others; figures are the best of
the medians. Speeds are relative to SSE4.2; the paper that Lamina is measured by reports 1.0 : 1.8 :
2.6 for SSE4.2 : AVX2 : AVX-512. The peak is that of the target's own multiply-add.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
from _measure import ArrayOperand, apply_options, machine, measure, options
from rich.console import Console
from rich.table import Table

from lamina.codegen import cpu, threads
from lamina.codegen.target import TARGETS, runs_here
from lamina.kernels.elementwise import Laid
from lamina.kernels.elementwise import plan as elementwise_plan
from lamina.kernels.expression import Input, apply
from lamina.kernels.gemm import gemm
from lamina.kernels.peak import fma_peak
from lamina.kernels.reduction.folds import fold_of
from lamina.kernels.reduction.plan import neighbours
from lamina.kernels.reduction.plan import plan as reduction_plan

BASE = "sse4.2"
ROUNDS = 3
COUNT = 16384


def product(n: int) -> Callable[[], None]:
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((n, n)).astype("f4") for _ in range(2))
    operands = [ArrayOperand(array) for array in (np.empty((n, n), "f4"), a, b)]
    return lambda: gemm(*operands)


def elementwise(*, is_costly: bool) -> Callable[[], None]:
    """Compute x·y + y, or that divided by 1 + exp(−x), of numbers that stay in the caches."""
    random = np.random.default_rng(0)
    arrays = [random.standard_normal(COUNT).astype("f4") for _ in range(3)]
    total = Input(0) * Input(1) + Input(1)
    expression = total / (apply("exp", -Input(0)) + 1.0) if is_costly else total
    laid = Laid("float32", (1,))
    prepared = elementwise_plan((expression,), (COUNT,), (laid,), (laid, laid))
    addresses = [array.ctypes.data for array in arrays]
    return lambda: (prepared.run(*addresses), arrays)[0]


def row_sums(dtype: str) -> Callable[[], None]:
    """Sum each row of a quarter of a megabyte."""
    x = np.random.default_rng(0).standard_normal((64, (1 << 12) // np.dtype(dtype).itemsize))
    x, out = x.astype(dtype), np.empty(64, dtype)
    strides = ((1, 0), (x.shape[1], 1))
    fold = fold_of("sum", dtype)
    calls = reduction_plan(fold, x.shape, neighbours((1,)), (dtype, dtype), strides, ())
    addresses = [out.ctypes.data, x.ctypes.data]
    return lambda: (calls.run(addresses), x, out)[0]


# name, floating-point operations of a call where the peak says something about them, the call
WORK = {
    "gemm 256³": (2 * 256**3, lambda: product(256)),
    "gemm 512³": (2 * 512**3, lambda: product(512)),
    f"x·y + y, {COUNT}": (0, lambda: elementwise(is_costly=False)),
    f"(x·y + y) / (1 + exp(−x)), {COUNT}": (0, lambda: elementwise(is_costly=True)),
    "row sums of 256 KiB, float32": (0, lambda: row_sums("float32")),
    "row sums of 256 KiB, float64": (0, lambda: row_sums("float64")),
}


def measured_here() -> dict[str, float]:
    """Return the peak in GFLOP/s and the median seconds of each piece of work."""
    found = {"peak": fma_peak()}
    for name, (_, make) in WORK.items():
        found[name] = measure(make()).median
    return found


def measured_for(target: str, extra: list[str]) -> dict[str, float]:
    """Return what a process finds that is made to use `target`."""
    command = [sys.executable, __file__, "--peer", target, *extra]
    environment = os.environ | {"LAMINA_TARGET": target}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def best(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the highest peak and the shortest times."""
    return {
        name: (max if name == "peak" else min)(found[name] for found in rounds)
        for name in rounds[0]
    }


def main() -> None:
    here = [name for name, row in TARGETS.items() if runs_here(row)]
    arguments = options(__doc__, here).parse_args()
    apply_options(arguments)
    if arguments.peer:
        print(json.dumps(measured_here()))
        return
    extra = ["--threads", str(arguments.threads), *(["--quick"] if arguments.quick else [])]
    rounds = [{name: measured_for(name, extra) for name in here} for _ in range(ROUNDS)]
    found = {name: best([each[name] for each in rounds]) for name in here}
    console = Console(width=120)
    console.print(machine(found[here[-1]]["peak"]))
    table = Table(title=f"Speed relative to {BASE}; time; share of the target's own peak")
    table.add_column("work")
    for name in here:
        table.add_column(f"{name}\n{found[name]['peak']:.1f} GFLOP/s", justify="right")
    for work, (flops, _) in WORK.items():
        table.add_row(work, *(cell(found, name, work, flops) for name in here))
    console.print(table)
    absent = [name for name in ("avx512", "amx") if name not in here]
    if absent and cpu.describe().arch == "x86_64":
        console.print(f"not run: {', '.join(absent)}, which this processor lacks")


def cell(found: dict[str, dict[str, float]], name: str, work: str, flops: int) -> str:
    seconds = found[name][work]
    base = found.get(BASE, found[name])[work]
    text = f"{base / seconds:.2f}×  {seconds * 1e6:.1f} µs"
    if flops:
        peak = found[name]["peak"] * threads.num_threads()
        text += f"  {flops / seconds / 1e9 / peak:.0%}"
    return text


if __name__ == "__main__":
    main()
