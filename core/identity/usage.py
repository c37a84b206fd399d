"""Usage reports: who may see whose, for how long a time, and what it cost at the prices of today."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.errors import InvalidRequest
from core.identity.principals import Principal, Scope
from core.identity.reach import Reach
from core.messages import Usage
from core.storage.directory import Directory
from core.storage.usage import UsageStore, Used

LONGEST = timedelta(days=366)
CostOf = Callable[[str, Usage], float | None]
"""Of a model's tokens, in the currency of its prices; None for a model that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """tokens, cost: None in a report by tool. unpriced_tokens: those of models without a price, which `cost` leaves out."""

    group: dict[str, str]
    turns: int
    tokens: Usage | None
    tool_runs: int
    sandbox_seconds: float
    cost: float | None
    unpriced_tokens: int


class UsageReports:
    def __init__(self, store: UsageStore, directory: Directory, cost_of: CostOf) -> None:
        self._store = store
        self._reach = Reach(directory)
        self._cost_of = cost_of

    async def report(
        self,
        principal: Principal,
        *,
        start: datetime,
        end: datetime,
        by: Sequence[str],
        organization_id: str | None = None,
        everybody: bool = False,
    ) -> Sequence[Row]:
        """Turns belong to the time and the day (UTC) in which they began. everybody: all organisations, for operators.

        Raises PermissionDenied, NotFound, InvalidRequest for a time that is none or too long.
        """
        principal.require(Scope.ADMIN, Scope.AUDIT)
        if everybody:
            principal.require(Scope.OPERATOR)
        if not timedelta() < end - start <= LONGEST:
            raise InvalidRequest(f"the time must end after it starts, and within {LONGEST.days} days", param="end")
        whose = None if everybody else await self._reach.organization(principal, organization_id)
        return self._priced(await self._store.used(whose, start=start, end=end, by=by))

    def _priced(self, found: Iterable[Used]) -> Sequence[Row]:
        """The store's rows are also by model, since prices are: those of one group are added up."""
        groups: dict[tuple[str, ...], Row] = {}
        for used in found:
            place = tuple(used.group.values())
            groups[place] = _added(groups[place], self._row(used)) if place in groups else self._row(used)
        return list(groups.values())

    def _row(self, used: Used) -> Row:
        cost, unpriced = None, 0
        if used.tokens is not None and used.model is not None:
            cost = self._cost_of(used.model, used.tokens)
            unpriced = used.tokens.input + used.tokens.output if cost is None else 0
            cost = cost or 0.0
        return Row(
            group=used.group,
            turns=used.turns,
            tokens=used.tokens,
            tool_runs=used.tool_runs,
            sandbox_seconds=used.sandbox_seconds,
            cost=cost,
            unpriced_tokens=unpriced,
        )


def _added(one: Row, other: Row) -> Row:
    return Row(
        group=one.group,
        turns=one.turns + other.turns,
        tokens=(one.tokens or Usage()) + (other.tokens or Usage()),
        tool_runs=one.tool_runs + other.tool_runs,
        sandbox_seconds=one.sandbox_seconds + other.sandbox_seconds,
        cost=(one.cost or 0.0) + (other.cost or 0.0),
        unpriced_tokens=one.unpriced_tokens + other.unpriced_tokens,
    )
