"""The functions over arrays: what tests, proofs and benchmarks of them run."""

from lamina.codegen import jit
from lamina.codegen.builder import KernelModule
from lamina.codegen.mathlib import FUNCTIONS
from lamina.codegen.target import Target
from lamina.codegen.types import Pointer, Scalar, i8, i64

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
