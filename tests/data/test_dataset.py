"""Data sets, samplers and collation."""

from collections import namedtuple

import numpy as np
import pytest

import lamina
from lamina import dtypes
from lamina.data import (
    BatchSampler,
    ConcatDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    random_split,
)
from lamina.errors import (
    ArgumentError,
    DataError,
    DTypeError,
    GradientError,
    IndexingError,
    ShapeError,
    StateError,
)
from lamina.philox import Generator

Pair = namedtuple("Pair", "left right")


def squares(count):
    return TensorDataset(lamina.arange(count), lamina.arange(count) ** 2)


def test_tensor_dataset_gives_rows():
    x = lamina.tensor([[1.0, 2.0], [3.0, 4.0]])
    data = TensorDataset(x, lamina.tensor([5, 6]))
    assert len(data) == 2
    row, label = data[-1]
    assert (row.tolist(), label.item()) == ([3.0, 4.0], 6)
    assert row.array.storage is x.array.storage


@pytest.mark.parametrize(
    "dtype", [dtypes.bfloat16, dtypes.float16, dtypes.float64, dtypes.uint8, dtypes.bool_], ids=str
)
def test_gather_is_collated_samples(dtype):
    x = lamina.tensor(np.arange(24).reshape(6, 2, 2) % 7, dtype=dtype)
    data = TensorDataset(x, x[:, ::-1, 0])
    indices = [4, 0, -1, 4]
    gathered = data.gather(indices)
    for batch, expected in zip(gathered, default_collate([data[i] for i in indices]), strict=True):
        assert batch.dtype is dtype
        assert batch.array.layout.is_contiguous
        assert np.array_equal(batch.numpy(), expected.numpy())


def test_gather_through_subsets():
    data = Subset(Subset(squares(10), [9, 7, 5, 3]), [3, 1, -1])
    assert [t.tolist() for t in data.gather([0, 1, 2])] == [[3, 7, 3], [9, 49, 9]]
    assert data[1][1].item() == 49
    plain = Subset(["a", "b", "c"], [2, 0])
    assert plain.gather([0, 1]) == ["c", "a"]


def test_concat_dataset():
    data = ConcatDataset([range(3), range(10, 12), [], [7]])
    assert [data[i] for i in range(-6, 6)] == [0, 1, 2, 10, 11, 7] * 2


@pytest.mark.parametrize("index", [3, -4])
def test_no_such_sample(index):
    for data in (squares(3), Subset(range(9), [1, 2, 3]), ConcatDataset([range(3)])):
        with pytest.raises(IndexingError, match=f"sample {index} asked of 3"):
            data[index]
    with pytest.raises(IndexingError, match=f"sample {index} asked of 3"):
        squares(3).gather([0, index])


WRONG = {
    "nothing": (TensorDataset, ArgumentError, "no tensors"),
    "array": (lambda: TensorDataset(np.ones(2)), DTypeError, "argument 0 is a ndarray"),
    "rows": (
        lambda: TensorDataset(lamina.ones(2, 1), lamina.ones(3)),
        ShapeError,
        r"tensor 1 of shape \(3,\) beside one of shape \(2, 1\)",
    ),
    "history": (
        lambda: TensorDataset(lamina.ones(2, requires_grad=True)),
        GradientError,
        "requires grad",
    ),
    "no parts": (lambda: ConcatDataset([]), ArgumentError, "no data sets"),
    "split sum": (lambda: random_split(range(5), [2, 2]), ArgumentError, "a sum of 5"),
    "split negative": (lambda: random_split(range(5), [6, -1]), ArgumentError, "none below 0"),
    "num_samples": (lambda: RandomSampler([1], num_samples=0), ArgumentError, "num_samples=0"),
    "batch_size": (lambda: BatchSampler([1], 0), ArgumentError, "batch_size=0"),
    "weights": (lambda: WeightedRandomSampler([1.0, -1.0], 1), ArgumentError, "weight ≥ 0"),
    "too many": (
        lambda: WeightedRandomSampler([1.0, 0.0], 2, replacement=False),
        ArgumentError,
        "num_samples=2 given for 1 samples",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_random_split_is_a_partition_of_a_seed():
    parts = random_split(range(11), [0.5, 0.3, 0.2], Generator(4))
    assert [len(p) for p in parts] == [6, 3, 2]
    assert sorted(i for p in parts for i in p.indices) == list(range(11))
    again = random_split(range(11), [6, 3, 2], Generator(4))
    assert [p.indices for p in again] == [p.indices for p in parts]
    assert random_split(range(11), [6, 5], Generator(5))[0].indices != parts[0].indices


def test_samplers():
    assert list(SequentialSampler("abc")) == [0, 1, 2]
    assert sorted(RandomSampler(range(20), generator=Generator(0))) == list(range(20))
    drawn = list(RandomSampler(range(4), num_samples=10, generator=Generator(0)))
    assert sorted(drawn[:4]) == sorted(drawn[4:8]) == [0, 1, 2, 3]
    assert len(drawn) == 10
    replaced = RandomSampler(range(3), replacement=True, num_samples=50, generator=Generator(0))
    assert set(replaced) == {0, 1, 2}
    assert sorted(SubsetRandomSampler([5, 3, 9], Generator(1))) == [3, 5, 9]
    weighted = WeightedRandomSampler([0.0, 3.0, 1.0], 4000, generator=Generator(2))
    counts = np.bincount(list(weighted), minlength=3)
    assert counts[0] == 0
    assert counts[1] == pytest.approx(3000, abs=100)
    assert list(BatchSampler(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(range(5), 2, drop_last=True)) == [[0, 1], [2, 3]]
    assert (len(BatchSampler(range(5), 2)), len(BatchSampler(range(5), 2, True))) == (3, 2)


def test_each_epoch_has_its_own_order_and_the_seed_repeats_them():
    sampler = RandomSampler(range(50), generator=Generator(7))
    first, second = list(sampler), list(sampler)
    assert first != second
    again = RandomSampler(range(50), generator=Generator(7))
    assert [list(again), list(again)] == [first, second]


def test_a_sampler_repeats_a_saved_epoch():
    sampler = RandomSampler(range(50), generator=Generator(7))
    list(sampler)
    second, state = list(sampler), sampler.state_dict()
    third = list(sampler)
    other = RandomSampler(range(50), generator=Generator(0))
    other.load_state_dict(state)
    assert [list(other), list(other)] == [second, third]


@pytest.mark.parametrize("state", [{}, {"draw": [1], "generator": None}, {"draw": "ab"}, []])
def test_wrong_sampler_state(state):
    with pytest.raises(StateError):
        RandomSampler(range(3)).load_state_dict(state)


def test_collate_keeps_the_structure():
    samples = [
        {"x": np.ones(2, np.float32) * i, "y": (i, float(i)), "name": f"n{i}", "flag": i > 0}
        for i in range(2)
    ]
    batch = default_collate(samples)
    assert batch["x"].tolist() == [[0.0, 0.0], [1.0, 1.0]]
    assert batch["y"][0].dtype is dtypes.int64
    assert batch["y"][1].dtype is dtypes.float32
    assert batch["name"] == ["n0", "n1"]
    assert batch["flag"].dtype is dtypes.bool_


def test_collate_named_tuples_lists_and_scalars():
    batch = default_collate([Pair(np.float64(1), [1, b"a"]), Pair(np.float64(2), [2, b"b"])])
    assert type(batch) is Pair
    assert batch.left.dtype is dtypes.float64
    assert isinstance(batch.right, list)
    assert batch.right[0].tolist() == [1, 2]
    assert batch.right[1] == [b"a", b"b"]
    assert default_collate([True, False]).tolist() == [True, False]
    assert default_collate([1, 2.5]).tolist() == [1.0, 2.5]
    assert default_collate([lamina.tensor(1), lamina.tensor(2)]).shape == (2,)


def test_collate_keeps_history():
    x = lamina.tensor([1.0, 2.0], requires_grad=True)
    default_collate([x, x]).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


MISMATCHED = {
    "nothing": ([], ArgumentError, "no samples"),
    "object": ([object()], DTypeError, "holds a object"),
    "none": ([None], DTypeError, "holds a NoneType"),
    "shapes": ([np.ones(2), np.ones(3)], ShapeError, r"sample 1 .* shape \(3,\)"),
    "dtypes": ([np.ones(2), np.ones(2, int)], DTypeError, "is int64 where sample 0 is float64"),
    "kinds": ([1, "a"], DataError, "sample 1 of the batch holds a str where sample 0 holds a int"),
    "fields": ([(1,), (1, 2)], DataError, "sample 1 of the batch has 2 fields"),
    "keys": ([{"a": 1}, {"b": 1}], DataError, r"keys \['b'\]"),
}


@pytest.mark.parametrize(("samples", "error", "message"), MISMATCHED.values(), ids=MISMATCHED)
def test_samples_that_do_not_match(samples, error, message):
    with pytest.raises(error, match=message):
        default_collate(samples)
