"""Anomaly mode names the op and the user's line where the first NaN or Inf appeared."""

from typing import Any

import pytest

import lamina
from lamina.autograd import Function, detect_anomaly
from lamina.errors import AnomalyError


def leaf(*values: float) -> lamina.Tensor:
    return lamina.tensor(values, requires_grad=True)


def test_forward_it_names_the_op_the_place_and_the_line() -> None:
    x = leaf(1.0, 0.0)
    with detect_anomaly(), pytest.raises(AnomalyError) as error:
        (x * 2.0).log().exp().sum()
    message = str(error.value)
    assert message.startswith("log made -inf at index (1,) of its output")
    assert "test_anomaly.py" in message
    assert "(x * 2.0).log().exp().sum()" in message


def test_backward_it_names_the_line_that_ran_the_op() -> None:
    x = leaf(1.0, 0.0)
    with detect_anomaly():
        y = x.sqrt()
        z = (y * 3.0).sum()
        with pytest.raises(AnomalyError) as error:
            z.backward()
    message = str(error.value)
    assert message.startswith("the derivative of sqrt made inf at index (1,) of a gradient")
    assert "y = x.sqrt()" in message


def test_backward_of_what_was_recorded_outside() -> None:
    y = leaf(0.0).sqrt().sum()
    with detect_anomaly(), pytest.raises(AnomalyError, match="recorded outside anomaly mode"):
        y.backward()


def test_a_mask_of_minus_infinity_is_let_through() -> None:
    scores, mask = leaf(1.0, 2.0), lamina.tensor([0.0, -float("inf")])
    with detect_anomaly():
        weights = (scores + mask).exp()
        weights.sum().backward()
    assert weights.detach().tolist() == pytest.approx([2.718281828, 0.0])


def test_nan_is_found_even_where_it_came_in() -> None:
    with detect_anomaly(), pytest.raises(AnomalyError, match="multiply made nan at index"):
        leaf(float("nan"), 1.0) * 2.0


def test_a_nan_made_of_infinities_is_found() -> None:
    x = leaf(float("inf"))
    with detect_anomaly(), pytest.raises(AnomalyError, match="subtract made nan"):
        x - x


def test_integers_and_finite_values_pass() -> None:
    with detect_anomaly():
        counts = lamina.tensor([1, 2]) + 1
        (leaf(1.0, 2.0) * counts).sum().backward()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_every_float_type_is_looked_at(dtype: str) -> None:
    x = lamina.tensor([1.0, -1.0], dtype=dtype)
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"log made nan at index \(1,\)"):
        x.log()


def test_outside_nothing_is_looked_at() -> None:
    with detect_anomaly():
        pass
    assert leaf(0.0).log().item() == -float("inf")


class Broken(Function):
    """Its output is NaN where x is 1, its derivative infinite everywhere."""

    @staticmethod
    def forward(ctx: Any, x: lamina.Tensor) -> lamina.Tensor:
        return lamina.tensor([float("nan") if v == 1.0 else v for v in x.tolist()])

    @staticmethod
    def backward(ctx: Any, grad: lamina.Tensor) -> lamina.Tensor:
        return grad * float("inf")


def test_a_custom_function_is_named_too() -> None:
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"Broken made nan at index \(0,\)"):
        Broken.apply(leaf(1.0))
    with detect_anomaly():
        out = Broken.apply(leaf(2.0)).sum()
        with pytest.raises(AnomalyError, match=r"derivative of Broken made inf .*Broken.apply"):
            out.backward()


def test_a_write_in_place_that_nothing_records() -> None:
    x = lamina.tensor([1.0, 2.0])
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"divide made inf at index \(0,\)"):
        x.div_(0.0)
    assert x.tolist() == [1.0, 2.0]
