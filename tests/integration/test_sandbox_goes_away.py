"""Code of no effect whose sandbox host goes away under it runs again, and what it had called is given back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from core.events import NestedDispatched, NestedReturned, TurnStatus
from core.storage.database import Database
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_nested_calls import BY_CODE, CODE, PATIENCE_SECONDS, STEP, add, ledger, manifest, results, written
from tests.integration.test_recovery import Control, cut
from tests.integration.test_turns import asking

SECOND_ANSWER = rb"{\"did\": 1}"


@asynccontextmanager
async def breaking(host: Path, socket: Path, *, before: bytes) -> AsyncIterator[None]:
    """A way to the host that goes away, with what runs there, before the host hears this; and is there again at once."""
    broken = False

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_host: bool) -> None:
        nonlocal broken
        try:
            while data := await reader.read(2**16):
                if to_host and not broken and before in data:
                    broken = True
                    return
                writer.write(data)
        finally:
            writer.close()

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host_reader, host_writer = await asyncio.open_unix_connection(str(host))
        ways = [carry(reader, host_writer, to_host=True), carry(host_reader, writer, to_host=False)]
        _, pending = await asyncio.wait([asyncio.ensure_future(way) for way in ways], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait(pending)

    async with await asyncio.start_unix_server(joined, str(socket)):
        yield
    assert broken, "it never went away"


async def test_what_code_has_called_is_not_called_and_counted_again_when_it_runs_again_without_its_host(
    stage: Stage, tenant: Tenant, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.tools.nested.MOST_CALLS", 4)
    way = tmp_path / "way.sock"
    beside = replace(stage, addresses=replace(stage.addresses, sandbox=way))
    async with (
        breaking(stage.addresses.sandbox, way, before=SECOND_ANSWER),
        beside.open_with(*written(CODE), lease_seconds=1) as platform,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        await add(platform, tenant, manifest("step", STEP, effect="pure"))
        request = asking("go", registry=BY_CODE, builtins=("code_interpreter",), max_tool_calls=5)
        turn = await platform.turns.start(tenant.principal, request)
        await platform.turns.wait(tenant.principal, turn.id)
        whole = Control(turn, await platform.turns.events(tenant.principal, turn.id))
        assert results(whole.events) == [(False, "6")]
        paths = [recorded.event.path for recorded in whole.events if isinstance(recorded.event, NestedDispatched)]
        assert paths == [(0,), (1,), (2,), (3,)]
        assert set(await ledger(database, turn.id)) == {"", "0", "1", "2", "3"}
        last = max(recorded.seq for recorded in whole.events if isinstance(recorded.event, NestedReturned))
        copy = await cut(database, whole, last)
        assert (await platform.turns.wait(tenant.principal, copy)).status is TurnStatus.COMPLETED
        assert results(await platform.turns.events(tenant.principal, copy)) == [(False, "6")]


async def test_code_that_calls_something_else_when_its_host_is_back_is_stopped(
    stage: Stage, tenant: Tenant, tmp_path: Path
) -> None:
    """The journal has one call for each place."""
    way, code = tmp_path / "way.sock", "import time\nfrom paddock import call\nprint(call('step', n=time.time_ns())['did'])"
    beside = replace(stage, addresses=replace(stage.addresses, sandbox=way))
    async with (
        breaking(stage.addresses.sandbox, way, before=rb"{\"did\": "),
        beside.open_with(*written(code)) as platform,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        await add(platform, tenant, manifest("step", STEP, effect="pure"))
        request = asking("go", registry=BY_CODE, builtins=("code_interpreter",))
        turn = await platform.turns.start(tenant.principal, request)
        await platform.turns.wait(tenant.principal, turn.id)
        [(failed, content)] = results(await platform.turns.events(tenant.principal, turn.id))
    assert failed
    assert "called something else than before" in content
