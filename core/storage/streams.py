"""Which turns that have ended can still be followed, and what goes when they no longer can. It knows no event by name."""

from collections.abc import Sequence

import sqlalchemy as sa

from core.storage.conversations import forget
from core.storage.database import Database


class StreamStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, days: float | None, *, limit: int) -> Sequence[tuple[str, str]]:
        """Turns that ended and still have their streams, though their conversation was deleted, or that ended so long ago:
        organisation and id of each.
        """
        seconds = None if days is None else days * 86_400
        async with self._database.everyone() as connection:
            rows = (await connection.execute(_DUE, {"seconds": seconds, "limit": limit})).all()
        return [(row.organization_id, row.id) for row in rows]

    async def remove(self, turn_id: str, seqs: Sequence[int]) -> None:
        """These events of the turn go, and whoever wants its stream is told so from now on. What it still said, or asked for,
        after its conversation was deleted goes too.
        """
        parameters = {"turn_id": turn_id, "seqs": list(seqs)}
        async with self._database.everyone() as connection:
            deleted = (await connection.execute(_DELETED, parameters)).one_or_none()
            if deleted is not None:
                await forget(connection, deleted.organization_id, [deleted.id])
            await connection.execute(_MARK, parameters)
            await connection.execute(_REMOVE, parameters)


_DUE = sa.text("""
    (SELECT organization_id, id FROM turns WHERE stored AND ended_at IS NOT NULL AND stream_removed_at IS NULL
        AND stream_due_at IS NOT NULL LIMIT :limit)
    UNION
    (SELECT organization_id, id FROM turns WHERE stored AND ended_at IS NOT NULL AND stream_removed_at IS NULL
        AND ended_at < now() - make_interval(secs => CAST(:seconds AS float8)) ORDER BY ended_at LIMIT :limit)
""")
_DELETED = sa.text("""
    SELECT c.organization_id, c.id FROM turns t JOIN conversations c ON c.id = t.conversation_id
    WHERE t.id = :turn_id AND c.deleted_at IS NOT NULL
""")
_MARK = sa.text("UPDATE turns SET stream_removed_at = now() WHERE id = :turn_id")
_REMOVE = sa.text("DELETE FROM turn_events WHERE turn_id = :turn_id AND seq = ANY(:seqs)")
