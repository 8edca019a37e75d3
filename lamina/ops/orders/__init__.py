"""Sorted order, and what follows from it."""

__all__: list[str] = []
