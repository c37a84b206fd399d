"""`paddock users`."""

from typing import Any

import click

from api.admin_commands import admin_group, given, route, tell_all

ROLE = click.Choice(["owner", "admin", "member", "auditor"])


command = admin_group("Who belongs to the organisation, and as what.")


@command.command()
@click.argument("name")
@click.option("--role", type=ROLE, default="member", show_default=True)
@click.option("--subject", help="Who it is to the identity provider whose tokens are taken.")
@click.option("--organization", help="Id of another organisation, for operators.")
@click.pass_obj
def create(open_admin: Any, name: str, role: str, subject: str | None, organization: str | None) -> None:
    """Make a user called NAME, and show the id. `paddock keys create --user ID` makes a key for them."""
    body = given(name=name, role=role, subject=subject, organization_id=organization)
    with open_admin() as admin:
        click.echo(admin.post("/users", body)["id"])


@command.command("list")
@click.option("--organization", help="Id of another organisation, for operators.")
@click.pass_obj
def list_users(open_admin: Any, organization: str | None) -> None:
    """All users of the organisation."""
    from api.terminal import plain

    def line(user: dict[str, Any]) -> str:
        state = "active" if user["active"] else "stopped"
        return f"{user['id']}  {user['role']:8} {state:8} {plain(user['name'])}"

    with open_admin() as admin:
        tell_all(admin.all("/users", limit=100, **given(organization_id=organization)), line, nothing="There is no user.")


@command.command()
@click.argument("user_id")
@click.option("--name")
@click.option("--role", type=ROLE)
@click.option("--subject", help="Who it is to the identity provider whose tokens are taken.")
@click.option("--active/--stopped", default=None, help="A stopped user's keys open nothing, from now on until active again.")
@click.pass_obj
def change(open_admin: Any, /, user_id: str, **wanted: Any) -> None:
    """Change what is said of the user USER_ID; it holds at once."""
    with open_admin() as admin:
        user = admin.post(route("users", user_id), given(**wanted))
    click.echo(f"{user['id']} is {user['role']}, {'active' if user['active'] else 'stopped'}")


@command.command()
@click.argument("user_id")
@click.confirmation_option(prompt="The user and all their keys are gone for good then. Delete the user?")
@click.pass_obj
def delete(open_admin: Any, user_id: str) -> None:
    """Delete a user and all their keys, for good."""
    with open_admin() as admin:
        admin.delete(route("users", user_id))
    click.echo(f"deleted {user_id}")
