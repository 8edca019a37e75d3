"""Wrong kernels: each file of `errors/` holds one, its message lies beside it."""

import runpy
from pathlib import Path

import pytest

from lamina.codegen import jit
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import AVX2
from lamina.codegen.types import Pointer, f32
from lamina.errors import KernelError

FOLDER = Path(__file__).parent / "errors"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_the_message_points_at_the_line(path, golden):
    emit = runpy.run_path(str(path))["emit"]
    with pytest.raises(KernelError) as caught:
        jit.build(emit, AVX2)
    golden(path.with_suffix(".txt"), f"{caught.value}\n")


def test_every_message_has_its_kernel():
    kernels, messages = ({path.stem for path in FOLDER.glob(f"*.{kind}")} for kind in ("py", "txt"))
    assert kernels == messages


def emit_faulty(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32)}) as (_, x):
        x[0] = {}["missing"]


def test_an_error_of_python_stays_what_it_is():
    with pytest.raises(KeyError, match="missing"):
        jit.build(emit_faulty, AVX2)
