"""Winograd convolution against sums of products in float64, and its error against the bound."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from kernels.conv_oracle import peak_sums, reference
from kernels.operands import ArrayOperand, GuardedMemory, error_in_roundings

from lamina.codegen import threads
from lamina.errors import ArgumentError
from lamina.kernels import launch
from lamina.kernels.convolution import entry, winograd
from lamina.kernels.convolution.winograd_transforms import TRANSFORMS
from lamina.kernels.launch import OUT, RIGHT, Place, Plan

NAMES = {outputs: f"winograd {outputs}x{outputs}" for outputs in TRANSFORMS}


def computed(x, w, outputs, *, padding=(1, 1), groups=1, out=None):
    """The convolution by F(outputs × outputs, 3×3)."""
    sizes = (size + 2 * pad - 2 for size, pad in zip(x.shape[2:], padding, strict=True))
    if out is None:
        out = np.full((len(x), len(w), *sizes), np.nan, "f4")
    entry.conv(
        ArrayOperand(out), ArrayOperand(x), ArrayOperand(w), stride=(1, 1), padding=padding,
        dilation=(1, 1), input_dilation=(1, 1), groups=groups, strategy=NAMES[outputs],
    )  # fmt: skip
    return out


def error(x, w, outputs, *, padding=(1, 1), groups=1, out=None):
    """The largest error of a result as a share of what the bound allows."""
    out = computed(x, w, outputs, padding=padding, groups=groups, out=out)
    wide = (x.astype("f8"), w.astype("f8"))
    want = reference(out.shape, *wide, (1, 1), padding, (1, 1), (1, 1), groups, 1)
    bound = TRANSFORMS[outputs].error_bound(w.shape[1])
    return error_in_roundings(out, want, bound * peak_sums(x, w, groups))


def drawn(random, *shape):
    return random.standard_normal(shape).astype("f4")


@pytest.mark.parametrize("outputs", TRANSFORMS)
def test_matrices_are_a_correlation(outputs):
    transform = TRANSFORMS[outputs]
    a, g, b = (np.array(matrix) for matrix in transform.matrices())
    for tap, place in itertools.product(range(3), range(transform.size)):
        found = a @ ((g @ np.eye(3)[tap]) * (b @ np.eye(transform.size)[place]))
        want = [float(row + tap == place) for row in range(outputs)]
        np.testing.assert_allclose(found, want, atol=1e-14)


@pytest.mark.parametrize("outputs", TRANSFORMS)
def test_every_size_around_a_tile(each_target, outputs):
    random = np.random.default_rng(outputs)
    for height, width in [*((n, 10 - n) for n in range(1, 10)), (4, 31), (3, 33), (5, 64), (2, 67)]:
        channels, filters = (int(random.choice([1, 3, 7, 8, 17])) for _ in range(2))
        padding = (int(random.integers(1 if height < 3 else 0, 3)), int(random.integers(1, 3)))
        x, w = drawn(random, 2, channels, height, width), drawn(random, filters, channels, 3, 3)
        assert error(x, w, outputs, padding=padding) <= 1, (x.shape, w.shape, padding)


@pytest.mark.parametrize("outputs", TRANSFORMS)
def test_layouts_groups_and_blocks_of_channels(each_target, outputs):
    random = np.random.default_rng(7)
    x, w = drawn(random, 2, 130, 9, 18), drawn(random, 20, 130, 3, 3)
    turned = np.flip(np.ascontiguousarray(w.swapaxes(0, 1)), (2, 3)).swapaxes(0, 1)
    scattered = np.asfortranarray(w)
    wide = np.full((2, 20, 18, 36), np.nan, "f4")
    for weights in (w, turned, scattered):
        assert error(x, weights, outputs) <= 1
        assert error(x, weights, outputs, out=wide[:, :, ::2, 9:27]) <= 1
    assert np.isnan(wide[:, :, 1::2]).all()
    assert error(x[:, :12, ::-1], drawn(random, 6, 4, 3, 3), outputs, groups=3) <= 1
    assert error(x, w, outputs, padding=(-1, -2)) <= 1


@pytest.mark.parametrize("outputs", TRANSFORMS)
def test_the_bound_holds_for_the_worst_inputs(outputs):
    """Inputs with the signs of rows of B, and with nothing but far neighbours of the window."""
    transform, random = TRANSFORMS[outputs], np.random.default_rng(3)
    _, g, b = (np.array(matrix) for matrix in transform.matrices())
    worst = 0.0
    for row, column in itertools.product(range(transform.size), repeat=2):
        tile = np.sign(np.outer(b[row], b[column])) * random.uniform(0.9, 1, (24, 1, 1))
        taps = np.sign(np.outer(g[row], g[column])) * random.uniform(0.9, 1, (24, 1, 1))
        x, w = tile[np.newaxis].astype("f4"), taps[np.newaxis].astype("f4")
        worst = max(worst, error(x, w, outputs, padding=(0, 0)))
        far = x * (np.arange(transform.size) > 2)
        worst = max(worst, error(far.astype("f4"), w, outputs, padding=(0, 0)))
    # Not far below it either, or the bound would say nothing.
    assert 1e-4 < worst <= 1


@pytest.mark.parametrize("outputs", TRANSFORMS)
def test_same_bits_for_any_threads_batch_and_place(team, each_target, outputs, monkeypatch):
    random = np.random.default_rng(0)
    x, w = drawn(random, 5, 70, 10, 12), drawn(random, 40, 70, 3, 3)
    monkeypatch.setattr(launch, "FLOPS_WORTH_A_THREAD", 1)
    threads.set_num_threads(1)
    whole = computed(x, w, outputs)
    for count in (1, 2, 3, 7):
        threads.set_num_threads(count)
        for part in (slice(0, 1), slice(3, 4), slice(1, 3), slice(0, 5)):
            assert computed(x[part], w, outputs).tobytes() == whole[part].tobytes()
    monkeypatch.setattr(winograd, "_MOST_PREPARED_BYTES", 0)
    entry._plan.cache_clear()
    assert computed(x, w, outputs).tobytes() == whole.tobytes()


@pytest.mark.parametrize("outputs", TRANSFORMS)
def test_weights_transformed_beforehand(outputs, monkeypatch):
    random = np.random.default_rng(1)
    x, w = drawn(random, 2, 20, 9, 9), drawn(random, 24, 20, 3, 3)
    out, want = np.full((2, 24, 9, 9), np.nan, "f4"), computed(x, w, outputs)
    layouts = [(a.shape, ArrayOperand(a).strides) for a in (out, x, w)]
    problem = entry.problem_of(
        ("float32",) * 3, *layouts, ((1, 1), (1, 1), (1, 1), (1, 1)), (1, 1)
    )  # fmt: skip
    layer = winograd.Winograd(problem, outputs)
    weights = np.zeros(layer.prepared_bytes // 4, "f4")
    Plan((layer.preparation(Place(OUT, 0)),)).run(weights.ctypes.data, 0, w.ctypes.data)
    ready = replace(layer, prepared=Place(RIGHT, 0)).plan()
    assert len(ready.steps) == 1
    ready.run(out.ctypes.data, x.ctypes.data, weights.ctypes.data)
    assert out.tobytes() == want.tobytes()


@pytest.mark.parametrize("outputs", TRANSFORMS)
@pytest.mark.parametrize("side", ["start", "end"])
def test_nothing_outside_is_touched(each_target, outputs, side):
    random = np.random.default_rng(2)
    for size, channels, filters in [(7, 5, 3), (9, 8, 16), (16, 9, 17)]:
        shapes = ((2, channels, size, size), (filters, channels, 3, 3), (2, filters, size, size))
        guards = [GuardedMemory(drawn(random, *shape), side) for shape in shapes]
        x, w, out = (guard.array for guard in guards)
        assert error(x, w, outputs, out=out) <= 1
        assert error(x, w[:, :, ::-1, ::-1], outputs, out=out) <= 1
        for guard in guards:
            guard.release()


@pytest.mark.parametrize("outputs", TRANSFORMS)
def test_infinity_stays_in_the_tiles_that_hold_it(each_target, outputs):
    x, w = np.ones((2, 4, 16, 16), "f4"), np.ones((4, 4, 3, 3), "f4")
    x[0, 0, 9, 9] = np.inf
    finite = np.isfinite(computed(x, w, outputs))
    assert not finite[0, :, 8:11, 8:11].any()
    assert finite[0, :, :4].all()
    assert finite[0, :, :, :4].all()
    assert finite[1].all()


def test_it_is_chosen_where_it_pays_and_refused_where_it_does_not_apply():
    def ways(out, x, w, **options):
        given = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "input_dilation": (1, 1)}
        operands = (ArrayOperand(np.empty(shape, "f4")) for shape in (out, x, w))
        return list(entry.strategies(entry.parts(*operands, **(given | options))))

    assert ways((1, 64, 56, 56), (1, 64, 56, 56), (64, 64, 3, 3))[0] == NAMES[4]
    assert ways((1, 8, 56, 56), (1, 3, 56, 56), (8, 3, 3, 3))[0] not in NAMES.values()
    assert not set(NAMES.values()) & set(
        ways((1, 64, 28, 28), (1, 64, 56, 56), (64, 64, 3, 3), stride=(2, 2))
    )
    x, w = np.zeros((1, 4, 8, 8), "f4"), np.zeros((4, 4, 5, 5), "f4")
    with pytest.raises(ArgumentError, match="one that applies"):
        computed(x, w, 4)
