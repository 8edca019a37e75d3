"""Runs the Array API's own test suite against `lamina`, in a process of its own."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SUITE = ROOT.parent / "shared" / "conformance" / "array-api-tests"
XFAILS = Path(__file__).with_name("array_api_xfails.txt")
COUNT = re.compile(r"(\d+) (passed|failed|xfailed|xpassed|skipped|errors?)\b")


def run_suite(scratch: Path, *, examples: int = 10) -> tuple[Counter[str], str]:
    """The number of outcomes of each kind, and the text that pytest printed."""
    environment = {
        **os.environ,
        "ARRAY_API_TESTS_MODULE": "lamina",
        "ARRAY_API_TESTS_VERSION": "2025.12",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(scratch),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT),
    }
    command = [
        *(sys.executable, "-m", "pytest", "array_api_tests", "-q", "-rfE", "--tb=short"),
        *("-p", "no:cacheprovider", f"--max-examples={examples}"),
        *("--derandomize", "--disable-deadline", f"--xfails-file={XFAILS}"),
    ]
    done = subprocess.run(
        command, cwd=SUITE, env=environment, capture_output=True, text=True, check=False
    )
    text = done.stdout + done.stderr
    outcomes = COUNT.findall(text.rstrip().rpartition("\n")[2])
    return Counter({kind: int(number) for number, kind in outcomes}), text
