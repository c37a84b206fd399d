"""The `paddock` command. It knows no command: each is a file in `api/commands/`."""

from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import click

from api import commands
from core.errors import PaddockError


class Commands(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(module.name for module in iter_modules(commands.__path__))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(context):
            return None
        command: click.Command = import_module(f"{commands.__name__}.{name}").command
        return command

    def invoke(self, context: click.Context) -> Any:
        """An error that we raise on purpose is a message, not a traceback, and so is what cannot be sent as it was given."""
        try:
            return super().invoke(context)
        except PaddockError as exc:
            raise click.ClickException(exc.message) from exc
        except UnicodeError as exc:
            raise click.ClickException(f"not valid as text: {exc}") from exc


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="paddock")
def paddock() -> None:
    """A self-hosted server for agent conversations whose tool calls run in sandboxes.

    `paddock up` starts everything on this machine; `paddock chat` talks to it.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    paddock(arguments, prog_name="paddock")
