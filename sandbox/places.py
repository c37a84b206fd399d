"""Places that programs take, given so that no owner takes what all others need. Knows no program and no process."""

import asyncio
from collections import Counter, deque

from sandbox.errors import SandboxBusy

NOBODY = ""
"""Its share is all: it is the operator's own, or of a client that says no owner yet."""


class Shares:
    """How many of so many each owner has. Who has none may have any that is free, who has some three times what is left."""

    def __init__(self, total: int) -> None:
        self._free = total
        self._held = Counter[str]()

    @property
    def free(self) -> int:
        return self._free

    def of(self, owner: str) -> int:
        return self._held[owner]

    def open_to(self, owner: str) -> bool:
        held = self._held[owner]
        return self._free > 0 and (not held or owner == NOBODY or held < 3 * (self._free - 1))

    def take(self, owner: str) -> None:
        self._free -= 1
        self._held[owner] += 1

    def give_back(self, owner: str) -> None:
        self._free += 1
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]


class Places:
    """line: how many more may wait for a place. The next one is for the owner who has fewest, and there for who came first."""

    def __init__(self, places: int, line: int) -> None:
        self._places, self._line = Shares(places), Shares(line)
        self._going_on: deque[tuple[str, asyncio.Future[None]]] = deque()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # by owner; the one served last comes last

    async def take(self, owner: str) -> None:
        """Raises `SandboxBusy` at once where the line has no room. Cancelled, it has taken none."""
        if self._at_once(owner):
            return
        if not self._line.open_to(owner):
            raise SandboxBusy("every sandbox worker is taken and the queue is full")
        self._line.take(owner)
        try:
            await self._served(owner)
        finally:
            self._line.give_back(owner)

    async def take_again(self, owner: str) -> None:
        """For what has begun, and gave its place away: before all that has not, whatever its owner has."""
        if self._places.free and not self._going_on:
            return self._places.take(owner)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (owner, place)
        self._going_on.append(entry)
        try:
            return await place
        except asyncio.CancelledError:
            if entry in self._going_on:
                self._going_on.remove(entry)
            elif not place.cancelled():  # it was given one just then
                self.give_back(owner)
            raise

    def give_back(self, owner: str) -> None:
        self._places.give_back(owner)
        self._serve()

    def _at_once(self, owner: str) -> bool:
        if self._going_on or owner in self._waiting or not self._places.open_to(owner):
            return False
        self._places.take(owner)
        return True

    async def _served(self, owner: str) -> None:
        place = asyncio.get_running_loop().create_future()
        line = self._waiting.setdefault(owner, deque())
        line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place in line:
                line.remove(place)
                self._forget(owner)
            elif not place.cancelled():  # it was given one just then
                self.give_back(owner)
            raise

    def _serve(self) -> None:
        while self._going_on and self._places.free:
            owner, place = self._going_on.popleft()
            if not place.done():  # else its cancelling is on its way
                self._places.take(owner)
                place.set_result(None)
        while open_ := [owner for owner in self._waiting if self._places.open_to(owner)]:
            owner = min(open_, key=self._places.of)
            line = self._waiting.pop(owner)
            place = line.popleft()
            if line:
                self._waiting[owner] = line
            if not place.done():
                self._places.take(owner)
                place.set_result(None)

    def _forget(self, owner: str) -> None:
        if not self._waiting.get(owner):
            self._waiting.pop(owner, None)
