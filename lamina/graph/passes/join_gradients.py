"""The gradient of a tensor that was taken apart: its parts, joined instead of added up."""

from typing import NamedTuple

from lamina import layout as lay
from lamina.graph.ir import Graph, Node, Value
from lamina.graph.uses import Uses
from lamina.layout import Layout, Shape
from lamina.ops.shapes.copying import Joined
from lamina.ops.shapes.movement import InsertAxis, Permute
from lamina.ops.shapes.strided import StridedAdd

_DTYPES = ("float32", "float64")


def join_gradients(graph: Graph) -> Graph:
    """Join parts that fill a tensor, each of which was added to zeros; permute them first where the
    whole is permuted.

        %3 = strided_add[first half](%1)
        %4 = strided_add[second half](%2)     ⇒     %5 = joined[axis=0](%1, %2)
        %5 = add(%3, %4)

    Zeros around a part change no bit but the sign of −0, which `joined` takes off as well.
    """
    finder = _Finder(graph)
    made: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        if node.op.name == "add" and finder.is_whole_sum(node):
            parts = finder.parts(node)
            if parts is not None:
                last, nodes = finder.joined(node, *parts)
                made[last] = nodes
    return graph.with_nodes(n for node in graph.nodes for n in made.get(node, [node]))


class _Part(NamedTuple):
    value: Value
    layout: Layout


class _Finder:
    def __init__(self, graph: Graph) -> None:
        self._uses = Uses(graph)

    def is_whole_sum(self, node: Node) -> bool:
        """Return whether an addition is the last of its kind."""
        reader = self._uses.only_reader(node.output)
        return reader is None or reader.op.name != "add"

    def parts(self, node: Node) -> tuple[list[_Part], int, bool] | None:
        """Return what is added up, in order, the axis along which it fills the tensor, and whether
        parts lack that axis; None if it does not.
        """
        found: list[_Part] = []
        waiting = list(node.inputs)
        shape = node.output.shape
        if node.output.dtype.name not in _DTYPES:
            return None
        while waiting:
            value = waiting.pop()
            maker = self._uses.maker(value)
            if maker is None or self._uses.only_reader(value) is None:
                return None
            if maker.op.name == "add" and maker.output.shape == shape:
                waiting += maker.inputs
            elif isinstance(maker.op, StridedAdd) and maker.op.shape == shape:
                found.append(_Part(maker.inputs[0], maker.op.layout))
            else:
                return None
        found.sort(key=lambda part: part.layout.offset)
        for axis in range(len(shape)):
            for is_picked in (True, False):
                if _fill(found, shape, axis, is_picked):
                    return found, axis, is_picked
        return None

    def joined(
        self, node: Node, parts: list[_Part], axis: int, is_picked: bool
    ) -> tuple[Node, list[Node]]:
        """Return the node that gives the whole, and what stands for it."""
        last, order = node, tuple(range(len(node.output.shape)))
        reader = self._uses.only_reader(node.output)
        if reader is not None and isinstance(reader.op, Permute):
            last, order = reader, reader.op.axes
        nodes: list[Node] = []
        pieces: list[Value] = []
        for part in parts:
            piece = part.value
            if is_picked:
                nodes.append(Node.of(InsertAxis(axis), piece))
                piece = nodes[-1].output
            if last is not node:
                nodes.append(Node.of(Permute(order), piece))
                piece = nodes[-1].output
            pieces.append(piece)
        nodes.append(Node(Joined(order.index(axis)), tuple(pieces), last.outputs))
        return last, nodes


def _fill(parts: list[_Part], shape: Shape, axis: int, is_picked: bool) -> bool:
    """Return whether parts follow each other along an axis and fill the tensor."""
    whole, start = lay.contiguous(shape), 0
    for part in parts:
        if is_picked:
            size, expected = 1, lay.select(whole, axis, min(start, shape[axis] - 1))
        else:
            size = part.value.shape[axis] if len(part.value.shape) == len(shape) else 0
            if not 0 < size <= shape[axis] - start:
                return False
            expected = lay.cut(whole, axis, start, 1, size)
        if start + size > shape[axis] or part.layout != expected:
            return False
        start += size
    return start == shape[axis]
