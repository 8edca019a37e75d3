"""Elementary functions of the kernel language, for scalars and vectors of f32 and f64.

    exp(k: Builder, x: Value) -> Value

They branch on no element, flush no subnormal and call no library. `accuracy.ERRORS` states the
largest error of each in ULP; `scripts/prove_mathlib.py` tries every float32.
"""

from collections.abc import Callable

from lamina.codegen.mathlib.activations import gelu_tanh, log_sigmoid, sigmoid, softplus
from lamina.codegen.mathlib.error_function import erf, erfc, gelu, normal_cdf, normal_pdf
from lamina.codegen.mathlib.exponentials import exp, exp2, exp_of_deficit, expm1
from lamina.codegen.mathlib.hyperbolic import acosh, asinh, atanh, cosh, sinh, tanh
from lamina.codegen.mathlib.inverse_trigonometric import acos, asin, atan, atan2
from lamina.codegen.mathlib.logarithms import log, log1p, log2, log10
from lamina.codegen.mathlib.powers import pow
from lamina.codegen.mathlib.roots import cbrt, rsqrt, sqrt
from lamina.codegen.mathlib.trigonometric import cos, sin, tan
from lamina.codegen.values import Value as _Value

_LISTED: tuple[Callable[..., _Value], ...] = (
    *(exp, exp2, expm1, log, log1p, log2, log10),
    *(sinh, cosh, tanh, asinh, acosh, atanh),
    *(sin, cos, tan, asin, acos, atan, atan2),
    *(sqrt, rsqrt, cbrt, pow),
    *(erf, erfc, gelu, gelu_tanh, normal_cdf, normal_pdf, sigmoid, log_sigmoid, softplus),
)
FUNCTIONS: dict[str, Callable[..., _Value]] = {function.__name__: function for function in _LISTED}

__all__ = [
    "FUNCTIONS",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "cos",
    "cosh",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "exp_of_deficit",
    "expm1",
    "gelu",
    "gelu_tanh",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_sigmoid",
    "normal_cdf",
    "normal_pdf",
    "pow",
    "rsqrt",
    "sigmoid",
    "sin",
    "sinh",
    "softplus",
    "sqrt",
    "tan",
    "tanh",
]
