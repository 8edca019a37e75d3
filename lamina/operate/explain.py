"""`lamina.explain`: what runs when a function of tensors is called, down to the instructions."""

from collections.abc import Callable
from functools import cache
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from lamina.codegen import assemble, cpu, threads
from lamina.codegen.anatomy import anatomy
from lamina.codegen.jit import Kernel
from lamina.codegen.target import host_target
from lamina.errors import ArgumentError
from lamina.kernels.peak import fma_peak, memory_bandwidth, triad_bandwidth
from lamina.operate.observation import Observed, observe
from lamina.operate.programs import print_calls, print_graph, print_passes, print_profile

Stage = Literal["summary", "graph", "fused", "calls", "profile", "kernel", "llvm", "asm"]
_TEXTS: dict[str, Callable[[Kernel], str]] = {
    "kernel": lambda kernel: str(kernel.module()),
    "llvm": lambda kernel: assemble.optimised_ir(kernel.module()),
    "asm": lambda kernel: assemble.assembly(kernel.module()),
}
_PROGRAMS = {
    "graph": print_graph,
    "fused": print_passes,
    "calls": print_calls,
    "profile": print_profile,
}
_LEAST_BYTES, _MOST_BYTES = 1 << 14, 1 << 27


def explain(
    function: Callable[..., Any],
    *inputs: Any,
    stage: Stage = "summary",
    console: Console | None = None,
) -> None:
    """Print what runs in `function(*inputs)`: every op, and the kernels that it is made of.

    `stage` "summary" gives for each op its arithmetic operations, the bytes it must move, their
    ratio, the median time, and the share of what the processor can do at most at that ratio (the
    roofline: Williams, Waterman and Patterson, 2009); for each kernel its functions with the
    vector registers they use and the spills in their loops. "kernel" gives the kernels in the
    words of the kernel language, "llvm" as optimised LLVM IR, "asm" as assembly. Ops without a
    kernel run in numpy. Of the program that `lamina.compile` makes of the function, "graph" gives
    the graph as it was taken down, "fused" what passes made of it, "calls" the kernel calls and the
    memory plan, "profile" what each op takes of the time of seven runs, which it makes.
    ArgumentError for an unknown stage.

    >>> lamina.explain(lamina.add, lamina.ones(3), lamina.ones(3), stage="kernel")
    # lamina.kernels...
    function run(args: pointer, scratch: pointer)
    ...
    """
    console = console or Console()
    if stage in _PROGRAMS:
        _PROGRAMS[stage](console, function, inputs)
        return
    if stage != "summary" and stage not in _TEXTS:
        names = ", ".join(("summary", *_PROGRAMS, *_TEXTS))
        raise ArgumentError(f"explain: stage {stage!r} given; expected one of {names}")
    seen = observe(function, *inputs)
    kernels = list(dict.fromkeys(kernel for row in seen for kernel in row.kernels))
    if stage == "summary":
        _summarise(console, seen, kernels)
        return
    for kernel in kernels:
        text = f"# {_title(kernel)}\n{_TEXTS[stage](kernel)}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _title(kernel: Kernel) -> str:
    parameters = ", ".join(map(repr, kernel.parameters))
    return f"{kernel.name}({parameters}) for {kernel.target.name}"


def _summarise(console: Console, seen: list[Observed], kernels: list[Kernel]) -> None:
    peak, bandwidth = fma_peak(), memory_bandwidth()
    count = threads.num_threads()
    console.print(
        f"{cpu.describe().name}, {host_target().name}, {count} thread(s); a thread reaches "
        f"{peak:.1f} GFLOP/s in float32 and reads {bandwidth:.1f} GB/s",
        highlight=False,
    )
    console.print(_ops(seen, peak * count))
    if kernels:
        console.print(_kernels(kernels))


def _ops(seen: list[Observed], peak: float) -> Table:
    table = Table(title="What runs", title_justify="left")
    for column in ("op", "shapes"):
        table.add_column(column, overflow="fold")
    for column in ("operations", "bytes", "ops/byte", "µs", "GFLOP/s", "of limit"):
        table.add_column(column, justify="right")
    for row in seen:
        shapes = ", ".join("×".join(map(str, spec.shape)) or "scalar" for spec in row.inputs)
        speed = row.operations / row.seconds / 1e9
        limit, what = _limit(row, peak)
        table.add_row(
            row.op.name if row.kernels else f"{row.op.name} (numpy)",
            shapes,
            _short(row.operations),
            _short(row.bytes),
            f"{row.operations / max(row.bytes, 1):.2f}",
            f"{row.seconds * 1e6:.1f}",
            f"{speed:.2f}",
            f"{speed / max(limit, 1e-9):.0%} {what}",
        )
    return table


def _short(number: int) -> str:
    for factor, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {letter}"
    return str(number)


def _limit(row: Observed, peak: float) -> tuple[float, str]:
    """Return the roof over an op in GFLOP/s, and what it is made of.

    The bandwidth is that of the cache, or of the memory, that holds as many bytes as the op moves;
    caches up to the second are each thread's own.
    """
    if row.output.dtype.itemsize == 8:
        peak /= 2
    moved = max(row.bytes, _LEAST_BYTES)
    own = moved <= (cpu.describe().l2_bytes or _LEAST_BYTES)
    bandwidth = _bandwidth(moved.bit_length()) * (threads.num_threads() if own else 1)
    memory = bandwidth * row.operations / moved
    return (memory, "memory") if memory < peak else (peak, "FMA")


@cache
def _bandwidth(bits: int) -> float:
    """Return the bandwidth, in GB/s, of so many bytes: a power of two, as far as it is worth."""
    return triad_bandwidth(min(1 << bits, _MOST_BYTES))


def _kernels(kernels: list[Kernel]) -> Table:
    table = Table(title="Kernels", title_justify="left")
    table.add_column("kernel", overflow="fold")
    for column in ("function", "registers", "spills", "instructions"):
        table.add_column(column, justify="right" if column != "function" else "left")
    for kernel in kernels:
        title = _title(kernel).removeprefix("lamina.kernels.")
        for name, found in anatomy(kernel).items():
            numbers = (found.registers, found.spills, found.instructions)
            table.add_row(title, name, *map(str, numbers))
            title = ""
    return table
