"""The neural-network ops at their edges: kernels, NaN, masks, 16 bits, empty batches."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

import lamina
from lamina import autograd
from lamina.memory import of_numpy
from lamina.ops.algebra.products import Matmul
from lamina.ops.layers import (
    attention,
    convolution,
    dropout,
    normalization,
    padding,
    pooling,
    resampling,
    softmax,
)
from lamina.ops.layers.convolution import Conv
from lamina.ops.registry import Op
from lamina.philox import Generator

T = lamina.tensor


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def assert_kernel_is_reference(op: Op, *arrays: np.ndarray, tolerance: float) -> None:
    found = op.run(*map(of_numpy, arrays)).numpy()
    wanted = op.ref(*[a.astype(np.float64) for a in arrays])
    scale = max(1.0, float(np.abs(wanted).max(initial=0)))
    np.testing.assert_allclose(found.astype(np.float64), wanted, rtol=0, atol=tolerance * scale)


# input dilation, groups, batch groups, padding (negative: cut off), room behind
CONVOLUTIONS = list(
    product((1, 2, 3), ((1, 1), (2, 1), (1, 2), (4, 1), (1, 4)), (-1, 0, 2), (0, 3))
)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_convolution_kernel_is_the_reference(axes: int, dtype: str) -> None:
    draw = rng()
    for spread, (groups, batch_groups), before, behind in CONVOLUTIONS:
        size, kernel = (6, 5, 4)[:axes], (2, 3, 1)[:axes]
        stride, dilation = (1, 2, 3)[:axes], (2, 1, 1)[:axes]
        spatial = tuple(
            ((n - 1) * spread + before + behind - d * (k - 1)) // s + 1
            for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
        )
        every = (axes,)
        op = Conv(
            tuple(max(n, 1) for n in spatial),
            stride,
            (before,) * axes,
            dilation,
            (spread,) * every[0],
            groups,
            batch_groups,
        )
        x = draw.standard_normal((4, 4, *size)).astype(dtype)
        w = draw.standard_normal((8, 4 // groups, *kernel)).astype(dtype)
        tolerance = 1e-6 if dtype == "float32" else 1e-14
        assert_kernel_is_reference(op, x, w, tolerance=tolerance)
        assert_kernel_is_reference(op, x[::-1, :, ::-1], np.flip(w, -1), tolerance=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_matmul_kernel_is_the_reference(dtype: str) -> None:
    kind = lamina.tensor(0.0, dtype=dtype).numpy().dtype
    draw = rng()
    shapes = [
        ((3, 4), (4, 5)),
        ((2, 3, 4), (4, 5)),
        ((3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (5, 4, 2)),
        ((1, 7), (7, 1)),
        ((3, 0), (0, 2)),
        ((0, 3), (3, 2)),
        ((70, 65), (65, 33)),
    ]
    for left, right in shapes:
        a, b = draw.standard_normal(left).astype(kind), draw.standard_normal(right).astype(kind)
        tolerance = {"float32": 1e-6, "float64": 1e-14, "float16": 1e-3, "bfloat16": 8e-3}[dtype]
        assert_kernel_is_reference(Matmul(), a, b, tolerance=tolerance)
        turned = np.ascontiguousarray(a.swapaxes(-1, -2)).swapaxes(-1, -2)
        assert_kernel_is_reference(Matmul(), turned, b[..., ::-1], tolerance=tolerance)


def test_convolution_adds_up_16_bit_floats_in_float32() -> None:
    x = lamina.ones(1, 300, 5).to("bfloat16")
    w = lamina.ones(1, 300, 1).to("bfloat16")
    # In bfloat16 a sum of ones stops at 256.
    assert convolution.conv(x, w).tolist() == [[[300.0] * 5]]


def test_pooling_passes_nan_on() -> None:
    x = T([[[1.0, float("nan"), 2.0, 3.0]]], requires_grad=True)
    out = pooling.max_pool(x, 2)
    assert np.array_equal(out.detach().numpy(), [[[np.nan, 3.0]]], equal_nan=True)
    out.sum().backward()
    assert x.grad.tolist() == [[[0.0, 1.0, 0.0, 1.0]]]


def test_max_pooling_takes_integers() -> None:
    assert pooling.max_pool(T([[[-5, -3, -9, -7]]]), 2).tolist() == [[[-3, -7]]]


def test_gradient_of_equal_elements_goes_to_the_first() -> None:
    x = lamina.ones(1, 1, 4, 4, requires_grad=True)
    pooling.max_pool(x, 3, 1).sum().backward()
    assert x.grad.tolist() == [[[[1, 1, 0, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]]]


def test_windows_that_number_more_than_a_byte_holds() -> None:
    values = rng().standard_normal((2, 3, 20, 21))
    x = T(values, requires_grad=True)
    out, indices = pooling.max_pool(x, 17, 2, return_indices=True)
    flat = values.reshape(2, 3, -1)
    chosen = np.take_along_axis(flat, indices.numpy().reshape(2, 3, -1), -1)
    assert np.array_equal(chosen.reshape(out.shape), out.detach().numpy())
    out.sum().backward()
    assert x.grad.sum().item() == out.numel()


def test_softmax_of_nothing_but_minus_infinity() -> None:
    row = lamina.full((2,), float("-inf"))
    assert np.isnan(softmax.softmax(row).numpy()).all()
    assert softmax.softmax(lamina.zeros(0, 3)).shape == (0, 3)
    assert softmax.softmax(T(3.0), 0).tolist() == 1.0


@pytest.mark.parametrize("kind", ["bool", "additive"])
def test_a_query_that_sees_nothing_gives_zeros_and_no_gradient(kind: str) -> None:
    draw = rng()
    q, k, v = (T(draw.standard_normal(s), requires_grad=True) for s in ((3, 4), (5, 4), (5, 2)))
    allowed = np.ones((3, 5), bool)
    allowed[1] = False
    mask = T(allowed) if kind == "bool" else T(np.where(allowed, 0.0, -np.inf))
    out = attention.scaled_dot_product_attention(q, k, v, mask)
    assert out[1].tolist() == [0.0, 0.0]
    (out * out).sum().backward()
    assert q.grad[1].tolist() == [0.0] * 4
    assert all(np.isfinite(t.grad.numpy()).all() for t in (q, k, v))


def test_causal_and_masked_at_once() -> None:
    q = lamina.zeros(3, 1)
    v = T([[1.0], [2.0], [3.0]])
    mask = T([False, True, True])
    out = attention.scaled_dot_product_attention(q, q, v, mask, is_causal=True)
    assert out.tolist() == [[0.0], [2.0], [2.5]]


def test_dropout_is_a_function_of_its_draw() -> None:
    x = lamina.ones(40, 50, requires_grad=True)
    stream = Generator(5)
    first = dropout.dropout(x, 0.25, stream)
    second = dropout.dropout(x, 0.25, stream)
    stream.state = (5, 0)
    again = dropout.dropout(x, 0.25, stream)
    assert np.array_equal(first.detach().numpy(), again.detach().numpy())
    assert not np.array_equal(first.detach().numpy(), second.detach().numpy())
    (grad,) = autograd.grad(first.sum(), x)
    assert np.array_equal(grad.numpy(), first.detach().numpy())
    assert set(np.unique(grad.numpy())) == {np.float32(0), np.float32(1 / 0.75)}
    # 2000 draws: the share kept is within four standard deviations.
    assert abs((grad.numpy() > 0).mean() - 0.75) < 4 * (0.25 * 0.75 / 2000) ** 0.5


def test_dropout_mask_is_made_of_the_words_of_philox() -> None:
    words = np.random.Philox(key=9, counter=[0, 0, 3, 0]).random_raw(4)
    halves = [half for w in words.tolist() for half in (w & 0xFFFFFFFF, w >> 32)]
    numbers = np.array([9, 3], np.uint64)
    kept = dropout.Dropout(0.5).ref(np.ones(7, np.float32), numbers) > 0
    assert kept.tolist() == [half >= 2**31 for half in halves[:7]]


def test_dropout_of_channels_takes_whole_ones() -> None:
    out = dropout.feature_dropout(lamina.ones(8, 16, 3, 3), 0.5, Generator(1)).numpy()
    assert set(np.unique(out)) == {0.0, 2.0}
    assert np.array_equal(out, np.broadcast_to(out[:, :, :1, :1], out.shape))


@pytest.mark.parametrize("drop", [dropout.alpha_dropout, dropout.feature_alpha_dropout])
def test_alpha_dropout_keeps_mean_and_variance(drop: Callable[..., lamina.Tensor]) -> None:
    x = T(rng().standard_normal((400, 400)).astype(np.float32))
    out = drop(x, 0.3, Generator(2)).numpy()
    assert abs(out.mean()) < 0.01
    assert abs(out.std() - 1) < 0.01
    assert drop(x, 1.0).numpy().any() == np.False_


def test_dropout_of_nothing_and_of_all() -> None:
    x = lamina.ones(3)
    assert dropout.dropout(x, 0.0) is x
    assert dropout.dropout(x, 1.0).tolist() == [0.0] * 3


def test_batch_norm_is_exact_far_from_zero() -> None:
    values = rng().standard_normal((64, 3, 5)) + 1e4
    out = normalization.batch_norm(T(values.astype(np.float32)), None, None, training=True)
    rounded = values.astype(np.float32).astype(np.float64)
    mean, std = rounded.mean((0, 2), keepdims=True), rounded.std((0, 2), keepdims=True)
    # The mean itself is rounded to float32: half a step at 1e4 is 5e-4.
    np.testing.assert_allclose(out.numpy(), (rounded - mean) / std, atol=2e-3)


def test_running_statistics_have_no_history() -> None:
    mean, variance = lamina.zeros(3), lamina.ones(3)
    x = lamina.ones(4, 3, requires_grad=True)
    normalization.batch_norm(x, mean, variance, training=True)
    assert not mean.requires_grad
    assert mean.version == 2


def test_transposed_convolution_is_the_gradient_of_convolution() -> None:
    draw = rng()
    x = T(draw.standard_normal((2, 3, 9)), requires_grad=True)
    w = T(draw.standard_normal((4, 3, 3)))
    out = convolution.conv(x, w, stride=2, padding=1)
    seed = T(draw.standard_normal(out.shape))
    (grad,) = autograd.grad(out, x, seed)
    turned = convolution.conv_transpose(seed, w, stride=2, padding=1)
    np.testing.assert_allclose(turned.numpy(), grad.numpy(), atol=1e-12)


def weights(x: lamina.Tensor) -> lamina.Tensor:
    return T(rng().uniform(0.5, 1.5, (4, 4, 3, 3))).to(x.dtype)


# Every op, applied to a tensor (N, 4, 6, 6).
EVERY: dict[str, Callable[[lamina.Tensor], lamina.Tensor]] = {
    "conv": lambda x: convolution.conv(x, weights(x)),
    "conv_transpose": lambda x: convolution.conv_transpose(x, weights(x)),
    "max_pool": lambda x: pooling.max_pool(x, 2, return_indices=True)[0],
    "avg_pool": lambda x: pooling.avg_pool(x, 2),
    "adaptive_avg_pool": lambda x: pooling.adaptive_avg_pool(x, 4),
    "adaptive_max_pool": lambda x: pooling.adaptive_max_pool(x, 4, return_indices=True)[0],
    "lp_pool": lambda x: pooling.lp_pool(x, 2, 2),
    "batch_norm": lambda x: normalization.batch_norm(x, lamina.zeros(4), lamina.ones(4)),
    "instance_norm": normalization.instance_norm,
    "group_norm": lambda x: normalization.group_norm(x, 2),
    "layer_norm": lambda x: normalization.layer_norm(x, 6),
    "rms_norm": lambda x: normalization.rms_norm(x, 6),
    "softmax": softmax.softmax,
    "log_softmax": softmax.log_softmax,
    "dropout": dropout.dropout,
    "pad": lambda x: padding.pad(x, (1, 1)),
    "reflect": lambda x: padding.pad(x, (1, 1), "reflect"),
    "interpolate": lambda x: resampling.interpolate(x, 9, mode="bilinear"),
    "attention": lambda x: attention.scaled_dot_product_attention(x, x, x),
    "pixel_shuffle": lambda x: resampling.pixel_shuffle(x, 2),
}
every_op = pytest.mark.parametrize("op", EVERY.values(), ids=EVERY.keys())


@every_op
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_the_dtype_stays(op: Callable[[lamina.Tensor], lamina.Tensor], dtype: str) -> None:
    x = T(rng().uniform(0.1, 1.0, (2, 4, 6, 6))).to(dtype).requires_grad_()
    out = op(x)
    (grad,) = autograd.grad(out.sum(), x)
    assert str(out.dtype) == str(grad.dtype) == f"lamina.{dtype}"
    assert np.isfinite(grad.to("float32").numpy()).all()


@every_op
def test_an_empty_batch_stays_one(op: Callable[[lamina.Tensor], lamina.Tensor]) -> None:
    x = lamina.zeros(0, 4, 6, 6, requires_grad=True)
    out = op(x)
    assert out.shape[0] == 0
    (grad,) = autograd.grad(out.sum(), x)
    assert grad.shape == x.shape


@pytest.mark.parametrize("name", sorted(EVERY.keys() - {"dropout"}))
def test_a_sample_has_the_same_bits_in_any_batch(name: str) -> None:
    values = rng().standard_normal((5, 4, 6, 6)).astype(np.float32)

    def results(first: int, last: int) -> list[np.ndarray]:
        x = T(values[first:last], requires_grad=True)
        out = EVERY[name](x)
        (grad,) = autograd.grad((out * out).sum(), x)
        return [out.detach().numpy(), grad.numpy()]

    whole = results(0, 5)
    for first, last in ((0, 1), (1, 3), (4, 5)):
        for part, all_of_it in zip(results(first, last), whole, strict=True):
            assert part.tobytes() == all_of_it[first:last].tobytes()


def test_weights_get_zeros_from_an_empty_batch() -> None:
    w, b = lamina.ones(4, 4, 3, 3, requires_grad=True), lamina.ones(4, requires_grad=True)
    convolution.conv(lamina.zeros(0, 4, 6, 6), w, b).sum().backward()
    assert not w.grad.numpy().any()
    assert b.grad.tolist() == [0.0] * 4
