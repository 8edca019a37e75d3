"""Runs kernels for every target that this processor has."""

from collections.abc import Iterator

import pytest

from lamina.codegen import jit, target, threads
from lamina.kernels import conv, depthwise, direct, pad
from lamina.kernels.gemm import contract, product, rows

USABLE = [name for name, row in target.TARGETS.items() if target.runs_here(row)]


def forget_plans() -> None:
    """Drop what was worked out for another target."""
    for cached in (product._plan, conv._plan, contract._engine):
        cached.cache_clear()


@pytest.fixture(params=USABLE)
def each_target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a target that kernels are compiled for while the test runs."""
    chosen = target.TARGETS[request.param]
    for module in (jit, contract, depthwise, direct, pad, rows):
        if hasattr(module, "host_target"):
            monkeypatch.setattr(module, "host_target", lambda: chosen)
    forget_plans()
    yield request.param
    forget_plans()


@pytest.fixture
def team() -> Iterator[None]:
    """Puts the number of threads back after the test."""
    before = threads.num_threads()
    yield
    threads.set_num_threads(before)
