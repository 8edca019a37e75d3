"""Reductions: right to a stated bound, the same bits for every layout, nothing else touched."""

import itertools
import zlib
from typing import Any

import numpy as np
import pytest
from kernels.operands import ArrayOperand, GuardedMemory

from lamina.codegen import threads
from lamina.kernels.reduction.by_part import PART
from lamina.kernels.reduction.order import BLOCK
from lamina.kernels.reduction.plan import plan, reduce
from lamina.kernels.reduction.rows import UNIT

SHAPES = {
    "last": ((5, 3, 7), (2,)),
    "middle": ((2, 300, 37), (1,)),
    "first": ((41, 6, 5), (0,)),
    "groups": ((9, 3, 50), (0, 2)),
    "groups, many columns": ((7, 19, 3, 20), (0, 2)),
    "all": ((3, 7, 50), (0, 1, 2)),
    "one term each": ((4, 9), ()),
}
EDGES = (1, 7, 8, 9, 31, 33, BLOCK - 1, BLOCK, BLOCK + 1, UNIT - 1, UNIT, 3 * UNIT + BLOCK + 1)


def drawn(shape: tuple[int, ...], dtype: str) -> Any:
    rng = np.random.default_rng(zlib.crc32(repr((shape, dtype)).encode()))
    if dtype == "bool":
        return rng.random(shape) < 0.7
    scale = 1 if np.dtype(dtype).kind == "f" else 50
    return (rng.standard_normal(shape) * scale).astype(dtype)


def run(name: str, x: Any, axes: tuple[int, ...], dtype: str | None = None, *more: Any) -> Any:
    shape = tuple(n for axis, n in enumerate(x.shape) if axis not in axes)
    out = np.full(shape, 77).astype(dtype or x.dtype)
    count = float(np.prod([x.shape[a] for a in axes]))
    inputs = [ArrayOperand(a) for a in (x, *more)]
    reduce(name, ArrayOperand(out), inputs, axes, (count, count))
    return out


def views(x: Any) -> dict[str, Any]:
    """The same values in other layouts."""
    double = np.zeros([2 * n for n in x.shape], x.dtype)
    sliced = double[tuple(slice(None, None, 2) for _ in x.shape)]
    sliced[...] = x
    back = tuple(slice(None, None, -1) for _ in x.shape)
    axes = (*range(1, x.ndim), 0)
    return {
        "transposed": np.asfortranarray(x),
        "rolled": np.ascontiguousarray(x.transpose(axes)).transpose(np.argsort(axes)),
        "sliced": sliced,
        "reversed": np.ascontiguousarray(x[back])[back],
    }


def bound(x: Any, axes: tuple[int, ...], terms: Any) -> Any:
    """How far off a sum may be: see `order`, here with one more rounding of each term."""
    count = max(int(np.prod([x.shape[a] for a in axes])), 1)
    roundings = 16 + np.log2(max(count / BLOCK, 1)) + 6
    return roundings * np.finfo(x.dtype).eps / 2 * np.abs(terms).sum(axis=axes)


EXACT = {
    "max": np.max, "min": np.min,
    "any": lambda x, axis: (x != 0).any(axis=axis), "all": lambda x, axis: (x != 0).all(axis=axis),
}  # fmt: skip


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("where", SHAPES)
def test_sums_are_within_the_bound(where: str) -> None:
    shape, axes = SHAPES[where]
    for dtype in ("float32", "float64"):
        x = drawn(shape, dtype)
        wide = x.astype(np.longdouble)
        for name, terms in (("sum", wide), ("norm1", abs(wide))):
            error = np.abs(run(name, x, axes) - terms.sum(axis=axes))
            assert np.all(error <= bound(x, axes, terms)), (dtype, name)


@pytest.mark.usefixtures("each_target")
def test_every_number_of_terms() -> None:
    for n in EDGES:
        for shape, axes in (((3, n), (1,)), ((n, 11), (0,))):
            x = drawn(shape, "float32")
            wide = x.astype(np.longdouble)
            assert np.all(abs(run("sum", x, axes) - wide.sum(axes)) <= bound(x, axes, wide)), shape
            assert np.array_equal(run("max", x, axes), x.max(axis=axes)), shape


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "int8", "uint8", "bool"])
def test_choices_are_exact(dtype: str) -> None:
    names = EXACT if dtype in ("float32", "bool") else ("max", "min")
    for where, name in itertools.product(("last", "middle", "groups"), names):
        (shape, axes), oracle = SHAPES[where], EXACT[name]
        x = drawn(shape, dtype)
        found = run(name, x, axes, "bool" if name in ("any", "all") else dtype)
        assert np.array_equal(found, oracle(x, axis=axes)), (shape, name)


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("where", SHAPES)
def test_every_layout_has_the_same_bits(where: str) -> None:
    shape, axes = SHAPES[where]
    x = drawn(shape, "float32")
    for name in ("sum", "var"):
        expected = run(name, x, axes)
        for layout, view in views(x).items():
            assert np.array_equal(run(name, view, axes), expected), (name, layout)


def test_a_column_has_the_bits_of_a_row() -> None:
    for n in EDGES:
        rows = drawn((20, n), "float64")
        by_column = run("sum", np.asfortranarray(rows), (1,))
        assert np.array_equal(by_column, run("sum", rows, (1,))), n


@pytest.mark.usefixtures("team")
@pytest.mark.parametrize("terms", [4 * PART, 5 * PART + 1, 7 * PART + BLOCK + 3])
def test_parts_and_threads_change_no_bit(terms: int) -> None:
    x = drawn((2, terms), "float32")
    many = np.broadcast_to(x[:, None], (2, 20, terms))
    for name in ("sum", "var", "max"):
        expected = run(name, many, (2,))[:, 0]
        for count in (1, 2, 3, 7):
            threads.set_num_threads(count)
            plan.cache_clear()
            assert np.array_equal(run(name, x, (1,)), expected), (name, count)


def test_sums_of_products() -> None:
    for shape, axes in SHAPES.values():
        x, y = drawn(shape, "float32"), drawn(shape, "float32") * 2 + 1
        wide = x.astype(np.longdouble) * y
        limit = bound(x, axes, wide)
        expected = run("sum_products", x, axes, None, y)
        assert np.all(abs(expected - wide.sum(axes)) <= limit)
        for other in (np.asfortranarray(y), views(y)["sliced"]):
            assert np.array_equal(run("sum_products", x, axes, None, other), expected)
        line = y[..., :1, :1] if y.ndim > 2 else y[:1, :1]
        stretched = np.broadcast_to(line, shape)
        wide = x.astype(np.longdouble) * stretched
        found = run("sum_products", x, axes, None, stretched)
        assert np.all(abs(found - wide.sum(axes)) <= bound(x, axes, wide))


@pytest.mark.usefixtures("each_target")
def test_not_a_number_and_infinities() -> None:
    x = drawn((6, 70), "float32")
    x[0, 3], x[1, 69], x[2, 8], x[3, 0], x[4] = np.nan, np.nan, np.inf, -np.inf, -np.inf
    for array, axes in ((x, (1,)), (np.ascontiguousarray(x.T), (0,))):
        for name in ("sum", "max", "min"):
            with np.errstate(invalid="ignore"):
                wanted = getattr(np, name)(array.astype(float), axis=axes)
            np.testing.assert_allclose(run(name, array, axes), wanted, rtol=1e-4)


def test_zero_keeps_its_sign() -> None:
    for shape, axes in (((2, 300), (1,)), ((300, 9), (0,)), ((3, 1), (1,))):
        assert np.signbit(run("sum", np.full(shape, -0.0), axes)).all()


@pytest.mark.usefixtures("each_target")
def test_nothing_beyond_the_operands_is_touched_at_either_end() -> None:
    cases = (
        ((3, 9), (1,)),
        ((9, 3), (0,)),
        ((5, 130), (1,)),
        ((130, 5), (0,)),
        ((2, 9, 3), (0, 2)),
    )
    for (shape, axes), dtype in itertools.product(cases, ("float32", "uint8")):
        x = drawn(shape, dtype)
        for place in ("end", "start"):
            source = GuardedMemory(x, place)
            target = GuardedMemory(x.max(axis=axes), place)
            out, given = ArrayOperand(target.array), [ArrayOperand(source.array)]
            reduce("max", out, given, axes)
            assert np.array_equal(target.array, x.max(axis=axes))
            for memory in (source, target):
                memory.release()
