"""What the parts of a platform say of themselves whenever Prometheus asks. It measures nothing."""

from core.conversations.manager import TurnManager
from core.conversations.queue_depth import QueueDepth
from core.limits.limiter import Limiter
from core.storage.database import Database
from core.storage.journal import Journal
from core.telemetry.metrics import Reading


def readings(
    turns: TurnManager, depth: QueueDepth, journal: Journal, database: Database, limiter: Limiter
) -> tuple[Reading, ...]:
    return (
        Reading(name="turns_running", read=lambda: len(turns.running)),
        Reading(name="turns_waiting", read=lambda: depth.waiting),
        Reading(name="journal_waiting", read=lambda: journal.waiting),
        Reading(name="database_connections", read=lambda: database.connections_in_use),
        Reading(name="limiter_redis_up", read=lambda: float(not limiter.away)),
        Reading(name="limiter_refusals", read=lambda: limiter.refused),
        Reading(name="limiter_local", read=lambda: limiter.let_in_locally),
    )
