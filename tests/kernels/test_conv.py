"""Convolution and its gradients against sums of shifted products in float64."""

import numpy as np
import pytest
from kernels.conv_oracle import check
from kernels.operands import ArrayOperand, GuardedMemory

from lamina.codegen import threads
from lamina.errors import ArgumentError, DTypeError, ShapeError
from lamina.kernels.convolution.entry import conv, parts, strategies


def random_case(random):
    """One problem with everything drawn at random, or None where it has no output."""
    axes = int(random.integers(1, 4))
    groups, batch_groups = [(1, 1), (1, 1), (2, 1), (8, 1), (1, 3)][random.integers(5)]
    channels = int(random.choice([1, 2, 3, 16]))
    outputs = int(random.choice([1, 2, 3, 5, 16, 33])) * groups * batch_groups
    sizes = random.integers(1, {1: 70, 2: 20, 3: 9}[axes], axes)
    taps = random.integers(1, 5 if random.random() < 0.7 else 12, axes)
    stride, dilation = random.integers(1, 4, axes), random.integers(1, 3, axes)
    spread = random.integers(1, 4, axes) if random.random() < 0.4 else np.ones(axes, int)
    if random.random() < 0.5:
        stride[:] = dilation[:] = 1
    padding, after = random.integers(-2, 4, axes), random.integers(-1, 4, axes)
    room = (sizes - 1) * spread + padding + after - (taps - 1) * dilation
    places = room // stride + 1
    if (room < 0).any():
        return None
    batch = int(random.choice([1, 2, 5]))
    x = random.standard_normal((batch * batch_groups, channels * groups, *sizes))
    w = random.standard_normal((outputs, channels, *taps))
    out_shape = (batch, outputs, *(int(place) for place in places))
    options = [tuple(map(int, option)) for option in (stride, padding, dilation, spread)]
    return x, w, out_shape, options, groups, batch_groups


def relaid(array, random):
    """The same values in another layout."""
    kind = random.integers(6)
    if kind == 0:
        return array.swapaxes(0, 1).copy().swapaxes(0, 1)
    if kind == 1:
        return np.flip(array, tuple(range(2, array.ndim)))
    if kind == 2:
        return np.moveaxis(np.moveaxis(array, 1, -1).copy(), -1, 1)
    return array


@pytest.mark.parametrize("seed", range(4))
def test_random_problems(each_target, seed):
    random = np.random.default_rng(seed)
    for _ in range(24):
        case = random_case(random)
        if case is None:
            continue
        x, w, out_shape, options, groups, batch_groups = case
        dtype = ("float32", "float64")[random.integers(2)]
        out = relaid(np.full(out_shape, np.nan, dtype), random)
        x, w = relaid(x.astype(dtype), random), relaid(w.astype(dtype), random)
        check(x, w, out, *options, groups, batch_groups)


def forward(x, w, *, stride=1, padding=0, groups=1, strategy=None):
    operands, options = forward_call(x, w, stride, padding, groups)
    conv(*operands, **options, strategy=strategy)
    return operands[0].array


def forward_call(x, w, stride, padding, groups):
    size = (x.shape[2] + 2 * padding - w.shape[2]) // stride + 1
    out = np.full((x.shape[0], w.shape[0], size, size), np.nan, x.dtype)
    options = {
        "stride": (stride,) * 2, "padding": (padding,) * 2, "dilation": (1, 1),
        "input_dilation": (1, 1), "groups": groups,
    }  # fmt: skip
    return [ArrayOperand(array) for array in (out, x, w)], options


LAYERS = {
    "3x3": (16, 40, 14, 3, 1, 1, 1),
    "strided": (16, 40, 15, 3, 2, 1, 1),
    "1x1": (32, 20, 9, 1, 1, 0, 1),
    "1x1 strided": (32, 20, 9, 1, 2, 0, 1),
    "depthwise": (24, 24, 13, 3, 1, 1, 24),
    "depthwise strided": (6, 6, 15, 3, 2, 1, 6),
    "depthwise 5x5": (6, 12, 13, 5, 1, 2, 6),
    "depthwise 5x5 strided": (6, 6, 17, 5, 2, 2, 6),
    "depthwise, one place": (6, 6, 7, 7, 1, 0, 6),
    "depthwise 5x5, one place": (6, 6, 5, 5, 1, 0, 6),
    "one result": (20, 1, 13, 5, 1, 2, 1),
    "grouped": (24, 36, 13, 3, 1, 1, 4),
    "long sum": (300, 16, 7, 3, 1, 1, 1),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_same_bits_for_any_threads_batch_and_place(team, each_target, layer):
    channels, outputs, size, taps, stride, padding, groups = LAYERS[layer]
    random = np.random.default_rng(0)
    x = random.standard_normal((5, channels, size, size)).astype("f4")
    w = random.standard_normal((outputs, channels // groups, taps, taps)).astype("f4")
    options = {"stride": stride, "padding": padding, "groups": groups}
    operands, named = forward_call(x, w, stride, padding, groups)
    for strategy in strategies(parts(*operands, **named)):
        threads.set_num_threads(1)
        whole = forward(x, w, **options, strategy=strategy)
        for count, part in ((2, slice(0, 5)), (3, slice(3, 4)), (2, slice(1, 3)), (1, slice(0, 1))):
            threads.set_num_threads(count)
            found = forward(x[part], w, **options, strategy=strategy)
            assert found.tobytes() == whole[part].tobytes(), strategy


def test_gradients_have_the_same_bits_for_any_thread_count(team):
    random = np.random.default_rng(1)
    x = random.standard_normal((6, 8, 12, 12)).astype("f4")
    g = random.standard_normal((6, 16, 12, 12)).astype("f4")
    results = set()
    for count in (1, 2, 3):
        threads.set_num_threads(count)
        gradient = np.empty((8, 16, 3, 3), "f4")
        conv(
            ArrayOperand(gradient), ArrayOperand(x.swapaxes(0, 1)), ArrayOperand(g.swapaxes(0, 1)),
            stride=(1, 1), padding=(1, 1), dilation=(1, 1), input_dilation=(1, 1),
        )  # fmt: skip
        results.add(gradient.tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("places", [4, 15, 17])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("taps", [3, 5])
def test_depthwise_weight_gradient(team, each_target, stride, places, dtype, taps):
    random = np.random.default_rng(places)
    size, pad = (places - 1) * stride + 1, taps // 2
    x = random.standard_normal((3, 6, size, size)).astype(dtype).swapaxes(0, 1)
    g = random.standard_normal((3, 6, places, places)).astype(dtype).swapaxes(0, 1)
    results = set()
    for count in (1, 2):
        threads.set_num_threads(count)
        out = np.full((1, 6, taps, taps), np.nan, dtype)
        options = ((1, 1), (pad, pad), (stride, stride), (1, 1))
        check(x, g, out, *options, batch_groups=6)
        results.add(out.tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("size", [9, 33])
@pytest.mark.parametrize("taps", [3, 5])
def test_depthwise_input_gradient_of_stride_two(each_target, size, taps):
    random = np.random.default_rng(size)
    g = random.standard_normal((2, 5, (size + 1) // 2, (size + 1) // 2)).astype("f4")
    w = random.standard_normal((5, 1, taps, taps)).astype("f4")
    rest = taps - 1 - taps // 2
    out = np.full((2, 5, size, size), np.nan, "f4")
    check(g, w, out, (1, 1), (rest, rest), (1, 1), (2, 2), groups=5)


def test_infinity_stays_in_its_window(each_target):
    x, w = np.ones((1, 4, 9, 9), "f4"), np.ones((4, 1, 3, 3), "f4")
    x[0, :, 4, 0] = np.inf
    out = forward(x, w, padding=1, groups=4)
    assert np.isinf(out[0, 0, 3:6, :2]).all()
    assert np.isinf(out).sum() == 4 * 6
    gradient = np.empty((1, 4, 3, 3), "f4")
    conv(
        ArrayOperand(gradient), ArrayOperand(x.swapaxes(0, 1)),
        ArrayOperand(np.ones((4, 1, 9, 9), "f4")), stride=(1, 1), padding=(1, 1),
        dilation=(1, 1), input_dilation=(1, 1), batch_groups=4,
    )  # fmt: skip
    assert not np.isnan(gradient).any()
    assert np.isinf(gradient[..., :2]).sum() == 4 * 6


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("size", [7, 16])
def test_nothing_outside_is_touched(each_target, layer, size):
    channels, outputs, _, taps, stride, padding, groups = LAYERS[layer]
    random = np.random.default_rng(2)
    places = (size + 2 * padding - taps) // stride + 1
    guards = [
        GuardedMemory(random.standard_normal(shape).astype("f4"))
        for shape in (
            (2, channels, size, size),
            (outputs, channels // groups, taps, taps),
            (2, outputs, places, places),
        )
    ]
    options = ((stride,) * 2, (padding,) * 2, (1, 1), (1, 1), groups)
    check(*(guard.array for guard in guards), *options)
    for guard in guards:
        guard.release()


def test_images_that_are_copied_in_parts():
    random = np.random.default_rng(3)
    x = random.standard_normal((40, 16, 64, 64)).astype("f4")
    w = random.standard_normal((3, 16, 2, 2)).astype("f4")
    out = np.empty((40, 3, 65, 65), "f4")
    check(x, w, out, (1, 1), (1, 1), (1, 1), (1, 1))


def test_no_channels_give_zeros():
    x, w = np.zeros((2, 0, 5), "f4"), np.zeros((3, 0, 2), "f4")
    out = np.full((2, 3, 4), np.nan, "f4")
    conv(
        ArrayOperand(out), ArrayOperand(x), ArrayOperand(w), stride=(1,), padding=(0,),
        dilation=(1,), input_dilation=(1,),
    )  # fmt: skip
    assert (out == 0).all()


def test_wrong_arguments():
    x, w, out = np.zeros((2, 4, 5), "f4"), np.zeros((6, 4, 2), "f4"), np.zeros((2, 6, 4), "f4")
    good = {"stride": (1,), "padding": (0,), "dilation": (1,), "input_dilation": (1,)}

    def run(out, x, w, **options):
        conv(ArrayOperand(out), ArrayOperand(x), ArrayOperand(w), **(good | options))

    with pytest.raises(DTypeError, match="float32 or float64"):
        run(out.astype("i4"), x, w)
    with pytest.raises(ShapeError, match="do not give"):
        run(out, x[:, :3], w)
    with pytest.raises(ShapeError, match="spatial axes"):
        run(out[0], x, w)
    with pytest.raises(ArgumentError, match="steps of at least 1"):
        run(out, x, w, stride=(0,))
    with pytest.raises(ArgumentError, match="one of them to be 1"):
        run(out, x, w, groups=2, batch_groups=2)
