"""What is done to the sums of a convolution, done before they are stored."""

from math import prod

from lamina.codegen import mathlib
from lamina.graph.ir import Graph, Node, Value
from lamina.graph.numbers import number_of
from lamina.graph.passes.fuse_elementwise import expressions_of
from lamina.graph.uses import Uses
from lamina.kernels.convolution.results import BIAS, RESIDUAL, SUM
from lamina.kernels.expression import Constant, Expression, in_order, substituted
from lamina.ops.layers.convolution import Conv
from lamina.ops.layers.convolution_then import ConvThen
from lamina.ops.shapes.movement import Reshape

_DTYPES = ("float32", "float64")
Operands = dict[Expression, Value]


def fuse_convolutions(graph: Graph) -> Graph:
    """Let convolutions go on with elementwise ops that alone read them.

        %1 = conv(%x, %w)
        %2 = add(%1, %b)        ⇒      %3 = reshape(%b)
        %4 = relu(%2)                  %4 = conv_then[maximum(add(x0, x1), 0)](%x, %w, %3)

    Of operands beside the sum there may be one with a number for each channel, and one of the shape
    of the output. The bits are the same.
    """
    uses = Uses(graph)
    fused: dict[Node, list[Node]] = {}
    gone: set[Node] = set()
    for node in graph.nodes:
        if not isinstance(node.op, Conv) or node.output.dtype.name not in _DTYPES:
            continue
        last, operands = node, Operands()
        expression: Expression = SUM
        while True:
            reader = uses.only_reader(last.output)
            if reader is None or reader in fused or reader in gone:
                break
            grown = _grown(graph, last.output, expression, operands, reader)
            if grown is None:
                break
            gone.add(last)
            last, (expression, operands) = reader, grown
        if last is not node:
            fused[last] = _joined(node, last, expression, operands)
    nodes = [made for node in graph.nodes if node not in gone for made in fused.get(node, [node])]
    return graph.with_nodes(nodes)


def _grown(
    graph: Graph, total: Value, expression: Expression, operands: Operands, reader: Node
) -> tuple[Expression, Operands] | None:
    """Return the expression and operands after what `reader` does; None where it may not."""
    found = expressions_of(graph, reader)
    if found is None or len(found) != 1 or reader.output.spec != total.spec:
        return None
    if any(step.function in mathlib.FUNCTIONS for step in in_order(*found)):
        return None
    given, places = dict(operands), list[Expression]()
    for value in reader.inputs:
        number = number_of(graph, value)
        place = _role(value, total)
        if value is total:
            places.append(expression)
        elif number is not None:
            places.append(Constant(number, value.dtype.name))
        elif place is not None and given.setdefault(place, value) is value:
            places.append(place)
        else:
            return None
    return substituted(found[0], places), given


def _role(value: Value, total: Value) -> Expression | None:
    """Return what a further operand can be: a residual, a bias, or neither."""
    if value.spec == total.spec:
        return RESIDUAL
    channels, spatial = total.shape[1], len(total.shape) - 2
    is_bias = value.shape[-spatial - 1 :] == (channels, *(1,) * spatial)
    return BIAS if is_bias and prod(value.shape) == channels else None


def _joined(conv: Node, last: Node, expression: Expression, operands: Operands) -> list[Node]:
    assert isinstance(conv.op, Conv)
    nodes: list[Node] = []
    further: list[Value] = []
    if BIAS in operands:
        nodes.append(Node.of(Reshape((conv.output.shape[1],)), operands[BIAS]))
        further.append(nodes[0].output)
    if RESIDUAL in operands:
        further.append(operands[RESIDUAL])
    op = ConvThen(conv.op, expression)
    nodes.append(Node(op, (*conv.inputs, *further), last.outputs))
    return nodes
