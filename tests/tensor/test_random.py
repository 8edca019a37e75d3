"""Random tensors: replayed by seed, of the distribution that is named, within their bounds."""

import math
from collections.abc import Callable

import numpy as np
import pytest

import lamina
from lamina.errors import ArgumentError, DTypeError, GradientError, ShapeError

N = 20_000

DRAWS: dict[str, Callable[[lamina.Generator | None], lamina.Tensor]] = {
    "rand": lambda g: lamina.rand(5, generator=g),
    "randn": lambda g: lamina.randn(5, generator=g),
    "randint": lambda g: lamina.randint(9, (5,), generator=g),
    "randperm": lambda g: lamina.randperm(50, generator=g),
    "bernoulli": lambda g: lamina.bernoulli(lamina.full((50,), 0.5), generator=g),
    "normal": lambda g: lamina.normal(0.0, 2.0, (5,), generator=g),
    "multinomial": lambda g: lamina.multinomial(lamina.ones(50), 9, generator=g),
    "uniform_": lambda g: lamina.empty(5).uniform_(generator=g),
    "normal_": lambda g: lamina.empty(5).normal_(generator=g),
    "exponential_": lambda g: lamina.empty(5).exponential_(generator=g),
    "bernoulli_": lambda g: lamina.empty(50).bernoulli_(generator=g),
    "random_": lambda g: lamina.empty(5).random_(generator=g),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
def test_a_seed_replays(draw: Callable[[lamina.Generator | None], lamina.Tensor]) -> None:
    lamina.manual_seed(4)
    first, second = draw(None).tolist(), draw(None).tolist()
    assert first != second
    lamina.manual_seed(4)
    assert draw(None).tolist() == first
    state = lamina.get_rng_state()
    assert draw(None).tolist() == second
    lamina.set_rng_state(state)
    assert draw(None).tolist() == second
    assert draw(lamina.Generator(4)).tolist() == first
    assert lamina.initial_seed() == 4


def moments(x: lamina.Tensor) -> tuple[float, float]:
    values = x.to(lamina.float64).numpy()
    return float(values.mean()), float(values.var())


@pytest.mark.parametrize("dtype", [lamina.float16, lamina.bfloat16, lamina.float32, lamina.float64])
def test_moments_are_those_of_the_distribution(dtype: lamina.dtype) -> None:
    lamina.manual_seed(1)
    # Five standard errors of the mean: σ/√n is at most 0.8 %.
    assert moments(lamina.rand(N, dtype=dtype)) == pytest.approx((0.5, 1 / 12), abs=0.02)
    assert moments(lamina.randn(N, dtype=dtype)) == pytest.approx((0.0, 1.0), abs=0.06)
    filled = lamina.empty(N, dtype=dtype)
    assert moments(filled.uniform_(1.0, 3.0)) == pytest.approx((2.0, 1 / 3), abs=0.03)
    assert moments(filled.normal_(2.0, 0.5)) == pytest.approx((2.0, 0.25), abs=0.03)
    assert moments(filled.exponential_(2.0)) == pytest.approx((0.5, 0.25), abs=0.03)
    assert moments(filled.bernoulli_(0.25)) == pytest.approx((0.25, 0.1875), abs=0.02)
    assert filled.dtype is dtype


@pytest.mark.parametrize("dtype", [lamina.float16, lamina.bfloat16, lamina.float32])
def test_one_is_never_drawn(dtype: lamina.dtype) -> None:
    lamina.manual_seed(2)
    values = lamina.rand(N, dtype=dtype).to(lamina.float32).numpy()
    assert values.min() >= 0
    assert values.max() < 1


def test_whole_numbers_stay_in_their_range() -> None:
    lamina.manual_seed(3)
    assert set(lamina.randint(-2, 3, (N,)).tolist()) == {-2, -1, 0, 1, 2}
    assert set(lamina.randint(high=3, size=(N,)).tolist()) == {0, 1, 2}
    assert lamina.randint_like(lamina.zeros(2, 3), 5).dtype is lamina.float32
    assert set(lamina.empty(N, dtype=lamina.bool).random_().tolist()) == {True, False}
    assert lamina.empty(N, dtype=lamina.int8).random_().numpy().min() >= 0
    assert lamina.empty(N).random_(4).numpy().max() == 3
    assert sorted(lamina.randperm(100).tolist()) == list(range(100))


def test_multinomial_draws_in_proportion() -> None:
    lamina.manual_seed(5)
    weights = lamina.tensor([1.0, 0.0, 3.0])
    places = lamina.multinomial(weights, N, replacement=True).numpy()
    assert np.bincount(places, minlength=3) / N == pytest.approx([0.25, 0.0, 0.75], abs=0.02)
    rows = lamina.multinomial(lamina.ones(4, 6), 6)
    assert all(sorted(row) == list(range(6)) for row in rows.tolist())
    firsts = [lamina.multinomial(weights, 2).tolist()[0] for _ in range(2000)]
    assert np.mean(np.array(firsts) == 2) == pytest.approx(0.75, abs=0.05)
    assert lamina.multinomial(lamina.ones(2, 3), 5, replacement=True).shape == (2, 5)


def test_gradients_reach_the_parameters_of_a_normal() -> None:
    lamina.manual_seed(6)
    mean = lamina.zeros(3, requires_grad=True)
    std = lamina.ones(3, requires_grad=True)
    drawn = lamina.normal(mean, std)
    drawn.sum().backward()
    assert mean.grad.tolist() == [1.0, 1.0, 1.0]
    assert np.allclose(std.grad.numpy(), drawn.detach().numpy())


def test_likenesses_and_options() -> None:
    x = lamina.zeros(2, 3, dtype=lamina.float64)
    assert (lamina.rand_like(x).shape, lamina.randn_like(x).dtype) == ((2, 3), lamina.float64)
    assert lamina.rand((2, 3)).shape == lamina.rand(size=(2, 3)).shape == (2, 3)
    assert lamina.randn(2, requires_grad=True).requires_grad
    assert lamina.bernoulli(lamina.zeros(4), 1.0).tolist() == [1.0] * 4
    view = lamina.zeros(4)
    view[::2].fill_(1.0)
    view[1::2].uniform_(2.0, 3.0)
    assert view[::2].tolist() == [1.0, 1.0]
    assert math.isclose(view[1::2].numpy().min(), 2.0, abs_tol=1.0)


def test_bad_input() -> None:
    with pytest.raises(DTypeError, match="rand: int64"):
        lamina.rand(2, dtype=lamina.int64)
    with pytest.raises(DTypeError, match="uniform_: a int32"):
        lamina.zeros(2, dtype=lamina.int32).uniform_()
    with pytest.raises(ArgumentError, match=r"\[3, 3\)"):
        lamina.randint(3, 3, (2,))
    with pytest.raises(ArgumentError, match="no size"):
        lamina.randint(3)
    with pytest.raises(ArgumentError, match="outside 0 to 1"):
        lamina.bernoulli(lamina.full((2,), 1.5))
    with pytest.raises(ArgumentError, match="fewer non-zero weights"):
        lamina.multinomial(lamina.tensor([1.0, 0.0]), 2)
    with pytest.raises(ArgumentError, match="positive sum"):
        lamina.multinomial(lamina.zeros(2), 1)
    with pytest.raises(ShapeError, match=r"\(2, 2, 2\)"):
        lamina.multinomial(lamina.ones(2, 2, 2), 1)
    with pytest.raises(ArgumentError, match="size"):
        lamina.normal(0.0, 1.0)
    with pytest.raises(GradientError, match="leaf"):
        lamina.zeros(2, requires_grad=True).normal_()
