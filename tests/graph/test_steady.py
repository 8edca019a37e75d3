"""Programs at rest: no memory is asked for in a run, plans are tight, a new size costs no code."""

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn, optim
from lamina.codegen import assemble
from lamina.codegen.target import compiles_here
from lamina.graph.plan import Lifetime, plan_memory


@pytest.mark.skipif(not compiles_here(), reason="programs run natively where code can be loaded")
def test_no_run_asks_for_memory():
    script = Path(__file__).parent / "no_malloc.py"
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("1000 times") == 2


def network():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(),
        nn.Linear(32 * 64, 10),
    )  # fmt: skip


def test_a_new_batch_size_compiles_no_machine_code(monkeypatch):
    model = network().eval()
    run = lamina.compile(model, dynamic={"x": {0: lamina.Dim("batch", max=64)}})
    x = lamina.randn(64, 3, 16, 16)
    with lamina.no_grad():
        for size in (1, 2, 64):
            run(x[:size])

        def refuse(*_):
            raise AssertionError("machine code was compiled")

        monkeypatch.setattr(assemble, "object_code", refuse)
        whole = run(x).numpy()
        for size in range(3, 64, 7):
            assert run(x[:size]).numpy().tobytes() == whole[:size].tobytes()


def test_plans_are_close_to_the_least():
    model = network().train()
    optimizer = optim.Adam(model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = lamina.compile(step)
    run(lamina.randn(16, 3, 16, 16), lamina.randint(0, 10, (16,)))
    assert run.last_program.plan.waste <= 1.05
    assert not run.last_program.host_calls


@pytest.mark.parametrize("seed", range(5))
def test_lifetimes_that_meet_share_no_byte(seed):
    rng = np.random.default_rng(seed)
    lifetimes = []
    for _ in range(60):
        first = int(rng.integers(0, 40))
        lifetimes.append(Lifetime(int(rng.integers(1, 5000)), first, first + int(rng.integers(9))))
    plan = plan_memory(lifetimes)
    for a, (start, one) in enumerate(zip(plan.offsets, lifetimes, strict=True)):
        assert start % 64 == 0
        assert start + one.nbytes <= plan.nbytes
        for other, two in zip(plan.offsets[:a], lifetimes[:a], strict=True):
            meets = one.first <= two.last and two.first <= one.last
            apart = start + one.nbytes <= other or other + two.nbytes <= start
            assert apart or not meets
    assert plan.most_alive <= plan.nbytes <= 1.1 * plan.most_alive


def test_memory_of_programs_returns_to_the_pool():
    model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 256)).eval()
    run = lamina.compile(model)
    with lamina.no_grad():
        for size in range(1, 40):
            run(lamina.ones(size, 256))
        live = lamina.memory.stats().live
        for size in range(40, 80):
            run(lamina.ones(size, 256))
        # One program at a time holds an arena.
        assert lamina.memory.stats().live - live < 2 * 80 * 512 * 4 + (1 << 20)


def test_what_constants_are_computed_by_way_of_is_let_go():
    weight = lamina.randn(512, 512)
    x = lamina.randn(4, 512)
    double = lamina.compile(lambda x: x @ (weight * 2 + 1))
    gc.collect()
    gc.disable()
    try:
        before = lamina.memory.stats().live
        with lamina.no_grad():
            double(x)
        grown = lamina.memory.stats().live - before
    finally:
        gc.enable()
    # The packed weights stay, not the weights that they were packed from.
    nbytes = weight.numpy().nbytes
    assert nbytes <= grown < 1.75 * nbytes
