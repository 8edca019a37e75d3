"""`lamina tune`: measure the ways to compute a convolution, and keep the best."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lamina.codegen.target import host_target
from lamina.errors import ArgumentError
from lamina.kernels.convolution.entry import conv, parts, remember, strategies
from lamina.layout import Shape
from lamina.memory.array import Array
from lamina.tensor.random import randn

_SECONDS_EACH = 0.2
_ROUNDS_AT_LEAST = 3
# Strategies that are estimated to take this many times the cheapest are not measured.
_WORTH_A_TRY = 8
# A gain below this is within what measurements differ by.
_WORTH_A_CHANGE = 0.97


@click.command()
@click.argument("image")
@click.argument("weight")
@click.option("--stride", default=1, show_default=True, type=click.IntRange(1))
@click.option("--padding", default=0, show_default=True, type=click.IntRange(0))
@click.option("--dilation", default=1, show_default=True, type=click.IntRange(1))
@click.option("--groups", default=1, show_default=True, type=click.IntRange(1))
def tune(image: str, weight: str, stride: int, padding: int, dilation: int, groups: int) -> None:
    """Measure every way to compute a convolution of IMAGE (such as 64x56x56) with WEIGHT (such as
    128x64x3x3), and prefer the fastest from now on, for any batch and number of threads.
    """
    operands, options = _call(_sizes(image), _sizes(weight), stride, padding, dilation, groups)
    problems = parts(*operands, **options)
    costs = strategies(problems)
    estimated = min(costs, key=lambda name: costs[name])
    tried = [name for name in costs if costs[name] <= _WORTH_A_TRY * costs[estimated]]
    console = Console()
    seconds = {
        name: _least_seconds(partial(conv, *operands, **options, strategy=name))
        for name in track(tried, "measuring", console=console, transient=True)
    }
    best = min(seconds, key=lambda name: seconds[name])
    if seconds[best] > _WORTH_A_CHANGE * seconds[estimated]:
        best = estimated
    remember(problems, best)
    console.print(_table(seconds, costs, best))
    console.print(f"{best!r} is preferred from now on, for target {host_target().name}")


def _sizes(text: str) -> Shape:
    sizes = text.split("x")
    if not all(size.isdecimal() for size in sizes):
        raise ArgumentError(f"tune: {text!r} given; expected whole numbers joined by x: 64x56x56")
    return tuple(int(size) for size in sizes)


def _call(
    image: Shape, weight: Shape, stride: int, padding: int, dilation: int, groups: int
) -> tuple[list[Array], dict[str, Any]]:
    """Return operands of one sample, and the options of the kernel's call."""
    axes = len(image) - 1
    if axes not in (1, 2, 3) or len(weight) != axes + 2 or 0 in (*image, *weight):
        raise ArgumentError(
            f"tune: image {image} and weight {weight} given; expected CxHxW and OxCxKHxKW, with "
            "one to three spatial axes, none empty"
        )
    places = tuple(
        (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
        for size, taps in zip(image[1:], weight[2:], strict=True)
    )
    if min(places) < 1:
        raise ArgumentError(f"tune: kernel {weight[2:]} does not fit {image[1:]}; pad more")
    shapes = ((1, weight[0], *places), (1, *image), weight)
    operands = [randn(*shape).array for shape in shapes]
    options = {
        "stride": (stride,) * axes, "padding": (padding,) * axes, "dilation": (dilation,) * axes,
        "input_dilation": (1,) * axes, "groups": groups,
    }  # fmt: skip
    return operands, options


def _least_seconds(call: Callable[[], None]) -> float:
    call()
    least, end, rounds = float("inf"), time.perf_counter() + _SECONDS_EACH, 0
    while rounds < _ROUNDS_AT_LEAST or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - start)
        rounds += 1
    return least


def _table(seconds: dict[str, float], costs: dict[str, float], best: str) -> Table:
    table = Table()
    table.add_column("strategy")
    table.add_column("least µs", justify="right")
    table.add_column("estimated kilocycles", justify="right")
    for name in sorted(seconds, key=lambda name: seconds[name]):
        style = "bold" if name == best else ""
        row = (name, f"{seconds[name] * 1e6:.1f}", f"{costs[name] / 1e3:.0f}")
        table.add_row(*row, style=style)
    return table
