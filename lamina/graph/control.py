"""Ops whose inputs decide what runs: a branch, and a loop. Their bodies are graphs that captured
nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from lamina import dtypes
from lamina.autograd import enable_grad
from lamina.autograd import grad as gradients
from lamina.errors import DTypeError, GradientError, ShapeError
from lamina.graph import ir
from lamina.graph.capture import Capture
from lamina.graph.interpret import interpret
from lamina.memory import Array, Spec, of_numpy
from lamina.memory.array import NDArray
from lamina.ops.registry import Arrays, Op, Specs, Value, define, require
from lamina.tensor import Tensor
from lamina.tensor.core import wrap


@define
@final
@dataclass(frozen=True, slots=True)
class Cond(Op):
    """What `then` gives where the first input is true, else what `otherwise` gives.

    Both take the other inputs, and give values of the same shapes and dtypes.
    """

    name = "cond"
    then: ir.Graph
    otherwise: ir.Graph

    def infer(self, *inputs: Spec) -> Specs:
        chosen, *given = inputs
        is_bool = chosen == Spec((), dtypes.bool_)
        require(is_bool, self, DTypeError, f"{chosen} given; expected a bool without axes")
        _check_takes(self, self.then, given)
        return _specs(self.then)

    def ref(self, *inputs: NDArray) -> Any:
        body = self.then if inputs[0] else self.otherwise
        found = interpret(body, [of_numpy(x) for x in inputs[1:]], by_reference=True).outputs
        return _one_or_all([array.numpy() for array in found])

    def run(self, *inputs: Array) -> Arrays:
        body = self.then if inputs[0].numpy() else self.otherwise
        outputs: Arrays = _one_or_all(interpret(body, inputs[1:]).outputs)
        return outputs

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        chosen, *given = inputs
        grads = grad if isinstance(grad, tuple) else (grad,)
        wants = [x.dtype.kind == "float" for x in given]
        bodies = [_pulled_back(body, wants) for body in (self.then, self.otherwise)]
        found = branch(chosen, bodies, [*grads, *given])
        pulled = iter(found)
        return (None, *(next(pulled) if want else None for want in wants))


@define
@final
@dataclass(frozen=True, slots=True)
class While(Op):
    """The first inputs, made anew by `body` as long as `test` of them is true.

    `test` and `body` take all inputs; `body` gives the first `carried` of them.
    """

    name = "while"
    test: ir.Graph
    body: ir.Graph
    carried: int

    def infer(self, *inputs: Spec) -> Specs:
        for graph in (self.test, self.body):
            _check_takes(self, graph, inputs)
        return _specs(self.body)

    def ref(self, *inputs: NDArray) -> Any:
        found = self._repeated([of_numpy(x) for x in inputs], by_reference=True)
        return _one_or_all([array.numpy() for array in found])

    def run(self, *inputs: Array) -> Arrays:
        outputs: Arrays = _one_or_all(self._repeated(inputs, by_reference=False))
        return outputs

    def _repeated(self, inputs: Sequence[Array], *, by_reference: bool) -> tuple[Array, ...]:
        state, others = tuple(inputs[: self.carried]), inputs[self.carried :]

        def of(graph: ir.Graph) -> tuple[Array, ...]:
            return interpret(graph, (*state, *others), by_reference=by_reference).outputs

        while of(self.test)[0].numpy():
            state = of(self.body)
        return state

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        raise GradientError(
            "while_loop: a loop of unknown length has no derivative in a compiled function; give "
            "max_iterations, or use lamina.scan"
        )


def _specs(graph: ir.Graph) -> Specs:
    return _one_or_all([value.spec for value in graph.outputs])


def _one_or_all(found: Sequence[Any]) -> Any:
    return found[0] if len(found) == 1 else tuple(found)


def _check_takes(op: Op, graph: ir.Graph, given: Sequence[Spec]) -> None:
    expected = [value.spec for value in graph.inputs]
    if expected != list(given):
        raise ShapeError(f"{op.name}: {list(given)} given; its body takes {expected}")


@final
@dataclass(frozen=True, slots=True)
class Body:
    """A graph that captured nothing, and what it reads from outside, as its last inputs."""

    graph: ir.Graph
    outside: tuple[Tensor, ...]

    @staticmethod
    def of(recorder: Capture, outputs: Sequence[Tensor]) -> "Body":
        """Return what was taken down."""
        # Some may have been given back as they came.
        recorder.meet(outputs)
        graph = recorder.graph([tensor.array for tensor in outputs])
        captured = tuple(graph.captured)
        outside = tuple(recorder.seen(graph.captured[value]) for value in captured)
        closed = replace(graph, inputs=(*graph.inputs, *captured), captured={})
        return Body(closed, outside)

    def taking(self, place: int, more: Sequence[Tensor]) -> ir.Graph:
        """Return the graph with further inputs, which it does not read, from `place` on."""
        given = self.graph.inputs
        unread = tuple(ir.Value(tensor.array.spec) for tensor in more)
        return replace(self.graph, inputs=(*given[:place], *unread, *given[place:]))


def branch(chosen: Tensor, bodies: Sequence[Body], given: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return what the first body makes of `given`, or the second where `chosen` is false."""
    then, otherwise = bodies
    first = then.taking(len(then.graph.inputs), otherwise.outside)
    second = otherwise.taking(len(given), then.outside)
    found = Cond(first, second)(chosen, *given, *then.outside, *otherwise.outside)
    return found if isinstance(found, tuple) else (found,)


def _pulled_back(body: ir.Graph, wants: Sequence[bool]) -> Body:
    """Return the graph from the gradients of the outputs of `body`, and its inputs, to the
    gradients of those inputs that are wanted. What it needs of the outputs it computes again.
    """
    recorder = Capture()
    with recorder.recording():
        grads = [wrap(recorder.input(value.spec)) for value in body.outputs]
        given = [wrap(recorder.input(value.spec)) for value in body.inputs]
        for tensor, want in zip(given, wants, strict=True):
            tensor.requires_grad = want
        wanted = [tensor for tensor in given if tensor.requires_grad]
        with enable_grad():
            outputs = _replayed(body, given)
        pairs = [(y, g) for y, g in zip(outputs, grads, strict=True) if y.requires_grad]
        found: Sequence[Tensor | None] = [None] * len(wanted)
        if pairs and wanted:
            ends, seeds = zip(*pairs, strict=True)
            found = gradients(ends, wanted, seeds, allow_unused=True)
        results = [
            x.detach().zeros_like() if g is None else g.detach()
            for g, x in zip(found, wanted, strict=True)
        ]
    return Body.of(recorder, results)


def _replayed(graph: ir.Graph, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return what `graph` makes of tensors, op by op."""
    held = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        found = node.op(*(held[x] for x in node.inputs))
        outputs = found if isinstance(found, tuple) else (found,)
        held.update(zip(node.outputs, outputs, strict=True))
    return [held[x] for x in graph.outputs]
