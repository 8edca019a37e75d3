"""Reverse-mode differentiation over the tape.

Nodes are visited latest first: whatever used a value was recorded after it was made, so when a
node's turn comes all that flows into it has arrived.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, final

from lamina.autograd.anomaly import check_gradients
from lamina.autograd.grad_mode import set_grad_enabled, state
from lamina.autograd.tape import Node, Source, Tracked, source_of
from lamina.errors import ArgumentError, GradientError, ShapeError

Tensor = Any
# Identity of what a gradient is sent to: a node and one of its outputs, or a leaf and −1.
Key = tuple[int, int]


@final
class _Flow:
    """Gradients on their way: what has arrived at each node's outputs, and at each leaf."""

    def __init__(self) -> None:
        self.arrived: dict[Node, list[Tensor | None]] = {}
        self.at_leaf: dict[int, tuple[Tracked, Tensor]] = {}
        self._waiting: list[tuple[int, Node]] = []

    def send(self, source: Source, grad: Tensor) -> None:
        """Add `grad` to what has arrived where `source` points."""
        if isinstance(source, tuple):
            node, index = source
            if node not in self.arrived:
                self.arrived[node] = [None] * len(node.outputs)
                heapq.heappush(self._waiting, (-node.sequence, node))
            have = self.arrived[node][index]
            self.arrived[node][index] = grad if have is None else have + grad
        elif source is not None:
            have = self.at_leaf.get(id(source))
            self.at_leaf[id(source)] = (source, grad if have is None else have[1] + grad)

    def latest(self) -> Iterable[tuple[Node, list[Tensor | None]]]:
        """Yield nodes, latest first, each with the gradients of its outputs (hooks applied)."""
        while self._waiting:
            _, node = heapq.heappop(self._waiting)
            grads = self.arrived.pop(node)
            for index, hooks in node.hooks.items():
                grads[index] = run_hooks(hooks, grads[index])
            yield node, grads


def run_hooks(hooks: Sequence[Callable[[Any], Any]], grad: Tensor | None) -> Tensor | None:
    """Return `grad` after each hook has seen it; a hook that returns a tensor replaces it."""
    for hook in tuple(hooks):
        if grad is not None:
            replaced = hook(grad)
            grad = grad if replaced is None else replaced
    return grad


def backward(
    tensors: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> None:
    """Add to `.grad` of every leaf the gradient of Σ tensors·grads with respect to it.

    A scalar tensor may have None for its gradient, meaning 1. With `create_graph` the gradients
    have histories of their own; otherwise saved tensors are freed on the way unless `retain_graph`.
    """
    flow = _Flow()
    with set_grad_enabled(create_graph):
        _start(flow, tensors, grads)
        for node, arrived in flow.latest():
            _propagate(flow, node, arrived, goals=None)
            if not (retain_graph or create_graph):
                node.free()
        for leaf, grad in flow.at_leaf.values():
            _accumulate(leaf, grad, keep_graph=create_graph)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor, ...]:
    """Return ∂(Σ outputs·grad_outputs)/∂input for each of `inputs`, leaving every `.grad` alone.

    An input that the outputs do not depend on is a GradientError, or gives None with
    `allow_unused`.

    >>> import lamina
    >>> x = lamina.tensor(3.0, requires_grad=True)
    >>> (slope,) = grad(x * x * x, x, create_graph=True)
    >>> slope.item(), grad(slope, x)[0].item()
    (27.0, 18.0)
    """
    outputs, inputs = _sequence_of(outputs), _sequence_of(inputs)
    seeds = [None] * len(outputs) if grad_outputs is None else _sequence_of(grad_outputs)
    keep = create_graph if retain_graph is None else retain_graph
    for place, x in enumerate(inputs):
        x.refresh()
        if not x.requires_grad:
            raise GradientError(f"input {place} does not require grad; call requires_grad_() on it")
    targets = [source_of(x) for x in inputs]
    goals = _Goals(outputs, targets)
    found: dict[Key, Tensor] = {}
    flow = _Flow()
    with set_grad_enabled(create_graph):
        _start(flow, outputs, seeds)
        for node, arrived in flow.latest():
            found.update(
                {(id(node), i): g for i, g in enumerate(arrived) if (id(node), i) in goals.keys}
            )
            if node in goals.nodes:
                _propagate(flow, node, arrived, goals)
                if not keep:
                    node.free()
        for leaf, total in flow.at_leaf.values():
            found[(id(leaf), -1)] = run_hooks(leaf.hooks or (), total)
    return tuple(
        _result(found.get(_key(source)), place, allow_unused)
        for place, source in enumerate(targets)
    )


@final
class _Goals:
    """What `grad` looks for: the keys of the inputs, and the nodes on the way to them."""

    def __init__(self, outputs: Sequence[Tensor], targets: Sequence[Source]) -> None:
        self.keys = {_key(t) for t in targets}
        self.nodes = _leading_to(outputs, self.keys)

    def want(self, source: Source) -> bool:
        """Whether a gradient sent to `source` reaches an input."""
        if isinstance(source, tuple) and source[0] in self.nodes:
            return True
        return _key(source) in self.keys


def _key(source: Source) -> Key:
    return (id(source[0]), source[1]) if isinstance(source, tuple) else (id(source), -1)


def _result(value: Tensor | None, place: int, allow_unused: bool) -> Tensor | None:
    if value is None and not allow_unused:
        raise GradientError(
            f"the outputs do not depend on input {place}; pass allow_unused=True to get None for it"
        )
    return value


def _sequence_of(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _start(flow: _Flow, tensors: Sequence[Tensor], grads: Sequence[Tensor | None]) -> None:
    if len(tensors) != len(grads):
        raise ArgumentError(f"{len(grads)} gradients were given for {len(tensors)} tensors")
    for tensor, seed in zip(tensors, grads, strict=True):
        tensor.refresh()
        if not tensor.requires_grad:
            raise GradientError(
                f"a {tensor.array.dtype.name} tensor of shape {tensor.array.shape} has no history "
                "to differentiate; compute it from tensors that require grad, outside no_grad()"
            )
        if seed is None and tensor.array.layout.size != 1:
            raise GradientError(
                f"backward from shape {tensor.array.shape} needs a gradient of that shape; "
                "pass one, or reduce to a scalar first"
            )
        start = tensor.ones_like() if seed is None else seed
        if start.shape != tensor.array.shape:
            raise ShapeError(
                f"the gradient given has shape {start.shape}; expected {tensor.array.shape}"
            )
        flow.send(source_of(tensor), start)


def _propagate(flow: _Flow, node: Node, arrived: list[Tensor | None], goals: _Goals | None) -> None:
    like = next(g for g in arrived if g is not None)
    grads = tuple(
        [
            like.new_zeros(spec.shape, dtype=spec.dtype) if g is None else g
            for g, spec in zip(arrived, node.outputs, strict=True)
        ]
    )
    # Inside a derivative anomaly mode is off: what counts is the gradient that comes of it.
    anomaly, state.anomaly = state.anomaly, False
    try:
        for source, value in _derivatives(node, grads, goals):
            if anomaly:
                check_gradients(node, grads, value)
            flow.send(source, value)
    finally:
        state.anomaly = anomaly


def _derivatives(
    node: Node, grads: tuple[Tensor, ...], goals: _Goals | None
) -> Iterator[tuple[Source, Tensor]]:
    """Yield the gradient of each input of `node` that is wanted, and where it goes."""
    results = node.op.vjp(grads if len(grads) > 1 else grads[0], node.output(), *node.inputs())
    for place, (source, result) in enumerate(zip(node.sources, results, strict=True)):
        if result is None or source is None or not (goals is None or goals.want(source)):
            continue
        value = result() if callable(result) else result
        spec = node.specs[place]
        if value.shape != spec.shape:
            raise ShapeError(
                f"the gradient of input {place} of {node.op.name} has shape {value.shape}; "
                f"expected {spec.shape}"
            )
        yield source, value if value.dtype is spec.dtype else value.to(spec.dtype)


def _accumulate(leaf: Tracked, grad: Tensor, *, keep_graph: bool) -> None:
    grad = run_hooks(leaf.hooks or (), grad)
    if state.recorder is not None:
        state.recorder.note_gradient(leaf)
    if leaf.grad is not None:
        leaf.grad = leaf.grad + grad
    else:
        # A copy: the same gradient may have reached another leaf, and users write to .grad in
        # place.
        leaf.grad = grad if keep_graph else grad.detach().clone()


def _leading_to(outputs: Sequence[Tensor], goals: set[Key]) -> set[Node]:
    """Return the nodes whose derivative must run for a gradient to reach one of `goals`."""
    leads: dict[Node, bool] = {}
    stack = [s[0] for s in map(source_of, outputs) if isinstance(s, tuple)]
    while stack:
        node = stack[-1]
        before = [s[0] for s in node.sources if isinstance(s, tuple)]
        unseen = [n for n in before if n not in leads]
        if unseen and node not in leads:
            leads[node] = False
            stack.extend(unseen)
            continue
        stack.pop()
        leads[node] = any(s is not None and _key(s) in goals for s in node.sources) or any(
            leads[n] for n in before
        )
    return {node for node, does in leads.items() if does}
