"""PyTorch's names and keywords against PyTorch's results (tests/golden/torch_names_torch.py)."""

from pathlib import Path

import numpy as np
import pytest
from golden.torch_names_cases import CALLS, inputs, numbers

import lamina
from lamina.errors import ArgumentError

RESULTS = np.load(Path(__file__).parent / "golden" / "torch_names.npz")
# Sums of a dozen float32 numbers, in another order; LAPACK's factors, in another too.
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


def expected_of(name: str) -> list[np.ndarray]:
    found = [key for key in RESULTS.files if key.rpartition("/")[0] == name]
    return [RESULTS[f"{name}/{place}"] for place in range(len(found))]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_in_pytorchs_words(name: str) -> None:
    given = numbers(CALLS[name](lamina, inputs(lamina)))
    expected = expected_of(name)
    assert len(given) == len(expected)
    for mine, theirs in zip(given, expected):
        values = np.asarray(mine)
        assert values.shape == theirs.shape
        if isinstance(mine, lamina.Tensor):
            assert values.dtype == theirs.dtype
        np.testing.assert_allclose(values, theirs, **CLOSE)


def test_every_result_has_a_call() -> None:
    assert {key.rpartition("/")[0] for key in RESULTS.files} == CALLS.keys()


def test_the_form_of_the_call_decides() -> None:
    x = lamina.tensor([[3.0, 1.0], [2.0, 4.0]])
    assert lamina.max(x, axis=1).tolist() == [3.0, 4.0]
    assert lamina.max(x, 1).indices.tolist() == [0, 1]
    assert lamina.sort(x, axis=1).tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert lamina.sort(x).tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert lamina.sort(x, 1).values.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert lamina.var(x, axis=1).tolist() == [1.0, 1.0]
    assert lamina.var(x, 1).tolist() == lamina.var(x, dim=1).tolist() == [2.0, 2.0]
    assert lamina.std(lamina.tensor([1.0, 3.0])).item() == 1.0
    assert lamina.nonzero(x > 2)[0].tolist() == [0, 1]
    assert lamina.squeeze(x, dim=0).shape == (2, 2)
    with pytest.raises(ValueError, match="squeeze axis 0"):
        lamina.squeeze(x, 0)


def test_one_argument_by_two_names_is_refused() -> None:
    x = lamina.zeros(2, 2)
    with pytest.raises(ArgumentError, match="sum: dim= and axis= are one argument"):
        lamina.sum(x, dim=0, axis=1)
    with pytest.raises(ArgumentError, match="unbiased and correction"):
        lamina.var(x, dim=0, unbiased=True, correction=1)


def test_dtypes_by_second_name() -> None:
    pairs = {
        "float": "float32",
        "double": "float64",
        "half": "float16",
        "short": "int16",
        "int": "int32",
        "long": "int64",
        "cfloat": "complex64",
        "cdouble": "complex128",
    }
    for second, first in pairs.items():
        assert getattr(lamina, second) is getattr(lamina, first)
    assert isinstance(lamina.bool, lamina.dtype)
