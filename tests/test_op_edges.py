"""What ops do where a formula alone does not say: ties, zeros, infinities, NaN, empty axes."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import errors
from lamina.ops.blocks import BLOCK, in_blocks
from lamina.ops.elementwise import activations, error_function, functions
from lamina.ops.elementwise.choosing import choose
from lamina.ops.orders import sorting
from lamina.ops.reductions import reduction, scan

INF, NAN = float("inf"), float("nan")


def gradient(function: Callable[[Any], Any], *values: Any) -> Any:
    """The gradients of Σ function(values) as lists; of one value, its own."""
    inputs = [lamina.tensor(v, dtype="float64", requires_grad=True) for v in values]
    function(*inputs).sum().backward()
    found = [x.grad.tolist() for x in inputs if x.grad is not None]
    return found[0] if len(values) == 1 else found


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (activations.relu, [-1.0, 0.0, 2.0], [0, 0, 1]),
        (activations.relu6, [0.0, 6.0, 3.0], [0, 0, 1]),
        (activations.hardtanh, [-1.0, 1.0, 0.0], [0, 0, 1]),
        (activations.leaky_relu, [-1.0, 0.0, 1.0], [0.01, 0.01, 1]),
        (activations.elu, [-1000.0, 0.0, 1000.0], [0, 1, 1]),
        (activations.softplus, [-1000.0, 0.0, 1000.0], [0, 0.5, 1]),
        (activations.logsigmoid, [-1000.0, 0.0, 1000.0], [1, 0.5, 0]),
        (activations.silu, [-1000.0, 0.0, 1000.0], [0, 0.5, 1]),
        (activations.mish, [-1000.0, 0.0, 1000.0], [0, 0.6, 1]),
        (activations.gelu, [-1000.0, 0.0, 1000.0], [0, 0.5, 1]),
        (lambda x: activations.gelu(x, "tanh"), [-1000.0, 0.0, 1000.0], [0, 0.5, 1]),
        (functions.sigmoid, [-1000.0, 0.0, 1000.0], [0, 0.25, 0]),
        (lambda x: functions.clip(x, 0, 1), [-1.0, 0.0, 1.0, 2.0], [0, 1, 1, 0]),
        (abs, [-1.0, 0.0, 1.0], [-1, 0, 1]),
    ],
)
def test_slopes_at_corners_and_far_out(function: Any, x: Any, expected: Any) -> None:
    assert gradient(function, x) == expected


@pytest.mark.parametrize("function", [reduction.max, reduction.min])
def test_equal_extremes_share_the_gradient(function: Any) -> None:
    assert gradient(function, [2.0, 2.0]) == [0.5, 0.5]
    assert gradient(lambda x: function(x, 1), [[1.0, 1.0], [1.0, 1.0]]) == [[0.5, 0.5]] * 2


def test_an_extreme_along_an_axis_sends_its_gradient_to_one_place() -> None:
    assert gradient(lambda x: x.max(0).values, [3.0, 3.0, 1.0]) == [1, 0, 0]
    assert gradient(lambda x: x.min(0).values, [3.0, 1.0, 1.0]) == [0, 1, 0]


def test_a_clip_between_tensors_sends_the_gradient_to_what_it_took() -> None:
    found = gradient(functions.clip, [0.0, 5.0, 2.0], [1.0, 1.0, 1.0], [3.0, 3.0, 3.0])
    assert found == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([2.0, 3.0, 4.0], [12, 8, 6]),
        ([2.0, 0.0, 4.0], [0, 8, 0]),
        ([0.0, 0.0, 4.0], [0, 0, 0]),
        ([5.0], [1]),
    ],
)
def test_the_gradient_of_a_product_with_zeros(x: Any, expected: Any) -> None:
    assert gradient(reduction.prod, x) == expected


def test_the_gradient_of_a_running_product_with_zeros() -> None:
    assert gradient(lambda x: scan.cumprod(x, 0), [2.0, 0.0, 3.0]) == [1, 8, 0]


@pytest.mark.parametrize("order", [1, 1.5, 2, 3, INF, -INF])
def test_a_norm_of_nothing_but_zeros_has_gradient_zero(order: float) -> None:
    assert gradient(lambda x: reduction.norm(x, order), [0.0, 0.0]) == [0, 0]


def test_a_deviation_of_equal_numbers_has_gradient_zero() -> None:
    assert gradient(reduction.std, [2.0, 2.0]) == [0, 0]


@pytest.mark.parametrize(
    ("x", "value", "slope"),
    [
        ([-INF, -INF], -INF, [0, 0]),
        ([-INF, 1.0], 1.0, [0, 1]),
        ([INF, 1.0], INF, [1, 0]),
        ([1e4, 1e4], 1e4 + math.log(2), [0.5, 0.5]),
    ],
)
def test_logsumexp_of_infinities(x: Any, value: float, slope: Any) -> None:
    assert reduction.logsumexp(lamina.tensor(x, dtype="float64")).item() == value
    assert gradient(reduction.logsumexp, x) == pytest.approx(slope)


def test_logaddexp_of_equal_infinities_shares_the_gradient() -> None:
    assert gradient(functions.logaddexp, [INF, -INF], [INF, -INF]) == [[0.5, 0.5], [0.5, 0.5]]


def test_a_power_at_zero() -> None:
    assert gradient(lambda x: x**0.0, [0.0, 2.0]) == [0, 0]
    assert gradient(lambda x, y: x**y, [0.0], [2.0]) == [[0], [0]]


def test_divisors_of_zero_length() -> None:
    assert gradient(functions.hypot, [0.0], [0.0]) == [[0], [0]]
    assert gradient(functions.atan2, [0.0], [0.0]) == [[0], [0]]
    assert gradient(functions.xlogy, [0.0, 2.0], [0.0, 1.0])[1] == [0, 2]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_nan_is_the_greatest_and_equals_keep_their_order(dtype: str) -> None:
    x = lamina.tensor([2.0, NAN, -0.0, INF, 0.0, 2.0, -INF], dtype=dtype)
    assert sorting.argsort(x).tolist() == [6, 2, 4, 0, 5, 3, 1]
    assert sorting.argsort(x, descending=True).tolist() == [1, 3, 0, 5, 2, 4, 6]
    assert sorting.topk(x, 3).indices.tolist() == [1, 3, 0]
    assert sorting.topk(x, 3, largest=False).indices.tolist() == [6, 2, 4]
    assert x.argmax().item() == 1
    assert math.isnan(x.max().item())
    assert math.isnan(x.median().item())
    assert x.kthvalue(2).indices.item() == 2


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"])
def test_the_ends_of_integers_are_sorted(dtype: str) -> None:
    info = np.iinfo(dtype)
    x = lamina.from_numpy(np.array([info.max, 0, info.min, 1, info.max], dtype))
    assert sorting.sort(x).tolist() == sorted(x.tolist())
    assert sorting.argsort(x, descending=True).tolist()[:2] == [0, 4]


def test_sorted_gradients_go_back_to_their_places() -> None:
    weights = lamina.tensor([1.0, 2.0, 3.0], dtype="float64")
    assert gradient(lambda x: sorting.sort(x) * weights, [3.0, 1.0, 2.0]) == [3, 1, 2]
    assert gradient(lambda x: sorting.topk(x, 2).values, [3.0, 1.0, 2.0]) == [1, 0, 1]
    assert gradient(sorting.median, [3.0, 1.0, 2.0, 4.0]) == [0, 0, 1, 0]


def test_a_running_maximum_takes_the_last_of_equals_and_keeps_nan() -> None:
    running = scan.cummax(lamina.tensor([1.0, 1.0, NAN, 3.0]), 0)
    assert running.indices.tolist() == [0, 1, 2, 2]
    assert running.values.tolist()[:2] == [1, 1]
    assert running.values.isnan().tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda x: x.sum(), 0.0),
        (lambda x: x.prod(), 1.0),
        (lambda x: x.mean(), NAN),
        (lambda x: x.var(), NAN),
        (lambda x: x.norm(), 0.0),
        (lambda x: x.logsumexp(0), -INF),
        (lambda x: x.any(), False),
        (lambda x: x.all(), True),
    ],
)
def test_reductions_of_no_elements(call: Any, expected: Any) -> None:
    np.testing.assert_equal(call(lamina.zeros(0)).item(), expected)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda x: x[:0].max(), errors.ShapeError, "max: (0, 3) has no elements along axes (0, 1)"),
        (lambda x: x[:0].argmin(0), errors.ShapeError, "argmin: (0, 3) has no elements"),
        (lambda x: x.sum(2), errors.AxisError, "expected -2 to 1"),
        (lambda x: x.sum(1, 1, 1), TypeError, "positional"),
        (lambda x: x.topk(4), errors.ShapeError, "topk: 4 elements asked of axis 1, of size 3"),
        (lambda x: x.sum().topk(1), errors.ShapeError, "0-d"),
        (lambda x: x.kthvalue(0), errors.ArgumentError, "expected 1 to 3"),
        (lambda x: x.sum().cumsum(0), errors.ShapeError, "0-d"),
        (lambda x: x.to("complex64").max(), errors.DTypeError, "complex64 given"),
        (lambda x: x.to("complex64").sort(), errors.DTypeError, "complex64 given"),
        (lambda x: x.clamp(), errors.ArgumentError, "at least one of them"),
        (lambda x: activations.gelu(x, "erf"), errors.ArgumentError, "'none' or 'tanh'"),
        (lambda x: activations.glu(x, 1), errors.ShapeError, "an even size along axis 1"),
        (lambda x: activations.prelu(x, lamina.ones(2)), errors.ShapeError, "(1,) or (3,)"),
        (lambda x: activations.celu(x, 0), errors.ArgumentError, "alpha = 0"),
        (lambda x: activations.hardtanh(x, 1, -1), errors.ArgumentError, "the lesser first"),
        (lambda x: sorting.searchsorted(x, x[:, :1], side="up"), errors.ArgumentError, "'up'"),
        (lambda x: sorting.searchsorted(x, x[0]), errors.ShapeError, "one sorted row"),
        (lambda x: x.softmax(axis=0, dim=1), errors.ArgumentError, "are one argument"),
    ],
)
def test_errors(call: Any, error: Any, said: str) -> None:
    with pytest.raises(error) as caught:
        call(lamina.ones(2, 3))
    assert said in str(caught.value)


def test_integers_add_up_and_multiply_in_64_bits() -> None:
    x = lamina.tensor([100, 100, 100], dtype="int8")
    assert (x.sum().item(), x.sum().dtype) == (300, lamina.int64)
    assert (x.prod().item(), x.cumsum(0).tolist()) == (1_000_000, [100, 200, 300])
    assert lamina.tensor([200, 100], dtype="uint8").sum().dtype is lamina.uint64
    assert lamina.tensor([True, True]).sum().item() == 2


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sixteen_bit_sums_are_kept_in_single_precision(dtype: str) -> None:
    x = lamina.ones(5000, dtype=dtype)
    assert x.sum().item() == np.float32(5000).astype(x.dtype.numpy)
    assert x.mean().item() == 1
    assert x.cumsum(0)[-1].item() == x.sum().item()


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_blocks_cover_every_element(size: int) -> None:
    x = np.arange(size, dtype=np.float32)
    np.testing.assert_array_equal(in_blocks(lambda part: part * 2)(x), x * 2)
    np.testing.assert_array_equal(in_blocks(lambda part: -part)(x[::-1]), -x[::-1])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "bool", "complex128"])
def test_a_choice_among_many_is_that_of_numpy(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((60, 70)) * 9).astype(dtype)
    condition = rng.random((60, 70)) > 0.5
    others = (x[::-1], x[:1], x[:, :1], np.zeros((), dtype), x[:1, :1])
    for other in others:
        np.testing.assert_array_equal(choose(condition, x, other), np.where(condition, x, other))
        np.testing.assert_array_equal(choose(condition, other, x), np.where(condition, other, x))
    column = condition[:, :1]
    np.testing.assert_array_equal(choose(column, x[:1], x[0]), np.where(column, x[:1], x[0]))


def units_off(found: Any, function: Callable[[float], float], x: Any) -> float:
    wanted = np.array([function(float(v)) for v in x])
    place = np.spacing(np.abs(wanted).astype(found.dtype)).astype(np.float64)
    return float(np.max(np.abs(found - wanted) / place))


@pytest.mark.parametrize(
    ("function", "oracle", "dtype", "limit"),
    [
        (error_function.erf, math.erf, "float64", 4),
        (error_function.erf, math.erf, "float32", 0.54),
        (error_function.erfc, math.erfc, "float64", 7),
    ],
)
def test_the_error_function_stays_within_its_bound(
    function: Any, oracle: Any, dtype: str, limit: float
) -> None:
    wide = np.linspace(-6, 6, 20001)
    near = np.concatenate([np.linspace(0.3, 0.7, 4001), [1e-300, 1e-20, 0.46875, 4.0, 3.95]])
    x = np.concatenate([wide, near]).astype(dtype)
    with np.errstate(all="ignore"):
        assert units_off(function(x), oracle, x) <= limit


def test_the_inverse_error_function_is_undone_by_the_error_function() -> None:
    y = np.concatenate([np.linspace(-0.999, 0.999, 2001), 1 - 10.0 ** -np.arange(4, 16)])
    x = functions.erfinv(lamina.from_numpy(y)).numpy()
    back = np.array([math.erf(v) for v in x])
    assert np.max(np.abs(back - y) / np.spacing(np.abs(y) + 1e-3)) <= 4
    ends = functions.erfinv(lamina.tensor([-1.0, 1.0, 2.0], dtype="float64")).tolist()
    np.testing.assert_equal(ends, [-INF, INF, NAN])


def bits(x: Any) -> bytes:
    return bytes(np.ascontiguousarray(x.numpy()).tobytes())


@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("name", ["sum", "mean", "var", "norm", "logsumexp"])
def test_sums_have_the_same_bits_in_any_layout(name: str, axis: Any) -> None:
    values = np.random.default_rng(1).standard_normal((70, 33, 130)).astype(np.float32)
    x = lamina.from_numpy(values)
    plain = getattr(x, name)(axis=axis)
    for order in ((0, 2, 1), (2, 1, 0), (1, 2, 0)):
        inverse = np.argsort(order).tolist()
        moved = x.permute(order).contiguous().permute(inverse)
        assert bits(getattr(moved, name)(axis=axis)) == bits(plain)
    assert bits(getattr(x.flip(0, 1, 2).contiguous().flip(0, 1, 2), name)(axis=axis)) == bits(plain)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "norm", "logsumexp"])
@pytest.mark.parametrize("batch_axis", [0, 1, 2])
def test_sums_do_not_depend_on_the_batch(name: str, batch_axis: int) -> None:
    values = np.random.default_rng(2).standard_normal((7, 200, 3)).astype(np.float32)
    x = lamina.from_numpy(values)
    for axis in {0, 1, 2} - {batch_axis}:
        every = getattr(x, name)(axis=axis, keepdims=True)
        for place in (0, x.shape[batch_axis] - 1):
            alone = getattr(x.narrow(batch_axis, place, 1), name)(axis=axis, keepdims=True)
            assert bits(alone) == bits(every.narrow(batch_axis, place, 1))


@pytest.mark.parametrize("shape", [(100_000, 1), (100_000, 3), (3, 50_000, 2)])
def test_long_sums_keep_their_precision(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(3).random(shape, dtype=np.float32)
    axis = int(np.argmax(shape))
    exact = x.astype(np.float64).sum(axis)
    error = np.abs(lamina.from_numpy(x).sum(axis).numpy() - exact) / exact
    assert error.max() < 16 * np.finfo(np.float32).eps


def test_activations_of_whole_numbers_cut_their_bounds_off() -> None:
    x = lamina.tensor([-3, 0, 7])
    assert F.hardtanh(x, -0.5, 2.5).tolist() == [0, 0, 2]
    assert F.threshold(x, 1.5, -2.5).tolist() == [-2, -2, 7]
