"""`paddock chat`."""

import sys
from contextlib import closing, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from api.chat import Chat


@click.command()
@click.argument("message", required=False)
@click.option("--model", help="The server's first model by default.")
@click.option("--url", help="Where the server answers; PADDOCK_URL, or the one on this machine.")
@click.option("--key", help="An API key; PADDOCK_KEY, or PADDOCK_HOME/admin.key.")
def command(message: str | None, model: str | None, url: str | None, key: str | None) -> None:
    """Talk to a model that may run Python. Without MESSAGE: a prompt, which remembers what was said."""
    from api.chat import Chat
    from api.client import find_server

    with closing(Chat(find_server(url, key), model)) as chat:
        if message is not None:
            chat.say(message)
        else:
            _converse(chat)


def _converse(chat: "Chat") -> None:
    with suppress(ImportError):
        import readline  # noqa: F401 - editing and history for `input`
    if isinstance(sys.stdin, TextIOWrapper):  # a byte that is no text is refused with its message, and does not end it all
        sys.stdin.reconfigure(errors="surrogateescape")
    click.echo("Ctrl-C cancels an answer, Ctrl-D ends.")
    while True:
        try:
            message = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            click.echo()
            return
        if not message:
            continue
        try:
            chat.say(message)
        except KeyboardInterrupt:
            continue
        except click.ClickException as exc:
            exc.show()
