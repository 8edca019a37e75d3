"""The matrix product against numpy in float64, at the edges of tiles, in every layout."""

import mmap

import numpy as np
import pytest
from kernels.operands import LAYOUTS, ArrayOperand, GuardedMemory, error_in_roundings

from lamina.codegen import threads
from lamina.errors import DTypeError, ShapeError
from lamina.kernels.gemm import gemm

WITHOUT_RESERVING = 0x4000  # MAP_NORESERVE of Linux, which mmap does not name before 3.13
EDGES = (1, 2, 13, 14, 15, 16, 17, 31, 32, 33, 65)


def product(a, b, out=None):
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    out = np.full(shape, np.nan, a.dtype) if out is None else out
    gemm(ArrayOperand(out), ArrayOperand(a), ArrayOperand(b))
    return out


def check(a, b, out=None):
    got = product(a, b, out)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    error = error_in_roundings(got, wide_a @ wide_b, np.abs(wide_a) @ np.abs(wide_b))
    # k products and k − 1 sums in a row, each rounded once at most
    assert error <= 2 * a.shape[-1] + 2


def matrices(m, n, k, dtype="float32", batch=()):
    random = np.random.default_rng(m * 10007 + n * 101 + k)
    a = random.standard_normal((*batch, m, k)).astype(dtype)
    return a, random.standard_normal((*batch, k, n)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_edges_of_tiles(each_target, dtype):
    for m in EDGES:
        for n in EDGES:
            check(*matrices(m, n, (0, 1, 3, 17, 40)[(m + n) % 5], dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layouts(each_target, dtype):
    a, b = matrices(29, 50, 37, dtype)
    for first in LAYOUTS.values():
        for second in LAYOUTS.values():
            for third in LAYOUTS.values():
                check(first(a), second(b), third(np.full((29, 50), np.nan, dtype)))


@pytest.mark.parametrize("k", [256, 257, 384, 385, 900])
def test_blocks_of_k(each_target, k):
    check(*matrices(33, 70, k))


def test_several_blocks_of_every_axis():
    check(*matrices(900, 700, 530))


def test_empty_sum_is_zero():
    assert (product(*matrices(5, 7, 0)) == 0).all()


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (0, 0, 0)])
def test_empty_results(shape):
    assert product(*matrices(*shape)).size == 0


def test_batches_broadcast_by_stride_zero():
    a, b = matrices(6, 40, 20, batch=(2, 3))
    check(np.broadcast_to(a[:, :1], a.shape), np.broadcast_to(b[:1], b.shape))


def test_more_batch_axes_than_the_kernel_has():
    a, b = matrices(3, 5, 4, batch=(2, 2, 2, 2, 2, 2))
    check(a[:, ::-1, :, ::-1, :, ::-1], b)


def test_vectors():
    check(*matrices(1, 300, 200))
    check(*matrices(300, 1, 200))
    check(*matrices(1, 1, 1000))


@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
@pytest.mark.parametrize(
    "shape", [(14, 32, 16), (5, 7, 9), (1, 33, 17), (17, 1, 5), (28, 33, 16), (30, 40, 25)]
)
def test_nothing_outside_is_touched(each_target, shape, layout):
    m, n, k = shape
    a, b = matrices(m, n, k)
    for side in ("start", "end"):
        arrays = (a, b, np.zeros((m, n), "f4"))
        if layout == "transposed":
            guards = [GuardedMemory(array.T, side) for array in arrays]
            check(*(guard.array.T for guard in guards))
        else:
            guards = [GuardedMemory(array, side) for array in arrays]
            check(*(guard.array for guard in guards))
        for guard in guards:
            guard.release()


@pytest.mark.parametrize("m", [12, 14, 18, 27, 28, 29, 30, 42, 100])
def test_rows_that_lie_side_by_side(each_target, m):
    for k, side in ((7, "end"), (8, "start"), (16, "end"), (29, "end"), (400, "end")):
        a, b = matrices(m, 40, k)
        guard = GuardedMemory(np.ascontiguousarray(a.T), side)
        check(guard.array.T, b)
        guard.release()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float16", "float32", "float64"])
def test_layouts_have_the_same_bits(each_target, dtype):
    out = {"int8": "int32", "uint8": "int32", "float16": "float32"}.get(dtype, dtype)
    for m, k in ((45, 37), (30, 800), (83, 16)):
        a, b = (np.trunc(x * 9).astype(dtype) for x in matrices(m, 33, k))
        found = [product(form(a), b, np.empty((m, 33), out)) for form in LAYOUTS.values()]
        assert all((one == found[0]).all() for one in found)


@pytest.mark.parametrize("shape", [(130, 300, 600), (64, 2000, 70), (1000, 40, 300)])
def test_same_bits_for_any_thread_count(team, shape):
    a, b = matrices(*shape)
    results = []
    for count in (1, 2, 3):
        threads.set_num_threads(count)
        results.append(product(a, b).tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("weights", ["contiguous", "transposed"])
def test_same_bits_for_any_row_and_batch(each_target, weights):
    a, b = matrices(41, 77, 530)
    b = LAYOUTS[weights](b)
    whole = product(a, b)
    for rows in (1, 2, 5, 20):
        for start in (0, 3, 21):
            part = product(a[start : start + rows], b)
            assert part.tobytes() == whole[start : start + rows].tobytes()


def test_wrong_dtypes_and_shapes():
    a, b = matrices(3, 4, 5)
    with pytest.raises(DTypeError, match="do not meet"):
        product(a.astype("int32"), b, np.zeros((3, 4), "f4"))
    with pytest.raises(DTypeError, match="complex64 given; expected floats or bytes"):
        product(a.astype("complex64"), b.astype("complex64"), np.zeros((3, 4), "complex64"))
    with pytest.raises(ShapeError, match="does not give"):
        product(a, b[:-1])
    with pytest.raises(ShapeError, match="two axes"):
        gemm(ArrayOperand(a[0]), ArrayOperand(a), ArrayOperand(b))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 2, 8, 9])
def test_few_rows(each_target, rows, dtype):
    for n in (1, 7, 16, 33, 300):
        for k in (0, 1, 15, 16, 40, 530):
            a, b = matrices(rows, n, k, dtype)
            for layout in LAYOUTS.values():
                check(a, layout(b), layout(np.full((rows, n), np.nan, dtype)))
                check(layout(b).swapaxes(0, 1), a.swapaxes(0, 1))


@pytest.mark.parametrize("weights", ["contiguous", "transposed"])
@pytest.mark.parametrize("k", [37, 300, 500, 800])
def test_a_batch_of_rows_has_the_bits_of_each(team, each_target, weights, k):
    a, b = matrices(12, 75, k)
    b = LAYOUTS[weights](b)
    whole = product(a, b)
    for count in (1, 2):
        threads.set_num_threads(count)
        for batch in ((12, 1), (4, 3), (3, 4), (1, 12)):
            part = product(a.reshape(*batch, k), np.broadcast_to(b, (batch[0], *b.shape)))
            assert part.tobytes() == whole.tobytes()
        turned = product(b.swapaxes(0, 1), a[:3].swapaxes(0, 1))
        assert turned.swapaxes(0, 1).tobytes() == whole[:3].tobytes()


def test_few_rows_and_an_empty_sum():
    b = np.zeros((40, 8), "f4")[:, :0].swapaxes(0, 1)
    assert (product(np.zeros((2, 0), "f4"), b, np.full((2, 40), np.nan, "f4")) == 0).all()


def test_few_rows_on_several_threads(team):
    a, b = matrices(1, 3000, 900)
    threads.set_num_threads(1)
    alone = [product(a, layout(b)).tobytes() for layout in LAYOUTS.values()]
    threads.set_num_threads(3)
    assert [product(a, layout(b)).tobytes() for layout in LAYOUTS.values()] == alone
    assert len(set(alone)) == 1


@pytest.mark.parametrize("rows", [2, 9])
def test_elements_further_apart_than_32_bits_count(rows):
    """Rows over 2³¹ elements apart, in memory of which only the pages touched exist."""
    apart, n, k = 2**31 + 64, 20, 5
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | WITHOUT_RESERVING
    memory = mmap.mmap(-1, rows * apart * 4, flags=flags)
    whole = np.frombuffer(memory, "f4")
    a, out = (
        np.lib.stride_tricks.as_strided(whole[start:], (rows, size), (apart * 4, 4))
        for start, size in ((0, k), (32, n))
    )
    a[...], b = matrices(rows, n, k)
    check(a, b, out)
    check(b.T, a.T, out.T)
