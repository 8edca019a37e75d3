"""What memory costs: a tensor from the pool, and a tensor from one thread to another.

    python benchmarks/memory.py [--quick]

The white paper that the pool follows reports two numbers for 1 MiB of float32: 128 µs → 3.2 µs
(40×) for a tensor from the pool instead of a fresh allocation, 89 µs → 0.7 µs (127×) for a tensor
handed to another thread instead of copied. Each table says which of its rows are comparable.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from queue import SimpleQueue

import numpy as np
from rich.console import Console
from rich.table import Table

import lamina
from lamina import memory
from lamina.codegen import cpu
from lamina.dtypes import float32

SHAPE = (512, 512)
# glibc reads it at the start of a process: blocks from 64 KiB on are mapped and unmapped each time.
FRESH = {"MALLOC_MMAP_THRESHOLD_": str(1 << 16)}


@dataclass(frozen=True)
class Row:
    """What was timed, what the number contains, and the median and quartile distance in µs."""

    name: str
    contains: str
    median: float
    spread: float


def measure(call: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Median and quartile distance in µs of `call`, over rounds of about a millisecond each."""
    call()
    start = time.perf_counter()
    call()
    count = max(int(1e-3 / (time.perf_counter() - start)), 1)
    rounds: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(rounds) < 5:
        start = time.perf_counter()
        for _ in range(count):
            call()
        rounds.append((time.perf_counter() - start) / count * 1e6)
    low, middle, high = statistics.quantiles(rounds, n=4)
    return middle, high - low


def write(array: np.ndarray) -> None:
    array.fill(1.0)


def numpy_empty() -> None:
    np.empty(SHAPE, np.float32)


def numpy_written() -> None:
    write(np.empty(SHAPE, np.float32))


def acquiring(seconds: float) -> list[Row]:
    at_hand = memory.empty(SHAPE, float32).numpy()

    def pool_written() -> None:
        write(memory.empty(SHAPE, float32).numpy())

    timed = [
        ("write alone", "every byte of memory at hand", lambda: write(at_hand)),
        ("pool, alone", "acquire, describe, return", lambda: memory.empty(SHAPE, float32)),
        ("pool, as a tensor", "the same through lamina.empty", lambda: lamina.empty(SHAPE)),
        ("pool, written", "acquire, write every byte, return", pool_written),
        ("numpy, alone", "the C library lends the block it has kept", numpy_empty),
        ("numpy, written", "the same, write every byte", numpy_written),
    ]
    return [Row(name, contains, *measure(call, seconds)) for name, contains, call in timed]


def fresh(seconds: float) -> list[Row]:
    """Rows for a process in which the C library keeps no block of this size."""
    source = np.ones(SHAPE, np.float32)
    timed = [
        ("numpy fresh, alone", "the system maps and unmaps, no page is touched", numpy_empty),
        ("numpy fresh, written", "the system maps, clears and unmaps 256 pages", numpy_written),
        ("copy fresh, alone", "copy to fresh pages, put and get", lambda: through(source.copy())),
    ]
    return [Row(name, contains, *measure(call, seconds)) for name, contains, call in timed]


def in_fresh_process(seconds: float) -> list[Row]:
    """`fresh` in a process of its own; nothing where the C library is not glibc."""
    if platform.libc_ver()[0] != "glibc":
        return []
    command = [sys.executable, __file__, "--fresh", str(seconds)]
    environment = {**os.environ, **FRESH}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [Row(**row) for row in json.loads(done.stdout)]


QUEUE: SimpleQueue[object] = SimpleQueue()


def through(value: object) -> None:
    QUEUE.put(value)
    QUEUE.get()


def handing_over(seconds: float) -> list[Row]:
    tensor = lamina.ones(SHAPE)
    with_thread = there_and_back(tensor, lambda x: x, seconds)
    with_copy = there_and_back(tensor, lambda x: x.clone(), seconds)
    copied = measure(lambda: through(np.array(tensor.numpy())), seconds)
    return [
        Row("pointer, alone", "put and get", *measure(lambda: through(tensor), seconds)),
        Row("copy, alone", "copy to memory that was kept, put and get", *copied),
        Row("pointer, to a thread", "put, wake of the waiting thread, get", *with_thread),
        Row("copy, to a thread", "the same, and a copy to memory of the pool", *with_copy),
    ]


def there_and_back(
    tensor: lamina.Tensor, pass_on: Callable[[lamina.Tensor], lamina.Tensor], seconds: float
) -> tuple[float, float]:
    """Half of the time that a tensor takes to another thread and back."""
    there: SimpleQueue[lamina.Tensor | None] = SimpleQueue()
    back: SimpleQueue[lamina.Tensor] = SimpleQueue()

    def answer() -> None:
        while (given := there.get()) is not None:
            back.put(pass_on(given))

    thread = threading.Thread(target=answer)
    thread.start()

    def round_trip() -> None:
        there.put(pass_on(tensor))
        back.get()

    median, spread = measure(round_trip, seconds)
    there.put(None)
    thread.join()
    return median / 2, spread / 2


def table(title: str, rows: list[Row]) -> Table:
    shown = Table(title=title)
    shown.add_column("1 MiB of float32")
    shown.add_column("the number contains")
    shown.add_column("median µs", justify="right")
    shown.add_column("spread", justify="right")
    for row in rows:
        spread = f"{row.spread / row.median:.0%}"
        shown.add_row(row.name, row.contains, f"{row.median:.2f}", spread)
    return shown


def ratio(rows: list[Row], slow: str, fast: str) -> str:
    medians = {row.name: row.median for row in rows}
    if slow not in medians:
        return "not measured: the C library is not glibc"
    return f"{medians[slow] / medians[fast]:.1f}×"


def report(seconds: float) -> None:
    console = Console(width=110)
    console.print(
        f"{cpu.describe().name}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, lamina {lamina.__version__}\n"
        f"medians of rounds of 1 ms over {seconds} s each, spread = quartile distance / median"
    )
    acquired, handed = acquiring(seconds), handing_over(seconds)
    for row in in_fresh_process(seconds):
        (handed if row.name.startswith("copy") else acquired).append(row)
    console.print(table("A tensor from the pool", acquired))
    console.print(
        "fresh / pool, both written: "
        f"{ratio(acquired, 'numpy fresh, written', 'pool, written')}; "
        "fresh and written / pool alone: "
        f"{ratio(acquired, 'numpy fresh, written', 'pool, alone')} (the paper: 40×).\n"
        "No core writes 1 MiB in 3.2 µs (330 GB/s), so the paper's 3.2 µs can only be compared "
        "with 'pool, alone'."
    )
    console.print(table("A tensor to another thread", handed))
    console.print(
        f"copy / pointer, alone: {ratio(handed, 'copy, alone', 'pointer, alone')}, to fresh pages "
        f"{ratio(handed, 'copy fresh, alone', 'pointer, alone')} (the paper: 127×); to a waiting "
        f"thread: {ratio(handed, 'copy, to a thread', 'pointer, to a thread')}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time")
    parser.add_argument("--fresh", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fresh is None:
        report(0.05 if arguments.quick else 0.5)
    else:
        print(json.dumps([asdict(row) for row in fresh(arguments.fresh)]))


if __name__ == "__main__":
    main()
