"""SIMD targets: one file of rows for each architecture. What a row says stands in `description`."""

from lamina.codegen.targets.description import Target

__all__ = ["Target"]
