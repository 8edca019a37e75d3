"""`lamina.compile`: functions and modules that run as programs."""

from collections import OrderedDict
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Literal, final, overload

from lamina import dtypes
from lamina.autograd.grad_mode import state
from lamina.autograd.recorder import Changed, Unready
from lamina.codegen import threads
from lamina.config import settings
from lamina.dtypes import DType
from lamina.errors import ArgumentError, MemoryCapError
from lamina.graph.captured import Captured, capture
from lamina.graph.constants import Shared
from lamina.graph.dims import Declared, Dynamic
from lamina.graph.ir import Graph
from lamina.graph.passes import optimise
from lamina.graph.program import Program
from lamina.graph.ready import Ready
from lamina.graph.timed import TimedProgram
from lamina.graph.trees import flatten
from lamina.tensor import Tensor

Precision = Literal["float32", "bfloat16", "float16"]
PROGRAMS_KEPT = 256
PROGRAM_BYTES_KEPT = 256 << 20
# A kernel call with its tables and what is known of its operands, measured.
_BYTES_A_CALL = 16 << 10


@final
class Compiled:
    """A function or module that runs as a program; made by `lamina.compile`.

    Attributes that it does not have are those of the function or module itself.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        dynamic: Dynamic | None = None,
        check: bool = False,
        memory_limit: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        self.function = function
        self._precision = _narrow(precision)
        self._memory_limit = memory_limit
        self._declared = Declared(function, dynamic) if dynamic else None
        self._check = check
        self._kept: OrderedDict[Any, list[Ready]] = OrderedDict()
        self._last: Ready | None = None
        self._shared = Shared()
        update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns."""
        last = self._last
        try:
            if last is not None and not kwargs and last.takes(args):
                return last.run(args)
            return self._call(args, kwargs)
        except Changed:
            # An option of an optimiser: nothing has run yet.
            self._forget()
            return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not settings.compiles or state.recorder is not None:
            return self.function(*args, **kwargs)
        tensors: list[Tensor] = []
        try:
            ready = self.ready(args, kwargs, tensors)
        except Unready:
            return self.function(*args, **kwargs)
        if self._last is not None and self._last is not ready:
            self._last.release()
        self._last = ready
        return ready.run(tensors)

    def _forget(self) -> None:
        """Drop all programs."""
        self._kept.clear()
        self._last = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)

    def into(self, out: Any, *args: Any, **kwargs: Any) -> Any:
        """Write what the function returns to the tensors of `out`, and return that.

        `out` has the structure of the result: contiguous tensors of its shapes and dtypes, which
        share no memory with anything that the program reads. Raises GuardError where it has not;
        nothing has been written then.
        """
        tensors: list[Tensor] = []
        return self.ready(args, kwargs, tensors).run_into(out, tensors)

    @property
    def last_program(self) -> Program | None:
        """The program that ran last."""
        return None if self._last is None else self._last.program

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """Return the graph that runs for such arguments."""
        return self.ready(args, kwargs, []).captured.graph

    def timed(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], runs: int
    ) -> tuple[TimedProgram, list[list[float]]]:
        """Run a few times, call by call; return the program and the seconds of each call."""
        tensors: list[Tensor] = []
        captured = self.ready(args, kwargs, tensors).captured
        structure = flatten((args, kwargs), [])
        ready = Ready(captured, structure, tensors, self._shared, TimedProgram)
        program = ready.program
        assert isinstance(program, TimedProgram)
        seconds = []
        for _ in range(runs):
            program.seconds = []
            ready.run(tensors)
            seconds.append(program.seconds)
        return program, [list(call) for call in zip(*seconds, strict=True)]

    def ready(self, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor]) -> Ready:
        """Return what runs for such arguments, made now if it has to be.

        The tensors among them are added to `tensors`.
        """
        structure = flatten((args, kwargs), tensors)
        kinds = tuple([(t.array.layout, t.array.dtype, t.requires_grad) for t in tensors])
        key = (structure, kinds, state.grad_enabled, threads.num_threads())
        known = self._kept.get(key)
        if known is None:
            if self._declared is not None:
                self._declared.check(args, kwargs)
            known = self._kept[key] = []
        else:
            self._kept.move_to_end(key)
        for ready in known:
            if ready.stands():
                return ready
        captured = capture(self.function, structure, tensors)
        if self._check:
            captured = captured.checked()
        known.append(self._fitted(captured, structure, tensors))
        del known[:-_VARIANTS_KEPT]
        self._make_room()
        return known[-1]

    def _fitted(self, captured: Captured, structure: Any, tensors: list[Tensor]) -> Ready:
        """Return what runs a captured function, in the memory that is allowed."""
        limit, target, before = self._memory_limit, None, 0
        for _ in range(_TRIALS):
            graph = optimise(captured.graph, memory_target=target, precision=self._precision)
            if len(graph.nodes) == before:
                break
            before = len(graph.nodes)
            ready = Ready(captured.with_graph(graph), structure, tensors, self._shared)
            if limit is None or ready.program.plan.nbytes <= limit:
                return ready
            # Fused ops keep less alive than the target counts, rounding and gaps more.
            needed = ready.program.plan.nbytes
            target = int((limit if target is None else target * limit / needed) * _MARGIN)
        raise MemoryCapError(
            f"compile: memory_limit of {limit} bytes given, but the program needs {needed} between "
            "its calls; raise the limit, or make the batch smaller"
        )

    def _make_room(self) -> None:
        """Drop the programs that were not wanted for longest, until the others keep to the caps."""
        calls = [sum(len(r.program.calls) for r in ready) for ready in self._kept.values()]
        left, most = sum(calls), PROGRAM_BYTES_KEPT // _BYTES_A_CALL
        for number in calls[:-1]:
            if left <= most and len(self._kept) <= PROGRAMS_KEPT:
                return
            self._kept.popitem(last=False)
            left -= number


# How often a graph is made smaller, and by how much more than what was too much.
_TRIALS, _MARGIN = 6, 0.97
# Programs for the same arguments whose guards differ: a mode of a module, an option.
_VARIANTS_KEPT = 8


@overload
def compile(
    function: Callable[..., Any],
    *,
    dynamic: Dynamic | None = None,
    check: bool = False,
    memory_limit: int | None = None,
    precision: Precision = "float32",
) -> Compiled: ...


@overload
def compile(
    function: None = None,
    *,
    dynamic: Dynamic | None = None,
    check: bool = False,
    memory_limit: int | None = None,
    precision: Precision = "float32",
) -> Callable[[Callable[..., Any]], Compiled]: ...


def compile(
    function: Callable[..., Any] | None = None,
    *,
    dynamic: Dynamic | None = None,
    check: bool = False,
    memory_limit: int | None = None,
    precision: Precision = "float32",
) -> Any:
    """Return `function`, or a module, running as one program: a native call for all that it does.

    The first call with arguments of new shapes, dtypes or plain values takes the function down: it
    runs once on tensors without values. Derivatives, clipping, optimiser steps, dropout and
    running statistics become part of the program; other Python code runs that once alone. Tensors
    from outside are read and written where they are. Results have the bits of the function itself,
    but for batch norms folded into weights, norms and attention that were written out by hand, and
    images laid out with their channels last, of which another way to convolve may be the best.

    `dynamic` declares sizes that differ from call to call, `{"x": {0: Dim("batch", max=64)}}`: each
    is planned when it comes, without compiling machine code again, and GuardError is raised for
    one outside. With `check`, a NaN or infinity in what the program would give or write is an
    AnomalyError, and nothing has been written. With `memory_limit`, what lives between kernel calls
    takes no more bytes: values that only the backward pass reads are computed again where that is
    needed, and MemoryCapError is raised where it does not suffice. With another `precision` matrix
    products read their operands as such and add up in float32. CaptureError names the line that
    needs the value of a tensor. LAMINA_COMPILE=0 runs everything eagerly.

    >>> @compile
    ... def f(x):
    ...     return (x * x).sum()
    >>> f(lamina.tensor([1.0, 2.0]))
    Tensor(5.)
    """
    options: dict[str, Any] = {
        "dynamic": dynamic, "check": check, "memory_limit": memory_limit, "precision": precision,
    }  # fmt: skip
    if function is None:
        return lambda given: Compiled(given, **options)
    if not callable(function):
        raise ArgumentError(
            f"compile: {type(function).__name__} given; expected a function or a module"
        )
    return Compiled(function, **options)


def _narrow(precision: Precision) -> DType | None:
    """Return what products read instead of float32; ArgumentError for another precision."""
    narrow = {"float32": None, "bfloat16": dtypes.bfloat16, "float16": dtypes.float16}
    if precision not in narrow:
        raise ArgumentError(
            f"compile: precision {precision!r} given; expected one of {', '.join(narrow)}"
        )
    return narrow[precision]
