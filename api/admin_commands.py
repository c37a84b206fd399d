"""What the commands over the admin API share: where to ask, and how lists and single things are shown. It knows no resource."""

import json
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any
from urllib.parse import quote

import click

from api.client import find_server
from api.terminal import CONTROL


def admin_options(scope: str) -> Callable[[Any], Any]:
    url = click.option("--url", help="Where the server answers; PADDOCK_URL, or the one on this machine.")
    key = click.option("--key", help=f"A key with the scope {scope}; PADDOCK_KEY, or PADDOCK_HOME/admin.key.")
    return lambda command: url(key(command))


def open_admin(url: str | None, key: str | None) -> Any:
    from api.admin import Admin

    return closing(Admin(find_server(url, key)))


def admin_group(words: str, *, scope: str = "admin") -> click.Group:
    """Its commands get what opens the admin API (`click.pass_obj`)."""

    @click.group(help=words)
    @admin_options(scope)
    @click.pass_context
    def command(context: click.Context, url: str | None, key: str | None) -> None:
        context.obj = lambda: open_admin(url, key)

    return command


def name_or_id(text: str) -> str:
    """To be a part of an address. What would lead elsewhere is refused: raises `ClickException`."""
    if text in ("", ".", ".."):
        raise click.ClickException(f"{text!r} is no name or id")
    return text


def route(*segments: str) -> str:
    """Of the admin API. Raises `ClickException`."""
    return "".join(f"/{quote(name_or_id(segment), safe='')}" for segment in segments)


def json_given(text: str, *, hint: str) -> Any:
    """Raises `BadParameter`, also for what only Python takes for JSON: NaN, numbers that are infinite, half characters."""
    try:
        found = json.loads(text)
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as exc:
        raise click.BadParameter(f"not JSON: {exc}", param_hint=hint) from exc
    return found


def given(**values: Any) -> dict[str, Any]:
    """What was said; None is what was not."""
    return {name: value for name, value in values.items() if value is not None}


def tell_all(found: Iterable[dict[str, Any]], line: Callable[[dict[str, Any]], str], *, nothing: str) -> None:
    """A line each. Where there is none, the words for that go where no program takes them for one."""
    empty = True
    for one in found:
        empty = False
        click.echo(line(one))
    if empty:
        click.echo(nothing, err=True)


def show_json(found: dict[str, Any]) -> None:
    """With all that is in it: characters that would steer a terminal are written as escapes."""
    click.echo(CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(found, indent=2, ensure_ascii=False)))
