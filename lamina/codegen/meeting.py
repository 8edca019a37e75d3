"""How threads meet inside a kernel: words to wait on, barriers, and stages of work.

Who waits spins for some ten microseconds and then sleeps, so that a core is given back when
another thread needs it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lamina.codegen import atomics
from lamina.codegen.builder import Builder
from lamina.codegen.types import i32, i64
from lamina.codegen.values import Value, compare

# 25 µs on Zen 3, 50 µs on Skylake and later, whose pause takes 140 cycles: what waking costs under
# a hypervisor. Longer, and a helper takes time of a busy core that it will itself lack.
SPINS = 1000
LINE = 8  # i64s in a cache line; words that different threads write lie on lines of their own


@dataclass(frozen=True, slots=True)
class Word:
    """An i32 that threads wait on, in 8 bytes that begin as 0: its value, and how many sleep."""

    k: Builder
    pointer: Value

    @classmethod
    def at(cls, k: Builder, pointer: Value) -> "Word":
        """Return the word that lies where `pointer` points."""
        return cls(k, k.cast_pointer(pointer, i32))

    def get(self) -> Value:
        """Return the value now; what was written before it was set is seen."""
        return atomics.load(self.k, self.pointer)

    def add(self, amount: Value | int) -> Value:
        """Return the value and add `amount` to it; `wake` tells those who sleep."""
        return atomics.add(self.k, self.pointer, amount)

    def wake(self, count: Value | int = atomics.ALL) -> None:
        """Wake up to `count` threads that sleep until the value is another one."""
        sleepers = atomics.load(self.k, self.pointer + 1, order="sequential")
        with self.k.when(sleepers > 0):
            atomics.wake(self.k, self.pointer, count)

    def wait_while(self, value: Value, *, spins: int = SPINS) -> None:
        """Return when the value is no longer `value`; sleep after having looked `spins` times."""
        k = self.k
        turns = k.cell(i64, 0)
        with (
            k.repeat_while(lambda: self.get().equals(value)),
            k.either(turns.get() < spins) as (spin, sleep),
        ):
            with spin:
                atomics.pause(k)
                turns.set(turns.get() + 1)
            with sleep:
                # Who changes the value looks for sleepers after it: one of the two sees the other.
                atomics.add(k, self.pointer + 1, 1)
                atomics.sleep_while(k, self.pointer, value)
                atomics.add(k, self.pointer + 1, -1)

    def wait_until(self, value: Value | int) -> None:
        """Return when the value is `value`; who sets it must call `wake`."""
        k = self.k
        wanted = k.constant(i32, value) if isinstance(value, int) else value
        seen = k.cell(i32, self.get())
        with k.repeat_while(lambda: compare("!=", seen.get(), wanted)):
            self.wait_while(seen.get())
            seen.set(self.get())


@dataclass(frozen=True, slots=True)
class Meeting:
    """The participants of a job that is run together: how many they are, and which one this is.

    The arguments of the job begin with `Meeting.WORDS` i64s, which the team fills.
    """

    WORDS = 3 * LINE

    k: Builder
    words: Value
    count: Value
    number: Value

    @classmethod
    def join(cls, k: Builder, words: Value) -> "Meeting":
        """Return the meeting at `words`, once it is known how many take part."""
        present = Word.at(k, words)
        present.wait_while(k.constant(i32, 0))
        return cls(k, words, present.get(), k.claim(words + 1))

    def barrier(self) -> None:
        """Wait until every participant is here; all see what the others wrote before.

        Each participant must come to the same barriers in the same order.
        """
        k = self.k
        arrived = k.cast_pointer(self.words + LINE, i32)
        phase = Word.at(k, self.words + 2 * LINE)
        now = phase.get()
        before = atomics.add(k, arrived, 1)
        with k.either((before + 1).equals(self.count)) as (last, others):
            with last:
                atomics.store(k, arrived, 0, order="relaxed")
                phase.add(1)
                phase.wake()
            with others:
                phase.wait_while(now)


@dataclass(frozen=True, slots=True)
class Stage:
    """Chunks of work after which all participants go on together: `Stage.WORDS` i64s, set to 0
    before the job.

    It waits for chunks, not for threads: whoever comes late finds the stage done, and whoever
    never comes holds nobody. So a job made of stages is right with any number of participants.
    """

    WORDS = 2 * LINE

    k: Builder
    words: Value

    @contextmanager
    def chunks(self, count: Value) -> Iterator[Value]:
        """Give the number of each chunk that this thread claims of `count`; after the body, wait
        until all chunks are done and what was written in them is seen.
        """
        k = self.k
        finished = Word.at(k, self.words + LINE)
        mine = k.cell(i64, 0)
        with k.claimed(self.words, count) as number:
            yield number
            mine.set(mine.get() + 1)
        total, done = k.convert(count, i32), k.convert(mine.get(), i32)
        before = finished.add(done)
        with k.when((before + done).equals(total)):
            finished.wake()
        finished.wait_until(total)
