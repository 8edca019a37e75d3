"""`lamina.compile`: functions and modules that run as programs."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any, final

from lamina.autograd.grad_mode import state
from lamina.autograd.recorder import Unready
from lamina.codegen import threads
from lamina.config import settings
from lamina.graph.captured import capture
from lamina.graph.ir import Graph
from lamina.graph.passes import optimise
from lamina.graph.ready import Ready
from lamina.graph.trees import flatten
from lamina.tensor import Tensor

PROGRAMS_KEPT = 256


@final
class Compiled:
    """A function that runs as a program; made by `lamina.compile`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._kept: OrderedDict[Any, list[Ready]] = OrderedDict()
        self._last: Ready | None = None
        update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns."""
        last = self._last
        if last is not None and not kwargs and last.takes(args):
            return last.run(args)
        if not settings.compiles or state.recorder is not None:
            return self._function(*args, **kwargs)
        tensors: list[Tensor] = []
        structure = flatten((args, kwargs), tensors)
        try:
            ready = self.ready(structure, tensors)
        except Unready:
            return self._function(*args, **kwargs)
        self._last = ready if ready.is_plain else None
        return ready.run(tensors)

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """Return the graph that runs for such arguments."""
        tensors: list[Tensor] = []
        structure = flatten((args, kwargs), tensors)
        return self.ready(structure, tensors).captured.graph

    def ready(self, structure: Any, tensors: Sequence[Tensor]) -> Ready:
        """Return what runs for arguments of this structure, made now if it has to be."""
        kinds = tuple([(t.array.layout, t.array.dtype, t.requires_grad) for t in tensors])
        key = (structure, kinds, state.grad_enabled, threads.num_threads())
        known = self._kept.get(key)
        if known is None:
            known = self._kept[key] = []
            while len(self._kept) > PROGRAMS_KEPT:
                self._kept.popitem(last=False)
        for ready in known:
            if ready.stands():
                return ready
        captured = capture(self._function, structure, tensors)
        captured = captured.with_graph(optimise(captured.graph))
        known.append(Ready(captured, structure, tensors))
        return known[-1]


def compile(function: Callable[..., Any]) -> Compiled:
    """Return `function`, running as one program."""
    return Compiled(function)
