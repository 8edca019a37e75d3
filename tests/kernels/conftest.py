"""Runs kernels for every target that this processor has."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from usable_targets import USABLE

from lamina.codegen import target, threads
from lamina.kernels import elementwise
from lamina.kernels.convolution import blocked, entry
from lamina.kernels.gemm import contract, product
from lamina.kernels.reduction import plan as reduction


def forget_target() -> None:
    """Drop what was worked out for another target."""
    plans = (product._plan, contract._engine, elementwise.plan, reduction.plan)
    for cached in (target.host_target, entry._plan, blocked._plan, *plans):
        cached.cache_clear()


@pytest.fixture(params=USABLE, ids=lambda target: target.name)
def each_target(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a target that kernels are compiled for while the test runs."""
    with pytest.MonkeyPatch.context() as patch:
        chosen = request.param
        patch.setitem(target.TARGETS, chosen.name, chosen)
        patch.setattr(target, "settings", replace(target.settings, target=chosen.name))
        forget_target()
        yield chosen.name
    forget_target()


@pytest.fixture
def team() -> Iterator[None]:
    """Puts the number of threads back after the test."""
    before = threads.num_threads()
    yield
    threads.set_num_threads(before)
