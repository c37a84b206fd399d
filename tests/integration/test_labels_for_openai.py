"""`user`, `safety_identifier`, `prompt_cache_key` and hints that OpenAI knows reach it, and nobody and nothing else."""

import logging
import socket
from typing import Any

import pytest

from core.llm.backends.openai import OPENAI
from tests.doubles.raw_peer import Answer, delta, ending, raw_peer, sse
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_busy_providers import opened

LABELS: Any = {"user": "ann@example.org", "safety_identifier": "person-17", "prompt_cache_key": "cache-23"}
HINTS: Any = {"prompt_cache_retention": "24h", "verbosity": "low"}
GOOD = Answer(pieces=[sse(delta(content="Hi"), ending())])
CHAT: Any = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}
RESOLVE = socket.getaddrinfo


def at_home(host: Any, *more: Any, **options: Any) -> Any:
    """Where OpenAI is, for this test."""
    return RESOLVE("127.0.0.1" if str(host).endswith(OPENAI) else host, *more, **options)


@pytest.mark.parametrize("host", [OPENAI, f"eu.{OPENAI}", f"not{OPENAI}", "127.0.0.1"])
async def test_only_openai_is_told(
    stage: Stage, tenant: Tenant, host: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(socket, "getaddrinfo", at_home)
    async with raw_peer(GOOD) as peer:
        fields = {"backend": "openai", "model": "m", "api_base": peer.address.replace("127.0.0.1", host)}
        async with opened(stage, tenant, **fields) as (_, client):
            await client.chat.completions.create(**CHAT, **LABELS, **HINTS, max_tokens=5)
            await client.responses.create(input="hi", prompt_cache_retention="24h", text={"verbosity": "low"}, **LABELS)
            await client.responses.create(input="hi")
    everything = {**LABELS, **HINTS}
    told = [{name: sent.body[name] for name in everything if name in sent.body} for sent in peer.received]
    of_openai = host in (OPENAI, f"eu.{OPENAI}")
    assert told == ([everything, everything, {}] if of_openai else [{}, {}, {}])
    assert peer.received[0].body["max_completion_tokens" if of_openai else "max_tokens"] == 5
    logged = " ".join(record.getMessage() for record in caplog.records if record.name.startswith(("core", "api")))
    assert not [value for value in LABELS.values() if value in logged]
