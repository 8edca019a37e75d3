"""What is saved comes back, and nothing is lost when saving fails."""

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lamina
from lamina import dtypes
from lamina.errors import ArgumentError
from lamina.formats import atomic, container, load, save
from lamina.layout import Layout
from lamina.memory import stats

Tensor = lamina.Tensor


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.lamina"


def round_trip(value: Any, path: Path, **options: Any) -> Any:
    save(value, path)
    return load(path, **options)


def values_of(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**64 - 1, -(2**70), 0.0, 1e-300),
        *("", "naïve 数", "a\0b", b"", b"\0\xff", 1 + 2j, float("inf"), [], (), {}),
        *([1, [2.5, ("three", None)]], {"a": {1: [True, {"b": ()}]}, 0: "zero", -5: b"x"}),
    ],
    ids=repr,
)
def test_plain_objects_come_back_equal_and_of_the_same_types(value: Any, path: Path) -> None:
    found = round_trip(value, path)
    assert found == value
    assert repr(found) == repr(value)


def test_nan_comes_back(path: Path) -> None:
    assert np.isnan(round_trip(float("nan"), path))


def test_numpy_numbers_come_back_as_python_numbers(path: Path) -> None:
    found = round_trip([np.int32(3), np.float32(0.5), np.bool_(True)], path)
    assert found == [3, 0.5, True]
    assert [type(x) for x in found] == [int, float, bool]


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(TREES)
def test_any_tree_comes_back(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.mktemp("tree") / "tree.lamina"
    assert round_trip(tree, path) == tree


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("dtype", dtypes.DTYPES.values(), ids=lambda d: d.name)
def test_every_dtype_comes_back_bit_for_bit(dtype: dtypes.DType, copy: bool, path: Path) -> None:
    bits = np.random.default_rng(0).integers(0, 256, 24 * dtype.itemsize).astype(np.uint8)
    if dtype is dtypes.bool_:
        bits &= 1
    tensor = lamina.from_numpy(bits.view(dtype.numpy).reshape(4, 6))
    found = round_trip({"x": tensor}, path, copy=copy)["x"]
    assert (found.dtype, found.shape) == (dtype, (4, 6))
    np.testing.assert_array_equal(values_of(found).view(np.uint8).reshape(-1), bits)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.permute(2, 0, 1),
    "flipped": lambda x: x.flip(0, 1, 2),
    "sliced": lambda x: x[1:, ::2, 1],
    "expanded": lambda x: x[:1].expand(5, 3, 4),
    "windows": lambda x: x.unfold(1, 2, 1),
    "scalar": lambda x: x[1, 2, 3],
    "empty": lambda x: x[:, :0],
    "size 1": lambda x: x[:1, :1, :1],
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_layout_comes_back(layout: Callable[[Tensor], Tensor], path: Path) -> None:
    x = layout(lamina.arange(24, dtype="float32").reshape(2, 3, 4))
    found = round_trip(x, path)
    assert found.shape == x.shape
    np.testing.assert_array_equal(values_of(found), values_of(x))


def test_a_dense_layout_is_kept(path: Path) -> None:
    x = lamina.zeros(3, 4).T
    assert round_trip(x, path).strides == x.strides


def test_a_small_part_of_a_large_tensor_takes_little_room(path: Path) -> None:
    large = lamina.zeros(1000, 1000)
    save([large[5], large[:, 7], large[0, :1].expand(10_000)], path)
    assert path.stat().st_size < 100_000


def test_tensors_that_share_memory_share_it_again(path: Path) -> None:
    x = lamina.arange(12, dtype="float32").reshape(3, 4)
    save({"all": x, "row": x[1], "turned": x.T, "column": x[:, 2], "same": x}, path)
    assert path.stat().st_size < 1000
    found = load(path)
    assert found["all"] is found["same"]
    found["all"][1, 2] = 100.0
    assert found["row"].tolist() == [4.0, 5.0, 100.0, 7.0]
    assert found["turned"][2, 1].item() == 100.0
    assert found["column"].tolist() == [2.0, 100.0, 10.0]


def test_tensors_of_one_storage_that_do_not_meet_are_saved_apart(path: Path) -> None:
    x = lamina.zeros(100_000)
    save([x[:10], x[-10:]], path)
    assert path.stat().st_size < 1000


def test_loaded_tensors_may_be_written_and_the_file_stays(path: Path) -> None:
    save(lamina.ones(1000), path)
    before = path.read_bytes()
    found = load(path)
    found.mul_(7.0)
    assert found.sum().item() == 7000.0
    assert path.read_bytes() == before
    assert load(path).sum().item() == 1000.0


def test_loading_takes_no_memory_of_the_pool_unless_copied(path: Path) -> None:
    save(lamina.ones(1 << 18), path)
    before = stats().live
    mapped = load(path)
    assert stats().live == before
    copied = load(path, copy=True)
    assert stats().live == before + copied.nbytes
    assert mapped.data_ptr() % 64 == copied.data_ptr() % 64 == 0


def test_a_copy_outlives_a_change_of_the_file(path: Path) -> None:
    save(lamina.ones(4), path)
    copied = load(path, copy=True)
    path.write_bytes(b"")
    assert copied.tolist() == [1.0] * 4


def test_a_file_may_be_saved_over_while_its_tensors_are_in_use(path: Path) -> None:
    save(lamina.arange(1000), path)
    first = load(path)
    save(first + 1, path)
    assert first.tolist() == list(range(1000))
    assert load(path).tolist() == list(range(1, 1001))


def test_history_is_left_out(path: Path) -> None:
    x = lamina.ones(2, requires_grad=True)
    found = round_trip([x, x * 2.0], path)
    assert [t.requires_grad for t in found] == [False, False]


def test_sections_are_aligned(path: Path) -> None:
    save([lamina.ones(n) for n in (1, 17, 3)], path)
    found = load(path)
    assert all(t.data_ptr() % 64 == 0 for t in found)


def test_an_ordered_dict_comes_back_as_a_dict_in_order(path: Path) -> None:
    found = round_trip(OrderedDict([("b", 1), ("a", 2)]), path)
    assert list(found.items()) == [("b", 1), ("a", 2)]


class Model:
    def state_dict(self) -> dict[str, Any]:
        return {}


REFUSED: dict[str, tuple[Any, str]] = {
    "object": ({"a": [object()]}, r"the object\['a'\]\[0\] is of type object; save dicts, lists"),
    "model": (Model(), r"is of type Model.*lamina.save\(model.state_dict\(\), path\)"),
    "array": ([np.zeros(2)], r"is of type ndarray.*lamina.from_numpy"),
    "key": ({(1, 2): 3}, r"the object has the key \(1, 2\) of type tuple; keys are texts"),
    "text": ("\ud800", "is a text that is no Unicode"),
    "function": ({"f": print}, r"is of type builtin_function_or_method"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_saved_is_named_and_the_old_file_stays(
    case: tuple[Any, str], path: Path
) -> None:
    save("old", path)
    value, message = case
    with pytest.raises(ArgumentError, match=message):
        save(value, path)
    assert load(path) == "old"
    assert os.listdir(path.parent) == [path.name]


def test_an_object_that_holds_itself_is_refused(path: Path) -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ArgumentError, match="holds itself, or is nested more than 30 deep"):
        save(loop, path)


@pytest.mark.parametrize("make", [lambda x: [x], lambda x: (x,), lambda x: {"k": x}])
def test_nesting_to_the_limit_comes_back(make: Callable[[Any], Any], path: Path) -> None:
    value: Any = 1
    for _ in range(30):
        value = make(value)
    assert round_trip(value, path) == value
    with pytest.raises(ArgumentError, match="nested more than 30 deep"):
        save(make(value), path)


def test_a_header_too_long_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MAX_HEADER_BYTES", 1000)
    with pytest.raises(ArgumentError, match="put long lists of numbers into tensors"):
        save(list(range(1000)), path)
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("step", ["write_section", "write_front"])
def test_a_failure_while_writing_leaves_the_old_file_alone(
    step: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save({"x": lamina.ones(3)}, path)

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(container, step, fail)
    with pytest.raises(OSError, match="No space left"):
        save({"x": lamina.zeros(3)}, path)
    assert load(path)["x"].tolist() == [1.0, 1.0, 1.0]
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_to_put_it_in_place_leaves_the_old_file_alone(
    step: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("old", path)

    def fail(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(atomic.os, step, fail)
    with pytest.raises(OSError, match="Input/output"):
        save("new", path)
    monkeypatch.undo()
    assert load(path) == "old"
    assert os.listdir(path.parent) == [path.name]


def test_file_and_folder_are_on_the_disk_before_the_old_file_goes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            atomic.os, name, lambda *a, name=name, real=real: (calls.append(name), real(*a))
        )
    save(1, path)
    assert calls == ["fsync", "replace", "fsync"]


def test_the_rights_of_the_old_file_are_kept(path: Path) -> None:
    save(1, path)
    path.chmod(0o640)
    save(2, path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "latest.lamina"
    save(1, path)
    link.symlink_to(path)
    save(2, link)
    assert link.is_symlink()
    assert load(path) == 2


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"there is no folder .*gone; create it first"):
        save(1, tmp_path / "gone" / "x.lamina")
    with pytest.raises(ArgumentError, match="is a folder; give the name of a file in it"):
        save(1, tmp_path)


def test_layouts_of_a_file_written_by_version_1(path: Path) -> None:
    """The bytes of the first version, so that it can be read for ever."""
    golden = Path(__file__).parent.parent / "golden" / "version1.lamina"
    found = load(golden)
    assert found["epoch"] == 3
    assert found["names"] == ("a", None, 2.5, b"\x00", 1 << 64)
    assert found["weight"].array.layout == Layout((2, 3), (1, 2), 0)
    assert found["weight"].tolist() == [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]
    assert found["half"].dtype is lamina.bfloat16
    assert found["half"].tolist() == [1.5, -2.0]
