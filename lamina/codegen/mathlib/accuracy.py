"""How far the functions may be from the truth."""

# The largest error in units in the last place, of results in f32 and in f64, on any target, rounded
# up; correct rounding is 0.5. `scripts/prove_mathlib.py` meets every value of f32 (pow and atan2:
# 10⁸ pairs), and as many of f64 as it is told to.
ERRORS: dict[str, dict[str, float]] = {
    "acos": {"f32": 0.51, "f64": 1.2},
    "acosh": {"f32": 0.51, "f64": 2.2},
    "asin": {"f32": 0.51, "f64": 2.2},
    "asinh": {"f32": 0.52, "f64": 1.7},
    "atan": {"f32": 0.51, "f64": 2.2},
    "atan2": {"f32": 0.51, "f64": 2.1},
    "atanh": {"f32": 0.52, "f64": 2.0},
    "cbrt": {"f32": 0.51, "f64": 0.7},
    "cos": {"f32": 0.51, "f64": 0.8},
    "cosh": {"f32": 0.51, "f64": 1.5},
    "erf": {"f32": 0.52, "f64": 1.3},
    "erfc": {"f32": 6.0, "f64": 2.2},
    "exp": {"f32": 0.9, "f64": 1.0},
    "exp2": {"f32": 0.96, "f64": 1.1},
    "expm1": {"f32": 0.51, "f64": 2.0},
    "gelu": {"f32": 6.0, "f64": 2.2},
    "gelu_tanh": {"f32": 0.51, "f64": 2.2},
    "log": {"f32": 0.86, "f64": 0.9},
    "log10": {"f32": 0.52, "f64": 0.51},
    "log1p": {"f32": 0.52, "f64": 1.6},
    "log2": {"f32": 0.52, "f64": 0.51},
    "log_sigmoid": {"f32": 0.52, "f64": 1.7},
    "pow": {"f32": 0.51, "f64": 1.2},
    "rsqrt": {"f32": 0.51, "f64": 1.6},
    "sigmoid": {"f32": 0.95, "f64": 2.2},
    "sin": {"f32": 0.51, "f64": 0.8},
    "sinh": {"f32": 0.51, "f64": 2.4},
    "softplus": {"f32": 0.52, "f64": 1.7},
    "sqrt": {"f32": 0.5, "f64": 0.5},
    "tan": {"f32": 0.51, "f64": 2.3},
    "tanh": {"f32": 0.94, "f64": 0.9},
}
