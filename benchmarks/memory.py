"""What memory costs: a tensor from the pool, and a tensor from one thread to another.

    python benchmarks/memory.py [--quick]

The white paper that the pool follows reports two numbers for 1 MiB of float32: 128 µs → 3.2 µs
(40×) for a tensor from the pool instead of a fresh allocation, 89 µs → 0.7 µs (127×) for a tensor
handed to another thread instead of copied. Each table says which of its rows are comparable.
"""

import argparse
import ctypes
import platform
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
from rich.console import Console
from rich.table import Table

import lamina
from lamina import memory
from lamina.codegen import cpu
from lamina.dtypes import float32

SHAPE = (512, 512)
NBYTES = 1 << 20
M_MMAP_THRESHOLD = -3


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


def make_every_allocation_fresh() -> bool:
    """Let the C library map and unmap every block from 64 KiB on; False where it is not glibc."""
    if platform.libc_ver()[0] != "glibc":
        return False
    return bool(ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 16))


def acquiring(seconds: float) -> list[Row]:
    at_hand = memory.empty(SHAPE, float32).numpy()

    def row(name: str, contains: str, call: Callable[[], object]) -> Row:
        return Row(name, contains, *measure(call, seconds))

    def numpy_written() -> None:
        write(np.empty(SHAPE, np.float32))

    rows = [
        row("write alone", "every byte of memory at hand", lambda: write(at_hand)),
        row(
            "pool, alone",
            "acquire, describe, give back",
            lambda: memory.empty(SHAPE, float32),
        ),
        row("pool, as a tensor", "the same through lamina.empty", lambda: lamina.empty(SHAPE)),
        row(
            "pool, written",
            "acquire, write every byte, give back",
            lambda: write(memory.empty(SHAPE, float32).numpy()),
        ),
        row("numpy, written", "the C library keeps and reuses the block", numpy_written),
    ]
    if make_every_allocation_fresh():
        contains = "the system maps, clears and unmaps 256 pages"
        rows.append(row("numpy fresh, alone", contains.replace(", clears", ""), numpy_empty))
        rows.append(row("numpy fresh, written", contains, numpy_written))
    return rows


def numpy_empty() -> None:
    np.empty(SHAPE, np.float32)


def handing_over(seconds: float) -> list[Row]:
    tensor = lamina.ones(SHAPE)
    queue: SimpleQueue[object] = SimpleQueue()

    def hand() -> None:
        queue.put(tensor)
        queue.get()

    def hand_copy() -> None:
        queue.put(np.array(tensor.numpy()))
        queue.get()

    with_thread = there_and_back(tensor, lambda x: x, seconds)
    with_copy = there_and_back(tensor, lambda x: lamina.from_numpy(np.array(x.numpy())), seconds)
    return [
        Row("pointer, alone", "put and get: pointer and layout", *measure(hand, seconds)),
        Row("copy, alone", "copy to fresh memory, put and get", *measure(hand_copy, seconds)),
        Row("pointer, to a thread", "put, wake of the other thread, get", *with_thread),
        Row("copy, to a thread", "the same, and the copy", *with_copy),
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time")
    seconds = 0.05 if parser.parse_args().quick else 0.5
    console = Console(width=110)
    console.print(
        f"{cpu.describe().name}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, lamina {lamina.__version__}; "
        f"medians of rounds of 1 ms over {seconds} s each, spread = quartile distance / median"
    )
    # Copies first: once every allocation is fresh they would cost more.
    handed = handing_over(seconds)
    acquired = acquiring(seconds)
    console.print(table("A tensor from the pool", acquired))
    console.print(
        "both written, fresh pages / pool: "
        f"{ratio(acquired, 'numpy fresh, written', 'pool, written')}; "
        "fresh pages written / pool alone: "
        f"{ratio(acquired, 'numpy fresh, written', 'pool, alone')} (the paper: 40×).\n"
        "No tensor of 1 MiB is written in 3.2 µs by one core (that is 330 GB/s), so the paper's "
        "3.2 µs are compared with 'pool, alone'."
    )
    console.print(table("A tensor to another thread", handed))
    console.print(
        f"copy / pointer, alone: {ratio(handed, 'copy, alone', 'pointer, alone')} "
        "(the paper: 127×); to a waiting thread, its wake included: "
        f"{ratio(handed, 'copy, to a thread', 'pointer, to a thread')}"
    )


if __name__ == "__main__":
    main()
