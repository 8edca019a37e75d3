"""The `lamina` command."""

from lamina.cli.commands import main

__all__ = ["main"]
