"""Reductions over axes: what folds terms into one, and the order in which it is done."""

__all__: list[str] = []
