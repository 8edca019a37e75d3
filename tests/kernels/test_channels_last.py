"""Convolutions of images whose channels lie side by side, and chains of them."""

import numpy as np
import pytest
from kernels.conv_oracle import check
from kernels.operands import ArrayOperand, GuardedMemory

from lamina.codegen import threads
from lamina.kernels.convolution import chained
from lamina.kernels.convolution.ahead import Layer
from lamina.kernels.convolution.chain import Steps
from lamina.kernels.convolution.chained import Chain
from lamina.kernels.convolution.depthwise_last import Taps
from lamina.kernels.convolution.entry import conv, parts, strategies
from lamina.kernels.convolution.results import BIAS, RESIDUAL, SUM
from lamina.kernels.expression import apply

PLAIN = {"dilation": (1, 1), "input_dilation": (1, 1)}
LAST = {
    "pointwise", "direct channels last", "depthwise channels last", "planes to channels last",
    "winograd 4x4", "winograd 2x2",
}  # fmt: skip


def seen_first(images):
    """A view (N, C, H, W) of images (N, H, W, C)."""
    return np.moveaxis(images, -1, 1)


def last(images):
    """The same values, channels last in memory."""
    return seen_first(np.ascontiguousarray(np.moveaxis(images, 1, -1)))


# (channels, outputs, size, taps, stride, padding, groups): sizes around registers and tiles.
LAYERS = {
    "1x1": (33, 31, 9, 1, 1, 0, 1),
    "1x1, long sum": (300, 40, 5, 1, 1, 0, 1),
    "1x1 strided": (16, 48, 9, 1, 2, 0, 1),
    "3x3": (17, 33, 11, 3, 1, 1, 1),
    "3x3 strided": (32, 20, 15, 3, 2, 1, 1),
    "grouped": (24, 36, 13, 3, 1, 1, 4),
    "depthwise": (40, 40, 13, 3, 1, 1, 40),
    "depthwise strided": (15, 15, 17, 5, 2, 2, 15),
    "depthwise, taps beyond": (16, 16, 3, 5, 1, 2, 16),
    "few channels": (3, 20, 35, 3, 2, 1, 1),
    "one channel": (1, 40, 20, 5, 1, 2, 1),
}


def operands_of(layer, batch, *, dtype="f4", x_last=True):
    channels, outputs, size, taps, stride, padding, groups = LAYERS[layer]
    random = np.random.default_rng(channels)
    places = (size + 2 * padding - taps) // stride + 1
    x = random.standard_normal((batch, channels, size, size)).astype(dtype)
    w = random.standard_normal((outputs, channels // groups, taps, taps)).astype(dtype)
    out = last(np.full((batch, outputs, places, places), np.nan, dtype))
    options = {"stride": (stride,) * 2, "padding": (padding,) * 2, "groups": groups, **PLAIN}
    return out, (last(x) if x_last else x), w, options


def named(out, x, w, options):
    return strategies(parts(*map(ArrayOperand, (out, x, w)), **options))


DOUBLE = ("1x1", "3x3", "depthwise", "few channels")


@pytest.mark.parametrize("x_last", [True, False])
@pytest.mark.parametrize(
    ("dtype", "layer"), [*(("f4", name) for name in LAYERS), *(("f8", name) for name in DOUBLE)]
)
def test_every_strategy_is_right(each_target, layer, dtype, x_last):
    out, x, w, o = operands_of(layer, 2, dtype=dtype, x_last=x_last)
    check(x, w, out, o["stride"], o["padding"], (1, 1), (1, 1), o["groups"])


@pytest.mark.parametrize("layer", LAYERS)
def test_same_bits_for_any_threads_batch_and_place(team, each_target, layer):
    for x_last in (True, False):
        out, x, w, options = operands_of(layer, 5, x_last=x_last)
        for strategy in LAST & named(out, x, w, options).keys():
            threads.set_num_threads(1)
            conv(*map(ArrayOperand, (out, x, w)), **options, strategy=strategy)
            for count, part in ((2, slice(0, 5)), (3, slice(3, 4)), (7, slice(1, 3))):
                threads.set_num_threads(count)
                found = np.full_like(out[part], np.nan)
                conv(*map(ArrayOperand, (found, x[part], w)), **options, strategy=strategy)
                assert (found == out[part]).all(), (strategy, count)


def with_room(images, value):
    """The same images in memory that has room before, between and behind pixels and images."""
    count, channels, *sizes = images.shape
    room = np.full((2 * count, *sizes, channels + 5), value, images.dtype)
    part = seen_first(room[::2, ..., 2 : channels + 2])
    part[...] = images
    return room, part


@pytest.mark.parametrize("layer", LAYERS)
def test_room_between_pixels_and_images_stays_as_it_is(each_target, layer):
    for x_last in (True, False):
        out, x, w, o = operands_of(layer, 3, x_last=x_last)
        room, part = with_room(out, 7.0)
        if x_last:
            _, x = with_room(x, np.nan)
        check(x, w, part, o["stride"], o["padding"], (1, 1), (1, 1), o["groups"])
        part[...] = 7.0
        assert (room == 7.0).all()


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_outside_is_touched(each_target, layer):
    for x_last in (True, False):
        out, x, w, o = operands_of(layer, 2, x_last=x_last)
        guards = [
            GuardedMemory(np.ascontiguousarray(np.moveaxis(array, 1, -1)) if is_last else array)
            for array, is_last in ((x, x_last), (w, False), (out, True))
        ]
        there, weights, here = (guard.array for guard in guards)
        there = seen_first(there) if x_last else there
        check(
            there, weights, seen_first(here), o["stride"], o["padding"], (1, 1), (1, 1), o["groups"]
        )
        for guard in guards:
            guard.release()


@pytest.mark.parametrize("layer", LAYERS)
def test_what_comes_after_the_sums(each_target, layer):
    """The bits are those of the same steps over stored sums, for weights laid out ahead too."""
    for x_last in (True, False):
        out, x, w, options = operands_of(layer, 2, x_last=x_last)
        random = np.random.default_rng(9)
        bias = random.standard_normal(out.shape[1]).astype("f4")
        residual = last(random.standard_normal(out.shape).astype("f4"))
        order = ("stride", "padding", "dilation", "input_dilation")
        known = Layer(
            "float32", (1, *out.shape[1:]), (1, *x.shape[1:]), w.shape,
            tuple(options[name] for name in order), options["groups"], x_last, True,
        )  # fmt: skip
        for strategy in LAST & named(out, x, w, options).keys():
            conv(*map(ArrayOperand, (out, x, w)), **options, strategy=strategy)
            want = np.maximum(out + bias[:, None, None] + residual, 0)
            prepared = None
            if strategy == known.strategy:
                prepared = ArrayOperand(np.empty(known.size, "f4"))
                known.prepare(prepared, ArrayOperand(w))
            for ahead in {None, prepared}:
                found = np.full_like(out, np.nan)
                conv(
                    *map(ArrayOperand, (found, x, w)), **options, strategy=strategy,
                    epilogue=apply("maximum", SUM + BIAS + RESIDUAL, 0.0), prepared=ahead,
                    bias=ArrayOperand(bias), residual=ArrayOperand(residual),
                )  # fmt: skip
                assert (found == want).all(), (strategy, ahead is not None)


def test_infinity_stays_in_its_window(each_target):
    x = last(np.ones((1, 20, 9, 9), "f4"))
    x[0, :, 4, 0] = np.inf
    out = last(np.empty((1, 20, 9, 9), "f4"))
    w = np.ones((20, 1, 3, 3), "f4")
    conv(
        *map(ArrayOperand, (out, x, w)), stride=(1, 1), padding=(1, 1), groups=20, **PLAIN,
        strategy="depthwise channels last",
    )  # fmt: skip
    assert np.isinf(out[0, 0, 3:6, :2]).all()
    assert np.isinf(out).sum() == 20 * 6


def images(random, *shape):
    return random.standard_normal(shape).astype("f4")


class Links:
    """Operands of a chain, and what it gives step by step."""

    def __init__(self, depth, channels, outputs, size, taps, padding, *, expands, adds):
        random = np.random.default_rng(channels)
        self.taps, self.padding, self.size = taps, padding, size
        relu6 = apply("minimum", 6.0, apply("maximum", SUM + BIAS, 0.0))
        project = SUM + BIAS + RESIDUAL if adds else SUM + BIAS
        self.steps = Steps(relu6 if expands else None, relu6, project)
        self.weights = [images(random, channels, depth)] if expands else []
        self.weights.append(images(random, channels, *taps.size))
        self.weights.append(images(random, outputs, channels))
        self.biases = [images(random, len(w)) for w in self.weights]
        places = [
            (n + 2 * p - (t - 1) * d - 1) // s + 1
            for n, p, t, s, d in zip((size, size + 3), padding, *taps, strict=True)
        ]
        self.x = images(random, 3, size, size + 3, depth if expands else channels)
        self.residual = images(random, 3, *places, outputs) if adds else None
        self.chain = Chain(
            "float32", self.x.shape[1:], (*places, outputs), channels, taps, padding, self.steps
        )

    def one_by_one(self):
        """The result of each step, made by the kernel of each."""
        found, stages = self.x, []
        if self.steps.expand is not None:
            stages.append((self.steps.expand, "pointwise"))
        stages += [
            (self.steps.depthwise, "depthwise channels last"), (self.steps.project, "pointwise"),
        ]  # fmt: skip
        for (after, strategy), w, bias in zip(stages, self.weights, self.biases, strict=True):
            is_depthwise = strategy != "pointwise"
            weights = w[:, None] if is_depthwise else w[..., None, None]
            shape = self.chain.out[:2] if is_depthwise else found.shape[1:3]
            out = np.full((3, *shape, len(w)), np.nan, "f4")
            reads_residual = after == self.steps.project and self.residual is not None
            residual = ArrayOperand(seen_first(self.residual)) if reads_residual else None
            taps = self.taps if is_depthwise else Taps((1, 1), (1, 1), (1, 1))
            conv(
                *map(ArrayOperand, (seen_first(out), seen_first(found), weights)),
                stride=taps.stride, dilation=taps.dilation, input_dilation=(1, 1),
                padding=self.padding if is_depthwise else (0, 0), strategy=strategy,
                groups=len(w) if is_depthwise else 1, epilogue=after, bias=ArrayOperand(bias),
                residual=residual,
            )  # fmt: skip
            found = out
        return found

    def prepared(self):
        numbers = np.zeros(self.chain.size, "f4")
        starts = self.chain.prepare(ArrayOperand(numbers), [ArrayOperand(w) for w in self.weights])
        for start, bias in zip(starts, self.biases, strict=True):
            numbers[start : start + len(bias)] = bias
        return numbers

    def run(self, images, out, prepared):
        residual = None if self.residual is None else ArrayOperand(self.residual[images])
        x = ArrayOperand(self.x[images])
        self.chain.run(ArrayOperand(out), x, ArrayOperand(prepared), residual)


CHAINS = {
    "inverted residual": (16, 40, 16, 17, 3, 1, 1, True, True),
    "strided": (24, 33, 20, 31, 3, 2, 1, True, False),
    "5x5": (7, 24, 40, 16, 5, 1, 2, True, False),
    "dilated": (8, 16, 8, 19, 3, 1, 2, True, False),
    "no expansion": (0, 32, 16, 18, 3, 1, 1, False, False),
    "long sum": (16, 300, 24, 15, 3, 1, 1, True, False),
}


def links(name):
    depth, channels, outputs, size, taps, stride, padding, expands, adds = CHAINS[name]
    dilation = 2 if name == "dilated" else 1
    taps = Taps((taps,) * 2, (stride,) * 2, (dilation,) * 2)
    return Links(depth, channels, outputs, size, taps, (padding,) * 2, expands=expands, adds=adds)


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_has_the_bits_of_its_links(team, each_target, name):
    chain = links(name)
    want, prepared = chain.one_by_one(), chain.prepared()
    for count, part in ((1, slice(0, 3)), (2, slice(0, 1)), (3, slice(1, 3)), (7, slice(0, 3))):
        threads.set_num_threads(count)
        found = np.full_like(want[part], np.nan)
        chain.run(part, found, prepared)
        assert (found == want[part]).all(), count


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_has_the_same_bits_in_groups_of_any_size(name, monkeypatch):
    chain = links(name)
    want, prepared = chain.one_by_one(), chain.prepared()
    for size in range(1, 10):
        monkeypatch.setattr(Chain, "group", lambda _, most, size=size: min(size, most))
        chained._step.cache_clear()
        found = np.full_like(want, np.nan)
        chain.run(slice(None), found, prepared)
        assert (found == want).all(), size
    chained._step.cache_clear()


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_touches_nothing_outside(each_target, name):
    chain = links(name)
    want = chain.one_by_one()
    arrays = (np.full_like(want, np.nan), chain.x, chain.prepared(), chain.residual)
    guards = [None if array is None else GuardedMemory(array) for array in arrays]
    out, chain.x, prepared, chain.residual = (guard and guard.array for guard in guards)
    chain.run(slice(None), out, prepared)
    assert (out == want).all()
    for guard in guards:
        if guard is not None:
            guard.release()
