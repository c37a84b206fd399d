"""Makes the exports that were asked for, one after another: in a process of its own each, signed here, put into object storage.

It is the keeper's. One that a restart cuts off begins again; what it had made is thrown away.
"""

import asyncio
import json
import logging
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from core.audit.export.process import ORDER, Order
from core.audit.export.removals import Removal, newest_removal
from core.audit.sealing import Sealer
from core.audit.signing import Signer, public_keys
from core.errors import ConfigurationError, PaddockError
from core.storage.audit import AuditRecord, Detail, Outcome
from core.storage.audit_exports import Export, ExportStatus, ExportStore
from core.storage.audit_reading import Wanted
from core.storage.audit_shapes import Filter
from core.storage.objects import Objects, ObjectsUnavailable
from core.supervisor import Child, Program, running

ATTEMPTS = 3
PROGRESS_SECONDS = 0.5
FORMAT = "paddock.audit.export/2"
"""Since 2 it has all checkpoints' notes from its first one to the head, and a signed word of what was removed."""
FOLDER = "audit/exports"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """organization_id: whose records; None for everybody's. format: one of FORMATS."""

    organization_id: str | None
    format: str
    filter: Filter


REQUEST = TypeAdapter(ExportRequest)


LOOKS = 2


class Cancelled(Exception):
    """Somebody wants the export no more, or another server makes it."""


class ExportFailed(PaddockError):
    code = "export_failed"


class ExportMaker:
    """stores: the addresses of the database and of objects. home: where logs are, and files while they are made.

    days: how long an export is kept.
    """

    def __init__(
        self,
        store: ExportStore,
        objects: Objects,
        sealer: Sealer,
        signer: Signer,
        *,
        stores: Mapping[str, str],
        home: Path,
        days: float,
    ) -> None:
        self._store = store
        self._objects = objects
        self._sealer = sealer
        self._signer = signer
        self._stores = stores
        self._home = home
        self._days = days

    async def make_all(self) -> None:
        """Make what was asked for, and remove what is too old."""
        for outlived in await self._store.outlived(days=self._days):
            await remove(self._store, self._objects, _by_system(outlived, "export.deleted"), outlived)
        while export := await self._store.begin_next():
            if export.attempts > ATTEMPTS:
                await self._fail(export, f"it was cut off {ATTEMPTS} times")
            else:
                await self._make(export)

    async def _make(self, export: Export) -> None:
        directory = self._home / "exports" / f"{export.id}-{export.attempts}"
        try:
            for left in directory.parent.glob(f"{export.id}-*"):  # by an attempt that was cut off
                await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
            directory.mkdir(mode=0o700, parents=True)
            final = await self._sealer.catch_up()  # what was done before this export was asked for is in it, or that is told
            notes = [] if final else [_lacks(await self._sealer.unsealed_since())]
            problem, head = self._sealer.problem, await self._sealer.head()
            result = await self._checked(await self._written(export, directory, head))
            if problem is not None:
                result = {**result, "problems": [problem, *result["problems"]]}
            files = self._signed(export, directory, {**result, "head": head, "notes": notes})
            for file in files:
                await self._objects.take(object_key(export, file["name"]), directory / file["name"])
            if not await self._complete(export, result, files):
                raise Cancelled
        except Cancelled:
            await discard(self._objects, export)
        except ExportFailed as exc:
            await self._fail(export, exc.message)
        except OSError as exc:
            await self._fail(export, f"its files cannot be written: {exc.strerror}")
        except ConfigurationError:  # the path is not for whoever asked
            log.exception("no export can be made")
            await self._fail(export, "the log of the process that makes it, logs/export.log, cannot be written")
        except ObjectsUnavailable as exc:
            if export.attempts < ATTEMPTS:
                raise
            await self._fail(export, f"its files cannot be stored: {exc.message}")
        finally:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    async def _written(self, export: Export, directory: Path, head: str | None) -> Mapping[str, Any]:
        """What the process found, once its files are there."""
        request = REQUEST.validate_python(export.request)
        wanted = Wanted(organization_id=request.organization_id, filter=request.filter)
        order = directory / "order.json"
        order.touch(mode=0o600)
        order.write_bytes(ORDER.dump_json(Order(**self._stores, format=request.format, wanted=wanted, head=head)))
        argv = (sys.executable, "-P", "-m", "core.audit.export.process", str(directory))
        told: dict[str, int] = {}
        program = Program(name="export", argv=argv, env=None)  # boto3 and asyncpg may find credentials there
        async with running(program, self._home / "logs", on_line=lambda line: _read(line, told)) as child:
            if (code := await self._watched(export, child, told)) != 0:
                raise ExportFailed(f"the process that makes it ended with {code}; its log is logs/export.log")
        result: Mapping[str, Any] = json.loads((directory / "result.json").read_bytes())
        return result

    async def _checked(self, result: Mapping[str, Any]) -> Mapping[str, Any]:
        """The result with the word that the time of records was over, or with a problem where nobody gave it."""
        if not (gone := result["removed_until"]):
            return {**result, "removal": None}
        removal: Removal | None = None
        for _ in range(LOOKS):  # a removal on its way takes away the word of the one before
            final = await self._sealer.catch_up()  # some may have been removed while the export was written
            keys = public_keys(await self._sealer.keys())
            removal = await newest_removal(self._stores["database"], self._objects, keys, enough=gone)
            if removal is not None and removal.last >= gone:
                return {**result, "removal": removal.told}
            if not final:
                raise ExportFailed(
                    "whether the time of removed records was over cannot be told while a transaction is open in PostgreSQL,"
                    f" for longer than {self._sealer.patience:g} s: ask for the export again later"
                )
        problem = (
            f"hashes of records up to checkpoint {gone} are gone, but sealed records say of none after checkpoint"
            f" {removal.last if removal else 0} that its time was over"
        )
        return {**result, "removal": removal and removal.told, "problems": [problem, *result["problems"]]}

    async def _watched(self, export: Export, child: Child, told: Mapping[str, int]) -> int:
        """Its exit code, once it ended. Raises Cancelled; then it is to be killed."""
        end = asyncio.create_task(child.wait())
        try:
            while not (await asyncio.wait([end], timeout=PROGRESS_SECONDS))[0]:
                if not await self._store.progress(export, **{"records": 0, "checkpoints": 0, "total": 0, **told}):
                    raise Cancelled
            return end.result()
        finally:
            end.cancel()

    def _signed(self, export: Export, directory: Path, result: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Writes the manifest and its signature; gives all files of the export."""
        request = REQUEST.validate_python(export.request)
        manifest = {
            "manifest": FORMAT,
            "id": export.id,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "format": request.format,
            "organization": request.organization_id or "all",
            "filter": export.request["filter"],
            "records": result["records"],
            "checkpoints": {"first": result["first"], "last": result["last"]},
            "before": result["before"],
            "head": result["head"],
            "removed": result["removed"],
            "removal": result["removal"],
            "problems": result["problems"],
            "notes": result["notes"],
            "files": result["files"],
            "key_id": self._signer.id,
        }
        text = (json.dumps(manifest, indent=1) + "\n").encode()
        for name, data in (("manifest.json", text), ("manifest.sig", self._signer.sign(text))):
            (directory / name).write_bytes(data)
        return [*result["files"], {"name": "manifest.json", "bytes": len(text)}, {"name": "manifest.sig", "bytes": 64}]

    async def _complete(self, export: Export, result: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> bool:
        """False when somebody wants it no more, or another server makes it."""
        record = _by_system(export, "export.completed", records=result["records"], problems=len(result["problems"]))
        counts = {name: result[name] for name in ("records", "checkpoints", "problems")}
        counts["checkpoints_total"] = result["checkpoints"]
        done = await self._store.finish(export, record, {"status": ExportStatus.COMPLETED, "files": files, **counts})
        for problem in result["problems"]:
            log.critical("export %s of the audit log found: %s", export.id, problem)
        return done

    async def _fail(self, export: Export, why: str) -> None:
        record = _by_system(export, "export.completed", outcome=Outcome.FAILURE)
        await self._store.finish(export, record, {"status": ExportStatus.FAILED, "error": why})
        await discard(self._objects, export)


async def remove(store: ExportStore, objects: Objects, record: AuditRecord, export: Export) -> None:
    """The export's files, then what tells of them. record: says who removes it."""
    await _clear(objects, f"{FOLDER}/{export.id}/")
    await store.end(record, ExportStatus.DELETED, was=[export.status])


async def discard(objects: Objects, export: Export) -> None:
    """What its attempts until this one have stored: a later one is another server's.

    Where objects cannot be removed now, they are when the export is old.
    """
    try:
        for attempt in range(1, export.attempts + 1):
            await _clear(objects, f"{FOLDER}/{export.id}/{attempt}/")
    except ObjectsUnavailable as exc:
        log.warning("files of an export that nobody gets stay until it is old: %s", exc.message)


async def _clear(objects: Objects, prefix: str) -> None:
    async for found in objects.list(prefix):
        await objects.delete(found.key)


def object_key(export: Export, name: str) -> str:
    """Of this attempt: a server that has lost its office, and goes on all the same, writes over nothing."""
    return f"{FOLDER}/{export.id}/{export.attempts}/{name}"


def _lacks(unsealed_since: datetime | None) -> str:
    since = (unsealed_since or datetime.now(UTC)).isoformat(timespec="seconds")
    return (
        f"records since {since} were not sealed yet when this was made: they are not in it (PostgreSQL had a transaction open)"
    )


def _by_system(export: Export, kind: str, *, outcome: Outcome = Outcome.SUCCESS, **details: Detail) -> AuditRecord:
    return AuditRecord(
        kind=kind,
        organization_id=export.organization_id,
        actor="system",
        object=export.id,
        outcome=outcome,
        details=details,
    )


def _read(line: str, told: dict[str, int]) -> None:
    """How far the process is; its other lines are for the log."""
    if line.startswith('{"records"'):
        told.update(json.loads(line))
