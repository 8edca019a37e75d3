"""`lamina.compile`: functions and modules that run as programs."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, final

from lamina.autograd.grad_mode import state
from lamina.autograd.recorder import Unready
from lamina.codegen import threads
from lamina.config import settings
from lamina.graph.bind import bind
from lamina.graph.capture import Capture, Feed
from lamina.graph.ir import Graph, verify
from lamina.graph.passes import optimise
from lamina.graph.program import Program
from lamina.graph.trees import flatten, unflatten
from lamina.memory import Array, allocate, of_numpy
from lamina.ops.shapes.copying import in_c_order
from lamina.tensor import Tensor
from lamina.tensor.core import wrap

PROGRAMS_KEPT = 256


@dataclass(slots=True)
class Captured:
    """A function taken down for one kind of arguments."""

    graph: Graph
    feeds: tuple[Feed, ...]
    guards: list[Callable[[], bool]]
    structure: Any
    # Leaves whose gradients are the last outputs.
    leaves: list[Any]
    program: Program | None = None


def capture(function: Callable[..., Any], structure: Any, tensors: Sequence[Tensor]) -> Captured:
    """Return what `function` does to arguments of this structure, `tensors` among them.

    It runs once, on tensors without values. Raises CaptureError where it needs one.
    """
    recorder = Capture()
    symbols = []
    for tensor in tensors:
        symbol = wrap(recorder.input(tensor.array.spec))
        symbol.requires_grad = tensor.requires_grad
        symbols.append(symbol)
    found: list[Tensor] = []
    leaves = []
    try:
        with recorder.recording():
            args, kwargs = unflatten(structure, symbols)
            result = function(*args, **kwargs)
            shape_of_result = flatten(result, found)
        for leaf in recorder.leaves.values():
            if id(leaf) not in recorder.spent and leaf.grad is not None:
                leaves.append(leaf)
                found.append(leaf.grad)
    finally:
        for leaf in recorder.leaves.values():
            leaf.grad = None
    graph = recorder.graph([tensor.array for tensor in found])
    verify(graph)
    return Captured(graph, recorder.feeds, recorder.guards, shape_of_result, leaves)


@final
class Compiled:
    """A function that runs as a program; made by `lamina.compile`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._kept: OrderedDict[Any, list[Captured]] = OrderedDict()
        update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns."""
        if not settings.compiles or state.recorder is not None:
            return self._function(*args, **kwargs)
        tensors: list[Tensor] = []
        structure = flatten((args, kwargs), tensors)
        try:
            captured = self._captured(structure, tensors)
        except Unready:
            return self._function(*args, **kwargs)
        return _run(captured, tensors)

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """Return the graph that runs for such arguments."""
        tensors: list[Tensor] = []
        structure = flatten((args, kwargs), tensors)
        return self._captured(structure, tensors).graph

    def _captured(self, structure: Any, tensors: Sequence[Tensor]) -> Captured:
        key = (
            structure,
            tuple([(t.array.spec, t.requires_grad) for t in tensors]),
            state.grad_enabled,
            threads.num_threads(),
        )
        known = self._kept.get(key)
        if known is None:
            known = self._kept[key] = []
            while len(self._kept) > PROGRAMS_KEPT:
                self._kept.popitem(last=False)
        for captured in known:
            if all(holds() for holds in captured.guards):
                return captured
        captured = capture(self._function, structure, tensors)
        captured.graph = optimise(captured.graph)
        known.append(captured)
        return captured


def _program(captured: Captured) -> Program:
    program = captured.program
    if program is None or not program.is_current:
        bound = bind(captured.graph)
        program = captured.program = Program(bound, len(captured.graph.inputs))
    return program


def _run(captured: Captured, tensors: Sequence[Tensor]) -> Any:
    program = _program(captured)
    given = [in_c_order(tensor.array) for tensor in tensors]
    undoings = []
    try:
        for feed in captured.feeds:
            numbers = feed.example.copy()
            undoings.append(feed.fill(numbers))
            given.append(of_numpy(numbers))
        outputs = []
        for array in program.outputs:
            storage = allocate(array.storage.nbytes)
            outputs.append(Array(storage, array.layout, array.dtype))
        program.run([array.address for array in given] + [a.storage.address for a in outputs])
    except BaseException:
        for undo in undoings:
            undo()
        raise
    for write in captured.graph.writes:
        captured.graph.captured[write.target].storage.version += 1
    results = [wrap(array) for array in outputs]
    if captured.leaves:
        count = len(results) - len(captured.leaves)
        for leaf, gradient in zip(captured.leaves, results[count:], strict=True):
            leaf.grad = gradient
    return unflatten(captured.structure, results)


def compile(function: Callable[..., Any]) -> Compiled:
    """Return `function`, running as one program."""
    return Compiled(function)
