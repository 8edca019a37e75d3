"""What is done to a graph before it runs: functions from graph to graph, one file each."""

from collections.abc import Callable

from lamina.graph import ir

__all__ = ["PASSES", "Pass", "optimise"]

Pass = Callable[[ir.Graph], ir.Graph]
PASSES: tuple[Pass, ...] = ()


def optimise(graph: ir.Graph) -> ir.Graph:
    """Return a graph that does the same with less work."""
    for improve in PASSES:
        graph = improve(graph)
        ir.verify(graph)
    return graph
