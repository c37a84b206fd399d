"""What a turn hears of what was said before: of its conversation, of the responses before it, and where these began."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any

import pytest

from core.bootstrap import Platform
from core.conversations import manager
from core.messages import Item, MessageItem, Text
from core.storage.database import Database
from core.storage.tables import deleted_items
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_conversations_that_went_on import CONVERSATIONS, a_conversation, say
from tests.integration.test_idempotency import CHAT, ECHO, RESPONSES, SLOW, client, count
from tests.integration.test_turns import asking


def texts(items: Sequence[Item]) -> list[str]:
    return [part.text for item in items if isinstance(item, MessageItem) for part in item.parts if isinstance(part, Text)]


async def heard(platform: Platform, tenant: Tenant, turn_id: str) -> list[str]:
    """Before a turn that goes on from this one."""
    return texts(await platform.turns._staging.before(tenant.principal, asking("next", previous_turn_id=turn_id)))


async def test_who_goes_on_from_a_turn_of_a_conversation_hears_what_that_turn_heard(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        where = await a_conversation(http, "one")
        two = (await say(http, where, "two")).json()["id"]
        assert (await say(http, where, "three")).status_code == 200
        one_and_two = ["one", "You said: one", "two", "You said: two"]
        assert await heard(platform, tenant, two) == one_and_two
        aside = (await http.post(RESPONSES, json={"input": "aside", "previous_response_id": two})).json()["id"]
        assert await heard(platform, tenant, aside) == [*one_and_two, "aside", "You said: aside"]
        await http.delete(f"{CONVERSATIONS}/{where}")
        for gone in (two, aside):
            refused = await http.post(RESPONSES, json={"input": "next", "previous_response_id": gone})
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "previous_response_not_found")


async def test_a_conversation_is_answered_as_it_stands_where_nothing_is_added(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        question = {"items": [{"type": "message", "role": "user", "content": "asked before"}]}
        where = (await http.post(CONVERSATIONS, json=question)).json()["id"]
        for more in ({}, {"input": []}):
            answer = await http.post(RESPONSES, json={"conversation": where, **more})
            assert answer.json()["output"][0]["content"][0]["text"] == "You said: asked before"
        again = await http.post(RESPONSES, json={"previous_response_id": answer.json()["id"]})
        assert again.status_code == 200
        page = await http.get(f"{CONVERSATIONS}/{where}/items")
        assert len(page.json()["data"]) == 3
        empty = (await http.post(CONVERSATIONS, json={})).json()["id"]
        for nothing in ({"conversation": empty}, {"input": []}, {}):
            refused = await http.post(RESPONSES, json=nothing)
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "missing_required_parameter")


async def test_a_turn_without_input_hears_and_leaves_what_was_there_when_it_began(stage: Stage, tenant: Tenant) -> None:
    fails = {"when": {"contains": "fails"}, "reply": {"error": {"status": 400}}}
    async with stage.open_with(fails, SLOW) as platform, client(platform, tenant) as http:
        for question, status in (("fails", 400), ("is slow", 200)):
            said = [{"type": "message", "role": "user", "content": text} for text in ("one", question)]
            where = (await http.post(CONVERSATIONS, json={"items": said})).json()["id"]
            asked = await http.post(RESPONSES, json={"conversation": where, "background": status == 200})
            assert asked.status_code == status
            turn_id = asked.headers["x-paddock-turn-id"]
            later = {"items": [{"type": "message", "role": "user", "content": "later"}]}
            assert (await http.post(f"{CONVERSATIONS}/{where}/items", json=later)).status_code == 200
            again = replace(asking("-", conversation_id=where), input=())
            before = await platform.turns._staging.before(tenant.principal, again, turn_id=turn_id)
            assert texts(before) == ["one", question]
            if status == 200:
                await platform.turns.cancel(tenant.principal, turn_id)
            assert (await heard(platform, tenant, turn_id))[:2] == ["one", question]
            assert "later" not in await heard(platform, tenant, turn_id)


@pytest.mark.parametrize("seconds", [-10, 10])
async def test_a_turn_without_input_hears_the_same_whatever_its_servers_clock_says(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Wrong":
            return cls.fromtimestamp(time.time() + seconds, tz)

    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        where = await a_conversation(http, "one")
        two = {"items": [{"type": "message", "role": "user", "content": "two"}]}
        assert (await http.post(f"{CONVERSATIONS}/{where}/items", json=two)).status_code == 200
        monkeypatch.setattr(manager, "datetime", Wrong)
        queued = await http.post(RESPONSES, json={"conversation": where, "background": True})
        async with asyncio.timeout(20):
            await platform.turns.wait(tenant.principal, queued.json()["id"])
        whole = ["one", "You said: one", "two", "You said: two"]
        assert await heard(platform, tenant, queued.json()["id"]) == whole


async def test_a_turn_without_input_that_was_accepted_as_it_ended_does_not_hear_itself(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*arguments: Any, **options: Any) -> Any:
        await gate.wait()
        return await commit(*arguments, **options)

    gate = asyncio.Event()
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        where = await a_conversation(http, "one")
        commit = platform.journal._commit
        monkeypatch.setattr(platform.journal, "_commit", slow)
        other = asyncio.create_task(http.post(RESPONSES, json={"input": "other"}))
        while not platform.journal._writing:
            await asyncio.sleep(0.01)
        asked = asyncio.create_task(http.post(RESPONSES, json={"conversation": where}))
        while not any(running.turn.conversation_id and running._ending for running in platform.turns.running.values()):
            await asyncio.sleep(0.01)
        gate.set()
        turn_id = (await asked).json()["id"]
        await other
        assert await heard(platform, tenant, turn_id) == ["one", "You said: one", "You said: one"]


async def test_a_conversations_items_are_deleted_page_by_page(stage: Stage, tenant: Tenant, database: Database) -> None:
    said = [{"type": "message", "role": "user", "content": str(n)} for n in range(7)]
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        where = (await http.post(CONVERSATIONS, json={"items": said})).json()["id"]
        items, seen, after = f"{CONVERSATIONS}/{where}/items", list[str](), dict[str, str]()
        fork = (await http.post(f"{CONVERSATIONS}/{where}/fork", json={})).json()["id"]
        while True:
            page = (await http.get(items, params={"order": "asc", "limit": 3, **after})).json()
            for item in page["data"]:
                seen.append(item["content"][0]["text"])
                assert (await http.delete(f"{items}/{item['id']}")).status_code == 200
            after = {"after": page["last_id"]}
            if not page["has_more"]:
                break
        assert seen == list("0123456")
        of_the_fork = f"{CONVERSATIONS}/{fork}/items"
        assert (await http.get(of_the_fork, params=after)).json()["data"] == []
        other = (await http.post(CONVERSATIONS, json={"items": said[:1]})).json()["id"]
        assert (await http.get(f"{CONVERSATIONS}/{other}/items", params=after)).status_code == 400
        for conversation, places in ((where, 7), (fork, 0)):
            await http.delete(f"{CONVERSATIONS}/{conversation}")
            assert await count(database, deleted_items, tenant) == places


async def test_a_completion_that_is_not_whole_is_none(stage: Stage, tenant: Tenant) -> None:
    breaks = {"when": {"contains": "breaks"}, "reply": [{"text": "Once "}, {"error": {"status": 500}}]}
    async with stage.open_with(breaks, SLOW) as platform, client(platform, tenant) as http:
        asked = {"store": True, "stream": True, "messages": [{"role": "user", "content": "breaks"}]}
        failed = await http.post(CHAT, json=asked)
        running = await platform.turns.start(tenant.principal, asking("go", wire="chat/1"))
        for turn_id in (failed.headers["x-paddock-turn-id"], running.id):
            completion = f"{CHAT}/chatcmpl-{turn_id.removeprefix('resp_')}"
            refused = await http.get(completion)
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "completion_not_found")
        await platform.turns.cancel(tenant.principal, running.id)
