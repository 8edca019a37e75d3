"""Programs: functions taken down as graphs, made better, planned, and run by one native call."""

from lamina.graph.compile import Compiled, compile
from lamina.graph.dims import Dim

__all__ = ["Compiled", "Dim", "compile"]
