"""Kernels that wait for memory, against the measured bandwidth, numpy and PyTorch.

    python benchmarks/memory_bound.py [--threads N] [--quick] [--only WORD]

Each case runs on sizes that fit the first-, second- and third-level cache, and memory alone. Its
traffic is what must be read and written at least; the share is of what a triad moves (one thread,
the best of plain and streaming stores) with as many bytes in use. numpy and PyTorch run in
processes of their own, with the same number of threads; PyTorch only where it is installed.
"""

import json

from _measure import Times, apply_options, in_clean_process, machine, measure, options
from _memory_cases import Case
from _memory_elementwise import CASES as ELEMENTWISE
from _memory_reductions import CASES as REDUCTIONS
from rich.console import Console
from rich.table import Table

from lamina.codegen import threads
from lamina.kernels.peak import fma_peak, triad_bandwidth

# Bytes of traffic: of 32 KiB, 512 KiB and 32 MiB caches less than all, for others live there too.
WORKING_SETS = {"L1": 24 << 10, "L2": 320 << 10, "L3": 8 << 20, "memory": 192 << 20}
PEERS = ("numpy", "torch")
CASES = (*ELEMENTWISE, *REDUCTIONS)


def works(only: str | None) -> list[tuple[Case, str, int]]:
    """Return each case with the name of a level and its number of elements there."""
    return [
        (case, level, max(int(nbytes / case.bytes_each) // 1024, 1) * 1024)
        for case in CASES
        if only is None or only in case.name
        for level, nbytes in WORKING_SETS.items()
    ]


def time_peer(peer: str, only: str | None) -> list[float | None]:
    """Return the median of each work, None where the peer has no such thing."""
    if peer == "torch":
        import torch

        torch.set_num_threads(threads.num_threads())
    made = [(getattr(case, peer), size) for case, _, size in works(only)]
    return [None if make is None else measure(make(size)).median for make, size in made]


def show(only: str | None, times: list[Times], peers: list[list[float | None]]) -> None:
    """Print the machine and the table."""
    console = Console(width=120)
    console.print(machine(fma_peak()))
    limits = {level: triad_bandwidth(nbytes) for level, nbytes in WORKING_SETS.items()}
    told = ", ".join(f"{level} {limit:.0f}" for level, limit in limits.items())
    console.print(f"triad, GB/s of one thread: {told}")
    table = Table(title="memory-bound kernels")
    for name in ("work", "lies in", "elements", "median µs", "spread", "GB/s", "of triad"):
        table.add_column(name, justify="left" if name in ("work", "lies in") else "right")
    for peer in PEERS:
        table.add_column(f"{peer} / Lamina", justify="right")
    for (case, level, size), took, *medians in zip(works(only), times, *peers, strict=True):
        speed = size * case.bytes_each / took.median / 1e9
        table.add_row(
            case.name,
            level,
            f"{size}",
            f"{took.median * 1e6:.1f}",
            f"{took.spread / took.median:.0%}",
            f"{speed:.1f}",
            f"{speed / limits[level]:.0%}",
            *("–" if m is None else f"{m / took.median:.2f}×" for m in medians),
        )
    console.print(table)


def main() -> None:
    parser = options(__doc__, PEERS)
    parser.add_argument("--only", help="cases whose name holds this")
    arguments = parser.parse_args()
    apply_options(arguments)
    if arguments.peer:
        print(json.dumps(time_peer(arguments.peer, arguments.only)))
        return
    ours = [measure(case.lamina(size)) for case, _, size in works(arguments.only)]
    passed_on = ["--only", arguments.only] if arguments.only else []
    peers = [in_clean_process(__file__, peer, len(ours), passed_on) for peer in PEERS]
    show(arguments.only, ours, peers)


if __name__ == "__main__":
    main()
