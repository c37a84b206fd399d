"""The HTTP application over real stores, and callers of it with keys of their own. There is no sandbox behind it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from api.app import create_app
from api.batches import WIRES
from core.bootstrap import Addresses, Platform, open_platform
from core.config import Settings

SCRIPT = [
    {"when": {"contains": "look it up", "tool_results": 0}, "reply": {"tool_calls": [{"name": "lookup", "arguments": {}}]}},
    {"reply": "You said: {last_user_text}"},
]
MODEL = {"name": "scripted", "backend": "scripted", "prices": {"input": 1, "output": 2}, "script": SCRIPT}


@dataclass(frozen=True, slots=True)
class Caller:
    client: httpx.AsyncClient
    secret: str

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.secret}"} if self.secret else {}
        return await self.client.request(method, path, json=body, headers=headers, **options)

    async def made(self, path: str, body: Any) -> dict[str, Any]:
        """What a POST answers that has to succeed."""
        response = await self("POST", path, body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


@dataclass(frozen=True, slots=True)
class Office:
    platform: Platform
    client: httpx.AsyncClient

    def caller(self, secret: str) -> Caller:
        return Caller(self.client, secret)


@asynccontextmanager
async def open_office(addresses: Addresses, home: Path, settings: Mapping[str, Any] | None = None) -> AsyncIterator[Office]:
    given = {"home": home, "config": home / "paddock.yaml", "models": [MODEL], **(settings or {})}
    async with open_platform(Settings.model_validate(given), addresses, WIRES) as platform:
        transport = httpx.ASGITransport(create_app(platform))
        async with httpx.AsyncClient(transport=transport, base_url="http://paddock") as client:
            yield Office(platform, client)
