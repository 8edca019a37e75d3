"""Chains of convolutions whose images in between never leave the caches."""

from typing import final

from lamina.graph.constants import Constants, Shared
from lamina.graph.ir import Graph, Node
from lamina.graph.uses import Uses
from lamina.ops.layers.convolution_chain import ConvChain, PrepareChain, chain_of
from lamina.ops.layers.convolution_then import ConvThen


def chain_convolutions(graph: Graph) -> Graph:
    """Make one op of a depthwise convolution, the one of one tap after it, and the one of one tap
    before it, if there is one.

        %1 = conv_then[…](%x, %v)
        %2 = conv_then[… groups=96](%1, %t)     ⇒     %3 = conv_chain[…](%x, %v, %t, %u, %p)
        %3 = conv_then[…](%2, %u)

    Where images in between are large, and channels last. No bit changes.
    """
    finder = _Finder(graph)
    made: dict[Node, list[Node]] = {}
    # A node that narrows one chain may widen the next: it is part of the first.
    taken: set[Node] = set()
    for node in graph.nodes:
        nodes = finder.chain(node, taken)
        if nodes is not None:
            made[nodes[-1]] = _chained(nodes)
            taken.update(nodes)
    gone = taken - made.keys()
    return graph.with_nodes(
        new for node in graph.nodes if node not in gone for new in made.get(node, [node])
    )


@final
class _Finder:
    def __init__(self, graph: Graph) -> None:
        self._constants = Constants(graph, Shared())
        self._uses = Uses(graph)

    def chain(self, node: Node, taken: set[Node]) -> list[Node] | None:
        """Return the nodes of the chain in which `node` is depthwise, if that is one that pays and
        none of them is `taken`.
        """
        if not self._is_depthwise(node):
            return None
        after = self._uses.only_reader(node.output)
        if after is None or node.output in after.inputs[1:] or not self._is_pointwise(after):
            return None
        nodes = [node, after]
        before = self._uses.made_for(node, node.inputs[0])
        if before is not None and before not in taken and self._widens(before):
            nodes = [before, *nodes]
        inputs = [x.spec for n in nodes for x in n.inputs[1:]]
        return nodes if chain_of(_ops(nodes), nodes[0].inputs[0].spec, inputs).pays else None

    def _is_plain(self, node: Node) -> bool:
        op = node.op
        if not isinstance(op, ConvThen) or not (op.x_last and op.out_last) or op.ahead is not None:
            return False
        count = 1 + op.has_bias
        is_known = all(x in self._constants for x in node.inputs[1 : 1 + count])
        return is_known and len(op.conv.stride) == 2 and set(op.conv.input_dilation) == {1}

    def _is_depthwise(self, node: Node) -> bool:
        if not self._is_plain(node):
            return False
        assert isinstance(node.op, ConvThen)
        conv, w = node.op.conv, node.inputs[1]
        return not node.op.has_residual and 1 < conv.groups == w.shape[0] and w.shape[1] == 1

    def _widens(self, node: Node) -> bool:
        """Return whether a node can be the first of a chain."""
        is_plain = isinstance(node.op, ConvThen) and not node.op.has_residual
        return is_plain and self._is_pointwise(node)

    def _is_pointwise(self, node: Node) -> bool:
        if not self._is_plain(node):
            return False
        assert isinstance(node.op, ConvThen)
        conv, taps = node.op.conv, node.inputs[1].shape[2:]
        steps = {*taps, *conv.stride}
        return conv.groups == 1 and steps == {1} and set(conv.padding) == {0}


def _ops(nodes: list[Node]) -> tuple[ConvThen, ...]:
    return tuple(node.op for node in nodes if isinstance(node.op, ConvThen))


def _chained(nodes: list[Node]) -> list[Node]:
    ops = _ops(nodes)
    x, further = nodes[0].inputs[0], [value for n in nodes for value in n.inputs[1:]]
    chain = chain_of(ops, x.spec, [value.spec for value in further])
    known = further[:-1] if ops[-1].has_residual else further
    has_bias = tuple(op.has_bias for op in ops)
    prepared = Node.of(PrepareChain(chain, has_bias), *known)
    op = ConvChain(ops, is_prepared=True)
    return [prepared, Node(op, (x, *further, prepared.output), nodes[-1].outputs)]
