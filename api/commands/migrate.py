"""`paddock migrate`."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--admin-key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write an operator's first key to this file, unless the key in it still works.",
)
def command(admin_key: Path | None) -> None:
    """Bring the database up to this version.

    With PADDOCK_DATABASE_URL it needs PADDOCK_DATABASE_OWNER_URL, a login that may create roles; else it is the embedded
    database that `paddock up` uses, which must not be running.
    """
    import asyncio

    from api.launch import migrate

    asyncio.run(migrate(admin_key))
