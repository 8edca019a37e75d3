"""What `lamina.explain` says of a call."""

import io

import pytest
from rich.console import Console

import lamina
import lamina.nn.functional as F
from lamina.codegen.target import host_target
from lamina.errors import ArgumentError
from lamina.operate.observation import observe


def said(function, *inputs, stage="summary"):
    out = io.StringIO()
    lamina.explain(function, *inputs, stage=stage, console=Console(file=out, width=120))
    return out.getvalue()


def test_every_op_is_a_line_with_its_share():
    x, w = lamina.ones((64, 48)), lamina.ones((32, 48))
    text = said(lambda x, w: F.relu(F.linear(x, w)), x, w)
    assert "matmul" in text
    assert "relu" in text
    assert "64×48" in text
    assert f"{2 * 64 * 48 * 32 / 1000:.3g} k" in text
    assert "FMA" in text
    assert "emit_contraction" in text
    assert host_target().name in text


def test_kernels_are_found_when_they_are_loaded_already():
    x = lamina.ones((5, 6))
    for _ in range(2):
        (row,) = observe(lamina.exp, x)
        assert [kernel.emitter.__name__ for kernel in row.kernels] == ["emit_elementwise"]
        assert row.bytes == 2 * 5 * 6 * 4
        assert row.seconds > 0


def test_operations_of_a_product_and_a_convolution():
    (row,) = observe(lamina.matmul, lamina.ones((2, 3, 4)), lamina.ones((2, 4, 5)))
    assert row.operations == 2 * (2 * 3 * 4 * 5)
    x, w = lamina.ones((2, 4, 8, 8)), lamina.ones((6, 2, 3, 3))
    row = next(r for r in observe(lambda: F.conv2d(x, w, groups=2)) if r.op.name == "conv")
    assert row.operations == 2 * (2 * 6 * 6 * 6) * (2 * 3 * 3)


@pytest.mark.parametrize(
    ("stage", "word"),
    [("kernel", "    loop %"), ("llvm", "define void @run"), ("asm", "        ret")],
)
def test_stages(stage, word):
    text = said(lamina.add, lamina.ones(9), lamina.ones(9), stage=stage)
    assert text.startswith("# lamina.kernels.elementwise.emit_elementwise")
    assert word in text


def test_an_op_without_a_kernel_says_so():
    assert "(numpy)" in said(lamina.sort, lamina.ones(9))


def test_an_unknown_stage_is_an_error():
    stages = "summary, graph, fused, calls, profile, kernel"
    with pytest.raises(ArgumentError, match=f"expected one of {stages}"):
        said(lamina.exp, lamina.ones(2), stage="parse")


def test_ops_run_as_before_afterwards():
    x = lamina.ones(3).requires_grad_()
    before = type(x).apply
    observe(lambda: (x * 2).sum().backward())
    assert type(x).apply is before
    assert x.grad is not None


def test_a_program_is_told_stage_by_stage():
    x, w = lamina.ones((8, 4)), lamina.ones((3, 4))

    def run(x, w):
        return F.relu(F.linear(x, w) * 2.0)

    assert "= matmul(%x0, %" in said(run, x, w, stage="graph")
    fused = said(run, x, w, stage="fused")
    assert "fuse_products" in fused
    assert "matmul_then +1" in fused
    assert "= matmul_then[expression=<" in fused
    for function in (run, lamina.compile(run)):
        calls = said(function, x, w, stage="calls")
        assert "1 kernel calls and 0 calls of Python" in calls


def test_profile_times_each_op():
    w = lamina.ones(8, 8)

    def run(x):
        y = lamina.cond(x.sum() > 0, lambda: (x @ w).exp(), lambda: x)
        return y.softmax(-1)

    text = said(run, lamina.ones(4, 8), stage="profile")
    assert "softmax" in text
    assert "cond" in text
    assert "each call made alone" in text
