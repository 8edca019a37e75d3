"""Whether operations are recorded, per thread."""

import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from types import TracebackType
from typing import Any, Self, TypeVar, final, overload

from lamina.autograd.recorder import Recorder

F = TypeVar("F", bound=Callable[..., Any])


@final
class _State(threading.local):
    """This thread's modes, as they are before anyone changes them."""

    grad_enabled = True
    anomaly = False
    # The modes that the blocks now open were entered from, innermost last.
    before: tuple[bool, ...] = ()
    # What becomes of a tensor that an op saves, innermost last; see `saved_tensors_hooks`.
    hooks: tuple[tuple[Callable[[Any], Any], Callable[[Any], Any]], ...] = ()
    # Who takes down ops instead of their being run: a function is being compiled.
    recorder: Recorder | None = None


state = _State()


def is_grad_enabled() -> bool:
    """Return whether operations are recorded in this thread.

    >>> is_grad_enabled()
    True
    """
    return state.grad_enabled


@final
class set_grad_enabled(ContextDecorator):
    """Record operations (`True`) or not (`False`): at once, and until the `with` block ends."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self.before = state.grad_enabled
        state.grad_enabled = mode

    def __call__(self, function: Any) -> Any:
        # As a decorator the mode is for the calls of `function`, not for what follows here.
        state.grad_enabled = self.before
        return super().__call__(function)

    def _recreate_cm(self) -> "set_grad_enabled":
        return set_grad_enabled(self.mode)

    def __enter__(self) -> "set_grad_enabled":
        state.grad_enabled = self.mode
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        state.grad_enabled = self.before


class _Mode(ContextDecorator):
    """A context manager and decorator that holds the recording mode at one value."""

    _mode: bool

    @overload
    def __new__(cls) -> Self: ...

    @overload
    def __new__(cls, function: F) -> F: ...  # type: ignore[misc]

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """Return the mode, or `function` held in it: `@no_grad` needs no parentheses."""
        return super().__new__(cls) if function is None else cls()(function)

    def __enter__(self) -> "_Mode":
        state.before = (*state.before, state.grad_enabled)
        state.grad_enabled = self._mode
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        *before, state.grad_enabled = state.before
        state.before = tuple(before)


@final
class no_grad(_Mode):
    """Operations inside are not recorded: `with no_grad():` or `@no_grad()`."""

    _mode = False


@final
class enable_grad(_Mode):
    """Operations inside are recorded, even within `no_grad`."""

    _mode = True


@final
class inference_mode(_Mode):
    """The same as `no_grad`, by PyTorch's other name for it."""

    _mode = False


@final
class saved_tensors_hooks:
    """Pass every tensor that an op inside saves for its derivative through `pack`, and back through
    `unpack`.

    `pack` takes the tensor (detached) and returns anything; `unpack` takes that and returns a
    tensor of the same values. Leaves that require grad are not passed: they live on anyway.

    >>> import lamina
    >>> x, kept = lamina.tensor([1.0, 2.0], requires_grad=True), []
    >>> with saved_tensors_hooks(lambda t: kept.append(t) or len(kept) - 1, kept.__getitem__):
    ...     y = (x.exp() * 3.0).sum()
    >>> kept
    [Tensor([2.7183, 7.3891]), Tensor(3.)]
    """

    def __init__(self, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
        self.pair = (pack, unpack)

    def __enter__(self) -> "saved_tensors_hooks":
        state.hooks = (*state.hooks, self.pair)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        state.hooks = state.hooks[:-1]
