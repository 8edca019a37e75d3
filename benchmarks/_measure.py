"""What the benchmarks share: options, timing, the machine in words, peers in clean processes."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata

from rich.console import Console
from rich.table import Table

from lamina.codegen import cpu, threads
from lamina.codegen.target import host_target
from lamina.kernels.peak import fma_peak

SECONDS_EACH = 0.3
SECONDS_QUICK = 0.03
ROUNDS_AT_LEAST = 5
# Names that hold OpenBLAS back when they were set for another machine.
NOT_FOR_PEERS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


@dataclass(frozen=True)
class Times:
    """Median seconds of a call and the spread around it: from the first to the third quartile."""

    median: float
    spread: float


@dataclass(frozen=True)
class NamedDType:
    """A dtype's name, read once: numpy works it out on every access."""

    name: str


class ArrayOperand:
    """The operand that a numpy array is."""

    def __init__(self, array) -> None:
        self.array = array
        self.address = array.ctypes.data
        self.shape = array.shape
        self.strides = tuple(stride // array.itemsize for stride in array.strides)
        self.dtype = NamedDType(str(array.dtype))


def options(description: str, peers: Sequence[str]) -> argparse.ArgumentParser:
    """Return a parser of the options that every benchmark of speed takes."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time")
    parser.add_argument("--peer", choices=peers, help="time that peer alone; print seconds as JSON")
    return parser


def apply_options(arguments: argparse.Namespace) -> None:
    """Set the number of threads, and how long each measurement takes."""
    global SECONDS_EACH
    threads.set_num_threads(arguments.threads)
    if arguments.quick:
        SECONDS_EACH = SECONDS_QUICK


def measure(call: Callable[[], object]) -> Times:
    """Return the times of `call`, after one call that is not counted."""
    call()
    seconds: list[float] = []
    end = time.perf_counter() + SECONDS_EACH
    while time.perf_counter() < end or len(seconds) < ROUNDS_AT_LEAST:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    low, middle, high = statistics.quantiles(seconds, n=4)
    return Times(middle, high - low)


def in_clean_process(
    script: str, peer: str, count: int, options: Sequence[str] = ()
) -> list[float | None]:
    """Return the medians that `script --peer peer` prints, or None for each where it cannot run."""
    environment = {key: text for key, text in os.environ.items() if key not in NOT_FOR_PEERS}
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[name] = str(threads.num_threads())
    command = [sys.executable, script, "--peer", peer, *options]
    command += ["--threads", str(threads.num_threads())]
    if SECONDS_EACH == SECONDS_QUICK:
        command.append("--quick")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return [None] * count
    return list(json.loads(done.stdout.splitlines()[-1]))


def machine(peak: float) -> str:
    """Return the machine and the versions in two lines."""
    here = cpu.describe()
    packages = ("numpy", "llvmlite", "torch")
    versions = [f"{name} {_version(name)}" for name in packages]
    return (
        f"{here.name}, L2 {here.l2_bytes >> 10} KiB, target {host_target().name}, "
        f"measured FMA peak {peak:.1f} GFLOP/s a thread, {threads.num_threads()} thread(s)\n"
        f"Python {platform.python_version()}, {', '.join(versions)}; median of at least "
        f"{ROUNDS_AT_LEAST} calls in {SECONDS_EACH} s, spread = quartile distance / median"
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


@dataclass(frozen=True)
class Row:
    """One line of a benchmark: what ran, how much work it is (0: not told), how long it took."""

    name: str
    flops: float
    times: Times
    peers: tuple[float | None, ...]


def report(title: str, peers: Sequence[str], rows: Sequence[Row]) -> None:
    """Print the machine and a table: time, GFLOP/s, share of the FMA peak, ratios to the peers."""
    peak = fma_peak()
    console = Console(width=120)
    console.print(machine(peak))
    has_flops = any(row.flops for row in rows)
    table = Table(title=title)
    table.add_column("work")
    work = ("GFLOP/s", "of peak") if has_flops else ()
    for name in ("median µs", "spread", *work, *(f"{peer} / Lamina" for peer in peers)):
        table.add_column(name, justify="right")
    for row in rows:
        speed = row.flops / row.times.median / 1e9
        share = speed / (peak * threads.num_threads())
        ratios = (
            "–" if seconds is None else f"{seconds / row.times.median:.2f}×"
            for seconds in row.peers
        )
        table.add_row(
            row.name,
            f"{row.times.median * 1e6:.1f}",
            f"{row.times.spread / row.times.median:.0%}",
            *((f"{speed:.1f}", f"{share:.0%}") if has_flops else ()),
            *ratios,
        )
    console.print(table)
