"""One instruction set, one answer: whatever the threads, the batch size or the place in it."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sharing import every_call_shared

import lamina
import lamina.nn.functional as F
from lamina import nn, optim

THREADS = (1, 2, 3, 7)


@pytest.fixture(autouse=True)
def shared_calls() -> Iterator[None]:
    before = lamina.num_threads()
    with every_call_shared():
        yield
    lamina.set_num_threads(before)


class Block(nn.Module):
    """A Transformer block: attention and a gated sum, each after a norm."""

    def __init__(self, width: int = 48, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.first, self.second = nn.LayerNorm(width), nn.RMSNorm(width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        batch, length, width = x.shape
        split = (batch, length, 3, self.heads, width // self.heads)
        q, k, v = self.qkv(self.first(x)).view(*split).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.narrow(F.gelu(self.wide(self.second(x))))


def convolutions() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(24, 24, 3, padding=1, groups=24), nn.GroupNorm(4, 24), nn.SiLU()),
        *(nn.Conv2d(24, 40, 1), nn.Hardswish(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(640, 10)),
        nn.LogSoftmax(1),
    )


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "convolutions": (convolutions, (3, 16, 16)),
    "transformer": (lambda: nn.Sequential(Block(), Block()), (37, 48)),
    "perceptron": (
        lambda: nn.Sequential(nn.Linear(301, 129), nn.Tanh(), nn.Linear(129, 7)),
        (301,),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_sample_has_the_same_bits_in_any_batch(name: str) -> None:
    make, shape = NETWORKS[name]
    lamina.manual_seed(3)
    model = make().eval()
    x = lamina.randn(64, *shape)
    with lamina.no_grad():
        expected = model(x).numpy().copy()
        for threads in THREADS:
            lamina.set_num_threads(threads)
            for batch, start in ((1, 0), (1, 63), (2, 17), (5, 40), (64, 0)):
                found = model(x[start : start + batch]).numpy()
                assert np.array_equal(found, expected[start : start + batch]), (threads, batch)


@pytest.mark.parametrize("name", NETWORKS)
def test_training_has_the_same_bits_for_any_thread_count(name: str) -> None:
    make, shape = NETWORKS[name]

    def parameters_after_three_steps(threads: int) -> list[Any]:
        lamina.set_num_threads(threads)
        lamina.manual_seed(5)
        model = make().train()
        optimizer = optim.Adam(model.parameters(), lr=1e-2)
        x = lamina.randn(24, *shape)
        for _ in range(3):
            optimizer.zero_grad()
            F.dropout(model(x), 0.1).square().mean().backward()
            optimizer.step()
        return [p.detach().numpy().copy() for p in model.parameters()]

    expected = parameters_after_three_steps(1)
    for threads in THREADS[1:]:
        for found, wanted in zip(parameters_after_three_steps(threads), expected, strict=True):
            assert np.array_equal(found, wanted), threads
