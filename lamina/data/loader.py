"""DataLoader: batches of a data set, in an order that can be saved and restored exactly."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from functools import partial
from itertools import count, islice
from typing import Any, final

from lamina.data.collate import default_collate
from lamina.data.dataset import Gathering, IterableDataset
from lamina.data.randomness import sample_at
from lamina.data.sampler import (
    BatchSampler,
    RandomSampler,
    Restorable,
    SequentialSampler,
    check_count,
    read_draw,
)
from lamina.data.workers import Prefetcher, Task
from lamina.errors import ArgumentError, DTypeError, StateError
from lamina.philox import Generator, State, default_generator

Collate = Callable[[list[Any]], Any]


@final
class _Epoch:
    """A pass over the data: the draw its random numbers come from, and the batches handed out."""

    def __init__(self, draw: State, taken: int) -> None:
        self.draw = draw
        self.taken = taken


@final
class DataLoader:
    """Batches of `dataset`, once through for each `for` loop over the loader.

    Samples come in order; in random order with `shuffle`; or as `sampler` (sample numbers) or
    `batch_sampler` (lists of them) says. `drop_last` leaves out a short last batch. `collate_fn`
    makes a batch of a list of samples, by default `default_collate`.

    `num_workers` threads make batches ahead, `prefetch_factor` each; the batches, their order and
    their random numbers are those without workers. An exception of the data set is raised in the
    loop with a note that names sample and batch. `timeout` limits the seconds to wait for a batch.

    Random numbers (order, augmentation) come from a draw, at the beginning of each epoch, of
    `generator`, or of a new one with `seed`, or of Lamina's default generator. `state_dict()` in
    the middle of an epoch holds the place; a loader that loads it goes on with exactly the batches
    that were left. With `generator` or `seed` the epochs after that are the same too; else they
    follow the default generator. An `IterableDataset` is read again from its beginning up to there;
    so is a `sampler` of another make, unless it has `state_dict` and `load_state_dict` itself.

    >>> data = lamina.data.TensorDataset(lamina.arange(5))
    >>> loader = DataLoader(data, batch_size=2, shuffle=True, seed=1)
    >>> batches = iter(loader)
    >>> first, place = next(batches), loader.state_dict()
    >>> rest = list(batches)
    >>> again = DataLoader(data, batch_size=2, shuffle=True, seed=0)
    >>> again.load_state_dict(place)
    >>> [b.tolist() for (b,) in again] == [b.tolist() for (b,) in rest]
    True
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Collate | None = None,
        drop_last: bool = False,
        timeout: float = 0,
        generator: Generator | None = None,
        *,
        prefetch_factor: int = 2,
        seed: int | None = None,
    ) -> None:
        check_count("num_workers", num_workers, 0)
        check_count("prefetch_factor", prefetch_factor, 1)
        if not timeout >= 0:
            raise ArgumentError(f"DataLoader: timeout={timeout} given; expected seconds ≥ 0")
        if seed is not None and generator is not None:
            raise ArgumentError("DataLoader: generator and seed given; give one of them")
        self.dataset = dataset
        self.generator = generator if seed is None else Generator(seed)
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.timeout = timeout
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self.drop_last = drop_last
        self.batch_size: int | None = batch_size
        self.sampler: Any = None
        self.batch_sampler: Any = batch_sampler
        if batch_sampler is None:
            self.sampler = self._make_sampler(shuffle=shuffle, sampler=sampler)
            self.batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)
        elif batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ArgumentError(
                "DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last; it "
                "says all of that itself"
            )
        else:
            self.batch_size = None
        self._epoch: _Epoch | None = None
        self._is_restored = False

    def _make_sampler(self, *, shuffle: bool, sampler: Any) -> Any:
        if isinstance(self.dataset, IterableDataset):
            if shuffle or sampler is not None:
                raise ArgumentError(
                    "DataLoader: an IterableDataset has an order of its own; give neither shuffle "
                    "nor sampler"
                )
            return self.dataset
        if not isinstance(self.dataset, Sized):
            raise DTypeError(
                f"DataLoader was given a {type(self.dataset).__name__}; expected a Dataset, with "
                "__getitem__ and __len__, or an IterableDataset"
            )
        if sampler is not None:
            if shuffle:
                raise ArgumentError("DataLoader: shuffle and sampler given; give one of them")
            return sampler
        if shuffle:
            return RandomSampler(self.dataset, generator=self.generator)
        return SequentialSampler(self.dataset)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        if not isinstance(self.dataset, Sized):
            raise DTypeError("an IterableDataset without __len__ has no number of batches")
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        epoch = self._begin()
        if isinstance(self.dataset, IterableDataset):
            samples = _read(iter(self.dataset), epoch.draw)
            chosen = self.batch_sampler.batches(samples)
        else:
            chosen = iter(self.batch_sampler)
        tasks = (partial(self._make_batch, epoch.draw, *pair) for pair in enumerate(chosen))
        return self._hand_out(epoch, islice(tasks, epoch.taken, None))

    def _begin(self) -> _Epoch:
        if not self._is_restored or self._epoch is None:
            draw = (self.generator or default_generator).advance()
            self._epoch = _Epoch(draw, 0)
        self._is_restored = False
        return self._epoch

    def _make_batch(self, draw: State, number: int, chosen: Sequence[Any]) -> Any:
        """Return batch `number`, of the samples with the chosen numbers."""
        is_plain = self.collate_fn is default_collate
        if isinstance(self.dataset, IterableDataset):
            return self.collate_fn(list(chosen))
        if is_plain and isinstance(self.dataset, Gathering):
            return self.dataset.gather(chosen)
        samples = []
        for place, index in enumerate(chosen):
            with sample_at(draw, (number, place)):
                try:
                    samples.append(self.dataset[index])
                except Exception as error:
                    error.add_note(f"raised by sample {index} of the data set, in batch {number}")
                    raise
        return self.collate_fn(samples)

    def _hand_out(self, epoch: _Epoch, tasks: Iterator[Task]) -> Iterator[Any]:
        if self.num_workers == 0:
            yield from self._counted(epoch, (task() for task in tasks))
            return
        ahead = self.num_workers * self.prefetch_factor
        prefetcher = Prefetcher(tasks, workers=self.num_workers, ahead=ahead, timeout=self.timeout)
        try:
            yield from self._counted(epoch, prefetcher)
        finally:
            prefetcher.close()

    def _counted(self, epoch: _Epoch, batches: Iterable[Any]) -> Iterator[Any]:
        for batch in batches:
            epoch.taken += 1
            yield batch
        if self._epoch is epoch:
            self._epoch = None

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the epoch under way, as numbers in lists and dicts."""
        epoch, sampler = self._epoch, self.batch_sampler
        return {
            "batches": 0 if epoch is None else epoch.taken,
            "draw": None if epoch is None else list(epoch.draw),
            "generator": None if self.generator is None else list(self.generator.state),
            "sampler": sampler.state_dict() if isinstance(sampler, Restorable) else {},
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on, in the next loop, where the loader stood that gave this state."""
        draw, generator = (read_draw(state_dict, key) for key in ("draw", "generator"))
        taken = state_dict.get("batches")
        if isinstance(taken, bool) or not isinstance(taken, int) or taken < 0:
            raise StateError(f"DataLoader: 'batches' of the state is {taken!r}; expected a count")
        if self.generator is not None and generator is not None:
            self.generator.state = generator
        self._epoch = None if draw is None else _Epoch(draw, taken)
        self._is_restored = draw is not None
        if draw is not None and isinstance(self.batch_sampler, Restorable):
            self.batch_sampler.load_state_dict(state_dict.get("sampler", {}))


def _read(samples: Iterator[Any], draw: State) -> Iterator[Any]:
    """Yield the samples of a stream, each made with its own random numbers."""
    for place in count():
        with sample_at(draw, (0, place)):
            try:
                sample = next(samples)
            except StopIteration:
                return
        yield sample
