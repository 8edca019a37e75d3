"""Runs kernels for every target that this processor has."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sharing import every_call_shared, forget_plans
from usable_targets import USABLE

from lamina.codegen import target, threads
from lamina.kernels.convolution import ahead
from lamina.kernels.gemm import contract, packed


def forget_target() -> None:
    """Drop what was worked out for another target."""
    forget_plans()
    for cached in (target.host_target, contract._engine, packed.packing, ahead._found):
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
    """Shares every kernel call among all threads; puts their number back after the test."""
    before = threads.num_threads()
    with every_call_shared():
        yield
    threads.set_num_threads(before)
