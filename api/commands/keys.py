"""`paddock keys`."""

import time
from typing import Any

import click

from api.admin_commands import admin_group, given, route, tell_all

SCOPE = click.Choice(["chat", "admin", "audit", "operator"])


command = admin_group("Make, list, rotate and revoke API keys.")


@command.command()
@click.argument("name")
@click.option(
    "--scope", "scopes", type=SCOPE, multiple=True, default=("chat",), show_default=True, help="May be given several times."
)
@click.option("--days", type=click.IntRange(1, 36_500), help="Valid for so many days; for ever by default.")
@click.option("--user", help="Id of the user whose key it is; you by default.")
@click.option("--organization", help="Id of another organisation, for operators; its first owner's key by default.")
@click.pass_obj
def create(
    open_admin: Any, name: str, scopes: tuple[str, ...], days: int | None, user: str | None, organization: str | None
) -> None:
    """Make a key called NAME. It is shown once and kept nowhere."""
    until = None if days is None else int(time.time()) + days * 86_400
    body = given(name=name, scopes=list(scopes), expires_at=until, user_id=user, organization_id=organization)
    with open_admin() as admin:
        click.echo(admin.post("/keys", body)["secret"])


@command.command("list")
@click.option("--tokens", is_flag=True, help="The bearer tokens that were used, instead of keys.")
@click.option("--user", help="Those of one user, by id.")
@click.option("--organization", help="Id of another organisation, for operators.")
@click.pass_obj
def list_keys(open_admin: Any, tokens: bool, user: str | None, organization: str | None) -> None:
    """All keys of the organisation, with what is kept of them."""
    from api.terminal import plain

    def line(key: dict[str, Any]) -> str:
        shown = f"{key['prefix']}..." if key["prefix"] else "-"
        return f"{key['id']}  {shown:14}  {_state(key):8} {','.join(key['scopes']):20} {plain(key['name'])}"

    asked = given(kind="token" if tokens else "key", user_id=user, organization_id=organization)
    with open_admin() as admin:
        tell_all(admin.all("/keys", limit=100, **asked), line, nothing=f"There is no {asked['kind']}.")


@command.command()
@click.argument("key_id")
@click.option("--overlap", type=click.IntRange(0, 30 * 24), default=0, help="For so many hours the old secret still works.")
@click.pass_obj
def rotate(open_admin: Any, key_id: str, overlap: int) -> None:
    """Make another key like KEY_ID, which ends. The new one is shown once and kept nowhere."""
    with open_admin() as admin:
        click.echo(admin.post(route("keys", key_id, "rotate"), {"overlap_seconds": overlap * 3600})["secret"])


@command.command()
@click.argument("key_id")
@click.pass_obj
def revoke(open_admin: Any, key_id: str) -> None:
    """Revoke a key at once, for running turns too. KEY_ID is what `list` shows first."""
    with open_admin() as admin:
        admin.delete(route("keys", key_id))
    click.echo(f"revoked {key_id}")


def _state(key: dict[str, Any]) -> str:
    if key["revoked_at"]:
        return "revoked"
    return "expired" if key["expires_at"] and key["expires_at"] <= time.time() else "valid"
