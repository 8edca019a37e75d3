"""Makes every kernel call worth all threads, so that tests of small shapes are shared out too."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lamina.kernels import elementwise, gather, launch, pool
from lamina.kernels.convolution import chained, entry
from lamina.kernels.gemm import product
from lamina.kernels.reduction import plan as reduction

WORTH_A_THREAD = (
    (launch, "FLOPS_WORTH_A_THREAD"),
    (launch, "BYTES_WORTH_A_THREAD"),
)


def forget_plans() -> None:
    """Drop what was worked out for other numbers."""
    plans = (product._plan, entry._plan, chained._step, elementwise.plan, reduction.plan)
    for cached in (*plans, pool.pooling, gather._reading, gather._adding):
        cached.cache_clear()


@contextmanager
def every_call_shared() -> Iterator[None]:
    """Let each kernel call, however small, have as many threads as it has chunks."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in WORTH_A_THREAD:
            patch.setattr(module, name, 1)
        forget_plans()
        yield
    forget_plans()
