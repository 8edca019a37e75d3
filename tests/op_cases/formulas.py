"""Several expressions in one pass."""

from lamina.kernels.expression import Input, apply
from lamina.ops.formulas import Formulas

from .case import Case
from .drawing import normal

X, Y = Input(0), Input(1)

CASES = [
    Case(
        Formulas((X * Y + X, apply("maximum", X, Y)), (dtype, dtype)),
        (normal(3, 5), normal(5)),
        lambda x, y: (x * y + x, (x + 0 * y).clip(y)),
        ulp=2, why="a product and a sum, rounded each", scale=1.0,
        dtypes=(dtype,), label=dtype, shapes=(((), ()), ((0, 4), (4,)), ((7, 1), (1, 9))),
    )
    for dtype in ("float32", "float64")
]  # fmt: skip
