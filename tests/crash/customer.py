"""A client as it should be written: it asks, keeps what it was told, and comes back for the rest wherever somebody answers."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

import httpx

from tests.crash.replicas import Replica

REGISTRY = [{"type": "mcp", "server_label": "registry", "require_approval": "never"}]
LAST = ("response.completed", "response.incomplete", "response.failed")
ASK_AGAIN_SECONDS = 0.05
LEAVES = 0.02
"""How probable it is, after each event, that it hangs up and comes back."""
IN_BACKGROUND = 0.3
INSISTS = 20
FAREWELL = "error"
"""The event of a connection that cannot go on. It has no id, and is none of the turn's."""
FRAME = re.compile(rb"event: (\S+)\n(?:id: (\d+)\n)?data: (.+)")


class Frame(NamedTuple):
    number: int
    type: str
    data: bytes


@dataclass(slots=True, kw_only=True)
class Answer:
    """An acknowledged response. seen: the `sequence_number` of the last event, whatever it was, from which OpenAI's clients
    resume. resumed: how often its client came back for the rest.
    """

    text: str
    response_id: str
    frames: list[Frame] = field(default_factory=list)
    seen: int = -1
    resumed: int = 0

    @property
    def ended(self) -> bool:
        return bool(self.frames) and self.frames[-1].type in LAST


@dataclass(slots=True)
class Customer:
    """In one conversation. answers: what was acknowledged; doubtful: what was asked, and nobody said that it was heard."""

    name: str
    replicas: Sequence[Replica]
    client: httpx.AsyncClient
    chance: Random
    conversation_id: str = ""
    answers: list[Answer] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)

    async def visit(self) -> None:
        """Two turns, one with tools. The first replica is asked first: it is the one that is about to die."""
        made = await self._until_answered("POST", "/v1/conversations", json={})
        self.conversation_id = made["id"]
        await self._say(f"order {self.name}")
        await self._say(f"thanks {self.name}")

    async def pass_by(self) -> None:
        """One turn that is not stored: it may be lost with its process, but it must not stay open, nor pay twice."""
        text = f"order {self.name} in passing"
        self.doubtful.append(text)
        body = {"model": "scripted", "input": text, "store": False, "stream": True, "tools": REGISTRY}
        with suppress(httpx.HTTPError):
            async with self.client.stream("POST", f"{self.replicas[0].url}/v1/responses", json=body) as response:
                await response.aread()

    async def insist(self) -> None:
        """One turn as OpenAI's clients ask for it: again after most failures, unless they are told not to. Where an answer got
        lost only a key makes that safe.
        """
        text, keyed = f"order {self.name} at once", self.chance.random() < 0.5
        self.doubtful.append(text)
        headers = {"idempotency-key": text} if keyed else {}
        body = {"model": "scripted", "input": text, "tools": REGISTRY}
        for attempt in range(INSISTS):
            replica = self.replicas[0] if attempt == 0 else self.chance.choice(self.replicas)
            try:
                response = await self.client.post(f"{replica.url}/v1/responses", json=body, headers=headers)
                if response.status_code == 200 or response.headers.get("x-should-retry") == "false":
                    return
            except httpx.ConnectError:
                pass
            except httpx.HTTPError:
                if not keyed:
                    return
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def _say(self, text: str) -> None:
        for attempt in range(1000):
            asked = f"{text} {attempt}"
            answer = await self._ask(asked, self.replicas[0] if attempt == 0 else self.chance.choice(self.replicas))
            if answer is not None:
                self.answers.append(answer)
                return await self._follow(answer)
            await asyncio.sleep(ASK_AGAIN_SECONDS)
        raise AssertionError(f"nobody takes {text!r}")

    async def _ask(self, text: str, replica: Replica) -> Answer | None:
        body = {"model": "scripted", "input": text, "conversation": self.conversation_id, "stream": True, "tools": REGISTRY}
        body["background"] = self.chance.random() < IN_BACKGROUND
        answer = None
        try:
            async with self.client.stream("POST", f"{replica.url}/v1/responses", json=body) as response:
                if response.status_code != 200:
                    await self._refused(text, response)
                    return None
                answer = Answer(text=text, response_id=response.headers["x-paddock-turn-id"])
                await self._read(answer, response)
        except httpx.ConnectError:
            return None
        except httpx.HTTPError:
            if answer is None:
                self.doubtful.append(text)
        return answer

    async def _refused(self, text: str, response: httpx.Response) -> None:
        """Nobody to take it now, or an attempt of before that was taken after all; anything else is a mistake of theirs."""
        told = (await response.aread()).decode()
        assert response.status_code == 503 or "conversation_locked" in told, told
        if response.status_code == 503:
            self.doubtful.append(text)

    async def _follow(self, answer: Answer) -> None:
        """By either way of saying where one was."""
        while not answer.ended:
            answer.resumed += 1
            params, headers = {"stream": "true"}, {}
            if self.chance.random() < 0.5:
                params["starting_after"] = str(answer.seen)
            elif answer.frames:
                headers["last-event-id"] = str(answer.frames[-1].number)
            url = f"{self.chance.choice(self.replicas).url}/v1/responses/{answer.response_id}"
            try:
                async with self.client.stream("GET", url, params=params, headers=headers) as response:
                    if response.status_code == 200:
                        await self._read(answer, response)
                    else:
                        assert response.status_code == 503, (await response.aread()).decode()
            except httpx.HTTPError:
                pass
            if not answer.ended:
                await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def _read(self, answer: Answer, response: httpx.Response) -> None:
        async for frame in everything(response):
            answer.seen = frame.number
            if frame.type == FAREWELL:
                return
            expected = answer.frames[-1].number + 1 if answer.frames else 0
            assert frame.number == expected, f"event {frame.number} came where {expected} belongs"
            answer.frames.append(frame)
            if self.chance.random() < LEAVES:
                return

    async def _until_answered(self, method: str, path: str, **request: Any) -> Any:
        while True:
            try:
                response = await self.client.request(method, f"{self.chance.choice(self.replicas).url}{path}", **request)
                if response.status_code == 200:
                    return response.json()
                assert response.status_code == 503, response.text
            except httpx.HTTPError:
                pass
            await asyncio.sleep(ASK_AGAIN_SECONDS)


async def frames(response: httpx.Response) -> AsyncIterator[Frame]:
    """The turn's events as they came, byte for byte. Comments, and what belongs to the connection alone, are left out."""
    async for frame in everything(response):
        if frame.type != FAREWELL:
            yield frame


async def everything(response: httpx.Response) -> AsyncIterator[Frame]:
    """Each with the number that the SDKs know it by, which is its id's where it has one."""
    rest = b""
    async for piece in response.aiter_raw():
        *whole, rest = (rest + piece).split(b"\n\n")
        for text in whole:
            if head := FRAME.match(text):
                number = json.loads(head[3])["sequence_number"]
                assert head[2] in (None, b"%d" % number), text
                yield Frame(number, head[1].decode(), text)
