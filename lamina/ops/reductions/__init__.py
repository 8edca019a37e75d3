"""Axes folded into a value each, or into running values."""

__all__: list[str] = []
