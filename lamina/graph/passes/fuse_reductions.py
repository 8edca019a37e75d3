"""Elementwise ops whose results are folded at once: their terms need no memory."""

from lamina.graph.ir import Graph, Node, Value
from lamina.graph.passes.fuse_elementwise import expressions_of
from lamina.graph.uses import Uses
from lamina.kernels.expression import Expression, Input, substituted
from lamina.ops.reductions.fold_formula import FOLDS, FoldFormula
from lamina.ops.reductions.folding import Reduction
from lamina.ops.shapes.movement import Reshape

_DTYPES = ("float32", "float64")
# Operands that the kernel of a reduction reads side by side.
_MOST_INPUTS = 4


def fuse_reductions(graph: Graph) -> Graph:
    """Let reductions compute their terms themselves, where nothing else reads them.

        %1 = formulas[square(subtract(x0, x1))](%x, %y)
        %2 = mean[axes=(0, 1)](%1)                       ⇒      %2 = fold_formula[…](%x, %y)

    Terms are rounded as they were in memory, and added in the same order: no bit changes.
    """
    uses = Uses(graph)
    fused: dict[Node, list[Node]] = {}
    gone: set[Node] = set()
    for node in graph.nodes:
        if node.op.name not in FOLDS or not isinstance(node.op, Reduction):
            continue
        maker = uses.made_for(node, node.inputs[0])
        if maker is None:
            continue
        made = _fused(graph, maker, node)
        if made is not None:
            fused[node] = made
            gone.add(maker)
    return graph.with_nodes(
        n for node in graph.nodes if node not in gone for n in fused.get(node, [node])
    )


def _fused(graph: Graph, maker: Node, node: Node) -> list[Node] | None:
    """Return the reduction of what `maker` computes, with the views that it needs, if it may."""
    expressions = expressions_of(graph, maker)
    if expressions is None or len(expressions) != 1 or len(maker.inputs) > _MOST_INPUTS:
        return None
    terms, reduction = node.inputs[0], node.op
    assert isinstance(reduction, Reduction)
    alike = all(x.dtype is terms.dtype for x in maker.inputs)
    whole = [x for x in maker.inputs if x.shape == terms.shape]
    if terms.dtype.name not in _DTYPES or not alike or not whole:
        return None
    order = [whole[0], *(x for x in maker.inputs if x is not whole[0])]
    places: list[Expression] = [Input(order.index(x)) for x in maker.inputs]
    expression = substituted(expressions[0], places)
    views, inputs = _with_all_axes(list(dict.fromkeys(order)), len(terms.shape))
    op = FoldFormula(expression, reduction.name, reduction.axes, reduction.keepdims)
    return [*views, Node(op, tuple(inputs), node.outputs)]


def _with_all_axes(values: list[Value], count: int) -> tuple[list[Node], list[Value]]:
    """Return views of values with as many axes, in front, and what makes them."""
    views: list[Node] = []
    seen = []
    for value in values:
        missing = count - len(value.shape)
        if missing:
            views.append(Node.of(Reshape((*(1,) * missing, *value.shape)), value))
            value = views[-1].output
        seen.append(value)
    return views, seen
