"""Every table, as SQLAlchemy Core sees it. The truth about roles, policies and grants is in `migrations/`.

What people wrote is JSON in `text`, not `jsonb`: jsonb refuses NUL, and one such row would fail the whole group that is
committed with it. Tables that the journal writes have no foreign keys: their writer holds the turn's row while it writes.
"""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSON, TIMESTAMP

METADATA = MetaData()
TIME = TIMESTAMP(timezone=True)


def _created() -> "Column[object]":
    return Column("created_at", TIME, nullable=False, server_default=sa.func.now())


organizations = Table(
    "organizations",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("external_id", Text),  # what the identity provider calls it
    Column("deactivated_at", TIME),
    _created(),
    Index("organizations_by_external_id", "external_id", unique=True, postgresql_where=sa.text("external_id IS NOT NULL")),
)

users = Table(
    "users",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False, server_default="owner"),
    Column("subject", Text),  # who it is to the identity provider
    Column("deactivated_at", TIME),
    _created(),
    Index("users_by_subject", "organization_id", "subject", unique=True, postgresql_where=sa.text("subject IS NOT NULL")),
)

LIVE_KEYS = sa.table("live_keys", sa.column("id", Text))  # a view: the keys and tokens that turns may run under now
REVOKED = "COALESCE((SELECT false FROM live_keys k WHERE k.id = {key}), true)"  # scalar, so that no plan reads all keys

api_keys = Table(
    "api_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False, index=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("secret_sha256", Text, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("expires_at", TIME),
    Column("revoked_at", TIME),
    Column("kind", Text, nullable=False, server_default="key"),  # or token: a bearer token that was seen, until it expires
    Column("role", Text),  # what a token's issuer says; else the user's own counts
    _created(),
    Index("api_keys_of_user", "user_id"),
)

revoked_tokens = Table(  # of users who were deleted; those of others are in api_keys
    "revoked_tokens",
    METADATA,
    Column("secret_sha256", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("expires_at", TIME, nullable=False),
    Index("revoked_tokens_by_expiry", "organization_id", "expires_at"),
)

conversations = Table(
    "conversations",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False, index=True),
    Column("metadata", Text, nullable=False),
    Column("deleted_at", TIME),
    # Of a fork: the conversations whose items it shares, oldest first, and the position of the last one of each.
    Column("source_ids", ARRAY(Text), nullable=False, server_default="{}"),
    Column("source_ends", ARRAY(sa.BigInteger), nullable=False, server_default="{}"),
    _created(),
    Index("conversations_by_source", "source_ids", postgresql_using="gin"),
)

turns = Table(
    "turns",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("conversation_id", Text),
    Column("previous_turn_id", Text),
    Column("model", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("stored", sa.Boolean, nullable=False),
    Column("wire", Text, nullable=False),  # name and version of the encoder its reader asked for
    Column("request", Text, nullable=False),  # the TurnRequest but its input; '{}' when not stored
    Column("metadata", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("ended_at", TIME),
    Column("reason", Text),
    Column("message", Text),
    Column("input_tokens", sa.BigInteger, nullable=False, server_default="0"),
    Column("output_tokens", sa.BigInteger, nullable=False, server_default="0"),
    Column("cached_tokens", sa.BigInteger, nullable=False, server_default="0"),
    Column("reasoning_tokens", sa.BigInteger, nullable=False, server_default="0"),
    Column("cancel_requested_at", TIME),
    Column("lease_owner", Text, nullable=False),
    Column("lease_epoch", sa.BigInteger, nullable=False),  # the fencing token: every write of a turn carries it
    Column("lease_expires_at", TIME, nullable=False),
    Column("idempotency", Text),  # the request that it answers, of idempotency_keys
    Column("continues", Text),  # the turn whose calls humans have decided on, and that it takes up
    Column(
        "queue", sa.SmallInteger
    ),  # of a turn that runs in the background: which one it waits in, the first to be served first
    Column("started_at", TIME),  # when a process took it from its queue; moved by the time that nobody had it since then
    Column("stream_removed_at", TIME),  # since then only the events that its answer is made of are there
    Column("stream_due_at", TIME),  # when its conversation was deleted: its stream goes with it
    Index("turns_by_organization", "organization_id", "created_at"),
    Index("turns_by_idempotency", "idempotency", unique=True, postgresql_where=sa.text("idempotency IS NOT NULL")),
    Index("turns_by_what_they_continue", "continues", unique=True, postgresql_where=sa.text("continues IS NOT NULL")),
    Index("turns_by_start", "organization_id", "started_at", postgresql_where=sa.text("started_at IS NOT NULL")),
    Index(
        "waiting_turns_of_organization",
        *("organization_id", "queue", "created_at", "id"),
        postgresql_where=sa.text("status = 'pending'"),
    ),
    Index(
        "waiting_turns_to_cancel",
        "created_at",
        postgresql_where=sa.text("status = 'pending' AND cancel_requested_at IS NOT NULL"),
    ),
    Index("running_turns_of_queue", "organization_id", postgresql_where=sa.text("status = 'running' AND queue IS NOT NULL")),
    Index(
        "one_running_turn_a_conversation",
        "conversation_id",
        unique=True,
        postgresql_where=sa.text("status IN ('pending', 'running') AND conversation_id IS NOT NULL"),
    ),
    Index(
        "turns_with_streams",
        "ended_at",
        postgresql_where=sa.text("stored AND ended_at IS NOT NULL AND stream_removed_at IS NULL"),
    ),
    Index(
        "turns_with_streams_due",
        "stream_due_at",
        postgresql_where=sa.text("stream_due_at IS NOT NULL AND stream_removed_at IS NULL"),
    ),
    Index("running_turns_by_lease", "lease_expires_at", postgresql_where=sa.text("status = 'running'")),
)

turn_events = Table(
    "turn_events",
    METADATA,
    Column("turn_id", Text, primary_key=True),
    Column("seq", sa.BigInteger, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("payload", Text, nullable=False),
    _created(),
)

items = Table(
    "items",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("conversation_id", Text),
    Column("turn_id", Text),
    Column("is_input", sa.Boolean, nullable=False),
    Column("position", sa.BigInteger, sa.Identity(always=True), nullable=False),
    Column("payload", Text, nullable=False),
    _created(),
    Index("items_of_conversation", "conversation_id", "position", postgresql_where=sa.text("conversation_id IS NOT NULL")),
    Index("items_of_turn", "turn_id", "position", postgresql_where=sa.text("turn_id IS NOT NULL")),
)

deleted_items = Table(
    "deleted_items",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("position", sa.BigInteger, nullable=False),
    Index("deleted_items_of_conversation", "conversation_id"),
)

tool_ledger = Table(
    "tool_ledger",
    METADATA,
    Column("turn_id", Text, primary_key=True),
    Column("call_path", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("version_digest", Text, nullable=False),
    Column("effect", Text, nullable=False),
    Column("state", Text, nullable=False),  # dispatched, completed, outcome_unknown
    Column("arguments_digest", Text, nullable=False),
    Column("result_digest", Text),
    Column("lease_epoch", sa.BigInteger, nullable=False),
    Column("seconds", sa.Double),
    _created(),
    Column("completed_at", TIME),
    Index("tool_ledger_by_tool", "organization_id", "tool", "created_at"),
)

idempotency_keys = Table(
    "idempotency_keys",
    METADATA,
    Column("id", Text, primary_key=True),  # a digest of the caller and of the key that it sent
    Column("organization_id", Text, nullable=False),
    Column("request", Text),  # a digest of what was asked; none while a form is read
    Column("claim", Text, nullable=False),  # of who does it
    Column("claimed_until", TIME, nullable=False),
    Column("answer", sa.LargeBinary),  # sealed under the caller's secret; none of a stored turn, whose journal tells it
    _created(),
    Index("idempotency_keys_by_age", "created_at"),
)

idempotency_bytes = Table(
    "idempotency_bytes",
    METADATA,
    Column("organization_id", Text, primary_key=True),
    Column("bytes", sa.BigInteger, nullable=False),  # of its answers under idempotency keys
)

webhook_endpoints = Table(
    "webhook_endpoints",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("secret", Text, nullable=False),  # what it is sent is signed with it; sealed (core/keyring.py)
    Column("enabled", sa.Boolean, nullable=False),
    _created(),
    Index("webhook_endpoints_of_organization", "organization_id", "id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("endpoint_id", Text, ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("event", Text, nullable=False),
    Column("object_id", Text, nullable=False),  # the turn or the batch that it tells of
    Column("attempts", sa.Integer, nullable=False, server_default="0"),
    Column("next_at", TIME, nullable=False, server_default=sa.func.now()),
    Column("delivered_at", TIME),
    Column("given_up_at", TIME),  # a dead letter
    Column("error", Text),  # of the last attempt
    _created(),
    Index("webhook_deliveries_of_organization", "organization_id", "id"),
    Index("webhook_deliveries_of_endpoint", "endpoint_id"),
    Index(
        "webhook_deliveries_to_send",
        "next_at",
        postgresql_where=sa.text("delivered_at IS NULL AND given_up_at IS NULL"),
    ),
    Index("webhook_deliveries_by_age", "created_at"),
)

batches = Table(
    "batches",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("principal", Text, nullable=False),  # who asked, as core/conversations/kept.py writes it
    Column("endpoint", Text, nullable=False),
    Column("input_file_id", Text, nullable=False),
    Column("completion_window", Text, nullable=False),
    Column("output_seconds", sa.Integer),  # how long the files of its answers are kept; none: until they are deleted
    Column("metadata", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("total", sa.Integer, nullable=False, server_default="0"),
    Column("completed", sa.Integer, nullable=False, server_default="0"),
    Column("failed", sa.Integer, nullable=False, server_default="0"),
    Column("output_file_id", Text),
    Column("error_file_id", Text),
    Column("problem", Text),  # what is wrong with all of it
    Column("worker", Text),  # who works on it, until then
    Column("worked_until", TIME, nullable=False, server_default=sa.text("'-infinity'")),
    _created(),
    Column("expires_at", TIME, nullable=False),
    Column("in_progress_at", TIME),
    Column("finalizing_at", TIME),
    Column("cancelling_at", TIME),
    Column("ended_at", TIME),
    Index("batches_of_organization", "organization_id", "id"),
    Index("batches_to_do", "worked_until", postgresql_where=sa.text("ended_at IS NULL")),
)

batch_lines = Table(
    "batch_lines",
    METADATA,
    Column("batch_id", Text, ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("line", sa.Integer, primary_key=True, autoincrement=False),
    Column("organization_id", Text, nullable=False),
    Column("custom_id", Text, nullable=False),
    Column("body", Text),  # the request, until its turn is accepted
    Column("turn_id", Text),
    Column("error", Text),  # JSON, of a line that has no turn: a refusal's status and body, or code and message
    Index("batch_lines_of_turn", "turn_id", postgresql_where=sa.text("turn_id IS NOT NULL")),
)

limit_tiers = Table(
    "limit_tiers",
    METADATA,
    Column("subject_id", Text, primary_key=True),  # an organisation, a user or a key
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
    Column("tier", Text, nullable=False),
    Column("set_at", TIME, nullable=False, server_default=sa.func.now()),
    Index("limit_tiers_of_organization", "organization_id"),
)

blobs = Table(
    "blobs",
    METADATA,
    Column("key", Text, primary_key=True),  # of the object; never used twice, so a late deletion hits nothing new
    Column("organization_id", Text, nullable=False),
    Column("sha256", Text),  # none while it is uploaded
    Column("bytes", sa.BigInteger, nullable=False),  # while it is uploaded: what is reserved for it
    Column("files", sa.Integer, nullable=False, server_default="0"),  # how many have it; none: the object is to be removed
    _created(),
    Index("blobs_by_digest", "organization_id", "sha256", unique=True, postgresql_where=sa.text("files > 0")),
    Index("bytes_of_organization", "organization_id", "bytes"),
    Index("blobs_of_no_file", "created_at", postgresql_where=sa.text("files = 0")),
)

files = Table(
    "files",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("blob_key", Text, ForeignKey("blobs.key"), nullable=False),
    Column("filename", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("expires_at", TIME),
    _created(),
    Index("files_of_organization", "organization_id", "id"),
    Index("files_of_blob", "blob_key"),
    Index("files_by_expiry", "expires_at", postgresql_where=sa.text("expires_at IS NOT NULL")),
)

file_pins = Table(
    "file_pins",
    METADATA,
    Column("file_id", Text, ForeignKey("files.id"), primary_key=True),
    Column("holder", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    _created(),
    Index("file_pins_of_holder", "organization_id", "holder"),
)

assistants = Table(
    "assistants",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", sa.Integer, nullable=False),  # the current one
    Column("deleted_at", TIME),
    _created(),
    Index(
        "assistants_by_name",
        "organization_id",
        "name",
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    ),
    Index("assistants_of_organization", "organization_id", "id"),
)

assistant_versions = Table(
    "assistant_versions",
    METADATA,
    Column("assistant_id", Text, ForeignKey("assistants.id"), primary_key=True),
    Column("version", sa.Integer, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("definition", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_by", Text, nullable=False),  # a key's id
    _created(),
)

tools = Table(
    "tools",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", sa.Integer, nullable=False),  # the one that is offered; with its digest
    Column("digest", Text, nullable=False),
    Column("enabled", sa.Boolean, nullable=False),
    Column("grants", ARRAY(Text), nullable=False),  # who may call it, as core/tools/permissions.py writes it
    Column("quotas", Text, nullable=False),
    Column("deleted_at", TIME),
    _created(),
    Index("tools_by_name", "organization_id", "name", unique=True, postgresql_where=sa.text("deleted_at IS NULL")),
    Index("tools_of_organization", "organization_id", "id"),
)

tool_versions = Table(
    "tool_versions",
    METADATA,
    Column("tool_id", Text, ForeignKey("tools.id"), primary_key=True),
    Column("version", sa.Integer, primary_key=True, autoincrement=False),
    Column("organization_id", Text, nullable=False),
    Column("digest", Text, nullable=False),  # SHA-256 of the manifest as it stands here
    Column("manifest", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    _created(),
    Index("tool_versions_by_digest", "organization_id", "digest"),
)

tool_counts = Table(
    "tool_counts",
    METADATA,
    Column("tool_id", Text, primary_key=True),
    Column("subject", Text, primary_key=True),  # a key's id or an organisation's
    Column("period", Text, primary_key=True),  # minute, day
    Column("organization_id", Text, nullable=False),
    Column("starts_at", TIME, nullable=False),
    Column("calls", sa.BigInteger, nullable=False),
)

_RECORD = "record ->> '{}'"

audit_records = Table(
    "audit_records",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("moment", sa.BigInteger, server_default=sa.FetchedValue(), nullable=False),  # the transaction's number
    Column("record", JSON, nullable=False),  # a line, kept as it was written; see core/storage/audit.py
    *(Column(name, Text, sa.Computed(_RECORD.format(name))) for name in ("kind", "actor", "object", "outcome")),
    Index("audit_records_by_moment", "moment", "id"),
    Index("audit_records_of_organization", "organization_id", "moment", "id"),
    Index("audit_records_by_object", "organization_id", "object", "moment", "id"),
)

audit_subjects = Table(
    "audit_subjects",
    METADATA,
    Column("organization_id", Text, primary_key=True),
    Column("subject", Text, primary_key=True),  # a user's id, or another name for whom records are about
    Column("key", sa.LargeBinary, nullable=False),
)

audit_personal = Table(
    "audit_personal",
    METADATA,
    Column("record_id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),  # JSON, as its digest was made of it
    Index("audit_personal_of_subject", "organization_id", "subject"),
)

audit_checkpoints = Table(
    "audit_checkpoints",
    METADATA,
    Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    Column("first_moment", sa.BigInteger, nullable=False),  # it seals the records of [first_moment, end_moment)
    Column("end_moment", sa.BigInteger, nullable=False),
    Column("records", sa.Integer, nullable=False),
    Column("earliest", TIME, nullable=False),  # when its records were made
    Column("latest", TIME, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("note", Text, nullable=False),  # what was signed, with the signature
    Column("sealed_at", TIME, nullable=False, server_default=sa.func.now()),
)

audit_sections = Table(
    "audit_sections",
    METADATA,
    Column("organization_id", Text, primary_key=True),
    Column("checkpoint", sa.BigInteger, primary_key=True, autoincrement=False),
    Column("place", sa.Integer, nullable=False),  # among the checkpoint's sections
    Column("first", sa.BigInteger, nullable=False),  # how many records of the organisation came before
    Column("size", sa.Integer, nullable=False),
    Column("root", sa.LargeBinary, nullable=False),
    Column("path", sa.LargeBinary, nullable=False),  # from the section to the checkpoint's root, 32 bytes a step
    Column("leaves", sa.LargeBinary),  # hashes of its records, 32 bytes each; None once they are removed by age
    Index("audit_sections_by_checkpoint", "checkpoint"),
)

audit_keys = Table(
    "audit_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("public_key", Text, nullable=False),  # PEM
    _created(),
)

audit_exports = Table(
    "audit_exports",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),  # of who asked
    Column("user_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("status", Text, nullable=False),  # queued, running, completed, failed, cancelled
    Column("attempts", sa.Integer, nullable=False, server_default="0"),
    Column("records", sa.BigInteger, nullable=False, server_default="0"),
    Column("checkpoints", sa.BigInteger, nullable=False, server_default="0"),
    Column("checkpoints_total", sa.BigInteger),
    Column("files", Text, nullable=False, server_default="[]"),
    Column("problems", Text, nullable=False, server_default="[]"),  # what was found to be wrong with the log itself
    Column("error", Text),
    _created(),
    Column("ended_at", TIME),
    Index("audit_exports_of_organization", "organization_id", "id"),
    Index("audit_exports_to_do", "id", postgresql_where=sa.text("status IN ('queued', 'running')")),
)

audit_archives = Table(
    "audit_archives",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("first_checkpoint", sa.BigInteger, nullable=False, unique=True),
    Column("last_checkpoint", sa.BigInteger, nullable=False),
    Column("records", sa.BigInteger, nullable=False),
    Column("latest", TIME, nullable=False),  # when the last of them was made
    Column("bytes", sa.BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("parts", Text, nullable=False),  # JSON: where each organisation's records are in it, [from, bytes]
    _created(),
    Column("removed_at", TIME),  # its time was over; its proof is kept
)

metric_samples = Table(
    "metric_samples",
    METADATA,
    Column("server", Text, primary_key=True),
    Column("at", TIME, primary_key=True, server_default=sa.func.clock_timestamp()),
    Column("series", Text, nullable=False),  # value by selector
    Index("metric_samples_by_time", "at"),
)

alerts = Table(
    "alerts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("value", sa.Double, nullable=False),
    _created(),
    Column("resolved_at", TIME),
    Index("one_firing_alert_a_rule", "rule", unique=True, postgresql_where=sa.text("resolved_at IS NULL")),
)

alert_messages = Table(
    "alert_messages",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("alert_id", Text, ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
    Column("receiver", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("attempts", sa.Integer, nullable=False, server_default="0"),
    Column("next_at", TIME, nullable=False, server_default=sa.func.now()),
    Column("delivered_at", TIME),
    Column("given_up_at", TIME),
    Column("error", Text),
    _created(),
    Index("alert_messages_of_alert", "alert_id", "receiver"),
    Index("alert_messages_to_send", "next_at", postgresql_where=sa.text("delivered_at IS NULL AND given_up_at IS NULL")),
)

approvals = Table(
    "approvals",
    METADATA,
    Column("id", Text, primary_key=True),  # of the item that asks
    Column("organization_id", Text, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("conversation_id", Text),
    Column("user_id", Text, nullable=False),  # whose turn it is
    Column("key_id", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("version_digest", Text, nullable=False),
    Column("arguments", Text, nullable=False),  # canonical JSON
    Column("digest", Text, nullable=False),  # of all that an approval is for; see core/tools/approval.py
    Column("four_eyes", sa.Boolean, nullable=False),
    Column("expires_seconds", sa.Integer, nullable=False),
    Column("status", Text, nullable=False),  # pending, approved, denied, void
    Column("edited", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("edited_by", Text),  # a user's id: who wrote the arguments that wait now
    Column("reason", Text),
    Column("decided_by", Text),  # a user's id
    Column("decided_at", TIME),
    Column("expires_at", TIME, nullable=False),
    _created(),
    Index("approvals_of_organization", "organization_id", "id"),
    Index("approvals_of_turn", "turn_id"),
    Index("approvals_of_conversation", "conversation_id", postgresql_where=sa.text("conversation_id IS NOT NULL")),
    Index("approvals_by_decision", "decided_at", postgresql_where=sa.text("status IN ('approved', 'denied')")),
)
