"""The tape: what each recorded operation leaves behind for its derivative.

Nothing here names an op. Tensors are met through `Tracked`, so this row stays below them.
"""

import itertools
from collections.abc import Callable
from typing import Any, Protocol, final

from lamina.autograd.grad_mode import state
from lamina.errors import GradientError
from lamina.memory import Array, Spec
from lamina.ops.registry import OUT

_sequence = itertools.count()


class Tracked(Protocol):
    """What the tape knows of a tensor."""

    array: Array
    node: "Node | None"
    index: int
    requires_grad: bool
    grad: Any
    hooks: list[Callable[[Any], Any]] | None

    def detach(self) -> Any: ...

    def refresh(self) -> None:
        """Take up the history that writes to the memory which this tensor views have had since."""
        ...

    @staticmethod
    def of_history(array: Array, source: "tuple[Node, int] | None") -> Any:
        """Return a tensor of `array`, made by that output of that node (None: not recorded)."""
        ...


class Recorded(Protocol):
    """What the tape asks of an operation: its name, what its derivative reads, the derivative."""

    @property
    def name(self) -> str: ...

    @property
    def saves(self) -> tuple[int, ...] | None: ...

    @property
    def bilinear(self) -> bool: ...

    def vjp(self, grad: Any, out: Any, *inputs: Any) -> tuple[Any, ...]: ...


@final
class Saved:
    """A tensor kept for a derivative: its array, where it came from, and its version then.

    A leaf that requires grad is kept itself. Any other is kept as its array: the output of an op
    refers to the op's node, and would never die if the node referred to it.
    """

    __slots__ = ("array", "kind", "leaf", "packed", "source", "unpack", "version")

    def __init__(self, tensor: Tracked, source: tuple["Node", int] | None) -> None:
        self.version = tensor.array.storage.version
        self.kind = type(tensor)
        self.source = source
        self.leaf: Tracked | None = None
        self.array: Array | None = tensor.array
        self.packed: Any = None
        self.unpack: Callable[[Any], Any] | None = None
        if tensor.requires_grad and tensor.node is None:
            self.leaf = tensor
        elif state.hooks:
            pack, self.unpack = state.hooks[-1]
            self.packed = pack(tensor.detach())
            self.array = None

    def restore(self, saver: str, source: tuple["Node", int] | None = None) -> Any:
        """Return the tensor, joined to the history it had, or to `source` where that is given.

        GradientError where it was written since; the text names its `saver`.
        """
        array = self.array if self.unpack is None else self.unpack(self.packed).array
        assert array is not None, "dropped by the pack hook, so there is an unpack"
        if self.unpack is None and array.storage.version != self.version:
            raise GradientError(
                f"a tensor of shape {array.shape} that {saver} saved for its derivative was "
                f"written in place since (version {array.storage.version}, expected "
                f"{self.version}); clone() it before the write"
            )
        if self.leaf is not None:
            return self.leaf
        return self.kind.of_history(array, source or self.source)


@final
class Node:
    """One recorded operation: what ran, where its inputs came from, what its derivative needs."""

    __slots__ = (
        *("__weakref__", "hooks", "op", "outputs", "saved_inputs", "saved_outputs"),
        *("sequence", "sources", "specs", "trace"),
    )

    def __init__(
        self, op: Recorded, inputs: tuple[Tracked, ...], outputs: tuple[Tracked, ...]
    ) -> None:
        self.op = op
        self.sequence = next(_sequence)
        self.sources = tuple([source_of(x) for x in inputs])
        self.specs: tuple[Spec, ...] = tuple([x.array.spec for x in inputs])
        self.outputs: tuple[Spec, ...] = tuple([x.array.spec for x in outputs])
        self.hooks: dict[int, list[Callable[[Any], Any]]] = {}
        self.trace: str | None = None
        keep = range(len(inputs)) if op.saves is None else op.saves
        if op.bilinear:
            keep = tuple([i for i in keep if inputs[1 - i].requires_grad])
        self.saved_inputs: dict[int, Saved] | None = {
            i: Saved(inputs[i], made_by(inputs[i])) for i in keep if i != OUT and i < len(inputs)
        }
        self.saved_outputs = [Saved(x, None) for x in outputs] if OUT in keep else []

    def inputs(self) -> list[Any]:
        """Return what `vjp` gets for the inputs: tensors where saved, specs elsewhere."""
        saved = self.saved_inputs
        if saved is None:
            raise GradientError(
                f"the graph through {self.op.name} was freed by an earlier backward; "
                "pass retain_graph=True to that one"
            )
        name = self.op.name
        return [saved[i].restore(name) if i in saved else spec for i, spec in enumerate(self.specs)]

    def output(self) -> Any:
        """Return what `vjp` gets for the output (a tuple for several)."""
        name = self.op.name
        found: list[Any] = [s.restore(name, (self, i)) for i, s in enumerate(self.saved_outputs)]
        found = found or list(self.outputs)
        return tuple(found) if len(found) > 1 else found[0]

    def free(self) -> None:
        """Let go of the saved tensors; a node without any can be passed again."""
        if self.saved_inputs or self.saved_outputs:
            self.saved_inputs = None
            self.saved_outputs = []


# Where a gradient goes next: an output of a node, a leaf tensor, or nowhere.
Source = tuple[Node, int] | Tracked | None


def source_of(tensor: Tracked) -> Source:
    """Return where the gradient of `tensor` goes."""
    return made_by(tensor) or (tensor if tensor.requires_grad else None)


def made_by(tensor: Tracked) -> tuple[Node, int] | None:
    """Return the node that made `tensor` and which of its outputs it is; None for a leaf."""
    return None if tensor.node is None else (tensor.node, tensor.index)


def record(op: Recorded, inputs: tuple[Any, ...], outputs: tuple[Any, ...]) -> Node:
    """Enter `op` into the history of `outputs`; return its node."""
    node = Node(op, inputs, outputs)
    for index, out in enumerate(outputs):
        if out.array.dtype.is_floating_point:
            out.node, out.index, out.requires_grad = node, index, True
    return node
