"""`paddock orgs`."""

from contextlib import closing
from typing import Any

import click

from api.client import find_server


@click.group()
@click.option("--url", help="Where the server answers; PADDOCK_URL, or the one on this machine.")
@click.option("--key", help="A key with the scope operator; PADDOCK_KEY, or PADDOCK_HOME/admin.key.")
@click.pass_context
def command(context: click.Context, url: str | None, key: str | None) -> None:
    """Organisations: tenants that see nothing of each other."""
    from api.admin import Admin

    context.obj = lambda: closing(Admin(find_server(url, key)))


@command.command()
@click.argument("name")
@click.option("--external-id", help="What the identity provider calls it.")
@click.option("--owner", default="admin", show_default=True, help="Name of its first user, who owns it.")
@click.pass_obj
def create(open_admin: Any, name: str, external_id: str | None, owner: str) -> None:
    """Make an organisation called NAME, and show the id. `paddock keys create --organization ID` makes its first key."""
    given = {"name": name, "external_id": external_id, "owner_name": owner}
    with open_admin() as admin:
        click.echo(admin.post("/organizations", {key: value for key, value in given.items() if value is not None})["id"])


@command.command("list")
@click.pass_obj
def list_organizations(open_admin: Any) -> None:
    """All organisations."""
    from api.terminal import plain

    with open_admin() as admin:
        for organization in admin.all("/organizations", limit=100):
            state = "active" if organization["active"] else "stopped"
            click.echo(f"{organization['id']}  {state:8} {plain(organization['name'])}")


@command.command()
@click.argument("organization_id")
@click.option("--name")
@click.option("--external-id", help="What the identity provider calls it.")
@click.option("--active/--stopped", default=None, help="A stopped one's keys open nothing, from now on until active again.")
@click.pass_obj
def change(open_admin: Any, /, organization_id: str, **given: Any) -> None:
    """Change what is said of the organisation ORGANIZATION_ID; it holds at once."""
    body = {key: value for key, value in given.items() if value is not None}
    with open_admin() as admin:
        organization = admin.post(f"/organizations/{organization_id}", body)
    click.echo(f"{organization['id']} is {'active' if organization['active'] else 'stopped'}")
