"""The gradient of 3×3 weights by Winograd's filtering against sums of products in float64."""

import numpy as np
import pytest
from kernels.conv_oracle import allowance, reference
from kernels.operands import ArrayOperand, GuardedMemory, error_in_roundings

from lamina.codegen import threads
from lamina.kernels import launch
from lamina.kernels.convolution import entry
from lamina.kernels.convolution.winograd_transforms import TRANSFORMS

NAME = "winograd gradient"


def computed(x, g, padding=1, *, groups=1, out=None):
    """The gradient (C, O, 3, 3) of the weights, of inputs x and gradients g with images first."""
    if out is None:
        out = np.full((x.shape[1] // groups, g.shape[1], 3, 3), np.nan, "f4")
    operands = (out, x.swapaxes(0, 1), g.swapaxes(0, 1))
    entry.conv(
        *map(ArrayOperand, operands), stride=(1, 1), padding=(padding,) * 2, dilation=(1, 1),
        input_dilation=(1, 1), batch_groups=groups, strategy=NAME,
    )  # fmt: skip
    return out


def error(x, g, padding=1, *, groups=1, out=None):
    """The largest error of a result as a share of what the bound allows."""
    out = computed(x, g, padding, groups=groups, out=out)
    turned = x.swapaxes(0, 1), g.swapaxes(0, 1)
    wide = (array.astype("f8") for array in turned)
    want = reference(out.shape, *wide, (1, 1), (padding,) * 2, (1, 1), (1, 1), 1, groups)
    return error_in_roundings(out, want, allowance(NAME, None, *turned, 1, groups))


def drawn(random, *shape):
    return random.standard_normal(shape).astype("f4")


def test_matrices_give_the_gradient():
    transform = TRANSFORMS[4]
    a, g, b = (np.array(matrix) for matrix in transform.matrices())
    random = np.random.default_rng(0)
    z, d = random.standard_normal(4), random.standard_normal(6)
    want = [z @ d[tap : tap + 4] for tap in range(3)]
    np.testing.assert_allclose(g.T @ ((a.T @ z) * (b @ d)), want, rtol=1e-12)


def test_every_size_around_a_tile(each_target):
    random = np.random.default_rng(4)
    for height, width in [*((n, 10 - n) for n in range(1, 10)), (4, 31), (5, 64), (2, 67)]:
        inputs, outputs = (int(random.choice([1, 3, 7, 8, 17])) for _ in range(2))
        padding = int(random.integers(1, 3))
        x = drawn(random, 2, inputs, height, width)
        g = drawn(random, 2, outputs, height + 2 * padding - 2, width + 2 * padding - 2)
        assert error(x, g, padding) <= 1, (x.shape, g.shape)


def test_layouts_groups_and_blocks(each_target):
    random = np.random.default_rng(5)
    x, g = drawn(random, 3, 140, 9, 13), drawn(random, 3, 35, 9, 13)
    turned = np.full((35, 140, 3, 3), np.nan, "f4").swapaxes(0, 1)
    scattered = np.full((140, 35, 6, 6), np.nan, "f4")[:, :, ::2, ::-2]
    for out in (None, turned, scattered):
        assert error(x, g, out=out) <= 1
    assert error(x[:, :12, ::-1], g[:, :6], groups=3) <= 1
    many = drawn(random, 30, 4, 7, 7), drawn(random, 30, 4, 7, 7)
    assert error(*many) <= 1


def test_the_bound_holds_for_the_worst_inputs():
    transform, random = TRANSFORMS[4], np.random.default_rng(3)
    a, _, b = (np.array(matrix) for matrix in transform.matrices())
    worst = 0.0
    for row in range(transform.size):
        for column in range(transform.size):
            tile = np.sign(np.outer(b[row], b[column])) * random.uniform(0.9, 1, (16, 1, 1, 1))
            slope = np.sign(np.outer(a[:, row], a[:, column])) * random.uniform(
                0.9, 1, (16, 1, 1, 1)
            )
            worst = max(worst, error(tile.astype("f4"), slope.astype("f4"), 0))
    assert 1e-4 < worst <= 1


def test_same_bits_for_any_thread_count(team, each_target, monkeypatch):
    random = np.random.default_rng(0)
    x, g = drawn(random, 5, 70, 10, 12), drawn(random, 5, 40, 10, 12)
    monkeypatch.setattr(launch, "FLOPS_WORTH_A_THREAD", 1)
    results = set()
    for count in (1, 2, 3, 7):
        threads.set_num_threads(count)
        results.add(computed(x, g).tobytes())
    # An input channel has the same gradient whichever others there are.
    results.add(np.concatenate([computed(x[:, i : i + 7], g) for i in range(0, 70, 7)]).tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("side", ["start", "end"])
def test_nothing_outside_is_touched(each_target, side):
    random = np.random.default_rng(2)
    for size, inputs, outputs in [(7, 5, 3), (9, 8, 16), (16, 9, 17)]:
        shapes = ((2, inputs, size, size), (2, outputs, size, size), (inputs, outputs, 3, 3))
        guards = [GuardedMemory(drawn(random, *shape), side) for shape in shapes]
        x, g, out = (guard.array for guard in guards)
        assert error(x, g, out=out) <= 1
        for guard in guards:
            guard.release()
