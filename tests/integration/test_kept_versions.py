"""A turn is read through the version of the wire that it was written in, which its row names."""

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from api.wire import chat_answer, responses_stream
from core.storage.database import Database
from core.storage.tables import turns
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_background import client

RESPONSE: Mapping[str, Any] = {"input": "hi"}
CHAT: Mapping[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}], "store": True}


@pytest.mark.parametrize(
    ("path", "asked", "version"),
    [("/v1/responses", RESPONSE, responses_stream.WIRE), ("/v1/chat/completions", CHAT, chat_answer.WIRE)],
)
async def test_what_another_version_wrote_is_for_another_server_to_read(
    stage: Stage, tenant: Tenant, database: Database, path: str, asked: Mapping[str, Any], version: str
) -> None:
    """Amid an upgrade: a balancer that asks again finds one; a guess would give bytes that nobody else gives."""
    async with stage.open_with({"reply": {"text": "hello"}}) as platform, client(platform, tenant) as http:
        made = (await http.post(path, json=asked)).json()["id"]
        address, turn_id = f"{path}/{made}", made.replace("chatcmpl-", "resp_")
        kept = sa.select(turns.c.wire).where(turns.c.id == turn_id)
        async with database.everyone() as connection:
            assert await connection.scalar(kept) == version
            wire, number = version.split("/")
            newer = sa.update(turns).where(turns.c.id == turn_id).values(wire=f"{wire}/{int(number) + 1}")
            await connection.execute(newer)
        for params in ({}, {"stream": "true"}) if wire == "responses" else ({},):
            answer = await http.get(address, params=params)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unknown_wire_version")
        other = (
            f"/v1/responses/{turn_id}" if wire == "chat" else f"/v1/chat/completions/{turn_id.replace('resp_', 'chatcmpl-')}"
        )
        assert (await http.get(other)).status_code == 404
        assert (await http.delete(address)).json()["deleted"]
