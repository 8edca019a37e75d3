"""The tensor itself: what it is made of, how it prints, what it refuses, how short its path is."""

import copy
import pickle
import sys
from typing import Any

import numpy as np
import pytest

import lamina
from lamina import errors
from lamina.kernels import elementwise


def test_three_frames_from_plus_to_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    kernel_call = elementwise.Plan.run

    def spy(plan: Any, *addresses: int) -> None:
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_name != "called_by_user":
            seen.append(frame.f_code.co_name)
            frame = frame.f_back
        kernel_call(plan, *addresses)

    def called_by_user() -> None:
        lamina.ones(2) + lamina.ones(2)

    monkeypatch.setattr(elementwise.Plan, "run", spy)
    called_by_user()
    assert seen == ["run", "apply", "__add__"]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, lamina.int64),
        (1.5, lamina.float32),
        (True, lamina.bool),
        (1j, lamina.complex64),
        ([1, 2.5], lamina.float32),
        ([], lamina.float32),
        ([[True], [False]], lamina.bool),
        (np.float64(1), lamina.float64),
        (np.arange(3, dtype=np.int16), lamina.int16),
        ([np.float64(1), np.float64(2)], lamina.float64),
    ],
)
def test_dtype_of_data(value: Any, dtype: Any) -> None:
    assert lamina.tensor(value).dtype is dtype


@pytest.mark.parametrize(
    ("dtype", "scalar", "expected"),
    [
        ("int32", 1, "int32"),
        ("int32", 1.0, "float32"),
        ("uint8", True, "uint8"),
        ("bool", 1, "int64"),
        ("float16", 2.0, "float16"),
        ("bfloat16", 2, "bfloat16"),
        ("float64", 1j, "complex128"),
        ("float32", 1j, "complex64"),
    ],
)
def test_a_scalar_takes_the_dtype_beside_it(dtype: str, scalar: Any, expected: str) -> None:
    x = lamina.ones(2, dtype=dtype)
    assert (x + scalar).dtype.name == expected
    assert (scalar * x).dtype.name == expected


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([[-1.0, 1.0]], "Tensor([[-1.,  1.]])"),
        (3, "Tensor(3)"),
        ([True, False], "Tensor([ True, False])"),
    ],
)
def test_repr(data: Any, text: str) -> None:
    assert repr(lamina.tensor(data)) == text


def test_repr_says_what_is_unusual() -> None:
    x = lamina.tensor([1.0], dtype="float64", requires_grad=True)
    assert repr(x) == "Tensor([1.], dtype=lamina.float64, requires_grad=True)"
    assert repr(x.tanh()).endswith("grad_fn=<tanh>)")
    assert repr(lamina.zeros(0, 3)) == "Tensor([], shape=(0, 3))"
    assert repr(lamina.tensor([1.5], dtype="bfloat16")) == "Tensor([1.5], dtype=lamina.bfloat16)"


def test_size_is_an_int_and_can_be_called() -> None:
    x = lamina.zeros(2, 3)
    assert x.size == 6
    assert x.size() == (2, 3)
    assert x.size(-1) == 3


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda x: x + lamina.ones(4), errors.ShapeError, "sizes 3 and 4 differ at axis -1"),
        (lambda x: x @ lamina.ones(4, 2), errors.ShapeError, "with equal k"),
        (lambda x: x.reshape(5), errors.ShapeError, "product is 6"),
        (lambda x: x.T.view(6), errors.LayoutError, "use reshape()"),
        (lambda x: x[2], errors.IndexingError, "outside axis 0, of size 2"),
        (lambda x: x[0, 0, 0], errors.IndexingError, "3 indices were given for 2 axes"),
        (lambda x: x.transpose(0, 2), errors.AxisError, "expected -2 to 1"),
        (lambda x: x.permute(0, 0), errors.AxisError, "twice"),
        (lambda x: x.item(), errors.ShapeError, "exactly one element"),
        (lambda x: x + "a", errors.DTypeError, "str given"),
        (lambda x: x.to("cuda"), errors.DeviceError, "CPU"),
        (lambda x: x.to("float31"), errors.DeviceError, "float31"),
        (lambda x: x.backward(), errors.GradientError, "tensors that require grad"),
        (lambda x: x & x, errors.DTypeError, "bitwise_and: float32 given"),
        (lambda x: lamina.tensor([[1], [1, 2]]), errors.ArgumentError, "equally long"),
        (lambda x: lamina.tensor(["a"]), errors.DTypeError, "numbers only"),
        (lambda x: lamina.tensor(300, dtype="uint8"), errors.ArgumentError, "outside the range"),
        (lambda x: lamina.tensor([300], dtype="int8"), errors.ArgumentError, "outside the range"),
        (lambda x: lamina.tensor(float("nan"), dtype="int64"), errors.ArgumentError, "nan is out"),
        (lambda x: lamina.tensor([1j], dtype="float32"), errors.DTypeError, "complex numbers"),
        (lambda x: lamina.tensor(None), errors.DTypeError, "numbers only"),
        (lambda x: lamina.zeros(-1), errors.ArgumentError, "sizes of 0 or more"),
        (lambda x: len(x.sum()), errors.AxisError, "0-d"),
    ],
)
def test_errors_say_what_was_given_and_expected(call: Any, error: type, said: str) -> None:
    with pytest.raises(error, match=said.replace("(", r"\(").replace(")", r"\)")):
        call(lamina.ones(2, 3))


def test_integers_have_no_gradient() -> None:
    with pytest.raises(errors.GradientError, match="int64"):
        lamina.tensor([1], requires_grad=True)


def test_a_tensor_is_never_pickled() -> None:
    with pytest.raises(errors.DTypeError, match=r"lamina\.save"):
        pickle.dumps(lamina.ones(2))


def test_deepcopy_is_a_leaf_of_its_own() -> None:
    x = lamina.tensor([1.0, 2.0], requires_grad=True)
    y = copy.deepcopy(x)
    with lamina.no_grad():
        y += 1.0
    assert y.requires_grad
    assert y.is_leaf
    assert x.tolist() == [1.0, 2.0]
    with pytest.raises(errors.GradientError, match="detach"):
        copy.deepcopy(x * 2)


def test_views_share_memory_and_copies_do_not() -> None:
    x = lamina.arange(6).reshape(2, 3)
    for view in (x.T, x[::-1], x.flatten(), x[:, 1], x.expand(4, 2, 3), x.unfold(1, 2, 1)):
        assert np.shares_memory(view.numpy(), x.numpy())
    for other in (x.clone(), x.T.flatten(), x + 0, x.T.contiguous()):
        assert not np.shares_memory(other.numpy(), x.numpy())


def test_hooks_see_and_replace_gradients() -> None:
    x = lamina.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    seen: list[Any] = []
    handle = y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    y.sum().backward(retain_graph=True)
    assert seen == [[1.0, 1.0]]
    assert x.grad is not None
    assert x.grad.tolist() == [30.0, 30.0]
    handle.remove()
    y.sum().backward()
    assert len(seen) == 1


def test_numpy_leaves_mixed_arithmetic_to_the_tensor() -> None:
    x = lamina.tensor([1.0, 2.0], requires_grad=True)
    y = np.array([3.0, 4.0], np.float32) * x
    assert isinstance(y, lamina.Tensor)
    assert y.requires_grad


def test_what_is_no_number_equals_no_tensor() -> None:
    x = lamina.tensor([1.0, 2.0])
    for other in (None, "x", object()):
        assert (x == other) is False
        assert (x != other) is True


def test_membership_asks_every_element() -> None:
    x = lamina.tensor([[1, 2], [3, 4]])
    assert 3 in x
    assert 7 not in x
    with pytest.raises(errors.DTypeError, match="NoneType"):
        None in x  # noqa: B015


def test_a_number_formats_as_a_number() -> None:
    assert f"{lamina.tensor(3)} {lamina.tensor(1.5):.2f}" == "3 1.50"
    assert f"{lamina.tensor([1.0])}" == "Tensor([1.])"


def test_a_shallow_copy_shares_memory() -> None:
    x = lamina.tensor([1.0, 2.0], requires_grad=True)
    y = copy.copy(x)
    assert y is not x
    assert y.requires_grad
    assert np.shares_memory(y.detach().numpy(), x.detach().numpy())
    with pytest.raises(errors.GradientError, match="leaves"):
        copy.copy(x * 2)


def test_setting_data_writes_without_history() -> None:
    x = lamina.tensor([1.0, 2.0], requires_grad=True)
    view = x.detach()
    x.data = lamina.tensor([3.0, 4.0])
    assert x.tolist() == view.tolist() == [3.0, 4.0]
    assert x.is_leaf
    with pytest.raises(errors.ShapeError, match="expected the same shape"):
        x.data = lamina.tensor([1.0])
    assert x.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: lamina.ones(2).norm(p="best"), "a number or 'fro'"),
        (lambda: lamina.arange(0, float("inf")), "finite numbers"),
        (lambda: lamina.linspace(0, 1, -1), "0 or more"),
        (lambda: lamina.manual_seed("x"), "a whole number"),
    ],
)
def test_arguments_of_the_wrong_kind_are_told(make: Any, expected: str) -> None:
    with pytest.raises(errors.ArgumentError, match=expected):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: lamina.tensor(np.ones(1000, np.float32)),
        lambda: lamina.tensor(np.ones(1000), dtype="float32"),
        lambda: lamina.arange(1000.0),
        lambda: lamina.linspace(0.0, 1.0, 1000),
        lambda: copy.deepcopy(lamina.ones(1000)),
    ],
)
def test_copies_of_data_come_from_the_pool(make: Any) -> None:
    before = lamina.memory.stats().live
    x = make()
    assert lamina.memory.stats().live - before >= 4000
    assert x.array.address % 64 == 0


@pytest.mark.parametrize("k", [-(1 << 70), -4, -3, -1, 0, 2, 4, 5, 1 << 70])
@pytest.mark.parametrize("shape", [(0, 0), (3, 4), (3, 0)])
def test_eye_on_any_diagonal(shape: tuple[int, int], k: int) -> None:
    expected = [[float(c - r == k) for c in range(shape[1])] for r in range(shape[0])]
    assert lamina.eye(*shape, k=k).tolist() == expected
