"""How far the functions may be from the truth."""

# The largest error in units in the last place, of results in f32 and in f64, on any target. For
# f32 it is proved over all values (pow and atan2: 10⁸ pairs), for f64 it is the largest one met
# among millions, rounded up. Correct rounding is 0.5.
ERRORS: dict[str, dict[str, float]] = {
    "acos": {"f32": 0.51, "f64": 1.1},
    "acosh": {"f32": 0.51, "f64": 1.8},
    "asin": {"f32": 0.51, "f64": 2.1},
    "asinh": {"f32": 0.52, "f64": 1.6},
    "atan": {"f32": 0.51, "f64": 2.0},
    "atan2": {"f32": 0.51, "f64": 1.9},
    "atanh": {"f32": 0.52, "f64": 1.8},
    "cbrt": {"f32": 0.51, "f64": 0.7},
    "cos": {"f32": 0.51, "f64": 0.8},
    "cosh": {"f32": 0.51, "f64": 1.5},
    "erf": {"f32": 0.51, "f64": 0.8},
    "erfc": {"f32": 0.51, "f64": 2.4},
    "exp": {"f32": 0.51, "f64": 1.0},
    "exp2": {"f32": 0.51, "f64": 1.1},
    "expm1": {"f32": 0.51, "f64": 1.9},
    "gelu": {"f32": 0.51, "f64": 3.9},
    "gelu_tanh": {"f32": 0.51, "f64": 1.5},
    "log": {"f32": 0.52, "f64": 0.8},
    "log10": {"f32": 0.52, "f64": 0.51},
    "log1p": {"f32": 0.52, "f64": 1.4},
    "log2": {"f32": 0.52, "f64": 0.51},
    "log_sigmoid": {"f32": 0.52, "f64": 1.6},
    "pow": {"f32": 0.51, "f64": 1.1},
    "rsqrt": {"f32": 0.51, "f64": 1.6},
    "sigmoid": {"f32": 0.51, "f64": 1.9},
    "sin": {"f32": 0.51, "f64": 0.8},
    "sinh": {"f32": 0.51, "f64": 2.3},
    "softplus": {"f32": 0.52, "f64": 1.7},
    "sqrt": {"f32": 0.5, "f64": 0.5},
    "tan": {"f32": 0.51, "f64": 2.2},
    "tanh": {"f32": 0.51, "f64": 2.2},
}
