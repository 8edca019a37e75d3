"""The functions over arrays: what tests, proofs and benchmarks of them run."""

from lamina.codegen import jit
from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.mathlib import FUNCTIONS
from lamina.codegen.mathlib.arithmetic import choose, clamp, is_nan
from lamina.codegen.target import Target
from lamina.codegen.types import Pointer, Scalar, Vector, f32, f64, i8, i64, u32, u64
from lamina.codegen.values import Value

TWO_OPERANDS = ("pow", "atan2")


def emit_over_array(module: KernelModule, name: str, scalar: Scalar) -> None:
    """Define `run((count, out, operand, …))`: out[i] = FUNCTIONS[name](operand[i], …)."""
    function = FUNCTIONS[name]
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        count, lanes = args[0], k.target.lanes(scalar)
        out, *operands = (
            k.pointer_at(args[number], scalar)
            for number in range(1, 4 if name in TWO_OPERANDS else 3)
        )
        whole = count // lanes * lanes
        with k.loop(whole, step=lanes) as turn:
            values = [operand.load(turn.index, lanes=lanes) for operand in operands]
            out.store(turn.index, function(k, *values))
        left = count - whole
        with k.when(left > 0):
            values = [k.load_first(operand + whole, left) for operand in operands]
            k.store_first(out + whole, function(k, *values), left)


def kernel(name: str, scalar: Scalar, target: Target | None = None) -> jit.Entry:
    """Return the native loop over arrays of `scalar`s, for `target` or this machine's."""
    return jit.kernel(emit_over_array, name, scalar, target=target)


def emit_worst_error(module: KernelModule, name: str) -> None:
    """Define `run((count, first, exact, worst))`, which compares a function of f32 with `exact`.

    It visits `count` values, a multiple of 16, whose bits count up from `first`; `exact` holds
    their results in f64. To `worst` go, for each lane, the largest error in ULP and the bits of
    its value, 32 f64 apart. A wrong NaN or sign counts as an infinite error.
    """
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        lanes = k.target.lanes(f32)
        exact, worst = (k.pointer_at(args[number], f64) for number in (2, 3))
        wide = Vector(f64, lanes)
        start = k.convert(args[1], u32)
        step = k.iota(u32, lanes)
        with k.loop(
            args[0], step=lanes, carry=[k.constant(wide, -1.0), k.constant(wide, 0.0)]
        ) as turn:
            bits = step + (start + k.convert(turn.index, u32))
            x = k.bitcast(bits, f32)
            got = k.convert(FUNCTIONS[name](k, x), f64)
            errors = _error_in_ulp(k, got, exact.load(turn.index, lanes=lanes))
            largest, place = turn.carried
            is_larger = errors > largest
            number = k.convert(bits, f64)
            turn.next = [k.select(is_larger, errors, largest), k.select(is_larger, number, place)]
        for number, value in enumerate(turn.results):
            worst.store(32 * number, value)


def _error_in_ulp(k: Builder, got: Value, exact: Value) -> Value:
    """Return |got − exact| in units in the last place that `exact` has in f32."""
    # Infinity counts as the power of two that overflows first.
    value, truth = (clamp(k, x, -(2.0**128), 2.0**128) for x in (got, exact))
    exponent = (k.bitcast(truth, u64) >> 52) & 0x7FF
    least = k.constant(exponent.type, 1023 - 126)
    exponent = k.select(exponent > least, exponent, least)
    per_unit = k.bitcast((k.constant(exponent.type, 2 * 1023 + 23) - exponent) << 52, f64)
    error = k.absolute(value - truth) * per_unit
    signs = (k.bitcast(got, u64) ^ k.bitcast(exact, u64)) >> 63
    error = choose(k, signs.differs(0), float("inf"), error)
    both, one = k.both(is_nan(got), is_nan(exact)), k.either_true(is_nan(got), is_nan(exact))
    return choose(k, both, 0.0, choose(k, one, float("inf"), error))
