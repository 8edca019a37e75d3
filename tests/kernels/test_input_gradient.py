"""The gradient to the input of a strided convolution, all phases together."""

import numpy as np
import pytest
from kernels.conv_oracle import allowance, reference
from kernels.operands import ArrayOperand, GuardedMemory, error_in_roundings

from lamina.codegen import threads
from lamina.kernels import launch
from lamina.kernels.convolution import entry, input_gradient

NAME = "input gradient"


def turned(w, groups):
    """The weights (O, C / groups, *K) as the gradient reads them."""
    outputs, channels, *taps = w.shape
    parts = np.flip(w, (2, 3)).reshape(groups, outputs // groups, channels, *taps).swapaxes(1, 2)
    return parts[0] if groups == 1 else parts.reshape(groups * channels, -1, *taps)


def computed(g, w, shape, stride, padding, *, groups=1, out=None, strategy=NAME):
    """The gradient, of the given spatial shape, of an input whose convolution with `w` has the
    gradient `g`.
    """
    if out is None:
        out = np.full((len(g), w.shape[1] * groups, *shape), np.nan, g.dtype)
    weights = turned(w, groups)
    rest = tuple(size - 1 - pad for size, pad in zip(w.shape[2:], padding, strict=True))
    entry.conv(
        *map(ArrayOperand, (out, g, weights)), stride=(1, 1), padding=rest, dilation=(1, 1),
        input_dilation=stride, groups=groups, strategy=strategy,
    )  # fmt: skip
    return out


def error(g, w, shape, stride, padding, *, groups=1, out=None):
    """The largest error of a result as a share of what the sum's length allows."""
    out = computed(g, w, shape, stride, padding, groups=groups, out=out)
    weights = turned(w, groups)
    rest = tuple(size - 1 - pad for size, pad in zip(w.shape[2:], padding, strict=True))
    options = ((1, 1), rest, (1, 1), stride, groups, 1)
    wide = g.astype("f8"), weights.astype("f8")
    want = reference(out.shape, *wide, *options)
    magnitude = reference(out.shape, *map(np.abs, wide), *options)
    allowed = allowance(NAME, magnitude, g, weights, groups, 1)
    return error_in_roundings(out, want, allowed)


def drawn(random, dtype, *shape):
    return random.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_every_stride_kernel_and_size(each_target, dtype):
    random = np.random.default_rng(0)
    for stride in ((1, 1), (2, 2), (3, 2), (2, 1)):
        for taps in ((1, 1), (3, 3), (2, 5), (7, 4)):
            outputs, channels = (int(random.choice([1, 3, 7, 8, 17, 70])) for _ in range(2))
            padding = tuple(int(random.integers(0, size)) for size in taps)
            sizes = [int(random.integers(max(size, 1), size + 30)) for size in taps]
            rows = zip(sizes, padding, taps, stride, strict=True)
            places = [(n + 2 * pad - size) // step + 1 for n, pad, size, step in rows]
            g = drawn(random, dtype, 2, outputs, *places)
            w = drawn(random, dtype, outputs, channels, *taps)
            assert error(g, w, sizes, stride, padding) <= 1, (stride, taps, padding, sizes)


def test_layouts_groups_and_bands(each_target, monkeypatch):
    random = np.random.default_rng(1)
    g, w = drawn(random, "f4", 2, 12, 9, 11), drawn(random, "f4", 12, 5, 3, 3)
    shape, stride, padding = (18, 21), (2, 2), (1, 1)
    wide = np.full((2, 15, 36, 30), np.nan, "f4")[:, :, ::2, 4:25]
    assert error(g, w, shape, stride, padding, groups=3, out=wide) <= 1
    for weights in (np.asfortranarray(w), w[:, :, ::-1, ::-1], w[:, :, :, ::2]):
        taps = weights.shape[3]
        assert error(g, weights, (18, 19 + taps - 1), stride, padding) <= 1
    monkeypatch.setattr(input_gradient, "_V_BYTES", 20 << 10)
    entry._plan.cache_clear()
    assert error(g, w, shape, stride, padding) <= 1


def test_phases_without_taps_are_zero(each_target):
    random = np.random.default_rng(2)
    g, w = drawn(random, "f4", 1, 20, 5, 6), drawn(random, "f4", 20, 9, 1, 1)
    out = computed(g, w, (10, 12), (2, 2), (0, 0))
    assert (out[:, :, 1::2] == 0).all()
    assert (out[:, :, :, 1::2] == 0).all()
    assert (out[:, :, ::2, ::2] != 0).all()


@pytest.mark.parametrize(("strategy", "channels"), [(NAME, 40), ("row by row", 5)])
def test_same_bits_for_any_threads_batch_and_place(
    team, each_target, monkeypatch, strategy, channels
):
    random = np.random.default_rng(3)
    g, w = drawn(random, "f4", 5, 70, 6, 17), drawn(random, "f4", 70, channels, 3, 3)
    monkeypatch.setattr(launch, "FLOPS_WORTH_A_THREAD", 1)

    def gradient(part):
        return computed(g[part], w, (11, 33), (2, 2), (1, 1), strategy=strategy)

    threads.set_num_threads(1)
    whole = gradient(slice(0, 5))
    for count in (1, 2, 3, 7):
        threads.set_num_threads(count)
        for part in (slice(0, 1), slice(3, 4), slice(1, 3), slice(0, 5)):
            assert gradient(part).tobytes() == whole[part].tobytes()


@pytest.mark.parametrize("side", ["start", "end"])
def test_nothing_outside_is_touched(each_target, side):
    random = np.random.default_rng(4)
    for taps, outputs, channels in [(3, 5, 3), (1, 9, 16), (3, 8, 17)]:
        places, pad = (7, 9), taps // 2
        shape = tuple(2 * n - 1 for n in places)
        arrays = [
            drawn(random, "f4", *sizes)
            for sizes in ((2, outputs, *places), (outputs, channels, taps, taps))
        ]
        arrays.append(np.zeros((2, channels, *shape), "f4"))
        guards = [GuardedMemory(array, side) for array in arrays]
        g, w, out = (guard.array for guard in guards)
        assert error(g, w, shape, (2, 2), (pad, pad), out=out) <= 1
        for guard in guards:
            guard.release()


def test_it_is_chosen_for_strided_layers():
    def ways(channels, outputs, size, taps, stride):
        places = size // stride
        operands = (
            np.empty((1, channels, size, size), "f4"),
            np.empty((1, outputs, places, places), "f4"),
            turned(np.empty((outputs, channels, taps, taps), "f4"), 1),
        )
        problems = entry.parts(
            *map(ArrayOperand, operands), stride=(1, 1), padding=(taps - 1 - taps // 2,) * 2,
            dilation=(1, 1), input_dilation=(stride, stride),
        )  # fmt: skip
        return next(iter(entry.strategies(problems)))

    assert ways(256, 256, 28, 3, 2) == NAME
    assert ways(256, 512, 56, 1, 2) == NAME
    assert ways(64, 64, 56, 3, 1) != NAME
