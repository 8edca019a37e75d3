"""Convolution: the problem in its normal form, the strategies that solve it, one file each, and
the table that chooses between them by shape.
"""

__all__: list[str] = []
