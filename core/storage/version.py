"""Whether the database was brought up to this version. A newer one will do: its migrations bear the servers before them."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from core.errors import ConfigurationError
from core.storage.database import Database

VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"


async def check_version(database: Database) -> None:
    """Raises ConfigurationError, DatabaseUnavailable."""
    needed = max(file.name[:4] for file in VERSIONS.glob("[0-9]*.py"))
    try:
        async with database.everyone() as connection:
            found = await connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    except ProgrammingError:  # it has no tables, or is of a time when nobody was told
        found = None
    if found is None or found < needed:
        told = f"it is at {found}" if found else "it is empty, or older"
        raise ConfigurationError(f"the database is not at migration {needed} ({told}): run `paddock migrate` first")
