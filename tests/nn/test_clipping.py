"""Gradients held to a size, parameters as one vector."""

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.errors import GradientError, ShapeError
from lamina.nn import utils

GRADIENTS = ([3.0, -4.0], [[12.0]])


def parameters():
    found = [nn.Parameter(lamina.tensor(g)) for g in GRADIENTS]
    for parameter, gradient in zip(found, GRADIENTS, strict=True):
        parameter.grad = lamina.tensor(gradient)
    return [*found, nn.Parameter(lamina.ones(2))]


@pytest.mark.parametrize(
    ("order", "norm"),
    [(2.0, 13.0), (1, 19.0), (float("inf"), 12.0), (3.0, (27 + 64 + 1728) ** (1 / 3))],
)
def test_the_norm_is_that_of_all_gradients_and_they_are_scaled(order, norm):
    given = parameters()
    assert utils.clip_grad_norm_(given, 1.0, order).item() == pytest.approx(norm, rel=1e-6)
    scale = 1.0 / (norm + 1e-6)
    np.testing.assert_allclose(given[0].grad.numpy(), np.array([3, -4]) * scale, rtol=1e-6)
    np.testing.assert_allclose(given[1].grad.numpy(), [[12 * scale]], rtol=1e-6)
    assert given[2].grad is None


def test_small_gradients_stay():
    given = parameters()
    assert utils.clip_grad_norm_(iter(given), 100.0).item() == pytest.approx(13.0)
    assert given[0].grad.tolist() == [3.0, -4.0]


def test_one_parameter_alone_and_none_with_gradients():
    given = parameters()
    assert utils.clip_grad_norm_(given[0], 1.0).item() == 5.0
    assert utils.clip_grad_norm_(given[2:], 1.0).item() == 0.0


def test_what_is_not_finite_is_an_error_only_when_asked():
    given = parameters()
    given[1].grad = lamina.tensor([[float("nan")]])
    with pytest.raises(GradientError, match="total norm of the gradients is nan"):
        utils.clip_grad_norm_(given, 1.0, error_if_nonfinite=True)
    assert given[0].grad.tolist() == [3.0, -4.0]
    utils.clip_grad_norm_(given, 1.0)
    assert np.isnan(given[0].grad.numpy()).all()


def test_values_are_limited():
    given = parameters()
    utils.clip_grad_value_(given, 3.5)
    assert (given[0].grad.tolist(), given[1].grad.tolist()) == ([3.0, -3.5], [[3.5]])


def test_scaling_by_a_norm_taken_before():
    given = parameters()
    total = utils.get_total_norm([p.grad for p in given[:2]])
    utils.clip_grads_with_norm_(given, 6.5, total)
    np.testing.assert_allclose(given[1].grad.numpy(), [[6.0]], rtol=1e-6)


def test_parameters_as_a_vector_and_back():
    net = nn.Linear(2, 3)
    vector = utils.parameters_to_vector(net.parameters())
    assert vector.shape == (9,)
    (vector * 2).sum().backward()
    assert net.bias.grad.tolist() == [2.0, 2.0, 2.0]
    utils.vector_to_parameters(lamina.arange(9.0), net.parameters())
    assert net.weight.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert net.bias.tolist() == [6.0, 7.0, 8.0]
    assert net.bias.is_leaf
    with pytest.raises(ShapeError, match=r"shape \(8,\) was given; expected \(9,\)"):
        utils.vector_to_parameters(lamina.arange(8.0), net.parameters())
