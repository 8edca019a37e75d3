"""Optimisers and schedules against PyTorch's numbers (tests/golden/optim_torch.py), in float64."""

from pathlib import Path

import numpy as np
import pytest
from golden import optim_cases as cases

import lamina
from lamina import optim
from lamina.optim import lr_scheduler

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "optim.npz")


def parameters():
    start, _ = cases.problem()
    return [lamina.tensor(p, requires_grad=True) for p in start]


def make_optimizer(params, name, options):
    groups = [{"params": params[:1]}, {"params": params[1:], "lr": 0.01}]
    return getattr(optim, name)(groups, **options)


def run(params, optimizer, grads):
    for gradient in grads:
        for param, g in zip(params, gradient, strict=True):
            param.grad = lamina.tensor(g)
        optimizer.step()


def flat(params):
    return np.concatenate([p.detach().numpy().ravel() for p in params])


@pytest.mark.parametrize("case", cases.OPTIMIZERS)
def test_trajectory_is_pytorchs(case):
    _, grads = cases.problem()
    params = parameters()
    optimizer = make_optimizer(params, *cases.OPTIMIZERS[case])
    done = 0
    for kept, expected in zip(cases.KEPT, GOLDEN[case], strict=True):
        run(params, optimizer, grads[done:kept])
        done = kept
        np.testing.assert_allclose(flat(params), expected, rtol=1e-12, atol=1e-13)
    state = optimizer.state_dict()["state"].get(0, {})
    assert sorted(state) == GOLDEN[f"state_{case}"].tolist()


@pytest.mark.parametrize("case", cases.OPTIMIZERS)
def test_resumed_from_saved_state_is_the_same_run(case):
    _, grads = cases.problem()
    whole = parameters()
    run(whole, make_optimizer(whole, *cases.OPTIMIZERS[case]), grads)

    first = parameters()
    optimizer = make_optimizer(first, *cases.OPTIMIZERS[case])
    run(first, optimizer, grads[:11])
    second = [lamina.tensor(p.detach(), requires_grad=True) for p in first]
    name, _ = cases.OPTIMIZERS[case]
    resumed = make_optimizer(second, name, {})
    resumed.load_state_dict(optimizer.state_dict())
    run(first, optimizer, grads[11:13])  # the states are apart
    run(second, resumed, grads[11:])
    assert np.array_equal(flat(second), flat(whole))


def make_schedule(case):
    first, second = (lamina.zeros(1, requires_grad=True) for _ in range(2))
    groups = [{"params": [first], "lr": 0.5}, {"params": [second], "lr": 0.02}]
    optimizer = optim.SGD(groups, momentum=0.9)
    return optimizer, cases.SCHEDULES[case](lr_scheduler, optimizer)


def rates(optimizer, schedule, epochs):
    rows = []
    for epoch in epochs:
        groups = optimizer.param_groups
        assert schedule.get_last_lr() == [group["lr"] for group in groups]
        rows.append([groups[0]["lr"], groups[1]["lr"], groups[0]["momentum"]])
        if isinstance(schedule, lr_scheduler.ReduceLROnPlateau):
            schedule.step(cases.metric(epoch))
        else:
            schedule.step()
    return np.array(rows)


@pytest.mark.parametrize("case", cases.SCHEDULES)
def test_rates_are_pytorchs(case):
    found = rates(*make_schedule(case), range(cases.EPOCHS))
    np.testing.assert_allclose(found, GOLDEN[f"rates_{case}"], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("case", cases.SCHEDULES)
def test_rates_go_on_after_a_restore(case):
    optimizer, schedule = make_schedule(case)
    rates(optimizer, schedule, range(17))
    saved, saved_optimizer = schedule.state_dict(), optimizer.state_dict()
    expected = rates(optimizer, schedule, range(17, cases.EPOCHS))

    restored, resumed = make_schedule(case)
    resumed.load_state_dict(saved)
    restored.load_state_dict(saved_optimizer)
    assert np.array_equal(rates(restored, resumed, range(17, cases.EPOCHS)), expected)
