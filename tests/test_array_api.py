"""The `lamina` namespace: the Array API's own suite, and PyTorch's forms of the same functions."""

from pathlib import Path

import pytest
from conformance.array_api import SUITE, run_suite

LEAST_PASSES = 1360


@pytest.mark.skipif(not SUITE.exists(), reason=f"array-api-tests are not at {SUITE}")
def test_the_conformance_suite_passes(tmp_path: Path) -> None:
    outcomes, text = run_suite(tmp_path)
    wrong = outcomes["failed"] + outcomes["errors"] + outcomes["error"] + outcomes["xpassed"]
    assert wrong == 0, text[-8000:]
    assert outcomes["passed"] >= LEAST_PASSES, text[-2000:]
