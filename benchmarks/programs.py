"""Compiled programs beside PyTorch, torch.compile, ONNX Runtime and OpenVINO: inference and
training steps of the reference networks.

    python benchmarks/programs.py [--threads N] [--quick] [--only NAME,…] [--peers NAME,…]

Each library runs each row in a process of its own, with the same number of threads; the processes
take turns, round by round, and the median of all rounds counts. "–" stands where a peer is not
installed or cannot run the row. Peak memory is that of the whole process.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from _measure import NOT_FOR_PEERS, apply_options, machine, options
from _networks import INFERENCE, TRAINING, networks
from rich.console import Console
from rich.progress import track
from rich.table import Table

import lamina
import lamina.nn.functional
import lamina.optim
from lamina.codegen import threads
from lamina.kernels.peak import fma_peak

EAGER, COMPILED = "lamina eager", "lamina"
PEERS = ("torch", "torch.compile", "onnxruntime", "openvino")
ROUNDS = 3


def clock(call, seconds):
    """Return median, 99th percentile and number of calls, in `seconds` after two that are not
    counted.
    """
    call()
    call()
    found = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(found) < 5:
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    found.sort()
    return {"median": statistics.median(found), "p99": found[int(len(found) * 0.99)]}


def drawn(library, network, shape):
    """Return an input of a network."""
    return library.randint(0, 256, shape) if network == "gpt" else library.randn(*shape)


def training_step(library, functional, optimizers, row, wrap):
    """Return a step of Adam as a function of no arguments."""
    _, network, shape, target = row
    model = networks(library.nn, functional, library)[network]()
    optimizer = optimizers.Adam(model.parameters(), lr=1e-3)
    x = drawn(library, network, shape)
    y = library.randn(*target) if network == "xor" else library.randint(0, 10, target)

    def step(x, y):
        optimizer.zero_grad()
        found = model(x)
        if network == "xor":
            loss = functional.mse_loss(found, y)
        else:
            loss = functional.cross_entropy(found.reshape(-1, found.shape[-1]), y.reshape(-1))
        loss.backward()
        optimizer.step()
        return loss

    run = wrap(step)
    return lambda: run(x, y)


def lamina_call(row, compiles):
    """Return the call of a row, and what there is to tell of its program."""
    lamina.manual_seed(0)
    wrap = lamina.compile if compiles else lambda function: function
    made = []

    def kept(function):
        made.append(wrap(function))
        return made[0]

    if len(row) == 4:
        return training_step(lamina, lamina.nn.functional, lamina.optim, row, kept), made
    _, network, shape = row
    model = networks(lamina.nn, lamina.nn.functional, lamina)[network]().eval()
    run, x = kept(model), drawn(lamina, network, shape)

    lamina.set_grad_enabled(False)
    return lambda: run(x), made


def timed_lamina(row, seconds, compiles):
    """Return the figures of Lamina."""
    call, made = lamina_call(row, compiles)
    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    found = clock(call, seconds) | {"first": first}
    if compiles:
        program = made[0].last_program
        found |= {
            "launches": len(program.launches),
            "host": len(program.host_calls),
            "arena": program.plan.nbytes,
            "waste": program.plan.waste,
        }
    return found


def timed_torch(row, seconds, compiles):
    """Return the figures of PyTorch, or of torch.compile."""
    import torch

    torch.set_num_threads(threads.num_threads())
    torch.manual_seed(0)
    wrap = torch.compile if compiles else lambda function: function
    if len(row) == 4:
        call = training_step(torch, torch.nn.functional, torch.optim, row, wrap)
        return clock(call, seconds)
    _, network, shape = row
    model = wrap(networks(torch.nn, torch.nn.functional, torch)[network]().eval())
    x = drawn(torch, network, shape)
    with torch.inference_mode():
        return clock(lambda: model(x), seconds)


def exported(row):
    """Return the path of an ONNX file of a row's network, and its input."""
    import torch

    _, network, shape = row
    model = networks(torch.nn, torch.nn.functional, torch)[network]().eval()
    x = drawn(torch, network, shape)
    path = os.path.join(tempfile.mkdtemp(), "network.onnx")
    torch.onnx.export(model, (x,), path, dynamo=False, opset_version=17)
    return path, x.numpy()


def timed_onnxruntime(row, seconds):
    """Return the figures of ONNX Runtime."""
    import onnxruntime

    path, x = exported(row)
    wanted = onnxruntime.SessionOptions()
    wanted.intra_op_num_threads, wanted.inter_op_num_threads = threads.num_threads(), 1
    session = onnxruntime.InferenceSession(path, wanted, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return clock(lambda: session.run(None, {name: x}), seconds)


def timed_openvino(row, seconds):
    """Return the figures of OpenVINO."""
    import openvino

    path, x = exported(row)
    wanted = {
        "INFERENCE_NUM_THREADS": threads.num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = openvino.Core().compile_model(path, "CPU", wanted).create_infer_request()
    return clock(lambda: request.infer([x], share_inputs=True), seconds)


TIMED = {
    EAGER: lambda row, seconds: timed_lamina(row, seconds, compiles=False),
    COMPILED: lambda row, seconds: timed_lamina(row, seconds, compiles=True),
    "torch": lambda row, seconds: timed_torch(row, seconds, compiles=False),
    "torch.compile": lambda row, seconds: timed_torch(row, seconds, compiles=True),
    "onnxruntime": timed_onnxruntime,
    "openvino": timed_openvino,
}


def run_alone(name, library, seconds, further=None):
    """Return the figures of a row in a process of its own; None where it cannot run."""
    environment = {key: text for key, text in os.environ.items() if key not in NOT_FOR_PEERS}
    for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[key] = str(threads.num_threads())
    command = [sys.executable, __file__, "--one", name, "--peer", library]
    command += ["--threads", str(threads.num_threads()), "--seconds", str(seconds)]
    done = subprocess.run(
        command, env=environment | (further or {}), capture_output=True, text=True, check=False
    )
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def rows_of(names):
    """Return the rows of these names, all where there are none."""
    return [row for row in (*INFERENCE, *TRAINING) if not names or row[0] in names]


def measured(row, libraries, seconds):
    """Return the figures of each library for a row, the medians of all rounds."""
    found = {library: [] for library in libraries}
    for _ in range(ROUNDS):
        for library in libraries:
            figures = run_alone(row[0], library, seconds)
            if figures is not None:
                found[library].append(figures)
    return {
        library: {key: statistics.median(one[key] for one in all_) for key in all_[0]}
        for library, all_ in found.items()
        if all_
    }


def milliseconds(figures):
    """Return a time as text."""
    return "–" if figures is None else f"{figures['median'] * 1e3:.3f}"


def print_times(console, title, rows, found, peers):
    """Print the table of times, and the geometric mean of the ratios to the fastest peer."""
    table = Table(title=title)
    table.add_column("work")
    heads = ("eager ms", "compiled ms", "p99 / median", *(f"{p} ms" for p in peers), "fastest peer")
    for head in heads:
        table.add_column(head, justify="right")
    ratios = []
    for row in rows:
        figures = found[row[0]]
        own = figures[COMPILED]
        best = min((figures[p]["median"] for p in peers if p in figures), default=math.nan)
        ratio = best / own["median"]
        ratios.append(ratio)
        table.add_row(
            row[0], milliseconds(figures.get(EAGER)), milliseconds(own),
            f"{own['p99'] / own['median']:.2f}", *(milliseconds(figures.get(p)) for p in peers),
            f"{ratio:.2f}×",
        )  # fmt: skip
    console.print(table)
    known = [ratio for ratio in ratios if not math.isnan(ratio)]
    if known:
        mean = math.exp(statistics.fmean(map(math.log, known)))
        console.print(f"geometric mean of fastest peer ÷ Lamina: {mean:.2f}×")


def print_programs(console, rows, found, cold):
    """Print what the programs are like."""
    table = Table(title="programs")
    table.add_column("work")
    heads = (
        *("kernel calls", "host calls", "arena MB", "plan / most alive"),
        *("first call s, cold", "cached", "peak MB", "torch peak MB"),
    )
    for head in heads:
        table.add_column(head, justify="right")
    for row in rows:
        own, torch = found[row[0]][COMPILED], found[row[0]].get("torch")
        first = cold.get(row[0])
        table.add_row(
            row[0], f"{own['launches']:.0f}", f"{own['host']:.0f}", f"{own['arena'] / 1e6:.2f}",
            f"{own['waste']:.3f}", "–" if first is None else f"{first['first']:.2f}",
            f"{own['first']:.2f}", f"{own['peak_mb']:.0f}",
            "–" if torch is None else f"{torch['peak_mb']:.0f}",
        )  # fmt: skip
    console.print(table)


def cold_start(row):
    """Return the figures of a row whose kernels are all compiled anew."""
    with tempfile.TemporaryDirectory() as folder:
        return run_alone(row[0], COMPILED, 0.01, {"LAMINA_CACHE_DIR": folder})


def print_figures(row, library, seconds):
    """Time one row of one library in this process, and print the figures as JSON."""
    figures = TIMED[library](row, seconds)
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures))


def main() -> None:
    parser = options(__doc__ or "", (EAGER, COMPILED, *PEERS))
    parser.add_argument("--only", default="", help="names of rows, separated by commas")
    parser.add_argument("--peers", default=",".join(PEERS), help="names, separated by commas")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=1.0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    apply_options(arguments)
    if arguments.one:
        print_figures(rows_of([arguments.one])[0], arguments.peer, arguments.seconds)
        return
    rows = rows_of([name for name in arguments.only.split(",") if name])
    peers = [peer for peer in arguments.peers.split(",") if peer]
    seconds = 0.2 if arguments.quick else 1.0
    console = Console(width=140)
    found, cold = {}, {}
    for row in track(rows, "timing", console=Console(stderr=True), transient=True):
        libraries = [EAGER, COMPILED, *peers]
        if len(row) == 4:
            libraries = [name for name in libraries if name not in ("onnxruntime", "openvino")]
        found[row[0]] = measured(row, libraries, seconds)
        cold[row[0]] = cold_start(row)
    console.print(machine(fma_peak()))
    for title, kind in (("inference", 3), ("training, one step of Adam", 4)):
        chosen = [row for row in rows if len(row) == kind]
        if chosen:
            print_times(console, title, chosen, found, peers)
    print_programs(console, rows, found, cold)


if __name__ == "__main__":
    main()
