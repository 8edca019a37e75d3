"""What a second thread brings, costs, and loses to a busy neighbour, beside PyTorch.

    python benchmarks/threads.py [--quick]

Three tables: what it takes to call the team; float32 products of n×n matrices at one thread and
at two; and the same while another process keeps one of the cores busy, where two threads should
take no longer than 1.15 times what one takes. PyTorch runs in a process of its own.
"""

import ctypes
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import _measure
import numpy as np
from _measure import ArrayOperand, apply_options, in_clean_process, machine, options
from rich.console import Console
from rich.table import Table

from lamina.codegen import jit, threads
from lamina.codegen.types import Pointer, i8, i64
from lamina.kernels.gemm import gemm
from lamina.kernels.peak import fma_peak

SIZES = (512, 1024, 2048)
THREADS = (1, 2)
TURNS = 6  # one thread and two take turns, so that a change of the machine hits both
GAPS = {"back to back": 0.0, "50 µs apart": 50e-6, "2 ms apart": 2e-3}
CALLS = 2000


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Keep the last of the usable cores busy with another process."""
    core = max(os.sched_getaffinity(0))
    loop = f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", loop]) as neighbour:
        time.sleep(0.3)
        try:
            yield
        finally:
            neighbour.kill()


def percentiles(seconds: list[float]) -> list[float]:
    """The median and the 99th percentile."""
    ordered = sorted(seconds)
    return [statistics.median(ordered), ordered[len(ordered) * 99 // 100]]


def in_turns(call, set_threads) -> list[float]:
    """Median and 99th percentile of `call` at one thread, then at two."""
    seconds: dict[int, list[float]] = {count: [] for count in THREADS}
    for _ in range(TURNS):
        for count in THREADS:
            set_threads(count)
            call()
            end = time.perf_counter() + _measure.SECONDS_EACH
            while True:
                start = time.perf_counter()
                call()
                now = time.perf_counter()
                seconds[count].append(now - start)
                if now > end:
                    break
    return [number for count in THREADS for number in percentiles(seconds[count])]


def inputs(n):
    rng = np.random.default_rng(0)
    return [rng.standard_normal((n, n), dtype="f4") for _ in range(2)]


def time_torch(n):
    import torch

    a, b = (torch.from_numpy(array) for array in inputs(n))
    out = torch.empty((n, n))
    return in_turns(lambda: torch.matmul(a, b, out=out), torch.set_num_threads)


def time_lamina(n):
    operands = [ArrayOperand(array) for array in (np.empty((n, n), "f4"), *inputs(n))]
    return in_turns(lambda: gemm(*operands), threads.set_num_threads)


PEERS = {"torch": time_torch}


def emit_nothing(module) -> None:
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        k.claim(args)


def time_calls(count, gap) -> list[float]:
    """Median and 99th percentile of a job without work, called from Python."""
    threads.set_num_threads(count)
    entry, block = jit.kernel(emit_nothing), (ctypes.c_int64 * 1)()
    seconds = []
    for _ in range(CALLS if gap < 1e-3 else CALLS // 10):
        end = time.perf_counter() + gap
        if gap >= 1e-3:
            time.sleep(gap)
        while time.perf_counter() < end:
            continue
        start = time.perf_counter()
        threads.run(entry, ctypes.addressof(block), 64, threads=count)
        seconds.append(time.perf_counter() - start)
    return percentiles(seconds)


def report_calls(console) -> None:
    table = Table(title="a job without work, called from Python: µs, median (99 %)")
    table.add_column("calls")
    for count in (1, 2, 4):
        table.add_column(f"{count} thread(s)", justify="right")
    for name, gap in GAPS.items():
        times = [time_calls(count, gap) for count in (1, 2, 4)]
        table.add_row(name, *(f"{m * 1e6:.1f} ({high * 1e6:.1f})" for m, high in times))
    console.print(table)


def report_products(console, title) -> None:
    flags = ["--quick"] if _measure.SECONDS_EACH == _measure.SECONDS_QUICK else []
    ours = [number for n in SIZES for number in time_lamina(n)]
    torch = in_clean_process(__file__, "torch", len(ours), flags)
    table = Table(title=title)
    table.add_column("n")
    for head in ("1 thread", "2 threads", "2 : 1", "PyTorch 1", "PyTorch 2", "2 : 1"):
        table.add_column(head, justify="right")
    width = 2 * len(THREADS)
    for row, n in enumerate(SIZES):
        cells = []
        for numbers in (ours, torch):
            one, high_one, two, high_two = numbers[row * width : (row + 1) * width]
            if one is None:
                cells += ["–"] * 3
                continue
            cells += [
                f"{m * 1e3:.2f} ({h * 1e3:.2f})" for m, h in ((one, high_one), (two, high_two))
            ]
            cells.append(f"{two / one:.2f}× ({high_two / high_one:.2f}×)")
        table.add_row(str(n), *cells)
    console.print(table)


def main() -> None:
    parser = options(__doc__, PEERS)
    arguments = parser.parse_args()
    apply_options(arguments)
    if arguments.peer:
        print(json.dumps([number for n in SIZES for number in PEERS[arguments.peer](n)]))
        return
    threads.set_num_threads(max(THREADS))
    console = Console(width=120)
    console.print(machine(fma_peak()))
    report_calls(console)
    report_products(console, "n×n products, float32: ms, median (99 %)")
    with busy_neighbour():
        report_products(console, "the same beside a process that keeps one core busy")


if __name__ == "__main__":
    main()
