"""The file of the operator's first key: where it cannot be written, no key stays that nobody has."""

import subprocess
from pathlib import Path

import pytest

from core.identity.first_key import make_first_key
from core.storage.database import open_database
from core.storage.directory import Directory
from core.storage.embedded.postgres import EmbeddedPostgres
from tests.e2e.paddock import PADDOCK, ROOT, environment
from tests.integration.audit_stand import own_database


def migrate(home: Path, owner: str, server: str, key: Path, *, file_blocks: int = 1_000_000) -> tuple[int, str]:
    """Exit code and errors of `paddock migrate --admin-key`. file_blocks: of 512 bytes, which it may write to a file."""
    done = subprocess.run(
        ["sh", "-c", f'ulimit -f {file_blocks} && exec "$@"', "sh", *PADDOCK, "migrate", "--admin-key", str(key)],
        env=environment(home, PADDOCK_DATABASE_URL=server, PADDOCK_DATABASE_OWNER_URL=owner),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


async def live_keys(server: str) -> int:
    async with open_database(server) as database:
        made = await make_first_key(Directory(database), None)
    assert made is not None
    return len(made.others)


@pytest.mark.parametrize(("place", "told"), [("nowhere/key", "the admin key cannot be written to"), (".", "is a directory")])
async def test_a_file_that_cannot_be_written_is_told_before_a_key_is_made(
    postgres: EmbeddedPostgres, tmp_path: Path, place: str, told: str
) -> None:
    owner, server = await own_database(postgres)
    for _ in range(2):
        code, said = migrate(tmp_path, owner, server, tmp_path / place)
        assert code != 0
        assert told in said
        assert "revoked" not in said
    assert await live_keys(server) == 0


@pytest.mark.parametrize("present", [None, "pk_lost"])
async def test_a_key_for_which_the_disk_has_no_room_is_revoked(
    postgres: EmbeddedPostgres, tmp_path: Path, present: str | None
) -> None:
    owner, server = await own_database(postgres)
    if present is not None:
        (tmp_path / "key").write_text(present)
    code, said = migrate(tmp_path, owner, server, tmp_path / "key", file_blocks=0)
    assert (code, "the admin key cannot be written to" in said, "is revoked" in said) == (1, True, True)
    assert await live_keys(server) == 0


async def test_a_key_that_opens_needs_no_file_that_can_be_written(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    owner, server = await own_database(postgres)
    key = tmp_path / "key"
    assert migrate(tmp_path, owner, server, key) == (0, "")
    assert key.stat().st_mode & 0o777 == 0o600
    kept = key.read_text()
    assert migrate(tmp_path, owner, server, key, file_blocks=0) == (0, "")
    assert key.read_text() == kept
