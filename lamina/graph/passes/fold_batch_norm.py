"""Batch norms of inference, made part of the weights before them."""

from typing import NamedTuple

from lamina.graph.constants import Constants, Shared
from lamina.graph.ir import Graph, Node
from lamina.kernels.expression import Expression, Input, apply
from lamina.ops.elementwise.arithmetic import add, multiply
from lamina.ops.formulas import Formulas
from lamina.ops.layers.convolution import Conv
from lamina.ops.layers.normalization import Normalize
from lamina.ops.shapes.movement import Reshape


def fold_batch_norm(graph: Graph) -> Graph:
    """Fold an inference batch-norm into the convolution before it.

        conv(x, w) → normalize(μ, σ², γ, β)
     ⇒  conv(x, w·s) + (β − μ·s)              where s = γ / √(σ² + ε)

    Left alone when the convolution has another reader, or what it folds may change in the program.
    A sum of K products is off by at most (K + 4) ε Σ|x·w·s| from the exact one, as without folding
    it is by (K + 3): the weights are rounded once more.
    """
    constants = Constants(graph, Shared())
    producers, readers, results = graph.producers(), graph.readers(), set(graph.results)
    nodes: list[Node] = []
    gone: set[Node] = set()
    for node in graph.nodes:
        conv = producers.get(node.inputs[0]) if isinstance(node.op, Normalize) else None
        if (
            conv is not None
            and isinstance(conv.op, Conv)
            and all(x in constants for x in (conv.inputs[1], *node.inputs[1:]))
            and len(readers[conv.output]) == 1
            and conv.output not in results
        ):
            gone.add(conv)
            nodes += _folded(conv, node)
        else:
            nodes.append(node)
    return graph.with_nodes(node for node in nodes if node not in gone)


class _Parts(NamedTuple):
    """What a batch norm scales and shifts by, as expressions of its inputs after the first."""

    scale: Expression
    shift: Expression


def _folded(conv: Node, norm: Node) -> list[Node]:
    x, w = conv.inputs
    dtype = w.dtype.name
    parts = _parts(norm)
    both = Node.of(Formulas((parts.scale, parts.shift), (dtype, dtype)), *norm.inputs[1:])
    scale, shift = both.outputs
    a_filter = Node.of(Reshape((w.shape[0], *(1,) * (len(w.shape) - 1))), scale)
    weights = Node.of(multiply, w, a_filter.output)
    product = Node.of(conv.op, x, weights.output)
    total = Node(add, (product.output, shift), norm.outputs)
    return [both, a_filter, weights, product, total]


def _parts(norm: Node) -> _Parts:
    assert isinstance(norm.op, Normalize)
    op, places = norm.op, iter(range(len(norm.inputs) - 1))
    mean: Expression | float = Input(next(places)) if op.has_mean else 0.0
    variance = Input(next(places))
    weight: Expression | float = Input(next(places)) if op.has_weight else 1.0
    bias: Expression | float = Input(next(places)) if op.has_bias else 0.0
    scale = apply("divide", weight, apply("sqrt", variance + op.eps))
    return _Parts(scale, apply("subtract", bias, scale * mean))
