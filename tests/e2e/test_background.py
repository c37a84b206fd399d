"""What may take long or be sent twice, with the stock SDK against a server that is killed in the middle."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.doubles.web import open_web
from tests.e2e.paddock import make_home, started

CONFIG = """
egress: {allow_private: [127.0.0.0/8]}
limits: {lease_seconds: 2}
models:
  - name: scripted
    backend: scripted
    script:
      - when: {contains: slow}
        pace_seconds: 0.3
        piece_characters: 1
        reply: {text: "Slow and steady wins the race, they say, and so it is with this one, which takes a few seconds."}
      - reply: "You said: {last_user_text}"
"""
PATIENCE_SECONDS = 90


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, new_database: Path) -> Path:
    return make_home(tmp_path_factory.mktemp("background") / "home", CONFIG, database=new_database)


def client(url: str, home: Path) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=(home / "admin.key").read_text().strip(), max_retries=0)


def until(look: Callable[[], Any], done: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def ended(sdk: openai.OpenAI, response_id: str) -> Any:
    return until(lambda: sdk.responses.retrieve(response_id), lambda found: found.status not in ("queued", "in_progress"))


def test_what_was_accepted_is_answered_once_though_the_server_is_killed(home: Path, tmp_path: Path) -> None:
    once = {"Idempotency-Key": "only-once"}
    with started(home, tmp_path / "first.log") as up:
        with client(up.wait_until_ready(), home) as sdk:
            made = sdk.responses.create(input="slow, please", background=True, extra_headers=once)
            assert made.status == "queued"
            waiting = [sdk.responses.create(input=f"{n}", background=True).id for n in range(3)]
            lines = [
                {"custom_id": f"n{n}", "method": "POST", "url": "/v1/responses", "body": {"input": f"slow {n}"}}
                for n in range(3)
            ]
            file = sdk.files.create(file=("in.jsonl", "\n".join(map(json.dumps, lines)).encode()), purpose="batch")
            batch = sdk.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
            until(lambda: sdk.responses.retrieve(made.id), lambda found: found.status == "in_progress")
        up.process.kill()
        up.process.wait()
    quicker = CONFIG.replace("pace_seconds: 0.3", "pace_seconds: 0.02")  # nothing has to happen before its end any more
    (home / "paddock.yaml").write_text(quicker)
    with started(home, tmp_path / "second.log") as up, client(up.wait_until_ready(), home) as sdk:
        again = sdk.responses.create(input="slow, please", background=True, extra_headers=once)
        assert again.id == made.id
        assert ended(sdk, made.id).output_text.endswith("a few seconds.")
        assert [ended(sdk, turn_id).output_text for turn_id in waiting] == [f"You said: {n}" for n in range(3)]
        done = until(lambda: sdk.batches.retrieve(batch.id), lambda found: found.status == "completed")
        told = [json.loads(line) for line in sdk.files.content(done.output_file_id).text.splitlines()]
        assert sorted(one["custom_id"] for one in told) == ["n0", "n1", "n2"]
        events = list(sdk.responses.retrieve(made.id, stream=True))
        assert [event.type for event in events][:2] == ["response.created", "response.queued"]
        rest = list(sdk.responses.retrieve(made.id, stream=True, starting_after=events[3].sequence_number))
        assert [event.to_json() for event in rest] == [event.to_json() for event in events[4:]]


@pytest.fixture
def hooked(home: Path, tmp_path: Path) -> Iterator[openai.OpenAI]:
    with started(home, tmp_path / "hooked.log") as up, client(up.wait_until_ready(), home) as sdk:
        yield sdk


async def test_the_sdk_takes_a_webhook_for_what_it_is_and_no_other(hooked: openai.OpenAI) -> None:
    async with open_web() as web:
        web.says("/hook")
        asked = {"url": f"{web.origin}/hook", "events": ["response.completed"]}
        hook = hooked.post("/../admin/v1/webhooks", body=asked, cast_to=object)
        made = hooked.responses.create(input="hi", background=True)
        while not web.requests:
            await asyncio.sleep(0.05)
        head, _, body = web.requests[0].partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        event = hooked.webhooks.unwrap(body, headers, secret=hook["secret"])
        assert (event.type, event.data.id) == ("response.completed", made.id)
        with pytest.raises(openai.InvalidWebhookSignatureError):
            hooked.webhooks.unwrap(body.replace(b"completed", b"failed"), headers, secret=hook["secret"])
