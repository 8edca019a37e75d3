"""Right operands of products that never change, laid out ahead as their kernel reads them."""

from math import prod

from lamina.graph.constants import Constants, Shared
from lamina.graph.ir import Graph, Node, Value
from lamina.kernels.expression import Input
from lamina.ops.algebra.products import Matmul
from lamina.ops.algebra.products_then import MatmulThen, PackRight
from lamina.ops.shapes.copying import copy

# Of fewer rows a product reads its right operand once, row by row, and needs no panels.
_FEW_ROWS = 4
_DTYPES = ("float32", "float64")


def pack_products(graph: Graph) -> Graph:
    """Pack constant right operands; copy those that a vector is multiplied by into rows.

        matmul(%x, permute(%w))     ⇒      matmul_then[x0, packed](%x, pack_right(permute(%w)))

    What reads nothing but constants is computed when the program is made.
    """
    constants = Constants(graph, Shared())
    made: dict[tuple[Value, str], Node] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        if not _has_constant_right(node, constants):
            nodes.append(node)
            continue
        x, w = node.inputs[:2]
        is_packed = prod(x.shape[:-1]) >= _FEW_ROWS
        kind = "packed" if is_packed else "rows"
        if (w, kind) not in made:
            made[w, kind] = Node.of(PackRight() if is_packed else copy, w)
            nodes.append(made[w, kind])
        ready = made[w, kind].output
        nodes.append(_with_right(node, ready, w.shape[1] if is_packed else None))
    return graph.with_nodes(nodes)


def _has_constant_right(node: Node, constants: Constants) -> bool:
    if not isinstance(node.op, Matmul | MatmulThen) or node.output.dtype.name not in _DTYPES:
        return False
    x, w = node.inputs[:2]
    return len(w.shape) == 2 and w in constants and x not in constants and 0 not in w.shape


def _with_right(node: Node, right: Value, columns: int | None) -> Node:
    x, _, *further = node.inputs
    expression = node.op.expression if isinstance(node.op, MatmulThen) else Input(0)
    op = MatmulThen(expression, node.output.dtype.name, columns)
    return Node(op, (x, right, *further), node.outputs)
