"""Operations with a derivative of the user's own."""

import weakref
from abc import ABC, abstractmethod
from typing import Any, final

from lamina.autograd.anomaly import callers_line, check_output
from lamina.autograd.grad_mode import no_grad, state
from lamina.autograd.tape import Node, Saved, made_by, record
from lamina.errors import GradientError
from lamina.ops.registry import Operand

Tensor = Any


@final
class Context:
    """What `forward` of a Function leaves for its `backward`; takes attributes of any name."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._to_save: tuple[Tensor | None, ...] = ()
        self._constant: tuple[Tensor, ...] = ()
        self._places: list[tuple[int, int | None] | None] = []
        self._node: weakref.ref[Node] | None = None

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, outputs or others for `backward`; freed and checked like an op's own."""
        self._to_save = tensors

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Say that these outputs have no derivative."""
        self._constant = outputs

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What `save_for_backward` kept, with its history if `backward` is itself recorded."""
        node = None if self._node is None else self._node()
        if node is None:
            return self._to_save
        if node.saved_inputs is None:
            raise GradientError(
                f"the tensors that {node.op.name} saved were freed by an earlier backward; "
                "pass retain_graph=True to that one"
            )
        found = []
        for place in self._places:
            found.append(None if place is None else _restore(node, *place))
        return tuple(found)

    def attach(self, node: Node, inputs: "_Pairs", outputs: "_Pairs") -> None:
        """Hand what is to be saved to `node`, so that it lives and is freed with it.

        Each pair is a tensor as `forward` saw it, and the one outside that it stands for.
        """
        self._node = weakref.ref(node)
        kept: dict[int, Saved] = {}
        for tensor in self._to_save:
            if tensor is None:
                self._places.append(None)
                continue
            outside = next((x for seen, x in inputs if seen is tensor), tensor)
            output = next((i for i, (seen, _) in enumerate(outputs) if seen is tensor), None)
            key = len(node.specs) + len(kept)
            kept[key] = Saved(outside, made_by(outside))
            self._places.append((key, output))
        self._to_save = ()
        node.saved_inputs = kept


_Pairs = list[tuple[Tensor, Tensor]]


def _restore(node: Node, key: int, output: int | None) -> Tensor:
    assert node.saved_inputs is not None, "checked by the caller"
    source = None if output is None else (node, output)
    tensor = node.saved_inputs[key].restore(node.op.name, source)
    return tensor if state.grad_enabled else tensor.detach()


class Function(ABC):
    """An operation with its derivative: subclass it, write `forward` and `backward`, call `apply`.

    `forward(ctx, *args)` computes the outputs, from tensors without history; it may save tensors
    with `ctx.save_for_backward` and set attributes of `ctx`. `backward(ctx, *grads)` gets the
    gradient of each output and returns that of each argument, None where there is none. Written
    with tensor operations, `backward` is differentiable itself; where it leaves them (by `numpy()`)
    a derivative of it is a GradientError.

    >>> import lamina
    >>> class Cube(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * 3.0 * x * x
    >>> x = lamina.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    Tensor(12.)
    """

    @staticmethod
    @abstractmethod
    def forward(ctx: Context, *args: Any) -> Any:
        """Return the output or a tuple of outputs."""

    @staticmethod
    @abstractmethod
    def backward(ctx: Context, *grads: Tensor) -> Any:
        """Return the gradient of each argument of `forward`; one alone needs no tuple."""

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Return what `forward` returns, recorded with `backward` as its derivative."""
        places = [i for i, x in enumerate(args) if _is_tensor(x)]
        inputs = [_shown(args[i]) for i in places]
        given = list(args)
        for i, (seen, _) in zip(places, inputs, strict=True):
            given[i] = seen
        ctx = Context(tuple([_is_tensor(x) and x.requires_grad for x in args]))
        with no_grad():
            result = cls.forward(ctx, *given)
        made = result if isinstance(result, tuple) else (result,)
        # Fresh tensors: what comes out may be an input itself, or a view of one.
        outputs = [_fresh(x) for x in made]
        if state.anomaly:
            for out in filter(_is_tensor, outputs):
                check_output(cls.__name__, [x for _, x in inputs], out)
        if state.grad_enabled and any(ctx.needs_input_grad):
            pairs = [(x, y) for x, y in zip(made, outputs, strict=True) if _is_tensor(y)]
            _record(_Custom(cls, ctx, len(args), places), inputs, pairs)
        return tuple(outputs) if isinstance(result, tuple) else outputs[0]


def _shown(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `forward` sees of an input, and the input."""
    tensor.refresh()
    return tensor.detach(), tensor


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Operand)


def _fresh(value: Any) -> Any:
    return value.detach() if _is_tensor(value) else value


def _record(op: "_Custom", inputs: _Pairs, outputs: _Pairs) -> None:
    node = record(op, tuple([x for _, x in inputs]), tuple([x for _, x in outputs]))
    if state.anomaly:
        node.trace = callers_line()
    ctx = op.ctx
    ctx.attach(node, inputs, outputs)
    for seen, out in outputs:
        if any(seen is constant for constant in ctx._constant):
            out.node, out.index, out.requires_grad = None, 0, False
    ctx._constant = ()


@final
class _Custom:
    """One call of a Function, as the tape sees it."""

    saves = ()
    bilinear = False

    def __init__(
        self, function: type[Function], ctx: Context, count: int, places: list[int]
    ) -> None:
        self.name = function.__name__
        self.function = function
        self.ctx = ctx
        self.count = count
        self.places = places

    def vjp(self, grad: Any, out: Any, *inputs: Any) -> tuple[Any, ...]:
        grads = self.function.backward(self.ctx, *(grad if isinstance(grad, tuple) else (grad,)))
        found = grads if isinstance(grads, tuple | list) else (grads,)
        if len(found) < self.count or any(g is not None for g in found[self.count :]):
            raise GradientError(
                f"backward of {self.name} returned {len(found)} gradients for {self.count} "
                "arguments of forward; return one each, None where there is none"
            )
        return tuple([found[place] for place in self.places])
