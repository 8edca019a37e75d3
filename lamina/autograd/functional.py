"""Derivatives of functions: of one at a point, or as a function made of another.

`inputs` is one tensor or a tuple of them, and gradients come back in the same form. With
`create_graph` the results can be differentiated again, with respect to the inputs as well.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lamina.autograd.backward import grad
from lamina.autograd.grad_mode import enable_grad
from lamina.errors import ArgumentError, ShapeError
from lamina.ops.registry import Operand
from lamina.ops.shapes.copying import stack

Tensor = Any
# One tensor, or a tuple of them.
Tensors = Any
# Tensors in nested tuples, lists and dicts.
Tree = Any
Function = Callable[..., Any]


def vjp(
    func: Function, inputs: Tensors, v: Tensors = None, create_graph: bool = False
) -> tuple[Tensors, Tensors]:
    """Return func(*inputs), and vᵀ·J: the gradient of Σ outputs·v.

    `v` has the form of the outputs, and may be left out where they are one number.

    >>> import lamina
    >>> vjp(lambda x: x * x, lamina.tensor([1.0, 2.0]), lamina.tensor([1.0, 10.0]))
    (Tensor([1., 4.]), Tensor([ 2., 40.]))
    """
    points = _points(inputs, create_graph)
    result = _call(func, points)
    outputs = _tuple_of(result)
    grads = _pull(outputs, points, _seeds(v, outputs), create_graph)
    return _cut_off(result, create_graph), _in_form_of(inputs, grads)


def jvp(
    func: Function, inputs: Tensors, v: Tensors = None, create_graph: bool = False
) -> tuple[Tensors, Tensors]:
    """Return func(*inputs), and J·v: how the outputs move as the inputs move along `v`.

    `v` has the form of the inputs, and may be left out where they are one number. Two reverse
    passes: u ↦ uᵀ·J is linear, and the transpose of its derivative is v ↦ J·v.

    >>> import lamina
    >>> jvp(lambda x: x * x, lamina.tensor([1.0, 2.0]), lamina.tensor([1.0, 10.0]))
    (Tensor([1., 4.]), Tensor([ 2., 40.]))
    """
    points = _points(inputs, create_graph)
    result = _call(func, points)
    outputs = _tuple_of(result)
    probes = tuple([out.detach().zeros_like().requires_grad_() for out in outputs])
    pulled = _pull(outputs, points, probes, create_graph=True)
    moved = _pull(pulled, probes, _seeds(v, points), create_graph)
    return _cut_off(result, create_graph), _in_form_of(result, moved)


def jacobian(func: Function, inputs: Tensors, create_graph: bool = False) -> Any:
    """Return ∂func(*inputs)/∂inputs, of shape output.shape + input.shape.

    A tuple of inputs gives a tuple; a tuple of outputs gives a tuple of what each output gives.

    >>> import lamina
    >>> jacobian(lambda x: x * x, lamina.tensor([1.0, 3.0]))
    Tensor([[2., 0.],
            [0., 6.]])
    """
    points = _points(inputs, create_graph)
    result = _call(func, points)
    blocks = [
        _in_form_of(inputs, _jacobian_of(out, points, create_graph)) for out in _tuple_of(result)
    ]
    return _in_form_of(result, blocks)


def hessian(func: Function, inputs: Tensors, create_graph: bool = False) -> Any:
    """Return ∂²func(*inputs)/∂inputs², of shape input.shape + input.shape, of a single number.

    A tuple of inputs gives a tuple of tuples: a block for each two of them.

    >>> import lamina
    >>> hessian(lambda x: (x * x * x).sum(), lamina.tensor([1.0, 2.0]))
    Tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    def gradient(*points: Tensor) -> Tensors:
        value = _single_number(_call(func, points))
        return _in_form_of(inputs, _pull((value,), points, (None,), create_graph=True))

    return jacobian(gradient, inputs, create_graph)


def vhp(
    func: Function, inputs: Tensors, v: Tensors = None, create_graph: bool = False
) -> tuple[Tensor, Tensors]:
    """Return func(*inputs), a single number, and vᵀ·H, H its Hessian, which is never formed.

    `v` has the form of the inputs. H is symmetric, so this is H·v as well.

    >>> import lamina
    >>> v = lamina.tensor([1.0, 10.0])
    >>> vhp(lambda x: (x * x * x).sum(), lamina.tensor([1.0, 2.0]), v)
    (Tensor(9.), Tensor([  6., 120.]))
    """
    points = _points(inputs, create_graph)
    value = _single_number(_call(func, points))
    gradient = _pull((value,), points, (None,), create_graph=True)
    products = _pull(gradient, points, _seeds(v, points), create_graph)
    return _cut_off(value, create_graph), _in_form_of(inputs, products)


def value_and_grad(
    fn: Function, argnums: int | Sequence[int] = 0, *, create_graph: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """Return a function that gives fn(…) and its gradient with respect to the arguments `argnums`.

    Such an argument is a tensor, or tuples, lists and dicts of them, and its gradient has the same
    form. `fn` returns a single number, or a tuple whose first entry is one. Gradients are functions
    of the arguments again with `create_graph`, as derivatives of higher order want them.

    >>> import lamina
    >>> loss = lambda weights, x: ((weights["w"] * x) ** 2).sum()
    >>> value_and_grad(loss)({"w": lamina.tensor([1.0, 2.0])}, lamina.tensor(3.0))
    (Tensor(45.), {'w': Tensor([18., 36.])})
    """
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def evaluate(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        absent = [place for place in chosen if not -len(args) <= place < len(args)]
        if absent:
            raise ArgumentError(
                f"argnums={argnums!r} names argument {absent[0]} of a call with {len(args)} "
                "arguments; pass what is to be differentiated by position"
            )
        given = list(args)
        for place in chosen:
            given[place] = _map(args[place], lambda x: _point(x, create_graph))
        with enable_grad():
            result = fn(*given, **kwargs)
        value = _single_number(result[0] if isinstance(result, tuple) else result)
        points = [x for place in chosen for x in _leaves(given[place])]
        found = iter(_pull((value,), points, (None,), create_graph))
        grads = tuple([_map(given[place], lambda x: next(found)) for place in chosen])
        return _cut_off(result, create_graph), grads[0] if isinstance(argnums, int) else grads

    return evaluate


def _points(inputs: Tensors, create_graph: bool) -> tuple[Tensor, ...]:
    return tuple([_point(x, create_graph) for x in _tuple_of(inputs)])


def _point(x: Tensor, create_graph: bool) -> Tensor:
    """Return `x` as an input of its own: what else depends on `x` does not count."""
    if not isinstance(x, Operand):
        raise ArgumentError(f"{type(x).__name__} given as an input to differentiate; give a tensor")
    tensor: Any = x
    if not (create_graph and tensor.requires_grad):
        return tensor.detach().requires_grad_()
    with enable_grad():
        return tensor.view_as(tensor)


def _call(func: Function, points: tuple[Tensor, ...]) -> Tensors:
    with enable_grad():
        result = func(*points)
    for out in _tuple_of(result):
        if not isinstance(out, Operand):
            raise ArgumentError(
                f"the function returned {type(out).__name__}; expected a tensor or a tuple of them"
            )
    return result


def _pull(
    outputs: Sequence[Tensor],
    points: Sequence[Tensor],
    seeds: Sequence[Tensor | None],
    create_graph: bool,
    *,
    retain_graph: bool | None = None,
) -> tuple[Tensor, ...]:
    """Return the gradient of Σ outputs·seeds, zeros where there is no dependence."""
    pairs = [(out, seed) for out, seed in zip(outputs, seeds, strict=True) if out.requires_grad]
    if not pairs or not points:
        return tuple([x.detach().zeros_like() for x in points])
    grads = grad(
        [out for out, _ in pairs],
        points,
        [seed for _, seed in pairs],
        retain_graph=retain_graph,
        create_graph=create_graph,
        allow_unused=True,
    )
    pulled = zip(grads, points, strict=True)
    return tuple([x.detach().zeros_like() if g is None else g for g, x in pulled])


def _jacobian_of(out: Tensor, points: tuple[Tensor, ...], create_graph: bool) -> tuple[Tensor, ...]:
    rows = [
        _pull((out,), points, (_one_at(out, place),), create_graph, retain_graph=True)
        for place in np.ndindex(out.shape)
    ]
    if not rows:
        return tuple([x.new_zeros((*out.shape, *x.shape)) for x in points])
    columns = zip(*rows, strict=True)
    return tuple(
        [stack(c).reshape((*out.shape, *x.shape)) for c, x in zip(columns, points, strict=True)]
    )


def _one_at(out: Tensor, place: tuple[int, ...]) -> Tensor:
    seed = out.detach().zeros_like()
    seed.array.numpy()[place] = 1
    return seed


def _seeds(v: Tensors, of: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
    if v is None:
        if len(of) != 1 or of[0].numel() != 1:
            raise ArgumentError("v was left out; that is allowed for a single number alone")
        return (of[0].detach().ones_like(),)
    given = _tuple_of(v)
    shapes = [tuple(x.shape) for x in given]
    expected = [tuple(x.shape) for x in of]
    if shapes != expected:
        raise ShapeError(f"v has shapes {shapes}; expected {expected}")
    return given


def _single_number(value: Tensor) -> Tensor:
    if not isinstance(value, Operand) or value.shape not in ((), (1,)):
        told = getattr(value, "shape", type(value).__name__)
        raise ShapeError(f"the function returned {told}; expected a single number: reduce it first")
    return value


def _tuple_of(value: Tensors) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _in_form_of(like: Tensors, values: Sequence[Any]) -> Any:
    return tuple(values) if isinstance(like, tuple | list) else values[0]


def _cut_off(result: Any, create_graph: bool) -> Any:
    return result if create_graph else _map(result, lambda x: x.detach())


def _map(tree: Tree, fn: Callable[[Tensor], Any]) -> Tree:
    """Return `tree` with `fn` of each tensor in its place."""
    if isinstance(tree, dict):
        return {key: _map(value, fn) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)([_map(value, fn) for value in tree])
    return fn(tree) if isinstance(tree, Operand) else tree


def _leaves(tree: Tree) -> list[Tensor]:
    found: list[Tensor] = []
    _map(tree, found.append)
    return found
