"""Hooks around a module's forward and backward pass."""

import pytest

import lamina
from lamina import nn


class Twice(nn.Module):
    def forward(self, x, *, plus=0.0):
        return x * 2 + plus


def test_forward_hooks_see_and_replace():
    module, seen = Twice(), []
    module.register_forward_pre_hook(lambda m, args: seen.append(args) or (args[0] + 1,))
    module.register_forward_hook(lambda m, args, out: seen.append((args, out)) or out * 10)
    x = lamina.tensor(1.0)
    assert module(x).item() == 40.0
    assert seen[0] == (x,)
    assert seen[1][1].item() == 4.0


def test_a_pre_hook_may_return_one_value_alone():
    module = Twice()
    module.register_forward_pre_hook(lambda m, args: args[0] + 1)
    assert module(lamina.tensor(1.0)).item() == 4.0


def test_hooks_that_return_nothing_change_nothing():
    module = Twice()
    module.register_forward_pre_hook(lambda m, args: None)
    module.register_forward_hook(lambda m, args, out: None)
    assert module(lamina.tensor(1.0)).item() == 2.0


def test_hooks_with_keywords():
    module = Twice()
    module.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"plus": kwargs["plus"] + 1}), with_kwargs=True
    )
    module.register_forward_hook(
        lambda m, args, kwargs, out: out + 100 * kwargs["plus"], with_kwargs=True
    )
    module.register_forward_pre_hook(lambda m, args, kwargs: None, with_kwargs=True)
    assert module(lamina.tensor(1.0), plus=1.0).item() == 204.0


def test_order_and_removal():
    module, seen = Twice(), []
    module.register_forward_hook(lambda *_: seen.append("first"))
    module.register_forward_hook(lambda *_: seen.append("before"), prepend=True)
    handle = module.register_forward_hook(lambda *_: seen.append("gone"))
    handle.remove()
    handle.remove()
    with module.register_forward_hook(lambda *_: seen.append("inside")):
        module(lamina.tensor(1.0))
    module(lamina.tensor(1.0))
    assert seen == ["before", "first", "inside", "before", "first"]


def test_a_backward_hook_sees_both_ends_and_may_replace():
    module, seen = Twice(), []

    def hook(owner, grad_input, grad_output):
        seen.append((owner, grad_input[0].tolist(), grad_output[0].tolist()))
        return (grad_input[0] * 10,)

    module.register_full_backward_hook(hook)
    x = lamina.tensor([1.0, 2.0], requires_grad=True)
    (module(x) * 3 + x).sum().backward()
    assert seen == [(module, [6.0, 6.0], [3.0, 3.0])]
    assert x.grad.tolist() == [61.0, 61.0]


def test_a_backward_hook_of_several_values():
    class Pair(nn.Module):
        def forward(self, x, label, y):
            return x * y, label, x + y

    module, seen = Pair(), []
    module.register_full_backward_hook(lambda m, into, out: seen.append((into, out)))
    x, y = (lamina.tensor(v, requires_grad=True) for v in (2.0, 5.0))
    product, _, total = module(x, "name", y)
    (product + total * 10).backward()
    ((into, out),) = seen
    assert [None if g is None else g.item() for g in into] == [15.0, None, 12.0]
    assert [None if g is None else g.item() for g in out] == [1.0, None, 10.0]


def test_a_backward_hook_of_a_first_layer_has_no_input_gradient():
    module, seen = nn.Linear(2, 1), []
    module.register_full_backward_hook(lambda m, into, out: seen.append((into, out[0].tolist())))
    module(lamina.ones(3, 2)).sum().backward()
    assert seen == [((None,), [[1.0]] * 3)]


def test_a_backward_hook_rests_without_grad():
    module = Twice()
    module.register_full_backward_hook(lambda *_: pytest.fail("called"))
    with lamina.no_grad():
        assert module(lamina.tensor(1.0, requires_grad=True)).item() == 2.0
