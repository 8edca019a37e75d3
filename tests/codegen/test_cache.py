"""Object code on disk: private, whole, bounded; and start-up without LLVM."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from lamina.codegen.cache import DiskCache

CODE = bytes(range(256)) * 4
ENTRY_BYTES = len(CODE) + 32


@pytest.fixture
def store(tmp_path):
    return DiskCache(tmp_path / "kernels", 1 << 20)


def entry_of(store):
    return next(store.folder.glob("*.kernel"))


def test_what_is_put_is_found(store):
    assert store.get("a") is None
    store.put("a", CODE)
    assert store.get("a") == CODE
    assert store.get("b") is None


def test_entries_are_private(store):
    store.put("a", CODE)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry_of(store).stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_an_entry_that_others_may_write_is_not_run(store, mode):
    store.put("a", CODE)
    entry_of(store).chmod(mode)
    assert store.get("a") is None


def test_a_folder_that_others_may_write_is_not_trusted(store):
    store.put("a", CODE)
    store.folder.chmod(0o777)
    assert store.get("a") is None


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_entry_counts_as_missing_and_is_rebuilt(store, damage):
    store.put("a", CODE)
    path = entry_of(store)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes({"flip": data, "cut": data[:500], "empty": b""}[damage])
    assert store.get("a") is None
    store.put("a", CODE)
    assert store.get("a") == CODE


def test_least_recently_used_entries_go_first(tmp_path):
    store = DiskCache(tmp_path, 3 * ENTRY_BYTES)
    for place, key in enumerate("abc"):
        store.put(key, CODE)
        os.utime(store.folder / f"{key}.kernel", (place, place))
    assert store.get("a") == CODE
    store.put("d", CODE)
    assert [key for key in "abcd" if store.get(key)] == ["a", "c", "d"]


def test_an_entry_past_the_cap_is_left_out(tmp_path):
    store = DiskCache(tmp_path, len(CODE))
    store.put("a", CODE)
    assert store.get("a") is None


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    store = DiskCache(tmp_path / "file" / "kernels", 1 << 20)
    store.put("a", CODE)
    assert store.get("a") is None


def test_many_writers_of_one_entry(tmp_path):
    store = DiskCache(tmp_path, 2 * ENTRY_BYTES)

    def work(number):
        store.put(str(number % 4), CODE)
        return store.get(str(number % 4))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(200)))
    assert set(found) <= {CODE, None}
    assert not list(tmp_path.glob("*.part"))


def test_what_a_killed_writer_left_is_removed(store):
    store.folder.mkdir(parents=True)
    old, young = (store.folder / f"{name}.part" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(CODE)
    os.utime(old, (0, 0))
    store.put("a", CODE)
    assert (old.exists(), young.exists()) == (False, True)


WRITER = """
from pathlib import Path
from lamina.codegen.cache import DiskCache
store = DiskCache(Path({folder!r}), 3 * {entry})
for number in range(300):
    store.put(str(number % 7), bytes([number % 7]) * {size})
    found = store.get(str(number % 5))
    assert found is None or found == bytes([number % 5]) * {size}
"""


def test_processes_that_write_at_once(tmp_path):
    code = WRITER.format(folder=str(tmp_path), entry=ENTRY_BYTES, size=len(CODE))
    writers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert not list(tmp_path.glob("*.part"))


START = """
import sys
from lamina.kernels.peak import fma_peak
assert fma_peak() > 0
print("llvmlite" in sys.modules)
"""


def test_a_warm_start_does_not_need_llvm(run_python, tmp_path, monkeypatch):
    monkeypatch.setenv("LAMINA_CACHE_DIR", str(tmp_path))
    assert run_python(START).strip() == "True"
    assert run_python(START).strip() == "False"
    for path in (tmp_path / "kernels").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert run_python(START).strip() == "True"
