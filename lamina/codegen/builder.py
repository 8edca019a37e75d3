"""The kernel language: staged Python that emits LLVM IR.

A kernel is a Python function that is run once with symbolic values. Python's `for` unrolls;
`Builder.loop` makes a loop that runs in the kernel, and what it carries from one turn to the next
is named. Vectors are as wide as the target's registers.

>>> from lamina.codegen.target import SCALAR
>>> from lamina.codegen.types import f32
>>> module = KernelModule(SCALAR)
>>> with module.function("add_one", {"x": Pointer(f32), "n": i64}) as (k, x, n):
...     with k.loop(n) as turn:
...         x[turn.index] = x[turn.index] + 1.0
>>> "fadd" in str(module)
True
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lamina.codegen import llvm
from lamina.codegen.target import Target
from lamina.codegen.types import Pointer, Scalar, Type, Vector, element_of, i1, i64, integer_like
from lamina.codegen.values import Number, Value, constant, splat
from lamina.errors import CompileError

_SEGMENT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a module, to be called from its other functions."""

    ir: Any
    parameters: tuple[Type, ...]


@dataclass(slots=True)
class Loop:
    """One run-time loop: `index`, the `carried` values, `next` to be set, `results` after it."""

    index: Value
    carried: list[Value]
    next: list[Value] = field(default_factory=list)
    results: list[Value] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cell:
    """A scalar that branches and loops may overwrite; LLVM turns it into a register."""

    pointer: Value

    def get(self) -> Value:
        return self.pointer.load()

    def set(self, value: Value | Number) -> None:
        self.pointer.store(0, value)


class KernelModule:
    """A set of functions that are compiled together for one target."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.ir = llvm.ir.Module("lamina")

    def __str__(self) -> str:
        return str(self.ir)

    @contextmanager
    def function(
        self, name: str, parameters: dict[str, Type], *, inline: str = "auto"
    ) -> Iterator[Any]:
        """Define a function; gives (builder, value of each parameter …), and `.handle` on the
        builder.

        `inline` is "always", "never" or "auto". A function named with a leading underscore is
        private.
        """
        kinds = [kind.llvm_type() for kind in parameters.values()]
        handle = llvm.ir.Function(
            self.ir, llvm.ir.FunctionType(llvm.ir.VoidType(), kinds), name=name
        )
        handle.linkage = "internal" if name.startswith("_") else "external"
        handle.attributes.add("nounwind")
        if inline != "auto":
            handle.attributes.add({"always": "alwaysinline", "never": "noinline"}[inline])
        emit = llvm.ir.IRBuilder(handle.append_basic_block("entry"))
        builder = Builder(self, emit, Function(handle, tuple(parameters.values())))
        for argument, label in zip(handle.args, parameters, strict=True):
            argument.name = label
        pairs = zip(handle.args, parameters.values(), strict=True)
        yield builder, *(Value(emit, argument, kind) for argument, kind in pairs)
        emit.ret_void()


class Builder:
    """Emits into one function: constants, loops, branches, memory and vector operations."""

    def __init__(self, module: KernelModule, emit: Any, handle: Function) -> None:
        self.module = module
        self.target = module.target
        self.emit = emit
        self.handle = handle

    def constant(self, type_: Type, number: Number) -> Value:
        """Return `number` as a value of `type_`."""
        return constant(self.emit, type_, number)

    def integer(self, number: Value | int) -> Value:
        """Return `number` as an i64 value; values pass through."""
        return number if isinstance(number, Value) else self.constant(i64, number)

    def vector(self, scalar: Scalar) -> Vector:
        """Return the type of a full register of `scalar`."""
        return Vector(scalar, self.target.lanes(scalar))

    def zeros(self, scalar: Scalar) -> Value:
        """Return a full register of zeros."""
        return self.constant(self.vector(scalar), 0)

    def splat(self, value: Value) -> Value:
        """Return a full register with `value` in every lane."""
        return splat(value, self.target.lanes(element_of(value.type)))

    def minimum(self, a: Value, b: Value | int) -> Value:
        """Return the smaller of two integers."""
        b = self.integer(b)
        return self.select(a < b, a, b)

    def maximum(self, a: Value, b: Value | int) -> Value:
        """Return the larger of two integers."""
        b = self.integer(b)
        return self.select(a > b, a, b)

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        """Return `a` where `condition` holds, `b` elsewhere."""
        return Value(self.emit, self.emit.select(condition.ir, a.ir, b.ir), a.type)

    def both(self, a: Value, b: Value) -> Value:
        """Return the truth of `a and b`."""
        return Value(self.emit, self.emit.and_(a.ir, b.ir), a.type)

    def either_true(self, a: Value, b: Value) -> Value:
        """Return the truth of `a or b`."""
        return Value(self.emit, self.emit.or_(a.ir, b.ir), a.type)

    def cell(self, scalar: Scalar, initial: Value | Number) -> Cell:
        """Return a scalar variable, set to `initial`."""
        cell = Cell(self.stack(scalar, 1))
        cell.set(initial)
        return cell

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

    def call(self, function: Function, *arguments: Value) -> None:
        """Call another function of the module."""
        given = tuple(argument.type for argument in arguments)
        if given != function.parameters:
            raise CompileError(f"call: {function.ir.name} takes {function.parameters}, got {given}")
        self.emit.call(function.ir, [argument.ir for argument in arguments])

    @contextmanager
    def loop(
        self,
        stop: Value | int,
        *,
        start: Value | int = 0,
        step: Value | int = 1,
        carry: Sequence[Value] = (),
    ) -> Iterator[Loop]:
        """Run the body for index = start, start + step, … < stop.

        `carry` gives the first values of `turn.carried`; the body sets `turn.next`, and after the
        loop `turn.results` holds what the last turn set, or `carry` where no turn ran.
        """
        start, stop, step = self.integer(start), self.integer(stop), self.integer(step)
        entry = self.emit.block
        head, body, after = (
            self.emit.append_basic_block(name) for name in ("head", "body", "after")
        )
        self.emit.branch(head)
        self.emit.position_at_end(head)
        index = self.emit.phi(start.ir.type)
        phis = [self.emit.phi(value.ir.type) for value in carry]
        self.emit.cbranch(self.emit.icmp_signed("<", index, stop.ir), body, after)
        self.emit.position_at_end(body)
        carried = [Value(self.emit, p, v.type) for p, v in zip(phis, carry, strict=True)]
        turn = Loop(Value(self.emit, index, i64), carried)
        yield turn
        if len(turn.next) != len(phis):
            raise CompileError(f"loop: carries {len(phis)} values, but next has {len(turn.next)}")
        following = self.emit.add(index, step.ir, flags=("nsw",))
        last = self.emit.block
        self.emit.branch(head)
        index.add_incoming(start.ir, entry)
        index.add_incoming(following, last)
        for phi, first, value in zip(phis, carry, turn.next, strict=True):
            phi.add_incoming(first.ir, entry)
            phi.add_incoming(value.ir, last)
        self.emit.position_at_end(after)
        turn.results = turn.carried

    @contextmanager
    def repeat_while(self, condition: Callable[[], Value]) -> Iterator[None]:
        """Run the body as long as `condition`, evaluated before each turn, holds."""
        head, body, after = (
            self.emit.append_basic_block(name) for name in ("test", "turn", "done")
        )
        self.emit.branch(head)
        self.emit.position_at_end(head)
        self.emit.cbranch(condition().ir, body, after)
        self.emit.position_at_end(body)
        yield
        self.emit.branch(head)
        self.emit.position_at_end(after)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Run the body where `condition` holds."""
        with self.emit.if_then(condition.ir):
            yield

    @contextmanager
    def either(self, condition: Value) -> Iterator[tuple[Any, Any]]:
        """Give two contexts, one for each outcome of `condition`: `with then: … with otherwise:
        …`.
        """
        with self.emit.if_else(condition.ir) as branches:
            yield branches

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """Return a·b + c, rounded once where the target has FMA and twice elsewhere."""
        if not self.target.has_fma:
            return a * b + c
        function = self._intrinsic(f"llvm.fma.{_suffix(a.type)}", a.ir.type, [a.ir.type] * 3)
        return Value(self.emit, self.emit.call(function, [a.ir, b.ir, c.ir]), a.type)

    def prefetch(self, pointer: Value, *, to_write: bool = False, level: int = 1) -> None:
        """Ask for the cache line at `pointer`, to be used soon, in the cache of level `level`."""
        number = llvm.ir.IntType(32)
        kinds = [pointer.ir.type, number, number, number]
        function = self._intrinsic("llvm.prefetch.p0", llvm.ir.VoidType(), kinds)
        flags = [llvm.ir.Constant(number, flag) for flag in (int(to_write), 4 - level, 1)]
        self.emit.call(function, [pointer.ir, *flags])

    def claim(self, counter: Value) -> Value:
        """Return the i64 at `counter` and add 1 to it, as one step that all threads agree on."""
        one = self.constant(i64, 1)
        return Value(self.emit, self.emit.atomic_rmw("add", counter.ir, one.ir, "monotonic"), i64)

    def lanes_below(self, scalar: Scalar, count: Value) -> Value:
        """Return a mask of the lanes whose number is below `count`, for vectors of `scalar`."""
        number = integer_like(scalar)
        lanes = self.target.lanes(scalar)
        wide = llvm.ir.VectorType(number.llvm_type(), lanes)
        iota = Value(self.emit, llvm.ir.Constant(wide, list(range(lanes))), Vector(number, lanes))
        if number.bits < 64:
            count = Value(self.emit, self.emit.trunc(count.ir, number.llvm_type()), number)
        return iota < count

    def _masked(self, what: str, scalar: Scalar, result: Any, parameters: list[Any]) -> Any:
        name = f"llvm.masked.{what}.{_suffix(self.vector(scalar))}.p0"
        return self._intrinsic(name, result, parameters)

    def store_first(self, pointer: Value, value: Value, count: Value) -> None:
        """Write the first `count` lanes of `value` at `pointer`; memory past them is left alone."""
        if self.target.has_masks:
            self._store_masked(pointer, value, self.lanes_below(element_of(pointer.type), count))
        else:
            self.store_spread(pointer, value, self.integer(1), count)

    def store_seconds(self, pointer: Value, value: Value, count: Value) -> None:
        """Write the first `count` lanes of `value` to every second place from `pointer` on."""
        scalar = element_of(pointer.type)
        lanes = self.target.lanes(scalar)
        if not self.target.has_masks:
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
        function = self._masked("store", scalar, llvm.ir.VoidType(), kinds)
        align = llvm.ir.Constant(number, scalar.bytes)
        self.emit.call(function, [value.ir, pointer.ir, align, mask.ir])

    def store_spread(self, pointer: Value, value: Value, every: Value, count: Value) -> None:
        """Write the first `count` lanes of `value`, `every` apart, from `pointer` on."""
        scalar = element_of(pointer.type)
        lanes = self.target.lanes(scalar)
        spare = self.stack(scalar, max(2, lanes))
        spare.store(0, value)
        with self.loop(self.minimum(count, lanes)) as turn:
            pointer[turn.index * every] = spare[turn.index]

    def load_first(self, pointer: Value, count: Value) -> Value:
        """Return a register whose first `count` lanes are read from `pointer`; the others hold 0.

        Memory past those lanes is not touched. `count` may exceed the lanes of a register.
        """
        scalar = element_of(pointer.type)
        if not self.target.has_masks:
            return self._load_lane_by_lane(pointer, count)
        kind = self.vector(scalar).llvm_type()
        mask = self.lanes_below(scalar, count)
        number = llvm.ir.IntType(32)
        kinds = [pointer.ir.type, number, mask.ir.type, kind]
        function = self._masked("load", scalar, kind, kinds)
        align = llvm.ir.Constant(number, scalar.bytes)
        zero = self.zeros(scalar).ir
        ir = self.emit.call(function, [pointer.ir, align, mask.ir, zero])
        return Value(self.emit, ir, self.vector(scalar))

    def _load_lane_by_lane(self, pointer: Value, count: Value) -> Value:
        scalar = element_of(pointer.type)
        lanes = self.target.lanes(scalar)
        spare = self.stack(scalar, lanes)
        spare.store(0, self.zeros(scalar))
        with self.loop(self.minimum(count, lanes)) as turn:
            spare[turn.index] = pointer[turn.index]
        return spare.load(0, lanes=lanes)

    def shuffle(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        """Return the lanes numbered `lanes` of `a` followed by `b`."""
        mask_type = llvm.ir.VectorType(llvm.ir.IntType(32), len(lanes))
        mask = llvm.ir.Constant(mask_type, list(lanes))
        kind = Vector(element_of(a.type), len(lanes))
        return Value(self.emit, self.emit.shuffle_vector(a.ir, b.ir, mask), kind)

    def transpose(self, rows: Sequence[Value]) -> list[Value]:
        """Return the columns of a square of registers."""
        size = len(rows)
        low, high = range(size // 2), range(size // 2, size)

        def halves(a: int, b: int, half: int) -> Value:
            lanes = high if half else low
            return self.shuffle(rows[a], rows[b], [*lanes, *(lane + size for lane in lanes)])

        return list(self._transposed(rows[0].type, halves)) if size > 1 else list(rows)

    def load_transposed(self, sources: Sequence[Value]) -> Iterator[Value]:
        """Give the columns of the square whose rows start at `sources`, one after the other.

        Halves of rows are loaded to where they belong, which saves a round of shuffles.
        """
        size = len(sources)
        kind = Vector(element_of(sources[0].type), size)
        if size == 1:
            yield sources[0].load(0, lanes=1)
            return

        def halves(a: int, b: int, half: int) -> Value:
            first, second = (
                sources[row].load(half * (size // 2), lanes=size // 2) for row in (a, b)
            )
            return self.shuffle(first, second, range(size))

        yield from self._transposed(kind, halves)

    def _transposed(self, kind: Type, halves: Callable[[int, int, int], Value]) -> Iterator[Value]:
        """Bring segments of 128 bits to their place, then transpose within them: most processors
        shuffle faster there than across.

        `halves(a, b, half)` is a register of the same half of rows a and b.
        """
        if not isinstance(kind, Vector):
            raise CompileError(f"transpose: {kind} given; expected registers")
        segment = min(kind.lanes, _SEGMENT_BYTES // kind.element.bytes)
        count = kind.lanes // segment
        for half in (0, 1):
            if count == 1:
                yield from self._half_columns(kind.lanes, half, halves)
                continue
            groups: list[list[Value]] = [[] for _ in range(count // 2)]
            for row in range(segment):
                places = range(row, kind.lanes, 2 * segment)
                pairs = [halves(place, place + segment, half) for place in places]
                for group, register in zip(groups, self._in_order(pairs, segment), strict=True):
                    group.append(register)
            for group in groups:
                yield from self._transpose_segments(group, segment)

    def _half_columns(
        self, size: int, half: int, halves: Callable[[int, int, int], Value]
    ) -> Iterator[Value]:
        """Give half of the columns of a square of registers that have one segment."""
        pairs = [halves(row, row + 1, half) for row in range(0, size, 2)]
        if size == 2:
            yield pairs[0]
            return
        for lanes in (range(0, 2 * size, 2), range(1, 2 * size, 2)):
            yield self.shuffle(pairs[0], pairs[1], lanes)

    def _in_order(self, pairs: list[Value], segment: int) -> list[Value]:
        """Return a register for each segment of half a row, from registers of two half rows."""
        if len(pairs) == 1:
            return pairs
        a, b = pairs
        starts = range(0, 8 * segment, 2 * segment)
        return [
            self.shuffle(a, b, [start + lane for start in starts for lane in places])
            for places in (range(segment), range(segment, 2 * segment))
        ]

    def _transpose_segments(self, rows: list[Value], segment: int) -> list[Value]:
        """Transpose the squares that segments make, in log2(segment) rounds of interleaving."""
        lanes = rows[0].type.lanes if isinstance(rows[0].type, Vector) else 1
        half = segment // 2
        starts = range(0, lanes, segment)
        low = [start + lane // 2 + lane % 2 * lanes for start in starts for lane in range(segment)]
        high = [lane + half for lane in low]
        for _ in range(segment.bit_length() - 1):
            pairs = [(rows[i], rows[i + half]) for i in range(half)]
            rows = [self.shuffle(a, b, order) for a, b in pairs for order in (low, high)]
        return rows

    def _intrinsic(self, name: str, result: Any, parameters: list[Any]) -> Any:
        known = self.module.ir.globals.get(name)
        kind = llvm.ir.FunctionType(result, parameters)
        return known or llvm.ir.Function(self.module.ir, kind, name=name)


def _suffix(type_: Type) -> str:
    """Return how LLVM writes a type in the name of an intrinsic."""
    scalar = element_of(type_).name
    return f"v{type_.lanes}{scalar}" if isinstance(type_, Vector) else scalar
