"""Memory over many shapes: resident memory of a process that calls one network with random shapes.

    python benchmarks/shapes.py [--quick] [--calls N] [--plot FILE]

A small convolutional network is called with a random batch, height and width each time, eagerly
and as `lamina.compile` runs it, and by PyTorch where it is installed; each in a process of its own.
Whoever keeps something for every shape grows; caches with a cap do not. Prints resident memory at
the start, after the first tenth and at the end, and the time of a call, and draws the curves.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

LIBRARIES = ("lamina", "lamina eager", "torch")
POINTS = 200


def resident_mb():
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def network(nn):
    """Return a network that takes images of any size."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.Linear(32, 10)),
    )


def caller(library):
    """Return a function of an array that runs the network."""
    if library == "torch":
        import torch

        torch.set_num_threads(1)
        model = network(torch.nn).eval()

        def run(x):
            with torch.no_grad():
                return model(torch.from_numpy(x))

        return run
    import lamina
    from lamina import nn

    lamina.set_num_threads(1)
    model = network(nn).eval()
    model = lamina.compile(model) if library == "lamina" else model

    def run_ours(x):
        with lamina.no_grad():
            return model(lamina.from_numpy(x))

    return run_ours


def curve(library, calls):
    """Return (call, MB) points and the median seconds of a call."""
    run, draw = caller(library), random.Random(0)
    points, seconds = [], []
    every = max(1, calls // POINTS)
    for number in range(calls):
        shape = (draw.randint(1, 16), 3, draw.randint(8, 64), draw.randint(8, 64))
        x = np.ones(shape, np.float32)
        start = time.perf_counter()
        run(x)
        seconds.append(time.perf_counter() - start)
        if number % every == 0 or number == calls - 1:
            points.append((number + 1, resident_mb()))
    return points, statistics.median(seconds)


def drawn(found, file):
    """Draw the curves into a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for library, (points, _) in found.items():
        axes.plot(*zip(*points, strict=True), label=library)
    axes.set(xlabel="calls, each with a shape of its own", ylabel="resident memory, MB")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=120)


def main():
    """Run every library in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="500 calls")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--plot", default="shapes.png", help="the picture to write")
    parser.add_argument("--one", choices=LIBRARIES, help="run that library; print JSON")
    arguments = parser.parse_args()
    calls = 500 if arguments.quick else arguments.calls
    if arguments.one:
        json.dump(curve(arguments.one, calls), sys.stdout)
        return
    console = Console()
    libraries = [name for name in LIBRARIES if name != "torch" or find_spec("torch")]
    found = {}
    for library in track(libraries, "libraries", console=console):
        command = [sys.executable, __file__, "--one", library, "--calls", str(calls)]
        command += ["--quick"] if arguments.quick else []
        found[library] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    table = Table(title=f"resident memory over {calls} random shapes", title_justify="left")
    for column in ("", "first call MB", "a tenth MB", "end MB", "end ÷ a tenth", "call ms"):
        table.add_column(column, justify="right" if column else "left")
    for library, (points, seconds) in found.items():
        first, tenth, end = (points[n][1] for n in (0, len(points) // 10, -1))
        table.add_row(
            library, f"{first:.0f}", f"{tenth:.0f}", f"{end:.0f}", f"{end / tenth:.2f}",
            f"{seconds * 1e3:.2f}",
        )  # fmt: skip
    console.print(table)
    if find_spec("matplotlib"):
        drawn(found, arguments.plot)
        console.print(f"curves: {arguments.plot}")


if __name__ == "__main__":
    main()
