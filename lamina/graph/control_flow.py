"""Control flow that values decide, in compiled functions too: `cond`, `while_loop`, `scan`."""

from collections.abc import Callable, Sequence
from typing import Any

from lamina.autograd import no_grad
from lamina.autograd.grad_mode import state
from lamina.errors import ArgumentError, CaptureError
from lamina.graph.capture import Capture
from lamina.graph.control import Body, While, branch
from lamina.graph.trees import flatten, unflatten
from lamina.memory import Spec
from lamina.ops.shapes.copying import stack
from lamina.tensor import Tensor
from lamina.tensor.core import wrap


def cond(
    pred: Tensor | bool,
    true_fn: Callable[..., Any],
    false_fn: Callable[..., Any],
    operands: Sequence[Any] = (),
) -> Any:
    """Return true_fn(*operands) where `pred`, a bool tensor of one element, is true, else
    false_fn(*operands).

    Only one of them runs, in compiled functions too, where both give tensors of the same shapes and
    dtypes, write to nothing outside, and detach nothing that needs a gradient (CaptureError says
    so). Gradients flow through what ran.

    >>> import lamina
    >>> x = lamina.tensor(-2.0)
    >>> cond(x > 0, lambda x: x, lambda x: x * x, (x,))
    Tensor(4.)
    """
    if not isinstance(pred, Tensor) or state.recorder is None:
        return true_fn(*operands) if pred else false_fn(*operands)
    chosen = _flag(pred, "cond")
    bodies, structures = [], []
    for function in (true_fn, false_fn):
        body, structure = _traced(lambda function=function: function(*operands), "cond", ())
        bodies.append(body)
        structures.append(structure)
    first, second = ([value.spec for value in body.graph.outputs] for body in bodies)
    if structures[0] != structures[1] or first != second:
        raise CaptureError(
            f"cond: true_fn gives {first}, false_fn {second}; expected the same structure, shapes "
            "and dtypes of both"
        )
    return unflatten(structures[0], list(branch(chosen, bodies, ())) if first else [])


def while_loop(
    cond_fn: Callable[..., Any],
    body_fn: Callable[..., Any],
    carried_inputs: Sequence[Any],
    max_iterations: int | None = None,
) -> tuple[Any, ...]:
    """Return what body_fn(*carried) makes of the inputs, again and again, as long as
    cond_fn(*carried) is true, and at most `max_iterations` times.

    `body_fn` gives as many tensors, of the same shapes and dtypes. In compiled functions there are
    derivatives with `max_iterations` alone.

    >>> import lamina
    >>> while_loop(lambda x: x < 100, lambda x: (x * 2,), (lamina.tensor(3.0),))
    (Tensor(192.),)
    """
    carried = tuple(carried_inputs)
    if not carried:
        raise ArgumentError("while_loop: no inputs given; expected one tensor at least")
    if state.recorder is not None:
        if max_iterations is None:
            return _loop(cond_fn, body_fn, carried)
        for _ in range(max_iterations):
            carried = cond(
                _flag(cond_fn(*carried), "while_loop"),
                lambda *state: _carried(body_fn(*state), state),
                lambda *state: state,
                carried,
            )
        return carried
    turns = 0
    while (max_iterations is None or turns < max_iterations) and bool(cond_fn(*carried)):
        carried = _carried(body_fn(*carried), carried)
        turns += 1
    return carried


def scan(
    combine_fn: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any,
    *,
    dim: int = 0,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Return the last carry, and all y stacked along axis 0, of (carry, y) = combine_fn(carry, x)
    over the slices x of `xs` along `dim`, from the last to the first if `reverse`.

    `xs`, carry and y are tensors, or tuples, lists or dicts of them. In a compiled function the
    turns follow each other without Python.

    >>> import lamina
    >>> scan(lambda total, x: (total + x, total * x), lamina.tensor(0.0), lamina.tensor([1.0, 2.0]))
    (Tensor(3.), Tensor([0., 2.]))
    """
    tensors: list[Tensor] = []
    structure = flatten(xs, tensors)
    lengths = {tensor.shape[dim] for tensor in tensors}
    if len(lengths) != 1 or 0 in lengths:
        raise ArgumentError(
            f"scan: lengths {sorted(lengths)} given; expected one length, of a slice at least"
        )
    (length,) = lengths
    carry, rows, shape_of_y = init, [], None
    for turn in reversed(range(length)) if reverse else range(length):
        slices = [tensor.select(dim, turn) for tensor in tensors]
        before, (carry, y) = carry, combine_fn(carry, unflatten(structure, slices))
        _check_carry(before, carry)
        row: list[Tensor] = []
        shape_of_y = flatten(y, row)
        rows.append(row)
    if reverse:
        rows.reverse()
    return carry, unflatten(shape_of_y, [stack(column) for column in zip(*rows, strict=True)])


def _check_carry(before: Any, after: Any) -> None:
    """Raise ArgumentError unless a turn of `scan` gives a carry like the one that it was given."""
    first: list[Tensor] = []
    second: list[Tensor] = []
    is_alike = flatten(before, first) == flatten(after, second)
    given, expected = ([x.array.spec for x in state] for state in (second, first))
    if not is_alike or given != expected:
        raise ArgumentError(f"scan: combine_fn gives carry {given}; expected {expected}, as given")


def _loop(
    cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried: tuple[Any, ...]
) -> tuple[Any, ...]:
    specs = [tensor.array.spec for tensor in carried]
    # A loop of unknown length has no derivative: nothing in it needs a history.
    with no_grad():
        test, _ = _traced(lambda *given: _flag(cond_fn(*given), "while_loop"), "while_loop", specs)
        body, _ = _traced(lambda *given: _carried(body_fn(*given), carried), "while_loop", specs)
    count = len(carried)
    op = While(
        test.taking(len(test.graph.inputs), body.outside), body.taking(count, test.outside), count
    )
    found = op(*carried, *test.outside, *body.outside)
    return found if isinstance(found, tuple) else (found,)


def _carried(found: Any, before: Sequence[Any]) -> tuple[Any, ...]:
    """Return what a turn gives, if it is of the shapes and dtypes that it was given."""
    after = tuple(found) if isinstance(found, list | tuple) else (found,)
    given, expected = ([x.array.spec for x in state] for state in (after, before))
    if given != expected:
        raise ArgumentError(f"while_loop: body_fn gives {given}; expected {expected}, as carried")
    return after


def _flag(pred: Any, name: str) -> Tensor:
    if not isinstance(pred, Tensor) or pred.dtype.kind != "bool" or pred.numel() != 1:
        given = f"{pred.dtype} of shape {pred.shape}" if isinstance(pred, Tensor) else repr(pred)
        raise ArgumentError(f"{name}: condition {given} given; expected a bool tensor of 1 element")
    return pred.reshape(()) if pred.shape else pred


def _traced(function: Callable[..., Any], name: str, specs: Sequence[Spec]) -> tuple[Body, Any]:
    """Return what `function` does to tensors of such shapes, and the structure of its result."""
    outer, recorder = state.recorder, Capture()
    assert outer is not None
    found: list[Tensor] = []
    with recorder.recording():
        given = [wrap(recorder.input(spec)) for spec in specs]
        structure = flatten(function(*given), found)
    for holds in recorder.guards:
        outer.guard(holds)
    outer.meet(list(recorder.met.values()))
    body = Body.of(recorder, found)
    if body.graph.writes or recorder.feeds:
        what = "memory from outside is written" if body.graph.writes else "numbers are drawn"
        raise CaptureError(
            f"{name}: {what} inside of a function given; return new values, or do it outside of it"
        )
    if state.grad_enabled:
        _check_history(name, recorder, body, found)
    return body, structure


def _check_history(name: str, recorder: Capture, body: Body, found: Sequence[Tensor]) -> None:
    """Raise CaptureError where a gradient would flow that does not in eager code: the body is
    differentiated as a graph, which knows of no detach() and no no_grad().
    """
    outside = zip(reversed(body.graph.inputs), reversed(body.outside), strict=False)
    flowing = {value for value, tensor in outside if tensor.requires_grad}
    lost = False
    for node in body.graph.nodes:
        if not node.op.differentiable or not flowing.intersection(node.inputs):
            continue
        flows = recorder.flows.get(node, ())
        pairs = zip(node.inputs, flows, strict=False)
        lost = lost or any(value in flowing and not flows_on for value, flows_on in pairs)
        flowing.update(value for value in node.outputs if value.dtype.kind == "float")
    ends = zip(body.graph.outputs, found, strict=True)
    if lost or any(value in flowing and not tensor.requires_grad for value, tensor in ends):
        raise CaptureError(
            f"{name}: a tensor is detached, or gradients are turned off, inside of a function "
            "given; do that outside of it, or compile under no_grad()"
        )
