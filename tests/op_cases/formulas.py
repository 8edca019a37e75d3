"""Several expressions in one pass, and expressions that are folded at once."""

from lamina.kernels.expression import Input, apply
from lamina.ops.formulas import Formulas
from lamina.ops.reductions.fold_formula import FoldFormula

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
CASES += [
    Case(
        FoldFormula(X * Y + X, fold, axes, keepdims),
        (normal(3, 5), normal(1, 5)),
        lambda x, y, fold=fold, axes=axes, keepdims=keepdims: getattr(x * y + x, fold)(
            axis=axes, keepdims=keepdims
        ),
        ulp=4, why="a product and two sums, then a sum of at most 15", scale=4.0,
        dtypes=("float32", "float64"), label=f"{fold}-{axes}",
        shapes=(((7, 1), (7, 1)), ((2, 70), (1, 70))),
    )
    for fold, axes, keepdims in (
        ("sum", (1,), False), ("mean", (0, 1), True), ("max", (0,), False), ("min", (1,), True),
    )
]  # fmt: skip
