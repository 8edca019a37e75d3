"""Derivatives of functions, against derivatives taken by hand."""

from typing import Any

import numpy as np
import pytest

import lamina
from lamina.autograd import grad, hessian, jacobian, jvp, value_and_grad, vhp, vjp
from lamina.errors import ArgumentError, ShapeError

Tensor = lamina.Tensor
A = np.array([[2.0, 1.0, 0.5], [1.0, 3.0, -1.0], [0.5, -1.0, 4.0]])
X = np.array([0.3, -0.7, 1.1])
V = np.array([1.0, 2.0, -0.5])


def point(values: Any = X) -> Tensor:
    return lamina.tensor(values, dtype="float64")


def quadratic(x: Tensor) -> Tensor:
    return (x * (point(A) @ x)).sum() * 0.5


def cubes(x: Tensor) -> Tensor:
    return point(A) @ (x * x * x)


def close(tensor: Tensor, expected: Any) -> None:
    np.testing.assert_allclose(tensor.detach().numpy(), expected, rtol=1e-12, atol=1e-14)


JACOBIAN_OF_CUBES = A * 3.0 * X**2


def test_jacobian() -> None:
    close(jacobian(cubes, point()), JACOBIAN_OF_CUBES)


def test_jacobian_of_several_inputs_and_outputs() -> None:
    x, y = point([1.0, 2.0]), point([[3.0], [4.0]])
    (a, b), (c, d) = jacobian(lambda x, y: (x * x, y.sum()), (x, y))
    close(a, [[2.0, 0.0], [0.0, 4.0]])
    close(b, np.zeros((2, 2, 1)))
    close(c, np.zeros(2))
    close(d, np.ones((2, 1)))


def test_jacobian_of_nothing() -> None:
    assert jacobian(lambda x: x[:0], point()).shape == (0, 3)


def test_vjp_and_jvp_are_products_with_the_jacobian() -> None:
    value, pulled = vjp(cubes, point(), point(V))
    close(value, A @ X**3)
    close(pulled, V @ JACOBIAN_OF_CUBES)
    value, moved = jvp(cubes, point(), point(V))
    close(value, A @ X**3)
    close(moved, JACOBIAN_OF_CUBES @ V)


def test_jvp_of_several_inputs_and_outputs() -> None:
    x, y = point([2.0]), point([3.0])
    _, (product, total) = jvp(lambda x, y: (x * y, x + x), (x, y), (point([1.0]), point([10.0])))
    close(product, [23.0])
    close(total, [2.0])


def test_jvp_of_what_does_not_depend() -> None:
    close(jvp(lambda x: point([1.0, 2.0]), point(), point(V))[1], [0.0, 0.0])


def test_hessian() -> None:
    close(hessian(quadratic, point()), A)
    close(hessian(lambda x: (x**4).sum(), point()), np.diag(12.0 * X**2))


def test_hessian_blocks() -> None:
    (xx, xy), (yx, yy) = hessian(lambda x, y: (x * x * y).sum(), (point([2.0]), point([3.0])))
    close(xx, [[6.0]])
    close(xy, [[4.0]])
    close(yx, [[4.0]])
    close(yy, [[0.0]])


def test_hessian_of_something_linear_is_zero() -> None:
    close(hessian(lambda x: x.sum() * 2.0, point()), np.zeros((3, 3)))


def test_vhp_never_forms_the_hessian() -> None:
    value, product = vhp(quadratic, point(), point(V))
    close(value, X @ A @ X / 2)
    close(product, A @ V)


def test_results_can_be_differentiated_again() -> None:
    x = point().requires_grad_()
    products = jvp(cubes, x, point(V), create_graph=True)[1]
    close(grad(products.sum(), x)[0], A.sum(axis=0) * 6.0 * X * V)
    close(grad(jacobian(cubes, x, create_graph=True).sum(), x)[0], A.sum(axis=0) * 6.0 * X)
    close(grad(vhp(lambda x: (x**3).sum(), x, point(V), create_graph=True)[1].sum(), x)[0], 6 * V)


def test_without_create_graph_they_have_no_history() -> None:
    x = point().requires_grad_()
    for result in (*vjp(cubes, x, point(V)), *jvp(cubes, x, point(V)), jacobian(cubes, x)):
        assert not result.requires_grad
    assert x.grad is None


def test_value_and_grad() -> None:
    value, slope = value_and_grad(quadratic)(point())
    close(value, X @ A @ X / 2)
    close(slope, A @ X)


def test_value_and_grad_of_chosen_arguments() -> None:
    def fn(x: Tensor, scale: float, y: Tensor) -> Tensor:
        return (x * y * scale).sum()

    _, (dx, dy) = value_and_grad(fn, argnums=(0, -1))(point(), 2.0, point(V))
    close(dx, 2.0 * V)
    close(dy, 2.0 * X)


def test_value_and_grad_of_nested_parameters() -> None:
    def loss(params: dict[str, Any], x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = x * params["w"] + params["rest"][0]
        return (hidden * hidden).sum(), hidden

    params = {"w": point(V), "rest": [point(X), point(V)]}
    (value, hidden), grads = value_and_grad(loss)(params, point(X))
    expected = X * V + X
    close(hidden, expected)
    close(value, (expected**2).sum())
    close(grads["w"], 2.0 * expected * X)
    close(grads["rest"][0], 2.0 * expected)
    close(grads["rest"][1], np.zeros(3))


def test_value_and_grad_of_itself() -> None:
    inner = value_and_grad(lambda x: (x**4).sum(), create_graph=True)
    _, second = value_and_grad(lambda x: inner(x)[1].sum(), create_graph=True)(point())
    close(second, 12.0 * X**2)


def test_other_paths_from_the_same_tensor_do_not_count() -> None:
    x = point().requires_grad_()
    _, slope = value_and_grad(lambda y: (x * y).sum(), create_graph=True)(x)
    close(slope, X)


def test_a_missing_v_needs_a_single_number() -> None:
    with pytest.raises(ArgumentError, match="v was left out"):
        vjp(cubes, point())
    close(vjp(quadratic, point())[1], A @ X)


def test_a_v_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"v has shapes \[\(2,\)\]; expected \[\(3,\)\]"):
        jvp(cubes, point(), point([1.0, 2.0]))


def test_more_than_one_number_has_no_hessian() -> None:
    with pytest.raises(ShapeError, match=r"the function returned \(3,\); expected a single number"):
        hessian(cubes, point())


def test_an_argument_that_is_not_there() -> None:
    with pytest.raises(ArgumentError, match="argnums=2 names argument 2 of a call with 1"):
        value_and_grad(quadratic, argnums=2)(point())


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(ArgumentError, match="list given as an input"):
        vjp(quadratic, ([1.0],))
    with pytest.raises(ArgumentError, match="the function returned float"):
        vjp(lambda x: 1.0, point())
