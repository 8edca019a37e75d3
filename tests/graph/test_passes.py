"""Passes, by reading: what comes out of a graph that is written down."""

import copy

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.graph.captured import capture
from lamina.graph.interpret import interpret
from lamina.graph.ir import verify
from lamina.graph.passes import (
    delay_reshapes,
    fold_batch_norm,
    fuse_convolutions,
    fuse_elementwise,
    fuse_products,
    fuse_reductions,
    join_gradients,
    optimise,
    pack_products,
    prepare_filters,
    remove_dead_code,
    share_common_subexpressions,
    simplify,
)
from lamina.graph.text import parse, to_text
from lamina.graph.trees import flatten

CASES = {
    "dead code": (
        remove_dead_code,
        """
        inputs %x0: float32[2]
        %0: float32[2] = exp(%x0)
        %1: float32[2] = add(%x0, %x0)
        return %1
        """,
        """
        inputs %x0: float32[2]
        %0: float32[2] = add(%x0, %x0)
        return %0
        """,
    ),
    "common subexpressions": (
        share_common_subexpressions,
        """
        inputs %x0: float32[2]
        %0: float32[2] = exp(%x0)
        %1: float32[2] = exp(%x0)
        %2: float32[2] = add(%0, %1)
        return %2
        """,
        """
        inputs %x0: float32[2]
        %0: float32[2] = exp(%x0)
        %1: float32[2] = add(%0, %0)
        return %1
        """,
    ),
    "a residual of reshaped rows": (
        lambda graph: fuse_products(delay_reshapes(graph)),
        """
        inputs %x0: float32[4, 3], %x1: float32[3, 5], %x2: float32[2, 2, 5]
        %0: float32[4, 5] = matmul(%x0, %x1)
        %1: float32[2, 2, 5] = reshape[shape=(2, 2, 5)](%0)
        %2: float32[2, 2, 5] = add(%x2, %1)
        return %2
        """,
        """
        inputs %x0: float32[4, 3], %x1: float32[3, 5], %x2: float32[2, 2, 5]
        %0: float32[4, 5] = reshape[shape=(4, 5)](%x2)
        %1: float32[4, 5] = matmul_then[expression=<add(x1,x0)>, dtype='float32', \
packed=None](%x0, %x1, %0)
        %2: float32[2, 2, 5] = reshape[shape=(2, 2, 5)](%1)
        return %2
        """,
    ),
    "an activation and its slope": (
        lambda graph: fuse_elementwise(fuse_products(delay_reshapes(graph))),
        """
        inputs %x0: float32[4, 4], %x1: float32[4, 4]
        %0: float32[4, 4] = matmul(%x0, %x1)
        %1: float32[2, 2, 4] = reshape[shape=(2, 2, 4)](%0)
        %2: float32[2, 2, 4] = gelu(%1)
        %3: float32[4, 4] = reshape[shape=(4, 4)](%2)
        %4: float32[4, 4] = matmul(%3, %x1)
        %5: float32[2, 2, 4] = reshape[shape=(2, 2, 4)](%4)
        %6: float32[2, 2, 4] = gelu_slope(%1)
        %7: float32[2, 2, 4] = multiply(%5, %6)
        return %7
        """,
        """
        inputs %x0: float32[4, 4], %x1: float32[4, 4]
        %0: float32[4, 4] = matmul(%x0, %x1)
        %1: float32[2, 2, 4] = reshape[shape=(2, 2, 4)](%0)
        %2: float32[2, 2, 4], %3: float32[2, 2, 4] = formulas[expressions=(<gelu(x0)>, \
<add(normal_cdf(x0),multiply(finite(x0),normal_pdf(x0)))>), dtypes=('float32', 'float32')](%1)
        %4: float32[4, 4] = reshape[shape=(4, 4)](%2)
        %5: float32[4, 4] = reshape[shape=(4, 4)](%3)
        %6: float32[4, 4] = matmul_then[expression=<multiply(x0,x1)>, dtype='float32', \
packed=None](%4, %x1, %5)
        %7: float32[2, 2, 4] = reshape[shape=(2, 2, 4)](%6)
        return %7
        """,
    ),
    "gradients of all parts": (
        lambda graph: remove_dead_code(join_gradients(graph)),
        """
        inputs %x0: float32[3, 2], %x1: float32[3, 4]
        %0: float32[3, 6] = strided_add[layout=Layout(shape=(3, 2), strides=(6, 1), offset=0), \
shape=(3, 6)](%x0)
        %1: float32[3, 6] = strided_add[layout=Layout(shape=(3, 4), strides=(6, 1), offset=2), \
shape=(3, 6)](%x1)
        %2: float32[3, 6] = add(%1, %0)
        %3: float32[6, 3] = permute[axes=(1, 0)](%2)
        return %3
        """,
        """
        inputs %x0: float32[3, 2], %x1: float32[3, 4]
        %0: float32[2, 3] = permute[axes=(1, 0)](%x0)
        %1: float32[4, 3] = permute[axes=(1, 0)](%x1)
        %2: float32[6, 3] = joined[axis=0](%0, %1)
        return %2
        """,
    ),
    "gradients of some parts": (
        join_gradients,
        """
        inputs %x0: float32[3, 2], %x1: float32[3, 3]
        %0: float32[3, 6] = strided_add[layout=Layout(shape=(3, 2), strides=(6, 1), offset=0), \
shape=(3, 6)](%x0)
        %1: float32[3, 6] = strided_add[layout=Layout(shape=(3, 3), strides=(6, 1), offset=3), \
shape=(3, 6)](%x1)
        %2: float32[3, 6] = add(%1, %0)
        return %2
        """,
        """
        inputs %x0: float32[3, 2], %x1: float32[3, 3]
        %0: float32[3, 6] = strided_add[layout=Layout(shape=(3, 2), strides=(6, 1), offset=0), \
shape=(3, 6)](%x0)
        %1: float32[3, 6] = strided_add[layout=Layout(shape=(3, 3), strides=(6, 1), offset=3), \
shape=(3, 6)](%x1)
        %2: float32[3, 6] = add(%1, %0)
        return %2
        """,
    ),
    "reductions": (
        fuse_reductions,
        """
        inputs %x0: float32[2, 3], %x1: float32[3]
        %0: float32[2, 3] = subtract(%x0, %x1)
        %1: float32[2] = sum[axes=(1,), keepdims=False](%0)
        %2: float32[2, 3] = multiply(%x0, %x0)
        %3: float32[] = mean[axes=(0, 1), keepdims=False](%2)
        return %1, %2, %3
        """,
        """
        inputs %x0: float32[2, 3], %x1: float32[3]
        %0: float32[1, 3] = reshape[shape=(1, 3)](%x1)
        %1: float32[2] = fold_formula[expression=<subtract(x0,x1)>, fold='sum', axes=(1,), \
keepdims=False](%x0, %0)
        %2: float32[2, 3] = multiply(%x0, %x0)
        %3: float32[] = mean[axes=(0, 1), keepdims=False](%2)
        return %1, %2, %3
        """,
    ),
    "algebra": (
        lambda graph: remove_dead_code(simplify(graph)),
        """
        inputs %x0: float32[2, 3]
        %0: float32[2, 3] = copy(%x0)
        %1: float32[3, 2] = permute[axes=(1, 0)](%0)
        %2: float32[2, 3] = permute[axes=(1, 0)](%1)
        %3: float32[6] = reshape[shape=(6,)](%2)
        %4: float32[3, 2] = reshape[shape=(3, 2)](%3)
        %5: float32[3, 2] = reshape[shape=(3, 2)](%4)
        return %5
        """,
        """
        inputs %x0: float32[2, 3]
        %0: float32[3, 2] = reshape[shape=(3, 2)](%x0)
        return %0
        """,
    ),
    "elementwise": (
        fuse_elementwise,
        """
        inputs %x0: float32[4, 3], %x1: float32[3]
        %0: float32[4, 3] = multiply(%x0, %x1)
        %1: float32[4, 3] = negative(%0)
        %2: float32[3, 4] = permute[axes=(1, 0)](%0)
        return %1, %2
        """,
        """
        inputs %x0: float32[4, 3], %x1: float32[3]
        %0: float32[4, 3], %1: float32[4, 3] = formulas[expressions=(<multiply(x0,x1)>, \
<negative(multiply(x0,x1))>), dtypes=('float32', 'float32')](%x0, %x1)
        %2: float32[3, 4] = permute[axes=(1, 0)](%0)
        return %1, %2
        """,
    ),
    "elementwise around another op": (
        fuse_elementwise,
        """
        inputs %x0: float32[4, 4]
        %0: float32[4, 4] = exp(%x0)
        %1: float32[4, 4] = matmul(%0, %0)
        %2: float32[4, 4] = add(%0, %1)
        return %2
        """,
        """
        inputs %x0: float32[4, 4]
        %0: float32[4, 4] = exp(%x0)
        %1: float32[4, 4] = matmul(%0, %0)
        %2: float32[4, 4] = add(%0, %1)
        return %2
        """,
    ),
    "products": (
        fuse_products,
        """
        inputs %x0: float32[4, 3], %x1: float32[3, 5]
        captured %c0: float32[5]
        %0: float32[4, 5] = matmul(%x0, %x1)
        %1: float32[4, 5] = add(%0, %c0)
        %2: float32[4, 5] = negative(%1)
        return %2
        """,
        """
        inputs %x0: float32[4, 3], %x1: float32[3, 5]
        captured %c0: float32[5]
        %0: float32[4, 5] = matmul_then[expression=<negative(add(x0,x1))>, dtype='float32', \
packed=None](%x0, %x1, %c0)
        return %0
        """,
    ),
    "products that others read": (
        fuse_products,
        """
        inputs %x0: float32[4, 3], %x1: float32[3, 5]
        %0: float32[4, 5] = matmul(%x0, %x1)
        %1: float32[4, 5] = negative(%0)
        return %0, %1
        """,
        """
        inputs %x0: float32[4, 3], %x1: float32[3, 5]
        %0: float32[4, 5] = matmul(%x0, %x1)
        %1: float32[4, 5] = negative(%0)
        return %0, %1
        """,
    ),
}


def dedented(text):
    return "\n".join(line.strip() for line in text.strip().splitlines())


@pytest.mark.parametrize("name", CASES)
def test_by_reading(name):
    improve, before, after = CASES[name]
    found = improve(parse(dedented(before)))
    verify(found)
    assert to_text(found) == dedented(after)


def captured(model, x):
    tensors = []
    structure = flatten(((x,), {}), tensors)
    with lamina.no_grad():
        return capture(model, structure, tensors).graph


def trained(*layers):
    """Layers whose batch norms have seen data."""
    lamina.manual_seed(1)
    model = nn.Sequential(*layers)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.2, 3.0)
            with lamina.no_grad():
                module.weight.normal_()
                module.bias.normal_()
    return model.eval()


def values(graph, x):
    return interpret(graph, [x.array]).outputs[0].numpy()


def layers(groups=1, kernel=3, stride=1, channels=16, *, bias=False):
    return trained(
        nn.Conv2d(8, channels, 1),
        nn.ReLU6(),
        nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=groups, bias=bias),
        nn.BatchNorm2d(channels),
        nn.LeakyReLU(),
    )


@pytest.mark.parametrize(
    "options", [{}, {"groups": 16}, {"stride": 2}, {"kernel": 5}, {"bias": True}]
)
def test_batch_norms_fold_within_the_bound(options):
    model = layers(**options)
    x = lamina.randn(2, 8, 9, 9)
    graph = captured(model, x)
    folded = remove_dead_code(fold_batch_norm(graph))
    assert "normalize" in to_text(graph)
    assert "normalize" not in to_text(folded)
    exact = trained_in_double(model)(x.to(lamina.float64)).detach().numpy()
    for one in (graph, folded):
        error = np.abs(values(one, x) - exact).max()
        # K + 4 roundings of sums of up to 400 products, of sizes seen here.
        assert error < 400 * 2.0**-24 * np.abs(exact).max()


def trained_in_double(model):
    return copy.deepcopy(model).to(lamina.float64)


@pytest.mark.parametrize("size", [6, 9, 28])
@pytest.mark.parametrize("options", [{}, {"groups": 16}, {"stride": 2}, {"channels": 13}])
def test_convolutions_go_on_with_the_same_bits(options, size):
    model = layers(**options)
    x = lamina.randn(2, 8, size, size)
    graph = share_common_subexpressions(fold_batch_norm(captured(model, x)))
    before = values(graph, x)
    fused = fuse_convolutions(graph)
    assert "conv_then" in to_text(fused)
    assert values(fused, x).tobytes() == before.tobytes()
    ahead = prepare_filters(fused)
    assert values(ahead, x).tobytes() == before.tobytes()


def test_a_residual_joins_the_convolution():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 4, 3, padding=1)

        def forward(self, x):
            return (x + self.second(self.first(x).relu())).relu()

    lamina.manual_seed(2)
    model = Block()
    for size in (5, 14):
        x = lamina.randn(3, 4, size, size)
        graph = captured(model, x)
        fused = prepare_filters(fuse_convolutions(graph))
        assert to_text(fused).count("conv_then") == 2
        assert "add(" not in to_text(fused).replace("<", "").split("return")[1]
        assert values(fused, x).tobytes() == values(graph, x).tobytes()


@pytest.mark.parametrize("rows", [1, 3, 4, 17, 128])
def test_packed_products_have_the_same_bits(rows):
    lamina.manual_seed(3)
    model = nn.Sequential(nn.Linear(37, 50), nn.ReLU(), nn.Linear(50, 9))
    x = lamina.randn(rows, 37)
    graph = captured(model, x)
    before = values(graph, x)
    packed = pack_products(fuse_products(graph))
    verify(packed)
    assert "matmul(" not in to_text(packed)
    assert values(packed, x).tobytes() == before.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_fused_chains_have_the_same_bits(dtype):
    def chain(x, y):
        a = (x * y + 1).relu()
        b = a.tanh() * x - y
        return (b * b).sum(-1), a, b.to(lamina.float32) > 0

    kind = getattr(lamina, dtype)
    rng = np.random.default_rng(0)
    x, y = (lamina.tensor(rng.standard_normal((7, n))).to(kind) for n in (33, 1))
    tensors = []
    structure = flatten(((x, y), {}), tensors)
    graph = capture(chain, structure, tensors).graph
    better = optimise(graph)
    assert len(better.nodes) < len(graph.nodes)
    given = [x.array, y.array]
    pairs = zip(interpret(graph, given).outputs, interpret(better, given).outputs, strict=True)
    for a, b in pairs:
        assert a.numpy().tobytes() == b.numpy().tobytes()


def test_numbers_that_may_change_are_not_taken_into_kernels():
    scale = lamina.tensor(2.0)
    run = lamina.compile(lambda x: (x * scale + 1).relu())
    x = lamina.ones(3)
    assert run(x).tolist() == [3.0] * 3
    scale.fill_(5.0)
    assert run(x).tolist() == [6.0] * 3


FOLDED = {
    "mean of squares": lambda x, y, w: ((x - y) ** 2).mean(),
    "rows": lambda x, y, w: (x * w + y).exp().sum(-1),
    "columns": lambda x, y, w: (x * w).sum(0),
    "greatest": lambda x, y, w: (x.abs() * w).amax(1),
    "two axes": lambda x, y, w: (x * y).mean((0, 2)),
}


@pytest.mark.parametrize("name", FOLDED)
@pytest.mark.parametrize("shape", [(3, 5, 7), (33, 65, 130)])
def test_folded_terms_have_the_same_bits(name, shape):
    rng = np.random.default_rng(0)
    x, y, w = (
        lamina.tensor(rng.standard_normal(s).astype("f")) for s in (shape, shape, shape[-1:])
    )
    compiled = lamina.compile(FOLDED[name])
    found, wanted = compiled(x, y, w).numpy(), FOLDED[name](x, y, w).numpy()
    assert found.tobytes() == wanted.tobytes()
    names = {node.op.name for node in compiled.graph(x, y, w).nodes}
    assert names <= {"fold_formula", "reshape"}
