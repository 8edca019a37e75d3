"""Compiled functions: the bits of eager ones, values and gradients, call after call."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn, optim
from lamina.errors import AnomalyError, ArgumentError, CaptureError, GuardError
from lamina.graph.captured import capture
from lamina.graph.interpret import carry_out
from lamina.graph.trees import flatten


def same(a, b):
    a, b = (x.detach().numpy() for x in (a, b))
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


def network(dropout=0.0, norm=True):
    lamina.manual_seed(3)
    layers = [nn.Conv2d(2, 5, 3, padding=1)]
    layers += [nn.BatchNorm2d(5)] if norm else []
    layers += [nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(dropout), nn.Linear(45, 7)]
    return nn.Sequential(*layers)


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=1e-2),
    "adam": lambda p: optim.Adam(p, lr=1e-2),
    "adamw": lambda p: optim.AdamW(p, lr=1e-2, amsgrad=True),
    "rmsprop": lambda p: optim.RMSprop(p, lr=1e-2, momentum=0.5),
    "nadam": lambda p: optim.NAdam(p, lr=1e-2),
    "lion": lambda p: optim.Lion(p, lr=1e-3),
}


def trainer(make, **options):
    model = network(**options).train()
    optimizer = make(model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss

    return model, optimizer, step


def batch(size=4):
    rng = np.random.default_rng(size)
    x = lamina.tensor(rng.standard_normal((size, 2, 6, 6)).astype(np.float32))
    return x, lamina.tensor(rng.integers(0, 7, size))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_gives_the_bits_of_eager_training(name):
    eager, compiled = (trainer(OPTIMIZERS[name], dropout=0.3) for _ in range(2))
    run = lamina.compile(compiled[2])
    states = []
    for model_step in (eager[2], run):
        lamina.manual_seed(11)
        states.append([model_step(*batch(size)) for size in (4, 4, 3, 4)])
    for a, b in zip(*states, strict=True):
        same(a, b)
    known = [model.state_dict() for model in (eager[0], compiled[0])]
    assert known[0].keys() == known[1].keys()
    for key in known[0]:
        same(known[0][key], known[1][key])
    for a, b in zip(eager[1].state.values(), compiled[1].state.values(), strict=True):
        for key in a:
            same(a[key], b[key])


def test_a_schedule_reaches_the_program():
    losses = []
    for compiles in (False, True):
        model, optimizer, step = trainer(OPTIMIZERS["adam"])
        schedule = optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
        run = lamina.compile(step) if compiles else step
        for _ in range(4):
            last = run(*batch())
            schedule.step()
        losses.append((last, model))
    same(losses[0][0], losses[1][0])
    for a, b in zip(losses[0][1].parameters(), losses[1][1].parameters(), strict=True):
        same(a, b)


def test_an_option_that_changes_the_formula_is_followed():
    found = []
    for compiles in (False, True):
        model, optimizer, step = trainer(OPTIMIZERS["adam"])
        run = lamina.compile(step) if compiles else step
        run(*batch())
        optimizer.param_groups[0]["weight_decay"] = 0.1
        run(*batch())
        optimizer.load_state_dict(optimizer.state_dict())
        run(*batch())
        found.append(model.state_dict())
    for a, b in zip(found[0].values(), found[1].values(), strict=True):
        same(a, b)


def test_gradients_that_nobody_used_are_left_on_the_leaves():
    model = network().eval()
    x, y = batch()

    def backward(x, y):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    expected = backward(x, y)
    eager = [p.grad for p in model.parameters()]
    model.zero_grad()
    run = lamina.compile(backward)
    for _ in range(2):
        model.zero_grad()
        same(run(x, y), expected)
        for p, grad in zip(model.parameters(), eager, strict=True):
            same(p.grad, grad)


def test_a_module_follows_its_mode_and_its_weights():
    model = network(dropout=0.5)
    run = lamina.compile(model)
    x, _ = batch()
    with lamina.no_grad():
        for mode in (True, False, True, False):
            model.train(mode)
            state = lamina.get_rng_state()
            before = {k: v.clone() for k, v in model.state_dict().items()}
            expected = model(x)
            after = {k: v.clone() for k, v in model.state_dict().items()}
            model.load_state_dict(before)
            lamina.set_rng_state(state)
            found = run(x)
            if mode:
                same(found, expected)
            else:
                # The batch norm has become part of the weights, which rounds them once more.
                np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=0, atol=1e-6)
            for key, value in model.state_dict().items():
                same(value, after[key])
            # A change in place is seen by the next call.
            model[0].weight.mul_(0.5)


def test_interpreter_and_program_agree_with_eager():
    model, _, step = trainer(OPTIMIZERS["adam"])
    x, y = batch()
    tensors = []
    structure = flatten(((x, y), {}), tensors)
    captured = capture(step, structure, tensors)
    numbers = [lamina.memory.of_numpy(feed.example) for feed in captured.feeds]
    (loss,) = carry_out(captured.graph, [x.array, y.array, *numbers])
    other, _, other_step = trainer(OPTIMIZERS["adam"])
    assert loss.numpy().tobytes() == other_step(x, y).detach().numpy().tobytes()
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        same(a, b)


def test_nested_arguments_keywords_and_results():
    @lamina.compile
    def run(pair, *, scale, names):
        a, b = pair
        return {"sum": (a + b) * scale, "all": [a, (b, names["x"] * 2)], "n": 3}

    a, b, c = (lamina.tensor([float(n), 1.0]) for n in range(3))
    for scale in (2.0, 3.0):
        out = run((a, b), scale=scale, names={"x": c})
        assert out["sum"].tolist() == ((a + b) * scale).tolist()
        assert out["all"][0].tolist() == a.tolist()
        assert out["all"][1][1].tolist() == (c * 2).tolist()
        assert out["n"] == 3
        assert out["all"][0].array.storage is not a.array.storage


def test_writes_into_views_and_outside_memory():
    state = lamina.zeros(3, 4)

    def put(x):
        local = lamina.zeros(2, 3)
        local[0] = x
        local[:, 1] += 5.0
        state[1, :3] = local.sum(0)
        state.mul_(2.0)
        return local, state * 1

    x = lamina.tensor([1.0, 2.0, 3.0])
    expected = [[t.tolist() for t in put(x)] for _ in range(3)]
    state.zero_()
    run = lamina.compile(put)
    assert [[t.tolist() for t in run(x)] for _ in range(3)] == expected


def test_a_branch_on_a_value_names_the_line():
    @lamina.compile
    def run(x):
        return x if (x > 0).all() else -x  # the line

    with pytest.raises(CaptureError, match=r"test_compile.py:\d+: .*\n?.*lamina.where"):
        run(lamina.ones(3))


def test_random_numbers_that_would_be_frozen_are_refused():
    @lamina.compile
    def run(x):
        return x + lamina.randn(3)

    with pytest.raises(CaptureError, match="draw them outside"):
        run(lamina.ones(3))


def test_inputs_of_other_layouts_shapes_and_dtypes():
    @lamina.compile
    def run(x):
        return (x * 2 + 1).sum(0)

    for x in (lamina.ones(4, 3), lamina.ones(3, 4).T, lamina.ones(8, 3)[::2], lamina.ones(0, 3)):
        assert run(x).tolist() == ((x * 2 + 1).sum(0)).tolist()
        assert run(x.to(lamina.int32)).dtype is (x.to(lamina.int32) * 2).sum(0).dtype


def test_threads_change_no_bit():
    found = []
    for count in (1, 2, 3, 7):
        lamina.set_num_threads(count)
        _, _, step = trainer(OPTIMIZERS["adam"])
        run = lamina.compile(step)
        found.append([run(*batch(16)).detach().numpy().tobytes() for _ in range(3)])
    assert all(one == found[0] for one in found)


def test_declared_sizes():
    batch = lamina.Dim("batch", max=8)
    model = network(norm=False).eval()
    run = lamina.compile(model, dynamic={"x": {0: batch}})
    x = lamina.randn(9, 2, 6, 6)
    for size in (8, 3, 1):
        same(run(x[:size]), model(x[:size]))
    with pytest.raises(GuardError, match="size 9; batch was declared from 1 to 8"):
        run(x)
    both = lamina.compile(lambda a, b: a + b, dynamic={"a": {0: batch}, "b": {0: batch}})
    with pytest.raises(GuardError, match=r"size 1, and .* has 2"):
        both(lamina.ones(2), lamina.ones(1))
    with pytest.raises(ArgumentError, match="no argument 'c'"):
        lamina.compile(lambda a: a, dynamic={"c": {0: batch}})
    with pytest.raises(ArgumentError, match="0 ≤ min ≤ max"):
        lamina.Dim("n", min=3, max=2)


def test_checked_programs_write_nothing_that_is_not_finite():
    state = lamina.zeros(2)

    @lamina.compile(check=True)
    def run(x):
        state.add_(1.0 / x)
        return state.sum()

    run(lamina.tensor([1.0, 2.0]))
    assert state.tolist() == [1.0, 0.5]
    for bad in ([1.0, 0.0], [float("nan"), 1.0]):
        with pytest.raises(AnomalyError, match="nothing was written"):
            run(lamina.tensor(bad))
        assert state.tolist() == [1.0, 0.5]


def test_outputs_into_given_tensors():
    model = network(norm=False).eval()
    run = lamina.compile(model)
    x, _ = batch()
    out = lamina.empty(4, 7)
    with lamina.no_grad():
        before = out.version
        assert run.into(out, x) is out
        same(out, model(x))
        assert out.version == before + 1
        for bad in (lamina.empty(4, 8), lamina.empty(7, 4).T, out.to(lamina.float64)):
            with pytest.raises(GuardError, match="expected contiguous float32"):
                run.into(bad, x)


def test_a_parameter_that_moved_is_followed():
    model = nn.Linear(3, 2)
    run = lamina.compile(model)
    x = lamina.ones(1, 3)
    with lamina.no_grad():
        same(run(x), model(x))
        model.to(lamina.float64)
        same(run(x.double()), model(x.double()))
        model.weight = nn.Parameter(lamina.zeros(2, 3, dtype=lamina.float64))
        same(run(x.double()), model(x.double()))


def test_a_failing_step_moves_nothing(monkeypatch):
    model, optimizer, step = trainer(OPTIMIZERS["adam"], dropout=0.5)
    run = lamina.compile(step)
    run(*batch())
    before = {k: v.tolist() for k, v in model.state_dict().items()}
    states = [{k: v.tolist() for k, v in s.items()} for s in optimizer.state.values()]
    random = lamina.get_rng_state()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("lamina.graph.program.Program.run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(*batch())
    assert before == {k: v.tolist() for k, v in model.state_dict().items()}
    assert states == [{k: v.tolist() for k, v in s.items()} for s in optimizer.state.values()]
    assert random == lamina.get_rng_state()


def test_several_threads_run_one_program():
    model = network(norm=False).eval()
    run = lamina.compile(model)
    inputs = [lamina.randn(4, 2, 6, 6) for _ in range(8)]
    with lamina.no_grad():
        expected = [model(x) for x in inputs]
        run(inputs[0])

    def work(x):
        with lamina.no_grad():
            return [run(x) for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(work, inputs), expected, strict=True):
            for one in found:
                same(one, wanted)
