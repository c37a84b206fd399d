"""So many of everything for each owner, so that nobody takes what all others need."""

import asyncio
import sys
from contextvars import ContextVar
from weakref import WeakValueDictionary

NOBODY = ""
OWNER = ContextVar("owner", default=NOBODY)
"""Whose request a name is looked up for: the interface of resolvers has no room for it."""


class Shares:
    """one: how many each owner may have at once; what is nobody's, as the operator's own, is not counted."""

    def __init__(self, one: int) -> None:
        self._one = one
        self._shares = WeakValueDictionary[str, asyncio.Semaphore]()

    def of(self, owner: str) -> asyncio.Semaphore:
        """Who has it keeps it: it is forgotten when nobody does."""
        share = self._shares.get(owner)
        if share is None:
            share = self._shares[owner] = asyncio.Semaphore(sys.maxsize if owner == NOBODY else self._one)
        return share
