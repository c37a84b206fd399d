"""`paddock assistants`."""

from pathlib import Path
from typing import Any

import click

from api.admin_commands import admin_group, route, show_json, tell_all

command = admin_group("Assistants: a model with instructions and tools, used as a model by its name.")


@command.command("list")
@click.pass_obj
def list_assistants(open_admin: Any) -> None:
    """All assistants of the organisation."""
    with open_admin() as admin:
        tell_all(admin.all("/assistants", order="asc", limit=100), _line, nothing="There is no assistant.")


@command.command()
@click.argument("name")
@click.option("--version", type=click.IntRange(1), help="Another version than the current one.")
@click.pass_obj
def show(open_admin: Any, name: str, version: int | None) -> None:
    """The assistant NAME, as JSON."""
    wanted = [] if version is None else ["versions", str(version)]
    with open_admin() as admin:
        show_json(admin.get(route("assistants", name, *wanted)))


@command.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def add(open_admin: Any, files: tuple[Path, ...]) -> None:
    """Make the assistants in FILES, or bring those that are there to what FILES say of them.

    A file is YAML or JSON as `POST /admin/v1/assistants` takes it; YAML may hold several.
    """
    from api.tool_files import ASSISTANT, named, read_tools

    wanted = [(path, document) for path in files for document in read_tools(path, expected=ASSISTANT)]
    with open_admin() as admin:
        for path, document in wanted:
            with named(path):
                click.echo(_brought(admin, document))


@command.command()
@click.argument("name")
@click.confirmation_option(prompt="Its name will be free, and it will not come back. Delete it?")
@click.pass_obj
def delete(open_admin: Any, name: str) -> None:
    """Delete NAME. Turns that run under it go on."""
    with open_admin() as admin:
        admin.delete(route("assistants", name))
    click.echo(f"deleted {name}")


def _line(found: dict[str, Any]) -> str:
    return f"{found['name']:32} version {found['version']:<4} {found['model']:24} {_tools(found)}"


def _brought(admin: Any, document: dict[str, Any]) -> str:
    name = document["name"]
    known = admin.find(route("assistants", name))
    if known is None:
        made = admin.post("/assistants", document)
        return f"{name}: made, version {made['version']}, with {_tools(made)}"
    now = admin.post(route("assistants", name), {field: value for field, value in document.items() if field != "name"})
    return f"{name}: {'still ' if now['version'] == known['version'] else ''}version {now['version']}, with {_tools(now)}"


def _tools(assistant: dict[str, Any]) -> str:
    """Those of the registry by name."""
    named = [name for tool in assistant["tools"] for name in tool.get("allowed_tools", [tool["type"]])]
    return ", ".join(named) or "no tools"
