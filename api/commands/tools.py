"""`paddock tools`."""

from pathlib import Path
from typing import Any

import click

from api.admin_commands import admin_group, json_given, route, show_json, tell_all

command = admin_group("The tool registry: what models may call, and who may have them called.")


@command.command("list")
@click.pass_obj
def list_tools(open_admin: Any) -> None:
    """All tools of the organisation."""
    with open_admin() as admin:
        tell_all(admin.all("/tools", order="asc", limit=100), _line, nothing="There is no tool in the registry.")


@command.command()
@click.argument("name")
@click.option("--version", type=click.IntRange(1), help="Another version than the current one.")
@click.pass_obj
def show(open_admin: Any, name: str, version: int | None) -> None:
    """The tool NAME with its manifest, as JSON."""
    wanted = [] if version is None else ["versions", str(version)]
    with open_admin() as admin:
        show_json(admin.get(route("tools", name, *wanted)))


@command.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def add(open_admin: Any, files: tuple[Path, ...]) -> None:
    """Bring the registry to what FILES say: a new tool, a new version of one that is there, or its permissions.

    A file is YAML or JSON with a tool's manifest and, beside it, `permissions`, `quotas` and `enabled`; YAML may hold several
    tools. Nobody may call a tool whose `permissions` let nobody in.
    """
    from api.tool_files import named, read_tools

    wanted = [(path, tool) for path in files for tool in read_tools(path)]
    with open_admin() as admin:
        for path, tool in wanted:
            with named(path):
                click.echo(_brought(admin, tool))


@command.command()
@click.argument("name")
@click.pass_obj
def enable(open_admin: Any, name: str) -> None:
    """Turn NAME on."""
    with open_admin() as admin:
        admin.post(route("tools", name, "enable"))
    click.echo(f"{name} is on")


@command.command()
@click.argument("name")
@click.pass_obj
def disable(open_admin: Any, name: str) -> None:
    """Turn NAME off, for the next call of every turn."""
    with open_admin() as admin:
        admin.post(route("tools", name, "disable"))
    click.echo(f"{name} is off")


@command.command()
@click.argument("name")
@click.confirmation_option(prompt="Its name will be free, and it will not come back. Delete it?")
@click.pass_obj
def delete(open_admin: Any, name: str) -> None:
    """Delete NAME. Its versions can still be read by their digests."""
    with open_admin() as admin:
        admin.delete(route("tools", name))
    click.echo(f"deleted {name}")


@command.command()
@click.argument("name")
@click.argument("arguments", default="{}")
@click.option("--version", type=click.IntRange(1), help="Another version than the current one.")
@click.pass_obj
def test(open_admin: Any, name: str, arguments: str, version: int | None) -> None:
    """Run NAME once, for real, with ARGUMENTS (a JSON object), and show what a model would be told. 1 when it failed."""
    from api.terminal import plain

    given = json_given(arguments, hint="ARGUMENTS")
    with open_admin() as admin:
        tried = admin.post(route("tools", name, "dry-run"), {"arguments": given} | ({"version": version} if version else {}))
    click.echo(plain(tried["output"]))
    if tried["failed"]:
        raise click.exceptions.Exit(1)


def _line(tool: dict[str, Any]) -> str:
    state = "on" if tool["enabled"] else "off"
    return f"{tool['name']:32} version {tool['version']:<4} {state:4} {_let_in(tool['permissions'])}"


def _brought(admin: Any, tool: dict[str, Any]) -> str:
    name = tool["name"]
    known = admin.find(route("tools", name))
    if known is None:
        made = admin.post("/tools", tool)
        return f"{name}: made, version 1, {_let_in(made['permissions'])}"
    now = admin.post(route("tools", name, "versions"), {**tool, "replaces": known["version"]})
    same = now["version"] == known["version"]
    return f"{name}: {'still ' if same else ''}version {now['version']}, {_let_in(now['permissions'])}"


def _let_in(permissions: dict[str, Any]) -> str:
    everybody = ["everybody"] if permissions["organization"] else []
    return "for " + (", ".join([*everybody, *permissions["roles"], *permissions["keys"]]) or "nobody")
