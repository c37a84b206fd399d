"""`paddock audit`."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from api.client import find_server

FORMATS = ("jsonl", "csv", "parquet", "ocsf")
ASK_SECONDS = 1.0
MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
ORGANIZATION = click.option("--organization", help="Another organisation, `all`, or `platform`; for operators.")
OF_ONE = (
    "one organization's records: each of them and their order are proven; that none was left out at the beginning or the end is"
    " the word of the server that signed the export. An export of all organizations proves that too"
)
FIRST_FORMAT = (
    "an export of an earlier version: that the log ends where it does, and that removed records were over age, is the word of"
    " the server that signed it. Have it made anew, and both are proven"
)
KIND = click.option("--kind", help="One or several: key.created,tool.*")


@click.group()
@click.option("--url", help="Where the server answers; PADDOCK_URL, or the one on this machine.")
@click.option("--key", help="A key with the scope audit; PADDOCK_KEY, or PADDOCK_HOME/admin.key.")
@click.pass_context
def command(context: click.Context, url: str | None, key: str | None) -> None:
    """The audit log: read it, take it away, and prove that nothing of it was changed."""

    def open_admin() -> Any:
        from api.admin import Admin

        return closing(Admin(find_server(url, key)))

    context.obj = open_admin


@command.command()
@click.option("-n", "--lines", type=click.IntRange(0, 100), default=20, show_default=True, help="How many of the last ones.")
@click.option("-f", "--follow", is_flag=True, help="Go on, until Ctrl-C.")
@KIND
@click.option("--actor", help="A user's id, or `system`.")
@click.option("--object", help="The id of what it was done to.")
@click.option("--outcome", type=click.Choice(["success", "failure", "refused", "unknown"]))
@ORGANIZATION
@click.option("--json", "raw", is_flag=True, help="Whole records, one a line.")
@click.pass_obj
def tail(open_admin: Any, /, lines: int, follow: bool, organization: str | None, raw: bool, **wanted: str | None) -> None:
    """The last records, and with -f those that come. None is passed over: one that is committed late is shown late."""
    query = _given(organization_id=organization, **wanted)
    with open_admin() as admin:
        for event in _events(admin, query, lines=lines, follow=follow):
            click.echo(_line(event["record"], raw=raw))


@command.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMATS), default="jsonl", show_default=True)
@KIND
@click.option("--since", type=MOMENT, help="UTC.")
@click.option("--until", type=MOMENT, help="UTC; what was recorded then or later is not in it.")
@ORGANIZATION
@click.pass_obj
def export(
    open_admin: Any,
    directory: Path,
    form: str,
    kind: str | None,
    since: datetime | None,
    until: datetime | None,
    organization: str | None,
) -> None:
    """Have an export made, wait for it, and save its files in DIRECTORY, a new one. `paddock audit verify` checks them."""
    body = _given(format=form, kind=kind, since=_unix(since), until=_unix(until), organization_id=organization)
    try:
        directory.mkdir(parents=True)
    except OSError as exc:
        raise click.ClickException(f"{directory}: {exc.strerror}") from exc
    with open_admin() as admin, _removed_if_empty(directory):
        made = _made(admin, admin.post("/audit/exports", body)["id"])
        for file in made["files"]:
            _save(admin, made["id"], file, directory)
    click.echo(f"{_counted(made['progress']['records'], 'record')} in {directory}")
    for problem in made["problems"]:
        click.echo(f"the server found: {_on_one_line(problem)}", err=True)


@command.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--public-key",
    "key_files",
    multiple=True,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What `paddock audit keys` gave, kept since; several, when the server's key was changed.",
)
@click.option(
    "--checkpoint",
    "kept",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What `paddock audit checkpoint` gave, kept since: the log must still agree with it.",
)
def verify(directory: Path, key_files: tuple[Path, ...], kept: tuple[Path, ...]) -> None:
    """Check the export in DIRECTORY, offline: each record, their order, that none is missing, and who signed.

    Ends with 0 when nothing is wrong, with 1 and what is wrong, with 2 when it cannot be read as an export at all.
    """
    from core.audit.verification import Unreadable
    from core.audit.verification import verify as check

    try:
        keys = [file.read_bytes() for file in key_files]
        report = check(directory, keys, [file.read_text() for file in kept])
    except (Unreadable, OSError, UnicodeDecodeError) as exc:
        click.echo(f"cannot be checked: {_on_one_line(str(exc))}", err=True)
        raise click.exceptions.Exit(2) from exc
    for problem in report.problems:
        click.echo(f"WRONG  {_on_one_line(problem)}", err=True)
    for number in report.not_compared:
        click.echo(f"checkpoint {number}, which you have kept, is not among those of this export: it was not compared")
    for note in report.notes:
        click.echo(f"NOTE   {_on_one_line(note)}")
    if not report.everybody:
        click.echo(OF_ONE)
    if not report.proves_ends:
        click.echo(FIRST_FORMAT)
    click.echo(_on_one_line(_summary(report)))
    if report.problems:
        raise click.exceptions.Exit(1)


@command.command()
@click.pass_obj
def keys(open_admin: Any) -> None:
    """The public keys of the log, as `verify` takes them. Keep them away from the server, from the first day on."""
    with open_admin() as admin:
        for key in admin.get("/audit/keys")["data"]:
            click.echo(key["public_key"], nl=False)


@command.command()
@click.pass_obj
def checkpoint(open_admin: Any) -> None:
    """The newest signed checkpoint. Kept elsewhere, it shows later that nothing before it was rewritten or cut off."""
    with open_admin() as admin:
        click.echo(admin.get("/audit/checkpoints/latest")["note"], nl=False)


@command.command()
@click.argument("subject")
@click.option("--organization", help="Another organisation; for operators.")
@click.confirmation_option(prompt="The personal text that is kept of them is gone for ever then. Erase it?")
@click.pass_obj
def erase(open_admin: Any, subject: str, organization: str | None) -> None:
    """Remove the personal text that is kept of the user SUBJECT. Records stay, and so does their proof."""
    with open_admin() as admin:
        erased = admin.post("/audit/erasures", _given(subject=subject, organization_id=organization))
    click.echo(f"the personal text of {_counted(erased['records'], 'record')} is gone")


def _events(admin: Any, query: dict[str, Any], *, lines: int, follow: bool) -> Iterator[Any]:
    import time

    page = admin.get("/audit/events", **query, limit=max(lines, 1))
    newest = page["data"]
    if len(newest) < lines and page["archived_until"] is not None:
        until = datetime.fromtimestamp(page["archived_until"], UTC)
        click.echo(f"records until {until:%Y-%m-%dT%H:%M:%S} are in the archive: `paddock audit export` has them", err=True)
    yield from reversed(newest[:lines])
    if not follow:
        return
    place = {"after": newest[0]["id"]} if newest else {}
    while True:
        page = admin.get("/audit/events", **query, **place, order="asc", limit=100)
        yield from page["data"]
        if page["data"]:
            place = {"after": page["last_id"]}
        if not page["has_more"]:
            time.sleep(ASK_SECONDS)


def _made(admin: Any, export_id: str) -> Any:
    """Raises ClickException when it failed."""
    import time

    bar: Any
    with click.progressbar(length=0, label="exporting", item_show_func=lambda records: f"{records or 0} records") as bar:
        while (now := admin.get(f"/audit/exports/{export_id}"))["status"] in ("queued", "running"):
            bar.length = now["progress"]["checkpoints_total"] or 0
            bar.update(now["progress"]["checkpoints"] - bar.pos, now["progress"]["records"])
            time.sleep(ASK_SECONDS / 2)
    if now["status"] != "completed":
        raise click.ClickException(f"export {export_id} is {now['status']}: {now['error'] or 'somebody removed it'}")
    return now


@contextmanager
def _removed_if_empty(directory: Path) -> Iterator[None]:
    """So that the same command can be typed again."""
    try:
        yield
    finally:
        with suppress(OSError):
            directory.rmdir()


def _save(admin: Any, export_id: str, file: dict[str, Any], directory: Path) -> None:
    name = Path(file["name"]).name
    with (directory / name).open("xb") as target:
        size = admin.save(f"/audit/exports/{export_id}/files/{name}", target)
    if size != file["bytes"]:
        raise click.ClickException(f"{directory / name}: {size} bytes came of {file['bytes']}; fetch it again")


def _line(record: dict[str, Any], *, raw: bool) -> str:
    import json

    if raw:
        return json.dumps(record, separators=(",", ":"))
    details = " ".join(f"{name}={value}" for name, value in record["details"].items() if value is not None)
    shown = (record["time"][:23], record["kind"], record["outcome"], record["actor"], record["object"] or "-", details)
    return _on_one_line("  ".join(shown))


def _on_one_line(text: str) -> str:
    """Whoever wrote it says what stands there, and nothing else: not how a terminal shows it, nor a line of its own."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _summary(report: Any) -> str:
    whose = "all organizations" if report.everybody else report.organization
    said = [f"export {report.export} of {whose}, made at {report.made_at}"]
    counted = f"{_counted(report.records, 'record')} of {_counted(report.organizations, 'organization')}"
    said.append(f"{counted}, checkpoints {report.first} to {report.last}")
    if report.filter:
        wanted = ", ".join(f"{name} {value}" for name, value in report.filter.items())
        said.append(f"left out by the filter ({wanted}): {_counted(report.hidden - report.removed, 'record')}")
    if report.removed:
        said.append(f"removed by age, their seals are here: {_counted(report.removed, 'record')}")
    said.append(_counted(len(report.problems), "problem") if report.problems else "nothing is wrong")
    return f"{report.origin or 'an empty log'}: " + "; ".join(said)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _unix(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.replace(tzinfo=UTC).timestamp())
