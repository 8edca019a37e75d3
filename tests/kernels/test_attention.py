"""Attention kernels: the formula, any layout and number of threads, nothing beyond the operands."""

import itertools
from typing import Any

import numpy as np
import pytest
from kernels.operands import LAYOUTS, ArrayOperand, GuardedMemory

from lamina import errors
from lamina.codegen import threads
from lamina.kernels.attention.entry import attention, attention_gradient

# Queries, keys, features, values: around the widths of tiles, blocks and chunks.
SIZES = (
    (1, 1, 1, 1),
    (1, 130, 24, 41),
    (1, 300, 64, 32),
    (4, 7, 3, 2),
    (16, 60, 8, 16),
    (33, 65, 17, 31),
    (129, 66, 32, 33),
    (5, 0, 4, 3),
    (3, 4, 0, 2),
)
MASKS = ("none", "bool", "added", "row")
SCALE = 0.35


def drawn(dtype: str, *shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def masked(kind: str, queries: int, keys: int) -> Any:
    """A mask in which the second query sees nothing, or one that all queries share."""
    rng = np.random.default_rng(queries + keys)
    if kind == "bool":
        mask = rng.random((2, queries, keys)) > 0.4
        mask[:, 1 % queries] = False
        return mask
    if kind == "row":
        return np.broadcast_to(rng.random((2, 1, keys)) > 0.4, (2, queries, keys))
    return rng.standard_normal((2, queries, keys)).astype("float32") if kind == "added" else None


def oracle(query: Any, key: Any, value: Any, mask: Any, causal: bool) -> tuple[Any, Any, Any]:
    """Output, logarithms and weights, in extended precision."""
    query, key, value = (x.astype(np.longdouble) for x in (query, key, value))
    scores = query @ key.swapaxes(-1, -2) * SCALE
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:]) > 0, scores, -np.inf)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    with np.errstate(all="ignore"):
        power = np.exp(scores)
        total = power.sum(-1, keepdims=True)
        weights = power / np.where(total == 0, 1, total)
        return weights @ value, np.log(total)[..., 0], weights


def called(query: Any, key: Any, value: Any, mask: Any, causal: bool) -> tuple[Any, Any]:
    out = np.full((*query.shape[:-1], value.shape[-1]), 7, query.dtype)
    sums = np.full(query.shape[:-1], 7, query.dtype)
    given = [query, key, value] + ([] if mask is None else [mask])
    operands = map(ArrayOperand, (out, sums, *given))
    attention(*operands, scale=SCALE, is_causal=causal)
    return out, sums


def gradients(grad: Any, given: Any, made: Any, mask: Any, causal: bool) -> list[Any]:
    """The gradients, that of the logarithms being a tenth of the output's first column."""
    by_sums = np.ascontiguousarray(grad[..., 0]) / 10
    targets = [np.full(x.shape, 7, x.dtype) for x in given]
    operands = map(ArrayOperand, (grad, by_sums, *given, *made, *([] if mask is None else [mask])))
    outputs = tuple(map(ArrayOperand, targets))
    attention_gradient(outputs, *operands, scale=SCALE, is_causal=causal)  # type: ignore[arg-type]
    return targets


def wanted_gradients(grad: Any, given: Any, mask: Any, causal: bool) -> list[Any]:
    out, sums, weights = oracle(*given, mask, causal)
    query, key, value, wide = (x.astype(np.longdouble) for x in (*given, grad))
    by_sums = np.where(np.isneginf(sums), 0, wide[..., 0] / 10)
    share = (wide * out).sum(-1) - by_sums
    slopes = weights * (wide @ value.swapaxes(-1, -2) - share[..., None]) * SCALE
    return [slopes @ key, slopes.swapaxes(-1, -2) @ query, weights.swapaxes(-1, -2) @ wide]


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("mask_kind", MASKS)
@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
def test_every_size(mask_kind: str, causal: bool) -> None:
    for dtype, (queries, keys, features, values) in itertools.product(
        ("float32", "float64"), SIZES
    ):
        shapes = ((2, queries, features), (2, keys, features), (2, keys, values))
        given = [drawn(dtype, *shape) for shape in shapes]
        mask = masked(mask_kind, queries, keys)
        out, sums = called(*given, mask, causal)
        wanted, logs, _ = oracle(*given, mask, causal)
        # Sums of at most 66 products, exponentials of them, sums of 66 of those.
        unit = float(np.finfo(dtype).eps)
        np.testing.assert_allclose(out, wanted, rtol=0, atol=32 * unit)
        np.testing.assert_allclose(sums, logs, rtol=0, atol=32 * unit)
        grad = drawn(dtype, 2, queries, values)
        found = gradients(grad, given, (out, sums), mask, causal)
        for got, want in zip(found, wanted_gradients(grad, given, mask, causal), strict=True):
            size = max(1.0, float(np.abs(want).max(initial=0)))
            np.testing.assert_allclose(got, want, rtol=0, atol=64 * unit * size)


@pytest.mark.parametrize("queries", [37, 1])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_the_same_bits(layout: str, queries: int) -> None:
    given = [drawn("float32", 2, n, 32) for n in (queries, 170, 170)]
    mask = masked("bool", queries, 170)
    plain = called(*given, mask, False)
    moved = [LAYOUTS[layout](x) for x in given]
    for got, want in zip(called(*moved, LAYOUTS[layout](mask), False), plain, strict=True):
        assert np.array_equal(got, want)
    grad = drawn("float32", 2, queries, 32)
    wanted = gradients(grad, given, plain, mask, False)
    found = gradients(LAYOUTS[layout](grad), moved, plain, LAYOUTS[layout](mask), False)
    assert all(map(np.array_equal, found, wanted))


@pytest.mark.usefixtures("team")
def test_bits_depend_on_no_thread_and_no_neighbour() -> None:
    given = [drawn("float32", 5, n, 24) for n in (300, 200, 200)]
    grad = drawn("float32", 5, 300, 24)

    def both(operands: Any, by_out: Any) -> list[Any]:
        made = called(*operands, None, True)
        return [*made, *gradients(by_out, operands, made, None, True)]

    threads.set_num_threads(1)
    wanted = both(given, grad)
    for count in (2, 3, 7):
        threads.set_num_threads(count)
        assert all(map(np.array_equal, both(given, grad), wanted))
    for place in range(5):
        alone = both([x[place : place + 1] for x in given], grad[place : place + 1])
        assert all(np.array_equal(a[0], w[place]) for a, w in zip(alone, wanted, strict=True))


def test_many_batch_axes() -> None:
    shape = (2, 3, 2, 2, 3)
    given = [drawn("float32", *shape, n, 4) for n in (5, 6, 6)]
    order = (4, 2, 0, 3, 1, 5, 6)
    back = [order.index(axis) for axis in range(7)]
    scattered = [np.ascontiguousarray(x.transpose(order)).transpose(back) for x in given[:2]]
    out, _ = called(*scattered, given[2], None, False)
    flat = [x.reshape(72, *x.shape[-2:]) for x in given]
    assert np.array_equal(out.reshape(72, 5, 4), called(*flat, None, False)[0])


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("side", ["end", "start"])
def test_nothing_is_touched_beyond_the_operands(side: str) -> None:
    given = [drawn("float32", 1, n, width) for n, width in ((19, 5), (21, 5), (21, 7))]
    mask = masked("bool", 19, 21)[:1]
    out, sums = called(*given, mask, True)
    grad = drawn("float32", 1, 19, 7)
    targets = [np.zeros_like(x) for x in given]
    arrays = (*targets, grad, grad[..., 0].copy(), *given, out, sums, mask)
    guards = [GuardedMemory(array, side) for array in arrays]
    operands = [ArrayOperand(guard.array) for guard in guards]
    dq, dk, dv, *rest = operands
    attention_gradient((dq, dk, dv), *rest, scale=SCALE, is_causal=True)  # type: ignore[misc]
    attention(*operands[8:10], *operands[5:8], operands[10], scale=SCALE, is_causal=True)
    assert np.array_equal(guards[8].array, out)
    for guard in guards:
        guard.release()


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("side", ["end", "start"])
@pytest.mark.parametrize("keys", [1, 7, 130, 250])
@pytest.mark.parametrize("width", [5, 32])
def test_one_query_touches_nothing_beyond_the_operands(side: str, keys: int, width: int) -> None:
    given = [drawn("float32", 1, n, width) for n in (1, keys, keys)]
    mask = masked("added", 1, keys)[:1]
    out, sums = called(*given, mask, False)
    guards = [GuardedMemory(array, side) for array in (out, sums, *given, mask)]
    for guard in guards[:2]:
        guard.array[...] = 7
    attention(*(ArrayOperand(guard.array) for guard in guards), scale=SCALE)
    assert np.array_equal(guards[0].array, out)
    for guard in guards:
        guard.release()


def test_infinite_and_missing_numbers() -> None:
    query, key, value = (drawn("float32", 1, 6, 4) for _ in range(3))
    query[0, 2, 1] = np.nan
    value[0, 3, 2] = np.inf
    out, _ = called(query, key, value, None, False)
    assert np.isnan(out[0, 2]).all()
    assert np.isinf(out[0, [0, 1, 3, 4, 5], 2]).all()
    assert np.isfinite(out[0, [0, 1, 3, 4, 5]][:, [0, 1, 3]]).all()


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("place", [0, 127, 128, 149])
def test_infinite_and_missing_numbers_of_one_query(place: int) -> None:
    query, key, value = (drawn("float32", 2, n, 6) for n in (1, 150, 150))
    key[0, place, 1] = np.nan
    value[1, place, 2] = np.inf
    out, _ = called(query, key, value, None, False)
    assert np.isnan(out[0]).all()
    assert np.isinf(out[1, 0, 2])
    assert np.isfinite(np.delete(out[1, 0], 2)).all()


def test_weights_too_small_to_matter_are_zeros() -> None:
    query, key = np.full((1, 1, 1), 300, "float32"), np.array([[[1.0], [0.0]]], "float32")
    value = np.array([[[1.0], [2.0**100]]], "float32")
    assert called(query, key, value, None, False)[0].tolist() == [[[1.0]]]


def test_bad_operands_are_refused_before_anything_is_written() -> None:
    given = [drawn("float32", 2, 5, 4) for _ in range(3)]
    with pytest.raises(errors.ShapeError, match="key"):
        called(given[0], given[1][:, :, :3].copy(), given[2], None, False)
    with pytest.raises(errors.DTypeError, match="float64"):
        called(given[0], given[1].astype("float64"), given[2], None, False)
    with pytest.raises(errors.ShapeError, match="mask"):
        called(*given, np.ones((2, 5, 4), bool), False)
    out = np.zeros((2, 5, 8), "float32")
    sums = ArrayOperand(np.zeros((2, 5), "float32"))
    operands = [ArrayOperand(x) for x in given]
    with pytest.raises(errors.LayoutError, match="step 2"):
        attention(ArrayOperand(out[..., ::2]), sums, *operands, scale=SCALE)  # type: ignore[call-arg, misc]
    with pytest.raises(errors.LayoutError, match="shares memory"):
        attention(operands[0], sums, *operands, scale=SCALE)  # type: ignore[call-arg, misc]
    assert not out.any()
