"""Ops that give back what they are given, and views of views."""

from collections.abc import Callable

from lamina.graph.ir import Graph, Node, Value
from lamina.graph.numbers import number_of
from lamina.ops.registry import Op
from lamina.ops.shapes.movement import Permute, Reshape

Producers = dict[Value, Node]


def simplify(graph: Graph) -> Graph:
    """Do without ops that change nothing, and make one view of two.

        copy(x)                      ⇒  x          values never change
        reshape(x), x of that shape  ⇒  x
        reshape(reshape(x))          ⇒  reshape(x)
        permute(permute(x))          ⇒  permute(x)
        x · 1,  x / 1                ⇒  x          of one shape and dtype

    No result has other bits.
    """
    renamed: dict[Value, Value] = {}
    producers: Producers = {}
    kept = []
    for given in graph.nodes:
        inputs = tuple(renamed.get(x, x) for x in given.inputs)
        node = Node(_viewed_once(given.op, inputs, producers), inputs, given.outputs)
        node = _of_first_source(node, producers)
        same = _unchanged(graph, node)
        if same is None:
            kept.append(node)
            producers.update(dict.fromkeys(node.outputs, node))
        else:
            renamed[given.output] = same
    return graph.with_nodes(kept, renamed)


def _unchanged(graph: Graph, node: Node) -> Value | None:
    """Return the input that the output is, if it is one."""
    rule = _UNCHANGED.get(node.op.name)
    return None if rule is None else rule(graph, node)


def _same_spec(_: Graph, node: Node) -> Value | None:
    return node.inputs[0] if node.inputs[0].spec == node.output.spec else None


def _identity_order(_: Graph, node: Node) -> Value | None:
    assert isinstance(node.op, Permute)
    return node.inputs[0] if node.op.axes == tuple(range(len(node.op.axes))) else None


def _by_one(graph: Graph, node: Node) -> Value | None:
    x, factor = node.inputs
    is_one = number_of(graph, factor) == 1 and x.spec == node.output.spec
    return x if is_one else None


def _by_one_on_either_side(graph: Graph, node: Node) -> Value | None:
    x, y = node.inputs
    turned = Node(node.op, (y, x), node.outputs)
    return _by_one(graph, node) or _by_one(graph, turned)


_UNCHANGED: dict[str, Callable[[Graph, Node], Value | None]] = {
    "copy": _same_spec,
    "reshape": _same_spec,
    "expand": _same_spec,
    "permute": _identity_order,
    "multiply": _by_one_on_either_side,
    "divide": _by_one,
}


def _viewed_once(op: Op, inputs: tuple[Value, ...], producers: Producers) -> Op:
    before = producers.get(inputs[0]) if inputs else None
    if isinstance(op, Permute) and before is not None and isinstance(before.op, Permute):
        return Permute(tuple(before.op.axes[axis] for axis in op.axes))
    return op


def _of_first_source(node: Node, producers: Producers) -> Node:
    """Return a view of a view as one of what that is of."""
    before = producers.get(node.inputs[0]) if node.inputs else None
    kinds = (Reshape, Permute)
    if before is not None and isinstance(node.op, kinds) and type(before.op) is type(node.op):
        return Node(node.op, before.inputs, node.outputs)
    return node
