"""What all optimisers share: groups, state, memory, half precision, and what they refuse."""

import math

import numpy as np
import pytest

import lamina
from lamina import dtypes, optim
from lamina.autograd import no_grad
from lamina.codegen import threads
from lamina.errors import (
    ArgumentError,
    DTypeError,
    GradientError,
    LayoutError,
    ShapeError,
    StateError,
)
from lamina.kernels import jobs
from lamina.optim import sweep

ALL = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1),
    "Adamax": lambda p: optim.Adamax(p, lr=0.1),
    "NAdam": lambda p: optim.NAdam(p, lr=0.1),
    "RAdam": lambda p: optim.RAdam(p, lr=0.3),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.05),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.5),
    "Adadelta": lambda p: optim.Adadelta(p, lr=20.0),
    "Lion": lambda p: optim.Lion(p, lr=0.05),
}


@pytest.fixture
def team():
    before = threads.num_threads()
    yield
    threads.set_num_threads(before)


def leaf(values, dtype=dtypes.float32):
    return lamina.tensor(values, dtype=dtype, requires_grad=True)


def random_leaf(shape, seed=0, dtype=dtypes.float32):
    param = leaf(np.random.default_rng(seed).standard_normal(shape), dtype)
    param.grad = lamina.tensor(np.random.default_rng(seed + 1).standard_normal(shape), dtype=dtype)
    return param


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_finds_the_minimum_of_a_bowl(make):
    target = lamina.tensor([1.0, -2.0, 0.5])
    weight = leaf([0.0, 0.0, 0.0])
    optimizer = make([weight])
    for _ in range(150):
        optimizer.zero_grad()
        ((weight - target) ** 2).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(weight.detach().numpy(), target.numpy(), atol=0.06)


def test_lion_follows_its_paper():
    rng = np.random.default_rng(3)
    start, grads = rng.standard_normal(7), rng.standard_normal((20, 7))
    p, m = start.copy(), np.zeros(7)
    weight = leaf(start, dtypes.float64)
    optimizer = optim.Lion([weight], lr=0.02, betas=(0.8, 0.95), weight_decay=0.1)
    for g in grads:
        update = np.sign(0.8 * m + 0.2 * g)
        p = p - 0.02 * (update + 0.1 * p)
        m = 0.95 * m + 0.05 * g
        weight.grad = lamina.tensor(g)
        optimizer.step()
    np.testing.assert_allclose(weight.detach().numpy(), p, rtol=1e-13)


@pytest.mark.usefixtures("team")
@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_chunks_and_threads_do_not_change_a_bit(make, monkeypatch):
    results = []
    for chunk, count in ((7, 1), (64, 3), (64, 2), (1 << 20, 2)):
        monkeypatch.setattr(jobs, "CHUNK", chunk)
        threads.set_num_threads(count)
        weights = [
            random_leaf(shape, seed) for seed, shape in enumerate([(13, 17), (), (0,), (64,)])
        ]
        optimizer = make(weights)
        for _ in range(6):
            optimizer.step()
        results.append([w.detach().numpy().tobytes() for w in weights])
    assert all(found == results[0] for found in results)


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_without_kernels_numpy_does_the_same(make, monkeypatch):
    for dtype in (dtypes.float64, dtypes.bfloat16):
        results = []
        for can_compile in (True, False):
            monkeypatch.setattr(sweep, "compiles_here", lambda can=can_compile: can)
            weight = random_leaf((5, 4), dtype=dtype)
            optimizer = make([weight])
            for _ in range(6):
                optimizer.step()
            results.append(weight.detach().to(dtypes.float64).numpy())
        np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_strided_parameters_and_gradients(make):
    plain = random_leaf((6, 5))
    flipped = lamina.tensor(plain.detach().numpy().T.copy()).transpose(0, 1).detach()
    flipped.requires_grad_()
    assert not flipped.array.layout.is_contiguous
    flipped.grad = plain.grad.flip(0).flip(0)
    for optimizer in (make([plain]), make([flipped])):
        for _ in range(4):
            optimizer.step()
    assert np.array_equal(plain.detach().numpy(), flipped.detach().numpy())


@pytest.mark.parametrize("dtype", [dtypes.float16, dtypes.bfloat16], ids=str)
@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_half_precision_is_float32_rounded(make, dtype):
    half = random_leaf((4, 3), dtype=dtype)
    exact = leaf(half.detach().to(dtypes.float32))
    exact.grad = half.grad.to(dtypes.float32)
    for optimizer in (make([half]), make([exact])):
        for _ in range(20):
            optimizer.step()
    assert half.dtype is dtype
    assert np.array_equal(half.detach().numpy(), exact.detach().to(dtype).numpy())


def test_half_precision_keeps_steps_below_its_resolution():
    weight = leaf([1.0], dtypes.bfloat16)
    weight.grad = lamina.tensor([1.0], dtype=dtypes.bfloat16)
    optimizer = optim.SGD([weight], lr=1e-4)
    for _ in range(100):
        optimizer.step()
    assert weight.item() == pytest.approx(0.99, abs=2**-8)
    assert weight.item() < 1


def test_half_precision_weights_written_by_hand_count():
    weight = leaf([1.0, 1.0], dtypes.bfloat16)
    weight.grad = lamina.tensor([0.0, 0.0], dtype=dtypes.bfloat16)
    optimizer = optim.SGD([weight], lr=0.1)
    optimizer.step()
    with no_grad():
        weight.copy_(lamina.tensor([5.0, 1.0]))
    optimizer.step()
    assert weight.tolist() == [5.0, 1.0]


def test_step_writes_in_place_unrecorded():
    weight = random_leaf((3,))
    memory, version = weight.detach().numpy(), weight.version
    optim.Adam([weight]).step()
    assert weight.version == version + 1
    assert weight.is_leaf
    assert np.shares_memory(memory, weight.detach().numpy())


def test_a_saved_tensor_that_a_step_wrote_is_an_error():
    weight = random_leaf((3,))
    loss = (weight * weight).sum()
    optim.SGD([weight]).step()
    with pytest.raises(GradientError, match="written in place"):
        loss.backward()


def test_groups_have_their_own_options():
    a, b = random_leaf((2,)), random_leaf((2,))
    optimizer = optim.SGD([{"params": a, "lr": 1.0, "name": "head"}, {"params": [b]}], lr=0.5)
    before = a.detach().numpy().copy()
    optimizer.step()
    np.testing.assert_allclose(a.detach().numpy(), before - a.grad.numpy(), rtol=1e-6)
    np.testing.assert_allclose(b.detach().numpy(), before - 0.5 * b.grad.numpy(), rtol=1e-6)
    optimizer.param_groups[1]["lr"] = 0.0
    optimizer.step()
    np.testing.assert_allclose(b.detach().numpy(), before - 0.5 * b.grad.numpy(), rtol=1e-6)


def test_parameters_without_gradient_stay():
    moved, still = random_leaf((2,)), leaf([1.0])
    optimizer = optim.Adam([moved, still])
    optimizer.step()
    assert still.tolist() == [1.0]
    assert list(optimizer.state) == [moved]


def test_named_parameters_and_numbers_in_tensors():
    optimizer = optim.Adam([("w", leaf([1.0])), ("b", leaf([2.0]))], lr=lamina.tensor(0.25))
    assert optimizer.param_groups[0]["param_names"] == ["w", "b"]
    assert optimizer.param_groups[0]["lr"] == 0.25


def test_zero_grad():
    weight = random_leaf((2,))
    optimizer = optim.SGD([weight])
    optimizer.zero_grad(set_to_none=False)
    assert weight.grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert weight.grad is None


def test_closure_is_called_with_recording_on():
    weight = leaf([3.0])
    optimizer = optim.SGD([weight], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (weight * weight).sum()
        loss.backward()
        return loss

    with no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert weight.item() == 0.0


def test_state_dict_has_pytorchs_structure():
    optimizer = optim.Adam([{"params": [random_leaf((2,)), random_leaf(())]}], lr=0.5)
    optimizer.step()
    saved = optimizer.state_dict()
    assert saved["param_groups"][0]["params"] == [0, 1]
    assert saved["param_groups"][0]["lr"] == 0.5
    assert {k: v.shape for k, v in saved["state"][0].items()} == {
        "step": (),
        "exp_avg": (2,),
        "exp_avg_sq": (2,),
    }
    assert saved["state"][1]["step"].item() == 1.0


def test_loads_what_pytorch_saves():
    weight = random_leaf((2,))
    optimizer = optim.Adam([weight])
    running = {"foreach": None, "capturable": False, "differentiable": False, "fused": None}
    group = {"lr": 0.1, "betas": [0.5, 0.9], "eps": 1e-8, "weight_decay": 0, "amsgrad": False}
    moments = {"exp_avg": np.ones(2, np.float32), "exp_avg_sq": np.ones(2, np.float32)}
    optimizer.load_state_dict(
        {
            "state": {0: {"step": lamina.tensor(3.0), **moments}},
            "param_groups": [{**group, "maximize": False, **running, "params": [0]}],
        }
    )
    assert optimizer.param_groups[0]["betas"] == (0.5, 0.9)
    assert "foreach" not in optimizer.param_groups[0]
    optimizer.step()
    assert optimizer.state[weight]["step"].item() == 4.0


WRONG_STATES = {
    "not a state": (lambda s: [], "has no 'state'"),
    "group missing": (lambda s: s["param_groups"].clear(), "0 parameter groups were saved"),
    "size": (lambda s: s["param_groups"][0]["params"].append(1), "not one of 1 parameters"),
    "option missing": (lambda s: s["param_groups"][0].pop("eps"), "lacks 'eps'"),
    "foreign option": (lambda s: s["param_groups"][0].update(rho=1), "has an option 'rho'"),
    "shape": (
        lambda s: s["state"][0].update(exp_avg=lamina.zeros(3)),
        r"'exp_avg' of parameter 0 was saved with shape \(3,\); expected \(2,\)",
    ),
    "kind": (lambda s: s["state"][0].update(exp_avg="x"), "is a str"),
    "stray": (lambda s: s["state"].update({7: {}}), "parameter 7 is in no saved group"),
}


@pytest.mark.parametrize(("change", "message"), WRONG_STATES.values(), ids=WRONG_STATES)
def test_wrong_state_is_refused_whole(change, message):
    optimizer = optim.Adam([random_leaf((2,))])
    optimizer.step()
    saved = optimizer.state_dict()
    wrong = change(saved)
    with pytest.raises(StateError, match=message):
        optimizer.load_state_dict(saved if wrong != [] else wrong)
    assert optimizer.param_groups[0]["eps"] == 1e-8
    optimizer.step()


def computed():
    return leaf([1.0]) * 2


WRONG_ARGUMENTS = {
    "no parameters": (lambda: optim.SGD([]), ArgumentError, "no parameters given"),
    "empty group": (lambda: optim.SGD([{"params": []}]), ArgumentError, "group without param"),
    "no params key": (lambda: optim.SGD([{"lr": 1.0}]), ArgumentError, 'without "params"'),
    "tensor": (lambda: optim.SGD(leaf([1.0])), DTypeError, "expected a list of tensors"),
    "array": (lambda: optim.SGD([np.ones(2)]), DTypeError, "parameter 0 is a ndarray"),
    "integers": (lambda: optim.SGD([lamina.tensor([1])]), DTypeError, "is int64"),
    "not a leaf": (lambda: optim.SGD([computed()]), GradientError, "computed from other"),
    "expanded": (lambda: optim.SGD([lamina.ones(1).expand(4)]), LayoutError, "expanded"),
    "unknown": (lambda: optim.SGD([{"params": leaf([1.0]), "rho": 1}]), ArgumentError, "'rho'"),
    "negative lr": (lambda: optim.SGD([leaf([1.0])], lr=-1), ArgumentError, "lr=-1 given"),
    "NaN lr": (lambda: optim.Adam([leaf([1.0])], lr=math.nan), ArgumentError, "lr=nan"),
    "text lr": (lambda: optim.Adam([leaf([1.0])], lr="1"), DTypeError, "lr is a str"),
    "beta": (lambda: optim.Adam([leaf([1.0])], betas=(0.9, 1.0)), ArgumentError, r"betas\[1\]"),
    "one beta": (lambda: optim.Adam([leaf([1.0])], betas=0.9), ArgumentError, "a pair"),
    "group lr": (lambda: optim.SGD([{"params": leaf([1.0]), "lr": -2}]), ArgumentError, "lr=-2"),
    "nesterov": (lambda: optim.SGD([leaf([1.0])], nesterov=True), ArgumentError, "above 0"),
    "switch": (lambda: optim.Adam([leaf([1.0])], amsgrad=1), DTypeError, "True or False"),
}


@pytest.mark.parametrize(
    ("make", "error", "message"), WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_parameter_belongs_to_one_group():
    weight = leaf([1.0])
    with pytest.raises(ArgumentError, match="given twice"):
        optim.SGD([weight, weight])
    optimizer = optim.SGD([weight])
    with pytest.raises(ArgumentError, match="given twice"):
        optimizer.add_param_group({"params": [weight]})
    optimizer.add_param_group({"params": [leaf([1.0])]})
    assert len(optimizer.param_groups) == 2


def test_gradient_of_another_shape():
    weight = leaf([1.0, 2.0])
    weight.grad = lamina.ones(3)
    with pytest.raises(ShapeError, match=r"\(2,\) has a gradient of shape \(3,\)"):
        optim.SGD([weight]).step()


def test_read_only_parameter():
    values = np.ones(2, np.float32)
    values.flags.writeable = False
    weight = lamina.from_numpy(values).requires_grad_()
    weight.grad = lamina.ones(2)
    with pytest.raises(LayoutError, match="read-only"):
        optim.SGD([weight]).step()


def test_shows_its_options():
    assert repr(optim.SGD([leaf([1.0])], lr=0.5)).startswith("SGD (\n    group: 0\n    lr: 0.5\n")
