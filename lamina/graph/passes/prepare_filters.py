"""Weights of convolutions that never change, laid out ahead as their strategy wants them."""

from dataclasses import replace

from lamina.graph.constants import Constants, Shared
from lamina.graph.ir import Graph, Node, Value
from lamina.kernels.convolution.ahead import Layer
from lamina.kernels.convolution.results import SUM
from lamina.ops.layers.convolution import Conv
from lamina.ops.layers.convolution_then import ConvThen, PrepareFilters

_DTYPES = ("float32", "float64")


def prepare_filters(graph: Graph) -> Graph:
    """Pack or transform constant weights when the program is made.

        conv(%x, %w)     ⇒      conv_then[ahead](%x, %w, prepare_filters(%w))

    The strategy is the one that would have been chosen, so no bit changes.
    """
    constants = Constants(graph, Shared())
    made: dict[tuple[Value, Layer], Node] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        layer = _layer(node, constants)
        if layer is None or layer.strategy is None:
            nodes.append(node)
            continue
        key = (node.inputs[1], layer)
        if key not in made:
            made[key] = Node.of(PrepareFilters(layer), node.inputs[1])
            nodes.append(made[key])
        op = replace(as_then(node), ahead=layer.strategy)
        nodes.append(Node(op, (*node.inputs, made[key].output), node.outputs))
    return graph.with_nodes(nodes)


def as_then(node: Node) -> ConvThen:
    """Return the op of a convolution as one that goes on with its sums."""
    if isinstance(node.op, ConvThen):
        return node.op
    assert isinstance(node.op, Conv)
    return ConvThen(node.op, SUM)


def _layer(node: Node, constants: Constants) -> Layer | None:
    """Return the layer of a convolution with constant weights alone; None for any other node."""
    if not isinstance(node.op, Conv | ConvThen) or node.output.dtype.name not in _DTYPES:
        return None
    if isinstance(node.op, ConvThen) and node.op.ahead is not None:
        return None
    x, w = node.inputs[:2]
    op = as_then(node)
    conv = op.conv
    if w not in constants or x in constants or conv.batch_groups > 1 or len(conv.stride) > 3:
        return None
    return Layer(
        dtype=x.dtype.name,
        out=(1, w.shape[0], *conv.out_spatial),
        x=(1, w.shape[1] * conv.groups, *(x.shape[1:-1] if op.x_last else x.shape[2:])),
        w=w.shape,
        options=(conv.stride, conv.padding, conv.dilation, conv.input_dilation),
        groups=conv.groups,
        x_last=op.x_last,
        out_last=op.out_last,
    )
