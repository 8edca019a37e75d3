"""Elementary functions against numpy and PyTorch: nanoseconds an element, in the first cache.

    python benchmarks/mathlib.py [--quick] [--dtype float64]

One thread; 4096 float32 or 2048 float64 elements. A call of a peer includes its way from Python to
its loop, about a microsecond; so does one of Lamina's native loop.
"""

import ctypes
import json

import numpy as np
from _measure import apply_options, in_clean_process, machine, measure, options
from rich.console import Console
from rich.table import Table

from lamina.codegen.mathlib import FUNCTIONS, over_arrays
from lamina.codegen.types import f32, f64
from lamina.kernels.peak import fma_peak

BYTES = 1 << 14
SCALARS = {"float32": f32, "float64": f64}
OF_TWO = over_arrays.TWO_OPERANDS
RANGES = {
    **dict.fromkeys(("asin", "acos", "atanh"), (-0.95, 0.95)),
    **dict.fromkeys(("log", "log2", "log10", "sqrt", "rsqrt", "pow"), (0.1, 10.0)),
    "acosh": (1.0, 10.0),
    "log1p": (-0.9, 10.0),
}
NUMPY_NAMES = {
    **{name: name for name in FUNCTIONS},
    **{f"a{name}": f"arc{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")},
    "pow": "power",
}
TORCH_NAMES = {"softplus": "softplus", "log_sigmoid": "logsigmoid", "gelu": "gelu"}


def operands(name, dtype):
    random = np.random.default_rng(0)
    count = BYTES // np.dtype(dtype).itemsize
    low, high = RANGES.get(name, (-5.0, 5.0))
    return [random.uniform(low, high, count).astype(dtype) for _ in range(1 + (name in OF_TWO))]


def nanoseconds(times, dtype):
    return times.median * 1e9 / (BYTES // np.dtype(dtype).itemsize)


def time_lamina(name, dtype):
    arrays = operands(name, dtype)
    arrays.insert(0, np.empty_like(arrays[0]))
    entry = over_arrays.kernel(name, SCALARS[dtype])
    block = (ctypes.c_int64 * 4)(arrays[0].size, *(array.ctypes.data for array in arrays))
    address = ctypes.addressof(block)
    return measure(lambda: entry(address, 0))


def time_numpy(name, dtype):
    function = getattr(np, NUMPY_NAMES[name], None)
    if function is None:
        return None
    given = operands(name, dtype)
    out = np.empty_like(given[0])
    return nanoseconds(measure(lambda: function(*given, out=out)), dtype)


def time_torch(name, dtype):
    import torch

    torch.set_num_threads(1)
    given = [torch.from_numpy(array) for array in operands(name, dtype)]
    if name == "gelu_tanh":
        call = lambda: torch.nn.functional.gelu(given[0], approximate="tanh")  # noqa: E731
    elif name in TORCH_NAMES:
        function = getattr(torch.nn.functional, TORCH_NAMES[name])
        call = lambda: function(given[0])  # noqa: E731
    else:
        function = getattr(torch, name, None)
        if function is None:
            return None
        out = torch.empty_like(given[0])
        call = lambda: function(*given, out=out)  # noqa: E731
    with torch.inference_mode():
        return nanoseconds(measure(call), dtype)


PEERS = {"numpy": time_numpy, "torch": time_torch}


def main() -> None:
    parser = options(__doc__, PEERS)
    parser.add_argument("--dtype", choices=SCALARS, default="float32")
    arguments = parser.parse_args()
    apply_options(arguments)
    dtype = arguments.dtype
    if arguments.peer:
        print(json.dumps([PEERS[arguments.peer](name, dtype) for name in FUNCTIONS]))
        return
    ours = [time_lamina(name, dtype) for name in FUNCTIONS]
    extra = ("--dtype", dtype)
    peers = [in_clean_process(__file__, peer, len(FUNCTIONS), extra) for peer in PEERS]
    console = Console(width=120)
    console.print(machine(fma_peak(dtype)))
    table = Table(title=f"mathlib, {dtype}: nanoseconds an element")
    for column in ("function", "Lamina", "spread", *PEERS, *(f"{p} / Lamina" for p in PEERS)):
        table.add_column(column, justify="left" if column == "function" else "right")
    for name, times, *medians in zip(FUNCTIONS, ours, *peers, strict=True):
        own = nanoseconds(times, dtype)
        found = ["–" if peer is None else f"{peer:.2f}" for peer in medians]
        ratios = ["–" if peer is None else f"{peer / own:.2f}×" for peer in medians]
        spread = f"{times.spread / times.median:.0%}"
        table.add_row(name, f"{own:.2f}", spread, *found, *ratios)
    console.print(table)


if __name__ == "__main__":
    main()
