"""`paddock sandbox`."""

import os
import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "--socket", required=True, type=click.Path(path_type=Path), help="Unix socket to listen on; its folder is private."
)
@click.option(
    "--guests", type=click.Path(path_type=Path), help="Folder that keeps the built guest; PADDOCK_HOME/guests by default."
)
@click.option(
    "--permits",
    type=click.IntRange(1, 1024),
    help="Programs that run at once, of one organization three quarters; cores + 8 by default.",
)
@click.option("--workers", type=click.IntRange(1, 4096), help="Processes at most, some of them spare; permits + 2 by default.")
@click.option("--queue", type=click.IntRange(0, 100_000), help="Programs that may wait; more are refused as busy.")
@click.option("--require-walls", is_flag=True, help="Do not start where a part of the second wall is missing.")
def command(socket: Path, guests: Path | None, require_walls: bool, **numbers: int | None) -> None:
    """Run untrusted programs for gateways that are told the socket."""
    from api.servers import MINIMAL
    from core.environment import places
    from sandbox.errors import SandboxError
    from sandbox.guests.build import ensure_guest

    try:
        guest = ensure_guest(guests or places()[0] / "guests", click.echo)
    except (SandboxError, OSError) as exc:
        raise click.ClickException(str(exc)) from exc
    given = [word for name, value in numbers.items() if value is not None for word in (f"--{name}", str(value))]
    walls = ["--require-walls"] if require_walls else []
    command = [sys.executable, "-P", "-m", "sandbox.host", "--socket", str(socket), "--guest", str(guest), *walls, *given]
    os.execve(sys.executable, command, MINIMAL)  # noqa: S606 (our own; the operator's environment may hold secrets)
