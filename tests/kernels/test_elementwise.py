"""The elementwise kernel: every layout, every edge of a vector, and nothing beyond the operands."""

import dataclasses
import itertools
import zlib

import numpy as np
import pytest
from kernels.operands import ArrayOperand, GuardedMemory

from lamina.codegen import cpu, threads
from lamina.codegen.target import host_target
from lamina.codegen.types import f32
from lamina.errors import LayoutError, ShapeError
from lamina.kernels import elementwise
from lamina.kernels.elementwise import Recipe, compute
from lamina.kernels.expression import Input, apply
from lamina.kernels.tiles import TILE

X, Y, Z = Input(0), Input(1), Input(2)
LINEAR = X * Y + 1.0


def linear(x, y):
    return x * y + x.dtype.type(1)


def drawn(shape, dtype="float32"):
    seed = zlib.crc32(repr((shape, dtype)).encode())
    values = np.random.default_rng(seed).standard_normal(shape) * 8
    return np.asarray(values).astype(dtype)


def run(expressions, outputs, inputs):
    operands = [[ArrayOperand(a) for a in arrays] for arrays in (outputs, inputs)]
    compute(expressions, *operands)


def edges():
    lanes = host_target().lanes(f32)
    return sorted({0, 1, lanes - 1, lanes, lanes + 1, *(4 * lanes + d for d in (-1, 0, 1))})


@pytest.mark.usefixtures("each_target")
def test_nothing_beyond_the_operands_is_touched_at_either_end():
    for n in (*edges(), TILE + 1):
        x, y = drawn(n), drawn((n, 2))[:, 0]
        for place in ("end", "start"):
            guarded = [
                GuardedMemory(a, place) for a in (x, np.ascontiguousarray(y), np.empty_like(x))
            ]
            run([LINEAR], [guarded[2].array], [g.array for g in guarded[:2]])
            np.testing.assert_array_equal(guarded[2].array, linear(x, y))
            for memory in guarded:
                memory.release()


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("step", [2, 3, -1, -2])
def test_nothing_between_or_beyond_spread_operands_is_touched(step):
    lanes, reach = host_target().lanes(f32), abs(step)
    for n in (1, lanes + 1, 4 * lanes + 1, TILE + 1):
        for side in ("end", "start"):
            size = (n - 1) * reach + 1
            x, out = GuardedMemory(drawn(size), side), GuardedMemory(np.full(size, 7, "f4"), side)
            run([X * 2.0], [out.array[::step]], [x.array[::step]])
            wanted = np.full(size, 7, "f4")
            wanted[::step] = x.array[::step] * 2
            np.testing.assert_array_equal(out.array, wanted)
            for memory in (x, out):
                memory.release()


VIEWS = {
    "contiguous": lambda a: a.copy(),
    "transposed": lambda a: a.copy(order="F"),
    "backwards": lambda a: np.flip(np.flip(a).copy()),
    "sliced": lambda a: np.repeat(a[..., None], 3, axis=-1).copy()[..., 1],
    "row": lambda a: np.broadcast_to(a[:1].copy(), a.shape),
    "column": lambda a: np.broadcast_to(a[..., :1].copy(), a.shape),
    "number": lambda a: np.broadcast_to(a.ravel()[0].copy(), a.shape),
}
SHAPES = [
    (),
    (1,),
    (3, 0, 2),
    (37,),
    (5, 3),
    (7, 129),
    (300, 5),
    (3, 2, 200),
    (2, 3, 2, 3, 2, 3, 2),
]


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_pair_of_layouts(shape):
    names = VIEWS if len(shape) > 1 and 0 not in shape else ["contiguous"]
    for first, second in itertools.product(names, repeat=2):
        x, y = VIEWS[first](drawn(shape)), VIEWS[second](drawn((*shape, 1))[..., 0])
        out = np.empty(shape, np.float32)
        run([LINEAR], [out], [x, y])
        np.testing.assert_array_equal(out, linear(x, y), f"{first} {second}")


@pytest.mark.parametrize("layout", ["transposed", "backwards", "sliced"])
@pytest.mark.parametrize("shape", [(37,), (7, 129), (300, 5), (3, 2, 200)], ids=str)
def test_outputs_of_any_layout(layout, shape):
    x, y = drawn(shape), drawn((*shape, 1))[..., 0]
    outputs = [VIEWS[layout](np.zeros(shape, np.float32)) for _ in range(2)]
    run([LINEAR, X - Y], outputs, [x, VIEWS[layout](y)])
    np.testing.assert_array_equal(outputs[0], linear(x, y))
    np.testing.assert_array_equal(outputs[1], x - y)


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("step", [1, 2])
def test_mixed_dtypes(step):
    n = 4 * host_target().lanes(f32) + 3
    for dtype in ("int8", "float16", "float64", "int64", "uint16"):
        x, y, keep = drawn(n * step)[::step], drawn(n, dtype), drawn(n) > 0
        out = np.empty(n, np.float64)
        run(
            [apply("where", Z, apply("to_float64", X), apply("to_float64", Y))], [out], [x, y, keep]
        )
        np.testing.assert_array_equal(out, np.where(keep, x.astype(np.float64), y))
        small, is_less = np.empty((n, step), dtype)[:, 0], np.empty(n, bool)
        run([Y, apply("to_float64", X) < apply("to_float64", Y)], [small, is_less], [x, y])
        np.testing.assert_array_equal(small, y)
        np.testing.assert_array_equal(is_less, x < y.astype(np.float64))


def test_an_output_may_be_an_input():
    for shape in [(5,), (3 * TILE + 7,), (40, 50)]:
        x, y = drawn(shape), drawn((*shape, 1))[..., 0]
        for name in ("contiguous", "sliced", "transposed"):
            view = VIEWS[name](x)
            run([LINEAR], [view], [view, y])
            np.testing.assert_array_equal(view, linear(x, y))


def test_shared_memory_is_refused_before_anything_is_written():
    x = drawn(20)
    kept = x.copy()
    for out, given in [
        (x[1:11], x[:10]),
        (x[:10], x[:10][::-1]),
        (x[:10], np.broadcast_to(x[3:4], 10)),
        (x[:10], x[:5].view(np.float16)),
    ]:
        with pytest.raises(LayoutError, match="copy that operand first"):
            run([X + 1.0], [out], [given])
    with pytest.raises(LayoutError, match="shares memory"):
        run([X, X], [x[:10], x[5:15]], [drawn(10)])
    np.testing.assert_array_equal(x, kept)


def test_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"\(3,\) does not stretch to \(4,\)"):
        run([X], [np.empty(4, np.float32)], [drawn(3)])
    with pytest.raises(ShapeError, match="output of shape"):
        run([X, X], [np.empty(4, np.float32), np.empty(1, np.float32)], [drawn(4)])


@pytest.mark.usefixtures("team")
@pytest.mark.parametrize("second", ["contiguous", "row", "number", "transposed"])
def test_threads_change_no_bit(second):
    x, y = drawn((300, 200)), VIEWS[second](drawn((300, 200, 1))[..., 0])
    found = []
    for count in (1, 2, 5):
        threads.set_num_threads(count)
        found.append(np.empty_like(x))
        run([apply("sqrt", LINEAR)], [found[-1]], [x, y])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(found[0], np.sqrt(linear(x, y)))
    assert {f.tobytes() for f in found} == {found[0].tobytes()}


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "float64"])
def test_writes_past_the_caches(dtype):
    memory = np.zeros(1 << 18, np.uint8)
    start = -memory.ctypes.data % 64
    for n in (1, 31, 16384, 16411):
        x, y = drawn(n), drawn(n)[::-1].copy()
        out = memory[start:][: n * np.dtype(dtype).itemsize].view(dtype)
        laid = [elementwise.Laid(str(a.dtype), (1,)) for a in (out, x, y)]
        planned = elementwise.plan((X * Y,), (n,), tuple(laid[:1]), tuple(laid[1:]))
        recipe = Recipe((X * Y,), (dtype,), ("float32",) * 2, (False,) * 2, streams=True)
        streaming = dataclasses.replace(planned, streaming=elementwise._entries(recipe))
        out[...] = 0
        streaming.run(*(a.ctypes.data for a in (out, x, y)))
        wanted = np.zeros(n, dtype)
        run([X * Y], [wanted], [x, y])
        np.testing.assert_array_equal(out, wanted)


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("columns", [512, 500, 40])
def test_rows_are_written_past_the_caches(columns, monkeypatch):
    memory = np.zeros(200 * columns * 4 + 64, np.uint8)
    out = memory[-memory.ctypes.data % 64 :][: 200 * columns * 4].view("f4").reshape(200, columns)
    x, y = drawn((200, columns)), drawn(columns)
    small = dataclasses.replace(cpu.describe(), l2_bytes=1, l3_bytes=1)
    monkeypatch.setattr(elementwise.cpu, "describe", lambda: small)
    elementwise.plan.cache_clear()
    for target in (out, out[::-1]):
        run([LINEAR], [target], [x, y])
        np.testing.assert_array_equal(target, linear(x, y))
    elementwise.plan.cache_clear()
