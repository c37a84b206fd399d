"""OpenAI's client asks again by itself after most failures: what was accepted is not accepted twice by that."""

import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.paddock import Up, make_home, started
from tests.e2e.test_background import until

CONFIG = """
models:
  - name: scripted
    backend: scripted
    breaker: {failures: 1000}
    retries: {attempts: 1}
    script:
      - when: {after_tool: true}
        reply: {error: {status: 503}}
      - when: {contains: pay}
        reply: {tool_calls: [{name: pay, arguments: {}}]}
      - when: {contains: slow}
        piece_characters: 1
        reply: [{text: "Slow and "}, {pause_seconds: 60, text: "steady wins the race."}]
      - reply: "You said: {last_user_text}"
"""
PAY = {
    "name": "pay",
    "description": "Pays",
    "parameters": {"type": "object", "properties": {}},
    "runtime": {"kind": "python", "code": "def main(): return 'paid'"},
    "effect": "effectful",
    "permissions": {"organization": True},
}
TOOLS: Any = [{"type": "mcp", "server_label": "registry", "allowed_tools": ["pay"], "require_approval": "never"}]
HELPER = {"name": "helper", "model": "scripted", "tools": TOOLS}


@pytest.fixture
def home(session_home: Path, new_database: Path, request: pytest.FixtureRequest) -> Path:
    return make_home(session_home / f"once-{request.node.name[:20]}", CONFIG, database=new_database)


@pytest.fixture
def up(home: Path, tmp_path: Path) -> Iterator[Up]:
    with started(home, tmp_path / "output") as up:
        up.wait_until_ready()
        yield up


def key_of(up: Up) -> str:
    return (up.home / "admin.key").read_text().strip()


def sdk(up: Up) -> OpenAI:
    """As it is made by whoever knows nothing of its settings: with retries."""
    return OpenAI(base_url=f"{up.url}/v1", api_key=key_of(up))


def running(up: Up) -> float:
    """How many turns run in the server."""
    metrics = httpx.get(f"{up.url}/metrics", headers={"authorization": f"Bearer {key_of(up)}"}, timeout=60).text
    return float(re.findall(r"^paddock_turns_running (\S+)$", metrics, re.MULTILINE)[0])


def chat(client: OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(model="helper", messages=[{"role": "user", "content": "pay"}], **more)


ASKED: Mapping[str, Callable[[OpenAI], Any]] = {
    "chat": chat,
    "stored chat": lambda client: chat(client, store=True),
    "streamed chat": lambda client: list(chat(client, stream=True)),
    "response": lambda client: client.responses.create(model="helper", input="pay"),
    "unstored response": lambda client: client.responses.create(model="helper", input="pay", store=False),
}


def test_a_turn_that_fails_after_its_tool_had_an_effect_has_had_it_once(up: Up) -> None:
    headers = {"authorization": f"Bearer {key_of(up)}"}
    with sdk(up) as client, httpx.Client(base_url=up.url, headers=headers, timeout=60) as http:
        for path, made in (("tools", PAY), ("assistants", HELPER)):
            assert http.post(f"/admin/v1/{path}", json=made).status_code == 200

        def dispatched() -> int:
            events = http.get("/admin/v1/audit/events", params={"limit": 100}).json()["data"]
            return sum(event["record"]["kind"] == "tool.dispatched" for event in events)

        for times, (how, ask) in enumerate(ASKED.items(), start=1):
            with pytest.raises(openai.InternalServerError) as failed:
                ask(client)
            assert failed.value.response.headers["x-should-retry"] == "false", how
            assert failed.value.response.headers["x-paddock-turn-id"].startswith("resp_"), how
            until(dispatched, lambda seen, times=times: seen >= times)  # an unstored turn's records come behind its answer
        assert dispatched() == len(ASKED)


def test_who_waits_when_the_server_stops_is_told_his_turn_and_follows_it_afterwards_without_losing_an_event(
    home: Path, up: Up, tmp_path: Path
) -> None:
    with sdk(up) as client, ThreadPoolExecutor() as threads:
        seen, reading = list[Any](), threading.Event()
        made = client.responses.create(input="slow", background=True)

        def read() -> None:
            for event in client.responses.retrieve(made.id, stream=True):
                seen.append(event)
                if len(seen) == 6:
                    reading.set()

        follower = threads.submit(read)
        asked = [
            threads.submit(client.responses.create, input="slow"),
            threads.submit(client.chat.completions.create, model="scripted", messages=[{"role": "user", "content": "slow"}]),
        ]
        assert reading.wait(60)
        until(lambda: running(up), lambda turns: turns == 3)  # these, too, have been accepted
        up.process.send_signal(signal.SIGTERM)
        refusals = [waiting.exception(60) for waiting in asked]
        follower.result(60)
    for refusal in refusals:  # asked again, it would have met a closed door, which is another error
        assert isinstance(refusal, openai.InternalServerError)
        assert (refusal.status_code, refusal.code) == (503, "server_shutdown")
        assert refusal.response.headers["x-should-retry"] == "false"
    farewell, last = seen.pop(), seen[-1].sequence_number
    assert (farewell.type, farewell.code, farewell.sequence_number) == ("error", "server_shutdown", last)
    assert up.process.wait(60) == 0
    quicker = CONFIG.replace("pause_seconds: 60", "pause_seconds: 1")  # nothing has to happen before its end any more
    (home / "paddock.yaml").write_text(quicker)
    with started(home, tmp_path / "again") as again:
        again.wait_until_ready()
        with sdk(again) as client:
            rest = list(client.responses.retrieve(made.id, stream=True, starting_after=farewell.sequence_number))
            whole = list(client.responses.retrieve(made.id, stream=True))
            assert [event.to_json() for event in (*seen, *rest)] == [event.to_json() for event in whole]
            told = refusals[0].response.headers["x-paddock-turn-id"]  # type: ignore[union-attr]
            done = until(lambda: client.responses.retrieve(told), lambda found: found.status == "completed")
            assert done.output_text.endswith("steady wins the race.")
