"""Mixed precision: products read 16-bit floats, and add up and give float32."""

from dataclasses import replace

from lamina.dtypes import DType, float32
from lamina.graph.control import Cond, While
from lamina.graph.ir import Graph, Node, Value
from lamina.kernels.expression import Input
from lamina.ops.algebra.products import Matmul
from lamina.ops.algebra.products_then import MatmulThen
from lamina.ops.elementwise.arithmetic import Cast


def lower_precision(graph: Graph, dtype: DType) -> Graph:
    """Let products of float32 read both operands as `dtype`, a float of 16 bits.

        matmul(%x, %w)     ⇒      matmul_then[x0, 'float32'](cast(%x), cast(%w))

    Parameters, sums and everything else stay float32; constant weights are converted when the
    program is made. Each factor is rounded once: a sum of K products is off by 2u Σ|x·w| more,
    u being half the step of `dtype` at 1 (Micikevicius et al., "Mixed Precision Training", 2018).
    """
    made: dict[Value, Node] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node.op, Cond | While):
            nodes.append(replace(node, op=_lowered(node.op, dtype)))
            continue
        if not isinstance(node.op, Matmul | MatmulThen) or node.inputs[0].dtype is not float32:
            nodes.append(node)
            continue
        for value in node.inputs[:2]:
            if value not in made:
                made[value] = Node.of(Cast(dtype), value)
                nodes.append(made[value])
        narrow = (made[value].output for value in node.inputs[:2])
        expression = node.op.expression if isinstance(node.op, MatmulThen) else Input(0)
        op = MatmulThen(expression, node.output.dtype.name)
        nodes.append(Node(op, (*narrow, *node.inputs[2:]), node.outputs))
    return graph.with_nodes(nodes)


def _lowered(op: Cond | While, dtype: DType) -> Cond | While:
    """Return a branch or loop whose bodies' products read `dtype`."""
    if isinstance(op, Cond):
        bodies = (lower_precision(body, dtype) for body in (op.then, op.otherwise))
        return Cond(*bodies)
    test, body = (lower_precision(graph, dtype) for graph in (op.test, op.body))
    return While(test, body, op.carried)
