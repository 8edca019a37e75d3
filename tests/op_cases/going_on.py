"""Products and convolutions that go on with their sums: what programs are made of."""

from typing import Any

import numpy as np

from lamina.kernels.expression import Input, apply
from lamina.ops.algebra.products_then import MatmulThen
from lamina.ops.layers.convolution import Conv
from lamina.ops.layers.convolution_then import ConvThen

from .case import Case
from .convolution import summed
from .drawing import normal

SUM, SECOND, THIRD = Input(0), Input(1), Input(2)
PLAIN = Conv((4, 5), (1, 1), (1, 1), (1, 1), (1, 1))


def product(a: Any, b: Any, bias: Any) -> Any:
    return np.maximum(a @ b + bias, 0)


def convolved(x: Any, w: Any, bias: Any, residual: Any) -> Any:
    return np.maximum(summed(PLAIN)(x, w) + bias[:, None, None] + residual, 0)


CASES = [
    *(
        Case(
            MatmulThen(apply("maximum", SUM + SECOND, 0.0), dtype),
            (normal(3, 5), normal(5, 4), normal(4)), product,
            ulp=6, scale=4.0, why="sums of five products and a bias", dtypes=(dtype,),
            label=dtype, repeatable=False, special=False,
        )
        for dtype in ("float32", "float64")
    ),
    Case(
        ConvThen(PLAIN, apply("maximum", SUM + SECOND + THIRD, 0.0)),
        (normal(2, 3, 4, 5), normal(6, 3, 3, 3), normal(6), normal(2, 6, 4, 5)), convolved,
        ulp=24, scale=8.0, why="sums of 27 products; Winograd's rounding",
        dtypes=("float32", "float64"), repeatable=False, special=False,
    ),
]  # fmt: skip
