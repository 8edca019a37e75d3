"""Membership: equal to some element of another tensor."""

from lamina.ops.orders.membership import IsIn

from .case import COMPLEX, NUMBERS, Case
from .drawing import Draw


def whole(*shape: int) -> Draw:
    """Whole numbers from 0 to 4, so that some are equal."""
    return Draw(shape, lambda rng, size: rng.integers(0, 5, size).astype(float))


CASES = [
    Case(
        IsIn(),
        (whole(3, 4), whole(3)),
        lambda x, among: (x[..., None] == among).any(-1),
        ulp=0,
        half_ulp=0,
        why="equal or not",
        dtypes=(*NUMBERS, *COMPLEX),
        shapes=(((), ()), ((2, 3), (0,)), ((0,), (2,))),
    )
]
