"""Images laid out with their channels last inside of inference programs, plain at the borders."""

from dataclasses import replace
from typing import final

from lamina.graph.constants import Constants, Shared
from lamina.graph.ir import Graph, Node, Value
from lamina.graph.passes.dead_code import remove_dead_code
from lamina.graph.passes.prepare_filters import as_then
from lamina.ops.layers.convolution import Conv
from lamina.ops.layers.convolution_then import ConvThen
from lamina.ops.layers.windows import AvgPool, MaxPool, Window
from lamina.ops.pointwise import Pointwise
from lamina.ops.registry import Op
from lamina.ops.shapes.copying import Concat, copy
from lamina.ops.shapes.movement import Permute, Reshape

_DTYPES = ("float32", "float64")
# An image of fewer channels is read plane by plane.
_FEW_CHANNELS = 8


def channels_last(graph: Graph) -> Graph:
    """Let convolutions with constant weights, and what is elementwise, pools or joins between them,
    work on images whose channels lie side by side.

        %1 = conv_then[…](%x, %w)           %1 = conv_then[…, out_last](%x, %w)
        %2 = max_pool[…](%1)           ⇒    %2 = max_pool[…](%1)
        %3 = conv_then[…](%2, %v)           %3 = conv_then[…, x_last, out_last](%2, %v)
        %4 = reshape(%3)                    %4 = reshape(permute(%3))

    A product of such images and weights packed ahead reads both where they lie; so programs are
    laid out anew that have convolutions of one tap, or depthwise ones. Sums of mean pools run row
    by row instead of column by column.
    """
    constants = Constants(graph, Shared())
    convolutions = [node for node in graph.nodes if _takes_part(node, constants)]
    if len(convolutions) < 2 or not any(map(_gains, convolutions)):
        return graph
    rewriter = _Rewriter(constants)
    for node in graph.nodes:
        rewriter.add(node)
    return remove_dead_code(graph.with_nodes(rewriter.nodes))


def _takes_part(node: Node, constants: Constants) -> bool:
    """Return whether a node is a convolution that can be laid out anew."""
    if not isinstance(node.op, Conv | ConvThen) or node.output.dtype.name not in _DTYPES:
        return False
    op, (x, w) = as_then(node), node.inputs[:2]
    is_plain = op.ahead is None and op.conv.batch_groups == 1 and not (op.x_last or op.out_last)
    return is_plain and w in constants and x not in constants


def _gains(node: Node) -> bool:
    """Return whether a convolution runs better so: of one tap, or depthwise. Others read images
    into a layout of their own anyway.
    """
    outputs, channels, *taps = node.inputs[1].shape
    return set(taps) == {1} or (channels == 1 < as_then(node).conv.groups == outputs)


@final
class _Rewriter:
    """Makes the nodes anew; `_last` has the images whose channels are last by now."""

    def __init__(self, constants: Constants) -> None:
        self.nodes: list[Node] = []
        self._constants = constants
        self._last: dict[Value, Value] = {}

    def add(self, node: Node) -> None:
        """Add what does the same as `node`."""
        if _takes_part(node, self._constants):
            self._convolution(node)
        elif isinstance(node.op, MaxPool | AvgPool) and node.inputs[0] in self._last:
            self._pool(node, node.op)
        elif isinstance(node.op, Pointwise) and self._meets_images(node):
            axes = len(node.output.shape)
            self._anew(node, node.op, [self._seen_last(x, axes) for x in node.inputs])
        elif isinstance(node.op, Concat) and any(x in self._last for x in node.inputs):
            self._joined(node, node.op)
        else:
            self.nodes.append(node)

    def _convolution(self, node: Node) -> None:
        op, (x, w, *further) = as_then(node), node.inputs
        if x not in self._last and x.shape[1] >= _FEW_CHANNELS:
            self._last[x] = self._made(copy, self._seen_last(x, len(x.shape)))
        is_last = x in self._last
        if op.has_residual:
            further[-1] = self._seen_last(further[-1], len(x.shape))
        inputs = [self._last.get(x, x), w, *further]
        self._anew(node, replace(op, x_last=is_last, out_last=True), inputs)

    def _pool(self, node: Node, op: MaxPool | AvgPool) -> None:
        """Add windows over the same axes and over each channel."""
        x = node.inputs[0]
        channels = x.shape[1]
        windows = (*op.windows, Window(1, 1, 0, 1, channels))
        if len(x.shape) != len(windows) + 1 or len(windows) > 3:
            self.nodes.append(node)
            return
        over: Op = replace(op, windows=windows)
        if isinstance(op, AvgPool):
            if op.transposed:
                self.nodes.append(node)
                return
            over = replace(op, windows=windows, spatial=(*op.spatial, channels))
        self._anew(node, over, [self._last[x]])

    def _joined(self, node: Node, op: Concat) -> None:
        """Add what joins images end to end, along the place where that axis is now."""
        last = len(node.output.shape) - 1
        axis = {0: 0, 1: last}.get(op.axis, op.axis - 1)
        self._anew(node, Concat(axis), [self._seen_last(x, last + 1) for x in node.inputs])

    def _meets_images(self, node: Node) -> bool:
        """Return whether an elementwise op reads images whose channels are last, and no more axes
        than those have.
        """
        axes = len(node.output.shape)
        return any(x in self._last and len(x.shape) == axes for x in node.inputs)

    def _anew(self, node: Node, op: Op, inputs: list[Value]) -> None:
        """Add a node whose output has channels last, and a view of that in the usual order."""
        made = self._made(op, *inputs)
        axes = len(made.shape)
        self._last[node.output] = made
        self.nodes.append(Node(Permute((0, axes - 1, *range(1, axes - 1))), (made,), node.outputs))

    def _seen_last(self, x: Value, axes: int) -> Value:
        """Return a value of up to so many axes with its channels last: a view, where it does not
        lie so.
        """
        if x in self._last or not x.shape:
            return self._last.get(x, x)
        if len(x.shape) < axes:
            x = self._made(Reshape((*(1,) * (axes - len(x.shape)), *x.shape)), x)
        return self._made(Permute((0, *range(2, axes), 1)), x)

    def _made(self, op: Op, *inputs: Value) -> Value:
        node = Node.of(op, *inputs)
        self.nodes.append(node)
        return node.output
