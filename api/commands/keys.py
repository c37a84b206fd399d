"""`paddock keys`."""

from contextlib import closing
from typing import Any

import click

from api.client import Server, find_server


@click.group()
@click.option("--url", help="Where the server answers; PADDOCK_URL, or the one on this machine.")
@click.option("--key", help="A key with the scope admin; PADDOCK_KEY, or PADDOCK_HOME/admin.key.")
@click.pass_context
def command(context: click.Context, url: str | None, key: str | None) -> None:
    """Make, list and revoke API keys."""
    context.obj = lambda: find_server(url, key)


@command.command()
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, default=("chat",), show_default=True, help="chat, admin or operator; may be repeated."
)
@click.option("--days", type=click.IntRange(1, 36_500), help="Valid for so many days; for ever by default.")
@click.pass_obj
def create(server: Any, name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a key called NAME. It is shown once and kept nowhere."""
    import time

    body: dict[str, Any] = {"name": name, "scopes": list(scopes)}
    if days is not None:
        body["expires_at"] = int(time.time()) + days * 86_400
    with closing(_keys(server())) as keys:
        click.echo(keys.create(body)["secret"])


@command.command("list")
@click.pass_obj
def list_keys(server: Any) -> None:
    """All keys of the organisation, with what is kept of them."""
    with closing(_keys(server())) as keys:
        for key in keys.all():
            state = "revoked" if key.get("revoked_at") else "valid"
            click.echo(f"{key['id']}  {key['prefix']}...  {state:8} {','.join(key['scopes']):20} {key['name']}")


@command.command()
@click.argument("key_id")
@click.pass_obj
def revoke(server: Any, key_id: str) -> None:
    """Revoke a key at once, for running turns too. KEY_ID is what `list` shows first."""
    with closing(_keys(server())) as keys:
        keys.revoke(key_id)
    click.echo(f"revoked {key_id}")


def _keys(server: Server) -> Any:
    from api.keys import Keys

    return Keys(server)
