"""The graph: ops over values, in the order in which they run.

A value is made once, by a node or by the world outside: an input of the program, or memory that
it captured. Nodes have no effects. What lasts beyond a run stands at the end: the outputs, and the
writes, which say what captured memory holds after the run. Until then it holds what it did.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import final

from lamina.dtypes import DType
from lamina.errors import GraphError
from lamina.layout import Shape
from lamina.memory import Array, Spec
from lamina.ops.registry import Op


@final
@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """Something of known shape and dtype; two values are the same only if they are one object."""

    spec: Spec

    @property
    def shape(self) -> Shape:
        return self.spec.shape

    @property
    def dtype(self) -> DType:
        return self.spec.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of its elements."""
        size = self.spec.dtype.itemsize
        for n in self.spec.shape:
            size *= n
        return size


@final
@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """An op applied to values."""

    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    @staticmethod
    def of(op: Op, *inputs: Value) -> "Node":
        """Return the node of `op`, its outputs as the op infers them."""
        expected = op.infer(*(x.spec for x in inputs))
        specs = (expected,) if isinstance(expected, Spec) else expected
        return Node(op, inputs, tuple(Value(spec) for spec in specs))

    @property
    def output(self) -> Value:
        """The output of an op that has one."""
        (value,) = self.outputs
        return value


@final
@dataclass(frozen=True, slots=True)
class Write:
    """After the run, the memory of a captured value holds another one."""

    target: Value
    value: Value


@final
@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A program: what it takes, what it does, and what it gives.

    `inputs` come with each call, in this order. `captured` maps values to memory that lives outside
    and stays where it is.
    """

    inputs: tuple[Value, ...]
    captured: Mapping[Value, Array]
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]
    writes: tuple[Write, ...] = ()

    @property
    def results(self) -> tuple[Value, ...]:
        """The values that must be there at the end."""
        return (*self.outputs, *(write.value for write in self.writes))

    @property
    def constants(self) -> set[Value]:
        """Captured values that no run changes."""
        written = {id(self.captured[w.target].storage) for w in self.writes}
        return {v for v, array in self.captured.items() if id(array.storage) not in written}

    def values(self) -> Iterator[Value]:
        """Give every value, in the order in which they come to be."""
        yield from self.inputs
        yield from self.captured
        for node in self.nodes:
            yield from node.outputs

    def with_nodes(
        self, nodes: Iterable[Node], renamed: Mapping[Value, Value] | None = None
    ) -> "Graph":
        """Return the graph with other nodes, and other values in the places of `renamed`.

        Captured memory that nothing reads or writes any more is let go.
        """
        final_name = dict(renamed or {})

        def named(value: Value) -> Value:
            while value in final_name:
                value = final_name[value]
            return value

        kept = [
            replace(node, inputs=tuple(map(named, node.inputs)))
            if any(x in final_name for x in node.inputs)
            else node
            for node in nodes
        ]
        outputs = tuple(map(named, self.outputs))
        writes = tuple(Write(w.target, named(w.value)) for w in self.writes)
        seen = {x for node in kept for x in node.inputs} | set(outputs)
        seen |= {x for w in writes for x in (w.target, w.value)}
        captured = {v: array for v, array in self.captured.items() if v in seen}
        return Graph(self.inputs, captured, tuple(kept), outputs, writes)

    def capturing(self, more: Mapping[Value, Array]) -> "Graph":
        """Return the graph with further captured memory."""
        return replace(self, captured={**self.captured, **more})


def verify(graph: Graph, sound: set[Node] | None = None) -> None:
    """Raise GraphError unless each value is made once, before it is read, as its op infers it.

    Nodes in `sound` are known to be as their ops infer; those that are found so are added to it.
    """
    sound = set() if sound is None else sound
    known: set[Value] = set()
    for value in (*graph.inputs, *graph.captured):
        _require(value not in known, "an input or captured value stands twice")
        known.add(value)
    for node in graph.nodes:
        name = node.op.name
        _require(known.issuperset(node.inputs), "a node reads a value not made before it", name)
        _require(known.isdisjoint(node.outputs), "a node makes a value that exists already", name)
        if node not in sound:
            _infers(node)
            sound.add(node)
        known.update(node.outputs)
    _require(all(x in known for x in graph.results), "a result is not made by any node")
    for write in graph.writes:
        _require(write.target in graph.captured, "what is written is not captured memory")
        _require(write.target.spec == write.value.spec, "a write changes a shape or dtype")


def _infers(node: Node) -> None:
    """Raise GraphError where the outputs of a node are not what its op infers."""
    expected = node.op.infer(*(x.spec for x in node.inputs))
    specs = (expected,) if isinstance(expected, Spec) else tuple(expected)
    found = tuple(x.spec for x in node.outputs)
    if specs != found:
        raise _broken(f"a node gives {specs}, and its outputs are said to be {found}", node.op.name)


def _require(condition: bool, message: str, name: str = "") -> None:
    if not condition:
        raise _broken(message, name)


def _broken(message: str, name: str) -> GraphError:
    where = f" ({name})" if name else ""
    return GraphError(f"the graph is broken: {message}{where}; a pass has left it so")
