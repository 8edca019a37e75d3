"""Arithmetic in place on tensors that are large enough for a kernel; numpy is the oracle."""

import numpy as np
import pytest

import lamina

SHAPE = (90, 130)
VIEWS = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.transpose(0, 1),
    "sliced": lambda x: x[3:80:2, 1::3],
    "flipped": lambda x: x[5:].flip(0),
}


def drawn(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


@pytest.mark.parametrize("other", ["tensor", "number", "transposed tensor"])
@pytest.mark.parametrize("view", VIEWS)
def test_in_place_is_numpys(view, other):
    start = drawn(SHAPE, 0)
    x = lamina.tensor(start)
    mine = VIEWS[view](x)
    shape = mine.shape
    value = np.float32(1.5) if other == "number" else drawn(shape, 1)
    given = (
        lamina.tensor(value.T.copy()).transpose(0, 1) if "tran" in other else lamina.tensor(value)
    )
    before, version = mine.numpy().copy(), x.version
    for name, ufunc in (("add_", np.add), ("mul_", np.multiply), ("div_", np.divide)):
        getattr(mine, name)(1.5 if other == "number" else given)
        before = ufunc(before, value)
    np.testing.assert_array_equal(mine.numpy(), before)
    assert x.version == version + 3 or view == "flipped"
    if view == "contiguous":
        np.testing.assert_array_equal(x.numpy(), before)


def test_numbers_beside_tensors_keep_their_signs_and_types():
    ones = lamina.ones(3)
    assert np.signbit((ones * -0.0).numpy()).all()
    assert not np.signbit((ones * 0.0).numpy()).any()
    assert (lamina.tensor([1, 2]) + True).dtype is lamina.int64
    assert (lamina.tensor([1, 2]) + 1.0).dtype is lamina.float32
    assert np.isnan((ones * float("nan")).numpy()).all()


def test_a_number_that_was_used_before_is_not_shared():
    first = lamina.tensor(2.5)
    _ = lamina.ones(2) * 2.5
    first.add_(1.0)
    assert (lamina.ones(2) * 2.5).tolist() == [2.5, 2.5]
    assert first.item() == 3.5


@pytest.mark.parametrize("number", [3, 3.0])
def test_a_tensor_of_a_number_is_its_own(number):
    x = lamina.asarray(number)
    before = lamina.ones(1) * 3.0
    x += x
    assert x.item() == number + number
    assert (lamina.ones(1) * 3.0).tolist() == before.tolist() == [3.0]
