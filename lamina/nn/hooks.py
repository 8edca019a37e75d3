"""Functions of the user's that run around a module's forward and backward pass."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from lamina.autograd.hook_handle import HookHandle
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.registry import Arrays, Op, Specs, Value
from lamina.tensor import Tensor

Hook = Callable[..., Any]
Gradients = tuple[Any, ...]

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Entry:
    """A hook and how it wants to be called."""

    hook: Hook
    with_kwargs: bool = False


def enter(table: dict[int, Entry], entry: Entry, *, first: bool) -> HookHandle:
    """Return the handle of `entry`, put into `table` last, or before all others."""
    number = next(_numbers)
    later = dict(table) if first else {}
    if first:
        table.clear()
    table[number] = entry
    table.update(later)
    return HookHandle(lambda: table.pop(number, None))


@final
class Hooks:
    """The hooks of one module, in the order in which they run."""

    def __init__(self) -> None:
        self.before: dict[int, Entry] = {}
        self.after: dict[int, Entry] = {}
        self.backward: dict[int, Entry] = {}

    def call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what the module's forward makes of the arguments, every hook having its say."""
        for entry in list(self.before.values()):
            args, kwargs = _before(entry, module, args, kwargs)
        watch = _Watcher(module, list(self.backward.values())) if self.backward else None
        if watch is not None:
            args = watch.inputs(args)
        result = module.forward(*args, **kwargs)
        for entry in list(self.after.values()):
            given = (args, kwargs, result) if entry.with_kwargs else (args, result)
            replaced = entry.hook(module, *given)
            result = result if replaced is None else replaced
        return result if watch is None else watch.outputs(result)


def _before(
    entry: Entry, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if entry.with_kwargs:
        replaced = entry.hook(module, args, kwargs)
        return (args, kwargs) if replaced is None else replaced
    replaced = entry.hook(module, args)
    if replaced is None:
        return args, kwargs
    return (replaced if isinstance(replaced, tuple) else (replaced,)), kwargs


@final
@dataclass(frozen=True, slots=True)
class Watch(Op):
    """Several values as they are; `seen` gets all their gradients at once and returns them."""

    name = "watch"
    saves = ()
    seen: Callable[[Gradients], Gradients]

    def infer(self, *inputs: Spec) -> Specs:
        return inputs if len(inputs) > 1 else inputs[0]

    def ref(self, *inputs: NDArray) -> Any:
        return inputs if len(inputs) > 1 else inputs[0]

    def run(self, *inputs: Any) -> Arrays:
        return inputs if len(inputs) > 1 else inputs[0]

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> Gradients:
        return self.seen(grad if len(inputs) > 1 else (grad,))


@final
class _Watcher:
    """One call of a module with backward hooks: waits for both ends of its gradient."""

    def __init__(self, module: Any, entries: list[Entry]) -> None:
        self._module = module
        self._entries = entries
        self._of_outputs: Gradients = ()
        self._input_count = 0
        self._input_places: list[int] = []

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self._input_count = len(args)
        self._input_places = _tracked_places(args)
        return _pass_through(Watch(self._inputs_seen), args, self._input_places)

    def outputs(self, result: Any) -> Any:
        values = tuple(result) if isinstance(result, tuple | list) else (result,)
        places = _tracked_places(values)

        def seen(grads: Gradients) -> Gradients:
            self._of_outputs = _spread(grads, places, len(values))
            if not self._input_places:
                self._call_hooks((None,) * self._input_count)
            return grads

        passed = _pass_through(Watch(seen), values, places)
        if isinstance(result, tuple | list):
            return list(passed) if isinstance(result, list) else passed
        return passed[0]

    def _inputs_seen(self, grads: Gradients) -> Gradients:
        given = self._call_hooks(_spread(grads, self._input_places, self._input_count))
        return tuple(given[place] for place in self._input_places)

    def _call_hooks(self, grads: Gradients) -> Gradients:
        for entry in self._entries:
            replaced = entry.hook(self._module, grads, self._of_outputs)
            if replaced is not None:
                grads = replaced if isinstance(replaced, tuple) else (replaced,)
        return grads


def _tracked_places(values: tuple[Any, ...]) -> list[int]:
    return [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]


def _pass_through(op: Watch, values: tuple[Any, ...], places: list[int]) -> tuple[Any, ...]:
    if not places:
        return values
    passed = op(*[values[i] for i in places])
    by_place = dict(zip(places, passed if len(places) > 1 else (passed,), strict=True))
    return tuple(by_place.get(i, v) for i, v in enumerate(values))


def _spread(grads: Gradients, places: list[int], count: int) -> Gradients:
    by_place = dict(zip(places, grads, strict=True))
    return tuple(by_place.get(i) for i in range(count))
