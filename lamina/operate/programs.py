"""What `lamina.explain` says of a program: its graph, what passes made of it, its kernel calls."""

from collections import Counter
from collections.abc import Callable
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from lamina.graph.bind import HostCall
from lamina.graph.captured import Captured, capture
from lamina.graph.compile import Compiled
from lamina.graph.passes import PASSES
from lamina.graph.program import Program
from lamina.graph.tables import Jump, Label
from lamina.graph.text import to_text
from lamina.graph.trees import flatten
from lamina.kernels.launch import Launch
from lamina.tensor import Tensor

_RUNS = 7


def print_graph(console: Console, function: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    """Print the graph of `function(*inputs)` as it was taken down."""
    _print(console, to_text(_taken_down(function, inputs).graph))


def print_passes(console: Console, function: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    """Print how many nodes each pass leaves, then the graph after the last."""
    graph = _taken_down(function, inputs).graph
    table = Table(title="Passes", title_justify="left")
    table.add_column("pass")
    for column in ("nodes", "ops that became fewer or more"):
        table.add_column(column, overflow="fold")
    table.add_row("as taken down", str(len(graph.nodes)), "")
    for improve in PASSES:
        before = Counter(node.op.name for node in graph.nodes)
        graph = improve(graph)
        after = Counter(node.op.name for node in graph.nodes)
        changes = [
            f"{name} {after[name] - before[name]:+d}"
            for name in sorted({*before, *after})
            if after[name] != before[name]
        ]
        table.add_row(improve.__name__, str(len(graph.nodes)), ", ".join(changes))
    console.print(table)
    _print(console, to_text(graph))


def print_calls(console: Console, function: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    """Print the calls of the program for `function(*inputs)`, and its memory plan."""
    program = _program(function, inputs)
    table = Table(title="Calls", title_justify="left")
    for column in ("", "op", "made by", "threads"):
        table.add_column(column)
    for number, (name, call) in enumerate(program.calls):
        made_by, workers = "kernel", 1
        match call:
            case HostCall():
                made_by = "Python"
            case Launch():
                workers = call.workers
            case Jump():
                made_by = "jump"
            case Label():
                made_by = "label"
        table.add_row(str(number), name, made_by, str(workers))
    console.print(table)
    plan = program.plan
    console.print(
        f"{len(program.launches)} kernel calls and {len(program.host_calls)} calls of Python; the "
        f"arena has {plan.nbytes} bytes, {plan.waste:.3f} times the most that live at one time",
        highlight=False,
    )


def print_profile(console: Console, function: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    """Run the program call by call; print how long the calls for each op take, longest first."""
    program, seconds = _compiled(function).timed(inputs, {}, _RUNS)
    total = sum(map(median, seconds))
    by_op: dict[str, list[float]] = {}
    for name, times in zip(program.titles, seconds, strict=True):
        by_op.setdefault(name, []).append(median(times))
    table = Table(title="Profile", title_justify="left")
    table.add_column("op")
    for column in ("calls", "ms", "share", "longest ms"):
        table.add_column(column, justify="right")
    for name, times in sorted(by_op.items(), key=lambda row: -sum(row[1])):
        own = sum(times)
        table.add_row(
            name,
            str(len(times)),
            f"{own * 1e3:.3f}",
            f"{own / total:.1%}",
            f"{max(times) * 1e3:.3f}",
        )
    console.print(table)
    console.print(
        f"{total * 1e3:.3f} ms in all, medians of {_RUNS} runs, each call made alone",
        highlight=False,
    )


def _taken_down(function: Callable[..., Any], inputs: tuple[Any, ...]) -> Captured:
    tensors: list[Tensor] = []
    structure = flatten((inputs, {}), tensors)
    plain = function.function if isinstance(function, Compiled) else function
    return capture(plain, structure, tensors)


def _program(function: Callable[..., Any], inputs: tuple[Any, ...]) -> Program:
    return _compiled(function).ready(inputs, {}, []).program


def _compiled(function: Callable[..., Any]) -> Compiled:
    return function if isinstance(function, Compiled) else Compiled(function)


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
