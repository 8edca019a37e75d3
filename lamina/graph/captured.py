"""A function taken down for one kind of arguments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from lamina.graph.capture import Capture, Feed
from lamina.graph.ir import Graph, verify
from lamina.graph.trees import flatten, unflatten
from lamina.memory import Array
from lamina.tensor import Tensor
from lamina.tensor.core import wrap


@final
@dataclass(frozen=True, slots=True)
class Captured:
    """A graph, and how it meets Python.

    Inputs of the graph are the tensors among the arguments, then the feeds. Its outputs are the
    tensors in the result, whose `structure` is kept, then the gradients of `leaves`. All of it
    stands while the `guards` hold, and the tensors that were `met` outside have those arrays.
    """

    graph: Graph
    feeds: tuple[Feed, ...]
    guards: tuple[Callable[[], bool], ...]
    met: tuple[tuple[Tensor, Array], ...]
    structure: Any
    # How many tensors there are in the result.
    results: int
    leaves: tuple[Any, ...]
    is_checked: bool = False
    # Memory that is written with the last outputs, once they have been looked at.
    delayed: tuple[Array, ...] = ()

    def checked(self) -> "Captured":
        """Return the same with writes that wait until all values have been looked at."""
        graph = self.graph
        outputs = (*graph.outputs, *(write.value for write in graph.writes))
        delayed = tuple(graph.captured[write.target] for write in graph.writes)
        changed = replace(graph, outputs=outputs, writes=())
        return replace(self, graph=changed, is_checked=True, delayed=delayed)

    def with_graph(self, graph: Graph) -> "Captured":
        """Return the same with a graph that does the same."""
        return replace(self, graph=graph)


def capture(function: Callable[..., Any], structure: Any, tensors: Sequence[Tensor]) -> Captured:
    """Return what `function` does to arguments of this structure, `tensors` among them.

    It runs once, on tensors without values. Raises CaptureError where it needs one.
    """
    recorder = Capture()
    symbols = []
    for tensor in tensors:
        symbol = wrap(recorder.input(tensor.array.spec))
        symbol.requires_grad = tensor.requires_grad
        symbols.append(symbol)
    found: list[Tensor] = []
    leaves: list[Any] = []
    try:
        with recorder.recording():
            args, kwargs = unflatten(structure, symbols)
            result = function(*args, **kwargs)
            shape_of_result = flatten(result, found)
        for leaf in recorder.leaves.values():
            if id(leaf) not in recorder.spent and leaf.grad is not None:
                leaves.append(leaf)
                found.append(leaf.grad)
    finally:
        for leaf in recorder.leaves.values():
            leaf.grad = None
    graph = recorder.graph([tensor.array for tensor in found])
    verify(graph)
    return Captured(
        graph=graph,
        feeds=recorder.feeds,
        guards=tuple(recorder.guards),
        met=tuple((tensor, tensor.array) for tensor in recorder.met.values()),
        structure=shape_of_result,
        results=len(found) - len(leaves),
        leaves=tuple(leaves),
    )
