"""Steps that all threads agree on, and sleep until another thread wakes: functions over a Builder.

Orders are those of C++: what a thread wrote before a *release* is seen by the thread that reads
the same word with *acquire*; *sequential* steps happen in one order that all threads see. They
hold on every processor: x86 has most of them for nothing, AArch64 is told by LLVM.

What differs between processors is a row of `_SYSTEMS`. Where there is none, sleeping is a
CompileError and `pause` nothing.
"""

from dataclasses import dataclass

from lamina.codegen import llvm
from lamina.codegen.builder import Builder
from lamina.codegen.types import LLVM_ORDERS, Order, Scalar, element_of, i32, i64
from lamina.codegen.values import Number, Value, constant
from lamina.errors import CompileError

ALL = 0x7FFF_FFFF
_FUTEX_WAIT, _FUTEX_WAKE = 128, 129  # the private kind: threads of one process


@dataclass(frozen=True, slots=True)
class _System:
    """Linux on one architecture: the number of the call futex(2), and the intrinsic that says that
    a thread spins, with its operands.
    """

    futex: int
    pause: str | None
    operands: tuple[int, ...] = ()


_SYSTEMS = {
    "x86_64": _System(202, "llvm.x86.sse2.pause"),
    # `yield` does nothing on most cores; a barrier for instructions holds them for a while.
    "aarch64": _System(98, "llvm.aarch64.isb", (15,)),
    "riscv64": _System(98, None),
}


def load(k: Builder, pointer: Value, *, order: Order = "acquire") -> Value:
    """Return the integer at `pointer`, whole even while another thread writes it."""
    scalar = element_of(pointer.type)
    kind = scalar.llvm_type()
    ir = k.emit.load_atomic(pointer.ir, LLVM_ORDERS[order], scalar.bytes, typ=kind)
    return Value(k.emit, ir, scalar)


def store(k: Builder, pointer: Value, value: Value | Number, *, order: Order = "release") -> None:
    """Write an integer at `pointer`; other threads see the old one or the new one."""
    scalar = element_of(pointer.type)
    new = _as(k, scalar, value)
    # llvmlite's `store_atomic` refuses pointers that do not say what they point to.
    instruction = llvm.ir.instructions.StoreAtomicInstr(
        k.emit.block, new.ir, pointer.ir, LLVM_ORDERS[order], scalar.bytes
    )
    k.emit._insert(instruction)


def add(
    k: Builder, pointer: Value, amount: Value | Number, *, order: Order = "sequential"
) -> Value:
    """Return the integer at `pointer` and add `amount` to it, as one step."""
    return _exchanged(k, "add", pointer, amount, order)


def exchange(
    k: Builder, pointer: Value, value: Value | Number, *, order: Order = "sequential"
) -> Value:
    """Return the integer at `pointer` and put `value` there, as one step."""
    return _exchanged(k, "xchg", pointer, value, order)


def compare_exchange(
    k: Builder, pointer: Value, expected: Value, value: Value | Number
) -> tuple[Value, Value]:
    """Return the integer at `pointer`, and whether it was `expected` and so became `value`."""
    scalar = element_of(pointer.type)
    new = _as(k, scalar, value)
    pair = k.emit.cmpxchg(pointer.ir, expected.ir, new.ir, "seq_cst", "acquire")
    found = Value(k.emit, k.emit.extract_value(pair, 0), scalar)
    return found, found.equals(expected)


def fence(k: Builder, *, order: Order = "sequential") -> None:
    """Keep what comes before from changing places with what comes after."""
    k.emit.fence(LLVM_ORDERS[order])


def pause(k: Builder) -> None:
    """Tell the processor that this thread waits for another one."""
    system = _SYSTEMS.get(k.target.arch)
    if system is None or system.pause is None:
        return
    operands = [k.constant(i32, operand).ir for operand in system.operands]
    kinds = [operand.type for operand in operands]
    k.emit.call(k.intrinsic(system.pause, llvm.ir.VoidType(), kinds), operands)


def sleep_while(k: Builder, word: Value, value: Value) -> None:
    """Sleep if the i32 at `word` is `value`, until `wake`; it may also return without a cause."""
    _futex(k, word, _FUTEX_WAIT, value)


def wake(k: Builder, word: Value, count: Value | int) -> None:
    """Wake up to `count` of the threads that sleep on `word`."""
    _futex(k, word, _FUTEX_WAKE, _as(k, i32, count))


def _as(k: Builder, scalar: Scalar, value: Value | Number) -> Value:
    return value if isinstance(value, Value) else constant(k.emit, scalar, value)


def _exchanged(k: Builder, what: str, pointer: Value, value: Value | Number, order: Order) -> Value:
    scalar = element_of(pointer.type)
    operand = _as(k, scalar, value)
    ir = k.emit.atomic_rmw(what, pointer.ir, operand.ir, LLVM_ORDERS[order])
    return Value(k.emit, ir, scalar)


def _futex(k: Builder, word: Value, operation: int, value: Value) -> None:
    """Call futex(2): it compares and sleeps, or wakes, as one step. https://lwn.net/Articles/360699"""
    system = _SYSTEMS.get(k.target.arch)
    if system is None:
        known = ", ".join(_SYSTEMS)
        raise CompileError(f"no way to sleep on {k.target.arch} is known; expected {known}")
    number = i64.llvm_type()
    kinds = [number, word.ir.type, number, number, number]
    function = k.intrinsic("syscall", number, kinds)
    futex, what, for_ever = (k.constant(i64, given).ir for given in (system.futex, operation, 0))
    k.emit.call(function, [futex, word.ir, what, k.convert(value, i64).ir, for_ever])
