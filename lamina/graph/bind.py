"""From a graph to kernel calls: each op runs as it does eagerly, on memory that is only promised,
and what it would call is noted down.

So whatever has a kernel can be part of a program, with no second way to lower an op. Nodes whose
inputs are constants run now. A node that needs values, because it has no kernel, becomes a call
back into Python.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from lamina import layout as lay
from lamina.codegen.target import compiles_here
from lamina.errors import FallbackWarning, LaminaError
from lamina.graph.constants import Constants, Known, Shared
from lamina.graph.control import Cond, While
from lamina.graph.ir import Graph, Node, Value
from lamina.graph.passes import optimise
from lamina.graph.tables import Jump, Label
from lamina.kernels.launch import Launch, noting
from lamina.memory import Array, Promise, Spec, Storage, allocating
from lamina.ops.formulas import Formulas
from lamina.ops.registry import Op, View
from lamina.ops.shapes.copying import copy

# Addresses of promised memory: no pointer looks like these, and each buffer has a tebibyte of them
# to either side of its start, for kernels count from places before it.
_FIRST, _EACH = 1 << 60, 1 << 41
_START = _EACH >> 1


class _NeedsValues(LaminaError):
    """An op was asked for values while its kernel calls were noted."""


@dataclass(slots=True)
class Buffer:
    """Promised memory, and the calls that touch it first and last."""

    number: int
    storage: Storage
    first: int = -1
    last: int = -1
    # Which input or output of the program it is, if it is one.
    input: int | None = None
    output: int | None = None

    def touch(self, call: int) -> None:
        """Count `call` to those that need this memory."""
        self.first = call if self.first < 0 else self.first
        self.last = call


@final
@dataclass(frozen=True, slots=True)
class HostCall:
    """An op that Python runs between two kernel calls."""

    op: Op
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]


Call = Launch | HostCall | Jump | Label


@final
@dataclass(slots=True)
class Bound:
    """The calls of a program over buffers, not yet placed in memory."""

    calls: list[Call] = field(default_factory=list)
    # The op that each call is for.
    names: list[str] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    outputs: list[Array] = field(default_factory=list)
    # Memory that stands for captured storage, by identity, and that storage.
    outside: dict[int, Storage] = field(default_factory=dict)
    # What was computed ahead, and read by a call.
    known: list[Known] = field(default_factory=list)
    # Memory from outside that calls read where it is.
    keeps: list[Array] = field(default_factory=list)

    def locate(self, address: int) -> tuple[Buffer, int] | None:
        """Return the buffer that a promised address lies in, and how far from its start."""
        if address < _FIRST:
            return None
        number, place = divmod(address - _FIRST, _EACH)
        return self.buffers[number], place - _START


def bind(graph: Graph, shared: Shared | None = None) -> Bound:
    """Return the calls that carry `graph` out, for inputs in C order.

    What is computed ahead is looked for in `shared`, and put there.
    """
    return _Binder(graph, Shared() if shared is None else shared).bound()


@final
class _Binder:
    def __init__(self, graph: Graph, shared: Shared) -> None:
        self._graph = graph
        self._bound = Bound()
        self._held: dict[Value, Array] = {}
        self._constants = Constants(graph, shared)
        self._targets = {w.value: w.target for w in graph.writes}
        self._last_reads = _last_reads(graph)
        self._last_read_of = _last_read_of(graph)
        # The values that memory holds, or held: an operand and its views.
        self._seen_in: dict[int, list[Value]] = {}
        self._outside: dict[int, Storage] = {}

    def bound(self) -> Bound:
        """Return the calls."""
        for place, value in enumerate(self._graph.inputs):
            array = self._promised(value.spec)
            self._buffer(array).input = place
            self._held[value] = array
        for value, array in self._graph.captured.items():
            if value not in self._constants:
                self._held[value] = self._unread(array)
        for place, node in enumerate(self._graph.nodes):
            if not all(x in self._constants for x in node.inputs):
                self._run(place, node)
        self._write()
        self._give()
        self._bound.known += self._constants.used.values()
        self._live()
        return self._bound

    def _live(self) -> None:
        """Note from which call to which each buffer is needed: what a loop reads that was there
        before, to its end.
        """
        loops: list[tuple[int, int]] = []
        labels: dict[Label, int] = {}
        for number, call in enumerate(self._bound.calls):
            for buffer in self._touched(call):
                buffer.touch(number)
            if isinstance(call, Label):
                labels[call] = number
            elif isinstance(call, Jump) and call.label in labels:
                loops.append((labels[call.label], number))
        for start, end in loops:
            for buffer in self._bound.buffers:
                if buffer.first < start <= buffer.last < end:
                    buffer.last = end

    def _unread(self, array: Array) -> Array:
        """Return captured memory whose address is known, and whose values are not for now."""
        real = array.storage
        storage = self._outside.get(id(real))
        if storage is None:
            storage = Storage(Promise(_needs_values), real.nbytes, real.writable, real.address)
            self._outside[id(real)] = storage
            self._bound.outside[id(storage)] = real
        return Array(storage, array.layout, array.dtype)

    def _promised(self, spec: Spec) -> Array:
        storage = self._allocate(spec_bytes(spec))
        return Array(storage, lay.contiguous(spec.shape), spec.dtype)

    def _allocate(self, nbytes: int) -> Storage:
        number = len(self._bound.buffers)
        address = _FIRST + number * _EACH + _START
        storage = Storage(Promise(_needs_values), nbytes, True, address)
        self._bound.buffers.append(Buffer(number, storage))
        return storage

    def _buffer(self, array: Array) -> Buffer:
        found = self._bound.locate(array.storage.address)
        assert found is not None, "the array has promised memory"
        return found[0]

    def _is_promised(self, array: Array) -> bool:
        return array.storage.address >= _FIRST

    def _array(self, value: Value) -> Array:
        """Return the array that a value is, computed now if it is a constant."""
        if value in self._held:
            return self._held[value]
        array = self._held[value] = self._constants.array(value)
        self._bound.keeps.append(array)
        return array

    def _run(self, place: int, node: Node) -> None:
        arrays = [self._array(x) for x in node.inputs]
        outputs: Sequence[Array]
        match node.op:
            case Cond():
                outputs = self._guarded(node, arrays, self._branches)
            case While():
                outputs = self._guarded(node, arrays, self._loop)
            case _:
                outputs = self._noted(place, node, arrays)
        self._held.update(zip(node.outputs, outputs, strict=True))
        for value, array in zip(node.outputs, outputs, strict=True):
            self._seen_in.setdefault(id(array.storage), []).append(value)

    def _noted(self, place: int, node: Node, arrays: list[Array]) -> Sequence[Array]:
        launches: list[Launch] = []
        try:
            with noting(launches, self._allocate), allocating(self._allocate):
                if isinstance(node.op, Formulas) and compiles_here():
                    outputs: Sequence[Array] = self._targets_of(place, node, arrays)
                    node.op.write(outputs, arrays)
                else:
                    found = node.op.run(*arrays)
                    outputs = found if isinstance(found, tuple) else (found,)
            self._add(node.op.name, launches)
        except _NeedsValues:
            _warn_once(node.op.name)
            outputs = [self._promised(value.spec) for value in node.outputs]
            self._add(node.op.name, [HostCall(node.op, tuple(arrays), tuple(outputs))])
        return outputs

    def _guarded(
        self, node: Node, arrays: list[Array], note: "Callable[[Any, list[Array]], list[Array]]"
    ) -> list[Array]:
        """Note the calls of an op with jumps; all of it is up to Python if some of it is."""
        start = len(self._bound.calls)
        outputs = note(node.op, arrays)
        if any(isinstance(call, HostCall) for call in self._bound.calls[start:]):
            del self._bound.calls[start:], self._bound.names[start:]
            self._add(node.op.name, [HostCall(node.op, tuple(arrays), tuple(outputs))])
        return outputs

    def _branches(self, op: Cond, arrays: list[Array]) -> list[Array]:
        """Note the calls of both branches, with jumps past one of them."""
        chosen, *given = arrays
        otherwise, end = Label(), Label()
        outputs = [self._promised(value.spec) for value in op.then.outputs]
        self._add(op.name, [Jump(chosen.address, otherwise)])
        self._fill(outputs, self._inlined(op.then, given))
        self._add(op.name, [Jump(None, end), otherwise])
        self._fill(outputs, self._inlined(op.otherwise, given))
        self._add(op.name, [end])
        return outputs

    def _loop(self, op: While, arrays: list[Array]) -> list[Array]:
        """Note the calls of the test and the body, with a jump out of them and one back."""
        again, end = Label(), Label()
        count = op.carried
        state = [self._copied(array) for array in arrays[:count]]
        self._add(op.name, [again])
        (goes_on,) = self._inlined(op.test, [*state, *arrays[count:]])
        self._add(op.name, [Jump(goes_on.address, end)])
        found = self._inlined(op.body, [*state, *arrays[count:]])
        storages = {id(array.storage) for array in state}
        # What is carried on may be a view of what was carried so far.
        safe = [self._copied(x) if id(x.storage) in storages else x for x in found]
        self._fill(state, safe)
        self._add(op.name, [Jump(None, again), end])
        return state

    def _inlined(self, graph: Graph, arrays: Sequence[Array]) -> list[Array]:
        """Note the calls of a graph within the graph."""
        improved = optimise(graph)
        self._held.update(zip(improved.inputs, arrays, strict=True))
        for node in improved.nodes:
            self._run(-1, node)
        return [self._array(value) for value in improved.outputs]

    def _fill(self, targets: Sequence[Array], sources: Sequence[Array]) -> None:
        for target, source in zip(targets, sources, strict=True):
            self._copy(target, source)

    def _add(self, name: str, calls: Sequence[Call]) -> None:
        self._bound.calls += calls
        self._bound.names += [name] * len(calls)

    def _targets_of(self, place: int, node: Node, arrays: list[Array]) -> list[Array]:
        """Return where elementwise ops write: to captured memory at once, over operands that nobody
        reads again, or to memory of their own.
        """
        captured = self._captured_targets(place, node)
        if captured is not None:
            return captured
        targets: list[Array] = []
        for value in node.outputs:
            free = (
                array
                for array in arrays
                if array.spec == value.spec
                and all(array.storage is not target.storage for target in targets)
                and self._may_overwrite(place, array, arrays)
            )
            targets.append(next(free, None) or self._promised(value.spec))
        return targets

    def _may_overwrite(self, place: int, array: Array, arrays: list[Array]) -> bool:
        """Return whether an operand's memory is of no use after this node, and is seen by no other
        operand in another order.
        """
        storage = array.storage
        if place < 0 or storage.address < _FIRST or not array.layout.is_contiguous:
            return False
        buffer = self._buffer(array)
        is_whole = array.layout.offset == 0 and _fills(array, buffer)
        alike = all(x.layout == array.layout for x in arrays if x.storage is storage)
        values = self._seen_in.get(id(storage), ())
        is_last = all(self._last_read_of.get(value, -1) <= place for value in values)
        return buffer.input is None and is_whole and alike and is_last

    def _captured_targets(self, place: int, node: Node) -> list[Array] | None:
        """Return the captured memory that the outputs may be written to at once, if that is all of
        them.
        """
        targets = [self._targets[value] for value in node.outputs if value in self._targets]
        if len(targets) < len(node.outputs):
            return None
        storages = [id(self._graph.captured[target].storage) for target in targets]
        is_free = all(self._last_reads.get(storage, -1) <= place for storage in storages)
        found = [self._held[target] for target in targets]
        return found if is_free and all(t.layout.is_contiguous for t in found) else None

    def _write(self) -> None:
        """Copy what captured memory is to hold, where it is not there already.

        All values are read before any memory is written that one of them may be a view of.
        """
        moves: list[tuple[Array, Array]] = []
        for write in self._graph.writes:
            source, target = self._array(write.value), self._held[write.target]
            if source.storage is target.storage and source.layout == target.layout:
                continue
            moves.append((target, source))
        changed = {id(target.storage) for target, _ in moves}
        safe = [(t, self._copied(s) if id(s.storage) in changed else s) for t, s in moves]
        for target, source in safe:
            self._copy(target, source)

    def _give(self) -> None:
        """Put outputs where the caller will find them."""
        given: set[int] = set()
        for place, value in enumerate(self._graph.outputs):
            array = self._array(value)
            buffer = self._buffer(array) if self._is_promised(array) else None
            is_whole = array.layout.is_contiguous and array.layout.offset == 0
            is_own = buffer is not None and buffer.input is None and buffer.number not in given
            if not (is_own and is_whole and buffer is not None and _fills(array, buffer)):
                array = self._copied(array)
                buffer = self._buffer(array)
            buffer.output = place
            given.add(buffer.number)
            self._bound.outputs.append(array)

    def _copied(self, array: Array) -> Array:
        copied = self._promised(array.spec)
        self._copy(copied, array)
        return copied

    def _copy(self, target: Array, source: Array) -> None:
        launches: list[Launch] = []
        with noting(launches, self._allocate), allocating(self._allocate):
            is_native = copy.write(target, source)
        self._add("copy", launches if is_native else [HostCall(copy, (source,), (target,))])

    def _touched(self, call: Call) -> Iterable[Buffer]:
        match call:
            case Launch():
                addresses = [address for _, address in call.addresses]
            case HostCall():
                addresses = [array.storage.address for array in (*call.inputs, *call.outputs)]
            case Jump():
                addresses = [] if call.unless is None else [call.unless]
            case Label():
                addresses = []
        found = (self._bound.locate(address) for address in addresses)
        return [pair[0] for pair in found if pair is not None]


_warned: set[str] = set()


def _warn_once(name: str) -> None:
    if name not in _warned:
        _warned.add(name)
        warnings.warn(
            f"{name} has no native form for its operands: the program calls back into Python for "
            "it at each run; lamina.explain(..., stage='calls') shows where",
            FallbackWarning,
            stacklevel=2,
        )


def spec_bytes(spec: Spec) -> int:
    """Return how many bytes the elements take."""
    return lay.contiguous(spec.shape).size * spec.dtype.itemsize


def _needs_values() -> Exception:
    return _NeedsValues("an op asked for values that are not there yet")


def _fills(array: Array, buffer: Buffer) -> bool:
    return spec_bytes(array.spec) == buffer.storage.nbytes


def _last_read_of(graph: Graph) -> dict[Value, int]:
    """Return the last node that reads each value; results are read after all of them."""
    last = {x: place for place, node in enumerate(graph.nodes) for x in node.inputs}
    return last | dict.fromkeys(graph.results, len(graph.nodes))


def _last_reads(graph: Graph) -> dict[int, int]:
    """Return, for each captured storage, the last node that reads it, or a view of it."""
    roots = {value: id(array.storage) for value, array in graph.captured.items()}
    last: dict[int, int] = {}
    for place, node in enumerate(graph.nodes):
        for value in node.inputs:
            if value in roots:
                last[roots[value]] = place
        if isinstance(node.op, View) and node.inputs[0] in roots:
            roots[node.output] = roots[node.inputs[0]]
    for value in graph.results:
        if value in roots:
            last[roots[value]] = len(graph.nodes)
    return last
