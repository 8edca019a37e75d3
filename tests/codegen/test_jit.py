"""Compiled code in memory: bounded in bytes, and never taken from who holds it."""

import ctypes
import gc

import pytest

from lamina.codegen import jit, target
from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, i8, i64
from lamina.errors import CompileError

HERE = target.SCALAR
WHOLE = {"args": Pointer(i64), "scratch": Pointer(i8)}


def emit_number(module: KernelModule, number: object) -> None:
    with module.function("run", WHOLE) as (_, args, _s):
        args[0] = int(str(number))


def answer(entry):
    block = (ctypes.c_int64 * 1)()
    entry(ctypes.addressof(block), 0)
    return block[0]


@pytest.fixture
def small(monkeypatch):
    """Room in memory for the code of two kernels."""
    monkeypatch.setattr(jit, "_memory", jit._Memory(8192))
    return jit._memory


def test_code_past_the_cap_goes_least_recently_used_first(small):
    for number in (1, 2, 1, 3):
        assert answer(jit.kernel(emit_number, number, target=HERE)) == number
    assert [kernel.parameters for kernel in small.held] == [(1,), (3,)]
    assert small.size == sum(code.bytes_held for code, _ in small.held.values()) <= 8192


def test_code_that_somebody_holds_stays(small):
    held = [jit.kernel(emit_number, number, target=HERE) for number in range(6)]
    gc.collect()
    assert [answer(entry) for entry in held] == list(range(6))
    assert len(small.held) == 2


def test_code_whose_address_was_given_away_stays(small, monkeypatch):
    monkeypatch.setattr(jit, "host_target", lambda: HERE)
    places = {jit.address(emit_number, number, name="run") for number in (1, 2, 3, 1)}
    gc.collect()
    entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
    assert sorted(answer(entry(place)) for place in places) == [1, 2, 3]
    assert len(small.pinned) == 3


def test_memory_is_given_back(small):
    with open("/proc/self/maps") as maps:
        before = sum("r-xp 00000000 00:00 0" in line for line in maps)
    for number in range(20):
        jit.kernel(emit_number, number, target=HERE)
    gc.collect()
    with open("/proc/self/maps") as maps:
        after = sum("r-xp 00000000 00:00 0" in line for line in maps)
    assert after - before <= 2


def test_what_is_asked_for_is_recorded_loaded_or_not():
    jit.kernel(emit_number, 1, target=HERE)
    with jit.recording() as outer:
        jit.kernel(emit_number, 1, target=HERE)
        with jit.recording() as inner:
            jit.kernel(emit_number, 2, target=HERE)
        jit.kernel(emit_number, 3, target=HERE)
    jit.kernel(emit_number, 4, target=HERE)
    assert [kernel.parameters for kernel in outer] == [(1,), (2,), (3,)]
    assert inner == outer[1:2]
    assert inner[0].name.endswith("test_jit.emit_number")


class Nameless:
    """Something whose text holds its address."""


def test_parameters_must_have_a_text_that_stays():
    with pytest.raises(CompileError, match="have no text that stays"):
        jit.cache_key(emit_number, HERE, Nameless())


def test_another_emitter_s_file_is_part_of_the_key(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    keys = set()
    for text in ("def emit(module): ...", "def emit(module): pass"):
        (tmp_path / "outside_emitter.py").write_text(text)
        names: dict[str, object] = {"__name__": "outside_emitter"}
        exec(compile(text, str(tmp_path / "outside_emitter.py"), "exec"), names)  # noqa: S102
        keys.add(jit.cache_key(names["emit"], HERE))
    assert len(keys) == 2


def test_package_emitters_share_one_digest():
    assert jit._module_digest(jit.build) == ""
    assert jit._module_digest(emit_number) != ""
