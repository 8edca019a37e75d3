"""Every example runs as a user would run it, and learns what it says it learns."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
NUMBER = r"(-?\d+\.\d+)"


def output_of(name: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_xor_is_learned() -> None:
    rows = re.findall(rf"(\d) xor (\d) = {NUMBER}", output_of("xor.py"))
    assert len(rows) == 4
    assert all(abs(float(answer) - (int(a) ^ int(b))) < 0.05 for a, b, answer in rows)


@pytest.mark.parametrize(
    ("name", "least"), [("tabular_classification.py", 0.94), ("image_classification.py", 0.96)]
)
def test_held_out_accuracy(name: str, least: float) -> None:
    found = re.search(rf"held-out accuracy {NUMBER}", output_of(name))
    assert found
    assert float(found[1]) >= least


def test_regression_is_no_worse_than_least_squares() -> None:
    found = re.search(rf"network {NUMBER}, least squares {NUMBER}", output_of("regression.py"))
    assert found
    assert float(found[1]) >= float(found[2]) - 0.03


def test_every_example_is_tested() -> None:
    tested = Path(__file__).read_text()
    assert [p.name for p in EXAMPLES.glob("*.py") if p.name not in tested] == []
