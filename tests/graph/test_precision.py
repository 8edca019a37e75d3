"""Programs whose products read 16-bit floats."""

from typing import Any

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn, optim
from lamina.errors import ArgumentError


def layers() -> Any:
    lamina.manual_seed(2)
    return nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))


@pytest.mark.parametrize(("precision", "unit"), [("bfloat16", 2**-8), ("float16", 2**-11)])
@pytest.mark.parametrize("batch", [1, 7])
def test_each_factor_is_rounded_once(precision: Any, unit: float, batch: int) -> None:
    rng = np.random.default_rng(batch)
    x, w = (rng.standard_normal(shape).astype("f") for shape in ((batch, 300), (300, 20)))
    compiled = lamina.compile(lambda x, w: x @ w, precision=precision)
    found = compiled(lamina.tensor(x), lamina.tensor(w)).numpy()
    size = np.abs(x).astype(float) @ np.abs(w)
    assert (np.abs(found - x.astype(float) @ w) <= 2.01 * unit * size).all()
    assert (found != x @ w).any()
    names = [n.op.name for n in compiled.graph(lamina.tensor(x), lamina.tensor(w)).nodes]
    assert names.count("cast") == 2


def test_constant_weights_are_converted_once() -> None:
    model = layers().eval()
    with lamina.no_grad():
        compiled = lamina.compile(model, precision="bfloat16")
        x = lamina.randn(3, 64)
        np.testing.assert_allclose(compiled(x).numpy(), model(x).numpy(), atol=0.02)
        program = compiled.last_program
    assert program is not None
    assert [name for name, _ in program.calls].count("cast") == 2


def test_bodies_of_branches_too() -> None:
    w = lamina.randn(30, 30)

    def branch(x: Any) -> Any:
        return lamina.cond(x.sum() > 0, lambda: x @ w, lambda: x)

    x = lamina.ones(4, 30)
    found = lamina.compile(branch, precision="bfloat16")(x)
    plain = lamina.compile(lambda x: x @ w, precision="bfloat16")(x)
    assert np.array_equal(found.numpy(), plain.numpy())


def test_training_reaches_the_same_place() -> None:
    losses = {}
    for precision in ("float32", "bfloat16"):
        model = layers()
        optimiser = optim.Adam(model.parameters(), lr=1e-2)

        def step(x: Any, y: Any, model: Any = model, optimiser: Any = optimiser) -> Any:
            optimiser.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimiser.step()
            return loss

        compiled = lamina.compile(step, precision=precision)  # type: ignore[call-overload]
        rng = np.random.default_rng(0)
        x = lamina.tensor(rng.standard_normal((40, 64)).astype("f"))
        y = lamina.tensor(rng.integers(0, 10, 40))
        losses[precision] = [compiled(x, y).item() for _ in range(60)][-1]
        assert all(p.dtype is lamina.float32 for p in model.parameters())
    assert losses["bfloat16"] < 0.02
    assert losses["float32"] != losses["bfloat16"]


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ArgumentError, match="bfloat16"):
        lamina.compile(lambda x: x, precision="int3")  # type: ignore[call-overload]
