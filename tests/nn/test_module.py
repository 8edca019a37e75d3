"""What a module knows of its parts, saves, loads, converts, and whom it calls."""

import copy

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.errors import ArgumentError, DeviceError, DTypeError, StateError


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(lamina.ones(2))
        self.register_parameter("absent", None)
        self.register_buffer("seen", lamina.zeros(2))
        self.register_buffer("scratch", lamina.zeros(3), persistent=False)
        self.inner = nn.Linear(2, 2, bias=False)
        self.down = None

    def forward(self, x):
        return self.inner(x) * self.scale


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Block()
        self.second = Block()
        self.again = self.first

    def forward(self, x):
        return self.second(self.first(x))


def test_members_are_found_in_order_and_once():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == [
        *("first.scale", "first.inner.weight", "second.scale", "second.inner.weight")
    ]
    assert [name for name, _ in net.named_buffers()] == [
        *("first.seen", "first.scratch", "second.seen", "second.scratch")
    ]
    assert [name for name, _ in net.named_modules()] == [
        *("", "first", "first.inner", "second", "second.inner")
    ]
    assert [name for name, _ in net.named_children()] == ["first", "second"]
    assert [type(m).__name__ for m in net.modules()] == [
        "Net",
        "Block",
        "Linear",
        "Block",
        "Linear",
    ]
    assert list(net.parameters()) == [p for _, p in net.named_parameters()]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 6
    assert [name for name, _ in net.named_parameters("p", recurse=False)] == []
    assert [name for name, _ in net.first.named_parameters("p", recurse=False)] == ["p.scale"]


def test_state_has_every_name_of_a_shared_part_but_no_volatile_buffer():
    assert list(Net().state_dict()) == [
        f"{part}.{name}"
        for part in ("first", "second", "again")
        for name in ("scale", "seen", "inner.weight")
    ]


def test_tied_weights_are_one_parameter_by_two_names():
    net = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    net[1].weight = net[0].weight
    assert [name for name, _ in net.named_parameters()] == ["0.weight"]
    assert list(net.state_dict()) == ["0.weight", "1.weight"]
    net(lamina.tensor([1, 2])).sum().backward()
    assert net[0].weight.grad is net[1].weight.grad


def test_state_shares_memory_and_has_no_history():
    net = Block()
    state = net.state_dict()
    net.scale.detach().fill_(5.0)
    assert state["scale"].tolist() == [5.0, 5.0]
    assert not state["scale"].requires_grad
    assert net.state_dict(keep_vars=True)["scale"] is net.scale
    assert list(net.state_dict(prefix="a.b")) == ["a.b.scale", "a.b.seen", "a.b.inner.weight"]


def test_assignment_registers_replaces_and_forgets():
    block = Block()
    block.absent = nn.Parameter(lamina.zeros(1))
    assert [name for name, _ in block.named_parameters()] == ["scale", "absent", "inner.weight"]
    block.scale = None
    assert [name for name, _ in block.named_parameters()] == ["absent", "inner.weight"]
    block.seen = lamina.ones(4)
    assert block.state_dict()["seen"].shape == (4,)
    block.down = nn.Identity()
    assert [name for name, _ in block.named_children()] == ["inner", "down"]
    del block.inner
    assert "inner" not in dict(block.named_children())
    with pytest.raises(AttributeError):
        _ = block.inner


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda m: setattr(m, "scale", lamina.ones(2)),
            DTypeError,
            "expected nn.Parameter or None",
        ),
        (lambda m: setattr(m, "seen", 1.0), DTypeError, "Block.seen is a buffer; float was"),
        (lambda m: setattr(m, "inner", 3), DTypeError, "expected nn.Module or None"),
        (lambda m: m.register_buffer("a.b", lamina.ones(1)), ArgumentError, "without dots"),
        (lambda m: m.register_module("", nn.Identity()), ArgumentError, "not empty"),
        (lambda m: m.register_module("forward", nn.Identity()), ArgumentError, "already"),
        (lambda m: m.register_parameter("p", lamina.ones(1)), DTypeError, "expected Parameter"),
        (lambda m: m.add_module("p", "text"), DTypeError, "with str; expected Module or None"),
        (lambda m: m.get_submodule("inner.x"), StateError, "Linear has no part 'x'"),
        (lambda m: m.get_parameter("seen"), StateError, "no parameter 'seen'"),
        (lambda m: m.get_buffer("inner.weight"), StateError, "no buffer 'inner.weight'"),
        (lambda m: m.to("cuda"), DeviceError, "CPU"),
        (lambda m: m.to(lamina.int32), DTypeError, "converted to int32"),
        (lambda m: m.load_state_dict([1, 2]), StateError, "given list as state"),
        (lambda m: m.load_state_dict({"scale": 3}, False), StateError, "scale is int in"),
    ],
)
def test_a_wrong_use_is_a_typed_error(change, error, message):
    with pytest.raises(error, match=message):
        change(Block())


def test_a_property_of_the_same_name_is_what_is_read():
    class Shadowed(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(lamina.ones(2))

        @property
        def weight(self):
            return "read"

    module = Shadowed()
    assert module.weight == "read"
    assert module.state_dict()["weight"].tolist() == [1.0, 1.0]


def test_parts_before_init_are_refused():
    class Hasty(nn.Module):
        def __init__(self):
            self.inner = nn.Linear(1, 1)
            super().__init__()

    with pytest.raises(ArgumentError, match=r"Hasty assigns 'inner' before super"):
        Hasty()


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        nn.Module()(1)


def test_getting_by_dotted_name():
    net = Net()
    assert net.get_submodule("second.inner") is net.second.inner
    assert net.get_submodule("") is net
    assert net.get_parameter("second.inner.weight") is net.second.inner.weight
    assert net.get_buffer("first.scratch") is net.first.scratch


def test_loading_copies_values_of_any_dtype():
    net, other = Net(), Net().double()
    state = {name: value.numpy() + 1 for name, value in other.state_dict().items()}
    weight = net.first.inner.weight
    assert net.load_state_dict(state) == ([], [])
    assert net.first.inner.weight is weight
    assert weight.dtype is lamina.float32
    np.testing.assert_array_equal(weight.detach().numpy(), state["again.inner.weight"].astype("f4"))


def test_a_state_that_does_not_fit_changes_nothing():
    net = Net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    del state["second.scale"]
    state["third"] = state["first.scale"]
    state["first.inner.weight"] = lamina.ones(3, 2)
    with pytest.raises(StateError) as caught:
        net.load_state_dict(state)
    assert str(caught.value) == (
        "the given state does not fit Net: missing second.scale; unexpected third; mis-shaped "
        "first.inner.weight of shape (3, 2), expected (2, 2); nothing was loaded"
    )
    with pytest.raises(StateError, match="mis-shaped"):
        net.load_state_dict(state, strict=False)
    for name, value in net.state_dict().items():
        assert value.tolist() == before[name].tolist()


def test_a_lenient_load_says_what_it_passed_over():
    net = Net()
    missed = net.load_state_dict({"first.scale": lamina.zeros(2), "x": 1}, strict=False)
    assert missed.unexpected_keys == ["x"]
    assert "second.scale" in missed.missing_keys
    assert net.first.scale.tolist() == [0.0, 0.0]


def test_a_read_only_parameter_is_found_before_anything_is_written():
    net = nn.Linear(2, 1)
    fixed = np.zeros(1, np.float32)
    fixed.flags.writeable = False
    net.bias = nn.Parameter(lamina.from_numpy(fixed))
    before = net.weight.tolist()
    with pytest.raises(lamina.errors.LayoutError):
        net.load_state_dict({"weight": lamina.zeros(1, 2), "bias": lamina.ones(1)})
    assert net.weight.tolist() == before


def test_conversion_keeps_the_parameters_and_converts_their_gradients():
    net = nn.BatchNorm1d(2)
    weight, count = net.weight, net.num_batches_tracked
    net(lamina.tensor([[1.0, 2.0], [3.0, 5.0]])).sum().backward()
    assert net.double() is net
    assert net.weight is weight
    assert weight.dtype is weight.grad.dtype is net.running_mean.dtype is lamina.float64
    assert count.dtype is lamina.int64
    for method, dtype in (
        (net.float, lamina.float32),
        (net.half, lamina.float16),
        (net.bfloat16, lamina.bfloat16),
    ):
        assert method().weight.dtype is dtype
    assert net.to(lamina.zeros(1)).weight.dtype is lamina.float32
    assert net.to("cpu", "float64").weight.dtype is lamina.float64
    assert net.cpu() is net


def test_modes_reach_every_part():
    net = Net().eval()
    assert [m.training for m in net.modules()] == [False] * 5
    net.second.train()
    assert (net.first.training, net.second.inner.training) == (False, True)
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())


def test_zero_grad_forgets_or_writes_zeros():
    net = nn.Linear(2, 1)
    net(lamina.ones(1, 2)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.weight.grad.tolist() == [[0.0, 0.0]]
    net.zero_grad()
    assert net.weight.grad is None


def test_apply_visits_parts_first():
    seen = []
    net = Net()
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "Block", "Linear", "Block", "Net"]


def test_a_copy_is_apart_and_keeps_what_is_shared_inside():
    net = Net()
    twin = copy.deepcopy(net)
    assert twin.again is twin.first
    assert isinstance(twin.first.scale, nn.Parameter)
    twin.first.scale.detach().fill_(7.0)
    assert net.first.scale.tolist() == [1.0, 1.0]


def test_parameters_share_memory_and_print():
    values = lamina.zeros(2)
    parameter = nn.Parameter(values, requires_grad=False)
    values.fill_(3.0)
    assert repr(parameter) == "Parameter([3., 3.])"
    assert type(parameter + 1) is lamina.Tensor
    assert nn.Parameter().shape == (0,)


def test_printing_a_module_of_ones_own():
    assert repr(Block()) == (
        "Block(\n  (inner): Linear(in_features=2, out_features=2, bias=False)\n)"
    )
