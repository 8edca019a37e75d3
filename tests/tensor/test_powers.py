"""Powers with a number as exponent: which op computes them, and what they give."""

import numpy as np
import pytest

import lamina
from lamina.errors import ArgumentError
from lamina.ops.elementwise import powers
from lamina.ops.elementwise.arithmetic import power


@pytest.mark.parametrize("exponent", [-8, -3, -2, -1, 0, 0.5, 1, 2, 3.0, 4, 7, 8, 9, 2.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers_of_numbers_are_those_of_float64(exponent: float, dtype: str) -> None:
    values = np.random.default_rng(0).standard_normal(40_000).astype(dtype)
    values = np.abs(values) if exponent != int(exponent) else values
    got = (lamina.from_numpy(values) ** exponent).numpy()
    assert got.dtype == values.dtype
    wide = np.power(values.astype(np.longdouble), np.longdouble(exponent))
    expected = wide.astype(dtype)
    steps = np.abs(got.astype(np.longdouble) - wide) / np.spacing(np.abs(expected))
    assert steps.max() <= (2 if dtype == "float32" else 3)


@pytest.mark.parametrize("exponent", [-8, -1, 1, 3, 4, 8])
def test_special_values(exponent: int) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, -1e-30], np.float32)
    with np.errstate(all="ignore"):
        expected = np.power(x, np.float32(exponent))
    np.testing.assert_array_equal((lamina.from_numpy(x) ** exponent).numpy(), expected)
    np.testing.assert_array_equal(
        np.signbit((lamina.from_numpy(x) ** exponent).numpy()[1:]), np.signbit(expected[1:])
    )


@pytest.mark.parametrize("exponent", [-8, -2, -1, 2, 3, 8, 0.5])
def test_the_slope_is_that_of_the_power(exponent: float) -> None:
    x = lamina.tensor([0.5, 1.5, 2.0], dtype="float64", requires_grad=True)
    (slope,) = lamina.autograd.grad((x**exponent).sum(), x, create_graph=True)
    values = x.detach().numpy()
    np.testing.assert_allclose(slope.detach().numpy(), exponent * values ** (exponent - 1))
    (bend,) = lamina.autograd.grad(slope.sum(), x)
    np.testing.assert_allclose(
        bend.numpy(), exponent * (exponent - 1) * values ** (exponent - 2), atol=1e-12
    )


def test_written_in_place_and_recorded() -> None:
    x = lamina.tensor([1.0, -2.0], requires_grad=True)
    y = x * 1
    y **= 3
    y.sum().backward()
    assert y.tolist() == [1.0, -8.0]
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 12.0]
    z = lamina.tensor([2, 3])
    address = z.numpy().ctypes.data
    assert z.pow_(2).tolist() == [4, 9]
    assert z.numpy().ctypes.data == address


def test_integers_to_a_negative_power_are_refused() -> None:
    with pytest.raises(ArgumentError, match="integers to the power -1"):
        lamina.tensor([1, 2]) ** -1
    with pytest.raises(ArgumentError, match="integers to the power -2"):
        lamina.pow(lamina.tensor([1, 2]), lamina.tensor([1, -2]))
    assert (lamina.tensor([2, 3]) ** 2).tolist() == [4, 9]
    assert (2 ** lamina.tensor([2, 3])).tolist() == [4, 8]


def test_a_tensor_as_exponent_goes_the_general_way() -> None:
    x = lamina.tensor([2.0, 3.0])
    assert (x ** lamina.tensor(3.0)).tolist() == [8.0, 27.0]
    assert powers.raised(x, lamina.tensor([1.0, 2.0])).tolist() == power(x, [1.0, 2.0]).tolist()
