"""Graphs as text: printed for people, and read back for tests.

inputs %x: float32[4, 3]
captured %w: float32[3, 2], %b: float32[2]
%0: float32[4, 2] = matmul(%x, %w)
%1: float32[4, 2] = add(%0, %b)
write %b ← %2
return %1

A graph that is part of an op stands among its attributes: `then={inputs %x0: …; return %0}`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from lamina import dtypes
from lamina.errors import GraphError, LaminaError
from lamina.graph.ir import Graph, Node, Value, Write, verify
from lamina.graph.literals import Reader, written
from lamina.memory import Array, Spec, empty
from lamina.ops.registry import OPS, Op

_VALUE = re.compile(r"%(\w+): (\w+)\[([\d, ]*)\]")
_BODY = re.compile(r"(\w+)=\{")
_NODE = re.compile(r"(%.+?) = (\w+)(?:\[(.*)\])?\((.*)\)")


def to_text(graph: Graph) -> str:
    """Return a graph as text: inputs, captured memory, a line a node, writes, results."""
    names = _Names(graph)
    lines = []
    for label, values in (("inputs", graph.inputs), ("captured", tuple(graph.captured))):
        if values:
            lines.append(f"{label} {', '.join(map(names.declared, values))}")
    lines += [_line(node, names) for node in graph.nodes]
    lines += [f"write {names[w.target]} ← {names[w.value]}" for w in graph.writes]
    lines.append(f"return {', '.join(names[value] for value in graph.outputs)}".rstrip())
    return "\n".join(lines)


class _Names:
    """Inputs are x0, x1 …, captured values c0, c1 …, others are numbered as they are made."""

    def __init__(self, graph: Graph) -> None:
        self._names = {value: f"%x{n}" for n, value in enumerate(graph.inputs)}
        self._names |= {value: f"%c{n}" for n, value in enumerate(graph.captured)}
        made = (value for node in graph.nodes for value in node.outputs)
        self._names |= {value: f"%{n}" for n, value in enumerate(made)}

    def __getitem__(self, value: Value) -> str:
        return self._names[value]

    def declared(self, value: Value) -> str:
        """Return a value with its dtype and shape."""
        return f"{self[value]}: {value.dtype.name}[{', '.join(map(str, value.shape))}]"


def _line(node: Node, names: _Names) -> str:
    outputs = ", ".join(map(names.declared, node.outputs))
    inputs = ", ".join(names[x] for x in node.inputs)
    attributes = _attributes(node.op)
    inside = f"[{attributes}]" if attributes else ""
    return f"{outputs} = {node.op.name}{inside}({inputs})"


def _attributes(op: Op) -> str:
    """Return the attributes of an op that is made with some."""
    if not is_dataclass(op) or not isinstance(OPS.get(op.name), type):
        return ""
    pairs = [(f.name, getattr(op, f.name)) for f in fields(op) if f.init]
    return ", ".join(
        f"{name}={_body(value) if isinstance(value, Graph) else written(value)}"
        for name, value in pairs
    )


def _body(graph: Graph) -> str:
    return f"{{{'; '.join(to_text(graph).splitlines())}}}"


def _without_bodies(text: str) -> tuple[str, dict[str, Graph]]:
    """Return attributes without those that are graphs, and these by name."""
    found: dict[str, Graph] = {}
    while (match := _BODY.search(text)) is not None:
        depth, stop = 1, match.end()
        while depth and stop < len(text):
            depth += {"{": 1, "}": -1}.get(text[stop], 0)
            stop += 1
        found[match.group(1)] = parse("\n".join(_lines(text[match.end() : stop - 1])))
        text = text[: match.start()] + text[stop:].lstrip(", ")
    return text.rstrip(", "), found


def _lines(text: str) -> list[str]:
    """Return the lines of a graph that stand in one; those of graphs within it stay together."""
    lines, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == ";" and depth == 0 and text[place + 1 : place + 2] == " ":
            lines.append(text[start:place])
            start = place + 1
    return [*lines, text[start:]]


def parse(text: str, captured: Mapping[str, Array] | None = None) -> Graph:
    """Return the graph that `text` says; GraphError names the line that says none.

    Captured values are the arrays of those names (`"c0"`), or else memory of undefined content.
    """
    reading = _Reading(dict(captured or {}))
    for number, line in enumerate(text.strip().splitlines(), 1):
        try:
            reading.take(line.strip())
        except (LaminaError, ValueError, KeyError, TypeError) as error:
            raise GraphError(f"line {number}, {line.strip()!r}: {error}") from None
    graph = reading.graph()
    verify(graph)
    return graph


class _Reading:
    """What has been read so far."""

    def __init__(self, arrays: dict[str, Array]) -> None:
        self._arrays = arrays
        self._values: dict[str, Value] = {}
        self._inputs: list[Value] = []
        self._captured: dict[Value, Array] = {}
        self._nodes: list[Node] = []
        self._outputs: list[Value] = []
        self._writes: list[Write] = []

    def take(self, line: str) -> None:
        """Read one line."""
        word, _, rest = line.partition(" ")
        match word:
            case "" | "#":
                return
            case "inputs":
                self._inputs += [value for _, value in self._declared(rest)]
            case "captured":
                for name, value in self._declared(rest):
                    self._captured[value] = self._arrays.get(name) or empty(*value.spec)
            case "write":
                target, value = (self._named(part) for part in rest.split("←"))
                self._writes.append(Write(target, value))
            case "return":
                self._outputs += [self._named(part) for part in rest.split(",") if part.strip()]
            case _:
                self._nodes.append(self._node(line))

    def _declared(self, text: str) -> Iterable[tuple[str, Value]]:
        found = list(_VALUE.finditer(text))
        if not found:
            raise GraphError("expected values such as %x: float32[2, 3]")
        for match in found:
            name, dtype, shape = match.groups()
            sizes = tuple(int(size) for size in shape.split(",") if size.strip())
            value = self._values[name] = Value(Spec(sizes, dtypes.as_dtype(dtype)))
            yield name, value

    def _named(self, text: str) -> Value:
        name = text.strip().removeprefix("%")
        if name not in self._values:
            raise GraphError(f"%{name} was not made before")
        return self._values[name]

    def _node(self, line: str) -> Node:
        match = _NODE.fullmatch(line)
        if match is None:
            raise GraphError("expected %0: dtype[shape] = op[attributes](%x, …)")
        outputs, name, attributes, inputs = match.groups()
        given = tuple(self._named(part) for part in inputs.split(",") if part.strip())
        plain, bodies = _without_bodies(attributes or "")
        op = _op(name, Reader(plain).attributes() | bodies)
        return Node(op, given, tuple(value for _, value in self._declared(outputs)))

    def graph(self) -> Graph:
        """Return all that was read."""
        return Graph(
            tuple(self._inputs),
            self._captured,
            tuple(self._nodes),
            tuple(self._outputs),
            tuple(self._writes),
        )


def _op(name: str, attributes: dict[str, Any]) -> Op:
    known = OPS.get(name)
    if known is None:
        raise GraphError(f"no op is named {name!r}")
    return known(**attributes) if isinstance(known, type) else known
