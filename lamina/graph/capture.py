"""From a function to a graph: it runs once, on tensors that have shapes and dtypes but no values.

Ops, derivatives and writes in place are taken down by a `Capture`. Memory that the function meets
from outside becomes a captured value; a write into it, or into a view of anything, becomes a new
value for the whole memory, so that nodes have no effects.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple, final

from lamina import layout as lay
from lamina.autograd.anomaly import callers_line
from lamina.autograd.grad_mode import state
from lamina.autograd.recorder import Fill, Recorder, Undo
from lamina.errors import CaptureError
from lamina.graph.ir import Graph, Node, Value, Write
from lamina.layout import Layout
from lamina.memory import Array, Promise, Spec, Storage, allocate, allocating, of_numpy
from lamina.memory.array import NDArray
from lamina.ops.registry import Arrays, Op, View
from lamina.ops.shapes.strided import StridedRead, StridedWrite
from lamina.philox import Generator, watched
from lamina.tensor.core import wrap


class Feed(NamedTuple):
    """An input that Python works out: `fill` gives its numbers before each run, and what undoes
    that.
    """

    value: Value
    example: NDArray
    fill: Fill


@dataclass(slots=True)
class _Memory:
    """What is known of the memory under some arrays."""

    storage: Storage
    value: Value
    layout: Layout
    is_outside: bool
    # What the memory holds as seen through other layouts; forgotten when it is written.
    views: dict[tuple[Layout, Any], Value] = field(default_factory=dict)
    is_written: bool = False


def unknown() -> Exception:
    """Return the error for who reads a value while a function is compiled."""
    return CaptureError(
        f"{callers_line()}: the value of a tensor is needed while the function is compiled, when "
        "it has none; use lamina.where, or compute this part outside of the compiled function"
    )


def symbolic(spec: Spec) -> Array:
    """Return an array in C order that has no memory."""
    storage = Storage(Promise(unknown), prod(spec.shape) * spec.dtype.itemsize)
    return Array(storage, lay.contiguous(spec.shape), spec.dtype)


@final
class Capture(Recorder):
    """Takes down what a function does; `graph` gives it as a graph."""

    __slots__ = (
        "_born",
        "_captured",
        "_draws",
        "_feeds",
        "_memories",
        "_needs",
        "_tensors",
        "flows",
        "guards",
        "inputs",
        "leaves",
        "met",
        "nodes",
        "spent",
    )

    def __init__(self) -> None:
        self.inputs: list[Value] = []
        self.nodes: list[Node] = []
        self.guards: list[Callable[[], bool]] = []
        self.leaves: dict[int, Any] = {}
        self.spent: set[int] = set()
        self.met: dict[int, Any] = {}
        self._captured: dict[Value, Array] = {}
        self._feeds: list[Feed] = []
        self._tensors: dict[int, Any] = {}
        self._needs: tuple[bool, ...] = ()
        # Through which inputs of a node gradients flow in eager code.
        self.flows: dict[Node, tuple[bool, ...]] = {}
        self._memories: dict[int, _Memory] = {}
        # Memory made while the function ran: writes into it do not outlast a run.
        self._born: dict[int, Storage] = {}
        self._draws: list[tuple[Generator, NDArray]] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Take down all that this thread does to tensors, until the block ends."""
        before = state.recorder
        with watched() as draws, allocating(self._allocate):
            self._draws = draws
            state.recorder = self
            try:
                yield
            finally:
                state.recorder = before

    def _allocate(self, nbytes: int) -> Storage:
        with allocating(None):
            storage = allocate(nbytes)
        self._born[id(storage)] = storage
        return storage

    def input(self, spec: Spec) -> Array:
        """Return a new input."""
        array = symbolic(spec)
        value = Value(spec)
        self.inputs.append(value)
        self._hold(array, value, is_outside=False)
        return array

    def feed(self, example: NDArray, fill: Fill) -> Array:
        array = self.input(of_numpy(example).spec)
        self._feeds.append(Feed(self.inputs.pop(), example, fill))
        return array

    def keep(self, array: Array) -> None:
        self._born.pop(id(array.storage), None)

    def note_gradient(self, leaf: Any) -> None:
        before = leaf.grad
        if before is not None and not isinstance(before.array.storage.buffer, Promise):
            raise CaptureError(
                f"{callers_line()}: a gradient from outside would be added to while the function "
                "is compiled; call zero_grad() in the function, or before it"
            )
        self.leaves[id(leaf)] = leaf

    def spend_gradient(self, leaf: Any) -> None:
        self.spent.add(id(leaf))

    def guard(self, holds: Callable[[], bool]) -> None:
        self.guards.append(holds)

    def meet(self, tensors: Sequence[Any]) -> None:
        self._needs = tuple([state.grad_enabled and t.requires_grad for t in tensors])
        for tensor in tensors:
            self._tensors[id(tensor.array)] = tensor
            buffer = tensor.array.storage.buffer
            if tensor.base is None and not isinstance(buffer, Promise):
                self.met[id(tensor)] = tensor

    def seen(self, array: Array) -> Any:
        """Return the tensor that captured memory was met in, or a new one."""
        found = self._tensors.get(id(array))
        return found if found is not None and found.array is array else wrap(array)

    def apply(self, op: Op, inputs: Sequence[Array]) -> Arrays:
        node = Node.of(op, *map(self.read, inputs))
        self.nodes.append(node)
        self.flows[node] = self._needs
        if isinstance(op, View):
            return self._view(op, inputs[0], node.output)
        arrays = tuple(symbolic(value.spec) for value in node.outputs)
        for array, value in zip(arrays, node.outputs, strict=True):
            self._hold(array, value, is_outside=False)
        expected = op.infer(*(x.spec for x in inputs))
        return arrays[0] if isinstance(expected, Spec) else arrays

    def _view(self, op: View, source: Array, value: Value) -> Array:
        layout = op.relayout(source.layout)
        if layout is None:
            array = symbolic(value.spec)
            self._hold(array, value, is_outside=False)
            return array
        self._memory(source).views[layout, value.dtype] = value
        return Array(source.storage, layout, value.dtype)

    def read(self, array: Array) -> Value:
        """Return the value that `array` holds at this point."""
        memory = self._memory(array)
        if array.layout == memory.layout and array.dtype is memory.value.dtype:
            return memory.value
        key = (array.layout, array.dtype)
        if key not in memory.views:
            memory.views[key] = self._seen(memory, array)
        return memory.views[key]

    def _seen(self, memory: _Memory, array: Array) -> Value:
        if memory.is_outside and not memory.is_written:
            value = Value(array.spec)
            self._captured[value] = array
            return value
        node = Node.of(StridedRead(self._within(memory, array)), memory.value)
        self.nodes.append(node)
        return node.output

    def write(self, target: Array, value: Array) -> None:
        new = self.read(value)
        memory = self._memory(target)
        if target.layout != memory.layout:
            node = Node.of(StridedWrite(self._within(memory, target)), memory.value, new)
            self.nodes.append(node)
            new = node.output
        memory.value, memory.is_written = new, True
        memory.views.clear()
        target.storage.version += 1

    def _within(self, memory: _Memory, array: Array) -> Layout:
        """Return the layout of `array` counted from the first element of its memory's value."""
        if not memory.layout.is_contiguous or array.dtype is not memory.value.dtype:
            raise CaptureError(
                f"{callers_line()}: a view of memory with gaps, or of another dtype, is written "
                "while the function is compiled; write to a contiguous tensor"
            )
        return array.layout._replace(offset=array.layout.offset - memory.layout.offset)

    def _hold(self, array: Array, value: Value, *, is_outside: bool) -> _Memory:
        memory = _Memory(array.storage, value, array.layout, is_outside)
        self._memories[id(array.storage)] = memory
        return memory

    def _memory(self, array: Array) -> _Memory:
        found = self._memories.get(id(array.storage))
        if found is not None:
            return found
        for generator, numbers in self._draws:
            if array.storage.buffer is numbers:
                drawn = self.feed(numbers, _next_draw(generator))
                return self._hold(array, self._memories[id(drawn.storage)].value, is_outside=False)
        value = Value(array.spec)
        self._captured[value] = array
        return self._hold(array, value, is_outside=id(array.storage) not in self._born)

    def graph(self, outputs: Sequence[Array]) -> Graph:
        """Return all that was taken down; feeds come behind the inputs."""
        results = tuple(map(self.read, outputs))
        writes = []
        for memory in self._memories.values():
            if memory.is_outside and memory.is_written:
                target = next(
                    v
                    for v, array in self._captured.items()
                    if array.storage is memory.storage and array.layout == memory.layout
                )
                writes.append(Write(target, memory.value))
        inputs = (*self.inputs, *(feed.value for feed in self._feeds))
        return Graph(inputs, dict(self._captured), tuple(self.nodes), results, tuple(writes))

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """The inputs that Python works out, in the order in which they stand in the graph."""
        return tuple(self._feeds)


def _next_draw(generator: Generator) -> Fill:
    def fill() -> tuple[Sequence[float], Undo]:
        before = generator.state

        def undo() -> None:
            generator.state = before

        return generator.advance(), undo

    return fill
