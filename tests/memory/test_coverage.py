"""Results of ops and of creation live in the pool: counted, aligned, and refused when too large."""

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import memory
from lamina.errors import MemoryCapError

SIDE = 512
Made = Callable[[lamina.Tensor], Any]

# Each maker is given a (512, 512) float32 tensor, 1 MiB.
MAKERS: dict[str, Made] = {
    "add": lambda x: x + x,
    "clone": lambda x: x.clone(),
    "cast up": lambda x: x.to("float64"),
    "cast down": lambda x: x.to("bfloat16"),
    "contiguous": lambda x: x.T.contiguous(),
    "reshape of a transpose": lambda x: x.T.reshape(-1),
    "concat": lambda x: lamina.concat([x, x]),
    "stack": lambda x: lamina.stack([x, x]),
    "where": lambda x: lamina.where(x > 0, x, -1.0),
    "where zero": lambda x: lamina.where(x > 0, x, 0.0),
    "zero where": lambda x: lamina.where(x > 0, 0.0, x),
    "relu": lambda x: x.relu(),
    "gelu": lambda x: F.gelu(x),
    "leaky_relu": lambda x: F.leaky_relu(x),
    "sigmoid": lambda x: x.sigmoid(),
    "tanh": lambda x: x.tanh(),
    "expm1": lambda x: x.expm1(),
    "round": lambda x: x.round(),
    "rsqrt": lambda x: x.rsqrt(),
    "floor_divide": lambda x: x // 2,
    "clamp": lambda x: x.clamp(0, 1),
    "softmax": lambda x: x.softmax(-1),
    "softmax of halves": lambda x: x.to("bfloat16").softmax(-1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "layer_norm": lambda x: F.layer_norm(x, (SIDE,)),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "rms_norm": lambda x: F.rms_norm(x, (SIDE,)),
    "max_pool": lambda x: F.max_pool2d(x[None], 2),
    "avg_pool": lambda x: F.avg_pool2d(x[None], 2),
    "adaptive_avg_pool": lambda x: F.adaptive_avg_pool2d(x[None], 300),
    "pad": lambda x: F.pad(x, (1, 1)),
    "pad by reflection": lambda x: F.pad(x[None], (1, 1), mode="reflect"),
    "dropout": lambda x: F.dropout(x),
    "interpolate": lambda x: F.interpolate(x[None, None], scale_factor=2),
    "interpolate linearly": lambda x: F.interpolate(x[None, None], scale_factor=2, mode="bilinear"),
    "unfold": lambda x: F.unfold(x[None, None], 2),
    "cumsum along rows": lambda x: x.cumsum(1),
    "cumsum along columns": lambda x: x.cumsum(0),
    "sort": lambda x: x.sort(-1)[0],
    "argsort": lambda x: x.argsort(-1),
    "tile": lambda x: lamina.tile(x, (2, 1)),
    "repeat": lambda x: x.repeat_interleave(2, 0),
    "roll": lambda x: lamina.roll(x, 3, 0),
    "tril": lambda x: x.tril(),
    "index": lambda x: x[lamina.arange(SIDE)],
    "masked": lambda x: x[x > -9],
    "fft": lambda x: lamina.fft.fft(x),
    "matmul": lambda x: x @ x,
    "rand": lambda x: lamina.rand(SIDE, SIDE),
    "randn": lambda x: lamina.randn(SIDE, SIDE),
    "randn of halves": lambda x: lamina.randn(SIDE, SIDE, dtype="float16"),
    "randint": lambda x: lamina.randint(0, 9, (SIDE, SIDE)),
    "randperm": lambda x: lamina.randperm(1 << 17),
    "bernoulli": lambda x: lamina.bernoulli(x, 0.5),
    "eye": lambda x: lamina.eye(SIDE),
    "arange": lambda x: lamina.arange(1 << 17),
    "linspace": lambda x: lamina.linspace(0, 1, 1 << 17),
    "nested lists": lambda x: lamina.Tensor([[1.0] * SIDE] * SIDE),
}

TOO_LARGE = 10**14
OVERSIZE: dict[str, Callable[[], Any]] = {
    "empty": lambda: lamina.empty(TOO_LARGE),
    "rand": lambda: lamina.rand(TOO_LARGE),
    "randn": lambda: lamina.randn(TOO_LARGE),
    "randint": lambda: lamina.randint(0, 9, (TOO_LARGE,)),
    "randperm": lambda: lamina.randperm(TOO_LARGE),
    "arange": lambda: lamina.arange(TOO_LARGE),
    "linspace": lambda: lamina.linspace(0, 1, TOO_LARGE),
    "eye": lambda: lamina.eye(10**8),
    "repeat": lambda: lamina.ones(10).repeat(TOO_LARGE),
    "repeat_interleave": lambda: lamina.ones(10).repeat_interleave(TOO_LARGE),
    "pad": lambda: F.pad(lamina.ones(3), (0, TOO_LARGE)),
    "clone": lambda: lamina.ones(1).expand(TOO_LARGE).clone(),
    "reshape": lambda: lamina.ones(2, 1).expand(2, TOO_LARGE).T.reshape(-1),
    "add": lambda: lamina.ones(1).expand(TOO_LARGE) + 1,
    "sort": lambda: lamina.ones(1).expand(TOO_LARGE).sort(),
}


@pytest.fixture
def square() -> lamina.Tensor:
    values = np.random.default_rng(5).standard_normal((SIDE, SIDE), np.float32)
    return lamina.Tensor(values)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_results_are_counted_and_aligned(make: Made, square: lamina.Tensor) -> None:
    make(square)
    # What failed tests left in cycles must not die between the two readings.
    gc.collect()
    before = memory.stats().live
    result = make(square)
    grown = memory.stats().live - before
    nbytes = result.numel() * result.dtype.itemsize
    assert nbytes >= 1 << 18
    assert nbytes <= grown <= 1.25 * nbytes + 4096
    assert result.array.storage.address % 64 == 0
    del result
    assert memory.stats().live == before


@pytest.mark.parametrize("make", OVERSIZE.values(), ids=OVERSIZE)
def test_what_does_not_fit_is_refused_by_name(make: Callable[[], Any]) -> None:
    with pytest.raises(MemoryCapError, match="free tensors"):
        make()


def test_the_cap_holds_for_results_of_formulas(square: lamina.Tensor) -> None:
    memory.trim()
    memory.set_cap(memory.stats().live + (1 << 19))
    try:
        with pytest.raises(MemoryCapError, match="under a cap"):
            F.gelu(square)
    finally:
        memory.set_cap(None)


def test_a_rounded_integer_is_a_copy() -> None:
    whole = lamina.Tensor([1, 2])
    whole.round().add_(1)
    assert whole.tolist() == [1, 2]


def test_draws_are_those_of_numpy() -> None:
    for shape in ((), (3,), (SIDE, SIDE)):
        for name, drawn in (("random", lamina.rand), ("standard_normal", lamina.randn)):
            lamina.manual_seed(7)
            found = drawn(shape).numpy()
            stream = lamina.manual_seed(7).next()
            np.testing.assert_array_equal(found, getattr(stream, name)(shape, np.float32))
