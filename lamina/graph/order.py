"""The order of nodes: what is needed comes first, and all else stays where it was."""

from collections.abc import Sequence

from lamina.errors import GraphError
from lamina.graph.ir import Node, Value


def in_order_of_need(nodes: Sequence[Node]) -> list[Node]:
    """Return `nodes` with each behind those that it reads from, as near to their order as can be.

    GraphError where some wait for each other.
    """
    made: dict[Value, Node] = {value: node for node in nodes for value in node.outputs}
    done: set[Node] = set()
    entered: set[Node] = set()
    ordered: list[Node] = []
    for root in nodes:
        stack = [root]
        while stack:
            node = stack[-1]
            missing = [made[x] for x in node.inputs if x in made and made[x] not in done]
            if node in done:
                stack.pop()
            elif missing:
                if node in entered:
                    raise GraphError("nodes wait for each other; a pass has joined what it may not")
                entered.add(node)
                stack.extend(missing)
            else:
                done.add(node)
                ordered.append(node)
                stack.pop()
    return ordered
