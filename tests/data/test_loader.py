"""DataLoader: order, workers, and going on from the middle of an epoch."""

import json
import threading
import time

import pytest

import lamina
from lamina.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    TensorDataset,
    sample_generator,
)
from lamina.errors import ArgumentError, DataError, DTypeError, StateError
from lamina.philox import Generator, default_generator

COUNT = 23


class Noisy(Dataset):
    """Samples (number, a random number), made at uneven speed; number `bad` raises."""

    def __init__(self, bad=None):
        self.bad = bad
        self.asked = []
        self.threads = set()

    def __getitem__(self, index):
        self.asked.append(index)
        self.threads.add(threading.current_thread().name)
        if index == self.bad:
            raise KeyError("no picture")
        time.sleep(0.001 * (index % 3))
        return index, float(sample_generator().random())

    def __len__(self):
        return COUNT


class Stream(IterableDataset):
    def __iter__(self):
        return ((i, float(sample_generator().random())) for i in range(COUNT))


def lists(batches):
    return [[field.tolist() for field in batch] for batch in batches]


def loader(dataset=None, seed=3, **options):
    return DataLoader(dataset or Noisy(), batch_size=4, seed=seed, **options)


def test_in_order():
    data = TensorDataset(lamina.arange(5))
    assert lists(DataLoader(data, batch_size=2)) == [[[0, 1]], [[2, 3]], [[4]]]
    dropped = DataLoader(data, batch_size=2, drop_last=True)
    assert (lists(dropped), len(dropped)) == ([[[0, 1]], [[2, 3]]], 2)
    assert len(DataLoader(data)) == 5


def test_shuffled_by_the_seed():
    first = loader(shuffle=True)
    epochs = [lists(first), lists(first)]
    assert epochs[0] != epochs[1]
    assert sorted(i for batch, _ in epochs[0] for i in batch) == list(range(COUNT))
    second = loader(shuffle=True)
    assert [lists(second), lists(second)] == epochs
    assert lists(loader(shuffle=True, seed=4)) != epochs[0]


def test_default_generator_decides_without_a_seed():
    before = default_generator.state
    orders = []
    for _ in range(2):
        default_generator.manual_seed(11)
        orders.append(lists(DataLoader(Noisy(), batch_size=4, shuffle=True)))
    default_generator.state = before
    assert orders[0] == orders[1]


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_nothing(workers):
    plain, threaded = loader(shuffle=True), loader(shuffle=True, num_workers=workers)
    for _ in range(2):
        assert lists(threaded) == lists(plain)


def test_workers_work():
    data = Noisy()
    lists(loader(data, num_workers=3))
    assert all(name.startswith("lamina-data-") for name in data.threads)


@pytest.mark.parametrize("kind", ["plain", "stream", "gathered", "sampler"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("taken", [0, 1, 3, 6])
def test_goes_on_where_it_stood(kind, workers, taken):
    def make(seed):
        if kind == "stream":
            return loader(Stream(), seed, num_workers=workers)
        if kind == "gathered":
            return loader(TensorDataset(lamina.arange(COUNT)), seed, shuffle=True)
        if kind == "sampler":
            sampler = RandomSampler(range(COUNT), generator=Generator(seed))
            return loader(Noisy(), seed, sampler=sampler, num_workers=workers)
        return loader(Noisy(), seed, shuffle=True, num_workers=workers)

    first = make(3)
    lists(first)
    batches = iter(first)
    for _ in range(taken):
        next(batches)
    state = json.loads(json.dumps(first.state_dict()))
    rest, following = lists(batches), lists(first)
    assert len(rest) == 6 - taken

    restored = make(99)
    restored.load_state_dict(state)
    assert restored.state_dict() == state
    assert lists(restored) == rest
    assert lists(restored) == following


def test_goes_on_from_between_epochs():
    first = loader(shuffle=True)
    lists(first)
    restored = loader(shuffle=True, seed=99)
    restored.load_state_dict(first.state_dict())
    assert lists(restored) == lists(first)


def test_restoring_leaves_the_default_generator_alone():
    first = DataLoader(Noisy(), batch_size=4, shuffle=True)
    batches = iter(first)
    next(batches)
    state, draws = first.state_dict(), default_generator.state
    restored = DataLoader(Noisy(), batch_size=4, shuffle=True)
    restored.load_state_dict(state)
    assert lists(restored) == lists(batches)
    assert default_generator.state == draws


def test_a_loop_left_early_begins_anew():
    first = loader(num_workers=2)
    next(iter(first))
    assert len(lists(first)) == 6


def test_own_sampler_is_read_again():
    class Backwards(Sampler):
        def __iter__(self):
            return iter(range(COUNT - 1, -1, -1))

        def __len__(self):
            return COUNT

    first = loader(sampler=Backwards())
    batches = iter(first)
    next(batches)
    state = first.state_dict()
    restored = loader(sampler=Backwards())
    restored.load_state_dict(state)
    assert lists(restored) == lists(batches)


def test_batch_sampler():
    data = TensorDataset(lamina.arange(5))
    chosen = DataLoader(data, batch_sampler=[[4, 0], [2]])
    assert lists(chosen) == [[[4, 0]], [[2]]]
    assert len(chosen) == 2


def test_collate_fn_gets_the_samples():
    found = list(DataLoader(["a", "b", "c"], batch_size=2, collate_fn="".join))
    assert found == ["ab", "c"]


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_name_the_sample_and_come_in_order(workers):
    batches = iter(loader(Noisy(bad=9), num_workers=workers))
    assert [len(next(batches)[0]) for _ in range(2)] == [4, 4]
    with pytest.raises(KeyError, match="no picture") as caught:
        next(batches)
    assert caught.value.__notes__ == ["raised by sample 9 of the data set, in batch 2"]


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_of_a_stream(workers):
    class Broken(IterableDataset):
        def __iter__(self):
            yield from range(5)
            raise OSError("cable cut")

    batches = iter(DataLoader(Broken(), batch_size=2, num_workers=workers))
    assert [b.tolist() for b in (next(batches), next(batches))] == [[0, 1], [2, 3]]
    with pytest.raises(OSError, match="cable cut"):
        next(batches)


def test_prefetch_is_bounded():
    data = Noisy()
    batches = iter(loader(data, num_workers=2, prefetch_factor=1))
    next(batches)
    time.sleep(0.05)
    # One taken, and two begun at most for the room it left and two more.
    assert len(data.asked) <= 4 * 3


def test_threads_end():
    lists(loader(num_workers=3))
    batches = iter(loader(num_workers=3))
    next(batches)
    batches.close()
    deadline = time.monotonic() + 5
    while any(t.name.startswith("lamina-data-") for t in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_timeout():
    release = threading.Event()

    class Stuck(Noisy):
        def __getitem__(self, index):
            release.wait(10)
            return index

    batches = iter(DataLoader(Stuck(), num_workers=1, timeout=0.02))
    with pytest.raises(DataError, match=r"batch 0 did not come within 0\.02 s"):
        next(batches)
    release.set()


def test_empty_data_set():
    data = TensorDataset(lamina.zeros(0, 3))
    assert list(DataLoader(data, batch_size=2, shuffle=True)) == []
    assert list(DataLoader(data, batch_size=2, num_workers=2)) == []


def test_stream_has_no_length():
    stream = DataLoader(Stream(), batch_size=4)
    with pytest.raises(DTypeError, match="no number of batches"):
        len(stream)
    assert len(list(stream)) == 6


WRONG = {
    "batch_size": (lambda: DataLoader([1], 0), ArgumentError, "batch_size=0"),
    "workers": (lambda: DataLoader([1], num_workers=-1), ArgumentError, "num_workers=-1"),
    "prefetch": (lambda: DataLoader([1], prefetch_factor=0), ArgumentError, "prefetch_factor=0"),
    "timeout": (lambda: DataLoader([1], timeout=-1), ArgumentError, "timeout=-1"),
    "two seeds": (
        lambda: DataLoader([1], generator=Generator(0), seed=0),
        ArgumentError,
        "generator and seed",
    ),
    "two orders": (
        lambda: DataLoader([1], shuffle=True, sampler=[0]),
        ArgumentError,
        "shuffle and sampler",
    ),
    "batch sampler": (
        lambda: DataLoader([1], batch_size=2, batch_sampler=[[0]]),
        ArgumentError,
        "batch_sampler excludes",
    ),
    "shuffled stream": (lambda: DataLoader(Stream(), shuffle=True), ArgumentError, "its own|own"),
    "no data set": (lambda: DataLoader(iter([1])), DTypeError, "was given a list_iterator"),
    "state": (lambda: loader().load_state_dict({}), StateError, "lacks 'draw'"),
    "count": (
        lambda: loader().load_state_dict({"draw": [0, 0], "generator": None, "batches": -1}),
        StateError,
        "'batches' of the state is -1",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
