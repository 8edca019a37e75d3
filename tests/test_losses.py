"""Losses against PyTorch, against differences, and at the edges of what they take."""

from collections.abc import Callable
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden import losses_cases as cases

import lamina
from lamina import autograd, dtypes, errors
from lamina.ops.indices import labels
from lamina.ops.layers.softmax import log_softmax
from lamina.ops.objectives import ctc, distances, losses

GOLDEN = Path(__file__).parent / "golden" / "losses.npz"


@cache
def golden() -> dict[str, Any]:
    """What PyTorch found: output and gradients, by "case/key"."""
    file = np.load(GOLDEN)
    found, start = {}, 0
    for line in str(file["index"]).splitlines():
        key, sizes = line.split("|")
        shape = tuple(int(n) for n in sizes.split())
        found[key] = file["values"][start : start + prod(shape)].reshape(shape)
        start += prod(shape)
    return found


def tensor(value: Any, dtype: str = "float64") -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return lamina.tensor(value.astype(dtype) if value.dtype.kind == "f" else value)


def function_named(name: str) -> Callable[..., Any]:
    module = distances if hasattr(distances, name) else losses
    return getattr(module, name)


def check(name: str, out: Any, inputs: list[Any], tolerance: float) -> None:
    weights = np.cos(np.arange(out.size)).reshape(out.shape)
    (out * tensor(weights, out.dtype.name)).sum().backward()
    expected = golden()
    scale = {"rtol": tolerance, "atol": tolerance, "err_msg": name}
    np.testing.assert_allclose(out.detach().numpy(), expected[f"{name}/out"], **scale)
    for place, x in enumerate(inputs):
        key = f"{name}/grad{place}"
        if key in expected:
            np.testing.assert_allclose(x.grad.numpy(), expected[key], **scale)


@pytest.mark.parametrize("name", cases.CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 3e-5)])
def test_values_and_gradients_are_those_of_pytorch(name: str, dtype: str, tolerance: float) -> None:
    function, given, options = cases.CASES[name]
    inputs = [tensor(a, dtype) for a in given]
    for x in inputs:
        if isinstance(x, lamina.Tensor) and x.dtype.is_floating_point:
            x.requires_grad_()
    options = {k: tensor(v, dtype) for k, v in options.items()}
    tolerance = max(tolerance, cases.LOOSER.get(name, 0.0))
    check(name, function_named(function)(*inputs, **options), inputs, tolerance)


@pytest.mark.parametrize("name", cases.CTC_CASES)
def test_ctc_is_that_of_pytorch(name: str) -> None:
    scores, targets, heard, said, options = cases.CTC_CASES[name]
    x = lamina.tensor(scores, requires_grad=True)
    out = ctc.ctc_loss(log_softmax(x, -1), lamina.tensor(targets), heard, said, **options)
    check(name, out, [x], 1e-10)


TWICE = [name for name in cases.CASES if name.endswith(" sum") or " " not in name]


@pytest.mark.parametrize("name", TWICE)
def test_second_derivatives_agree_with_differences(name: str) -> None:
    """∂/∂ε of the gradient at x + ε·d against the gradient of gradient·d."""
    function, given, options = cases.CASES[name]
    options = {k: tensor(v) for k, v in options.items()}
    rng = np.random.default_rng(0)
    real = [i for i, a in enumerate(given) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    real = [i for i in real if i not in cases.FIXED.get(function, cases.FIXED.get(name, ()))]
    directions = {i: rng.standard_normal(given[i].shape) for i in real}

    def slopes(by: float, *, create_graph: bool = False) -> tuple[list[Any], list[Any]]:
        xs = [tensor(a + by * directions[i] if i in real else a) for i, a in enumerate(given)]
        wanted = [xs[i].requires_grad_() for i in real]
        out = function_named(function)(*xs, **options)
        weights = tensor(np.cos(np.arange(out.size)).reshape(out.shape))
        grads = autograd.grad((out * weights).sum(), wanted, create_graph=create_graph)
        return list(grads), wanted

    grads, xs = slopes(0.0, create_graph=True)
    along = sum((g * tensor(d)).sum() for g, d in zip(grads, directions.values(), strict=True))
    second: Any = [None] * len(xs)
    if along.requires_grad:
        second = autograd.grad(along, xs, allow_unused=True)
    step = 1e-6
    for got, up, down in zip(second, slopes(step)[0], slopes(-step)[0], strict=True):
        expected = (up.numpy() - down.numpy()) / (2 * step)
        found = np.zeros_like(expected) if got is None else got.numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def every_alignment(probabilities: Any, target: tuple[int, ...], blank: int) -> float:
    """The probability of a target, from every path through the classes by itself."""
    times, classes = probabilities.shape
    total = 0.0
    for path in np.ndindex(*(classes,) * times):
        merged = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
        if tuple(c for c in merged if c != blank) == target:
            total += float(np.prod(probabilities[np.arange(times), path]))
    return total


@pytest.mark.parametrize("target", [(), (1,), (1, 1), (2, 1), (1, 2, 1), (1, 1, 1)])
def test_ctc_sums_over_every_alignment(target: tuple[int, ...]) -> None:
    chances = np.exp(cases.reals(30, 5, 3))
    chances /= chances.sum(1, keepdims=True)
    expected = -np.log(every_alignment(chances, target, blank=0))
    rows = np.array([target], np.int64).reshape(1, -1)
    loss = ctc.ctc_loss(
        lamina.tensor(np.log(chances)[:, None]), rows, [5], [len(target)], reduction="sum"
    )
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_ctc_is_differentiable_twice() -> None:
    scores, targets, heard, said, _ = cases.CTC_CASES["ctc sum"]
    direction = tensor(cases.reals(31, *scores.shape))

    def slope(x: Any, *, create_graph: bool = False) -> Any:
        loss = ctc.ctc_loss(log_softmax(x, -1), targets, heard, said, reduction="sum")
        return autograd.grad(loss, x, create_graph=create_graph)[0]

    def moved(by: float) -> Any:
        return slope(tensor(scores + by * direction.numpy()).requires_grad_()).numpy()

    x = lamina.tensor(scores, requires_grad=True)
    (second,) = autograd.grad((slope(x, create_graph=True) * direction).sum(), x)
    step = 1e-6
    expected = (moved(step) - moved(-step)) / (2 * step)
    np.testing.assert_allclose(second.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_ctc_has_no_third_derivative() -> None:
    x = lamina.tensor(cases.SPEECH[:4, :1], requires_grad=True)
    loss = ctc.ctc_loss(x, [[1, 2]], [4], [2])
    (slope,) = autograd.grad(loss, x, create_graph=True)
    (second,) = autograd.grad((slope * slope).sum(), x, create_graph=True)
    with pytest.raises(errors.GradientError, match="a third derivative was asked"):
        second.sum().backward()


def test_a_target_that_does_not_fit_costs_infinity_and_has_no_gradient() -> None:
    x = lamina.tensor(cases.SPEECH[:2, :1], requires_grad=True)
    loss = ctc.ctc_loss(log_softmax(x, -1), np.array([[1, 1]]), [2], [2], reduction="none")
    assert loss.tolist() == [np.inf]
    loss.sum().backward()
    assert not x.grad.numpy().any()


@pytest.mark.parametrize("function", [losses.mse_loss, losses.l1_loss, losses.huber_loss])
def test_the_shapes_must_be_equal(function: Callable[..., Any]) -> None:
    with pytest.raises(errors.ShapeError, match=r"\(3,\) and target of shape \(3, 1\)"):
        function(lamina.ones(3), lamina.ones(3, 1))


ONES = np.ones((3, 4))


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (
            lambda x: losses.cross_entropy(x, [0, 4, 1]),
            errors.LabelError,
            "label 4 at position (1,) is outside the 4 classes, 0 to 3",
        ),
        (
            lambda x: losses.nll_loss(x[:, :, None], [[0], [1], [-1]]),
            errors.LabelError,
            "label -1 at position (2, 0)",
        ),
        (
            lambda x: losses.cross_entropy(x, [0, -5, 9], ignore_index=-5),
            errors.LabelError,
            "label 9 at position (2,)",
        ),
        (
            lambda x: losses.cross_entropy(x, [0, 1]),
            errors.ShapeError,
            "labels of shape (2,) given; expected (3,)",
        ),
        (
            lambda x: losses.nll_loss(x, lamina.zeros(3)),
            errors.DTypeError,
            "labels of float32 given",
        ),
        (
            lambda x: losses.cross_entropy(x, lamina.ones(3, 3)),
            errors.ShapeError,
            "input of shape (3, 4) and target of shape (3, 3)",
        ),
        (
            lambda x: losses.cross_entropy(x, [0, 1, 2], lamina.ones(3)),
            errors.ShapeError,
            "weight of shape (3,) given for 4 classes",
        ),
        (
            lambda x: losses.cross_entropy(x, [0, 1, 2], label_smoothing=1.5),
            errors.ArgumentError,
            "label_smoothing 1.5",
        ),
        (
            lambda x: losses.mse_loss(x, x, reduction="average"),
            errors.ArgumentError,
            "'average' given; expected 'mean', 'sum' or 'none'",
        ),
        (
            lambda x: losses.binary_cross_entropy(x * 1.5, x),
            errors.ArgumentError,
            "input 1.5 given; expected probabilities",
        ),
        (lambda x: losses.multi_margin_loss(x, [0, 1, 2], p=3), errors.ArgumentError, "p 3"),
        (lambda x: losses.huber_loss(x, x, delta=0.0), errors.ArgumentError, "delta 0.0"),
        (
            lambda x: labels.one_hot(lamina.tensor([0, 3]), 3),
            errors.LabelError,
            "label 3 at position (1,)",
        ),
        (
            lambda x: ctc.ctc_loss(x[:, None], [[1, 0]], [3], [2]),
            errors.LabelError,
            "label 0 at position (0, 1) of the targets",
        ),
        (
            lambda x: ctc.ctc_loss(x[:, None], [[1, 2]], [4], [2]),
            errors.ArgumentError,
            "input length 4 of sample 0",
        ),
        (
            lambda x: ctc.ctc_loss(x[:, None], [[1, 2]], [3, 3], [2, 1]),
            errors.ShapeError,
            "input_lengths of int64 and shape (2,)",
        ),
        (
            lambda x: ctc.ctc_loss(x[:, None].expand(3, 2, 4), [1, 2, 3], [3, 3], [2, 2]),
            errors.ShapeError,
            "3 labels given in a row; the target lengths add up to 4",
        ),
        (
            lambda x: ctc.ctc_loss(x[:, None], [[1]], [3], [1], blank=4),
            errors.LabelError,
            "blank 4 is outside the 4 classes",
        ),
    ],
)
def test_errors_say_what_was_given_and_expected(call: Any, error: type, said: str) -> None:
    with pytest.raises(error) as raised:
        call(lamina.tensor(ONES))
    assert said in str(raised.value)


def test_no_logit_is_too_large() -> None:
    x = lamina.tensor([1e4, -1e4, 1e4, -1e4], requires_grad=True)
    loss = losses.binary_cross_entropy_with_logits(
        x, lamina.tensor([1.0, 0.0, 0.0, 1.0]), reduction="none"
    )
    assert loss.tolist() == [0.0, 0.0, 1e4, 1e4]
    loss.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 1.0, -1.0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype: str) -> None:
    x = lamina.tensor(cases.SCORES).to(dtype).requires_grad_()
    loss = losses.cross_entropy(x, cases.CLASSES)
    loss.backward()
    assert loss.dtype.name == x.grad.dtype.name == dtype
    assert float(loss) == pytest.approx(float(golden()["labels mean/out"]), rel=2e-2)


def test_one_hot() -> None:
    assert labels.one_hot(lamina.tensor([[1], [0]]), 2).tolist() == [[[0, 1]], [[1, 0]]]
    assert labels.one_hot(lamina.tensor([2])).dtype is dtypes.int64
