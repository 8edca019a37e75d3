"""The native half of the thread team: the loop that its workers park in, and the fork-join.

A job is a function, its arguments and a number of seats. A worker joins it by taking a seat, in
one atomic step; the caller works too, and when its own call returns it closes the job and waits
for those who joined. A worker that was not scheduled in time finds no seat and holds nobody.

One block of memory holds all that the threads share; each function takes its address.
"""

from typing import Any

from lamina.codegen import atomics, llvm
from lamina.codegen.builder import Builder, Cell, Function, KernelModule
from lamina.codegen.meeting import LINE, Word
from lamina.codegen.types import Pointer, Type, i32, i64, u8
from lamina.codegen.values import Value

# Places in the block, in i64s. What different threads write lies on different cache lines.
_NEWS, _SEATS, _BALANCE, _BUSY, _JOB = (line * LINE for line in range(5))
_ENTRY, _ARGUMENTS, _SCRATCH, _STRIDE, _PLACES, _WORKERS = range(_JOB, _JOB + 6)
_WAKES = 2
# 100 µs on Zen 3: eager ops follow each other in that time, and waking a worker costs more than
# many an op. Longer, and workers whose core has a busy neighbour would join jobs and stall them.
_IDLE_SPINS = 4000
BLOCK_BYTES = (_JOB + LINE) * 8
BUSY_AT_BYTE = _BUSY * 8


def emit_team(module: KernelModule) -> None:
    """Define `park`, `fork_join`, `fork_join_all`, `sequence` and `resize`."""
    _emit_park(module)
    fork_join = _emit_fork_join(module, "fork_join", together=False)
    _emit_sequence(module, fork_join)
    _emit_fork_join(module, "fork_join_all", together=True)
    _emit_resize(module)


def _call(k: Builder, entry: Value, arguments: Value, scratch: Value) -> None:
    """Call the function at the address `entry`."""
    pointer = llvm.ir.PointerType()
    kind: Any = llvm.ir.FunctionType(llvm.ir.VoidType(), [pointer, pointer]).as_pointer()
    function = k.emit.inttoptr(entry.ir, kind)
    operands = [k.emit.inttoptr(address.ir, pointer) for address in (arguments, scratch)]
    k.emit.call(function, operands)


def _emit_park(module: KernelModule) -> None:
    """Define `park(worker)`: serve jobs until the team has no place for this worker.

    `worker` points to the address of the block and the worker's number.
    """
    with module.function("park", {"worker": Pointer(i64)}) as (k, worker):
        block = k.pointer_at(worker[0], i64)
        number = worker[1]
        news, seats = Word.at(k, block + _NEWS), Word.at(k, block + _SEATS)
        places = block + _PLACES
        with k.repeat_while(lambda: atomics.load(k, places) > number):
            seen = news.get()
            free = k.cell(i32, seats.get())
            taken = k.cell(i32, 0)
            with k.repeat_while(lambda: k.both(free.get() > 0, taken.get().equals(0))):
                found, got = atomics.compare_exchange(k, seats.pointer, free.get(), free.get() - 1)
                taken.set(k.select(got, found, k.constant(i32, 0)))
                free.set(found)
            with k.either(taken.get() > 0) as (then, otherwise):
                with then:
                    _serve(k, block, seats, taken.get())
                # A worker that is to go hears of it by a change of `news` too.
                with otherwise, k.when(atomics.load(k, places) > number):
                    news.wait_while(seen, spins=_IDLE_SPINS)


def _serve(k: Builder, block: Value, seats: Word, seat: Value) -> None:
    """Work on the job whose `seat` this worker has taken; seats are numbered down to 1."""
    free = k.convert(seat, i64) - 1
    with k.either(free > 0) as (others, last):
        with others:
            _wake_workers(k, block, free)
        with last:
            seats.wake()
    scratch = block[_SCRATCH] + free * block[_STRIDE]
    _call(k, block[_ENTRY], block[_ARGUMENTS], scratch)
    balance = Word.at(k, block + _BALANCE)
    with k.when(balance.add(1).equals(-1)):
        balance.wake()


_FORK_JOIN: dict[str, Type] = {
    "block": Pointer(i64),
    "entry": i64,
    "arguments": i64,
    "scratch": i64,
    "helpers": i64,
    "helpers_scratch": i64,
    "stride": i64,
}


def _emit_fork_join(module: KernelModule, name: str, *, together: bool) -> Function:
    """Define the call of `entry` on this thread and on up to `helpers` others.

    When the team works for someone else, this thread runs alone. Together: the job begins with
    a `Meeting`; the others are waited for before it starts.
    """
    with module.function(name, _FORK_JOIN) as (
        k, block, entry, arguments, scratch, helpers, helpers_scratch, stride,
    ):  # fmt: skip
        busy = Word.at(k, block + _BUSY)
        meeting = k.pointer_at(arguments, i64)
        if together:
            _prepare_meeting(k, meeting)
        with k.either(atomics.exchange(k, busy.pointer, 1).equals(0)) as (then, otherwise):
            with then:
                job = (entry, arguments, helpers_scratch, stride)
                for slot, value in zip((_ENTRY, _ARGUMENTS, _SCRATCH, _STRIDE), job, strict=True):
                    block[slot] = value
                wanted = k.minimum(helpers, atomics.load(k, block + _WORKERS))
                seats = k.convert(wanted, i32)
                atomics.store(k, k.cast_pointer(block + _SEATS, i32), seats)
                Word.at(k, block + _NEWS).add(1)
                _wake_workers(k, block, wanted)
                if together:
                    Word.at(k, block + _SEATS).wait_until(0)
                    _begin_meeting(k, meeting, seats + 1)
                _call(k, entry, arguments, scratch)
                _close(k, block, seats)
                _give_back(k, busy)
            with otherwise:
                if together:
                    _begin_meeting(k, meeting, k.constant(i32, 1))
                _call(k, entry, arguments, scratch)
        handle: Function = k.handle
    return handle


# A run begins with the block of the team, the program, scratch memory of this thread and of its
# helpers, and the stride of theirs; then come the bases that addresses are counted from.
RUN_WORDS = 5
# A program: how many calls, words of arguments and addresses among those, then where each of the
# three tables lies.
PROGRAM_WORDS = 6
_CALLS, _WORDS, _PLACES_FILLED, _CALL_TABLE, _WORD_TABLE, _PLACE_TABLE = range(PROGRAM_WORDS)


def _emit_sequence(module: KernelModule, fork_join: Function) -> None:
    """Define `sequence(run)`: make the calls of a program one after the other.

    The first base is the address of memory for the arguments. They are copied there from the table
    of words, addresses are put in, each a row (word, base, offset), and then each row (entry, first
    word of its arguments, helpers) of the table of calls is called. A row without an entry jumps.
    """
    fill = _emit_fill(module)
    with module.function("sequence", {"run": Pointer(i64)}) as (k, run):
        block, program = k.pointer_at(run[0], i64), k.pointer_at(run[1], i64)
        scratch, helpers_scratch, stride = run[2], run[3], run[4]
        bases, zero = run + RUN_WORDS, k.integer(0)
        k.call(fill, program, bases, zero, program[_WORDS], zero, program[_PLACES_FILLED])
        calls = k.pointer_at(program[_CALL_TABLE], i64)
        place = k.cell(i64, 0)
        with k.repeat_while(lambda: place.get() < program[_CALLS]):
            row = calls + place.get() * 3
            place.set(place.get() + 1)
            entry, arguments, helpers = row[0], bases[0] + row[1] * 8, row[2]
            with k.either(entry.equals(0)) as (jump, call):
                with jump:
                    _jump(k, k.pointer_at(arguments, i64), place, fill, program, bases)
                with call, k.either(helpers > 0) as (together, alone):
                    with together:
                        job = (entry, arguments, scratch, helpers, helpers_scratch, stride)
                        k.call(fork_join, block, *job)
                    with alone:
                        _call(k, entry, arguments, scratch)


def _emit_fill(module: KernelModule) -> Function:
    """Define `_fill(program, bases, word, word_stop, place, place_stop)`: copy a range of the table
    of words to the memory for arguments, and put a range of addresses in.
    """
    table = Pointer(i64)
    parameters: dict[str, Type] = {
        "program": table, "bases": table, "word": i64, "word_stop": i64, "place": i64,
        "place_stop": i64,
    }  # fmt: skip
    with module.function("_fill", parameters) as opened:
        k, program, bases, word, word_stop, place, place_stop = opened
        words = k.pointer_at(bases[0], i64)
        given = k.pointer_at(program[_WORD_TABLE], i64)
        lanes = k.target.lanes(i64)
        with k.loop(word_stop, start=word, step=lanes) as turn:
            words.store(turn.index, given.load(turn.index, lanes=lanes))
        places = k.pointer_at(program[_PLACE_TABLE], i64)
        with k.loop(place_stop, start=place) as turn:
            row = places + turn.index * 3
            words[row[0]] = bases[row[1]] + row[2]
        handle: Function = k.handle
    return handle


# A jump: the address of a byte, the call to go on with where that is 0, and the ranges to fill
# anew then: kernels count in their arguments.
JUMP_WORDS = 6


def _jump(
    k: Builder, jump: Value, place: Cell, fill: Function, program: Value, bases: Value
) -> None:
    """Go on with another call where the byte that `jump` names is 0."""
    with k.when(k.pointer_at(jump[0], u8)[0].equals(0)):
        place.set(jump[1])
        k.call(fill, program, bases, *(jump[number] for number in range(2, JUMP_WORDS)))


def _wake_workers(k: Builder, block: Value, free: Value) -> None:
    """Wake the first workers for the `free` seats; waking is slow, so who comes wakes the next."""
    Word.at(k, block + _NEWS).wake(k.convert(k.minimum(free, _WAKES), i32))


def _close(k: Builder, block: Value, seats: Value) -> None:
    """Take back the seats that nobody wanted, and wait for those who sat."""
    free = atomics.exchange(k, k.cast_pointer(block + _SEATS, i32), 0)
    joined = seats - free
    with k.when(joined > 0):
        balance = Word.at(k, block + _BALANCE)
        balance.add(free - seats)
        balance.wait_until(0)


def _give_back(k: Builder, busy: Word) -> None:
    atomics.exchange(k, busy.pointer, 0)
    busy.wake(1)


def _prepare_meeting(k: Builder, meeting: Value) -> None:
    """Set the words of a `Meeting` to 0: how many, the next number, arrived, phase."""
    for word in (0, 1, LINE, 2 * LINE):
        meeting[word] = 0


def _begin_meeting(k: Builder, meeting: Value, count: Value) -> None:
    present = Word.at(k, meeting)
    atomics.exchange(k, present.pointer, count)
    present.wake()


def _emit_resize(module: KernelModule) -> None:
    """Define `resize(block, places, workers)`, which acts between two jobs: workers numbered from
    `places` on leave; `workers` is how many there are.
    """
    parameters: dict[str, Type] = {"block": Pointer(i64), "places": i64, "workers": i64}
    with module.function("resize", parameters) as (k, block, places, workers):
        busy = Word.at(k, block + _BUSY)
        with k.repeat_while(lambda: atomics.exchange(k, busy.pointer, 1).equals(1)):
            busy.wait_while(k.constant(i32, 1))
        atomics.store(k, block + _PLACES, places)
        atomics.store(k, block + _WORKERS, workers)
        news = Word.at(k, block + _NEWS)
        news.add(1)
        news.wake()
        _give_back(k, busy)
