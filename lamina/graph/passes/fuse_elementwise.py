"""Elementwise ops that follow each other, in one pass over memory."""

from dataclasses import dataclass, field
from typing import final

from lamina.codegen import mathlib
from lamina.graph.ir import Graph, Node, Value
from lamina.graph.numbers import number_of
from lamina.graph.order import in_order_of_need
from lamina.graph.uses import Uses
from lamina.kernels.expression import (
    Constant,
    Expression,
    Input,
    apply,
    in_order,
    substituted,
)
from lamina.kernels.scalars import STORED
from lamina.layout import Shape
from lamina.ops.formulas import Formulas
from lamina.ops.pointwise import Pointwise

# What one kernel holds in registers and compiles in tens of milliseconds.
_MOST_OPERANDS = 14
_MOST_STEPS = 48
_ROUNDED = ("float16", "bfloat16")


def fuse_elementwise(graph: Graph) -> Graph:
    """Make one node of elementwise ops that compute values of one shape from each other.

        %1 = multiply(%x, %y)
        %2 = add(%1, %b)        ⇒      %3, %2 = formulas[maximum(…), add(…)](%x, %y, %b)
        %3 = relu(%2)                  return %3, %2
        return %3, %2

    So are functions that take long and read the same: an activation, and the slope that the
    backward pass will ask for. Every result has the bits that it had: what was rounded to 16 bits
    still is.
    """
    fusion = _Fusion(graph)
    for place, node in enumerate(graph.nodes):
        fusion.take(place, node)
    return fusion.graph()


@final
@dataclass(slots=True, eq=False)
class _Group:
    """Nodes that will be one, in order; `shape` is that of all their outputs."""

    shape: Shape
    nodes: list[Node]
    places: list[int]
    steps: int
    values: set[Value] = field(default_factory=set)


@final
class _Fusion:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._uses = Uses(graph)
        self._written = {write.value for write in graph.writes}
        self._place_of = {v: n for n, node in enumerate(graph.nodes) for v in node.outputs}
        self._groups: dict[Value, _Group] = {}
        self._all: list[_Group] = []

    def take(self, place: int, node: Node) -> None:
        """Put a node into a group, if it fits into one, or into one of its own."""
        found = expressions_of(self._graph, node)
        if found is None:
            return
        own = _Group(node.outputs[0].shape, [node], [place], len(in_order(*found)))
        own.values.update(node.outputs)
        self._all.append(own)
        self._enter(own)
        for value in node.inputs:
            group = self._groups.get(value)
            if group is not None and group is not own and self._may_join(group, own):
                own = self._join(group, own)
        sibling = self._sibling(node)
        if sibling is not None and sibling is not own and self._may_join(sibling, own):
            self._join(sibling, own)

    def _sibling(self, node: Node) -> _Group | None:
        """Return the group that takes long with the same value, which this node and that group
        alone read: what the node makes of it can be kept in its place.
        """
        value = node.inputs[0]
        readers = self._uses.readers(value)
        if set(node.inputs) != {value} or len(readers) != 2 or self._uses.is_result(value):
            return None
        other = next(reader for reader in readers if reader is not node)
        is_kept = self._uses.maker(value) is not None and value.spec == node.output.spec
        if is_kept and takes_long(self._graph, node) and takes_long(self._graph, other):
            return self._groups.get(other.outputs[0])
        return None

    def _enter(self, group: _Group) -> None:
        for value in group.values:
            self._groups[value] = group

    def _join(self, first: _Group, second: _Group) -> _Group:
        pairs = sorted(
            zip(first.places + second.places, first.nodes + second.nodes, strict=True),
            key=lambda pair: pair[0],
        )
        first.places = [place for place, _ in pairs]
        first.nodes = [node for _, node in pairs]
        first.steps += second.steps
        first.values |= second.values
        self._all.remove(second)
        self._enter(first)
        return first

    def _may_join(self, first: _Group, second: _Group) -> bool:
        if first.shape != second.shape or first.steps + second.steps > _MOST_STEPS:
            return False
        values = first.values | second.values
        outside = [v for v in values if self._is_needed(v, values)]
        reads = {x for g in (first, second) for n in g.nodes for x in n.inputs} - values
        numbers = sum(number_of(self._graph, x) is not None for x in reads)
        if len(outside) + len(reads) - numbers > _MOST_OPERANDS:
            return False
        # What goes straight into captured memory stays apart from what does not.
        if 0 < sum(v in self._written for v in outside) < len(outside):
            return False
        return not (self._waits(second, first) or self._waits(first, second))

    def _is_needed(self, value: Value, inside: set[Value]) -> bool:
        """Return whether a value is read by anyone but the makers of `inside`."""
        readers = self._uses.readers(value)
        return self._uses.is_result(value) or any(n.outputs[0] not in inside for n in readers)

    def _waits(self, later: _Group, earlier: _Group) -> bool:
        """Return whether one group needs what nodes outside of both make of the other."""
        first = min(earlier.places)
        inside = later.values | earlier.values
        waiting = [x for n in later.nodes for x in n.inputs if x not in inside]
        seen: set[Value] = set()
        while waiting:
            value = waiting.pop()
            if value not in self._place_of or value in seen:
                continue
            place = self._place_of[value]
            group = self._groups.get(value)
            nodes = [self._graph.nodes[place]] if group is None else group.nodes
            seen.update(v for n in nodes for v in n.outputs)
            # What stands before the other group throughout cannot have read from it.
            if (place if group is None else max(group.places)) < first:
                continue
            reads = [x for n in nodes for x in n.inputs]
            if any(x in earlier.values for x in reads):
                return True
            waiting.extend(x for x in reads if x not in inside)
        return False

    def graph(self) -> Graph:
        """Return the graph with a node for each group."""
        fused: dict[Value, Node] = {}
        for group in self._all:
            if len(group.nodes) > 1:
                node = self._fused(group)
                fused.update(dict.fromkeys(group.values, node))
        nodes: dict[Node, None] = {}
        for node in self._graph.nodes:
            nodes[fused.get(node.outputs[0], node)] = None
        return self._graph.with_nodes(in_order_of_need(list(nodes)))

    def _fused(self, group: _Group) -> Node:
        operands: dict[Value, Expression] = {}
        made: dict[Value, Expression] = {}
        for node in group.nodes:
            expressions = expressions_of(self._graph, node)
            assert expressions is not None, "only such nodes are in groups"
            places = [made[x] if x in made else self._operand(x, operands) for x in node.inputs]
            for value, expression in zip(node.outputs, expressions, strict=True):
                made[value] = rounded(substituted(expression, places), value)
        outputs = [v for n in group.nodes for v in n.outputs if self._is_needed(v, group.values)]
        op = Formulas(tuple(made[v] for v in outputs), tuple(v.dtype.name for v in outputs))
        inputs = tuple(x for x, e in operands.items() if isinstance(e, Input))
        return Node(op, inputs, tuple(outputs))

    def _operand(self, value: Value, operands: dict[Value, Expression]) -> Expression:
        if value not in operands:
            number = number_of(self._graph, value)
            if number is None:
                used = sum(isinstance(e, Input) for e in operands.values())
                operands[value] = Input(used)
            else:
                operands[value] = Constant(number, value.dtype.name)
        return operands[value]


def expressions_of(graph: Graph, node: Node) -> tuple[Expression, ...] | None:
    """Return what an elementwise node computes, for each output; None for any other node."""
    if any(x.dtype.name not in STORED for x in (*node.inputs, *node.outputs)):
        return None
    if isinstance(node.op, Formulas):
        return node.op.expressions
    if not isinstance(node.op, Pointwise) or 0 in node.output.shape:
        return None
    found = node.op.expression(*(x.spec for x in node.inputs))
    return None if found is None else (found,)


def takes_long(graph: Graph, node: Node) -> bool:
    """Return whether a node is elementwise, with a function that takes as long as dozens do."""
    found = expressions_of(graph, node) or ()
    return any(step.function in mathlib.FUNCTIONS for step in in_order(*found))


def rounded(expression: Expression, value: Value) -> Expression:
    """Return an expression with the precision that its value has in memory."""
    if value.dtype.name in _ROUNDED:
        return apply(f"to_{value.dtype.name}", expression)
    return expression
