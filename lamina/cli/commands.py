"""The `lamina` command: its subcommands, and how it ends on an error."""

import sys

import click
from rich.console import Console

from lamina.cli.doctor import doctor
from lamina.cli.explain import explain
from lamina.cli.quickstart import quickstart
from lamina.cli.tune import tune
from lamina.errors import LaminaError
from lamina.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lamina")
def commands() -> None:
    """Train, look into and run neural networks on this machine's CPU."""


commands.add_command(quickstart)
commands.add_command(doctor)
commands.add_command(explain)
commands.add_command(tune)


def main() -> None:
    """Run the command line; an error of Lamina's own is one line, not a traceback."""
    try:
        commands()
    except LaminaError as error:
        Console(stderr=True).print(f"[red]lamina:[/red] {error}", highlight=False)
        sys.exit(1)
