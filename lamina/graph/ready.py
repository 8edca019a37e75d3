"""A captured function and its program, ready to be called."""

import struct
from collections.abc import Sequence
from typing import Any, final

import numpy as np

from lamina.autograd.grad_mode import state
from lamina.autograd.recorder import Undo, changes
from lamina.codegen import threads
from lamina.errors import AnomalyError, GuardError
from lamina.graph.bind import bind
from lamina.graph.captured import Captured
from lamina.graph.constants import Shared
from lamina.graph.lending import Lending
from lamina.graph.program import Program
from lamina.graph.trees import Leaf, flatten, unflatten
from lamina.memory import Array, allocate
from lamina.memory.array import NDArray
from lamina.ops.registry import in_c_order
from lamina.tensor import Tensor
from lamina.tensor.core import wrap

_ALIGNMENT = 64


@final
class Ready:
    """Runs a captured function on arguments of the kinds that it was captured for."""

    def __init__(
        self,
        captured: Captured,
        structure: Any,
        tensors: Sequence[Tensor],
        shared: Shared,
        kind: type[Program] = Program,
    ) -> None:
        self.captured = captured
        self._shared, self._kind = shared, kind
        self.program = self._bound()
        self._is_plain = structure == _plain(len(tensors))
        self._kinds = [(t.array.layout, t.array.dtype, t.requires_grad) for t in tensors]
        self._lie_in_order = all(layout.is_contiguous for layout, *_ in self._kinds)
        self._stood_at = changes.count
        self._grad_enabled = state.grad_enabled
        self._threads = threads.num_threads()
        targets = [captured.graph.captured[write.target] for write in captured.graph.writes]
        self._written = tuple({id(t.storage): t.storage for t in targets}.values())
        self._results = [(a.storage.nbytes, a.layout, a.dtype) for a in self.program.outputs]
        self._lending = Lending(self._results)
        self._returns_one = captured.structure == Leaf(0) and len(self.program.outputs) == 1

    def _bound(self) -> Program:
        graph, feeds = self.captured.graph, self.captured.feeds
        fed = [struct.Struct(f"{f.example.size}{f.example.dtype.char}") for f in feeds]
        return self._kind(bind(graph, self._shared), len(graph.inputs) - len(feeds), fed)

    def takes(self, args: Sequence[Any]) -> bool:
        """Return whether this runs for `args`, all of them tensors, as things stand."""
        kinds = self._kinds
        if len(args) != len(kinds) or not self._is_plain:
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
        """Return whether all guards hold, and tensors from outside are where they were."""
        if self._stood_at == changes.count:
            return True
        count, captured = changes.count, self.captured
        holds = all(t.array is array for t, array in captured.met) and all(
            guard() for guard in captured.guards
        )
        if holds:
            self._stood_at = count
        return holds

    def run(self, tensors: Sequence[Tensor]) -> Any:
        """Return what the function returns for `tensors`."""
        outputs = self._lending.take()
        self._run(tensors, outputs)
        self._lending.give(outputs)
        if self._returns_one:
            return wrap(outputs[0])
        return self._result([wrap(array) for array in outputs])

    def release(self) -> None:
        """Give memory back that runs would use again."""
        self._lending.release()
        self.program.release()

    def run_into(self, out: Any, tensors: Sequence[Tensor]) -> Any:
        """Write what the function returns to the tensors of `out`, and return `out`."""
        targets: list[Tensor] = []
        structure = flatten(out, targets)
        if structure != self.captured.structure:
            raise GuardError("out: expected the structure of the result; give its tensors as such")
        own = len(targets)
        for number, (target, array) in enumerate(zip(targets, self.program.outputs)):
            self._check_target(number, target, array, tensors)
        further = [
            Array(allocate(nbytes), layout, dtype) for nbytes, layout, dtype in self._results[own:]
        ]
        outputs = [target.array for target in targets] + further
        self._run(tensors, outputs)
        for target in targets:
            target.array.storage.version += 1
        self._result([*targets, *(wrap(array) for array in further)])
        return out

    def _check_target(
        self, number: int, target: Tensor, array: Array, tensors: Sequence[Tensor]
    ) -> None:
        mine = target.array
        mine.storage.check_writable()
        read = [t.array for t in tensors] + list(self.captured.graph.captured.values())
        fits = (
            mine.spec == array.spec
            and mine.layout.is_contiguous
            and mine.address % _ALIGNMENT == 0
            and not target.requires_grad
        )
        if not fits or any(mine.storage is other.storage for other in read):
            raise GuardError(
                f"out: tensor {number}, {mine.dtype.name} {mine.shape}, given; expected contiguous "
                f"{array.dtype.name} {array.shape} that begins at a multiple of {_ALIGNMENT} "
                "bytes, needs no gradient and shares no memory with what is read: lamina.empty"
            )

    def _run(self, tensors: Sequence[Tensor], outputs: list[Array]) -> None:
        if not self.program.is_current:
            self.program = self._bound()
        # What is read stays alive until the end of the run.
        given = [tensor.array for tensor in tensors]
        if not self._lie_in_order:
            given = [in_c_order(array) for array in given]
        if self.captured.is_checked:
            _check_all("the input", [array.numpy() for array in given])
        reads = [array.address for array in given]
        writes = [array.address for array in outputs]
        if self.captured.feeds or self.captured.is_checked:
            self._run_undoably(reads, writes, outputs)
        else:
            self.program.run(reads, writes)
        for storage in self._written:
            storage.version += 1

    def _run_undoably(self, reads: list[int], writes: list[int], outputs: list[Array]) -> None:
        """Run with the numbers that Python works out; whatever fails, they have not moved on."""
        undoings: list[Undo] = []
        fed = []
        try:
            for feed in self.captured.feeds:
                numbers, undo = feed.fill()
                undoings.append(undo)
                fed.append(numbers)
            self.program.run(reads, writes, fed)
            if self.captured.is_checked:
                _check_all("the result", [array.numpy() for array in outputs])
        except BaseException:
            for undo in undoings:
                undo()
            raise
        delayed = self.captured.delayed
        for target, array in zip(delayed, outputs[len(outputs) - len(delayed) :], strict=True):
            target.numpy()[...] = array.numpy()
            target.storage.version += 1

    def _result(self, results: list[Tensor]) -> Any:
        own = self.captured.results
        for leaf, gradient in zip(self.captured.leaves, results[own:]):
            leaf.grad = gradient
        return unflatten(self.captured.structure, results)


def _check_all(what: str, arrays: Sequence[NDArray]) -> None:
    for number, values in enumerate(arrays):
        is_float = values.dtype.kind not in "biu"
        if is_float and not np.isfinite(values).all():
            raise AnomalyError(
                f"{what} number {number} of the program has a NaN or an infinity; nothing was "
                "written: find its origin with lamina.autograd.detect_anomaly()"
            )


def _plain(count: int) -> Any:
    """Return the structure of `count` tensors given by place."""
    leaves = tuple(Leaf(number) for number in range(count))
    return (tuple, ((tuple, leaves), (dict, ())))
