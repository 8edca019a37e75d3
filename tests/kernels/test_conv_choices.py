"""The choice between strategies: by shape alone, and by what `lamina tune` measured."""

from dataclasses import replace

import numpy as np
import pytest
from kernels.operands import ArrayOperand

from lamina.errors import ArgumentError
from lamina.kernels.convolution import choices
from lamina.kernels.convolution.entry import conv, parts, remember, strategies

OPTIONS = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "input_dilation": (1, 1)}


def operands(batch=1, channels=16, size=9):
    random = np.random.default_rng(0)
    shapes = (batch, 16, size, size), (batch, channels, size, size), (16, channels, 3, 3)
    return [ArrayOperand(random.standard_normal(shape).astype("f4")) for shape in shapes]


def order(**options):
    return list(strategies(parts(*operands(**options), **OPTIONS)))


@pytest.fixture
def own_store(tmp_path, monkeypatch):
    """Keeps choices of this test in a folder of its own."""
    monkeypatch.setattr(choices, "settings", replace(choices.settings, cache_dir=tmp_path))
    choices._recalled.clear()
    yield tmp_path
    choices._recalled.clear()


def test_a_batch_does_not_change_the_order(own_store):
    assert order(batch=1) == order(batch=2) == order(batch=64)


def test_what_was_measured_comes_first_for_that_shape_alone(own_store):
    other = order(size=10)
    slowest = order()[-1]
    remember(parts(*operands(), **OPTIONS), slowest)
    assert order()[0] == order(batch=7)[0] == slowest
    assert order(size=10) == other


def test_a_damaged_or_unknown_choice_counts_as_none(own_store):
    before = order()
    remember(parts(*operands(), **OPTIONS), before[-1])
    [path] = (own_store / "choices").iterdir()
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(path.read_bytes()[:-1])
    choices._recalled.clear()
    assert order() == before
    remember(parts(*operands(), **OPTIONS), "no such strategy")
    assert order() == before


def test_a_strategy_that_does_not_apply_is_refused():
    with pytest.raises(ArgumentError, match=r"expected one that applies: .*direct"):
        conv(*operands(), **OPTIONS, strategy="im2col")
    with pytest.raises(ArgumentError, match="'fast' given"):
        conv(*operands(), **OPTIONS, strategy="fast")
