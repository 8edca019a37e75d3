"""The contract of every kernel: a sample's bits depend on the sample alone.

Each case is run at 1, 2, 3 and 7 threads and at batch 1, 2, 5 and 64, with the samples in other
places of the batch: outputs, and gradients to the input, must be the bits of the first run;
gradients to the weights those of one thread. At batch 64 the cases are large enough to be shared
out between threads.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sharing import every_call_shared

import lamina
import lamina.nn.functional as F

THREADS = (1, 2, 3, 7)
BATCH = 64
PLACES = ((1, 0), (1, 63), (2, 17), (5, 40), (64, 0))


@dataclass(frozen=True)
class Case:
    """A function of a batch and weights, the shape of a sample, and the shapes of the weights."""

    function: Callable[..., Any]
    sample: tuple[int, ...]
    weights: tuple[tuple[int, ...], ...] = ()

    def inputs(self) -> tuple[Any, list[Any]]:
        random = np.random.default_rng(11)
        x = random.standard_normal((BATCH, *self.sample)).astype("f4")
        weights = [random.standard_normal(shape).astype("f4") / 4 for shape in self.weights]
        return x, [lamina.tensor(w, requires_grad=True) for w in weights]


def _heads(x: Any) -> Any:
    return x.reshape(x.shape[0], x.shape[1], 3, 4, -1).permute(2, 0, 3, 1, 4)


CASES = {
    "linear": Case(F.linear, (301,), ((130, 301), (130,))),
    "linear, narrow": Case(F.linear, (1031,), ((3, 1031), (3,))),
    "linear, rows": Case(F.linear, (37, 65), ((129, 65), (129,))),
    "matmul": Case(lambda x: x @ x.mT, (33, 70)),
    "convolution 3×3": Case(
        lambda x, w, b: F.conv2d(x, w, b, padding=1), (24, 17, 15), ((40, 24, 3, 3), (40,))
    ),
    "convolution 3×3, many channels": Case(
        lambda x, w: F.conv2d(x, w, padding=1), (64, 14, 14), ((64, 64, 3, 3),)
    ),
    "convolution 3×3, stride 2": Case(
        lambda x, w: F.conv2d(x, w, stride=2, padding=1), (16, 19, 23), ((32, 16, 3, 3),)
    ),
    "convolution 1×1": Case(F.conv2d, (48, 7, 7), ((96, 48, 1, 1),)),
    "convolution 7×7 of an image": Case(
        lambda x, w: F.conv2d(x, w, stride=2, padding=3), (3, 32, 32), ((32, 3, 7, 7),)
    ),
    "convolution 5×5, dilated": Case(
        lambda x, w: F.conv2d(x, w, dilation=2), (8, 20, 20), ((16, 8, 5, 5),)
    ),
    "convolution, depthwise": Case(
        lambda x, w: F.conv2d(x, w, padding=1, groups=32), (32, 28, 28), ((32, 1, 3, 3),)
    ),
    "convolution, grouped": Case(
        lambda x, w: F.conv2d(x, w, padding=1, groups=4), (32, 14, 14), ((64, 8, 3, 3),)
    ),
    "convolution, one axis": Case(
        lambda x, w: F.conv1d(x, w, padding=2), (16, 131), ((24, 16, 5),)
    ),
    "convolution, three axes": Case(
        lambda x, w: F.conv3d(x, w, padding=1), (8, 6, 9, 9), ((16, 8, 3, 3, 3),)
    ),
    "convolution, transposed": Case(
        lambda x, w: F.conv_transpose2d(x, w, stride=2), (16, 9, 9), ((16, 24, 3, 3),)
    ),
    "maximum of windows": Case(lambda x: F.max_pool2d(x, 3, 2, 1), (16, 33, 31)),
    "mean of windows": Case(lambda x: F.avg_pool2d(x, 3, 2, 1), (16, 33, 31)),
    "adaptive mean": Case(lambda x: F.adaptive_avg_pool2d(x, (3, 1)), (16, 33, 31)),
    "softmax": Case(lambda x: F.softmax(x, -1), (16, 257)),
    "softmax, another axis": Case(lambda x: F.softmax(x, 1), (130, 33)),
    "log-softmax": Case(lambda x: F.log_softmax(x, -1), (16, 257)),
    "layer norm": Case(lambda x, w, b: F.layer_norm(x, (257,), w, b), (16, 257), ((257,), (257,))),
    "root-mean-square norm": Case(lambda x, w: F.rms_norm(x, (257,), w), (16, 257), ((257,),)),
    "group norm": Case(lambda x, w, b: F.group_norm(x, 4, w, b), (16, 15, 15), ((16,), (16,))),
    "attention": Case(
        lambda x: F.scaled_dot_product_attention(*_heads(x), is_causal=True), (37, 96)
    ),
    "activations": Case(
        lambda x: F.gelu(x) + F.silu(x) * F.elu(x) + x.tanh() * F.softplus(x) + F.relu(x),
        (33, 257),
    ),
    "transcendental functions": Case(
        lambda x: x.exp() + (x * x + 1).log() + x.sin() * x.cos() + x.erf() + x.sigmoid(), (33, 257)
    ),
    "broadcast arithmetic": Case(lambda x, w: (x * w + w) / (x * x + 1), (33, 257), ((257,),)),
    "sums": Case(lambda x: x.sum(-1) + x.square().mean((-1, -2))[:, None], (33, 1025)),
    "extremes": Case(lambda x: x.amax(-1) - x.amin(-1) + x.std(-1) + x.logsumexp(-1), (33, 257)),
    "cumulative sum": Case(lambda x: x.cumsum(-1), (33, 257)),
}


@pytest.fixture(autouse=True)
def shared_calls() -> Iterator[None]:
    before = lamina.num_threads()
    with every_call_shared():
        yield
    lamina.set_num_threads(before)


def run(case: Case, samples: Any, weights: list[Any]) -> tuple[Any, Any, list[Any]]:
    """Return the output, and the gradients to the samples and to the weights."""
    x = lamina.tensor(samples, requires_grad=True)
    out = case.function(x, *weights)
    found = lamina.autograd.grad((out * out.detach().cos()).sum(), (x, *weights))
    to_input, *to_weights = (gradient.numpy() for gradient in found)
    return out.detach().numpy(), to_input, to_weights


@pytest.mark.parametrize("name", CASES)
def test_a_sample_s_bits_depend_on_the_sample_alone(name: str) -> None:
    case = CASES[name]
    samples, weights = case.inputs()
    lamina.set_num_threads(1)
    output, to_input, to_weights = run(case, samples, weights)
    for threads in THREADS:
        lamina.set_num_threads(threads)
        for batch, start in PLACES:
            part = slice(start, start + batch)
            found = run(case, samples[part], weights)
            assert np.array_equal(found[0], output[part]), (threads, batch, start)
            assert np.array_equal(found[1], to_input[part]), (threads, batch, start)
        for found_gradient, expected in zip(found[2], to_weights, strict=True):
            assert np.array_equal(found_gradient, expected), threads
