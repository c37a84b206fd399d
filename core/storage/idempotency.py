"""Which requests are being answered or were, so that none is done twice. It knows digests of them, and answers under seal.

A turn that was accepted for a request says so in its own row (`turns.idempotency`), in the commit that accepts it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from core.errors import RateLimited
from core.storage.database import Database

CLAIM_SECONDS = 30.0
"""How long a claim holds that nobody renews: what a process that was killed leaves behind."""
KEPT_DAYS = 30
COME_AGAIN_SECONDS = 3_600.0
AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What there is for a key. request: the digest of what was asked, once it is known. turn_stored: its text is there.

    claim: of the last one who tried. working: he still does.
    """

    request: str | None
    answer: bytes | None
    turn_id: str | None
    turn_stored: bool
    claim: str
    working: bool


class IdempotencyStore:
    """claim: a name that no other attempt has. What an attempt writes counts as long as the claim is its own."""

    def __init__(self, database: Database, *, most_bytes: int) -> None:
        """most_bytes: of one organisation's answers. What is being answered when they are there may be more."""
        self._database = database
        self._most_bytes = most_bytes

    async def take(self, organization_id: str, key_id: str, *, claim: str, request: str | None) -> Known | None:
        """None when the key was free, and is ours now. Raises RateLimited (`idempotency_storage_full`) for a new one."""
        mine = {"id": key_id, "organization_id": organization_id, "claim": claim, "request": request, "seconds": CLAIM_SECONDS}
        mine["most"] = self._most_bytes
        async with self._database.tenant(organization_id) as connection:
            if (await connection.execute(_TAKE, mine)).rowcount:
                return None
            row = (await connection.execute(_KNOWN, mine)).mappings().one_or_none()
            full = row is None and (await connection.execute(_FULL, mine)).rowcount
        if full:
            message = f"the organization has as many answers under idempotency keys as are kept for {KEPT_DAYS} days"
            raise RateLimited(message, retry_after=COME_AGAIN_SECONDS, code="idempotency_storage_full")
        if row is None:  # it was forgotten just now
            return await self.take(organization_id, key_id, claim=claim, request=request)
        return Known(**row)

    async def take_over(self, organization_id: str, key_id: str, *, was: str, claim: str) -> bool:
        """From an attempt that is gone and came to nothing. False when somebody was faster."""
        mine = {"id": key_id, "was": was, "claim": claim, "seconds": CLAIM_SECONDS}
        return await self._change(organization_id, _TAKE_OVER, mine)

    async def hold(self, organization_id: str, key_id: str, claim: str) -> None:
        await self._change(organization_id, _HOLD, {"id": key_id, "claim": claim, "seconds": CLAIM_SECONDS})

    async def keep(self, organization_id: str, key_id: str, claim: str, *, request: str, answer: bytes | None) -> None:
        """answer: None where it is not kept. The attempt is over."""
        values = {"id": key_id, "claim": claim, "request": request, "answer": answer, "organization_id": organization_id}
        await self._change(organization_id, _KEEP, values)

    async def let_go(self, organization_id: str, key_id: str, claim: str) -> None:
        """The attempt is over; what it came to, nobody says here."""
        await self._change(organization_id, _LET_GO, {"id": key_id, "claim": claim})

    async def forget(self, organization_id: str, key_id: str, claim: str) -> None:
        """The attempt did nothing: the key is free, unless a turn says that it was accepted for it."""
        await self._change(organization_id, _FORGET, {"id": key_id, "claim": claim})

    async def sweep(self) -> None:
        """What is older than KEPT_DAYS goes. Of the system: all tenants'."""
        swept = AT_ONCE
        while swept == AT_ONCE:
            async with self._database.everyone() as connection:
                swept = (await connection.execute(_SWEEP, {"days": KEPT_DAYS, "most": AT_ONCE})).scalar_one()

    async def _change(self, organization_id: str, statement: sa.TextClause, values: Mapping[str, object]) -> bool:
        async with self._database.tenant(organization_id) as connection:
            return (await connection.execute(statement, values)).rowcount > 0


_UNTIL = "clock_timestamp() + make_interval(secs => :seconds)"
_USED_UP = "SELECT FROM idempotency_bytes WHERE organization_id = :organization_id AND bytes >= :most"
_FULL = sa.text(_USED_UP)
_TAKE = sa.text(
    "INSERT INTO idempotency_keys (id, organization_id, claim, request, claimed_until)"
    f" SELECT :id, :organization_id, :claim, :request, {_UNTIL} WHERE NOT EXISTS (" + _USED_UP + ") ON CONFLICT DO NOTHING"
)
_KNOWN = sa.text("""
    SELECT k.request, k.answer, t.id AS turn_id, COALESCE(t.stored, false) AS turn_stored, k.claim,
        k.claimed_until > clock_timestamp() AS working
    FROM idempotency_keys k LEFT JOIN turns t ON t.idempotency = k.id WHERE k.id = :id
""")
_TAKE_OVER = sa.text(
    f"UPDATE idempotency_keys SET claim = :claim, claimed_until = {_UNTIL}"  # noqa: S608 - a constant
    " WHERE id = :id AND claim = :was AND claimed_until <= clock_timestamp() AND answer IS NULL"
)
_HOLD = sa.text(f"UPDATE idempotency_keys SET claimed_until = {_UNTIL} WHERE id = :id AND claim = :claim")  # noqa: S608
_KEEP = sa.text("""
    WITH kept AS (
        UPDATE idempotency_keys SET request = :request, answer = :answer, claimed_until = '-infinity'
        WHERE id = :id AND claim = :claim RETURNING octet_length(answer) AS bytes
    )
    INSERT INTO idempotency_bytes AS b SELECT :organization_id, bytes FROM kept WHERE bytes > 0
    ON CONFLICT (organization_id) DO UPDATE SET bytes = b.bytes + excluded.bytes
""")
_LET_GO = sa.text("UPDATE idempotency_keys SET claimed_until = '-infinity' WHERE id = :id AND claim = :claim")
_FORGET = sa.text(
    "DELETE FROM idempotency_keys WHERE id = :id AND claim = :claim AND answer IS NULL"
    " AND NOT EXISTS (SELECT FROM turns WHERE idempotency = :id)"
)
_SWEEP = sa.text("""
    WITH old AS (
        DELETE FROM idempotency_keys WHERE id IN (
            SELECT id FROM idempotency_keys WHERE created_at < now() - make_interval(days => :days) LIMIT :most
        ) RETURNING id, organization_id, octet_length(answer) AS bytes
    ), less AS (
        UPDATE idempotency_bytes b SET bytes = GREATEST(0, b.bytes - gone.bytes)
        FROM (SELECT organization_id, sum(bytes) AS bytes FROM old WHERE bytes > 0 GROUP BY organization_id) gone
        WHERE b.organization_id = gone.organization_id
    ), freed AS (
        UPDATE turns SET idempotency = NULL FROM old WHERE turns.idempotency = old.id
    )
    SELECT count(*) FROM old
""")
