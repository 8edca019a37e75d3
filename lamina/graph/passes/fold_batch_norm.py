"""Batch norms of inference, made part of the weights before them."""

from math import prod
from typing import NamedTuple, final

from lamina.graph.constants import Constants, Shared
from lamina.graph.ir import Graph, Node, Value
from lamina.graph.uses import Uses
from lamina.kernels.expression import Expression, Input, apply
from lamina.ops.elementwise.arithmetic import add, multiply
from lamina.ops.formulas import Formulas
from lamina.ops.layers.convolution import Conv
from lamina.ops.layers.normalization import Normalize
from lamina.ops.shapes.movement import Reshape


def fold_batch_norm(graph: Graph) -> Graph:
    """Fold an inference batch-norm into the convolution before it, and the bias between them.

        conv(x, w) + b → normalize(μ, σ², γ, β)
     ⇒  conv(x, w·s) + (β − (μ − b)·s)              where s = γ / √(σ² + ε)

    Left alone when the convolution has another reader, or what it folds may change in the program.
    A sum of K products is off by at most (K + 4) ε Σ|x·w·s| from the exact one, as without folding
    it is by (K + 3): the weights are rounded once more.
    """
    finder = _Finder(graph)
    nodes: list[Node] = []
    gone: set[Node] = set()
    for node in graph.nodes:
        found = finder.normed(node)
        if found is None:
            nodes.append(node)
        else:
            gone.update(found.gone)
            nodes += _folded(found, node)
    return graph.with_nodes(node for node in nodes if node not in gone)


class _Normed(NamedTuple):
    """A convolution whose results are normalised, the bias that is added before, if any, and the
    nodes that fold.
    """

    conv: Node
    bias: Value | None
    gone: tuple[Node, ...]


@final
class _Finder:
    def __init__(self, graph: Graph) -> None:
        self._constants = Constants(graph, Shared())
        self._uses = Uses(graph)

    def normed(self, node: Node) -> _Normed | None:
        """Return what `node` normalises, if it may be folded."""
        if not isinstance(node.op, Normalize) or not self._are_known(*node.inputs[1:]):
            return None
        before = self._uses.made_for(node, node.inputs[0])
        conv, bias = before, None
        if before is not None and before.op.name == "add":
            conv, bias = self._with_bias(before)
        if conv is None or not isinstance(conv.op, Conv) or not self._are_known(conv.inputs[1]):
            return None
        return _Normed(conv, bias, (conv,) if bias is None or before is None else (conv, before))

    def _with_bias(self, node: Node) -> tuple[Node | None, Value | None]:
        """Return what makes the one operand of a sum, and the other, a number for each channel."""
        out = node.output
        channels, spatial = out.shape[1], len(out.shape) - 2
        for total, bias in (node.inputs, node.inputs[::-1]):
            conv = self._uses.made_for(node, total)
            is_bias = bias.shape[-spatial - 1 :] == (channels, *(1,) * spatial)
            fits = is_bias and prod(bias.shape) == channels and total.spec == out.spec
            if conv is not None and fits and bias.dtype is out.dtype and self._are_known(bias):
                return conv, bias
        return None, None

    def _are_known(self, *values: Value) -> bool:
        return all(value in self._constants for value in values)


class _Parts(NamedTuple):
    """What a batch norm scales and shifts by, as expressions of its inputs after the first, and of
    the bias before it, if there is one, as the last.
    """

    scale: Expression
    shift: Expression


def _folded(found: _Normed, norm: Node) -> list[Node]:
    x, w = found.conv.inputs
    dtype = w.dtype.name
    parts = _parts(norm, has_bias=found.bias is not None)
    nodes: list[Node] = []
    given = list(norm.inputs[1:])
    if found.bias is not None:
        nodes.append(Node.of(Reshape(given[0].shape), found.bias))
        given.append(nodes[0].output)
    both = Node.of(Formulas((parts.scale, parts.shift), (dtype, dtype)), *given)
    scale, shift = both.outputs
    a_filter = Node.of(Reshape((w.shape[0], *(1,) * (len(w.shape) - 1))), scale)
    weights = Node.of(multiply, w, a_filter.output)
    product = Node.of(found.conv.op, x, weights.output)
    total = Node(add, (product.output, shift), norm.outputs)
    return [*nodes, both, a_filter, weights, product, total]


def _parts(norm: Node, *, has_bias: bool) -> _Parts:
    assert isinstance(norm.op, Normalize)
    op, places = norm.op, iter(range(len(norm.inputs) - 1))
    mean: Expression | float = Input(next(places)) if op.has_mean else 0.0
    variance = Input(next(places))
    weight: Expression | float = Input(next(places)) if op.has_weight else 1.0
    bias: Expression | float = Input(next(places)) if op.has_bias else 0.0
    scale = apply("divide", weight, apply("sqrt", variance + op.eps))
    if has_bias:
        mean = apply("subtract", mean, Input(len(norm.inputs) - 1))
    return _Parts(scale, apply("subtract", bias, scale * mean))
