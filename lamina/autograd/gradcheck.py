"""Derivatives against mathematics: what reverse mode says, compared with central differences."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lamina import dtypes
from lamina.autograd.backward import grad
from lamina.autograd.grad_mode import enable_grad, no_grad
from lamina.errors import DTypeError, GradientError
from lamina.memory import of_numpy
from lamina.memory.array import NDArray
from lamina.ops.registry import Operand

Tensor = Any
Function = Callable[..., Any]


def gradcheck(
    fn: Function,
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
) -> bool:
    """Return True if the derivative of `fn` agrees with (fn(x + eps) − fn(x − eps)) / 2·eps.

    Checked for every element of every float64 tensor of `inputs` that requires grad. The first
    output where they differ by more than atol + rtol·|difference quotient| is a GradientError that
    shows the worst element.

    >>> import lamina
    >>> x = lamina.tensor([0.5, 2.0], dtype="float64", requires_grad=True)
    >>> gradcheck(lambda x: x * x.exp(), x)
    True
    """
    given = _tuple_of(inputs)
    checked = _checked(given)
    quotients = _difference_quotients(fn, given, checked, eps)
    with enable_grad():
        outputs = _outputs(fn(*given))
    for place, out in enumerate(outputs):
        rows = _derivatives(out, [given[i] for i in checked])
        for column, (i, expected) in enumerate(zip(checked, quotients[place], strict=True)):
            found = np.stack([row[column] for row in rows]) if rows else np.zeros_like(expected)
            _compare(found, expected, _Where(place, out.shape, i, given[i].shape), atol, rtol)
    return True


def gradgradcheck(
    fn: Function,
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
) -> bool:
    """Return True if the derivative of the gradient of `fn` agrees with difference quotients.

    The gradient is that of Σ outputs·grad_outputs, numbers of around 1 unless given, and is checked
    as a function of both.

    >>> import lamina
    >>> x = lamina.tensor([0.5, 2.0], dtype="float64", requires_grad=True)
    >>> gradgradcheck(lambda x: x * x.exp(), x)
    True
    """
    given = _tuple_of(inputs)
    checked = _checked(given)
    with enable_grad():
        outputs = [out for out in _outputs(fn(*given)) if out.requires_grad]
    if grad_outputs is None:
        seeds = tuple([_ripple(out).requires_grad_() for out in outputs])
    else:
        seeds = tuple([x.detach().requires_grad_() for x in _tuple_of(grad_outputs)])

    def gradient(*args: Any) -> tuple[Any, ...]:
        points = [_leaf(x) if i in checked else x for i, x in enumerate(args[: len(given)])]
        with enable_grad():
            made = [out for out in _outputs(fn(*points)) if out.requires_grad]
        wanted = [points[i] for i in checked]
        pulled = grad(made, wanted, args[len(given) :], create_graph=True, allow_unused=True)
        return tuple([g for g in pulled if g is not None])

    return gradcheck(gradient, (*given, *seeds), eps=eps, atol=atol, rtol=rtol)


class _Where(NamedTuple):
    """Which output is differentiated with respect to which input."""

    output: int
    output_shape: tuple[int, ...]
    input: int
    input_shape: tuple[int, ...]


def _tuple_of(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _outputs(result: Any) -> list[Tensor]:
    outputs: list[Any] = [x for x in _tuple_of(result) if isinstance(x, Operand)]
    return [x for x in outputs if x.array.dtype.is_floating_point]


def _checked(given: tuple[Any, ...]) -> list[int]:
    checked = [i for i, x in enumerate(given) if isinstance(x, Operand) and _requires_grad(x)]
    if not checked:
        raise GradientError(
            "no input requires grad; call requires_grad_() on what is to be checked"
        )
    for i in checked:
        if given[i].dtype is not dtypes.float64:
            raise DTypeError(
                f"input {i} is {given[i].dtype.name}; difference quotients need float64: "
                "convert it with .double()"
            )
    return checked


def _requires_grad(tensor: Any) -> bool:
    return bool(tensor.requires_grad)


def _leaf(x: Tensor) -> Tensor:
    return x if x.requires_grad else x.detach().requires_grad_()


def _ripple(out: Tensor) -> Tensor:
    """Return numbers between 0.5 and 1.5, all different, in the shape of `out`."""
    size = out.numel()
    values = 1 + 0.5 * np.sin(np.arange(1, size + 1, dtype=np.float64))
    return out.detach().new_tensor(values.reshape(out.shape))


def _difference_quotients(
    fn: Function, given: tuple[Any, ...], checked: list[int], eps: float
) -> list[list[NDArray]]:
    """Return, for each output and each checked input, (outputs, inputs) difference quotients."""
    columns: list[list[list[NDArray]]] = []
    for i in checked:
        values = np.array(given[i].array.numpy(), order="K")
        moved = given[i].of_history(of_numpy(values), None)
        args = (*given[:i], moved, *given[i + 1 :])
        columns.append([_quotient(fn, args, values, at, eps) for at in np.ndindex(values.shape)])
    count = len(_values(fn, given))
    return [
        [
            np.stack([steps[place] for steps in column], axis=-1)
            if column
            else np.zeros((_values(fn, given)[place].size, 0))
            for column in columns
        ]
        for place in range(count)
    ]


def _quotient(
    fn: Function, args: tuple[Any, ...], values: NDArray, at: tuple[int, ...], eps: float
) -> list[NDArray]:
    before = values[at]
    values[at] = before + eps
    above = _values(fn, args)
    values[at] = before - eps
    below = _values(fn, args)
    values[at] = before
    return [(a - b) / (2 * eps) for a, b in zip(above, below, strict=True)]


def _values(fn: Function, args: tuple[Any, ...]) -> list[NDArray]:
    with no_grad():
        outputs = _outputs(fn(*args))
    return [np.array(out.array.numpy(), dtype=np.float64).reshape(-1) for out in outputs]


def _derivatives(out: Tensor, points: list[Tensor]) -> list[list[NDArray]]:
    """Return, for each element of `out`, the gradient with respect to each point, flat."""
    if not out.requires_grad:
        return [[np.zeros(x.numel()) for x in points] for _ in range(out.numel())]
    rows = []
    for at in np.ndindex(out.shape):
        seed = out.detach().zeros_like()
        seed.array.numpy()[at] = 1
        grads = grad(out, points, seed, retain_graph=True, allow_unused=True)
        pairs = zip(grads, points, strict=True)
        rows.append(
            [np.zeros(x.numel()) if g is None else g.array.numpy().reshape(-1) for g, x in pairs]
        )
    return rows


def _compare(found: NDArray, expected: NDArray, where: _Where, atol: float, rtol: float) -> None:
    if not expected.size:
        return
    excess = np.abs(found - expected) - (atol + rtol * np.abs(expected))
    excess = np.where(np.isnan(excess), np.inf, excess)
    row, column = (int(n) for n in np.unravel_index(np.argmax(excess), excess.shape))
    if excess[row, column] <= 0:
        return
    out_at = tuple(int(n) for n in np.unravel_index(row, where.output_shape))
    in_at = tuple(int(n) for n in np.unravel_index(column, where.input_shape))
    raise GradientError(
        f"the derivative of output {where.output} at {out_at} with respect to input {where.input} "
        f"at {in_at} is {found[row, column]:.6g}, and the difference quotient there "
        f"{expected[row, column]:.6g}; {int((excess > 0).sum())} of {excess.size} elements differ"
    )
