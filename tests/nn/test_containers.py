"""Containers: numbering, naming, editing."""

import pytest

import lamina
from lamina import nn
from lamina.errors import ArgumentError, DTypeError, IndexingError, StateError


def names(module):
    return [name for name, _ in module.named_children()]


def sizes(module):
    return [layer.out_features for layer in module]


def layers(*widths):
    return [nn.Linear(1, n) for n in widths]


def test_sequential_runs_in_order():
    net = nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (2, 3)))
    assert net(lamina.ones(3, 2)).shape == (2, 3)


def test_sequential_indexes_and_slices():
    net = nn.Sequential(*layers(1, 2, 3, 4))
    assert (net[1].out_features, net[-1].out_features) == (2, 4)
    part = net[1:3]
    assert isinstance(part, nn.Sequential)
    assert part[0] is net[1]
    assert list(part.state_dict()) == ["1.weight", "1.bias", "2.weight", "2.bias"]


def test_sequential_by_name():
    net = nn.Sequential({"a": nn.Tanh(), "b": nn.Identity()})
    assert names(net) == ["a", "b"]
    assert isinstance(net.a, nn.Tanh)
    assert isinstance(net[1], nn.Identity)


@pytest.mark.parametrize("kind", [nn.Sequential, nn.ModuleList])
def test_editing_renumbers(kind):
    found = kind()
    found.extend(layers(1, 2)).append(nn.Linear(1, 3)).insert(1, nn.Linear(1, 9))
    assert (sizes(found), names(found), len(found)) == ([1, 9, 2, 3], ["0", "1", "2", "3"], 4)
    del found[1]
    assert (sizes(found), names(found)) == ([1, 2, 3], ["0", "1", "2"])
    del found[1:]
    assert found.pop().out_features == 1
    assert len(found) == 0
    found.append(nn.Linear(1, 5))
    found[0] = nn.Linear(1, 6)
    assert sizes(found) == [6]


def test_module_list_adds_and_iterates():
    found = nn.ModuleList(layers(1, 2))
    found += layers(3)
    assert sizes(found + layers(4)) == [1, 2, 3, 4]
    assert sizes(found[::-1]) == [3, 2, 1]
    assert found[-1].out_features == 3
    assert sizes(nn.Sequential(*layers(1)) + nn.Sequential(*layers(2))) == [1, 2]


def test_the_same_module_twice_in_a_row():
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, layer)
    assert len(list(net.parameters())) == 2
    assert len(net) == 2
    assert net(lamina.ones(1, 2)).shape == (1, 2)


def test_module_dict():
    found = nn.ModuleDict([("a", nn.Tanh()), ("b", nn.ReLU())])
    found["c"] = nn.Identity()
    found.update({"a": nn.Sigmoid()})
    assert (found.keys(), list(found), len(found), "b" in found) == (
        ["a", "b", "c"],
        ["a", "b", "c"],
        3,
        True,
    )
    assert isinstance(found["a"], nn.Sigmoid)
    assert isinstance(found.pop("b"), nn.ReLU)
    del found["a"]
    assert [type(v).__name__ for v in found.values()] == ["Identity"]
    found.clear()
    assert found.items() == []


def test_parameter_list():
    found = nn.ParameterList([lamina.zeros(2), nn.Parameter(lamina.ones(3))])
    found.append(lamina.ones(1))
    found += [lamina.zeros(4)]
    found[0] = lamina.ones(5)
    assert [p.shape for p in found] == [(5,), (3,), (1,), (4,)]
    assert all(isinstance(p, nn.Parameter) for p in found)
    assert list(found.state_dict()) == ["0", "1", "2", "3"]
    assert (len(found[1:3]), found[-1].shape) == (2, (4,))
    assert repr(found[:2]) == (
        "ParameterList(\n"
        "    (0): Parameter containing: [lamina.float32 of size 5]\n"
        "    (1): Parameter containing: [lamina.float32 of size 3]\n"
        ")"
    )


def test_parameter_dict():
    found = nn.ParameterDict({"a": lamina.zeros(2)})
    found["b"] = nn.Parameter(lamina.ones(3))
    assert (found.keys(), len(found), "a" in found, list(found)) == (
        ["a", "b"],
        2,
        True,
        ["a", "b"],
    )
    assert [p.shape for p in found.values()] == [(2,), (3,)]
    assert found.pop("a").shape == (2,)
    del found["b"]
    found.update([("c", lamina.zeros(1))])
    assert [name for name, _ in found.items()] == ["c"]
    found.clear()
    assert repr(found) == "ParameterDict()"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda: nn.Sequential(*layers(1))[1], IndexingError, "part 1 of a Sequential of 1"),
        (lambda: nn.ModuleList().pop(), IndexingError, "part -1 of a ModuleList of 0"),
        (lambda: nn.ModuleList([3]), DTypeError, "with int; expected Module"),
        (lambda: nn.ModuleDict({"items": nn.Tanh()}), ArgumentError, "attribute 'items' already"),
        (lambda: nn.ModuleDict({"a": nn.Tanh()})["b"], StateError, "no part 'b'; it has a"),
        (lambda: nn.ModuleDict([(1, 2, 3)]), ArgumentError, "entry of 3 things"),
        (lambda: nn.ParameterList([1.0]), DTypeError, "expected Parameter"),
        (lambda: nn.ParameterList()[0], IndexingError, "parameter 0 of a ParameterList of 0"),
        (lambda: nn.ParameterDict()["a"], StateError, "no parameter 'a'; it has none"),
    ],
)
def test_a_wrong_use_is_a_typed_error(change, error, message):
    with pytest.raises(error, match=message):
        change()
