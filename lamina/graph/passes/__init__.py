"""What is done to a graph before it runs: functions from graph to graph, one file each."""

from collections.abc import Callable

from lamina.graph.ir import Graph, verify

Pass = Callable[[Graph], Graph]
PASSES: tuple[Pass, ...] = ()


def optimise(graph: Graph) -> Graph:
    """Return a graph that does the same with less work."""
    for improve in PASSES:
        graph = improve(graph)
        verify(graph)
    return graph
