"""Nodes that nothing needs."""

from lamina.graph.ir import Graph, Value


def remove_dead_code(graph: Graph) -> Graph:
    """Drop every node whose outputs reach no result.

    %1 = exp(%x)
    %2 = add(%x, %x)        ⇒      %2 = add(%x, %x)
    return %2                      return %2
    """
    needed: set[Value] = set(graph.results)
    kept = []
    for node in reversed(graph.nodes):
        if any(value in needed for value in node.outputs):
            needed.update(node.inputs)
            kept.append(node)
    return graph.with_nodes(reversed(kept))
