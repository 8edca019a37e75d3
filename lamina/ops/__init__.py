"""The op table: every operation once, with its shapes, meaning, derivative and native form.

Families are modules; each also holds the functions that users of its ops call.
"""

from lamina.ops.pointwise import Elementwise, Pointwise
from lamina.ops.registry import OPS, OUT, Op, Operand, View, define

__all__ = ["OPS", "OUT", "Elementwise", "Op", "Operand", "Pointwise", "View", "define"]
