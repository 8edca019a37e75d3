"""Norms and attention written out by hand become one op; what only looks alike does not."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lamina

EPS = 1e-3
Function = Callable[..., Any]


def rows(*shape: int) -> Any:
    return lamina.tensor(np.random.default_rng(sum(shape)).standard_normal(shape).astype("f"))


def centred(x: Any) -> Any:
    return x - x.mean(-1, keepdim=True)


NORMS: dict[str, Function] = {
    "quotient": lambda x, w, b: (
        centred(x) / ((centred(x) ** 2).mean(-1, keepdim=True) + EPS).sqrt() * w + b
    ),
    "weight first": lambda x, w, b: (
        w * centred(x) * (x.var(-1, unbiased=False, keepdim=True) + EPS).rsqrt() + b
    ),
    "plain": lambda x, w, b: (
        centred(x) / lamina.sqrt(EPS + (centred(x) * centred(x)).mean(-1, keepdim=True))
    ),
    "mean square": lambda x, w, b: w * (x * lamina.rsqrt(x.square().mean(-1, keepdim=True) + EPS)),
    "over planes": lambda x, w, b: (
        (x - x.mean((0, 1), keepdim=True))
        / (x.var((0, 1), unbiased=False, keepdim=True) + EPS).sqrt()
    ),
}

UNLIKE: dict[str, Function] = {
    "unbiased": lambda x, w, b: centred(x) / (x.var(-1, keepdim=True) + EPS).sqrt(),
    "another mean": lambda x, w, b: (
        (x - x.mean(0, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + EPS).sqrt()
    ),
    "another x": lambda x, w, b: centred(x * 2) / (x.square().mean(-1, keepdim=True) + EPS).sqrt(),
    "no eps": lambda x, w, b: centred(x) / centred(x).square().mean(-1, keepdim=True).sqrt(),
}

SEEN = lamina.tril(lamina.ones(6, 6)) > 0
HIGH = rows(6, 6)

ATTENTION: dict[str, Function] = {
    "divided": lambda q, k, v: (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1) @ v,
    "masked": lambda q, k, v: (
        ((q * 0.3) @ k.transpose(-2, -1)).masked_fill(~SEEN, -math.inf).softmax(-1) @ v
    ),
    "seen": lambda q, k, v: (
        lamina.where(SEEN, q @ k.transpose(-2, -1) * 0.3, -math.inf).softmax(-1) @ v
    ),
    "one query": lambda q, k, v: (q[:, :, :1] @ k.mT * 0.3).softmax(-1) @ v,
    "added": lambda q, k, v: (q @ k.mT * 0.3 + HIGH).softmax(-1) @ v,
    "by sums": lambda q, k, v: lamina.einsum(
        "bhqk,bhkd->bhqd", (lamina.einsum("bhqd,bhkd->bhqk", q, k) * 0.3).softmax(-1), v
    ),
}

UNLIKE_ATTENTION: dict[str, Function] = {
    "along queries": lambda q, k, v: (q @ k.mT).softmax(-2) @ v,
    "weights read": lambda q, k, v: ((q @ k.mT).softmax(-1) @ v) + (q @ k.mT).softmax(-1).sum(),
    "scaled after a mask": lambda q, k, v: ((q @ k.mT + HIGH) * 0.3).softmax(-1) @ v,
    "few queries": lambda q, k, v: (q[:, :, :2] @ k.mT).softmax(-1) @ v,
}


def ops_of(function: Function, *inputs: Any) -> list[str]:
    """The ops of the compiled function, which gives what the function gives."""
    with lamina.no_grad():
        compiled = lamina.compile(function)
        found, wanted = compiled(*inputs).numpy(), function(*inputs).numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6)
        return [node.op.name for node in compiled.graph(*inputs).nodes]


@pytest.mark.parametrize("name", NORMS)
def test_norms(name: str) -> None:
    names = ops_of(NORMS[name], rows(4, 5, 8), rows(8), rows(8))
    assert [n for n in names if n != "reshape"] == ["standardize"]


@pytest.mark.parametrize("name", UNLIKE)
def test_what_is_no_norm(name: str) -> None:
    assert "standardize" not in ops_of(UNLIKE[name], rows(4, 5, 8), rows(8), rows(8))


@pytest.mark.parametrize("name", ATTENTION)
def test_attention(name: str) -> None:
    names = ops_of(ATTENTION[name], *(rows(2, 3, 6, 8) for _ in range(3)))
    assert "attention" in names
    assert not {"softmax", "matmul", "matmul_then"} & set(names)


@pytest.mark.parametrize("name", UNLIKE_ATTENTION)
def test_what_is_no_attention(name: str) -> None:
    assert "attention" not in ops_of(UNLIKE_ATTENTION[name], *(rows(2, 3, 6, 8) for _ in range(3)))


def test_training_keeps_what_the_backward_pass_reads() -> None:
    def slope(x: Any, w: Any, b: Any) -> Any:
        (grad,) = lamina.autograd.grad(NORMS["quotient"](x, w, b).exp().sum(), x)
        return grad

    inputs = (rows(4, 5, 8).requires_grad_(), rows(8), rows(8))
    found, wanted = lamina.compile(slope)(*inputs), slope(*inputs)
    assert np.array_equal(found.numpy(), wanted.numpy())
