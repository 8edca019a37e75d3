"""Elementary functions, element by element."""

import numpy as np

from lamina.ops.pointwise import FLOATING, Elementwise
from lamina.ops.registry import OUT, define

exp = define(Elementwise("exp", np.exp, lambda g, out, x: (g * out,), kinds=FLOATING, saves=(OUT,)))
log = define(Elementwise("log", np.log, lambda g, out, x: (g / x,), kinds=FLOATING))
sqrt = define(
    Elementwise("sqrt", np.sqrt, lambda g, out, x: (g * 0.5 / out,), kinds=FLOATING, saves=(OUT,))
)
tanh = define(
    Elementwise(
        "tanh", np.tanh, lambda g, out, x: (g * (1 - out * out),), kinds=FLOATING, saves=(OUT,)
    )
)
