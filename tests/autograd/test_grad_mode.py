"""Whether operations are recorded: by block, by function, by thread."""

import threading

import pytest

import lamina
from lamina import autograd
from lamina.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)


@pytest.mark.parametrize("mode", [no_grad, inference_mode])
def test_nothing_is_recorded_inside(mode: type) -> None:
    x = lamina.tensor(1.0, requires_grad=True)
    with mode():
        assert not (x * 2.0).requires_grad
        with enable_grad():
            assert (x * 2.0).requires_grad
        assert not is_grad_enabled()
    assert is_grad_enabled()


@pytest.mark.parametrize("decorate", [no_grad(), no_grad, inference_mode()])
def test_as_a_decorator_it_holds_for_the_calls(decorate: object) -> None:
    enabled = decorate(is_grad_enabled)
    assert is_grad_enabled()
    assert not enabled()
    assert is_grad_enabled()


def test_decorating_does_not_switch_the_mode() -> None:
    @set_grad_enabled(False)
    def enabled() -> bool:
        return is_grad_enabled()

    assert is_grad_enabled()
    assert not enabled()
    assert is_grad_enabled()


def test_a_decorated_function_may_call_itself() -> None:
    @no_grad()
    def count(n: int) -> int:
        assert not is_grad_enabled()
        return 0 if n == 0 else 1 + count(n - 1)

    assert count(5) == 5
    assert is_grad_enabled()


def test_set_grad_enabled_works_at_once() -> None:
    set_grad_enabled(False)
    assert not is_grad_enabled()
    set_grad_enabled(True)
    assert is_grad_enabled()


def fail_inside(mode: type) -> None:
    with mode():
        raise KeyError


@pytest.mark.parametrize("mode", [no_grad, inference_mode, autograd.detect_anomaly])
def test_an_exception_restores_the_mode(mode: type) -> None:
    with pytest.raises(KeyError):
        fail_inside(mode)
    assert is_grad_enabled()


def test_each_thread_has_its_mode() -> None:
    seen, inside, done = [], threading.Event(), threading.Event()

    def other() -> None:
        with no_grad():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    seen.append(is_grad_enabled())
    done.set()
    thread.join()
    with no_grad():
        fresh = threading.Thread(target=lambda: seen.append(is_grad_enabled()))
        fresh.start()
        fresh.join()
    assert seen == [True, True]


def test_many_threads_share_a_decorated_function() -> None:
    @no_grad()
    def enabled() -> bool:
        return is_grad_enabled()

    found: list[bool] = []

    def work() -> None:
        for _ in range(200):
            found.append(enabled())
            found.append(not is_grad_enabled())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(found)


def test_one_mode_may_be_entered_again_and_by_many_threads() -> None:
    mode, wrong = no_grad(), []

    def work() -> None:
        for _ in range(200):
            with mode:
                with enable_grad(), mode:
                    wrong.append(is_grad_enabled())
                wrong.append(is_grad_enabled())
            wrong.append(not is_grad_enabled())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(wrong)


def test_saved_tensors_pass_through_the_hooks() -> None:
    x = lamina.tensor([1.0, 2.0], requires_grad=True)
    packed, unpacked = [], []

    def pack(tensor: lamina.Tensor) -> object:
        packed.append(tensor)
        return tensor.numpy().copy()

    def unpack(values: object) -> lamina.Tensor:
        unpacked.append(values)
        return lamina.tensor(values)

    with autograd.saved_tensors_hooks(pack, unpack):
        y = (x.exp() * x).sum()
    assert all(not t.requires_grad for t in packed)
    y.backward()
    assert len(packed) == len(unpacked) == 2
    expected = x.detach().exp() * (x.detach() + 1.0)
    assert abs((x.grad - expected).numpy()).max() < 1e-6


def test_the_innermost_hooks_are_asked() -> None:
    x = lamina.tensor([1.0, 2.0], requires_grad=True)
    outer, inner = [], []
    with autograd.saved_tensors_hooks(outer.append, lambda _: x):
        with autograd.saved_tensors_hooks(inner.append, lambda _: x):
            x.exp()
        x.exp().exp()
    assert (len(outer), len(inner)) == (2, 1)
