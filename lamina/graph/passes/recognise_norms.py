"""Layer and root-mean-square norms written out by hand, recognised as one op."""

from dataclasses import dataclass
from typing import final

from lamina.graph.ir import Graph, Node, Value
from lamina.graph.numbers import number_of
from lamina.graph.uses import Uses
from lamina.ops.layers.standardize import Standardize
from lamina.ops.reductions.sums import Mean, Variance
from lamina.ops.shapes.movement import Reshape

_DTYPES = ("float32", "float64")


def recognise_norms(graph: Graph) -> Graph:
    """Make one op of norms that are written out, where nothing else reads what lies between.

        %1 = mean[axes=(2,)](%x)
        %2 = subtract(%x, %1)
        %3 = mean[axes=(2,)](square(%2))      ⇒      %6 = standardize[axes=(2,)](%x, %w, %b)
        %4 = sqrt(add(%3, 1e-5))
        %5 = divide(%2, %4)
        %6 = add(multiply(%5, %w), %b)

    Without a mean it is the norm by the root of the mean square. Sums run in the order of the op.
    """
    finder = _Finder(graph)
    made: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        norm = finder.norm(node)
        if norm is not None:
            last, nodes = finder.finished(norm)
            made[last] = nodes
    return graph.with_nodes(n for node in graph.nodes for n in made.get(node, [node]))


@final
@dataclass(frozen=True, slots=True)
class _Norm:
    """A norm: x standardised by `node`, times a weight that was met on the way, if any."""

    node: Node
    x: Value
    axes: tuple[int, ...]
    eps: float
    centred: bool
    weight: Value | None


class _Finder:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._uses = Uses(graph)

    def _made_by(self, value: Value, *names: str) -> Node | None:
        node = self._uses.maker(value)
        return node if node is not None and node.op.name in names else None

    def _is_read_by(self, value: Value, *nodes: Node | None) -> bool:
        return not self._uses.is_result(value) and self._uses.readers(value).issubset(nodes)

    def norm(self, node: Node) -> _Norm | None:
        """Return the norm that `node` ends, before a shift, and a weight that comes after."""
        if node.op.name not in ("multiply", "divide") or node.output.dtype.name not in _DTYPES:
            return None
        pairs = [node.inputs] if node.op.name == "divide" else [node.inputs, node.inputs[::-1]]
        wanted = "sqrt" if node.op.name == "divide" else "rsqrt"
        for above, rate in pairs:
            root = self._made_by(rate, wanted)
            if root is not None and self._is_read_by(rate, node):
                return self._of_root(node, above, root)
        return None

    def _of_root(self, node: Node, above: Value, root: Node) -> _Norm | None:
        total = self._made_by(root.inputs[0], "add")
        if total is None or not self._is_read_by(total.output, root):
            return None
        spread, number = total.inputs
        eps = number_of(self._graph, number)
        if eps is None:
            spread, eps = number, number_of(self._graph, spread)
        square = self._uses.maker(spread)
        if eps is None or square is None or not self._is_read_by(spread, total):
            return None
        for apart, weight in self._split(above):
            found = self._measured(node, apart, square)
            if found is not None:
                x, axes, centred = found
                return _Norm(node, x, axes, float(eps), centred, weight)
        return None

    def _split(self, above: Value) -> list[tuple[Value, Value | None]]:
        """Return what may be standardised in `above`: all of it, or one factor of it."""
        product = self._made_by(above, "multiply")
        whole: list[tuple[Value, Value | None]] = [(above, None)]
        if product is None:
            return whole
        first, second = product.inputs
        return [*whole, (first, second), (second, first)]

    def _measured(
        self, node: Node, apart: Value, square: Node
    ) -> tuple[Value, tuple[int, ...], bool] | None:
        """Return x, the axes, and whether it is centred, if `square` measures `apart`."""
        x, axes = self._centred(apart)
        if isinstance(square.op, Variance):
            op = square.op
            is_own = op.correction == 0 and op.keepdims and square.inputs[0] is x
            return (x, op.axes, True) if is_own and op.axes == axes else None
        if not isinstance(square.op, Mean) or not square.op.keepdims:
            return None
        power = self._made_by(square.inputs[0], "square", "multiply")
        if power is None or any(value is not apart for value in power.inputs):
            return None
        if axes is None:
            return apart, square.op.axes, False
        return (x, axes, True) if axes == square.op.axes else None

    def _centred(self, apart: Value) -> tuple[Value, tuple[int, ...] | None]:
        """Return what `apart` is less its mean, and the axes of that; itself if it is not."""
        centre = self._made_by(apart, "subtract")
        mean = None if centre is None else self._uses.maker(centre.inputs[1])
        if centre is None or mean is None or not isinstance(mean.op, Mean):
            return apart, None
        is_own = mean.op.keepdims and mean.inputs[0] is centre.inputs[0]
        return (centre.inputs[0], mean.op.axes) if is_own else (apart, None)

    def finished(self, norm: _Norm) -> tuple[Node, list[Node]]:
        """Return the last node of a norm with its weight and shift, and what stands for it."""
        last, weight, shift = norm.node, norm.weight, None
        if weight is not None and not self._stretches(weight, norm.x):
            # What seemed a weight is as large as x: the norm itself stays as it is.
            return last, [last]
        if weight is None:
            last, weight = self._followed(last, "multiply", norm.x)
        last, shift = self._followed(last, "add", norm.x)
        nodes: list[Node] = []
        operands = [norm.x]
        for value in (weight, shift):
            if value is not None:
                missing = len(norm.x.shape) - len(value.shape)
                if missing:
                    nodes.append(Node.of(Reshape((*(1,) * missing, *value.shape)), value))
                    value = nodes[-1].output
                operands.append(value)
        op = Standardize(norm.axes, norm.eps, norm.centred, weight is not None, shift is not None)
        nodes.append(Node(op, tuple(operands), last.outputs))
        return last, nodes

    def _followed(self, node: Node, name: str, x: Value) -> tuple[Node, Value | None]:
        """Return the one op of that name which reads the result, and its other operand."""
        reader = self._uses.only_reader(node.output)
        if reader is None or reader.op.name != name or reader.output.spec != x.spec:
            return node, None
        others = [value for value in reader.inputs if value is not node.output]
        if len(others) != 1 or not self._stretches(others[0], x):
            return node, None
        return reader, others[0]

    def _stretches(self, value: Value, x: Value) -> bool:
        """Return whether a value is smaller than `x`, and stretches to it."""
        missing = len(x.shape) - len(value.shape)
        pairs = zip(value.shape, x.shape[missing:], strict=True) if missing >= 0 else ()
        fits = missing >= 0 and all(size in (1, whole) for size, whole in pairs)
        return fits and value.dtype is x.dtype and value.shape != x.shape
