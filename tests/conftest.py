"""What every test may ask for."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")  # pictures are written, never shown

# The same examples on every run; a busy machine must not fail a test by its clock.
settings.register_profile("lamina", derandomize=True, deadline=None, database=None)
settings.load_profile("lamina")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """A function that compares text with a golden file; --update-golden writes the file instead."""
    updates = request.config.getoption("--update-golden")

    def compare(path: Path, text: str) -> None:
        if updates:
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path.name} is missing; write it with --update-golden"
        assert text == path.read_text(encoding="utf-8")

    return compare


@pytest.fixture(scope="session")
def run_python() -> Callable[[str], str]:
    """A function that runs code in a fresh interpreter, warnings as errors: gives its output."""

    def run(code: str) -> str:
        command = [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
