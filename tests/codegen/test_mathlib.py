"""The functions of mathlib against wider types: f32 against float64, f64 against long double."""

import inspect
from pathlib import Path

import numpy as np
import pytest
from oracles import ORACLES, all_over_f32, all_over_f64, evaluate, pairs, ulp_errors

from lamina.codegen import assemble, jit, mathlib
from lamina.codegen.builder import KernelModule
from lamina.codegen.mathlib import FUNCTIONS, over_arrays
from lamina.codegen.mathlib.accuracy import ERRORS
from lamina.codegen.target import TARGETS, runs_here
from lamina.codegen.types import Pointer, f16, f32, f64
from lamina.errors import CompileError

USABLE = [target for target in TARGETS.values() if runs_here(target)]
NAMES = sorted(FUNCTIONS)
OF_TWO = over_arrays.TWO_OPERANDS
OF_ONE = [name for name in NAMES if name not in OF_TWO]
# Their wider values come from mpmath: see golden/mathlib_mpmath.py.
GOLDEN = dict(np.load(Path(__file__).parent.parent / "golden" / "mathlib.npz"))
LONG = np.longdouble
# An odd step meets every exponent and every pattern of low bits.
STEP = 4099
pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.skipif(not USABLE, reason="no target of this processor"),
]


def check(name, operands, exact, *, targets=USABLE):
    dtype = operands[0].dtype
    bound = ERRORS[name]["f32" if dtype == "f4" else "f64"]
    for target in targets:
        got = evaluate(name, *operands, target=target)
        errors = ulp_errors(got, exact)
        worst = int(errors.argmax())
        place = tuple(float(operand[worst]) for operand in operands)
        assert errors[worst] <= bound, (target.name, place, got[worst], exact[worst])
        unlike = (np.signbit(got) != np.signbit(exact)) & ~np.isnan(got)
        assert not unlike.any(), (target.name, operands[0][unlike][:5])


@pytest.mark.parametrize("name", OF_ONE)
def test_f32(name):
    x = all_over_f32(STEP)
    check(name, (x,), ORACLES[name](x.astype("f8")))


@pytest.mark.parametrize("name", OF_TWO)
def test_f32_of_two(name):
    a, b = pairs(all_over_f32(STEP), 20_000)
    check(name, (a, b), ORACLES[name](a.astype("f8"), b.astype("f8")))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_exp_of_deficit_has_no_subnormals(dtype, monkeypatch):
    monkeypatch.setitem(FUNCTIONS, "exp_of_deficit", mathlib.exp_of_deficit)
    x = all_over_f32(STEP) if dtype == "f4" else all_over_f64(4000)
    x = x[~(x > 0)]
    exact = np.exp(x.astype(LONG))
    least = -87 if dtype == "f4" else -708
    exact[x < least] = 0
    for target in USABLE:
        got = evaluate("exp_of_deficit", x, target=target)
        assert (ulp_errors(got, exact) <= 1).all()
        assert ((got == 0) == (x < least)).all()


needs_long_double = pytest.mark.skipif(
    np.finfo(LONG).nmant < 63, reason="long double is no wider than float64 here"
)


@needs_long_double
@pytest.mark.parametrize("name", [name for name in OF_ONE if name not in GOLDEN])
def test_f64(name):
    x = all_over_f64(4000)
    check(name, (x,), ORACLES[name](x.astype(LONG)))


@needs_long_double
@pytest.mark.parametrize("name", OF_TWO)
def test_f64_of_two(name):
    a, b = pairs(all_over_f64(4000), 20_000)
    check(name, (a, b), ORACLES[name](a.astype(LONG), b.astype(LONG)))


@needs_long_double
@pytest.mark.parametrize("name", GOLDEN)
def test_f64_against_mpmath(name):
    x, high, low = GOLDEN[name].T
    check(name, (np.ascontiguousarray(x),), high.astype(LONG) + low)


@pytest.mark.parametrize("name", GOLDEN)
def test_f64_at_edges(name):
    """Zeros, infinities, NaN, subnormals, where float64 itself is exact enough to tell."""
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 2.0**-1074, -(2.0**-1074), 2.0**-1040])
    with np.errstate(all="ignore"):
        exact = ORACLES[name](x)
    for target in USABLE:
        got = evaluate(name, x, target=target)
        assert (ulp_errors(got, exact.astype(LONG)) <= 2).all()
        assert (np.signbit(got) == np.signbit(exact))[~np.isnan(got)].all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 7, 8, 9, 31, 32, 33])
def test_a_value_is_the_same_wherever_it_stands(dtype, n):
    x = np.linspace(-3, 3e6, 40).astype(dtype)
    for target in USABLE:
        whole, part = evaluate("sin", x, target=target), np.zeros(40, dtype)
        evaluate("sin", x[-n:] if n else x[:0], target=target, out=part[:n])
        assert (part[:n] == whole[40 - n :]).all()
        assert (part[n:] == 0).all()


def test_every_function_states_its_error():
    assert set(ERRORS) == set(FUNCTIONS) == set(ORACLES)
    for name, errors in ERRORS.items():
        stated = inspect.getdoc(FUNCTIONS[name]) or ""
        assert f"{errors['f32']:g} ULP" in stated, name
        assert f"{errors['f64']:g} in f64" in stated, name


def emit_scalar(module: KernelModule, name, scalar) -> None:
    with module.function("run", {"x": Pointer(scalar), "y": Pointer(scalar)}) as (k, x, y):
        operands = [x[0], y[0]] if name in OF_TWO else [x[0]]
        x[0] = FUNCTIONS[name](k, *operands)


@pytest.mark.parametrize("name", ["exp", "log", "sin", "pow"])
def test_scalars_too_and_no_library_is_called(name):
    for target in TARGETS.values():
        for scalar in (f32, f64):
            assert "call" not in assemble.assembly(jit.build(emit_scalar, target, name, scalar))


def test_other_types_are_refused():
    with pytest.raises(CompileError, match="exp: f16 given; expected f32 or f64"):
        jit.build(emit_scalar, TARGETS["avx2"], "exp", f16)
