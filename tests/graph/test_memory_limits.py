"""What programs may take: a limit on their arena, a cap on how many are kept."""

import sys
from typing import Any

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn, optim
from lamina.errors import MemoryCapError
from lamina.graph.passes import rematerialise
from lamina.graph.text import parse

X = np.random.default_rng(0).standard_normal((32, 3, 12, 12)).astype("f")


def trained(**options: Any) -> tuple[Any, list[bytes]]:
    """The compiled step of a small network, and the bits of its parameters after three steps."""
    lamina.manual_seed(5)
    layers = []
    for _ in range(3):
        layers += [nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.GELU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(3 * 144, 4))
    optimiser = optim.Adam(model.parameters(), lr=1e-2)

    def step(x: Any) -> Any:
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x), lamina.zeros(32, dtype=lamina.int64))
        loss.backward()
        optimiser.step()
        return loss

    compiled = lamina.compile(step, **options)
    for _ in range(3):
        compiled(lamina.tensor(X))
    return compiled, [p.detach().numpy().tobytes() for p in model.parameters()]


def test_less_memory_has_the_same_bits() -> None:
    plain, wanted = trained()
    needed = plain.last_program.plan.nbytes
    for share in (0.8,):
        limit = int(needed * share)
        limited, found = trained(memory_limit=limit)
        assert limited.last_program.plan.nbytes <= limit
        assert len(limited.last_program.calls) >= len(plain.last_program.calls)
        assert found == wanted


def test_too_little_memory_is_an_error() -> None:
    slope = lamina.compile(
        lambda x: lamina.autograd.grad(((x @ x).tanh() @ x).sum(), x)[0], memory_limit=100
    )
    with pytest.raises(MemoryCapError, match="memory_limit of 100 bytes"):
        slope(lamina.ones(30, 30, requires_grad=True))


CHAIN = """
inputs %x: float32[1000]
%0: float32[1000] = exp(%x)
%1: float32[10, 100] = reshape[shape=(10, 100)](%0)
%2: float32[] = sum[axes=(0, 1), keepdims=False](%1)
%3: float32[3000] = concat[axis=0](%x, %x, %x)
%4: float32[] = sum[axes=(0,), keepdims=False](%3)
%5: float32[] = mean[axes=(0, 1), keepdims=False](%1)
return %2, %4, %5
"""


def test_a_view_of_what_is_made_again() -> None:
    graph = parse(CHAIN)
    names = [node.op.name for node in rematerialise(graph, 14_000).nodes]
    assert names == ["exp", "reshape", "sum", "concat", "sum", "exp", "reshape", "mean"]
    assert rematerialise(graph, 20_000).nodes == graph.nodes


def test_programs_keep_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = sys.modules["lamina.graph.compile"]
    monkeypatch.setattr(module, "PROGRAM_BYTES_KEPT", 5 * module._BYTES_A_CALL)
    double = lamina.compile(lambda x: (x * 2).sum())
    for size in range(1, 9):
        assert double(lamina.ones(size)).item() == 2 * size
    assert 1 <= len(double._kept) <= 5
    assert double(lamina.ones(1)).item() == 2


def arena(function: Any, *inputs: Any) -> int:
    """The bytes between the calls of a function that gives what it gives eagerly."""
    compiled = lamina.compile(function)
    found, wanted = compiled(*inputs), function(*inputs)
    assert np.array_equal(found.numpy(), wanted.numpy())
    return int(compiled.last_program.plan.nbytes)


def test_elementwise_ops_write_over_what_nobody_reads_again() -> None:
    x, w = lamina.tensor(X[0, 0]), lamina.tensor(X[1, 0])
    whole = x.numel() * 4
    assert arena(lambda x, w: ((x @ w).softmax(0).tanh() * x).softmax(1) @ x, x, w) == 2 * whole

    def read_by_a_view(x: Any, w: Any) -> Any:
        y = (x @ w).softmax(0)
        return (y.tanh() + y.T).softmax(1) @ x

    def read_later(x: Any, w: Any) -> Any:
        y = (x @ w).softmax(0)
        return y.tanh().softmax(1) @ y

    for function in (read_by_a_view, read_later):
        assert arena(function, x, w) >= 2 * whole


def test_inputs_are_never_written_over() -> None:
    x = lamina.tensor(X[0, 0].copy())
    lamina.compile(lambda x: x.tanh())(x)
    assert np.array_equal(x.numpy(), X[0, 0])
