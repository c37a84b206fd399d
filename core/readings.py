"""What the parts of a platform say of themselves whenever Prometheus asks. It measures nothing."""

from core.conversations.manager import TurnManager
from core.limits.limiter import Limiter
from core.storage.database import Database
from core.storage.journal import Journal
from core.telemetry.metrics import Reading


def readings(turns: TurnManager, journal: Journal, database: Database, limiter: Limiter) -> tuple[Reading, ...]:
    return (
        Reading(name="turns_running", help="Turns that run in this process.", read=lambda: len(turns.running)),
        Reading(name="journal_waiting", help="Turns with something to commit.", read=lambda: journal.waiting),
        Reading(
            name="database_connections", help="Connections in use.", read=lambda: database.connections_in_use, label="role"
        ),
        Reading(name="limiter_redis_up", help="1 while limits are counted in Redis.", read=lambda: float(not limiter.away)),
        Reading(name="limiter_refusals", help="Turns over a limit.", read=lambda: limiter.refused, label="limit", total=True),
        Reading(name="limiter_local", help="Turns let in without Redis.", read=lambda: limiter.let_in_locally, total=True),
    )
