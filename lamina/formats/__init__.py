"""File formats: what was learned, saved and loaded. Nothing in a file is ever executed."""

from lamina.formats.package import load, save

__all__ = ["load", "save"]
