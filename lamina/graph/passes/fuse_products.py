"""What is done to the sums of a matrix product, done before they are stored."""

from lamina.graph.ir import Graph, Node
from lamina.graph.numbers import number_of
from lamina.graph.passes.fuse_elementwise import expressions_of, takes_long
from lamina.graph.uses import Uses
from lamina.kernels.expression import Constant, Expression, Input, substituted
from lamina.ops.algebra.products import Matmul
from lamina.ops.algebra.products_then import MatmulThen

_DTYPES = ("float32", "float64")
# Further operands that the kernel has registers for.
_MOST_FURTHER = 3


def fuse_products(graph: Graph) -> Graph:
    """Let products go on with elementwise ops that alone read them.

        %1 = matmul(%x, %w)
        %2 = add(%1, %b)        ⇒      %3 = matmul_then[maximum(add(x0, x1), 0)](%x, %w, %b)
        %3 = relu(%2)

    The bits are the same: an epilogue computes with the sum as it would be stored. Functions that
    take long are left out, for they would wait in the registers of the product.
    """
    uses = Uses(graph)
    fused: dict[Node, Node] = {}
    gone: set[Node] = set()
    for node in graph.nodes:
        if not isinstance(node.op, Matmul) or node.output.dtype.name not in _DTYPES:
            continue
        product = Node(MatmulThen(Input(0), node.output.dtype.name), node.inputs, node.outputs)
        last = node
        while True:
            reader = uses.only_reader(last.output)
            grown = None if reader is None else _grown(graph, product, reader)
            if grown is None or reader is None or reader in fused or reader in gone:
                break
            gone.add(last)
            product, last = grown, reader
        if last is not node:
            fused[last] = product
    return graph.with_nodes(fused.get(node, node) for node in graph.nodes if node not in gone)


def _grown(graph: Graph, product: Node, reader: Node) -> Node | None:
    """Return the product that does what `reader` does to it; None where it may not."""
    found = expressions_of(graph, reader)
    assert isinstance(product.op, MatmulThen)
    if found is None or len(found) != 1 or reader.output.spec != product.output.spec:
        return None
    if takes_long(graph, reader):
        return None
    further = list(product.inputs[2:])
    places: list[Expression] = []
    for value in reader.inputs:
        number = number_of(graph, value)
        if value is product.output:
            places.append(product.op.expression)
        elif number is not None:
            places.append(Constant(number, value.dtype.name))
        else:
            if value not in further:
                further.append(value)
            places.append(Input(1 + further.index(value)))
    if len(further) > _MOST_FURTHER:
        return None
    expression = substituted(found[0], places)
    op = MatmulThen(expression, product.op.dtype)
    return Node(op, (*product.inputs[:2], *further), reader.outputs)
