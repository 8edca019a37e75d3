"""einsum and its kin against numpy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lamina
from lamina import dtypes, errors
from lamina.ops.algebra import einsum as sums

SIZES = {"a": 2, "b": 3, "c": 1, "d": 4}


def reals(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape)


@st.composite
def contractions(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """An equation over a few letters, implicit or not, and arrays that fit it."""
    words = draw(st.lists(st.text("abcd", max_size=3), min_size=1, max_size=4))
    dots = draw(st.booleans())
    arrays, written = [], []
    for number, word in enumerate(words):
        shape = [SIZES[letter] for letter in word]
        has_dots = dots and draw(st.booleans())
        place = draw(st.integers(0, len(word)))
        if has_dots:
            extra = draw(st.sampled_from([(), (2,), (1,), (3, 2), (3, 1)]))
            shape[place:place] = extra
            word = word[:place] + "..." + word[place:]
        arrays.append(reals(number, *shape))
        written.append(word)
    equation = ",".join(written)
    if draw(st.booleans()):
        letters = sorted(set("".join(words)))
        chosen = draw(st.lists(st.sampled_from(letters), unique=True)) if letters else []
        equation += "->" + ("..." if "..." in equation else "") + "".join(chosen)
    return equation, arrays


@settings(max_examples=200)
@given(contractions())
def test_any_equation_gives_what_numpy_gives(case: tuple[str, list[Any]]) -> None:
    equation, arrays = case
    found = sums.einsum(equation, *map(lamina.tensor, arrays)).numpy()
    np.testing.assert_allclose(found, np.einsum(equation, *arrays), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)]),
        ("i,j,k->kij", [(2,), (3,), (4,)]),
        ("iij,j->i", [(3, 3, 2), (2,)]),
        ("...i,oij,...j->...o", [(5, 2), (3, 2, 4), (5, 4)]),
        ("ij->", [(2, 3)]),
        ("ab,ab", [(2, 1), (1, 3)]),
    ],
)
def test_gradients_are_those_of_a_multilinear_form(
    equation: str, shapes: list[tuple[int, ...]]
) -> None:
    """Linear in each operand: the slope towards v is the form with v in its place."""
    arrays = [reals(seed, *shape) for seed, shape in enumerate(shapes)]
    tensors = [lamina.tensor(a, requires_grad=True) for a in arrays]
    out = sums.einsum(equation, *tensors)
    weights = reals(9, *out.shape)
    (out * lamina.tensor(weights)).sum().backward()
    for place, x in enumerate(tensors):
        direction = reals(20 + place, *x.shape)
        swapped = [direction if i == place else a for i, a in enumerate(arrays)]
        expected = (np.einsum(equation, *swapped) * weights).sum()
        assert (x.grad.numpy() * direction).sum() == pytest.approx(expected, rel=1e-10)


def test_a_long_chain_is_joined_cheapest_first() -> None:
    chain = [reals(i, *shape) for i, shape in enumerate([(40, 40), (40, 40), (40, 40), (40, 1)])]
    seen: list[int] = []
    matmul = sums.Matmul

    class Counting:
        def __call__(self, a: Any, b: Any) -> Any:
            seen.append(a.shape[-2] * a.shape[-1] * b.shape[-1])
            return matmul()(a, b)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums, "Matmul", Counting)
        sums.einsum("ij,jk,kl,lm->im", *map(lamina.tensor, chain))
    assert seen == [1600, 1600, 1600]


@pytest.mark.parametrize("axes", [0, 1, 2, ([1], [0]), ([0, -1], [1, 0]), (1, 0)])
def test_tensordot(axes: Any) -> None:
    a, b = reals(0, 3, 3), reals(1, 3, 3)
    found = sums.tensordot(lamina.tensor(a), lamina.tensor(b), axes).numpy()
    np.testing.assert_allclose(found, np.tensordot(a, b, axes), rtol=1e-12)


def test_products_of_vectors() -> None:
    a, b = reals(0, 4, 2, 3), reals(1, 2, 3)
    x, y = lamina.tensor(a), lamina.tensor(b)
    np.testing.assert_allclose(sums.outer(x, y).numpy(), np.outer(a, b))
    np.testing.assert_allclose(sums.vecdot(x, y).numpy(), np.vecdot(a, b))
    np.testing.assert_allclose(sums.kron(x, y).numpy(), np.kron(a, b))
    np.testing.assert_allclose(sums.kron(y, x).numpy(), np.kron(b, a))
    np.testing.assert_allclose(sums.cross(x, y).numpy(), np.cross(a, b))
    turned = sums.cross(x.transpose(1, 2), y.transpose(0, 1), 1)
    np.testing.assert_allclose(turned.numpy(), np.cross(a, b).transpose(0, 2, 1))


def test_integers_and_complex_numbers() -> None:
    a = np.arange(6).reshape(2, 3)
    assert sums.einsum("ij,kj->ik", lamina.tensor(a), lamina.tensor(a)).dtype is dtypes.int64
    assert sums.einsum("ij->j", lamina.tensor(a.astype(np.int8))).dtype is dtypes.int8
    z = reals(0, 3) + 1j * reals(1, 3)
    assert sums.vecdot(lamina.tensor(z), lamina.tensor(z)).item() == pytest.approx(np.vdot(z, z))


@pytest.mark.parametrize(
    ("equation", "error", "said"),
    [
        ("ij,jk", errors.ArgumentError, "names 2 operands, 1 given"),
        ("i", errors.ShapeError, "'i' in 'i' names 1 axes of an operand that has 2"),
        ("ijk...", errors.ShapeError, "names 3 axes"),
        ("ii", errors.ShapeError, "axes of sizes 2 and 3 of one operand"),
        ("ij->k", errors.ArgumentError, "has one that no operand has"),
        ("ij->ii", errors.ArgumentError, "repeats a label"),
        ("i1", errors.ArgumentError, "not index notation"),
        ("i..j", errors.ArgumentError, "not index notation"),
        ("ij->i->j", errors.ArgumentError, "not index notation"),
    ],
)
def test_wrong_equations(equation: str, error: type, said: str) -> None:
    with pytest.raises(error) as raised:
        sums.einsum(equation, lamina.ones(2, 3))
    assert said in str(raised.value)


def test_sizes_that_differ_are_named() -> None:
    with pytest.raises(errors.ShapeError, match="label 'j' names axes of sizes 3 and 2"):
        sums.einsum("ij,jk", lamina.ones(2, 3), lamina.ones(2, 3))
    with pytest.raises(errors.ShapeError, match=r"axes \(1,\) of \(2, 3\) with axes \(0,\)"):
        sums.tensordot(lamina.ones(2, 3), lamina.ones(2, 3), 1)
