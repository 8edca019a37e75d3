"""The neural-network ops against PyTorch, against their own references, and at their edges."""

from functools import cache
from importlib import import_module
from math import prod
from pathlib import Path

import numpy as np
import pytest
from golden.nn_ops_cases import CASES, NNCase

import lamina
from lamina import autograd

GOLDEN = Path(__file__).parent / "golden" / "nn_ops.npz"
SINGLE = [case for place, case in enumerate(CASES.values()) if place % 3 == 0]


@cache
def golden() -> dict[str, dict[str, np.ndarray]]:
    """What PyTorch found, by case and key."""
    file = np.load(GOLDEN)
    streams = {"f": file["reals"].astype(np.float64), "i": file["places"].astype(np.int64)}
    used = dict.fromkeys(streams, 0)
    found: dict[str, dict[str, np.ndarray]] = {}
    for line in str(file["index"]).splitlines():
        name, key, kind, sizes = line.split("|")
        shape = tuple(int(n) for n in sizes.split())
        start, used[kind] = used[kind], used[kind] + prod(shape)
        found.setdefault(name, {})[key] = streams[kind][start : used[kind]].reshape(shape)
    return found


def results(case: NNCase, dtype: str) -> dict[str, np.ndarray]:
    """What Lamina finds: the keys of the golden file."""
    inputs = [None if a is None else tensor(a, dtype) for a in case.draw()]
    for x, spec in zip(inputs, case.inputs, strict=True):
        if spec is not None and spec.is_differentiated:
            x.requires_grad_()
    function = getattr(import_module(f"lamina.ops.layers.{case.module}"), case.ours)
    out = case.call(function, inputs)
    outs = out if isinstance(out, tuple) else (out,)
    found = {f"out{i}": o.detach().numpy() for i, o in enumerate(outs)}
    weights = tensor(case.weights(outs[0].shape), dtype)
    (outs[0] * weights).sum().backward()
    for place, x in enumerate(inputs):
        if x is not None and x.requires_grad:
            found[f"grad{place}"] = x.grad.numpy()
        elif x is not None and x.dtype.is_floating_point:
            found[f"written{place}"] = x.numpy()
    return found


def tensor(array: np.ndarray, dtype: str) -> lamina.Tensor:
    return lamina.tensor(array if array.dtype == bool else array.astype(dtype))


def check(case: NNCase, dtype: str, tolerance: float) -> None:
    found, expected = results(case, dtype), golden()[case.name]
    assert found.keys() == expected.keys()
    for key, wanted in expected.items():
        assert found[key].shape == wanted.shape, key
        scale = max(1.0, float(np.abs(wanted).max(initial=0)))
        np.testing.assert_allclose(
            found[key], wanted, rtol=tolerance, atol=tolerance * scale, err_msg=key
        )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_as_pytorch_in_float64(case: NNCase) -> None:
    check(case, "float64", 1e-7)  # the golden values are kept in float32: half an ULP is 6e-8


@pytest.mark.parametrize("case", SINGLE, ids=[case.name for case in SINGLE])
def test_as_pytorch_in_float32(case: NNCase) -> None:
    check(case, "float32", 1e-5)  # sums of up to 200 products of numbers up to 4


def first_gradients(case: NNCase, arrays: list, shifts: list) -> list[lamina.Tensor]:
    """Gradients of Σ weights·f with respect to every real input, at inputs + shifts."""
    inputs = [
        None if a is None else tensor(a if s is None else a + s, "float64")
        for a, s in zip(arrays, shifts, strict=True)
    ]
    wanted = [x for x, s in zip(inputs, shifts, strict=True) if s is not None]
    for x in wanted:
        x.requires_grad_()
    function = getattr(import_module(f"lamina.ops.layers.{case.module}"), case.ours)
    out = case.call(function, inputs)
    first = out[0] if isinstance(out, tuple) else out
    # Squared, so that no gradient is constant.
    loss = (first * first * tensor(case.weights(first.shape), "float64")).sum()
    return wanted, list(autograd.grad(loss, wanted, create_graph=True))


SMOOTH = [c for c in CASES.values() if all(i is None or i.kind != "ties" for i in c.inputs)]


@pytest.mark.parametrize("case", SMOOTH[::2], ids=[case.name for case in SMOOTH[::2]])
def test_second_derivative_along_a_line(case: NNCase) -> None:
    rng = np.random.default_rng(7)
    arrays = case.draw()
    lines = [
        rng.standard_normal(spec.shape) if spec is not None and spec.kind == "real" else None
        for spec in case.inputs
    ]
    step = 1e-6
    _, ahead = first_gradients(case, arrays, [None if d is None else d * step for d in lines])
    _, behind = first_gradients(case, arrays, [None if d is None else d * -step for d in lines])
    inputs, here = first_gradients(case, arrays, [None if d is None else d * 0 for d in lines])
    directions = [tensor(d, "float64") for d in lines if d is not None]
    along = sum(((g * d).sum() for g, d in zip(here, directions, strict=True)), start=0.0)
    found = autograd.grad(along, inputs)
    for h, a, b in zip(found, ahead, behind, strict=True):
        wanted = (a.detach().numpy() - b.detach().numpy()) / (2 * step)
        scale = max(1.0, float(np.abs(wanted).max(initial=0)))
        np.testing.assert_allclose(h.numpy(), wanted, rtol=1e-5, atol=1e-6 * scale)
