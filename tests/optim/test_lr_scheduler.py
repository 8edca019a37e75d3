"""What schedules refuse, and how they meet hands that change the rate. The rates: test_golden."""

import pytest

import lamina
from lamina import optim
from lamina.errors import ArgumentError, DTypeError, StateError
from lamina.optim import lr_scheduler as s


def sgd(groups=1, **options):
    params = [{"params": [lamina.zeros(1, requires_grad=True)]} for _ in range(groups)]
    return optim.SGD(params, lr=1.0, **options)


def test_a_rate_changed_by_hand_stays_changed():
    optimizer = sgd()
    schedule = s.ExponentialLR(optimizer, 0.5)
    optimizer.param_groups[0]["lr"] = 8.0
    schedule.step()
    assert schedule.get_last_lr() == [4.0]


def test_two_schedules_multiply():
    optimizer = sgd()
    schedules = [s.ExponentialLR(optimizer, 0.5), s.StepLR(optimizer, 2, 0.1)]
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        for schedule in schedules:
            schedule.step()
    assert rates == pytest.approx([1.0, 0.5, 0.025, 0.0125])


def test_warm_restarts_at_a_fraction_of_an_epoch():
    schedule = s.CosineAnnealingWarmRestarts(sgd(), T_0=2, T_mult=2)
    for epoch, expected in ((0.5, 0.8535533905932737), (2, 1.0), (4, 0.5), (6.0, 1.0)):
        schedule.step(epoch)
        assert schedule.get_last_lr() == [pytest.approx(expected)]


def test_one_cycle_moves_beta1_of_adams_kin():
    optimizer = optim.AdamW([lamina.zeros(1, requires_grad=True)])
    schedule = s.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    assert optimizer.param_groups[0]["betas"] == (0.95, 0.999)
    for _ in range(2):
        schedule.step()
    assert optimizer.param_groups[0]["betas"] == (0.85, 0.999)
    assert schedule.get_last_lr() == [1.0]


def test_one_cycle_ends():
    schedule = s.OneCycleLR(sgd(momentum=0.9), max_lr=1.0, total_steps=2)
    schedule.step()
    schedule.step()
    with pytest.raises(ArgumentError, match="step 3 of a schedule of 2"):
        schedule.step()


def test_goes_on_from_last_epoch():
    optimizer = sgd()
    s.StepLR(optimizer, 2, 0.1)
    schedule = s.StepLR(optimizer, 2, 0.1, last_epoch=1)
    assert schedule.get_last_lr() == [pytest.approx(0.1)]
    with pytest.raises(StateError, match="no 'initial_lr'"):
        s.StepLR(sgd(), 2, last_epoch=1)


def test_schedules_inside_schedules():
    optimizer = sgd()
    both = s.ChainedScheduler([s.ConstantLR(optimizer, 0.5, 2), s.ExponentialLR(optimizer, 0.5)])
    schedule = s.SequentialLR(optimizer, [s.StepLR(optimizer, 1, 0.1), both], [2])
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    assert rates == pytest.approx([1.0, 0.1, 0.5, 0.25, 0.25, 0.125])


def test_rates_survive_a_restore_without_the_optimiser():
    schedule = s.ExponentialLR(sgd(), 0.5)
    schedule.step()
    other = sgd()
    s.ExponentialLR(other, 0.5).load_state_dict(schedule.state_dict())
    assert other.param_groups[0]["lr"] == 0.5


def test_plateau_takes_a_tensor():
    schedule = s.ReduceLROnPlateau(sgd(), patience=0)
    schedule.step(lamina.tensor(1.0))
    schedule.step(lamina.tensor([1.0]))
    assert schedule.get_last_lr() == [pytest.approx(0.1)]


WRONG = {
    "optimizer": (lambda: s.StepLR("x", 1), DTypeError, "was given a str"),
    "step_size": (lambda: s.StepLR(sgd(), 0), ArgumentError, "step_size=0"),
    "gamma": (lambda: s.ExponentialLR(sgd(), -1), ArgumentError, "gamma=-1"),
    "milestones": (lambda: s.MultiStepLR(sgd(), [1.5]), ArgumentError, "milestone=1.5"),
    "factor": (lambda: s.ConstantLR(sgd(), 2.0), ArgumentError, "factor=2.0"),
    "start": (lambda: s.LinearLR(sgd(), 0.0), ArgumentError, "start_factor=0.0"),
    "T_max": (lambda: s.CosineAnnealingLR(sgd(), 2.5), ArgumentError, "T_max=2.5"),
    "T_mult": (lambda: s.CosineAnnealingWarmRestarts(sgd(), 2, 0), ArgumentError, "T_mult=0"),
    "length": (lambda: s.OneCycleLR(sgd(), 1.0), ArgumentError, "no length given"),
    "anneal": (
        lambda: s.OneCycleLR(sgd(), 1.0, 9, anneal_strategy="sine"),
        ArgumentError,
        "'cos' or 'linear'",
    ),
    "no momentum": (
        lambda: s.OneCycleLR(optim.Adagrad([lamina.zeros(1)]), 1.0, 9),
        ArgumentError,
        "Adagrad has no momentum",
    ),
    "per group": (lambda: s.OneCycleLR(sgd(2), [1.0], 9), ArgumentError, "1 values of max_lr"),
    "lambdas": (lambda: s.LambdaLR(sgd(2), [float]), ArgumentError, "1 functions given for 2"),
    "mode": (lambda: s.ReduceLROnPlateau(sgd(), "less"), ArgumentError, "mode='less'"),
    "plateau factor": (lambda: s.ReduceLROnPlateau(sgd(), factor=1.0), ArgumentError, "factor=1.0"),
    "none chained": (lambda: s.ChainedScheduler([]), ArgumentError, "no schedules"),
    "other optimizer": (
        lambda: s.SequentialLR(sgd(), [s.StepLR(sgd(), 1)], []),
        ArgumentError,
        "another optimiser",
    ),
    "plateau within": (
        lambda: s.ChainedScheduler([s.ReduceLROnPlateau(sgd())]),
        ArgumentError,
        "needs no argument",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_milestones_fit_the_schedules():
    optimizer = sgd()
    parts = [s.StepLR(optimizer, 1), s.StepLR(optimizer, 1)]
    with pytest.raises(ArgumentError, match="expected 1 in ascending order"):
        s.SequentialLR(optimizer, parts, [1, 2])


def test_groups_added_later_are_noticed():
    optimizer = sgd()
    schedule = s.StepLR(optimizer, 1)
    optimizer.add_param_group({"params": [lamina.zeros(1)]})
    with pytest.raises(StateError, match="made for 1 parameter groups; the optimiser has 2"):
        schedule.step()


def test_wrong_state_is_refused():
    schedule = s.StepLR(sgd(), 3)
    with pytest.raises(StateError, match="lacks 'step_size'"):
        schedule.load_state_dict(s.ExponentialLR(sgd(), 0.5).state_dict())
    with pytest.raises(StateError, match="rates of 2 groups"):
        schedule.load_state_dict(s.StepLR(sgd(2), 3).state_dict())
    chained = s.ChainedScheduler([schedule])
    with pytest.raises(StateError, match="not one of 1 schedules"):
        chained.load_state_dict(schedule.state_dict())
