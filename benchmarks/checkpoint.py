"""Memory that checkpoint saves in a training step of a Transformer encoder, and what it costs.

    python benchmarks/checkpoint.py [--quick]

Each way of running the step has a process of its own. Shown are the largest resident set of the
process above what it was before the step, the same of what Lamina and numpy had allocated, and the
time of a step. Parameters, gradients and the state of the optimiser are in all of them.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import lamina
import lamina.nn.functional as F
from lamina import memory, nn, optim
from lamina.autograd import checkpoint
from lamina.codegen import cpu

HEADS, WIDTH, LENGTH, CLASSES = 6, 384, 128, 10
AIM = 0.4


class Block(nn.Module):
    """Attention and a network of two layers, each after a norm and beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.project = nn.Linear(WIDTH, 3 * WIDTH)
        self.merge = nn.Linear(WIDTH, WIDTH)
        self.widen, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.drop = nn.Dropout(0.1)

    def attend(self, x: lamina.Tensor) -> lamina.Tensor:
        batch, length, _ = x.shape
        parts = self.project(x).reshape(batch, length, 3, HEADS, WIDTH // HEADS)
        q, k, v = (parts[:, :, i].transpose(1, 2) for i in range(3))
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.merge(mixed.transpose(1, 2).reshape(batch, length, WIDTH))

    def forward(self, x: lamina.Tensor) -> lamina.Tensor:
        x = x + self.drop(self.attend(self.norm1(x)))
        return x + self.drop(self.narrow(F.gelu(self.widen(self.norm2(x)))))


class Encoder(nn.Module):
    """Blocks, and a classifier over the mean of their outputs."""

    def __init__(self, depth: int, way: str) -> None:
        super().__init__()
        self.way = way
        self.blocks = nn.ModuleList([Block() for _ in range(depth)])
        self.classify = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: lamina.Tensor) -> lamina.Tensor:
        for block in self.blocks:
            x = checkpoint(block, x) if self.way == "checkpoint" else block(x)
        return self.classify(x.mean(dim=1))


def make_step(depth: int, batch: int, way: str) -> Callable[[], float]:
    lamina.manual_seed(0)
    model = Encoder(depth, way)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    random = np.random.default_rng(0)
    x = lamina.tensor(random.standard_normal((batch, LENGTH, WIDTH)).astype(np.float32))
    labels = lamina.tensor(random.integers(0, CLASSES, batch))

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def status(field: str) -> int:
    """A size of this process in bytes; 0 where the system does not tell."""
    file = Path("/proc/self/status")
    lines = file.read_text().splitlines() if file.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)


def run(depth: int, batch: int, way: str, steps: int) -> dict[str, object]:
    step = make_step(depth, batch, way)
    # Kernels are compiled, and the state of the optimiser is made, before anything is counted.
    losses = [step()]
    memory.trim()
    memory.reset_peak()
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    losses.append(step())
    resident = status("VmHWM") - before
    tracemalloc.start()
    pool = memory.stats().live
    losses.append(step())
    allocated = memory.stats().peak - pool + tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        losses.append(step())
        seconds.append(time.perf_counter() - start)
    return {
        "resident": resident,
        "allocated": allocated,
        "seconds": statistics.median(seconds),
        "spread": max(seconds) - min(seconds),
        "losses": losses,
    }


def in_own_process(way: str, quick: bool) -> dict[str, object]:
    command = [sys.executable, __file__, "--way", way, *(["--quick"] if quick else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def report(depth: int, batch: int, steps: int, quick: bool) -> None:
    plain, saving = in_own_process("plain", quick), in_own_process("checkpoint", quick)
    console = Console(width=110)
    console.print(
        f"{cpu.describe().name}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, lamina {lamina.__version__}\n"
        f"{depth} blocks × {WIDTH}, {HEADS} heads, length {LENGTH}, batch {batch}, AdamW; "
        f"median of {steps} steps, spread from the fastest to the slowest"
    )
    table = Table(title="One training step")
    for name in ("", "peak resident MB", "peak allocated MB", "step ms", "spread"):
        table.add_column(name, justify="left" if not name else "right")
    for name, found in (("plain", plain), ("checkpoint per block", saving)):
        table.add_row(
            name,
            f"{found['resident'] / 1e6:.0f}",
            f"{found['allocated'] / 1e6:.0f}",
            f"{found['seconds'] * 1e3:.0f}",
            f"{found['spread'] / found['seconds']:.0%}",
        )
    console.print(table)
    saved = {key: 1 - saving[key] / plain[key] for key in ("resident", "allocated")}
    same = "the same bits" if plain["losses"] == saving["losses"] else "OTHER LOSSES"
    console.print(
        f"saved: {saved['resident']:.0%} resident, {saved['allocated']:.0%} allocated "
        f"(aim: {AIM:.0%}); a step takes {saving['seconds'] / plain['seconds']:.2f}× the time; "
        f"losses: {same}"
    )
    if min(saved.values()) < AIM or plain["losses"] != saving["losses"]:
        sys.exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer blocks and steps")
    parser.add_argument("--way", choices=("plain", "checkpoint"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    depth, batch, steps = (4, 16, 2) if arguments.quick else (6, 16, 5)
    if arguments.way:
        print(json.dumps(run(depth, batch, arguments.way, steps)))
    else:
        report(depth, batch, steps, arguments.quick)


if __name__ == "__main__":
    main()
