"""Who makes and who reads the values of a graph: what passes ask before they change it."""

from typing import final

from lamina.graph.ir import Graph, Node, Value


@final
class Uses:
    """The maker and the readers of each value, as the graph stands."""

    def __init__(self, graph: Graph) -> None:
        self._makers = {value: node for node in graph.nodes for value in node.outputs}
        self._readers: dict[Value, set[Node]] = {}
        for node in graph.nodes:
            for value in node.inputs:
                self._readers.setdefault(value, set()).add(node)
        self._results = set(graph.results)

    def maker(self, value: Value) -> Node | None:
        """Return the node that makes a value; None where it comes from outside."""
        return self._makers.get(value)

    def is_result(self, value: Value) -> bool:
        """Return whether a value must be there at the end."""
        return value in self._results

    def readers(self, value: Value) -> set[Node]:
        """Return the nodes that read a value."""
        return self._readers.get(value, set())

    def only_reader(self, value: Value) -> Node | None:
        """Return the one node that reads a value; None where others, or the caller, do."""
        readers = self.readers(value)
        return next(iter(readers)) if len(readers) == 1 and not self.is_result(value) else None

    def made_for(self, reader: Node, value: Value) -> Node | None:
        """Return the node that makes a value which `reader` alone reads."""
        return self.maker(value) if self.only_reader(value) is reader else None
