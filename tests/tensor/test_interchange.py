"""Memory goes in and out without a copy: numpy, buffers, DLPack, files."""

import array
import gc
import mmap
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lamina
from lamina.dtypes import DTYPES, DType
from lamina.errors import ArgumentError, DTypeError, FileFormatError, GradientError, LayoutError
from lamina.memory import stats

Tensor = lamina.Tensor

ARRAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C order": lambda a: a,
    "Fortran order": np.asfortranarray,
    "transposed": lambda a: a.transpose(2, 0, 1),
    "sliced": lambda a: a[:, 1:, ::2],
    "reversed": lambda a: a[::-1, :, ::-1],
    "broadcast": lambda a: np.broadcast_to(a[:, :1, :], a.shape),
    "0-d": lambda a: a[1, 2, 3],
    "empty": lambda a: a[:, :0],
    "size 1": lambda a: a[1:, 2:, 3:],
    "one axis held": lambda a: a[:, 1],
}


def numbers() -> np.ndarray:
    return np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize("view", ARRAYS.values(), ids=ARRAYS.keys())
def test_numpy_arrays_are_shared_both_ways(view: Callable[[np.ndarray], np.ndarray]) -> None:
    a = np.asarray(view(numbers()))
    x = lamina.from_numpy(a)
    assert x.shape == a.shape
    assert x.tolist() == a.tolist()
    assert x.numpy() is a
    assert a.size == 0 or x.data_ptr() == a.__array_interface__["data"][0]
    steps = [s // a.itemsize for s, n in zip(a.strides, a.shape, strict=True) if n > 1]
    found = [s for s, n in zip(x.strides, x.shape, strict=True) if n > 1]
    assert a.size == 0 or found == steps
    rebuilt = x.array.with_layout(x.array.layout).numpy()
    np.testing.assert_array_equal(rebuilt, a)


def test_writes_are_seen_on_both_sides() -> None:
    a = np.zeros((2, 3))
    x = lamina.from_numpy(a.T)
    x[0, 1] = 5.0
    assert a[1, 0] == 5.0
    a[0, 2] = 7.0
    assert x[2, 0].item() == 7.0


def test_fortran_order_goes_through_without_a_copy() -> None:
    a = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    x = lamina.asarray(a, copy=False)
    assert x.strides == (1, 2)
    assert x.T.is_contiguous()
    assert x.T.data_ptr() == x.data_ptr() == a.__array_interface__["data"][0]
    assert x.numpy().flags.f_contiguous
    assert x.contiguous().strides == (3, 1)


def test_a_read_only_array_gives_a_read_only_tensor() -> None:
    a = np.zeros(3)
    a.flags.writeable = False
    with pytest.raises(LayoutError, match="read-only"):
        lamina.from_numpy(a).add_(1.0)


def test_fields_of_records_do_not_step_by_whole_elements() -> None:
    records = np.zeros(4, [("flag", np.int8), ("value", np.float64)])
    with pytest.raises(LayoutError, match=r"not multiples of its item size 8; pass numpy.ascont"):
        lamina.from_numpy(records["value"])


def test_bytes_in_the_other_order_are_refused() -> None:
    with pytest.raises(DTypeError, match="has no counterpart"):
        lamina.from_numpy(np.zeros(2, np.dtype(">f4")))


def test_tensor_copies_and_asarray_shares() -> None:
    a = np.zeros(3)
    assert not np.shares_memory(lamina.tensor(a).numpy(), a)
    assert np.shares_memory(lamina.asarray(a).numpy(), a)
    assert not np.shares_memory(lamina.asarray(a, copy=True).numpy(), a)
    with pytest.raises(LayoutError, match="cannot be shared as asked"):
        lamina.asarray([1.0, 2.0], copy=False)
    with pytest.raises(LayoutError, match="cannot be shared as asked"):
        lamina.asarray(a, dtype="float32", copy=False)


BUFFERS: dict[str, Callable[[], object]] = {
    "bytearray": lambda: bytearray(b"\1\2\3\4"),
    "array": lambda: array.array("f", [1.0, 2.0, 3.0]),
    "memoryview": lambda: memoryview(bytearray(8)).cast("d"),
    "mmap": lambda: mmap.mmap(-1, 64),
}


@pytest.mark.parametrize("make", BUFFERS.values(), ids=BUFFERS.keys())
def test_buffers_are_shared(make: Callable[[], object]) -> None:
    buffer = make()
    x = lamina.asarray(buffer, copy=False)
    assert np.shares_memory(x.numpy(), np.asarray(memoryview(buffer)))
    x[1:].zero_() if len(x) > 1 else x.zero_()
    assert bytes(memoryview(buffer).cast("B")) == x.numpy().tobytes()


def test_bytes_are_shared_read_only() -> None:
    x = lamina.asarray(b"\1\2\3", copy=False)
    assert x.dtype is lamina.uint8
    with pytest.raises(LayoutError, match="read-only"):
        x.zero_()


def test_a_tensor_exports_its_buffer() -> None:
    x = lamina.arange(6, dtype="float32").reshape(2, 3)[:, ::2]
    view = memoryview(x) if sys.version_info >= (3, 12) else memoryview(x.numpy())
    assert (view.format, view.shape, view.strides) == ("f", (2, 2), (12, 8))
    assert view.tolist() == x.tolist()


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_every_dtype_goes_to_numpy_and_back(dtype: DType) -> None:
    x = lamina.tensor([0, 1, 1]).to(dtype)
    a = x.numpy()
    assert a.dtype == dtype.numpy
    back = lamina.from_numpy(a)
    assert back.dtype is dtype
    assert back.data_ptr() == x.data_ptr()
    assert np.array_equal(lamina.from_numpy(a[::-1])[0].numpy(), a[-1])


def test_numpy_functions_take_tensors() -> None:
    x = lamina.tensor([1.0, 2.0])
    assert np.asarray(x) is x.numpy()
    assert np.asarray(x, dtype=np.int8).dtype == np.int8
    assert not np.shares_memory(np.array(x), x.numpy())
    assert isinstance(np.ones(2, np.float32) * x, Tensor)


def test_a_tensor_with_a_history_says_so() -> None:
    x = lamina.ones(2, requires_grad=True)
    for convert in (x.numpy, lambda: np.asarray(x), lambda: np.from_dlpack(x)):
        with pytest.raises(GradientError, match=r"detach\(\)"):
            convert()
    assert x.numpy(force=True).tolist() == x.detach().numpy().tolist() == [1.0, 1.0]


def test_a_capsule_keeps_the_memory_alive() -> None:
    gc.collect()
    before = stats().live
    x = lamina.empty(1 << 18)
    seen = np.from_dlpack(x)
    del x
    assert stats().live == before + (1 << 20)
    seen[:] = 1.0
    del seen
    gc.collect()
    assert stats().live == before


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "slice": lambda x: x[1:, ::2],
    "reshape": lambda x: x.reshape(4, 3),
    "transpose": lambda x: x.T,
    "flip": lambda x: x.flip(0),
    "expand": lambda x: x.unsqueeze(0).expand(5, 3, 4),
    "windows": lambda x: x.unfold(0, 2, 1),
    "diagonal": lambda x: x.diagonal(),
    "detach": lambda x: x.detach(),
    "numpy and back": lambda x: lamina.from_numpy(x.numpy()),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_views_share_memory_and_copy_nothing(view: Callable[[Tensor], Tensor]) -> None:
    x = lamina.arange(12, dtype="float32").reshape(3, 4)
    acquired = stats().acquired
    seen = view(x)
    assert stats().acquired == acquired
    assert np.shares_memory(seen.numpy(), x.numpy())
    x.fill_(9.0)
    assert set(seen.numpy().reshape(-1).tolist()) == {9.0}


def raw(path: Path, values: np.ndarray) -> Path:
    path.write_bytes(values.tobytes())
    return path


def test_a_file_is_mapped_not_read(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32)
    path = raw(tmp_path / "raw.bin", values)
    before = stats().live
    x = lamina.from_file(path, "float32", (3, 4))
    assert stats().live == before
    np.testing.assert_array_equal(x.numpy(), values.reshape(3, 4))
    with pytest.raises(LayoutError, match="read-only"):
        x.zero_()


def test_without_a_shape_it_is_all_there_is(tmp_path: Path) -> None:
    path = raw(tmp_path / "raw.bin", np.arange(5, dtype=np.int16))
    assert lamina.from_file(path, "int16").tolist() == [0, 1, 2, 3, 4]
    assert lamina.from_file(path, "int16", offset=6).tolist() == [3, 4]
    assert lamina.from_file(path, "int16", 2, offset=2).tolist() == [1, 2]


def test_a_writable_mapping_writes_the_file(tmp_path: Path) -> None:
    path = raw(tmp_path / "raw.bin", np.zeros(3))
    x = lamina.from_file(path, "float64", writable=True)
    x[1] = 5.0
    del x
    gc.collect()
    assert np.frombuffer(path.read_bytes()).tolist() == [0.0, 5.0, 0.0]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"shape": (13,)}, FileFormatError, r"holds 48 bytes; shape \(13,\) of float32 .*needs 52"),
        ({"shape": (-1,)}, ArgumentError, r"shape \(-1,\)"),
        ({"shape": (1 << 62, 1 << 62)}, FileFormatError, "needs"),
        ({"offset": 49}, FileFormatError, "needs 49"),
        ({"offset": -4}, ArgumentError, "from byte -4"),
        ({"offset": 2, "shape": (2,)}, LayoutError, "offset 2 is not a multiple of the item size"),
    ],
)
def test_what_the_file_does_not_hold(
    options: dict[str, object], error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = raw(tmp_path / "raw.bin", np.arange(12, dtype=np.float32))
    with pytest.raises(error, match=message):
        lamina.from_file(path, "float32", **options)


def test_an_empty_file_cannot_be_mapped(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="is empty; expected at least one byte"):
        lamina.from_file(raw(tmp_path / "empty.bin", np.zeros(0)))
