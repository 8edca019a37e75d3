"""Reshapes between a product and what it is added to or multiplied by, done afterwards."""

from lamina.graph.ir import Graph, Node, Value
from lamina.graph.uses import Uses
from lamina.ops.algebra.products import Matmul
from lamina.ops.shapes.movement import Reshape

_STEPS = ("add", "multiply")


def delay_reshapes(graph: Graph) -> Graph:
    """Let a residual be added to the rows of a product before they are reshaped, and a slope be
    multiplied by them: it can join the product.

        %1 = matmul(%x, %w)                        %1 = matmul(%x, %w)
        %2 = reshape[shape=(2, 4, 8)](%1)   ⇒      %2 = reshape[shape=(8, 8)](%y)
        %3 = add(%2, %y)                           %4 = add(%1, %2)
                                                   %3 = reshape[shape=(2, 4, 8)](%4)

    Views cost nothing, and no number changes.
    """
    finder = _Finder(graph)
    views = {node: finder.reshaped(node) for node in graph.nodes}
    gone = set(views.values())
    nodes: list[Node] = []
    for node, view in views.items():
        if node not in gone:
            nodes += [node] if view is None else _done_first(node, view)
    return graph.with_nodes(nodes)


class _Finder:
    def __init__(self, graph: Graph) -> None:
        self._uses = Uses(graph)

    def reshaped(self, node: Node) -> Node | None:
        """Return the reshape of a product that such a step alone reads."""
        if node.op.name not in _STEPS or any(x.shape != node.output.shape for x in node.inputs):
            return None
        for value in node.inputs:
            view = self._uses.maker(value)
            if view is None or not isinstance(view.op, Reshape):
                continue
            source = view.inputs[0]
            if self._reads(node, value) and self._reads(view, source) and self._is_product(source):
                return view
        return None

    def _reads(self, node: Node, value: Value) -> bool:
        """Return whether `node` alone reads a value."""
        return self._uses.only_reader(value) is node

    def _is_product(self, value: Value) -> bool:
        """Return whether a value is a product, perhaps with a bias."""
        maker = self._uses.maker(value)
        if maker is not None and maker.op.name == "add":
            makers = (self._uses.maker(x) for x in maker.inputs if x.shape == value.shape)
            return any(node is not None and isinstance(node.op, Matmul) for node in makers)
        return maker is not None and isinstance(maker.op, Matmul)


def _done_first(node: Node, view: Node) -> list[Node]:
    """Return what does before the reshape what `node` does after it."""
    rows = view.inputs[0]
    others = [Node.of(Reshape(rows.shape), x) for x in node.inputs if x is not view.output]
    made = iter(others)
    inputs = (rows if x is view.output else next(made).output for x in node.inputs)
    total = Node.of(node.op, *inputs)
    return [*others, total, Node(Reshape(node.output.shape), (total.output,), node.outputs)]
