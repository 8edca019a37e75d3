"""Memory in the kernel: pointers, the stack, tails of vectors, gathers, atomic counters."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lamina.codegen import llvm
from lamina.codegen.control import Control
from lamina.codegen.conversions import Conversions
from lamina.codegen.emission import suffix
from lamina.codegen.shuffles import Shuffles
from lamina.codegen.types import Pointer, Scalar, Type, Vector, element_of, i1, i64, integer_like
from lamina.codegen.values import Number, Value


@dataclass(frozen=True, slots=True)
class Cell:
    """A variable that branches and loops may overwrite; LLVM turns it into a register."""

    pointer: Value
    type: Type

    def get(self) -> Value:
        return self.pointer.load(lanes=self.type.lanes if isinstance(self.type, Vector) else None)

    def set(self, value: Value | Number) -> None:
        self.pointer.store(0, value)


class Memory(Control, Shuffles, Conversions):
    """Emits loads, stores and what else touches memory."""

    def cell(self, type_: Type, initial: Value | Number) -> Cell:
        """Return a variable, set to `initial`; numbers are for scalars."""
        count = type_.lanes if isinstance(type_, Vector) else 1
        cell = Cell(self.stack(element_of(type_), count), type_)
        cell.set(initial)
        return cell

    def table(self, scalar: Scalar, numbers: Sequence[Number]) -> Value:
        """Return the address of constant numbers that are kept beside the code."""
        digest = hashlib.sha256(repr((scalar.name, tuple(numbers))).encode()).hexdigest()
        name = f"table.{digest[:16]}"
        table = self.module.ir.globals.get(name)
        if table is None:
            kind = llvm.ir.ArrayType(scalar.llvm_type(), len(numbers))
            table = llvm.ir.GlobalVariable(self.module.ir, kind, name)
            table.linkage, table.global_constant, table.align = "internal", True, scalar.bytes
            table.initializer = llvm.ir.Constant(kind, list(numbers))
        return Value(self.emit, self.emit.gep(table, [i64.llvm_type()(0)]), Pointer(scalar))

    def stack(self, scalar: Scalar, count: int) -> Value:
        """Return the address of `count` scalars that live as long as the call does."""
        with self.emit.goto_entry_block():
            ir = self.emit.alloca(scalar.llvm_type(), size=count)
            ir.align = 64 if count > 1 else scalar.bytes
            ir.type = Pointer(scalar).llvm_type()
        return Value(self.emit, ir, Pointer(scalar))

    def cast_pointer(self, pointer: Value, scalar: Scalar) -> Value:
        """Return the same address, seen as the address of `scalar`s."""
        return Value(self.emit, pointer.ir, Pointer(scalar))

    def pointer_at(self, address: Value, scalar: Scalar) -> Value:
        """Return an i64 address as a pointer to `scalar`s."""
        pointer = Pointer(scalar)
        return Value(self.emit, self.emit.inttoptr(address.ir, pointer.llvm_type()), pointer)

    def prefetch(self, pointer: Value, *, to_write: bool = False, level: int = 1) -> None:
        """Ask for the cache line at `pointer`, to be used soon, in the cache of level `level`."""
        number = llvm.ir.IntType(32)
        kinds = [pointer.ir.type, number, number, number]
        function = self.intrinsic("llvm.prefetch.p0", llvm.ir.VoidType(), kinds)
        flags = [llvm.ir.Constant(number, flag) for flag in (int(to_write), 4 - level, 1)]
        self.emit.call(function, [pointer.ir, *flags])

    def claim(self, counter: Value) -> Value:
        """Return the i64 at `counter` and add 1 to it, as one step that all threads agree on."""
        one = self.constant(i64, 1)
        return Value(self.emit, self.emit.atomic_rmw("add", counter.ir, one.ir, "monotonic"), i64)

    @contextmanager
    def claimed(self, counter: Value, count: Value) -> Iterator[Value]:
        """Give the number of each chunk that this thread claims, until `count` of them are gone.

        The body is emitted once. Threads share `counter`, so one that is held up holds one chunk.
        """
        number = self.cell(i64, self.claim(counter))
        with self.repeat_while(lambda: number.get() < count):
            yield number.get()
            number.set(self.claim(counter))

    def lanes_below(self, scalar: Scalar, count: Value, lanes: int | None = None) -> Value:
        """Return a mask of the lanes whose number is below `count`, for vectors of `scalar`."""
        number = integer_like(scalar)
        iota = self.iota(number, self.target.lanes(scalar) if lanes is None else lanes)
        if number.bits < 64:
            count = self.minimum(self.maximum(count, 0), 127)
        return iota < self.convert(count, number)

    def _masks(self, scalar: Scalar) -> bool:
        """Return whether the target has masked loads and stores of `scalar`s."""
        return self.target.has_masks and (scalar.bits >= 32 or self.target.has_byte_masks)

    def _masked(self, what: str, kind: Type, result: Any, parameters: list[Any]) -> Any:
        return self.intrinsic(f"llvm.masked.{what}.{suffix(kind)}.p0", result, parameters)

    def store_first(self, pointer: Value, value: Value, count: Value) -> None:
        """Write the first `count` lanes of `value` at `pointer`; memory past them is left alone."""
        scalar = element_of(pointer.type)
        if self._masks(scalar):
            self._store_masked(pointer, value, self.lanes_below(scalar, count, _lanes(value)))
        else:
            self.store_spread(pointer, value, self.integer(1), count)

    def store_seconds(self, pointer: Value, value: Value, count: Value) -> None:
        """Write the first `count` lanes of `value` to every second place from `pointer` on."""
        scalar = element_of(pointer.type)
        lanes = self.target.lanes(scalar)
        if not self._masks(scalar):
            self.store_spread(pointer, value, self.integer(2), count)
            return
        truth = Vector(i1, lanes)
        pattern = llvm.ir.Constant(truth.llvm_type(), [1, 0] * (lanes // 2))
        seconds = Value(self.emit, pattern, truth)
        for start in (0, lanes):
            wide = self.shuffle(value, value, [(start + lane) // 2 for lane in range(lanes)])
            mask = self.lanes_below(scalar, count * 2 - start) & seconds
            self._store_masked(pointer + start, wide, mask)

    def _store_masked(self, pointer: Value, value: Value, mask: Value) -> None:
        scalar = element_of(pointer.type)
        number = llvm.ir.IntType(32)
        kinds = [value.ir.type, pointer.ir.type, number, mask.ir.type]
        function = self._masked("store", value.type, llvm.ir.VoidType(), kinds)
        align = llvm.ir.Constant(number, scalar.bytes)
        self.emit.call(function, [value.ir, pointer.ir, align, mask.ir])

    def store_spread(self, pointer: Value, value: Value, every: Value, count: Value) -> None:
        """Write the first `count` lanes of `value`, `every` apart, from `pointer` on."""
        scalar, lanes = element_of(pointer.type), _lanes(value)
        spare = self.stack(scalar, max(2, lanes))
        spare.store(0, value)
        with self.loop(self.minimum(count, lanes)) as turn:
            pointer[turn.index * every] = spare[turn.index]

    def load_first(self, pointer: Value, count: Value, lanes: int | None = None) -> Value:
        """Return a vector whose first `count` lanes are read from `pointer`; the others hold 0.

        It has `lanes` lanes, a full register where that is None. Memory past those read is not
        touched. `count` may exceed the lanes.
        """
        scalar = element_of(pointer.type)
        kind = Vector(scalar, self.target.lanes(scalar) if lanes is None else lanes)
        if not self._masks(scalar):
            return self._load_spread(pointer, kind, self.integer(1), count)
        mask = self.lanes_below(scalar, count, kind.lanes)
        number, ir_kind = llvm.ir.IntType(32), kind.llvm_type()
        kinds = [pointer.ir.type, number, mask.ir.type, ir_kind]
        function = self._masked("load", kind, ir_kind, kinds)
        align = llvm.ir.Constant(number, scalar.bytes)
        zero = self.constant(kind, 0).ir
        ir = self.emit.call(function, [pointer.ir, align, mask.ir, zero])
        return Value(self.emit, ir, kind)

    def load_spread(
        self, pointer: Value, every: Value, count: Value, lanes: int | None = None
    ) -> Value:
        """Return a vector whose first `count` lanes are read from `pointer` on, `every` apart.

        The others hold 0, and their memory is not touched.
        """
        scalar = element_of(pointer.type)
        kind = Vector(scalar, self.target.lanes(scalar) if lanes is None else lanes)
        return self._load_spread(pointer, kind, every, count)

    def _load_spread(self, pointer: Value, kind: Vector, every: Value, count: Value) -> Value:
        spare = self.stack(kind.element, max(2, kind.lanes))
        spare.store(0, self.constant(kind, 0))
        with self.loop(self.minimum(count, kind.lanes)) as turn:
            spare[turn.index] = pointer[turn.index * every]
        return spare.load(0, lanes=kind.lanes)

    def gather(self, pointer: Value, indices: Value) -> Value:
        """Return the scalars at `indices`; each of them is read."""
        scalar, lanes = element_of(pointer.type), _lanes(indices)
        if not isinstance(indices.type, Vector):
            return pointer[self.convert(indices, i64)]
        result = self.constant(Vector(scalar, lanes), 0)
        for number in range(lanes):
            place = self.convert(self.lane(indices, number), i64)
            result = self.with_lane(result, number, pointer[place])
        return result

    def scatter(self, pointer: Value, indices: Value, value: Value) -> None:
        """Write each lane of `value` at its index, in their order: of equal ones the last stays."""
        for number in range(_lanes(indices)):
            place = self.convert(self.lane(indices, number), i64)
            pointer[place] = self.lane(value, number)

    def store_streaming(self, pointer: Value, index: Value | Number, value: Value) -> None:
        """Write a full register past the caches; its place is aligned to its size.

        Others see it after `fence`.
        """
        place = pointer + index
        bytes_ = _lanes(value) * element_of(value.type).bytes
        store = self.emit.store(value.ir, place.ir, align=bytes_)
        one = llvm.ir.Constant(llvm.ir.IntType(32), 1)
        store.set_metadata("nontemporal", self.module.ir.add_metadata([one]))

    def fence(self) -> None:
        """Let every write before this, streaming ones included, come before what follows."""
        self.emit.fence("seq_cst")


def _lanes(value: Value) -> int:
    return value.type.lanes if isinstance(value.type, Vector) else 1
