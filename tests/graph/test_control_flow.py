"""Branches and loops that values decide: compiled = eager, with gradients, without Python."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lamina
from lamina import autograd, errors
from lamina.graph.text import parse, to_text


def rows(*shape: int) -> Any:
    return lamina.tensor(np.random.default_rng(sum(shape)).standard_normal(shape).astype("f"))


W = rows(4, 4)


def either(x: Any, p: Any) -> Any:
    y = lamina.cond(
        p.sum() > 0,
        lambda a: (a @ W).relu() * 2 + p[0],
        lambda a: a.exp() - W.sum(),
        (x,),
    )
    return y * 3


def nested(x: Any, p: Any) -> Any:
    return lamina.cond(
        p[0] > 0,
        lambda: lamina.cond(p[1] > 0, lambda: x * 2, lambda: x.exp()),
        lambda: lamina.where(x > 0, x, -x),
    )


def several(x: Any, p: Any) -> Any:
    found = lamina.cond(
        p[0] > 0, lambda: {"a": x, "b": (x.sum(), p)}, lambda: {"a": -x, "b": (x.amax(), p * p)}
    )
    return found["a"] * found["b"][0] + found["b"][1].sum()


def newton(x: Any, p: Any) -> Any:
    target = p.abs().sum() + x.abs()
    (root,) = lamina.while_loop(
        lambda y: ((y * y - target).abs() > 1e-3 * target).any(),
        lambda y: ((y + target / y) / 2,),
        (lamina.ones(3, 4),),
        max_iterations=20,
    )
    return root


def recurrent(x: Any, p: Any) -> Any:
    last, seen = lamina.scan(lambda h, row: ((h @ W + row).tanh(), h * 2), p.sum() * W[0], x)
    return last + seen


def backwards(x: Any, p: Any) -> Any:
    total, seen = lamina.scan(
        lambda s, row: (s + row * s, {"y": s}), p[0] * W[0, :3], x, dim=1, reverse=True
    )
    return total.sum() + seen["y"].sum()


FUNCTIONS = {f.__name__: f for f in (either, nested, several, newton, recurrent, backwards)}
CHOICES = [(1.0, 1.0), (1.0, -2.0), (-1.0, -1.0)]


def gradients(function: Callable[..., Any]) -> Callable[..., Any]:
    def found(x: Any, p: Any) -> Any:
        out = function(x, p)
        return out, autograd.grad((out * out).sum(), (x, p), allow_unused=True)

    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled_is_eager_with_gradients(name: str) -> None:
    compiled = lamina.compile(gradients(FUNCTIONS[name]))
    for choice in CHOICES:
        x = rows(3, 4).requires_grad_()
        p = lamina.tensor(choice, requires_grad=True)
        out, found = compiled(x, p)
        wanted, grads = gradients(FUNCTIONS[name])(x, p)
        assert np.array_equal(out.detach().numpy(), wanted.detach().numpy())
        for got, want in zip(found, grads, strict=True):
            expected = np.zeros(got.shape) if want is None else want.numpy()
            np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6, atol=1e-6)
    program = compiled.last_program
    assert program is not None
    assert program.host_calls == ()
    assert compiled.last_program is program


def collatz(n: Any) -> Any:
    return lamina.while_loop(
        lambda n, _: n != 1,
        lambda n, turns: (lamina.where(n % 2 == 0, n // 2, 3 * n + 1), turns + 1),
        (n, lamina.tensor(0)),
    )


def test_a_loop_of_unknown_length_is_native() -> None:
    compiled = lamina.compile(collatz)
    for start, turns in ((6, 8), (27, 111), (97, 118), (1, 0)):
        assert compiled(lamina.tensor(start))[1].item() == collatz(lamina.tensor(start))[1].item()
        assert compiled(lamina.tensor(start))[1].item() == turns
    program = compiled.last_program
    assert program is not None
    assert program.host_calls == ()


def test_values_may_change_places_in_a_loop() -> None:
    def fibonacci(n: Any) -> Any:
        one = lamina.tensor(1)
        return lamina.while_loop(
            lambda a, b, turn: turn < n, lambda a, b, turn: (b, a + b, turn + 1), (one, one, one)
        )

    assert [x.item() for x in lamina.compile(fibonacci)(lamina.tensor(10))] == [55, 89, 10]


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_large_bodies_on_several_threads(threads: int) -> None:
    before = lamina.num_threads()
    lamina.set_num_threads(threads)
    try:
        x = rows(200, 200)

        def power(x: Any) -> Any:
            return lamina.while_loop(
                lambda y, n: n < 5, lambda y, n: (y @ x / 14, n + 1), (x, lamina.tensor(0))
            )[0]

        for _ in range(3):
            assert np.array_equal(lamina.compile(power)(x).numpy(), power(x).numpy())
    finally:
        lamina.set_num_threads(before)


def test_ops_without_a_kernel_run_in_python_as_a_whole() -> None:
    def sorted_or_not(x: Any) -> Any:
        return lamina.cond(x.sum() > 0, lambda: x.sort()[0], lambda: x)

    compiled = lamina.compile(sorted_or_not)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.FallbackWarning)
        compiled(lamina.ones(3))
    for sign in (1, -1):
        x = lamina.tensor([3.0, 1.0, 2.0]) * sign
        assert compiled(x).tolist() == sorted_or_not(x).tolist()


def test_the_text_holds_the_bodies() -> None:
    text = to_text(lamina.compile(nested).graph(rows(3, 4), lamina.ones(2)))
    assert text.count("then={") == 2
    assert to_text(parse(text)) == text


def unrecorded(x: Any) -> Any:
    with lamina.no_grad():
        factor = x * 2
    return factor * x


DETACHING: dict[str, Callable[[Any], Any]] = {
    "an operand": lambda x: x.detach() * x,
    "the result": lambda x: (x * x).detach(),
    "a part under no_grad": unrecorded,
}


@pytest.mark.parametrize("name", DETACHING)
def test_no_gradient_flows_that_does_not_in_eager_code(name: str) -> None:
    def branch(x: Any) -> Any:
        return lamina.cond(x.sum() > 0, lambda: DETACHING[name](x), lambda: x * x)

    def slope(x: Any) -> Any:
        return autograd.grad(branch(x).sum(), x)[0]

    x = lamina.tensor([1.0, 3.0], requires_grad=True)
    with pytest.raises(errors.CaptureError, match="detached"):
        lamina.compile(slope)(x)
    with lamina.no_grad():
        assert np.array_equal(lamina.compile(branch)(x).numpy(), branch(x).numpy())


def test_what_has_no_gradient_may_be_detached() -> None:
    def slope(x: Any) -> Any:
        y = lamina.cond(x.sum() > 0, lambda: lamina.where(x.detach() > 2, x, x * x), lambda: x)
        return autograd.grad(y.sum(), x)[0]

    x = lamina.tensor([1.0, 3.0], requires_grad=True)
    assert lamina.compile(slope)(x).tolist() == slope(x).tolist() == [2.0, 1.0]


def test_what_cannot_be_is_said() -> None:
    x = rows(3)

    def compiled(function: Callable[[Any], Any]) -> Any:
        return lamina.compile(function)(x)

    with pytest.raises(errors.CaptureError, match="true_fn gives"):
        compiled(lambda x: lamina.cond(x.sum() > 0, lambda: x, lambda: x.sum()))
    state = lamina.zeros(3)
    with pytest.raises(errors.CaptureError, match="written inside"):
        compiled(lambda x: lamina.cond(x.sum() > 0, lambda: state.add_(x), lambda: x))
    with pytest.raises(errors.CaptureError, match="drawn"):
        compiled(
            lambda x: lamina.cond(
                x.sum() > 0, lambda: lamina.nn.functional.dropout(x, 0.5), lambda: x
            )
        )
    with pytest.raises(errors.ArgumentError, match="1 element"):
        compiled(lambda x: lamina.cond(x > 0, lambda: x, lambda: x))
    with pytest.raises(errors.ArgumentError, match="as carried"):
        lamina.while_loop(lambda y: y.sum() < 9, lambda y: (y.sum(),), (lamina.ones(2),))
    with pytest.raises(errors.ArgumentError, match="one length"):
        lamina.scan(lambda s, x: (s, s), x, (lamina.ones(2), lamina.ones(3)))
    with pytest.raises(errors.ArgumentError, match="carry"):
        lamina.scan(lambda s, x: (s + x, s), lamina.zeros(()), lamina.ones(2, 2))
    with pytest.raises(errors.GradientError, match="max_iterations"):
        lamina.compile(
            lambda y: autograd.grad(
                lamina.while_loop(lambda y: y < 9, lambda y: (y * 2,), (y,))[0], y
            )
        )(lamina.tensor(1.0, requires_grad=True))
