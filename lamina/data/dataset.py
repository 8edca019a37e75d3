"""Data sets: what has samples by number, and what streams them."""

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Protocol, final, runtime_checkable

import numpy as np

from lamina.data.collate import default_collate
from lamina.errors import ArgumentError, DTypeError, GradientError, IndexingError, ShapeError
from lamina.philox import Generator, default_generator
from lamina.tensor import Tensor, empty


class Dataset(ABC):
    """Samples by number: `dataset[i]` for i from 0 to `len(dataset) − 1`."""

    @abstractmethod
    def __getitem__(self, index: int) -> Any:
        """Return sample `index`."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples."""


class IterableDataset(ABC):
    """Samples one after another, where they have no number: a log, a socket, an endless source."""

    @abstractmethod
    def __iter__(self) -> Iterator[Any]:
        """Return the samples from the beginning."""


@runtime_checkable
class Gathering(Protocol):
    """A data set that can hand out a whole batch at once, quicker than sample by sample."""

    def gather(self, indices: Sequence[int]) -> Any:
        """Return what `default_collate` would make of the samples at `indices`."""
        ...


def fetch(dataset: Any, indices: Sequence[int]) -> Any:
    """Return the samples at `indices` as one batch."""
    if isinstance(dataset, Gathering):
        return dataset.gather(indices)
    return default_collate([dataset[i] for i in indices])


def checked_index(index: int, count: int) -> int:
    """Return `index` counted from the front; IndexingError where there is no such sample."""
    if not -count <= index < count:
        raise IndexingError(f"sample {index} asked of {count}; expected 0 to {count - 1}")
    return index % count


@final
class TensorDataset(Dataset):
    """Tensors side by side: sample i is the tuple of their rows i; a batch takes one gather each.

    >>> data = TensorDataset(lamina.tensor([[1.0], [2.0]]), lamina.tensor([0, 1]))
    >>> data[1]
    (Tensor([2.]), Tensor(1))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ArgumentError("TensorDataset: no tensors given; give at least one")
        for place, tensor in enumerate(tensors):
            _check_column(place, tensor, tensors[0])
        self.tensors = tensors

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        place = checked_index(index, len(self))
        return tuple(tensor[place] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def gather(self, indices: Sequence[int]) -> tuple[Tensor, ...]:
        """Return the rows at `indices` of every tensor."""
        rows = np.asarray(indices, np.int64)
        count = len(self)
        wrong = rows[(rows < -count) | (rows >= count)]
        if wrong.size:
            checked_index(int(wrong[0]), count)
        return tuple(_rows(tensor, rows) for tensor in self.tensors)


def _check_column(place: int, tensor: Any, first: Any) -> None:
    if not isinstance(tensor, Tensor):
        raise DTypeError(
            f"TensorDataset: argument {place} is a {type(tensor).__name__}; expected a tensor, "
            "made with lamina.tensor()"
        )
    if tensor.requires_grad:
        raise GradientError(
            f"TensorDataset: tensor {place} requires grad; detach() it: batches have no history"
        )
    if not tensor.shape or tensor.shape[0] != first.shape[0]:
        raise ShapeError(
            f"TensorDataset: tensor {place} of shape {tensor.shape} beside one of shape "
            f"{first.shape}; expected as many rows"
        )


def _rows(tensor: Tensor, rows: np.ndarray[Any, Any]) -> Tensor:
    taken = empty((len(rows), *tensor.shape[1:]), dtype=tensor.dtype)
    source, out = tensor.array.numpy(), taken.array.numpy()
    if source.flags.c_contiguous:
        # In any mode but "raise" numpy writes straight into `out`; negative rows wrap.
        np.take(source, rows, axis=0, out=out, mode="wrap")
    else:
        # Here take() would first copy all of the source.
        out[...] = source[rows]
    return taken


@final
class Subset(Dataset):
    """The samples of another data set at `indices`."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = [int(i) for i in indices]

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[checked_index(index, len(self))]]

    def __len__(self) -> int:
        return len(self.indices)

    def gather(self, indices: Sequence[int]) -> Any:
        """Return the samples at `indices` of this subset as one batch."""
        return fetch(
            self.dataset, [self.indices[checked_index(int(i), len(self))] for i in indices]
        )


@final
class ConcatDataset(Dataset):
    """Data sets one after another."""

    def __init__(self, datasets: Sequence[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ArgumentError("ConcatDataset: no data sets given; give at least one")
        self.cumulative_sizes = list(accumulate(len(d) for d in self.datasets))

    def __getitem__(self, index: int) -> Any:
        place = checked_index(index, len(self))
        which = bisect_right(self.cumulative_sizes, place)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][place - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def random_split(
    dataset: Any, lengths: Sequence[float], generator: Generator | None = None
) -> list[Subset]:
    """Return disjoint random subsets of `dataset`, of these lengths or shares.

    Lengths add up to the number of samples, or shares to 1 (what rounding leaves over goes to the
    first ones). The same seed gives the same subsets.

    >>> first, second = random_split(range(10), [0.75, 0.25], lamina.philox.Generator(0))
    >>> len(first), len(second), sorted(first.indices + second.indices) == list(range(10))
    (8, 2, True)
    """
    count = len(dataset)
    sizes = _sizes(count, lengths)
    order = (generator or default_generator).next().permutation(count).tolist()
    ends = list(accumulate(sizes))
    return [Subset(dataset, order[end - n : end]) for n, end in zip(sizes, ends, strict=True)]


def _sizes(count: int, lengths: Sequence[float]) -> list[int]:
    if any(n < 0 for n in lengths):
        raise ArgumentError(f"random_split: lengths {list(lengths)} given; expected none below 0")
    if not all(isinstance(n, int) for n in lengths) and math.isclose(sum(lengths), 1):
        sizes = [math.floor(count * share) for share in lengths]
        for place in range(count - sum(sizes)):
            sizes[place % len(sizes)] += 1
        return sizes
    if sum(lengths) != count:
        raise ArgumentError(
            f"random_split: lengths {list(lengths)} given for {count} samples; expected a sum of "
            f"{count}, or shares that sum to 1"
        )
    return [int(n) for n in lengths]
