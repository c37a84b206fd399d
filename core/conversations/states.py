"""Which state of a turn may follow which, and when one that failed is tried again. What each means is said in `core.events`.

A turn that is out of time is incomplete (`time_limit`); one that was closed has ended and its text is deleted. An end is for
ever, since clients were told: what is to be tried again waits anew before its end is recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.errors import PaddockError
from core.events import TurnStatus
from core.llm.contract import ModelError
from core.storage.records import Turn

ENDS = frozenset(status for status in TurnStatus if status.ended)
MOVES: Mapping[TurnStatus, frozenset[TurnStatus]] = {
    TurnStatus.PENDING: frozenset({TurnStatus.RUNNING}),
    TurnStatus.RUNNING: ENDS | {TurnStatus.PENDING},
    **{status: frozenset() for status in ENDS},
}
LONGEST_PAUSE_SECONDS = 3600.0
"""A provider may ask for more, in error or in malice, and is asked again all the same."""


class IllegalMove(PaddockError):
    code = "illegal_move"


def moved(turn: Turn, to: TurnStatus) -> Turn:
    """Raises IllegalMove."""
    if to not in MOVES[turn.status]:
        may = ", ".join(sorted(MOVES[turn.status])) or "nothing: that is an end"
        raise IllegalMove(f"turn {turn.id!r} is {turn.status} and cannot become {to}; it may become {may}")
    return replace(turn, status=to)


def pause_before_next_try(turn: Turn, failure: PaddockError, *, deferrals: int, pauses: Sequence[float]) -> float | None:
    """In seconds; None where there is no next try: somebody waits for the answer, or it cannot help, or there were enough.

    pauses: after each failure of a turn in the background that may pass; after as many it ends. deferrals: how many such
    failures it had before. That a process died, or was stopped, is none.
    """
    if turn.queue is None or not isinstance(failure, ModelError) or not failure.retryable or deferrals >= len(pauses):
        return None
    return max(pauses[deferrals], min(failure.retry_after or 0.0, LONGEST_PAUSE_SECONDS))
