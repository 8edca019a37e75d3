"""Measure the largest error of every function of mathlib, in ULP, beside what is stated.

    python scripts/prove_mathlib.py [--target avx2] [--only exp,log] [--every 1] [--threads 2]
    python scripts/prove_mathlib.py --f64 1000000

The first form visits all 2³² float32 values of every function of one operand (with --every N, one
block of 65536 in N), and 10⁸ / N pairs for the others, against float64: PyTorch's where it is
installed, since it is vectorised, numpy's elsewhere. The second compares float64 with numpy's long
double, and where numpy has none, with mpmath (a hundredth of COUNT).
"""

import argparse
import ctypes
import importlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from lamina.codegen import jit
from lamina.codegen.mathlib import FUNCTIONS, over_arrays
from lamina.codegen.mathlib.accuracy import ERRORS
from lamina.codegen.target import TARGETS, choose_target

TESTS = Path(__file__).parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "golden")]
oracles = importlib.import_module("oracles")

BLOCK = 1 << 16
PAIRS = 100_000_000
PAIRS_A_BLOCK = 100_000
FROM_MPMATH = ("erf", "erfc", "gelu", "gelu_tanh", "normal_cdf", "normal_pdf")
FROM_MPMATH_A_BLOCK = 1000
OF_TWO = over_arrays.TWO_OPERANDS
TORCH_NAMES = (
    *("exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sqrt", "erf", "erfc"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
    *("sin", "cos", "tan", "asin", "acos", "atan"),
)


def vectorised_oracles():
    """The oracles, PyTorch's where it has them."""
    try:
        import torch
    except ImportError:
        return oracles.ORACLES
    torch.set_num_threads(1)

    def of_arrays(function):
        return lambda x: function(torch.from_numpy(x)).numpy()

    found = {name: of_arrays(getattr(torch, name)) for name in TORCH_NAMES}
    oracles.erfc = found["erfc"]
    return oracles.ORACLES | found


def visit_f32(name, target, oracle, block):
    """The largest error among the values whose bits start with `block`, and where it is."""
    first = block * BLOCK
    x = np.arange(first, first + BLOCK, dtype="u8").astype("u4").view("f4").astype("f8")
    exact = np.ascontiguousarray(oracle(x))
    worst = np.zeros((2, 32))
    arguments = (ctypes.c_int64 * 4)(BLOCK, first, exact.ctypes.data, worst.ctypes.data)
    entry = jit.kernel(over_arrays.emit_worst_error, name, target=target)
    entry(ctypes.addressof(arguments), 0)
    lane = int(worst[0].argmax())
    return float(worst[0, lane]), np.array(worst[1, lane], "u4").view("f4").item()


def compare(name, target, operands, exact):
    got = oracles.evaluate(name, *operands, target=target)
    errors = oracles.ulp_errors(got, exact)
    place = int(errors.argmax())
    return float(errors[place]), tuple(operand[place].item() for operand in operands)


def visit_pairs(name, target, oracle, block):
    x = np.random.default_rng(block).integers(0, 2**32, PAIRS_A_BLOCK, dtype="u8")
    a, b = oracles.pairs(x.astype("u4").view("f4"), PAIRS_A_BLOCK // 3, block)
    return compare(name, target, (a, b), oracle(a.astype("f8"), b.astype("f8")))


def visit_f64(name, target, block):
    if name in FROM_MPMATH:
        golden = importlib.import_module("mathlib_mpmath")
        x, high, low = golden.table(name, FROM_MPMATH_A_BLOCK, block).T
        return compare(name, target, (x.copy(),), high.astype(np.longdouble) + low)
    operands = (oracles.all_over_f64(PAIRS_A_BLOCK // 8, block),)
    if name in OF_TWO:
        operands = oracles.pairs(operands[0], PAIRS_A_BLOCK // 3, block)
    exact = oracles.ORACLES[name](*(operand.astype(np.longdouble) for operand in operands))
    return compare(name, target, operands, exact)


def tasks(name, options, target, oracle):
    """The calls that together measure one function."""
    if options.f64:
        blocks = range(max(1, options.f64 // PAIRS_A_BLOCK))
        return [(visit_f64, name, target, block) for block in blocks]
    if name in OF_TWO:
        blocks = range(PAIRS // PAIRS_A_BLOCK // options.every)
        return [(visit_pairs, name, target, oracle, block) for block in blocks]
    blocks = range(0, (1 << 32) // BLOCK, options.every)
    return [(visit_f32, name, target, oracle, block) for block in blocks]


def measured(name, options, target, oracle, pool, progress):
    calls = tasks(name, options, target, oracle)
    bar = progress.add_task(name, total=len(calls))
    start, worst = time.perf_counter(), (-1.0, None)

    def run(call):
        function, *arguments = call
        with np.errstate(all="ignore"):
            return function(*arguments)

    for found in pool.map(run, calls):
        worst = max(worst, found, key=lambda pair: pair[0])
        progress.advance(bar)
    progress.remove_task(bar)
    return *worst, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--only", default=",".join(FUNCTIONS))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--f64", type=int, default=0, metavar="COUNT")
    options = parser.parse_args()
    target = choose_target(options.target)
    kind = "f64" if options.f64 else "f32"
    found = vectorised_oracles()
    console = Console(width=120)
    console.print(f"target {target.name}, {kind}, every {options.every}")
    failed = []
    with ThreadPoolExecutor(options.threads) as pool, Progress(console=console) as progress:
        for name in options.only.split(","):
            error, place, seconds = measured(name, options, target, found[name], pool, progress)
            stated = ERRORS[name][kind]
            line = f"{name:12} {error:.5f} ULP of {stated} at {place!r}, {seconds:.1f} s"
            progress.console.print(line)
            if not error <= stated:
                failed.append(name)
    if failed:
        sys.exit(f"larger than stated: {', '.join(failed)}")


if __name__ == "__main__":
    main()
