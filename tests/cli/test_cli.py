"""The command line, run as a user runs it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


def lamina_command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "from lamina.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_doctor_names_the_machine(tmp_path: Path) -> None:
    done = lamina_command("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in ("SIMD target", "cgroup quota", "caches", "FMA peak", "bandwidth", "llvmlite"):
        assert said in done.stdout
    peak = re.search(r"FMA peak, float32\W+([\d.]+) GFLOP/s", done.stdout)
    assert peak
    assert float(peak[1]) > 1


def test_explain_prints_the_kernel(tmp_path: Path) -> None:
    done = lamina_command("explain", "add", "3x4", "3x4", "--stage", "kernel", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "function run(args: pointer, scratch: pointer)" in done.stdout
    done = lamina_command("explain", "no_such_function", "3", cwd=tmp_path)
    assert done.returncode == 1
    assert "try matmul, exp or" in done.stderr


def test_tune_measures_every_way_that_is_worth_a_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMINA_CACHE_DIR", str(tmp_path))
    done = lamina_command("tune", "16x9x9", "16x16x3x3", "--padding", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in ("direct", "winograd", "im2col", "is preferred from now on"):
        assert said in done.stdout
    done = lamina_command("tune", "16x9", "16x16x3x3", cwd=tmp_path)
    assert done.returncode == 1
    assert "expected CxHxW" in done.stderr


@pytest.mark.parametrize("arguments", [("quickstart", "--epochs", "0"), ("no-such-command",)])
def test_wrong_arguments_are_refused(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = lamina_command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Error" in done.stderr


def test_quickstart_gives_the_same_numbers_for_any_thread_count(tmp_path: Path) -> None:
    said = []
    for threads in ("1", "2", "3"):
        out = tmp_path / threads
        done = lamina_command(
            *("quickstart", "--epochs", "2", "--threads", threads, "--out", str(out)), cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        said.append(re.findall(r"([\d.]+)% of held-out|loss ([\d.]+)", done.stdout))
        assert (out / "digits.png").stat().st_size > 10_000
    assert said[0]
    assert said[0] == said[1] == said[2]
    checkpoints = {(tmp_path / t / "digits.lamina").read_bytes() for t in ("1", "2", "3")}
    assert len(checkpoints) == 1
