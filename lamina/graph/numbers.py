"""Captured values that are nothing but a number of the program's text."""

from lamina.graph.ir import Graph, Value


def number_of(graph: Graph, value: Value) -> bool | int | float | None:
    """Return the number that a captured value is for good, None for any other.

    Numbers written in a program lie in memory that nobody may write to.
    """
    array = graph.captured.get(value)
    if array is None or array.layout.size != 1 or array.storage.writable:
        return None
    if array.dtype.kind == "complex":
        return None
    found = array.numpy().reshape(-1)[0]
    number: bool | int | float = found.item() if hasattr(found, "item") else float(found)
    return number
