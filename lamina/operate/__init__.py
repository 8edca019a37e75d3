"""Tools that look into what runs."""

from lamina.operate.explain import explain

__all__ = ["explain"]
