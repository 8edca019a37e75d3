"""Samplers: the order in which samples are visited."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import islice
from typing import Any, Protocol, final, runtime_checkable

import numpy as np

from lamina.errors import ArgumentError, StateError
from lamina.philox import Generator, State, default_generator, stream


class Sampler(ABC):
    """The numbers of the samples of one epoch; each `iter()` begins an epoch."""

    @abstractmethod
    def __iter__(self) -> Iterator[int]:
        """Return the numbers in order."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many there are."""


@runtime_checkable
class Restorable(Protocol):
    """A sampler whose order can be repeated: after loading a state, the next `iter()` gives the
    order that was under way when the state was taken.
    """

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None: ...


def check_count(name: str, value: Any, minimum: int) -> None:
    """Raise ArgumentError unless `value` is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ArgumentError(f"{name}={value!r} given; expected a whole number ≥ {minimum}")


@final
class SequentialSampler(Sampler):
    """0, 1, 2, … in order."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class SeededSampler(Sampler):
    """A sampler in random order, a new one each epoch.

    The order is a function of one draw of `generator`, of which two integers are the whole state.
    """

    def __init__(self, generator: Generator | None) -> None:
        self.generator = generator
        self._draw: State | None = None
        self._is_restored = False

    @abstractmethod
    def order(self, rng: np.random.Generator) -> Iterable[int]:
        """Return the order of an epoch."""

    def __iter__(self) -> Iterator[int]:
        if not self._is_restored or self._draw is None:
            self._draw = (self.generator or default_generator).advance()
        self._is_restored = False
        return iter(self.order(stream(self._draw)))

    def state_dict(self) -> dict[str, Any]:
        """Return the draw of the epoch under way, and the state of a generator that was given."""
        return {
            "draw": None if self._draw is None else list(self._draw),
            "generator": None if self.generator is None else list(self.generator.state),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the next epoch be the one that was under way."""
        self._draw = read_draw(state_dict, "draw")
        self._is_restored = True
        state = read_draw(state_dict, "generator")
        if self.generator is not None and state is not None:
            self.generator.state = state


def read_draw(state: Any, key: str) -> State | None:
    """Return a pair of counters kept in a saved state, or None where it holds none."""
    if not isinstance(state, Mapping) or key not in state:
        raise StateError(f"the state given lacks {key!r}; give what state_dict() returned")
    value = state[key]
    if value is None:
        return None
    match value:
        case [int(seed), int(draw)] if 0 <= seed < 1 << 64 and 0 <= draw < 1 << 64:
            return seed, draw
    raise StateError(f"{key!r} of the state is {value!r}; expected two counters")


@final
class RandomSampler(SeededSampler):
    """All samples in random order; or `num_samples` of them, `replacement` or not.

    More samples than there are take further rounds, each a random order of all.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(generator)
        if num_samples is not None:
            check_count("num_samples", num_samples, 1)
        self.data_source = data_source
        self.replacement = replacement
        self.num_samples = num_samples

    def order(self, rng: np.random.Generator) -> Iterable[int]:
        count = len(self.data_source)
        if count == 0:
            return []
        if self.replacement:
            numbers: list[int] = rng.integers(count, size=len(self)).tolist()
            return numbers
        rounds = -(-len(self) // count)
        numbers = [i for _ in range(rounds) for i in rng.permutation(count).tolist()]
        return numbers[: len(self)]

    def __len__(self) -> int:
        return len(self.data_source) if self.num_samples is None else self.num_samples


@final
class SubsetRandomSampler(SeededSampler):
    """The given numbers in random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        super().__init__(generator)
        self.indices = [int(i) for i in indices]

    def order(self, rng: np.random.Generator) -> Iterable[int]:
        return [self.indices[i] for i in rng.permutation(len(self.indices))]

    def __len__(self) -> int:
        return len(self.indices)


@final
class WeightedRandomSampler(SeededSampler):
    """`num_samples` numbers, each with a chance in proportion to its weight."""

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(generator)
        chances = np.asarray(weights, np.float64)
        if chances.ndim != 1 or not np.isfinite(chances).all() or (chances < 0).any():
            raise ArgumentError(
                "WeightedRandomSampler: expected one finite weight ≥ 0 for each sample"
            )
        available = np.count_nonzero(chances)
        if num_samples < 1 or available < (1 if replacement else num_samples):
            raise ArgumentError(
                f"WeightedRandomSampler: num_samples={num_samples} given for {available} samples "
                "with a weight above 0; with replacement=True any number from 1 can be drawn"
            )
        self.weights = chances / chances.sum()
        self.num_samples = num_samples
        self.replacement = replacement

    def order(self, rng: np.random.Generator) -> Iterable[int]:
        drawn = rng.choice(len(self.weights), self.num_samples, self.replacement, self.weights)
        numbers: list[int] = drawn.tolist()
        return numbers

    def __len__(self) -> int:
        return self.num_samples


@final
class BatchSampler:
    """The numbers of `sampler`, cut into lists; `drop_last` leaves out a short last one."""

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool = False) -> None:
        check_count("batch_size", batch_size, 1)
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        # No generator itself: the epoch of the sampler begins here, not with the first batch.
        return self.batches(iter(self.sampler))

    def batches(self, numbers: Iterator[Any]) -> Iterator[list[Any]]:
        """Return what `numbers` gives, cut into batches."""
        while batch := list(islice(numbers, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        count = len(self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the sampler inside, if it has one."""
        return self.sampler.state_dict() if isinstance(self.sampler, Restorable) else {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the sampler inside, if it has a state."""
        if isinstance(self.sampler, Restorable):
            self.sampler.load_state_dict(state_dict)
