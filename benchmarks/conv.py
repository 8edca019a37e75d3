"""Every way to convolve against the measured FMA peak, PyTorch (oneDNN) and ONNX Runtime.

    python benchmarks/conv.py [--direction forward|input|weight] [--network NAME] [--batch B]
                              [--last] [--threads N] [--quick]

With `--last` images have their channels last, but not those of the peers. A dot marks the strategy
that is chosen by shape; those estimated to take ten times as long are left out. ONNX Runtime runs
one-node models, forward only. Peers run in processes of their own, with the same number of threads.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from _layers import LAYERS, NETWORKS, Layer
from _measure import ArrayOperand, apply_options, in_clean_process, machine, measure, options
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lamina.codegen import threads
from lamina.kernels.convolution.entry import conv, parts, strategies
from lamina.kernels.peak import fma_peak

DIRECTIONS = ("forward", "input", "weight")
PEERS = ("torch", "onnxruntime")
WORTH_A_TRY = 10
Call = Callable[[], object]


def arrays(layer: Layer, batch: int) -> list[np.ndarray]:
    """Return the input, the weights and the gradient of the output."""
    random = np.random.default_rng(0)
    return [random.standard_normal(shape).astype("f4") for shape in layer.shapes(batch)]


def flipped(w: np.ndarray, groups: int) -> np.ndarray:
    """Return the weights as the input gradient reads them: inputs and outputs exchanged, taps
    reversed.
    """
    outputs, channels, *taps = w.shape
    grouped = w.reshape(groups, outputs // groups, channels, *taps).swapaxes(1, 2)
    turned = np.flip(grouped, (3, 4))
    if groups == 1:
        return turned[0]
    return np.ascontiguousarray(turned).reshape(groups * channels, outputs // groups, *taps)


def channels_last(images: np.ndarray) -> np.ndarray:
    """Return the same images with their channels last in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(images, 1, -1)), -1, 1)


def our_calls(layer: Layer, batch: int, direction: str, *, last: bool) -> dict[str, Call]:
    """Return the call of each strategy that is worth a try, the chosen one first."""
    x, w, g = arrays(layer, batch)
    stride, pad, groups = layer.stride, layer.padding, layer.groups
    rest = layer.taps - 1 - pad
    out, left, right, *numbers = {
        "forward": (np.empty_like(g), x, w, stride, pad, 1, 1, groups, 1),
        "input": (np.empty_like(x), g, flipped(w, groups), 1, rest, 1, stride, groups, 1),
        "weight": (
            np.empty_like(w).swapaxes(0, 1), x.swapaxes(0, 1), g.swapaxes(0, 1),
            1, pad, stride, 1, 1, groups,
        ),
    }[direction]  # fmt: skip
    if last:
        out, left = channels_last(out), channels_last(left)
    operands = [ArrayOperand(array) for array in (out, left, right)]
    names = ("stride", "padding", "dilation", "input_dilation")
    named = {name: (number,) * 2 for name, number in zip(names, numbers, strict=False)}
    named |= {"groups": numbers[4], "batch_groups": numbers[5]}
    # Phases of an input with gaps may be computed together, or each for itself.
    ways = (
        strategies(parts(*operands, **named, strategy=way))
        for way in (None, "input gradient", "padded im2col")
    )
    costs: dict[str, float] = {}
    for found in ways:
        costs |= {name: cost for name, cost in found.items() if name not in costs}
    worth = WORTH_A_TRY * min(costs.values())
    return {
        name: partial(conv, *operands, **named, strategy=name)
        for name, cost in costs.items()
        if cost <= worth
    }


def torch_call(layer: Layer, batch: int, direction: str) -> Call:
    import torch

    torch.set_num_threads(threads.num_threads())
    torch.set_grad_enabled(False)
    stride, pad, groups = layer.stride, layer.padding, layer.groups
    x, w, g = (torch.from_numpy(array) for array in arrays(layer, batch))
    if direction == "forward":
        return lambda: torch.nn.functional.conv2d(x, w, None, stride, pad, 1, groups)
    mask = [direction == "input", direction == "weight", False]
    return lambda: torch.ops.aten.convolution_backward(
        g, x, w, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], groups, mask
    )


def onnxruntime_call(layer: Layer, batch: int, direction: str) -> Call:
    import onnx
    import onnxruntime

    if direction != "forward":
        raise SystemExit("ONNX Runtime computes no gradients")
    x, w, g = arrays(layer, batch)
    float32 = onnx.TensorProto.FLOAT
    node = onnx.helper.make_node(
        "Conv", ["x", "w"], ["y"], kernel_shape=w.shape[2:], strides=[layer.stride] * 2,
        pads=[layer.padding] * 4, group=layer.groups,
    )  # fmt: skip
    graph = onnx.helper.make_graph(
        [node],
        "layer",
        [onnx.helper.make_tensor_value_info("x", float32, x.shape)],
        [onnx.helper.make_tensor_value_info("y", float32, g.shape)],
        [onnx.numpy_helper.from_array(w, "w")],
    )
    opset = onnx.helper.make_opsetid("", 13)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads.num_threads()
    settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"x": x})


def geometric_mean(ratios: list[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def ratio(peer: float | None, ours: float) -> str:
    return "–" if peer is None else f"{peer / ours:.2f}×"


def lines(
    layer: Layer, arguments: argparse.Namespace, peak: float, peers: list[float | None]
) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Give seconds and the line of the table for each strategy, the chosen one first."""
    batch = arguments.batch
    calls = our_calls(layer, batch, arguments.direction, last=arguments.last)
    for number, (name, call) in enumerate(calls.items()):
        times = measure(call)
        speed = layer.flops(batch) / times.median / 1e9
        yield (
            times.median,
            (
                "" if number else layer.name,
                "" if number else f"{layer.intensity(batch):.1f}",
                f"{'  ' if number else '● '}{name}",
                f"{times.median * 1e6:.0f}",
                f"{times.spread / times.median:.0%}",
                f"{speed:.1f}",
                f"{speed / peak / threads.num_threads():.0%}",
                *(ratio(peer, times.median) for peer in peers),
            ),
        )


def run(console: Console, layers: list[Layer], arguments: argparse.Namespace) -> None:
    """Measure and print a table for each network, with geometric means of what is chosen."""
    passed = ["--batch", str(arguments.batch), "--direction", arguments.direction]
    if arguments.network:
        passed += ["--network", arguments.network]
    with console.status("timing the peers"):
        peers = [in_clean_process(__file__, peer, len(layers), passed) for peer in PEERS]
    peak = fma_peak()
    console.print(machine(peak))
    title = f"convolution, {arguments.direction}, float32, batch {arguments.batch}; peer / Lamina"
    table = Table(title=title)
    for name in ("layer", "FLOP/byte", "strategy", "median µs", "spread", "GFLOP/s", "of peak"):
        is_text = name in ("layer", "strategy")
        table.add_column(name, justify="left" if is_text else "right", no_wrap=is_text)
    for peer in PEERS:
        table.add_column(peer, justify="right")
    gains: dict[str, list[list[float]]] = {}
    for number, layer in track(list(enumerate(layers)), "measuring", console=Console(stderr=True)):
        seconds = [peer[number] for peer in peers]
        measured = list(lines(layer, arguments, peak, seconds))
        for _, line in measured:
            table.add_row(*line)
        chosen = measured[0][0]
        known = [peer for peer in seconds if peer is not None]
        columns = [*seconds, min(known, default=None)]
        for row, peer in zip(gains.setdefault(layer.network, [[], [], []]), columns, strict=True):
            row += [] if peer is None else [peer / chosen]
    console.print(table)
    print_means(console, gains)


def print_means(console: Console, gains: dict[str, list[list[float]]]) -> None:
    table = Table(title="geometric means of what is chosen, and layers where the best peer leads")
    for name in ("network", *(f"{peer} / Lamina" for peer in PEERS), "best / Lamina", "behind"):
        table.add_column(name, justify="left" if name == "network" else "right")
    whole = [[gain for rows in gains.values() for gain in rows[place]] for place in range(3)]
    for network, rows in (*gains.items(), ("all", whole)):
        means = (f"{geometric_mean(row):.2f}×" if row else "–" for row in rows)
        behind = sum(gain < 1 for gain in rows[-1])
        table.add_row(network, *means, f"{behind} of {len(rows[-1])}")
    console.print(table)


def main() -> None:
    parser = options(__doc__, PEERS)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--direction", choices=DIRECTIONS, default="forward")
    parser.add_argument("--network", choices=NETWORKS)
    parser.add_argument("--last", action="store_true", help="channels last")
    arguments = parser.parse_args()
    apply_options(arguments)
    layers = [layer for layer in LAYERS if arguments.network in (None, layer.network)]
    if arguments.peer:
        make = {"torch": torch_call, "onnxruntime": onnxruntime_call}[arguments.peer]
        calls = (make(layer, arguments.batch, arguments.direction) for layer in layers)
        print(json.dumps([measure(call).median for call in calls]))
        return
    run(Console(width=130), layers, arguments)


if __name__ == "__main__":
    main()
