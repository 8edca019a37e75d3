"""Convolution of blocked operands with packed weights and an epilogue, against float64."""

import numpy as np
import pytest
from kernels.operands import ArrayOperand, GuardedMemory
from kernels.test_conv import reference

from lamina.codegen import threads
from lamina.errors import DTypeError, LayoutError, ShapeError
from lamina.kernels.convolution import blocked
from lamina.kernels.convolution.blocked import BIAS, RESIDUAL, SUM
from lamina.kernels.expression import apply

EPILOGUES = {
    "sum": SUM,
    "bias and ReLU": apply("maximum", SUM + BIAS, 0.0),
    "residual": apply("maximum", SUM + BIAS + RESIDUAL, 0.0),
}
# channels, outputs, size, taps, stride, padding, dilation, groups
CASES = {
    "1x1": (16, 40, (7, 7), (1, 1), 1, 0, 1, 1),
    "3x3": (24, 16, (9, 14), (3, 3), 1, 1, 1, 1),
    "strided": (16, 33, (15, 17), (3, 3), 2, 1, 1, 1),
    "channels that fill no block": (5, 3, (6, 5), (3, 3), 1, 1, 1, 1),
    "dilated": (8, 8, (11, 11), (3, 3), 1, 2, 2, 1),
    "groups": (32, 64, (6, 6), (3, 3), 1, 1, 1, 2),
    "one axis": (8, 16, (21,), (5,), 2, 2, 1, 1),
    "three axes": (8, 16, (4, 5, 6), (2, 3, 3), 1, 1, 1, 1),
    "one place": (16, 16, (3, 3), (3, 3), 1, 0, 1, 1),
}


def in_blocks(x, block, halo=0):
    """X (N, C, *S) in the blocked layout, a view of memory with zeros around its planes."""
    batch, channels, *spatial = x.shape
    blocks = -(-channels // block)
    room = np.zeros((batch, blocks, *(size + 2 * halo for size in spatial), block), x.dtype)
    inner = room[(slice(None), slice(None), *(slice(halo, halo + size) for size in spatial))]
    filled = np.zeros((batch, blocks * block, *spatial), x.dtype)
    filled[:, :channels] = x
    inner[...] = np.moveaxis(filled.reshape(batch, blocks, block, *spatial), 2, -1)
    return inner


def from_blocks(x, channels):
    batch, blocks, *spatial, block = x.shape
    return np.moveaxis(x, -1, 2).reshape(batch, blocks * block, *spatial)[:, :channels]


def packed(w, groups):
    dtype = str(w.dtype)
    out = np.full(blocked.packed_size(w.shape, dtype, groups=groups), np.nan, dtype)
    blocked.pack_weights(ArrayOperand(out), ArrayOperand(w), groups=groups)
    return out


def arrays(case, dtype, batch=2):
    channels, outputs, size, taps, *_, groups = CASES[case]
    random = np.random.default_rng(0)
    x = random.standard_normal((batch, channels, *size)).astype(dtype)
    w = random.standard_normal((outputs, channels // groups, *taps)).astype(dtype)
    return x, w


def run(case, x, w, out, epilogue="sum", bias=None, residual=None, halo=0):
    channels, outputs, _, taps, stride, padding, dilation, groups = CASES[case]
    axes = len(taps)
    blocked.conv(
        ArrayOperand(out), ArrayOperand(x), ArrayOperand(packed(w, groups)), taps=taps,
        channels=channels, outputs=outputs, stride=(stride,) * axes, padding=(padding,) * axes,
        dilation=(dilation,) * axes, groups=groups, halo=halo, epilogue=EPILOGUES[epilogue],
        bias=None if bias is None else ArrayOperand(bias),
        residual=None if residual is None else ArrayOperand(residual),
    )  # fmt: skip


def places(case):
    _, _, size, taps, stride, padding, dilation, _ = CASES[case]
    reach = [dilation * (k - 1) + 1 for k in taps]
    return tuple((n + 2 * padding - r) // stride + 1 for n, r in zip(size, reach, strict=True))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("epilogue", EPILOGUES)
def test_matches_the_reference(each_target, case, epilogue):
    _, outputs, _, taps, stride, padding, dilation, groups = CASES[case]
    dtype = "float64" if epilogue == "sum" else "float32"
    block, axes = blocked.block_of(dtype), len(taps)
    x, w = arrays(case, dtype)
    random = np.random.default_rng(1)
    shape = (2, outputs, *places(case))
    bias = None if epilogue == "sum" else random.standard_normal(outputs).astype(dtype)
    rest = random.standard_normal(shape).astype(dtype) if epilogue == "residual" else None
    blocks = GuardedMemory(in_blocks(np.full(shape, np.nan, dtype), block))
    residual = None if rest is None else in_blocks(rest, block)
    run(case, in_blocks(x, block), w, blocks.array, epilogue, bias, residual)
    options = ((stride,) * axes, (padding,) * axes, (dilation,) * axes, (1,) * axes, groups, 1)
    want = reference(shape, x.astype("f8"), w.astype("f8"), *options)
    magnitude = reference(shape, np.abs(x).astype("f8"), np.abs(w).astype("f8"), *options)
    if bias is not None:
        wide = bias.reshape(1, -1, *(1,) * axes).astype("f8")
        magnitude = magnitude + abs(wide) + (0 if rest is None else abs(rest))
        want = np.maximum(want + wide + (0 if rest is None else rest), 0)
    # n roundings each of products and sums, and one for the bias and the residual each.
    allowed = (2 * np.prod(w.shape[1:]) + 4) * magnitude * np.finfo(dtype).eps / 2
    assert (np.abs(from_blocks(blocks.array, outputs) - want) <= allowed).all()
    everything = from_blocks(blocks.array, blocks.array.shape[1] * block)
    assert (everything[:, outputs:] == 0).all()
    blocks.release()


@pytest.mark.parametrize("case", ["3x3", "strided", "three axes"])
def test_zeros_around_planes_need_no_copy(each_target, case):
    block, outputs = blocked.block_of("float32"), CASES[case][1]
    x, w = arrays(case, "float32")
    shape = (2, outputs, *places(case))
    results = []
    for halo in (0, 1):
        out = in_blocks(np.full(shape, np.nan, "f4"), block, halo=1)
        run(case, in_blocks(x, block, halo), w, out, halo=halo)
        results.append(out.tobytes())
    assert results[0] == results[1]


def test_same_bits_for_any_threads_and_batch(team, each_target):
    block = blocked.block_of("float32")
    x, w = arrays("3x3", "float32", batch=5)
    results = set()
    for count, part in ((1, slice(0, 5)), (2, slice(0, 5)), (3, slice(3, 4)), (1, slice(2, 5))):
        threads.set_num_threads(count)
        out = in_blocks(np.full((len(x[part]), 16, *places("3x3")), np.nan, "f4"), block)
        run("3x3", in_blocks(x[part], block), w, out)
        results.add(out[3 - part.start].tobytes())
    assert len(results) == 1


def test_copies_into_blocks(each_target):
    block = blocked.block_of("float32")
    for shape in ((2, 5, 3, 7), (1, 24, 17), (2, 8, 1, 9, 9)):
        x = np.random.default_rng(2).standard_normal(shape).astype("f4")
        for layout in (x, np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1), x[..., ::-1]):
            want = in_blocks(layout, block)
            out = np.full_like(np.ascontiguousarray(want), np.nan)
            blocked.to_blocks(ArrayOperand(out), ArrayOperand(layout))
            assert (out == want).all()


def test_wrong_arguments():
    block = blocked.block_of("float32")
    x, w = arrays("3x3", "float32")
    given, out = in_blocks(x, block), in_blocks(np.empty((2, 16, 9, 14), "f4"), block)
    with pytest.raises(ShapeError, match=r"expected \(N, \d, \*S"):
        run("3x3", given, w, out[:, :0])
    with pytest.raises(ShapeError, match="as many images in both"):
        run("3x3", given[:1], w, out)
    with pytest.raises(ShapeError, match="as many images in both"):
        run("3x3", given, w[:, :1], out)
    with pytest.raises(LayoutError, match="side by side"):
        run("3x3", given[..., ::-1], w, out)
    with pytest.raises(ShapeError, match="expected it to use x1 where a bias is given"):
        run("3x3", given, w, out, "bias and ReLU")
    with pytest.raises(DTypeError, match="float32 or float64"):
        run("3x3", given.astype("f8"), w, out)
