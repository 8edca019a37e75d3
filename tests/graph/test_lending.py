"""Results of programs: memory is used again, but never while somebody holds any part of it."""

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.graph.lending import Lending

HOLDERS = {
    "tensor": lambda y: y,
    "array": lambda y: y.array,
    "storage": lambda y: y.array.storage,
    "bytes": lambda y: y.array.storage.buffer,
    "view": lambda y: y[0],
    "reshaped": lambda y: y.reshape(6),
    "detached": lambda y: y.detach(),
    "numpy": lambda y: y.numpy(),
    "part of numpy": lambda y: y.numpy()[0],
    "asarray": lambda y: np.asarray(y),
    "memoryview": lambda y: memoryview(y.numpy()),
    "dlpack": lambda y: np.from_dlpack(y),
    "capsule": lambda y: y.__dlpack__(),
}


@pytest.fixture
def run():
    lamina.manual_seed(0)
    compiled = lamina.compile(nn.Linear(4, 3))
    with lamina.no_grad():
        yield compiled


@pytest.mark.parametrize("name", HOLDERS)
def test_what_is_held_stays(run, name):
    first, second = lamina.randn(2, 4), lamina.randn(2, 4)
    result = run(first)
    before, held = result.numpy().copy(), HOLDERS[name](result)
    address = result.array.address
    del result
    others = [run(second) for _ in range(3)]
    assert all(other.array.address != address for other in others)
    if name not in ("storage", "bytes", "capsule"):
        content = held.numpy() if hasattr(held, "numpy") else held
        assert np.asarray(content).reshape(-1)[0] == before.reshape(-1)[0]


@pytest.mark.parametrize("look", [lambda y: None, lambda y: float(y.numpy().sum())])
def test_what_is_let_go_is_used_again(run, look):
    addresses = set()
    for _ in range(4):
        result = run(lamina.randn(2, 4))
        look(result)
        addresses.add(result.array.address)
        del result
    assert len(addresses) == 1


def test_several_results_are_held_each_for_itself():
    run = lamina.compile(lambda x: (x + 1, x * 2))
    _, kept = run(lamina.ones(3))
    again = run(lamina.zeros(3))
    assert kept.tolist() == [2.0, 2.0, 2.0]
    assert again[1].tolist() == [0.0, 0.0, 0.0]


def test_nothing_is_kept_where_references_are_not_counted(monkeypatch):
    monkeypatch.setattr("lamina.graph.lending._is_counted", lambda: False)
    x = lamina.ones(3)
    lending = Lending([(12, x.array.layout, x.array.dtype)])
    arrays = lending.take()
    lending.give(arrays)
    assert lending.take() is not arrays
