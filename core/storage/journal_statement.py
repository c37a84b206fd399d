"""The one statement that the journal's writer runs for a group, made of the parts that the group needs, and its arrays.

over: unstored turns whose row comes with their end. Their key was valid when they began, and they are counted whatever it is
now, but for one that decides on approvals, since it decides nothing any more.
barred: other turns that begin under a key that is not valid any more. accepted: other new turns. held: turns whose lease
still is the writer's, their rows locked in order of id until the commit, so that a takeover waits or is seen (a plain WHERE,
or FOR KEY SHARE, lets a takeover commit first). Only for these is anything written, and for one whose key was revoked only its
end. A row inserted here cannot be updated here: a turn that is accepted and ended in one group is inserted ended.
ended: in a group that is written again, turns whose end was written the first time. Nothing more is: some of it may have been
deleted since.
A conversation that has gone on since a turn read it does not accept that turn, nor two in one group. Nor does one that is being
deleted: who deletes it holds its row, and nobody waits for that here.

crowded: turns for which a queue has no room; whoever runs the statement holds the queue's lock. late: turns that decide on an
approval that is not open any more. Neither is accepted; a group that is written again finds its turns there, and is neither.
A text about a person is written while its subject has the key that it was put under: an erasure is before that, or waits.
taken: of such a group, turns that another process has taken over since it was first written. They are accepted, with all that
was written then, and nothing is written for them.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from core.events import TURN_EVENT, TurnEnded, item_id
from core.messages import ITEM, Usage
from core.storage.audit import line
from core.storage.records import Turn
from core.storage.tables import REVOKED

if TYPE_CHECKING:
    from core.storage.journal import Acceptance, Pending

BACKGROUND = 0
"""The queue of turns whose end is told by webhook."""

Arrays = Sequence[Sequence[Any]]
Rows = dict[str, list[tuple[Any, ...]]]

_COLUMNS = {
    "queued": "id text, organization_id text, most_of_one int8, most int8",
    "decided": "id text, turn_id text, was text, said text, status text, reason text, decided_by text",
    "accepted": (
        "id text, organization_id text, user_id text, key_id text, conversation_id text, previous_turn_id text, model text,"
        " status text, stored bool, wire text, request text, metadata text, created_at timestamptz, ended_at timestamptz,"
        " reason text, message text, input_tokens int8, output_tokens int8, cached_tokens int8, reasoning_tokens int8,"
        " lease_owner text, lease_epoch int8, lease_seconds float8, idempotency text, queue int2, continues text, seen text"
    ),
    "held": "id text, lease_owner text, lease_epoch int8",
    "events": "turn_id text, seq int8, organization_id text, payload text",
    "items": "id text, turn_id text, organization_id text, conversation_id text, is_input bool, payload text",
    "ledger": (
        "turn_id text, call_path text, organization_id text, tool text, version_digest text, effect text, state text,"
        " arguments_digest text, result_digest text, lease_epoch int8, seconds float8"
    ),
    "approvals": (
        "turn_id text, id text, organization_id text, conversation_id text, user_id text, key_id text, tool text,"
        " version_digest text, arguments text, digest text, four_eyes bool, expires_seconds int4"
    ),
    "personal": "turn_id text, record_id text, organization_id text, subject text, text text, key_sha256 text",
    "audit": "turn_id text, id text, organization_id text, record text",
    "told": "turn_id text, organization_id text, event text",
    "deferred": "id text, seconds float8",
    "ended": (
        "id text, status text, ended_at timestamptz, reason text, message text, input_tokens int8, output_tokens int8,"
        " cached_tokens int8, reasoning_tokens int8"
    ),
}


_REFUSALS = {
    "queued": "SELECT id, NULL::bool, false, 'crowded' FROM crowded",
    "decided": "SELECT id, NULL::bool, false, 'late' FROM late",
}
_REFUSED = {"queued": " UNION ALL SELECT id FROM crowded", "decided": " UNION ALL SELECT id FROM late"}
_TURN_COLUMNS = """id, organization_id, user_id, key_id, conversation_id, previous_turn_id, model, status, stored, wire,
        request, metadata, created_at, ended_at, reason, message, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
        lease_owner, lease_epoch, idempotency, queue, continues"""

# The parts of the statement in their order, each with the array that it needs. A name of `_COLUMNS` in braces is that array.
_PARTS = (
    ("queued", """
waiting AS (
    SELECT t.organization_id, count(*) AS turns FROM turns t
    WHERE t.status = 'pending' AND t.organization_id IN (SELECT w.organization_id FROM {queued}) GROUP BY t.organization_id
), crowded AS (
    SELECT asked.id FROM (
        SELECT w.*, row_number() OVER (PARTITION BY organization_id ORDER BY nth) AS its,
            row_number() OVER (ORDER BY nth) AS everybodys
        FROM {queued}
    ) asked LEFT JOIN waiting ON waiting.organization_id = asked.organization_id
    WHERE (its + COALESCE(waiting.turns, 0) > most_of_one
        OR everybodys + (SELECT count(*) FROM turns t WHERE t.status = 'pending') > most)
        AND NOT EXISTS (SELECT FROM turns t WHERE t.id = asked.id)
)"""),
    ("decided", """
open AS (
    SELECT a.id FROM approvals a JOIN {decided} ON w.id = a.id
    WHERE a.status = 'pending' AND a.digest = w.was AND a.arguments = w.said AND a.expires_at > clock_timestamp()
    ORDER BY a.id FOR NO KEY UPDATE OF a
), late AS (
    SELECT w.turn_id AS id FROM {decided}
    WHERE w.id NOT IN (SELECT id FROM open) AND NOT EXISTS (SELECT FROM turns t WHERE t.id = w.turn_id)
)"""),
    ("accepted", f"""
over AS (
    SELECT w.id FROM {{accepted}} WHERE NOT w.stored AND w.continues IS NULL AND w.ended_at IS NOT NULL
), barred AS (
    SELECT w.id FROM {{accepted}} WHERE {REVOKED.format(key="w.key_id")} AND w.id NOT IN (SELECT id FROM over)
), accepted AS (
    INSERT INTO turns ({_TURN_COLUMNS}, lease_expires_at)
    SELECT {_TURN_COLUMNS}, clock_timestamp() + make_interval(secs => lease_seconds)
    FROM (
        SELECT w.*, row_number() OVER (PARTITION BY organization_id, conversation_id ORDER BY nth) AS its FROM {{accepted}}
    ) w
    WHERE id NOT IN (SELECT id FROM barred{{refused}}) AND (conversation_id IS NULL OR EXISTS (
        SELECT FROM conversations c
        WHERE c.id = w.conversation_id AND c.organization_id = w.organization_id AND c.deleted_at IS NULL
        FOR KEY SHARE SKIP LOCKED
    )) AND (seen IS NULL OR its = 1 AND NOT EXISTS (
        SELECT FROM items i WHERE i.conversation_id = w.conversation_id AND i.position > COALESCE(
            (SELECT s.position FROM items s WHERE s.id = w.seen AND s.organization_id = w.organization_id), 0)
    ))
    ORDER BY conversation_id, id
    ON CONFLICT DO NOTHING
    RETURNING id, key_id
)"""),  # noqa: S608 - made of the constants above
    ("held", f"""
held AS (
    SELECT t.id, t.key_id, t.ended_at IS NOT NULL AS ended FROM turns t
    JOIN {{held}} ON w.id = t.id AND w.lease_owner = t.lease_owner AND w.lease_epoch = t.lease_epoch
    ORDER BY t.id FOR NO KEY UPDATE OF t
), alive AS (
    SELECT h.id, h.ended, {REVOKED.format(key="h.key_id")} AS revoked FROM ({{holders}}) h
), written AS (
    SELECT id FROM alive WHERE NOT ended AND ({{writable}})
)"""),  # noqa: S608 - made of the constants above
    ("accepted", """
taken AS (
    SELECT t.id FROM turns t JOIN {accepted} ON w.id = t.id AND w.organization_id = t.organization_id
    WHERE t.id NOT IN (SELECT id FROM held UNION ALL SELECT id FROM barred)
)"""),
    ("decided", """
settled AS (
    UPDATE approvals a SET status = w.status, reason = w.reason, decided_by = w.decided_by, decided_at = clock_timestamp()
    FROM {decided} JOIN written ON written.id = w.turn_id WHERE a.id = w.id AND a.status = 'pending'
)"""),
    ("events", """
events AS (
    INSERT INTO turn_events (turn_id, seq, organization_id, payload)
    SELECT w.turn_id, w.seq, w.organization_id, w.payload FROM {events} JOIN written ON written.id = w.turn_id
    ON CONFLICT DO NOTHING
)"""),
    ("items", """
kept AS (
    INSERT INTO items (id, turn_id, organization_id, conversation_id, is_input, payload)
    SELECT w.id, w.turn_id, w.organization_id, w.conversation_id, w.is_input, w.payload
    FROM {items} JOIN written ON written.id = w.turn_id ORDER BY w.nth
    ON CONFLICT DO NOTHING
)"""),
    ("ledger", """
ledger AS (
    INSERT INTO tool_ledger (turn_id, call_path, organization_id, tool, version_digest, effect, state, arguments_digest,
        result_digest, lease_epoch, seconds, completed_at)
    SELECT w.turn_id, w.call_path, w.organization_id, w.tool, w.version_digest, w.effect, w.state, w.arguments_digest,
        w.result_digest, w.lease_epoch, w.seconds, CASE WHEN w.state = 'completed' THEN now() END
    FROM {ledger} JOIN written ON written.id = w.turn_id
    ON CONFLICT (turn_id, call_path) DO UPDATE SET state = excluded.state, result_digest = excluded.result_digest,
        lease_epoch = excluded.lease_epoch, seconds = excluded.seconds, completed_at = excluded.completed_at
)"""),
    ("approvals", """
asked AS (
    INSERT INTO approvals (id, organization_id, turn_id, conversation_id, user_id, key_id, tool, version_digest, arguments,
        digest, four_eyes, expires_seconds, status, expires_at)
    SELECT w.id, w.organization_id, w.turn_id, w.conversation_id, w.user_id, w.key_id, w.tool, w.version_digest, w.arguments,
        w.digest, w.four_eyes, w.expires_seconds, 'pending', clock_timestamp() + make_interval(secs => w.expires_seconds)
    FROM {approvals} JOIN written ON written.id = w.turn_id
    ON CONFLICT DO NOTHING
)"""),
    ("personal", """
apart AS (
    INSERT INTO audit_personal (record_id, organization_id, subject, text)
    SELECT w.record_id, w.organization_id, w.subject, w.text FROM {personal} JOIN written ON written.id = w.turn_id
    JOIN audit_subjects s ON s.organization_id = w.organization_id AND s.subject = w.subject
        AND encode(sha256(s.key), 'hex') = w.key_sha256
    FOR KEY SHARE OF s
    ON CONFLICT DO NOTHING
)"""),
    ("audit", """
audited AS (
    INSERT INTO audit_records (id, organization_id, record)
    SELECT w.id, w.organization_id, w.record::json FROM {audit} JOIN written ON written.id = w.turn_id
    ORDER BY w.nth
    ON CONFLICT DO NOTHING
)"""),
    ("deferred", """
deferred AS (
    UPDATE turns t SET status = 'pending', lease_expires_at = clock_timestamp() + make_interval(secs => w.seconds)
    FROM {deferred} JOIN written ON written.id = w.id WHERE t.id = w.id
)"""),
    ("told", """
told AS (
    INSERT INTO webhook_deliveries (id, organization_id, endpoint_id, event, object_id)
    SELECT 'evt_' || split_part(w.turn_id, '_', 2) || left(md5(e.id), 8), w.organization_id, e.id, w.event, w.turn_id
    FROM {told} JOIN written ON written.id = w.turn_id
    JOIN webhook_endpoints e ON e.organization_id = w.organization_id AND e.enabled AND w.event = ANY(e.events)
    ON CONFLICT DO NOTHING
)"""),
    ("ended", """
ended AS (
    UPDATE turns t SET status = w.status, reason = w.reason, message = w.message, ended_at = w.ended_at,
        input_tokens = w.input_tokens, output_tokens = w.output_tokens, cached_tokens = w.cached_tokens,
        reasoning_tokens = w.reasoning_tokens
    FROM {ended} JOIN held ON held.id = w.id AND NOT held.ended WHERE t.id = w.id
)"""),
)  # fmt: skip


@cache
def statement(parts: frozenset[str]) -> str:
    """For a group that has rows for these parts and no others: what is not in it is neither planned nor run."""
    sources: dict[str, str] = {"holders": "SELECT id, key_id, ended FROM held", "writable": "NOT revoked"}
    number = 0
    for name in _present(parts):
        pairs = [column.split() for column in _COLUMNS[name].split(",")]
        arguments = ", ".join(f"${number + n}::{kind}[]" for n, (_, kind) in enumerate(pairs, start=1))
        sources[name] = f"unnest({arguments}) WITH ORDINALITY AS w({', '.join(column for column, _ in pairs)}, nth)"
        if name == "accepted":
            sources["holders"] += " UNION ALL SELECT id, key_id, false FROM accepted"
            sources["writable"] += " OR id IN (SELECT id FROM over)"
        if name == "ended":
            sources["writable"] += f" OR id = ANY(${number + 1}::text[])"
        number += len(pairs)
    sources["refused"] = "".join(refused for name, refused in _REFUSED.items() if name in parts)
    fates = ["SELECT id, revoked, ended, NULL AS refusal FROM alive"]
    if "accepted" in parts:
        fates += ["SELECT id, true, false, NULL FROM barred", "SELECT id, false, false, NULL FROM taken"]
    fates += [refusal for name, refusal in _REFUSALS.items() if name in parts]
    steps = ",".join(part.format_map(sources) for name, part in _PARTS if name in parts)
    return f"WITH {steps}\n{' UNION ALL '.join(fates)}"


def _present(parts: frozenset[str]) -> list[str]:
    return [name for name in _COLUMNS if name in parts]


def rows_of(turn: Turn, owner: str, epoch: int, pending: "Pending") -> Rows:
    """What one turn puts into a group. owner, epoch: its lease. Raises ValueError for text that is no Unicode."""
    rows: Rows = {"held": [(turn.id, owner, epoch)]}
    if pending.acceptance is not None:
        rows["accepted"] = [_accepted(pending.acceptance, pending.end, epoch)]
        rows |= _conditions(pending.acceptance)
    elif pending.end is not None:
        rows["ended"] = [(turn.id, *_end(pending.end))]
    if pending.deferral is not None:
        rows["deferred"] = [(turn.id, pending.deferral.seconds)]
    rows["items"] = _items(turn, pending)
    rows["events"] = [
        (turn.id, recorded.seq, turn.organization_id, TURN_EVENT.dump_json(recorded.event).decode())
        for recorded in pending.events
        if turn.stored
    ]
    rows["ledger"] = [
        (turn.id, _plain(row.call_path), turn.organization_id, row.tool, row.version_digest, row.effect, row.state,
         row.arguments_digest, row.result_digest, epoch, row.seconds)
        for row in pending.ledger.values()
    ]  # fmt: skip
    rows["approvals"] = [
        (turn.id, item_id(turn.id, asked.item, "mcpr"), turn.organization_id, turn.conversation_id, turn.user_id, turn.key_id,
         asked.tool, asked.version_digest, asked.arguments, asked.digest, asked.four_eyes, asked.expires_seconds)
        for asked in pending.approvals
    ]  # fmt: skip
    if pending.end is not None and turn.queue == BACKGROUND:
        rows["told"] = [(turn.id, turn.organization_id, f"response.{pending.end.status}")]
    told = [(turn.id, record.id, record.organization_id, line(record)) for record in pending.audit]
    rows["audit"] = [*rows.get("audit", ()), *told]
    return rows


def written(group: Iterable[Rows]) -> tuple[str, Arrays]:
    """The statement that writes the group, and its arguments: column by column in the order of `_COLUMNS`."""
    rows = list(group)
    tables = {name: [row for turn in rows for row in turn.get(name, ())] for name in _COLUMNS}
    columns = [list(column) for table in tables.values() if table for column in zip(*table, strict=True)]
    return statement(frozenset(name for name, table in tables.items() if table)), columns


def _plain(text: str) -> str:
    """Text that a model or a provider made, as PostgreSQL's `text` takes it. Raises ValueError for a lone surrogate."""
    text.encode()
    return text.replace("\x00", "\ufffd")


def _accepted(acceptance: "Acceptance", end: TurnEnded | None, epoch: int) -> tuple[Any, ...]:
    turn = acceptance.turn
    status, *ended = _end(end) if end else (turn.status, None, None, None, 0, 0, 0, 0)
    return (
        turn.id, turn.organization_id, turn.user_id, turn.key_id, turn.conversation_id, turn.previous_turn_id, turn.model,
        status, turn.stored, turn.wire, acceptance.request, acceptance.metadata, turn.created_at, *ended,
        acceptance.lease_owner, epoch, acceptance.lease_seconds, acceptance.idempotency, turn.queue,
        acceptance.continues, acceptance.seen,
    )  # fmt: skip


def _conditions(acceptance: "Acceptance") -> Rows:
    """What has to be so that the turn is accepted, and is written with it."""
    turn, places, decisions = acceptance.turn, acceptance.places, acceptance.decisions
    return {
        "queued": [] if places is None else [(turn.id, turn.organization_id, places.of_one, places.of_all)],
        "decided": [
            (one.approval.id, turn.id, one.approval.digest, one.approval.arguments, one.status, one.reason, one.record.actor)
            for one in decisions
        ],
        "audit": [
            (turn.id, one.record.id, turn.organization_id, line(one.record, one.apart.told if one.apart else None))
            for one in decisions
        ],
        "personal": [
            (turn.id, one.record.id, turn.organization_id, one.apart.subject, one.apart.text, one.apart.key_sha256)
            for one in decisions
            if one.apart
        ],
    }  # fmt: skip


def _end(end: TurnEnded) -> tuple[Any, ...]:
    usage: Usage = end.usage
    ended_at = datetime.fromtimestamp(end.at, UTC) if end.at is not None else datetime.now(UTC)
    message = None if end.message is None else _plain(end.message)
    return (end.status, ended_at, end.reason, message, usage.input, usage.output, usage.cached, usage.reasoning)


def _items(turn: Turn, pending: "Pending") -> list[tuple[Any, ...]]:
    if not turn.stored:
        return []
    inputs = pending.acceptance.inputs if pending.acceptance else ()
    labelled = [*((True, item) for item in inputs), *((False, item) for item in pending.outputs)]
    return [
        (item.id, turn.id, turn.organization_id, turn.conversation_id, is_input, ITEM.dump_json(item).decode())
        for is_input, item in labelled
    ]
