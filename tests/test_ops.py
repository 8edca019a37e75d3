"""Every op of the table, on every axis, in one loop: see `op_cases`."""

import copy
import itertools
import zlib
from typing import Any

import numpy as np
import pytest
from op_cases import CASES, OPS
from op_cases.case import HALVES, Case
from op_cases.comparing import check_close, exact
from op_cases.differences import (
    along,
    as_tuple,
    check_near,
    dot,
    gradient,
    is_float,
    tensors_of,
    weighted,
)
from op_cases.drawing import normal
from op_cases.layouts import SAME, contiguous, repeated

import lamina
from lamina import autograd
from lamina.dtypes import DTYPES
from lamina.memory import Spec
from lamina.ops.pointwise import Elementwise
from lamina.ops.registry import View, spec_of

ROWS = [case for rows in CASES.values() for case in rows]


def over(rows: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", rows, ids=str)


every_case = over(ROWS)
REFERENCE = "the reference"
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5])


# Their order is the kernel's own; the tests of passes hold those who read it to the bits of
# those who read the operand itself.
LAID_OUT_FOR_KERNELS = {"pack_right", "prepare_chain", "prepare_filters"}


def test_every_op_has_a_case() -> None:
    assert sorted(OPS.keys() - CASES.keys()) == sorted(LAID_OUT_FOR_KERNELS)


def test_every_case_has_a_label_of_its_own() -> None:
    names = [str(case) for case in ROWS]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def generator_of(case: Case) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(str(case).encode()))


def wanted_of(case: Case, arrays: list[Any]) -> tuple[Any, ...]:
    with np.errstate(all="ignore"):
        return as_tuple(case.oracle(*map(exact, arrays)))


def run(case: Case, arrays: list[Any]) -> tuple[Any, ...]:
    """The outputs of the op as numpy arrays, of the specs that were inferred."""
    inputs = [lamina.from_numpy(a) for a in arrays]
    outputs = as_tuple(case.op(*inputs))
    if case.is_shape_known and not promotes(case, arrays):
        expected = case.op.infer(*map(spec_of, arrays))
        specs = [expected] if isinstance(expected, Spec) else list(expected)
        assert [(out.shape, out.dtype) for out in outputs] == [tuple(s) for s in specs]
    return tuple(out.array.numpy() for out in outputs)


def promotes(case: Case, arrays: list[Any]) -> bool:
    """Whether inputs are converted before the op sees them."""
    kinds = {DTYPES[a.dtype.name].kind for a in arrays[case.op.promotes_from :]}
    return case.op.promotion == "float" and not kinds <= {"float", "complex"}


def compare(case: Case, got: tuple[Any, ...], wanted: tuple[Any, ...], what: str) -> None:
    assert len(got) == len(wanted), what
    for one, other in zip(got, wanted, strict=True):
        ulp = case.half_ulp if one.dtype.name in HALVES else case.ulp
        if what != REFERENCE:
            ulp = case.kernel_ulp.get(one.dtype.name, ulp)
        try:
            check_close(one, other, ulp=ulp, scale=case.scale)
        except AssertionError as error:
            raise AssertionError(f"{case}, {what}: {error}") from None


@every_case
def test_matches_the_oracle(case: Case) -> None:
    rng = generator_of(case)
    for dtype, shapes in itertools.product(case.swept, case.shape_sets()):
        arrays = case.draw(rng, dtype, shapes)
        wanted = wanted_of(case, arrays)
        for layout in SAME:
            got = run(case, [layout(a) for a in arrays])
            compare(case, got, wanted, f"{dtype} {shapes} {layout.__name__}")
    if case.repeatable:
        arrays = [repeated(a) for a in case.draw(rng, case.swept[0])]
        compare(case, run(case, arrays), wanted_of(case, arrays), "repeated")


@every_case
def test_the_reference_is_what_runs(case: Case) -> None:
    """`ref` is called where there is no kernel; where there is one it must mean the same."""
    arrays = [contiguous(a) for a in case.draw(generator_of(case), case.swept[0])]
    with np.errstate(all="ignore"):
        found = tuple(np.asarray(out) for out in as_tuple(case.op.ref(*arrays)))
    compare(case, found, wanted_of(case, arrays), REFERENCE)


@over([case for case in ROWS if case.checks_special])
def test_special_values(case: Case) -> None:
    dtypes = [name for name in ("float64", "float32") if name in case.swept]
    for dtype in dtypes:
        values = SPECIAL.astype(dtype)
        swept = [draw.dtype is None for draw in case.inputs]
        grid = iter(np.meshgrid(*[values] * sum(swept), indexing="ij"))
        rng = generator_of(case)
        shape = (len(SPECIAL),) * sum(swept)
        arrays = [
            contiguous(next(grid)) if is_swept else draw.array(rng, dtype, shape)
            for is_swept, draw in zip(swept, case.inputs, strict=True)
        ]
        for got, wanted in zip(run(case, arrays), wanted_of(case, arrays), strict=True):
            ulp = max(case.ulp, 1.0)
            check_close(got, wanted, ulp=ulp, scale=case.scale, signed_zeros=case.signed_zeros)


def moving_inputs(case: Case) -> tuple[int, ...]:
    return tuple(i for i, draw in enumerate(case.inputs) if draw.dtype is None)


def directions(rng: np.random.Generator, arrays: list[Any], moving: tuple[int, ...]) -> Any:
    return {i: rng.standard_normal(arrays[i].shape) for i in moving}


def start(case: Case, shapes: Any) -> tuple[list[Any], list[Any], tuple[int, ...], Any]:
    """Inputs, weights of the outputs, which inputs move, and the generator they came from."""
    rng = generator_of(case)
    arrays = case.draw(rng, "float64", shapes)
    floats = [np.asarray(out) for out in wanted_of(case, arrays) if is_float(out)]
    weights = [rng.standard_normal(out.shape) for out in floats]
    return arrays, weights, moving_inputs(case), rng


@over([case for case in ROWS if case.derivatives >= 1])
def test_first_derivative(case: Case) -> None:
    for shapes in case.shape_sets():
        arrays, weights, moving, rng = start(case, shapes)
        if not any(arrays[i].size for i in moving):
            continue
        inputs = tensors_of(arrays, moving)
        found = gradient(case.op, inputs, [lamina.tensor(w) for w in weights], moving)
        grads = [g.detach().numpy() for g in found]
        for g, i in zip(grads, moving, strict=True):
            assert (g.shape, g.dtype) == (arrays[i].shape, np.float64)
        wide = [exact(a) for a in arrays]

        def value(at: list[Any], weights: Any = weights) -> Any:
            with np.errstate(all="ignore"):
                return weighted(case.oracle(*at), weights)

        for _ in range(3):
            direction = directions(rng, arrays, moving)
            analytic = float(dot(grads, direction.values()))
            size = float(dot(map(np.abs, grads), map(np.abs, direction.values())))
            check_near(analytic, along(value, wide, direction), size, f"{case} {shapes}")


@over([case for case in ROWS if case.derivatives >= 2])
def test_second_derivative(case: Case) -> None:
    """The first derivative along a direction, differentiated by the inputs and the weights."""
    arrays, weights, moving, rng = start(case, None)
    sent = [lamina.tensor(d) for d in directions(rng, arrays, moving).values()]

    def contracted(at: list[Any], graph: str) -> Any:
        inputs = tensors_of(at[: len(arrays)], moving)
        cotangents = [lamina.tensor(w, requires_grad=True) for w in at[len(arrays) :]]
        total = dot(gradient(case.op, inputs, cotangents, moving), sent)
        return (total, inputs, cotangents) if graph == "keep" else total.item()

    at = [*arrays, *weights]
    free = (*moving, *range(len(arrays), len(at)))
    total, inputs, cotangents = contracted(at, "keep")
    leaves = [*(inputs[i] for i in moving), *cotangents]
    found = [
        np.zeros(leaf.shape) if g is None else g.numpy()
        for leaf, g in zip(leaves, derivative(total, leaves), strict=True)
    ]
    for _ in range(2):
        direction = directions(rng, at, free)
        analytic = float(dot(found, direction.values()))
        size = float(dot(map(np.abs, found), map(np.abs, direction.values())))
        numeric = along(lambda x: contracted(x, "drop"), at, direction)
        check_near(analytic, numeric, size, f"{case}, second derivative")


def derivative(total: Any, leaves: list[Any]) -> Any:
    if not total.requires_grad:
        return [None] * len(leaves)
    return autograd.grad(total, leaves, allow_unused=True)


@every_case
def test_an_op_is_a_key(case: Case) -> None:
    twin = copy.copy(case.op)
    assert twin == case.op
    assert hash(twin) == hash(case.op)
    assert {case.op: "kept"}[twin] == "kept"


@over([case for case in ROWS if isinstance(case.op, View)])
def test_a_view_shares_memory(case: Case) -> None:
    (array,) = case.draw(generator_of(case), "float32")
    x = lamina.from_numpy(contiguous(array))
    assert np.shares_memory(case.op(x).numpy(), x.numpy())


def sine(value: Any, slope: Any) -> Case:
    """A case of an op that claims to be the sine."""
    op = Elementwise("claimed_sine", value, lambda g, out, x: (g * slope(x),))
    return Case(op, (normal(3, 4),), np.sin, ulp=4, why="as sin", half_ulp=1)


def test_the_loop_passes_a_right_op() -> None:
    right = sine(np.sin, lambda x: x.cos())
    test_matches_the_oracle(right)
    test_first_derivative(right)
    test_second_derivative(right)


@pytest.mark.parametrize(
    ("check", "value", "slope", "said"),
    [
        (test_matches_the_oracle, lambda x: np.sin(x) * (1 + 3e-15), None, "ULP of float64"),
        (test_matches_the_oracle, lambda x: np.sin(x).T.copy().T[::-1], None, "elements are off"),
        (test_first_derivative, np.sin, lambda x: x.cos() * 1.00001, "by differences"),
        (test_second_derivative, np.sin, lambda x: x.detach().cos(), "second derivative"),
        (test_special_values, lambda x: np.sin(x) + 0.0, None, "sign of zero"),
    ],
)
def test_the_loop_fails_a_wrong_op(check: Any, value: Any, slope: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check(sine(value, slope))
