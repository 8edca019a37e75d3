"""Programs: the calls of a graph placed in memory, made by one native call.

What does not change from run to run is kept once: the arguments of all kernels, where addresses go
in them, and the order of the calls. Each run has a `Frame` of its own: an arena for what lives
between calls, and room for the arguments. So several threads can run a program at once.
"""

import ctypes
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from lamina.codegen import threads
from lamina.codegen.team import RUN_WORDS
from lamina.graph.bind import Bound, Buffer, Call, HostCall
from lamina.graph.plan import Lifetime, Plan, plan_memory
from lamina.graph.tables import ARENA, ARGUMENTS, GIVEN, OUTSIDE, WORD, Found, Step, Tables, tabled
from lamina.kernels.launch import Launch
from lamina.memory import Array, Storage, allocate

# Room for what is fed at one place of a graph: a dozen coefficients, or a draw.
_FED_BYTES = 512
_PROGRAM_AT, _SCRATCH_AT, _GIVEN_AT = 1, 2, RUN_WORDS + GIVEN

_INPUTS_AT = _GIVEN_AT * WORD


class Frame(NamedTuple):
    """Memory of one run: what `codegen.team` calls a run, and what its words point to."""

    run: Any
    address: int
    arguments: Storage
    arena: Storage
    scratch: Storage
    fed: Storage


class Program:
    """Kernel calls in order; `run` makes them for inputs and outputs at given addresses.

    Behind its `inputs` a graph has those that are fed: numbers that come with each run, for which
    there is room in the frame.
    """

    def __init__(self, bound: Bound, inputs: int, fed: Sequence[struct.Struct] = ()) -> None:
        self._bound = bound
        self._inputs = inputs + len(fed)
        self._fed = tuple(fed)
        # What is fed lies between inputs and outputs, at addresses that stay.
        self._packed_inputs = struct.Struct(f"{inputs}q")
        self._packed_outputs = struct.Struct(f"{len(bound.outputs)}q")
        self._packed_both = struct.Struct(f"{inputs + len(bound.outputs)}q")
        self._outputs_at = (_GIVEN_AT + self._inputs) * WORD
        self.outputs = tuple(bound.outputs)
        self.plan, self._offsets = _placed(bound.buffers)
        self._parts = [self._part(calls) for calls in self._runs(bound.calls)]
        # A list would ask for memory as it shrinks and grows.
        self._frames: deque[Frame] = deque()
        sources = {id(s): s for known in bound.known for s in known.sources}
        self._sources = tuple(sources.values())
        self._versions = [storage.version for storage in self._sources]

    @property
    def calls(self) -> tuple[tuple[str, Call], ...]:
        """All calls in order, with the names of the ops that they are for."""
        return tuple(zip(self._bound.names, self._bound.calls, strict=True))

    @property
    def launches(self) -> tuple[Launch, ...]:
        """The kernel calls."""
        return tuple(call for call in self._bound.calls if isinstance(call, Launch))

    @property
    def host_calls(self) -> tuple[HostCall, ...]:
        """The ops that Python runs between kernel calls."""
        return tuple(call for call in self._bound.calls if isinstance(call, HostCall))

    @property
    def fed_counts(self) -> tuple[int, ...]:
        """How many numbers are fed at each place."""
        return tuple(int(packed.format[:-1]) for packed in self._fed)

    @property
    def is_current(self) -> bool:
        """Whether the constants that were computed with ahead still hold what they held."""
        return [storage.version for storage in self._sources] == self._versions

    def run(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        numbers: Sequence[Sequence[float]] = (),
    ) -> None:
        """Make all calls for inputs and outputs at these addresses, and numbers that are fed."""
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = self._frame()
        try:
            if self._fed:
                self._packed_inputs.pack_into(frame.run, _INPUTS_AT, *inputs)
                self._packed_outputs.pack_into(frame.run, self._outputs_at, *outputs)
                for place, (packed, given) in enumerate(zip(self._fed, numbers, strict=True)):
                    packed.pack_into(frame.fed.buffer, place * _FED_BYTES, *given)
            else:
                self._packed_both.pack_into(frame.run, _INPUTS_AT, *inputs, *outputs)
            for part in self._parts:
                self._make(part, frame)
        finally:
            self._frames.append(frame)

    def _make(self, part: "Tables | HostCall", frame: Frame) -> None:
        if isinstance(part, HostCall):
            self._call_host(part, frame)
            return
        frame.run[_PROGRAM_AT] = part.address
        threads.sequence(
            frame.run, frame.address, threads=part.threads, scratch_bytes=part.scratch_bytes
        )

    def release(self) -> None:
        """Give the memory of runs back to the pool; the next run takes some anew."""
        self._frames.clear()

    def _frame(self) -> Frame:
        tables = [part for part in self._parts if isinstance(part, Tables)]
        arguments = allocate(max((part.argument_bytes for part in tables), default=0))
        scratch = allocate(max((part.scratch_bytes for part in tables), default=0))
        arena, fed = allocate(self.plan.nbytes), allocate(len(self._fed) * _FED_BYTES)
        run = (ctypes.c_int64 * (_GIVEN_AT + self._inputs + len(self.outputs)))()
        run[_SCRATCH_AT] = scratch.address
        run[RUN_WORDS + ARGUMENTS], run[RUN_WORDS + ARENA] = arguments.address, arena.address
        first = _GIVEN_AT + self._inputs - len(self._fed)
        for place in range(len(self._fed)):
            run[first + place] = fed.address + place * _FED_BYTES
        return Frame(run, ctypes.addressof(run), arguments, arena, scratch, fed)

    def _find(self, address: int) -> Found:
        located = self._bound.locate(address)
        if located is None:
            return Found(OUTSIDE, address)
        buffer, offset = located
        if buffer.input is not None:
            return Found(GIVEN + buffer.input, offset)
        if buffer.output is not None:
            return Found(GIVEN + self._inputs + buffer.output, offset)
        return Found(ARENA, self._offsets[buffer.number] + offset)

    def _runs(self, calls: Iterable[Call]) -> Iterable[list[Step] | HostCall]:
        """Give kernel calls that follow each other as one list, host calls alone."""
        for is_host, run in groupby(calls, lambda call: isinstance(call, HostCall)):
            if is_host:
                yield from (call for call in run if isinstance(call, HostCall))
            else:
                yield [call for call in run if not isinstance(call, HostCall)]

    def _part(self, calls: list[Step] | HostCall) -> Tables | HostCall:
        return calls if isinstance(calls, HostCall) else tabled(calls, self._find)

    def _call_host(self, call: HostCall, frame: Frame) -> None:
        found = call.op.run(*(self._actual(array, frame) for array in call.inputs))
        results = found if isinstance(found, tuple) else (found,)
        for array, result in zip(call.outputs, results, strict=True):
            self._actual(array, frame).numpy()[...] = result.numpy()

    def _actual(self, array: Array, frame: Frame) -> Array:
        """Return what stands in a frame for an array of promised memory."""
        real = self._bound.outside.get(id(array.storage))
        if real is None and self._bound.locate(array.storage.address) is None:
            return array
        if real is None:
            base, offset = self._find(array.storage.address)
            nbytes = array.storage.nbytes
            memory = (ctypes.c_uint8 * nbytes).from_address(frame.run[RUN_WORDS + base] + offset)
            real = Storage(np.ctypeslib.as_array(memory), nbytes)
        return Array(real, array.layout, array.dtype)


def _placed(buffers: Sequence[Buffer]) -> tuple[Plan, dict[int, int]]:
    """Return the plan of the arena, and the place in it of each buffer that lives there."""
    inside = [b for b in buffers if b.input is None and b.output is None and b.first >= 0]
    plan = plan_memory([Lifetime(b.storage.nbytes, b.first, b.last) for b in inside])
    return plan, {b.number: place for b, place in zip(inside, plan.offsets, strict=True)}
