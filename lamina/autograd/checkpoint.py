"""Less memory for more time: what a region saves is dropped, and computed again when wanted.

Chen, Xu, Zhang and Guestrin, "Training deep nets with sublinear memory cost", 2016.
"""

from collections.abc import Callable
from typing import Any, final

from lamina.autograd.grad_mode import enable_grad, saved_tensors_hooks, state
from lamina.autograd.tape import Saved, made_by
from lamina.errors import GradientError
from lamina.memory import Spec
from lamina.ops.registry import Operand
from lamina.philox import default_generator

Tensor = Any


def checkpoint(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return `fn(*args, **kwargs)`, keeping of it only the arguments until its derivative is taken.

    Then `fn` runs a second time, from the same state of the random numbers, for what its derivative
    reads. It must do the same work both times: what it changes outside (running statistics, say)
    changes twice. Parameters may come by closure. Regions may nest. GradientError where the second
    run differs from the first, or an argument was written in place between them.

    >>> import lamina
    >>> x = lamina.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda t: (t * t).exp().sum(), x).backward()
    >>> x.grad
    Tensor([  5.4366, 218.3926])
    """
    if not state.grad_enabled:
        return fn(*args, **kwargs)
    region = _Region(fn, args, kwargs)
    with saved_tensors_hooks(region.drop, region.recall):
        result = fn(*args, **kwargs)
    region.is_complete = True
    return result


@final
class _Region:
    """A function that was run, what it takes to run it again, and what it then saves, in order."""

    def __init__(self, fn: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
        self.fn = fn
        # Saved through the hooks in force: an enclosing region drops the arguments of this one.
        self.args = [_keep(x) for x in args]
        self.kwargs = {name: _keep(x) for name, x in kwargs.items()}
        self.random_state = default_generator.state
        self.specs: list[Spec] = []
        self.values: dict[int, tuple[Tensor, int]] = {}
        self.is_complete = False

    def drop(self, tensor: Tensor) -> int:
        """Let go of a tensor that an op saves; return its place in the order."""
        self.specs.append(tensor.array.spec)
        return len(self.specs) - 1

    def recall(self, place: int) -> Tensor:
        """Return the tensor saved at `place`, from a second run of the function if need be."""
        if place not in self.values:
            again = self._run_again()
            self._check(again)
            self.values = dict(enumerate(again))
        tensor, version = self.values.pop(place)
        if tensor.array.storage.version != version:
            raise GradientError(
                f"a tensor of shape {tensor.shape} saved inside checkpoint was written in place "
                "later in the region; clone() it before the write"
            )
        return tensor

    def _run_again(self) -> list[tuple[Tensor, int]]:
        saved: list[tuple[Tensor, int]] = []

        def keep(tensor: Tensor) -> int:
            saved.append((tensor, tensor.array.storage.version))
            return len(saved) - 1

        before = default_generator.state
        default_generator.state = self.random_state
        try:
            with enable_grad(), saved_tensors_hooks(keep, lambda place: saved[place][0]):
                args = [_given(x) for x in self.args]
                self.fn(*args, **{name: _given(x) for name, x in self.kwargs.items()})
        finally:
            default_generator.state = before
        return saved

    def _check(self, again: list[tuple[Tensor, int]]) -> None:
        found = [tensor.array.spec for tensor, _ in again]
        # A derivative taken inside the region asks for values before the first run is over.
        if found == self.specs or (not self.is_complete and found[: len(self.specs)] == self.specs):
            return
        differ = (i for i, (a, b) in enumerate(zip(found, self.specs, strict=False)) if a != b)
        place = next(differ, min(len(found), len(self.specs)))
        raise GradientError(
            f"checkpoint: run again, the function saved {_told(found, place)} where it had saved "
            f"{_told(self.specs, place)} (tensor {place}); it must do the same work both times"
        )


def _keep(value: Any) -> Any:
    if not isinstance(value, Operand):
        return value
    tensor: Any = value
    tensor.refresh()
    return Saved(tensor, made_by(tensor))


def _given(value: Any) -> Any:
    return value.restore("checkpoint") if isinstance(value, Saved) else value


def _told(specs: list[Spec], place: int) -> str:
    if place >= len(specs):
        return "nothing"
    shape, dtype = specs[place]
    return f"{dtype.name} of shape {shape}"
