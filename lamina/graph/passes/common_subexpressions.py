"""The same op of the same values, computed once."""

from collections.abc import Hashable

from lamina.graph.ir import Graph, Node, Value


def share_common_subexpressions(graph: Graph) -> Graph:
    """Let all who compute the same read what the first has computed.

    %1 = exp(%x)                   %1 = exp(%x)
    %2 = exp(%x)            ⇒      %3 = add(%1, %1)
    %3 = add(%1, %2)
    """
    first: dict[Hashable, Node] = {}
    renamed: dict[Value, Value] = {}
    kept = []
    for node in graph.nodes:
        key = (node.op, *(renamed.get(x, x) for x in node.inputs))
        same = first.setdefault(key, node)
        if same is node:
            kept.append(node)
        else:
            renamed.update(zip(node.outputs, same.outputs, strict=True))
    return graph.with_nodes(kept, renamed)
