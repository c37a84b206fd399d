"""What an answer that is no success says of its turn: whether it may have been accepted, and is not to be asked for again."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from core.conversations.running import RunningTurn
from core.errors import Unavailable
from core.storage import journal
from core.storage.connection import DatabaseUnavailable
from core.storage.journal import Journal
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_idempotency import CHAT, DOWN, ECHO, RESPONSES, SLOW, body_of, client

BACKGROUND = {"background": True}


def told(answer: httpx.Response) -> tuple[str | None, bool]:
    """x-should-retry, and whether a turn is named."""
    return answer.headers.get("x-should-retry"), "x-paddock-turn-id" in answer.headers


@pytest.mark.parametrize(("path", "more"), [(RESPONSES, {}), (RESPONSES, BACKGROUND), (CHAT, {})], ids=str)
async def test_a_commit_of_which_nobody_knows_may_have_accepted_the_turn(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, path: str, more: Mapping[str, Any]
) -> None:
    """The database took it, and the connection was lost before it said so."""
    commit, lost = Journal._commit, 0

    async def lose(self: Journal, *arguments: Any, **named: Any) -> Any:
        nonlocal lost
        fates = await commit(self, *arguments, **named)
        lost += 1
        if lost == 1:
            raise DatabaseUnavailable("PostgreSQL does not answer")
        return fates

    async with stage.open_with(ECHO, lease_seconds=1) as platform, client(platform, tenant) as http:
        monkeypatch.setattr(Journal, "_commit", lose)
        answer = await http.post(path, json={**body_of(path), **more})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")
        assert told(answer) == ("false", True)
        turn_id = answer.headers["x-paddock-turn-id"]
        async with asyncio.timeout(60):
            assert (await platform.turns.wait(tenant.principal, turn_id)).status.value == "completed"


async def test_a_fault_of_ours_after_the_acceptance_is_no_reason_to_ask_again(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:

        async def broken(_: RunningTurn) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(RunningTurn, "durable", broken)
        answer = await http.post(CHAT, json=body_of(CHAT, store=False))
        assert answer.status_code == 500
        assert told(answer) == ("false", True)


async def test_what_was_refused_before_may_be_asked_again(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "GIVE_UP_SECONDS", 0.2)
    async with stage.open_with(SLOW) as platform, client(platform, tenant) as http:
        conversation = (await http.post("/v1/conversations", json={})).json()["id"]
        asked = {**body_of(RESPONSES), "conversation": conversation}
        many = await asyncio.gather(*(http.post(RESPONSES, json=asked) for _ in range(8)))
        refused = [answer for answer in many if answer.status_code != 200]
        assert {answer.json()["error"]["code"] for answer in refused} == {"conversation_locked"}
        assert {told(answer) for answer in refused} == {(None, False)}
        assert told(await http.post(RESPONSES, json={"input": 7})) == (None, False)
        await platform.turns.stop()
        stopped = await http.post(RESPONSES, json=body_of(RESPONSES))
        assert (stopped.status_code, stopped.json()["error"]["code"]) == (503, "server_shutdown")
        assert told(stopped) == (None, False)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_key_may_be_tried_again_when_the_answer_was_cut_off(stage: Stage, tenant: Tenant, stream: bool) -> None:
    """It gets the answer of the turn that goes on."""
    async with stage.open_with(DOWN) as platform, client(platform, tenant) as http:
        follow = platform.turns.follow

        def away(*_: Any, **__: Any) -> Any:
            raise Unavailable("the database is away", code="database_unavailable")

        platform.turns.follow = away  # type: ignore[method-assign]
        asked, key = body_of(CHAT, stream=stream), {"idempotency-key": "once"}
        assert told(await http.post(CHAT, json=asked)) == ("false", True)
        assert told(await http.post(CHAT, json=asked, headers=key))[0] is None
        platform.turns.follow = follow  # type: ignore[method-assign]
        assert told(await http.post(CHAT, json=asked, headers=key))[0] == "false"


@pytest.mark.parametrize("path", [RESPONSES, CHAT])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("store", [False, True], ids=["unstored", "stored"])
async def test_a_model_that_is_away_may_be_asked_again_where_nothing_was_kept(
    stage: Stage, tenant: Tenant, path: str, stream: bool, store: bool
) -> None:
    """What is kept is there a second time for whoever asks again; a plain chat is not."""
    async with stage.open_with(DOWN) as platform, client(platform, tenant) as http:
        answer = await http.post(path, json=body_of(path, stream=stream, store=store))
        if answer.status_code == 200:  # its failure is an event
            assert (path, stream) == (RESPONSES, True)
        else:
            assert told(answer) == ("false" if store else None, True)
