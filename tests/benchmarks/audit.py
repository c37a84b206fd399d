"""The audit log: what a record costs on the path of a turn, and how fast records are sealed, exported and verified.

On a PostgreSQL of its own, durable as in production. Exports are made as the keeper makes them, from the request to the files.
"""

import asyncio
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from core.audit.export.making import ExportMaker
from core.audit.exports import Exports
from core.audit.head import Head
from core.audit.sealing import Sealer
from core.audit.signing import Signer, open_signer
from core.audit.turns import TurnAudit
from core.audit.verification import verify
from core.events import ToolDispatched, ToolReturned
from core.identity.principals import Principal, Role, Scope
from core.identity.reach import Reach
from core.messages import ToolResult
from core.storage.audit import AuditRecord, line
from core.storage.audit_exports import Export, ExportStore
from core.storage.audit_seals import SealStore
from core.storage.audit_shapes import Filter
from core.storage.database import open_database
from core.storage.directory import Directory
from core.storage.embedded.postgres import open_postgres
from core.storage.journal import Pending
from core.storage.journal_statement import rows_of
from core.storage.migrate import migrate
from core.storage.objects import open_objects
from tests.benchmarks.figures import Figure
from tests.benchmarks.gate import TURN

APPENDS, ROUNDS = 2_000, 9
FEW, MANY = 50_000, 200_000
ORGANIZATIONS = 4
WHO = Principal(organization_id="org_0", user_id="user_1", key_id="key_1", role=Role.OWNER, scopes=frozenset(Scope))
DIGEST = "0" * 64
DISPATCHED = ToolDispatched(
    item=1, call_id="call_1", tool="fx_rate", version_digest=DIGEST, effect="idempotent", arguments_digest=DIGEST
)
RETURNED = ToolReturned(item=2, result=ToolResult(call_id="call_1", content="1.1"), seconds=0.012)
FILL = """
    INSERT INTO audit_records (id, organization_id, record)
    SELECT id, organization, replace(replace($1, $2, id), $3, organization)::json FROM (
        SELECT 'aud_' || lpad(to_hex($4::bigint), 12, '0') || lpad(to_hex(n), 20, '0') AS id,
            'org_' || n % $5::int AS organization
        FROM generate_series($6::int, $7::int) n
    ) made
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    owner_url: str
    signer: Signer
    sealer: Sealer
    exports: Exports
    maker: ExportMaker
    home: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    export: Export
    seconds: float
    processor: float


def measure() -> Sequence[Figure]:
    return [asyncio.run(_append()), *asyncio.run(_measure_log())]


async def _append() -> Figure:
    """What a tool's result adds: the record is made, becomes its line, and a row of the journal's statement."""
    audit, parts = TurnAudit(TURN), []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(APPENDS):
            rows_of(TURN, "server", 1, Pending(audit=[audit.returned(DISPATCHED, RETURNED, DIGEST)]))
        between = time.process_time()
        for _ in range(APPENDS):
            rows_of(TURN, "server", 1, Pending())
        parts.append((2 * between - began - time.process_time()) / APPENDS * 1e6)
    return Figure(what="audit: processor of a record on the path", unit="us", ours=sorted(parts)[ROUNDS // 2], at_most=20)


async def _measure_log() -> Sequence[Figure]:
    folder = Path(tempfile.mkdtemp(prefix="paddock-bench-"))
    try:
        async with AsyncExitStack() as stack:
            log = await _open_log(folder, stack)
            await _fill(log.owner_url, FEW, first=0)
            await log.sealer.seal()
            await _export(log, "csv")
            memory = [_peak_megabytes()]
            await _fill(log.owner_url, MANY, first=FEW)
            figures = [await _sealed(log)]
            for form in ("csv", "jsonl", "parquet", "ocsf"):
                made = await _export(log, form)
                figures += _figures_of(made, form)
                figures.append(await _verified(log, made.export, form))
                memory.append(_peak_megabytes())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    peaks = [
        Figure(what=f"audit: peak memory of the larger process of an export of {records:,} as csv", unit="MB", ours=peak)
        for records, peak in zip((FEW, FEW + MANY), memory[:2], strict=True)
    ]
    return [
        *figures,
        *peaks,
        Figure(what="audit: peak memory of the largest process of any export", unit="MB", ours=memory[-1]),
    ]


async def _open_log(folder: Path, stack: AsyncExitStack) -> _Log:
    server = await stack.enter_async_context(open_postgres(folder, notify=lambda _: None))
    login = make_url(server.server_url).username
    assert login is not None
    await migrate(server.owner_url, server_login=login)
    database = await stack.enter_async_context(open_database(server.server_url))
    stores = {"database": database.address, "objects": f"file://{folder / 'objects'}"}
    objects = await stack.enter_async_context(open_objects(stores["objects"]))
    signer, store = open_signer(folder / "audit.key"), ExportStore(database)
    seals = SealStore(database)
    sealer = Sealer(seals, signer, Head(seals, signer, folder / "audit.head"))
    await sealer.announce()
    maker = ExportMaker(store, objects, sealer, signer, stores=stores, home=folder, days=1)
    exports = Exports(store, objects, Reach(Directory(database)))
    return _Log(owner_url=server.owner_url, signer=signer, sealer=sealer, exports=exports, maker=maker, home=folder)


async def _fill(url: str, records: int, *, first: int) -> None:
    """As many transactions as a busy minute has."""
    record = AuditRecord(
        kind="tool.returned",
        organization_id="org_of_it",
        actor=TURN.user_id,
        key_id=TURN.key_id,
        request_id="req_" + "0" * 32,
        object=TURN.id,
        digest=DIGEST,
        details={"tool": "fx_rate", "item": f"item_{'0' * 32}", "seconds": 0.012},
    )
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET search_path = paddock; SET synchronous_commit = off")
        for start in range(first, first + records, 500):
            made = (line(record), record.id, "org_of_it", time.time_ns() // 1_000_000)
            await connection.execute(FILL, *made, ORGANIZATIONS, start, min(start + 500, first + records) - 1)
        await connection.execute("ANALYZE audit_records")
    finally:
        await connection.close()


async def _sealed(log: _Log) -> Figure:
    began = time.perf_counter()
    sealed = await log.sealer.seal()
    return _rate("audit: sealing", sealed / (time.perf_counter() - began), at_least=15_000)


async def _export(log: _Log, form: str) -> _Made:
    used, began = _processor(), time.perf_counter()
    asked = await log.exports.create(WHO, Filter(), format=form, organization_id="all")
    await log.maker.make_all()
    seconds, processor = time.perf_counter() - began, _processor() - used
    export = await log.exports.get(WHO, asked.id)
    assert export.status == "completed", export.error
    return _Made(export=export, seconds=seconds, processor=processor)


def _figures_of(made: _Made, form: str) -> Sequence[Figure]:
    records = made.export.records
    return [
        _rate(f"audit: export as {form}", records / made.seconds, at_least=100_000),
        Figure(what=f"audit: export as {form}: processor of its two processes", unit="us", ours=made.processor / records * 1e6),
    ]


async def _verified(log: _Log, export: Export, form: str) -> Figure:
    directory = log.home / f"fetched-{form}"
    directory.mkdir()
    for file in export.files:
        _, pieces = await log.exports.open_file(WHO, export.id, file["name"])
        with (directory / file["name"]).open("wb") as target:
            async for piece in pieces:
                target.write(piece)
    began = time.perf_counter()
    report = await asyncio.to_thread(verify, directory, [log.signer.public_key.encode()])
    assert (report.problems, report.records) == ([], export.records)
    return _rate(f"audit: verifying {form}", report.records / (time.perf_counter() - began))


def _rate(what: str, rate: float, *, at_least: float | None = None) -> Figure:
    return Figure(what=what, unit="records/s", ours=rate, more_is_better=True, at_least=at_least)


def _processor() -> float:
    """Seconds, of the processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
