"""`paddock files`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from api.admin_commands import name_or_id
from api.client import Server, find_server

FILE_ID = click.argument("file_id", callback=lambda _context, _argument, text: name_or_id(text))


@click.group()
@click.option("--url", help="Where the server answers; PADDOCK_URL, or the one on this machine.")
@click.option("--key", help="A key with the scope chat; PADDOCK_KEY, or PADDOCK_HOME/admin.key.")
@click.pass_context
def command(context: click.Context, url: str | None, key: str | None) -> None:
    """Files on the server: components for tools, inputs of batches."""
    context.obj = lambda: _asking(find_server(url, key))


@command.command("list")
@click.pass_obj
def list_files(asking: Any) -> None:
    """All files of the organisation, the newest first."""
    with asking() as client:
        for file in client.files.list():
            made = f"{datetime.fromtimestamp(file.created_at, UTC):%Y-%m-%d %H:%M}"
            click.echo(f"{file.id}  {made}  {file.bytes:>12}  {file.purpose:10} {file.filename}")


@command.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--purpose", default="user_data", show_default=True)
@click.pass_obj
def upload(asking: Any, paths: tuple[Path, ...], purpose: Any) -> None:
    """Upload PATHS, and show the id of each: a tool is made of one with `artifact: file_...`."""
    with asking() as client:
        for path in paths:
            with path.open("rb") as content:
                click.echo(f"{client.files.create(file=content, purpose=purpose).id}  {path.name}")


@command.command()
@FILE_ID
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def download(asking: Any, file_id: str, path: Path) -> None:
    """Save the bytes of FILE_ID at PATH, which must not be there yet."""
    with asking() as client, client.files.with_streaming_response.content(file_id) as response, _new(path) as target:
        for piece in response.iter_bytes(2**18):
            target.write(piece)


@command.command()
@FILE_ID
@click.pass_obj
def delete(asking: Any, file_id: str) -> None:
    """Delete FILE_ID. One that a tool is made of cannot be deleted."""
    with asking() as client:
        client.files.delete(file_id)
    click.echo(f"deleted {file_id}")


@contextmanager
def _new(path: Path) -> Iterator[Any]:
    """A file that is whole when the block ends, and not there when the block fails."""
    try:
        target = path.open("xb")
    except OSError as exc:
        raise click.ClickException(f"{path}: {exc.strerror}") from exc
    try:
        with target:
            yield target
    except BaseException:
        path.unlink()
        raise


@contextmanager
def _asking(server: Server) -> Iterator[Any]:
    """OpenAI's client; what the server refuses is a message."""
    from openai import OpenAI

    from api.sdk import translated

    with OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as client, translated(server):
        yield client
