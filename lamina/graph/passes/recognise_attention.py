"""Attention written out by hand, recognised as the op that never stores all scores."""

from dataclasses import dataclass, replace
from typing import final

from lamina import layout as lay
from lamina.errors import ShapeError
from lamina.graph.ir import Graph, Node, Value
from lamina.graph.numbers import number_of
from lamina.graph.uses import Uses
from lamina.ops.algebra.products import Matmul
from lamina.ops.elementwise.arithmetic import logical_not
from lamina.ops.layers.attention import has_kernel
from lamina.ops.layers.softmax import Softmax
from lamina.ops.layers.tiled_attention import Attention
from lamina.ops.shapes.movement import Permute

_DTYPES = ("float32", "float64")

_INFINITY = float("inf")


def recognise_attention(graph: Graph) -> Graph:
    """Make one op of attention that is written out, where nothing else reads scores or weights.

        %1 = matmul(%q, permute(%k))
        %2 = divide(%1, 8.0)
        %3 = where(%mask, %2, -inf)       ⇒      %5, _ = attention[scale=0.125](%q, %k, %v, %mask)
        %4 = softmax[axis=-1](%3)
        %5 = matmul(%4, %v)

    Scores may be multiplied or divided by a number, masked, or added to, in any order. Sums run in
    the order of the op; a query that sees nothing gives zeros instead of NaN.
    """
    found = _Finder(graph)
    made: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        parts = found.parts(node)
        if parts is not None:
            made[node] = _nodes(parts, node.output)
    # What only led there is dead now, and removed as such.
    return graph.with_nodes(n for node in graph.nodes for n in made.get(node, [node]))


@final
@dataclass(frozen=True, slots=True)
class _Parts:
    """Attention as far as it is known: the softmax has been met, and what lies under it."""

    scores: Value
    value: Value
    scale: float = 1.0
    mask: Value | None = None
    hides_where_true: bool = False
    query: Value | None = None
    key: Value | None = None
    is_turned: bool = False


class _Finder:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._uses = Uses(graph)

    def parts(self, node: Node) -> _Parts | None:
        """Return the parts of the attention whose last product `node` is; None if it is none."""
        if not isinstance(node.op, Matmul) or node.output.dtype.name not in _DTYPES:
            return None
        weights, value = node.inputs
        softmax = self._only(weights)
        if softmax is None or not isinstance(softmax.op, Softmax):
            return None
        if softmax.op.axis != len(weights.shape) - 1 or len(value.shape) != len(weights.shape):
            return None
        parts: _Parts | None = _Parts(softmax.inputs[0], value)
        while parts is not None and parts.query is None:
            parts = self._further(parts)
        return parts if parts is not None and self._fits(parts) else None

    def _only(self, value: Value) -> Node | None:
        """Return what makes a value that has one reader."""
        reader = self._uses.only_reader(value)
        return None if reader is None else self._uses.maker(value)

    def _number(self, value: Value) -> float | None:
        return number_of(self._graph, value)

    def _further(self, parts: _Parts) -> _Parts | None:
        """Return what is known after one more op below the scores."""
        node = self._only(parts.scores)
        rule = None if node is None else _RULES.get(node.op.name)
        return None if node is None or rule is None else rule(self, parts, node)

    def scaled(self, parts: _Parts, node: Node) -> _Parts | None:
        """Take a factor out of the scores, unless a mask was added to what it multiplied."""
        scores, number = node.inputs[0], self._number(node.inputs[1])
        if number is None and node.op.name == "multiply":
            scores, number = node.inputs[1], self._number(node.inputs[0])
        if not number or scores.spec != parts.scores.spec:
            return None
        factor = 1 / number if node.op.name == "divide" else number
        return replace(parts, scores=scores, scale=parts.scale * factor)

    def added(self, parts: _Parts, node: Node) -> _Parts | None:
        """Take a mask that is added out of the scores."""
        first, second = node.inputs
        is_first = self._leads_to_product(first)
        scores, mask = (first, second) if is_first else (second, first)
        is_usable = parts.mask is None and parts.scale == 1 and mask.dtype is scores.dtype
        if not is_usable or scores.spec != parts.scores.spec:
            return None
        return replace(parts, scores=scores, mask=mask)

    def _leads_to_product(self, value: Value) -> bool:
        node = self._only(value)
        return node is not None and node.op.name in ("matmul", "multiply", "divide", "where")

    def hidden(self, parts: _Parts, node: Node) -> _Parts | None:
        """Take a mask that puts −∞ out of the scores."""
        mask, first, second = node.inputs
        numbers = self._number(first), self._number(second)
        is_first = numbers[0] == -_INFINITY
        scores = second if is_first else first
        if parts.mask is not None or -_INFINITY not in numbers or parts.scale <= 0:
            return None
        if scores.spec != parts.scores.spec:
            return None
        return replace(parts, scores=scores, mask=mask, hides_where_true=is_first)

    def multiplied(self, parts: _Parts, node: Node) -> _Parts | None:
        """Take the product of queries and keys apart."""
        query, turned = node.inputs
        key = self._uses.maker(turned)
        if key is not None and isinstance(key.op, Permute) and _turns(key.op.axes):
            return replace(parts, query=query, key=key.inputs[0])
        return replace(parts, query=query, key=turned, is_turned=True)

    def _fits(self, parts: _Parts) -> bool:
        query, key, value = parts.query, parts.key, parts.value
        assert query is not None
        assert key is not None
        keys = key.shape[-1 if parts.is_turned else -2]
        mask = () if parts.mask is None else parts.mask.shape
        return (
            query.dtype is key.dtype is value.dtype
            and query.shape[:-2] == key.shape[:-2] == value.shape[:-2]
            and has_kernel(query.shape[-2])
            and _stretches(mask, (*query.shape[:-1], keys))
        )


_RULES = {
    "multiply": _Finder.scaled,
    "divide": _Finder.scaled,
    "add": _Finder.added,
    "where": _Finder.hidden,
    "matmul": _Finder.multiplied,
}


def _turns(axes: tuple[int, ...]) -> bool:
    """Return whether a permutation exchanges the last two axes and nothing else."""
    count = len(axes)
    return axes == (*range(count - 2), count - 1, count - 2)


def _stretches(shape: lay.Shape, to: lay.Shape) -> bool:
    try:
        return lay.broadcast_shapes(shape, to) == to
    except ShapeError:
        return False


def _nodes(parts: _Parts, output: Value) -> list[Node]:
    """Return attention of these parts, which gives `output`, and what it needs first."""
    made: list[Node] = []
    key, mask = parts.key, parts.mask
    assert key is not None
    assert parts.query is not None
    if parts.is_turned:
        count = len(key.shape)
        made.append(Node.of(Permute((*range(count - 2), count - 1, count - 2)), key))
        key = made[-1].output
    if mask is not None and parts.hides_where_true:
        made.append(Node.of(logical_not, mask))
        mask = made[-1].output
    node = Node.of(
        Attention(parts.scale), parts.query, key, parts.value, *([] if mask is None else [mask])
    )
    return [*made, replace(node, outputs=(output, node.outputs[1]))]
