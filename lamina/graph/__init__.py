"""Programs: functions taken down as graphs, made better, planned, and run by one native call."""

from lamina.graph.compile import compile

__all__ = ["compile"]
