"""A captured function and its program, ready to be called."""

from collections.abc import Callable, Sequence
from typing import Any, final

from lamina.autograd.grad_mode import state
from lamina.codegen import threads
from lamina.graph.bind import bind
from lamina.graph.captured import Captured
from lamina.graph.program import Program
from lamina.graph.trees import Leaf, unflatten
from lamina.memory import Array, allocate, of_numpy
from lamina.ops.shapes.copying import in_c_order
from lamina.tensor import Tensor
from lamina.tensor.core import wrap


@final
class Ready:
    """Runs a captured function on arguments of the kinds that it was captured for."""

    def __init__(self, captured: Captured, structure: Any, tensors: Sequence[Tensor]) -> None:
        self.captured = captured
        self.program = _bound(captured)
        self.is_plain = structure == _plain(len(tensors))
        self._kinds = [(t.array.layout, t.array.dtype, t.requires_grad) for t in tensors]
        self._grad_enabled = state.grad_enabled
        self._threads = threads.num_threads()
        self._written = tuple(
            {
                id(s): s
                for s in (captured.graph.captured[w.target].storage for w in captured.graph.writes)
            }.values()
        )
        self._returns_one = captured.structure == Leaf(0) and not captured.leaves

    def takes(self, args: Sequence[Any]) -> bool:
        """Return whether this runs for `args`, all of them tensors, as things stand."""
        kinds = self._kinds
        if len(args) != len(kinds):
            return False
        for arg, (layout, dtype, requires_grad) in zip(args, kinds):
            if not isinstance(arg, Tensor):
                return False
            array = arg.array
            if array.dtype is not dtype or array.layout != layout:
                return False
            if arg.requires_grad is not requires_grad:
                return False
        return (
            state.grad_enabled is self._grad_enabled
            and state.recorder is None
            and threads.num_threads() == self._threads
            and self.stands()
        )

    def stands(self) -> bool:
        """Return whether all guards hold."""
        return all(holds() for holds in self.captured.guards)

    def run(self, tensors: Sequence[Tensor]) -> Any:
        """Return what the function returns for `tensors`."""
        program = self.program
        if not program.is_current:
            program = self.program = _bound(self.captured)
        # What is read stays alive until the end of the run.
        given = [in_c_order(tensor.array) for tensor in tensors]
        outputs = [
            Array(allocate(array.storage.nbytes), array.layout, array.dtype)
            for array in program.outputs
        ]
        if self.captured.feeds:
            self._run_fed(program, given, outputs)
        else:
            program.run([array.address for array in (*given, *outputs)])
        for storage in self._written:
            storage.version += 1
        if self._returns_one:
            return wrap(outputs[0])
        return self._result([wrap(array) for array in outputs])

    def _run_fed(self, program: Program, given: list[Array], outputs: list[Array]) -> None:
        """Run with the numbers that Python works out; whatever fails, they have not moved on."""
        undoings: list[Callable[[], None]] = []
        try:
            for feed in self.captured.feeds:
                numbers = feed.example.copy()
                undoings.append(feed.fill(numbers))
                given.append(of_numpy(numbers))
            program.run([array.address for array in (*given, *outputs)])
        except BaseException:
            for undo in undoings:
                undo()
            raise

    def _result(self, results: list[Tensor]) -> Any:
        leaves = self.captured.leaves
        for leaf, gradient in zip(leaves, results[len(results) - len(leaves) :], strict=True):
            leaf.grad = gradient
        return unflatten(self.captured.structure, results)


def _plain(count: int) -> Any:
    """Return the structure of `count` tensors given by place."""
    leaves = tuple(Leaf(number) for number in range(count))
    return (tuple, ((tuple, leaves), (dict, ())))


def _bound(captured: Captured) -> Program:
    return Program(bind(captured.graph), len(captured.graph.inputs))
