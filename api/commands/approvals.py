"""`paddock approvals`."""

import json
from typing import Any

import click

from api.admin_commands import admin_group, given, json_given, route, show_json, tell_all

STATUSES = click.Choice(["pending", "approved", "denied", "expired", "void"])


command = admin_group("Calls of tools that wait for a human.")


@command.command("list")
@click.option("--status", type=STATUSES, default="pending", show_default=True)
@click.pass_obj
def list_approvals(open_admin: Any, status: str) -> None:
    """What waits, the oldest first."""
    from api.terminal import plain

    def line(one: dict[str, Any]) -> str:
        arguments = plain(json.dumps(one["arguments"], ensure_ascii=False)).replace("\n", " ")
        return f"{one['id']}  {one['status']:8} {one['tool']:24} {arguments[:200]}"

    with open_admin() as admin:
        found = admin.all("/approvals", status=status, order="asc", limit=100)
        tell_all(found, line, nothing=f"There is no request for approval that is {status}.")


@command.command()
@click.argument("approval_id")
@click.pass_obj
def show(open_admin: Any, approval_id: str) -> None:
    """The request APPROVAL_ID with all that an approval is bound to, as JSON."""
    with open_admin() as admin:
        show_json(admin.get(route("approvals", approval_id)))


@command.command()
@click.argument("approval_id")
@click.option("--arguments", help="JSON, in place of the model's.")
@click.option("--digest", help="Of the request as you have seen it; needed where somebody has edited it.")
@click.option("--reason", help="Kept with the approval.")
@click.pass_obj
def approve(open_admin: Any, approval_id: str, arguments: str | None, digest: str | None, reason: str | None) -> None:
    """Let the call run, just as it is shown, or with other arguments."""
    body = given(digest=digest, reason=reason)
    if arguments is not None:
        body["arguments"] = json_given(arguments, hint="--arguments")
    with open_admin() as admin:
        _tell(admin.post(route("approvals", approval_id, "approve"), body))


@command.command()
@click.argument("approval_id")
@click.option("--reason", help="The model is told.")
@click.pass_obj
def deny(open_admin: Any, approval_id: str, reason: str | None) -> None:
    """Do not let the call run."""
    with open_admin() as admin:
        _tell(admin.post(route("approvals", approval_id, "deny"), given(reason=reason)))


def _tell(approval: dict[str, Any]) -> None:
    click.echo(f"{approval['status']} {approval['tool']}{_next(approval)}")


def _next(approval: dict[str, Any]) -> str:
    if approval["status"] == "pending":
        return f"; what was edited waits for somebody else, who approves {approval['digest']}"
    if after := approval["next_response_id"]:
        return f"; it goes on in {after}"
    if approval["conversation_id"] or approval["status"] == "void":
        return ""
    return f"; it goes on when a request continues {approval['response_id']} with the same answer"
