"""Indexing against numpy: reading, writing, adding, and their derivatives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import lamina
from lamina import autograd, errors
from lamina.ops.indices import indexing as ops

F64 = np.float64


def iota(*shape: int) -> Any:
    return np.arange(np.prod(shape), dtype=F64).reshape(shape) + 1


@st.composite
def indexed(draw: st.DrawFn) -> tuple[Any, Any]:
    """An array and an index expression that numpy takes, often with arrays in it."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    block = draw(st.sampled_from([(), (1,), (3,), (2, 3), (2, 1), (0,)]))
    entries: list[Any] = []
    axis = 0
    while axis < len(shape) and len(entries) < 6:
        kind = draw(st.sampled_from(["slice", "array", "array", "mask", "int", "new", "rest"]))
        size = shape[axis]
        if kind == "slice":
            entries.append(draw(st.slices(size)))
        elif kind == "array":
            fits = st.sampled_from([block, (1,) * len(block)])
            places = st.integers(-size, size - 1)
            entries.append(draw(hnp.arrays(np.int64, fits, elements=places)))
        elif kind == "mask" and block in ((), (1,), (3,)):
            rank = draw(st.integers(0, min(2, len(shape) - axis)))
            mask = draw(hnp.arrays(bool, shape[axis : axis + rank]))
            if block and mask.sum() not in (1, *block):
                continue
            entries.append(mask)
            axis += rank - 1
        elif kind == "int":
            entries.append(draw(st.integers(-size, size - 1)))
        elif kind == "new":
            entries.append(None)
            continue
        else:
            if any(e is Ellipsis for e in entries):
                break
            entries.append(Ellipsis)
            axis = draw(st.integers(axis, len(shape))) - 1
        axis += 1
    return iota(*shape), tuple(entries)


def as_tensors(index: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(lamina.tensor(e) if isinstance(e, np.ndarray) else e for e in index)


def check_refused(x: Any, index: Any, error: IndexError) -> None:
    """Lamina refuses what numpy refuses, and a place outside that it overlooks: nothing is read."""
    if isinstance(error, errors.IndexingError):
        assert x[index].size == 0
        assert "is outside axis" in str(error)
        return
    with pytest.raises(errors.IndexingError):
        lamina.tensor(x)[as_tensors(index)]


@settings(max_examples=300)
@given(indexed())
def test_any_expression_reads_writes_and_adds_as_numpy_does(case: tuple[Any, Any]) -> None:
    x, index = case
    try:
        expected = x[index]
        lamina.tensor(x)[as_tensors(index)]
    except IndexError as error:
        check_refused(x, index, error)
        return
    values = -np.arange(expected.size, dtype=F64).reshape(expected.shape)
    written, added = x.copy(), x.copy()
    written[index] = values
    np.add.at(added, index, values)
    tensor = lamina.tensor(x)
    for form in (index, as_tensors(index)):
        np.testing.assert_array_equal(tensor[form].numpy(), expected)
        put = ops.index_put(tensor, form, lamina.tensor(values))
        np.testing.assert_array_equal(put.numpy(), written)
        total = ops.index_put(tensor, form, lamina.tensor(values), accumulate=True)
        np.testing.assert_array_equal(total.numpy(), added)
    tensor[as_tensors(index)] = values
    np.testing.assert_array_equal(tensor.numpy(), written)


@settings(max_examples=100)
@given(indexed())
def test_gradients_of_any_expression(case: tuple[Any, Any]) -> None:
    """Σ w·x[i]² has the gradient 2·w·x summed over what reads a place; and its gradient too."""
    values, index = case
    try:
        values[index]
        lamina.tensor(values)[index]
    except IndexError:
        return
    x = lamina.tensor(values, requires_grad=True)
    w = np.asarray(np.random.default_rng(0).standard_normal(values[index].shape))
    (grad,) = autograd.grad(
        (x[as_tensors(index)] ** 2 * lamina.tensor(w)).sum(), x, create_graph=True
    )
    expected = np.zeros_like(values)
    np.add.at(expected, index, 2 * w * values[index])
    np.testing.assert_allclose(grad.detach().numpy(), expected, rtol=1e-12)
    (second,) = autograd.grad((grad * lamina.tensor(values)).sum(), x)
    np.testing.assert_allclose(second.numpy(), expected, rtol=1e-12)


EXPRESSIONS: dict[str, Any] = {
    "list": [2, 0, 2],
    "negative": np.array([-1, 0]),
    "after a slice": np.s_[:, [0, 0]],
    "apart": np.s_[[0, 1, 1], :, [1, 1, 1]],
    "with an int": np.s_[1, :, [1, 0, 1]],
    "mask": iota(3, 2, 2) > 5,
    "mask of an axis": np.array([True, False, True]),
    "two": np.s_[[0, 1, 1], [1, 0, 0]],
    "steps": np.s_[::-2, None, [1, 0]],
}


@pytest.mark.parametrize("index", EXPRESSIONS.values(), ids=EXPRESSIONS.keys())
@pytest.mark.parametrize("accumulate", [False, True])
def test_derivatives_of_writing_agree_with_differences(index: Any, accumulate: bool) -> None:
    rng = np.random.default_rng(1)
    x0 = rng.standard_normal((3, 2, 2))
    v0 = rng.standard_normal(x0[index].shape)
    w = lamina.tensor(rng.standard_normal(x0.shape))

    def f(x: Any, v: Any) -> Any:
        return (ops.index_put(x, index, v, accumulate=accumulate) ** 3 * w).sum()

    check_two_derivatives(f, x0, v0)


def check_two_derivatives(f: Callable[..., Any], *points: Any) -> None:
    """The gradient of f against central differences, and the gradient of a product with it."""
    rng = np.random.default_rng(2)
    directions = [rng.standard_normal(p.shape) for p in points]
    xs = [lamina.tensor(p, requires_grad=True) for p in points]
    grads = autograd.grad(f(*xs), xs, create_graph=True)
    step = 1e-5

    def moved(by: float) -> list[Any]:
        pairs = zip(points, directions, strict=True)
        return [lamina.tensor(p + by * d, requires_grad=True) for p, d in pairs]

    slope = sum((g.detach().numpy() * d).sum() for g, d in zip(grads, directions, strict=True))
    ahead, behind = moved(step), moved(-step)
    difference = (f(*ahead).item() - f(*behind).item()) / (2 * step)
    assert slope == pytest.approx(difference, rel=1e-7, abs=1e-8)
    along = sum((g * lamina.tensor(d)).sum() for g, d in zip(grads, directions, strict=True))
    second = autograd.grad(along, xs, allow_unused=True)
    ups, downs = autograd.grad(f(*ahead), ahead), autograd.grad(f(*behind), behind)
    for got, up, down in zip(second, ups, downs, strict=True):
        expected = (up.numpy() - down.numpy()) / (2 * step)
        found = np.zeros_like(expected) if got is None else got.numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


INDEX = np.array([[0, 2, 1], [2, 2, 0]])


@pytest.mark.parametrize(
    "f",
    [
        lambda x, v: ops.gather(x, 1, INDEX) * v,
        lambda x, v: ops.gather(x, -2, INDEX % 2) * v,
        lambda x, v: ops.scatter(x, 1, INDEX, v),
        lambda x, v: ops.scatter_add(x, 1, INDEX, v),
        lambda x, v: ops.take_along_axis(x, INDEX, 1) * v,
        lambda x, v: ops.index_add(x, 0, [1, 1], v, alpha=2),
        lambda x, v: ops.index_copy(x, 0, [1, 1], v),
        lambda x, v: ops.embedding(x, INDEX % 2) * v.sum(),
        lambda x, v: ops.take(x, INDEX) * v,
        lambda x, v: ops.masked_select(x, lamina.tensor(INDEX > 0)) * v.sum(),
        lambda x, v: ops.masked_fill(x, lamina.tensor(INDEX > 0), 3.0) * v,
    ],
)
def test_derivatives_of_the_named_forms(f: Callable[..., Any]) -> None:
    rng = np.random.default_rng(3)
    check_two_derivatives(
        lambda x, v: (f(x, v) ** 3).sum(), rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
    )


def test_only_the_last_write_to_a_place_has_a_gradient() -> None:
    x = lamina.zeros(2)
    v = lamina.tensor([1.0, 2.0, 3.0], requires_grad=True)
    out = ops.index_put(x, [0, 1, 0], v)
    assert out.tolist() == [3.0, 2.0]
    out.sum().backward()
    assert v.grad is not None
    assert v.grad.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "int32", "uint8", "bool"])
def test_dtypes_pass_through(dtype: str) -> None:
    x = lamina.arange(6).reshape(2, 3).to(dtype)
    index = lamina.tensor([1, 0, 1], dtype="uint8")
    expected = x.numpy()
    assert x[index].dtype is x.dtype
    np.testing.assert_array_equal(x[index].numpy(), expected[[1, 0, 1]])
    np.testing.assert_array_equal(
        ops.index_put(x, index, x[0]).numpy(), np.stack([expected[0], expected[0]])
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int8", "uint16"])
@pytest.mark.parametrize("width", [1, 3])
def test_sums_of_any_dtype(dtype: str, width: int) -> None:
    places = np.array([2] * 20 + [0, 1, 0])
    values = np.arange(23 * width).reshape(23, width) % 3
    expected = np.zeros((4, width), np.int64)
    np.add.at(expected, places, values)
    zeros = lamina.zeros(4, width, dtype=dtype)
    out = ops.index_add(zeros, 0, places, lamina.tensor(values, dtype=dtype))
    assert out.dtype is zeros.dtype
    assert out.tolist() == expected.tolist()


def test_half_precision_sums_are_kept_in_float32() -> None:
    values = lamina.ones(4096, 2, dtype="float16")
    total = ops.index_add(lamina.zeros(1, 2, dtype="float16"), 0, [0] * 4096, values)
    assert total.tolist() == [[4096.0, 4096.0]]


@pytest.mark.parametrize("width", [1, 5])
def test_a_sum_has_the_same_bits_whatever_is_added_elsewhere(width: int) -> None:
    rng = np.random.default_rng(4)
    places = rng.integers(0, 7, 1000)
    values = rng.standard_normal((1000, width)).astype(np.float32) * 1e3
    total = ops.index_add(lamina.zeros(7, width), 0, places, lamina.tensor(values)).numpy()
    for place in range(7):
        mine = values[places == place]
        alone = ops.index_add(lamina.zeros(1, width), 0, [0] * len(mine), lamina.tensor(mine))
        np.testing.assert_array_equal(total[place], alone.numpy()[0])
        np.testing.assert_allclose(total[place], mine.astype(F64).sum(0), rtol=1e-4)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (np.s_[[0, 5]], "index 5, at (1,) of the index array, is outside axis 0, of size 3"),
        (np.s_[0, [-3]], "index -3, at (0,) of the index array, is outside axis 1, of size 2"),
        (np.s_[None, :, :, [[1], [9]]], "index 9, at (1, 0) of the index array, is outside axis 2"),
        (np.s_[np.array([True, False])], "a mask of shape (2,) has size 2 where axis 0"),
        (np.s_[[0, 1], [0, 1, 1]], "do not fit together"),
        (np.s_[[0.5]], "an index of float64 given"),
        (np.s_["a"], "str given as an index"),
        (np.s_[[0], [0], [0], [0]], "4 indices were given for 3 axes"),
        (np.s_[..., [0], ...], "one ellipsis"),
    ],
)
def test_a_wrong_index_is_named_before_anything_is_written(index: Any, said: str) -> None:
    x = lamina.zeros(3, 2, 2)
    recorded = lamina.zeros(3, 2, 2, requires_grad=True) * 1
    for target in (x, recorded):
        with pytest.raises(errors.IndexingError) as reading:
            target[index]
        with pytest.raises(errors.IndexingError) as writing:
            target[index] = 1.0
        assert said in str(reading.value)
        assert said in str(writing.value)
        assert not target.detach().numpy().any()


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda x: x.gather(1, lamina.tensor([[2]])), errors.IndexingError, "axis 1, of size 2"),
        (lambda x: x.gather(0, lamina.tensor([0])), errors.ShapeError, "as many axes"),
        (lambda x: x.gather(0, lamina.tensor([[0.0]])), errors.IndexingError, "float32"),
        (lambda x: x.index_select(0, lamina.tensor([-4])), errors.IndexingError, "index -4"),
        (lambda x: x.take(lamina.tensor([6])), errors.IndexingError, "of size 6"),
        (lambda x: ops.embedding(x, [3]), errors.IndexingError, "axis 0, of size 3"),
        (lambda x: ops.embedding(x, [[0, -1]]), errors.IndexingError, "index -1 at (0, 1)"),
        (lambda x: ops.embedding(x, [0], padding_idx=3), errors.IndexingError, "padding_idx 3"),
        (lambda x: ops.embedding(x[0], [0]), errors.ShapeError, "(rows, features)"),
        (lambda x: x.scatter(0, lamina.tensor([[0, 0]]), x[:, :1]), errors.ShapeError, "src of"),
        (lambda x: x.index_copy(0, [0], lamina.ones(3)), errors.ShapeError, "values of shape (3,)"),
        (lambda x: x.__setitem__([0, 1], np.ones(3)), errors.ShapeError, "selects (2, 2)"),
        (lambda x: x.__setitem__(0, np.ones(3)), errors.ShapeError, "selects (2,)"),
        (lambda x: x.__setitem__(0, 1j), errors.DTypeError, "complex numbers given for float32"),
        (lambda x: x.__setitem__(0, lamina.tensor(1j)), errors.DTypeError, "complex64 given"),
        (lambda x: x.__setitem__(0, None), errors.DTypeError, "NoneType given"),
        (lambda x: x.__setitem__(0, ["a", "b"]), errors.DTypeError, "numbers only"),
        (lambda x: x[[[0, 1], [2]]], errors.IndexingError, "unequal lengths"),
        (lambda x: x.sum().nonzero(as_tuple=True), errors.AxisError, "0-d"),
    ],
)
def test_errors_of_the_named_forms(call: Any, error: type, said: str) -> None:
    with pytest.raises(error) as raised:
        call(lamina.ones(3, 2))
    assert said in str(raised.value)


def test_writes_are_recorded_and_seen_by_views() -> None:
    w = lamina.tensor([2.0, 3.0], requires_grad=True)
    x = lamina.zeros(3, 2)
    row = x[1]
    x[[1, 2]] = w
    x[x.detach() > 2.5] += 1.0
    assert x.tolist() == [[0.0, 0.0], [2.0, 4.0], [2.0, 4.0]]
    (x * lamina.tensor([[1.0], [10.0], [100.0]])).sum().backward(retain_graph=True)
    assert w.grad is not None
    assert w.grad.tolist() == [110.0, 110.0]
    w.grad = None
    row.sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [1.0, 1.0]


def test_writing_to_part_of_a_view_records_into_the_base() -> None:
    w = lamina.tensor(5.0, requires_grad=True)
    x = lamina.ones(2, 3) * 1
    x[1][[0, 2]] = w
    assert x.tolist() == [[1.0, 1.0, 1.0], [5.0, 1.0, 5.0]]
    x.sum().backward()
    assert w.grad is not None
    assert w.grad.item() == 2.0


def test_adding_in_place_through_an_index() -> None:
    x = lamina.arange(4, dtype="float32")
    x[[1, 3]] += 10
    x[x > 12] -= 1
    x[1:3] *= 2
    assert x.tolist() == [0.0, 22.0, 4.0, 12.0]
    leaf = lamina.ones(3, requires_grad=True)
    with pytest.raises(errors.GradientError, match="leaf"):
        leaf[[0]] = 1.0
    with autograd.no_grad():
        leaf[[0]] = 7.0
    assert leaf.tolist() == [7.0, 1.0, 1.0]


def test_an_index_is_kept_as_it_was() -> None:
    """A numpy index may be reused at once; a tensor written since is an error."""
    x = lamina.tensor([1.0, 2.0, 3.0], requires_grad=True)
    places = np.array([0, 1])
    out = x[places]
    places[:] = 2
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 1.0, 0.0]
    kept = lamina.tensor([0, 1])
    out = x[kept]
    kept[0] = 2
    with pytest.raises(errors.GradientError, match="written in place"):
        out.sum().backward()


def test_padding_gets_no_gradient() -> None:
    table = lamina.ones(3, 2, requires_grad=True)
    ops.embedding(table, [[0, 2], [2, 1]], padding_idx=-1).sum().backward()
    assert table.grad is not None
    assert table.grad.tolist() == [[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]


def test_non_contiguous_tensors() -> None:
    a = iota(3, 4, 5)
    x = lamina.tensor(a).permute(2, 0, 1)[::-1]
    b = a.transpose(2, 0, 1)[::-1]
    np.testing.assert_array_equal(x[[1, 0], :, [2, 3]].numpy(), b[[1, 0], :, [2, 3]])
    np.testing.assert_array_equal(x[:, [1, 0]].numpy(), b[:, [1, 0]])
    np.testing.assert_array_equal(x[x > 30].numpy(), b[b > 30])
    index = np.argsort(-b, 1)
    np.testing.assert_array_equal(
        ops.take_along_axis(x, index, 1).numpy(), np.take_along_axis(b, index, 1)
    )
    x[x > 30] = 0
    assert (x.numpy() <= 30).all()


def test_methods_in_place_equal_the_copies() -> None:
    x = iota(3, 3)
    index = lamina.tensor([[0, 2, 0], [1, 1, 2]])
    src = lamina.tensor(-iota(2, 3))
    part = lamina.tensor([2, 0])
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("scatter", (0, index, src)),
        ("scatter", (1, index, 5.0)),
        ("scatter_add", (0, index, src)),
        ("index_add", (0, part, src)),
        ("index_copy", (0, part, src)),
        ("index_fill", (1, part, 0.5)),
        ("index_put", ((part, part), lamina.tensor([7.0, 8.0]), True)),
        ("index_put", ((part,), 1.0)),
        ("masked_fill", (lamina.tensor(x > 4), -1.0)),
    ]
    for name, arguments in calls:
        copied = getattr(lamina.tensor(x), name)(*arguments)
        written = lamina.tensor(x)
        assert getattr(written, name + "_")(*arguments) is written
        np.testing.assert_array_equal(written.numpy(), copied.numpy(), name)


def test_whatever_counts_as_an_integer_is_one() -> None:
    class Two:
        def __index__(self) -> int:
            return 2

    x = lamina.arange(8).reshape(4, 2)
    assert x[Two()].tolist() == [4, 5]
    assert x[: Two(), [1]].tolist() == [[1], [3]]
    assert x[Two(), [1, 0]].tolist() == [5, 4]
    assert x[lamina.tensor(2)].tolist() == [4, 5]
    x[Two()] = 0
    assert x[np.int8(2), True].tolist() == [[0, 0]]


def test_searching() -> None:
    a = np.array([[0, 3, 0], [4, 0, 5]])
    x = lamina.tensor(a)
    np.testing.assert_array_equal(x.nonzero().numpy(), np.argwhere(a))
    for got, expected in zip(x.nonzero(as_tuple=True), np.nonzero(a), strict=True):
        np.testing.assert_array_equal(got.numpy(), expected)
    assert lamina.tensor(3).argwhere().shape == (1, 0)
    assert lamina.zeros(0, 3).argwhere().shape == (0, 2)


def test_masked_scatter_takes_the_first_in_order() -> None:
    x = lamina.zeros(2, 2)
    mask = lamina.tensor([[True, False], [True, True]])
    out = x.masked_scatter(mask, lamina.arange(4, dtype="float32") + 1)
    assert out.tolist() == [[1.0, 0.0], [2.0, 3.0]]
    with pytest.raises(errors.ArgumentError, match="2 elements given for 3 places"):
        x.masked_scatter(mask, lamina.ones(2))
