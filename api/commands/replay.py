"""`paddock replay`."""

from contextlib import closing
from typing import Any

import click

from api.admin_commands import route
from api.client import find_server


@click.command()
@click.argument("response_id")
@click.option("--model", help="Ask this model at each step, and compare what it says.")
@click.option("--url", help="Where the server answers; PADDOCK_URL, or the one on this machine.")
@click.option("--key", help="A key with the scope admin; PADDOCK_KEY, or PADDOCK_HOME/admin.key.")
def command(response_id: str, model: str | None, url: str | None, key: str | None) -> None:
    """Run the response RESPONSE_ID again from its record: pure tools are executed, and every difference is shown.

    Nothing is written to its conversation. 1 when something differs, or a pure tool could not be run again.
    """
    from api.admin import Admin

    with closing(Admin(find_server(url, key))) as admin:
        replayed = admin.post(route("turns", response_id, "replay"), {} if model is None else {"model": model})
    for step in replayed["steps"]:
        _show(step)
    differences, unverified = replayed["differences"], replayed["unverified"]
    told = _many(differences, "difference") if differences else "no difference"
    click.echo(f"{told}; {_many(unverified, 'pure call')} could not be run again" if unverified else told)
    if differences or unverified:
        raise click.exceptions.Exit(1)


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _show(step: dict[str, Any]) -> None:
    if step["reply_now"] is not None:
        _line(step, f"step {step['step']}: the model", None, _said(step["reply"]), _said(step["reply_now"]))
    for call in step["calls"]:
        head = f"step {step['step']}: {call['tool']}({call['arguments']})"
        _line(call, head, call["not_run"], _told(call["result"]), _told(call["result_now"]))


def _line(what: dict[str, Any], head: str, not_run: str | None, then: str, now: str) -> None:
    from api.terminal import plain

    click.echo(plain(f"{head}: {not_run or ('differs' if what['differs'] else 'the same')}"))
    if what["differs"]:
        for name, text in (("then", then), ("now", now)):
            click.echo(plain(f"  {name}: " + text.replace("\n", "\n        ")))


def _told(result: dict[str, Any] | None) -> str:
    if result is None:
        return ""
    return ("failed: " if result["failed"] else "") + str(result["output"])


def _said(reply: dict[str, Any]) -> str:
    calls = [f"{call['name']}({call['arguments']})" for call in reply["calls"]]
    return "\n".join([*([reply["text"]] if reply["text"] else []), *calls])
