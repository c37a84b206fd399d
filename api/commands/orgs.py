"""`paddock orgs`."""

from typing import Any

import click

from api.admin_commands import admin_group, given, route, tell_all

command = admin_group("Organisations: tenants that see nothing of each other.", scope="operator")


@command.command()
@click.argument("name")
@click.option("--external-id", help="What the identity provider calls it.")
@click.option("--owner", default="admin", show_default=True, help="Name of its first user, who owns it.")
@click.pass_obj
def create(open_admin: Any, name: str, external_id: str | None, owner: str) -> None:
    """Make an organisation called NAME, and show the id. `paddock keys create --organization ID` makes its first key."""
    body = given(name=name, external_id=external_id, owner_name=owner)
    with open_admin() as admin:
        click.echo(admin.post("/organizations", body)["id"])


@command.command("list")
@click.pass_obj
def list_organizations(open_admin: Any) -> None:
    """All organisations."""
    from api.terminal import plain

    def line(organization: dict[str, Any]) -> str:
        state = "active" if organization["active"] else "stopped"
        return f"{organization['id']}  {state:8} {plain(organization['name'])}"

    with open_admin() as admin:
        tell_all(admin.all("/organizations", limit=100), line, nothing="There is no organisation.")


@command.command()
@click.argument("organization_id")
@click.option("--name")
@click.option("--external-id", help="What the identity provider calls it.")
@click.option("--active/--stopped", default=None, help="A stopped one's keys open nothing, from now on until active again.")
@click.pass_obj
def change(open_admin: Any, /, organization_id: str, **wanted: Any) -> None:
    """Change what is said of the organisation ORGANIZATION_ID; it holds at once."""
    with open_admin() as admin:
        organization = admin.post(route("organizations", organization_id), given(**wanted))
    click.echo(f"{organization['id']} is {'active' if organization['active'] else 'stopped'}")
