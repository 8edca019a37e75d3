"""Methods of a tensor beside PyTorch's: values, dtypes, and gradients through them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden.tensor_methods_cases import CALLS, numbers

import lamina

RECORDED = np.load(Path(__file__).parents[1] / "golden" / "tensor_methods.npz")


@pytest.mark.parametrize("name", CALLS)
def test_gives_what_pytorch_gives(name: str) -> None:
    found = numbers(lamina, CALLS[name])
    wanted = {
        key.partition("/")[2]: RECORDED[key]
        for key in RECORDED.files
        if key.partition("/")[0] == name
    }
    assert found.keys() == wanted.keys()
    for what, value in found.items():
        assert value.dtype == wanted[what].dtype, what
        np.testing.assert_allclose(value, wanted[what], rtol=1e-12, atol=1e-14, err_msg=what)


def test_named_results() -> None:
    x = lamina.tensor([[1.0, 3.0], [4.0, 2.0]])
    assert x.max(1)._fields == ("values", "indices")
    assert x.sort().indices.tolist() == [[0, 1], [1, 0]]
    assert x.cummin(0).values.tolist() == [[1, 3], [1, 2]]
    assert x.aminmax().max.item() == 4


def test_axis_and_dim_are_one() -> None:
    x = lamina.tensor([[1.0, 3.0], [4.0, 2.0]])
    assert x.sum(axis=0, keepdims=True).tolist() == x.sum(dim=0, keepdim=True).tolist()
    with pytest.raises(lamina.errors.ArgumentError, match="one argument"):
        x.sum(axis=0, dim=0)


@pytest.mark.parametrize(
    "name", ["exp", "log1p", "sin", "tanh", "sigmoid", "erf", "sqrt", "square", "mean", "softmax"]
)
def test_whole_numbers_become_float32_where_the_result_is_no_whole_number(name: str) -> None:
    x = lamina.tensor([[1, 2], [3, 4]], dtype="int16")
    arguments: Any = (1,) if name == "softmax" else ()
    expected = lamina.int16 if name == "square" else lamina.float32
    found = getattr(x, name)(*arguments)
    assert found.dtype is expected
    wide = getattr(x.to("float32"), name)(*arguments)
    np.testing.assert_array_equal(found.numpy(), wide.numpy())


def test_parts_of_a_complex_tensor() -> None:
    z = lamina.tensor([1 + 2j, -1j])
    assert (z.real.tolist(), z.imag.tolist()) == ([1, 0], [2, -1])
    assert z.conj().tolist() == [1 - 2j, 1j]
    assert z.real.dtype is lamina.float32
    real = lamina.tensor([1.0])
    assert real.real is real
    assert real.imag.tolist() == [0]


def test_writing_a_function_over_a_leaf_is_refused() -> None:
    x = lamina.tensor([1.0], requires_grad=True)
    with pytest.raises(lamina.errors.GradientError, match="leaf"):
        x.exp_()
    with pytest.raises(lamina.errors.DTypeError, match="int64"):
        lamina.tensor([1, 2]).exp_()
