"""Public functions refuse what is no tensor, by one error, whatever the function."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn
from lamina.errors import DTypeError, LaminaError
from lamina.ops.registry import Operand
from lamina.tensor.guard import Guard, takes_tensors

STRANGERS = ("x", None, [1.0, 2.0], 3.0, np.ones((2, 2), np.float32))
MODULES = (
    nn.BatchNorm2d(2),
    nn.Conv2d(2, 2, 1),
    nn.Embedding(3, 2),
    nn.Flatten(),
    nn.GELU(),
    nn.LayerNorm(2),
    nn.Linear(2, 2),
    nn.MaxPool2d(2),
    nn.ReLU(),
    nn.Softmax(1),
    nn.Unflatten(1, (2, 1)),
)


def _takers() -> Iterator[Any]:
    """Every public function whose first parameter is a tensor, and how many it needs."""
    for space in (F, lamina, lamina.linalg, lamina.fft):
        for name in space.__all__:
            function = getattr(space, name)
            if not inspect.isfunction(function):
                continue
            parameters = list(inspect.signature(function).parameters.values())
            kind = parameters[0].annotation if parameters else None
            needed = sum(p.default is p.empty and p.kind is not p.KEYWORD_ONLY for p in parameters)
            if isinstance(kind, type) and issubclass(kind, Operand):
                yield pytest.param(function, needed, id=f"{space.__name__}.{name}")


@pytest.mark.parametrize(("function", "needed"), list(_takers()))
def test_what_is_no_tensor_is_refused_by_a_typed_error(
    function: Callable[..., Any], needed: int
) -> None:
    for stranger in STRANGERS[:3]:
        with pytest.raises(LaminaError):
            function(*[stranger] * needed)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: type(m).__name__)
def test_modules_refuse_arrays(module: nn.Module) -> None:
    for stranger in STRANGERS:
        with pytest.raises(DTypeError, match="expected a tensor"):
            module(stranger)


def test_the_message_names_function_parameter_and_remedy() -> None:
    with pytest.raises(DTypeError, match=r"^conv2d: str given for input, expected a tensor; make"):
        F.conv2d("x", lamina.ones(1, 1, 1, 1))
    with pytest.raises(DTypeError, match=r"^conv2d: float given for bias"):
        F.conv2d(lamina.ones(1, 1, 2, 2), lamina.ones(1, 1, 1, 1), bias=3.0)
    with pytest.raises(DTypeError, match=r"^sum: list given for x"):
        lamina.sum(input=[1.0])


def test_lists_of_tensors_are_checked_inside() -> None:
    with pytest.raises(DTypeError, match=r"^stack: str given for arrays, expected a list"):
        lamina.stack("x")
    with pytest.raises(DTypeError, match=r"^concat: a list with int given"):
        lamina.concat([lamina.ones(1), 2])


def test_only_annotated_parameters_are_guarded() -> None:
    @takes_tensors
    def scaled(x: lamina.Tensor, factor: float, shift: lamina.Tensor | None = None) -> Any:
        return x * factor if shift is None else x * factor + shift

    assert scaled(lamina.ones(1), 2.0).tolist() == [2.0]
    assert scaled(lamina.ones(1), 2.0, None).tolist() == [2.0]
    assert scaled(lamina.ones(1), factor=2.0, shift=lamina.ones(1)).tolist() == [3.0]
    assert Guard(lambda n: n).is_open
    with pytest.raises(TypeError, match="factor"):
        scaled(lamina.ones(1))
