"""The composition root: the only module that names concrete classes."""

import asyncio
import logging
import os
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from core.alerts.alerts import Alerts
from core.alerts.courier import Courier
from core.alerts.sampling import Sampling
from core.alerts.watch import Watch
from core.approvals.approvals import Approvals
from core.assistants.assistants import Assistants
from core.audit.archiving import Archiver
from core.audit.export.making import ExportMaker
from core.audit.exports import Exports
from core.audit.log import AuditLog
from core.audit.sealing import Sealer
from core.audit.signing import open_signer
from core.background import Background
from core.batches.answers import Answers
from core.batches.batches import Batches
from core.batches.wire import Wires
from core.batches.work import BatchWork
from core.config import Settings
from core.conversations.adoption import Adoption
from core.conversations.budget import TurnLimits
from core.conversations.continuing import Continuing
from core.conversations.history import History
from core.conversations.manager import TurnManager
from core.conversations.queue_depth import QueueDepth
from core.conversations.replay import Replay
from core.conversations.retention import StreamRetention
from core.conversations.runner import Runner, WaitingRoom
from core.conversations.staging import Staging
from core.conversations.upkeep import Upkeep
from core.egress.addresses import EVERY_NETWORK, AddressRules
from core.egress.client import open_egress
from core.errors import PaddockError
from core.files.files import Files
from core.files.upkeep import FileUpkeep
from core.identity.admission import Admission
from core.identity.key_set import KeySet
from core.identity.keys import Keys
from core.identity.organizations import Organizations
from core.identity.sign_in import Identity
from core.identity.usage import CostOf, UsageReports
from core.identity.users import Users
from core.keeper import Job, Keeper
from core.keyring import Keyring, open_keyring
from core.limits.limiter import Limiter
from core.limits.tiers import Tiers
from core.llm.declaration import validate_model
from core.llm.router import ModelRouter, open_router
from core.messages import Usage
from core.readings import readings
from core.storage.alerts import AlertStore
from core.storage.approvals import ApprovalStore
from core.storage.assistants import AssistantStore
from core.storage.audit_archives import ArchiveStore
from core.storage.audit_events import EventStore
from core.storage.audit_exports import ExportStore
from core.storage.audit_seals import SealStore
from core.storage.batches import BatchStore
from core.storage.conversations import ConversationStore
from core.storage.database import Database, open_database
from core.storage.directory import Directory
from core.storage.files import FileStore
from core.storage.idempotency import IdempotencyStore
from core.storage.journal import Journal, open_journal
from core.storage.leases import Leases
from core.storage.limiter import Allowance, open_counters
from core.storage.objects import Objects, open_objects
from core.storage.streams import StreamStore
from core.storage.tiers import TierStore
from core.storage.tool_calls import ToolCallStore
from core.storage.tools import ToolStore
from core.storage.turns import TurnStore
from core.storage.usage import UsageStore
from core.storage.wakeups import Wakeups, open_wakeups
from core.storage.webhooks import WebhookStore
from core.subscriptions.deliveries import Deliveries
from core.subscriptions.endpoints import Endpoints
from core.telemetry.metrics import Metrics
from core.telemetry.telemetry import Telemetry
from core.telemetry.tracing import Collector, open_tracer
from core.tools.catalog import Catalog
from core.tools.executor import ToolExecutor
from core.tools.observed import ObservedSandbox
from core.tools.programs import Programs
from core.tools.registry import Registry
from core.tools.trial import Trials
from core.tools.work import ToolSecret, Workshop
from core.webhooks.receiver import Receiver
from core.webhooks.sending import Webhooks
from core.webhooks.signing import key_of
from sandbox import SandboxError
from sandbox.client import SandboxClient, open_client

CHECK_SECONDS = 2.0
CONTINUE_SECONDS = 3.0
"""How often turns are begun that could not begin when humans had decided."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the stores and the sandbox host answer: the operator's own, or those of the servers that were just started."""

    database: str
    redis: str
    objects: str
    sandbox: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """checks: each thing that we need, and `ok` or what is wrong with it. Without Redis we are slower, not down."""

    ready: bool
    checks: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    settings: Settings
    turns: TurnManager
    limiter: Limiter
    telemetry: Telemetry
    conversations: ConversationStore
    identity: Identity
    organizations: Organizations
    users: Users
    keys: Keys
    usage: UsageReports
    models: ModelRouter
    tools: Registry
    trials: Trials
    approvals: Approvals
    continuing: Continuing
    replay: Replay
    objects: Objects
    files: Files
    idempotency: IdempotencyStore
    keyring: Keyring
    webhooks: Endpoints
    batches: Batches
    assistants: Assistants
    sandbox: SandboxClient
    audit: AuditLog
    audit_exports: Exports
    alerts: Alerts
    database: Database
    wakeups: Wakeups
    journal: Journal
    background: Background

    async def readiness(self) -> Readiness:
        needed = {
            "database": self.database.ping,
            "journal": self.journal.check,
            "background": self.background.check,
            "objects": self.objects.check,
            "sandbox": self.sandbox.check,
        }
        optional = {"redis": self.wakeups.ping}
        checks = {**needed, **optional}
        answers = await asyncio.gather(*(_answer(check) for check in checks.values()))
        told = dict(zip(checks, answers, strict=True))
        return Readiness(ready=all(told[name] == "ok" for name in needed), checks=told)


async def _answer(check: Callable[[], Awaitable[object]]) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer in {CHECK_SECONDS:g} s"
    except PaddockError as exc:
        return exc.message
    except (SandboxError, OSError) as exc:
        return f"{type(exc).__name__}: {exc}"
    return "ok"


def _cost_of(models: ModelRouter) -> CostOf:
    def cost_of(model: str, tokens: Usage) -> float | None:
        return models.prices(model).cost(tokens) if model in models.names else None

    return cost_of


@asynccontextmanager
async def open_platform(
    settings: Settings, addresses: Addresses, wires: Wires = MappingProxyType({})
) -> AsyncGenerator[Platform, None]:
    """Everything that a gateway needs. Turns that still run when it closes are ended as failed, and durably so.

    wires: that batches may be written in; without any, none is worked on here.
    """
    async with AsyncExitStack() as stack:
        background = Background()
        database = await stack.enter_async_context(open_database(addresses.database))
        wakeups = await stack.enter_async_context(open_wakeups(addresses.redis))
        objects = await stack.enter_async_context(open_objects(addresses.objects))
        sandbox = await stack.enter_async_context(open_client(addresses.sandbox))
        declarations = [validate_model(entry) for entry in settings.models]
        telemetry = await stack.enter_async_context(_telemetry(settings))
        models = await stack.enter_async_context(open_router(declarations, telemetry=telemetry))
        journal = await stack.enter_async_context(
            open_journal(database, on_commit=wakeups.publish, on_group=telemetry.metrics.journal_group)
        )
        conversations, turn_store = ConversationStore(database), TurnStore(database)
        leases = Leases(database, owner=f"{os.getpid()}-{secrets.token_hex(8)}", seconds=settings.limits.lease_seconds)
        tool_calls = ToolCallStore(database)
        catalog = Catalog(tool_calls)
        files = Files(FileStore(database), objects, settings.files)
        programs = Programs(files, sandbox)
        workshop = await stack.enter_async_context(_workshop(settings, sandbox, programs, telemetry))
        limiter = await stack.enter_async_context(_limiter(settings, addresses, TierStore(database), background))
        assistants = Assistants(AssistantStore(database), models, catalog)
        approval_store = ApprovalStore(database)
        approvals = Approvals(approval_store, catalog)
        executor = ToolExecutor(catalog=catalog, workshop=workshop, retries=settings.limits.tool_retries)
        staging = Staging(
            models=models,
            assistants=assistants,
            tools=executor,
            approvals=approvals,
            history=History(turn_store, conversations),
            limits=TurnLimits(
                steps=settings.limits.max_steps,
                seconds=settings.limits.turn_seconds,
                pauses=settings.limits.background_retries,
            ),
        )
        turns = TurnManager(
            journal=journal,
            leases=leases,
            turns=turn_store,
            staging=staging,
            waiting_room=WaitingRoom(
                most=settings.limits.queued_turns, most_of_one=settings.limits.queued_turns_of_organization
            ),
            wakeups=wakeups,
            limiter=limiter,
            telemetry=telemetry,
        )
        depth = QueueDepth(turn_store)
        await stack.enter_async_context(background.running(depth))
        telemetry.metrics.read(*readings(turns, depth, journal, database, limiter))
        adoption = Adoption(
            journal=journal,
            leases=leases,
            turns=turn_store,
            staging=staging,
            limiter=limiter,
            running=turns.running,
            play=turns.play,
        )
        continuing = Continuing(approvals, approval_store, turns)
        directory = Directory(database)
        admission = None
        if settings.tokens is not None:
            key_set = KeySet(settings.tokens)
            stack.push_async_callback(key_set.close)
            admission = Admission(settings.tokens, directory, key_set)
        upkeep = Upkeep(
            leases=leases, adoption=adoption, identities=directory.identities, wakeups=wakeups, running=turns.running
        )
        stack.push_async_callback(turns.stop)
        await stack.enter_async_context(background.running(upkeep))
        webhook_store = WebhookStore(database)
        keyring = open_keyring(settings.sealing_key_file or settings.home / "sealing.key")
        webhooks = Endpoints(webhook_store, keyring)
        await webhooks.reseal()
        await stack.enter_async_context(_webhooks(settings, webhook_store, keyring, background))
        runner = Runner(
            leases=leases, adoption=adoption, running=turns.running, wakeups=wakeups, at_once=settings.limits.background_turns
        )
        await stack.enter_async_context(background.running(runner))
        await stack.enter_async_context(background.running(FileUpkeep(files)))
        batch_store = BatchStore(database)
        if wires:
            line_bytes = settings.limits.request_body_bytes
            work = BatchWork(batch_store, files, turns, models, wires, worker=leases.owner, line_bytes=line_bytes)
            await stack.enter_async_context(background.running(work))
        seals = SealStore(database)
        signer = open_signer(settings.audit.key_file or settings.home / "audit.key")
        sealer, exports = Sealer(seals, signer), ExportStore(database)
        await sealer.announce()
        maker = ExportMaker(
            exports,
            objects,
            sealer,
            signer,
            stores={"database": database.address, "objects": addresses.objects},
            home=settings.home,
            days=settings.audit.export_days,
        )
        archiver = Archiver(
            ArchiveStore(database),
            objects,
            database=database.address,
            archive_days=settings.audit.archive_days,
            keep_days=settings.audit.keep_days,
        )
        idempotency = IdempotencyStore(database, most_bytes=settings.limits.idempotency_bytes)
        alert_store = AlertStore(database)
        jobs = [
            Job(name="forgetting lines of batches", every_seconds=5, run=Answers(batch_store, files, turns, wires).clear),
            Job(name="forgetting deliveries", every_seconds=600, run=webhook_store.sweep),
            Job(name="forgetting idempotency keys", every_seconds=600, run=idempotency.sweep),
            Job(name="sealing", every_seconds=settings.audit.seal_seconds, run=sealer.seal),
            Job(name="exports", every_seconds=1, run=maker.make_all),
            Job(name="approvals", every_seconds=CONTINUE_SECONDS, run=continuing.begin_due),
            Job(name="archiving", every_seconds=600, run=archiver.run),
            *_retention(settings, StreamStore(database), turn_store),
            *await stack.enter_async_context(
                _alerting(settings, alert_store, telemetry.metrics, background, server=leases.owner)
            ),
        ]
        await stack.enter_async_context(background.running(Keeper(database, jobs)))
        yield Platform(
            settings=settings,
            audit=AuditLog(EventStore(database), seals),
            audit_exports=Exports(exports, objects),
            alerts=Alerts(alert_store),
            turns=turns,
            limiter=limiter,
            telemetry=telemetry,
            conversations=conversations,
            identity=Identity(directory, admission),
            organizations=Organizations(directory),
            users=Users(directory),
            keys=Keys(directory),
            usage=UsageReports(UsageStore(database), directory, _cost_of(models)),
            models=models,
            tools=Registry(ToolStore(database), catalog, workshop),
            trials=Trials(ToolStore(database), catalog, workshop),
            approvals=approvals,
            continuing=continuing,
            replay=Replay(turns=turn_store, staging=staging, tools=executor, limiter=limiter, store=tool_calls),
            objects=objects,
            files=files,
            idempotency=idempotency,
            keyring=keyring,
            webhooks=webhooks,
            batches=Batches(batch_store, files, wires),
            assistants=assistants,
            sandbox=sandbox,
            database=database,
            wakeups=wakeups,
            journal=journal,
            background=background,
        )


def _retention(settings: Settings, streams: StreamStore, turns: TurnStore) -> Sequence[Job]:
    if (days := settings.retention.events_days) is None:
        return ()
    return (Job(name="removing streams", every_seconds=600, run=StreamRetention(streams, turns, days=days).run),)


@asynccontextmanager
async def _alerting(
    settings: Settings, store: AlertStore, metrics: Metrics, background: Background, *, server: str
) -> AsyncGenerator[Sequence[Job], None]:
    """The keeper's part of it. Receivers are the operator's choice: they may be in private networks, which no tenant's are."""
    rules, every_seconds = settings.alerts.rules, settings.alerts.every_seconds
    receivers = {
        name: Receiver(url=receiver.url.get_secret_value(), key=key_of(receiver.secret.get_secret_value()))
        for name, receiver in settings.alerts.receivers.items()
    }
    watch = Watch(store, rules, tuple(receivers), every_seconds=every_seconds)
    async with open_egress(AddressRules(allow_private=EVERY_NETWORK)) as egress:
        courier = Courier(store, Webhooks(egress), receivers)
        async with background.running(Sampling(metrics, store, rules, server=server, every_seconds=every_seconds)):
            yield [
                Job(name="alerts", every_seconds=every_seconds, run=watch.judge_all),
                Job(name="messages about alerts", every_seconds=1, run=courier.deliver_due),
            ]


@asynccontextmanager
async def _telemetry(settings: Settings) -> AsyncGenerator[Telemetry, None]:
    collector = None
    if settings.otlp_endpoint is not None:
        headers = {name: value.get_secret_value() for name, value in settings.otlp_headers.items()}
        collector = Collector(endpoint=settings.otlp_endpoint, headers=headers, ratio=settings.trace_ratio)
    async with open_tracer(collector) as tracer:
        yield Telemetry(Metrics(), tracer, content=settings.trace_messages)


@asynccontextmanager
async def _limiter(
    settings: Settings, addresses: Addresses, store: TierStore, background: Background
) -> AsyncGenerator[Limiter, None]:
    declared = {name: Allowance(**tier.model_dump()) for name, tier in settings.tiers.items()}
    async with open_counters(addresses.redis) as counters:
        tiers = Tiers(declared, settings.default_tier, store)
        limiter = Limiter(tiers=tiers, counters=counters, store=store)
        async with background.running(limiter):
            yield limiter
            await limiter.close()


@asynccontextmanager
async def _webhooks(
    settings: Settings, store: WebhookStore, keyring: Keyring, background: Background
) -> AsyncGenerator[None, None]:
    """Of tenants: what a tool may not speak to, a webhook may not either."""
    async with (
        open_egress(AddressRules(allow_private=settings.egress.allow_private)) as egress,
        background.running(Deliveries(store, Webhooks(egress), keyring)),
    ):
        yield


@asynccontextmanager
async def _workshop(
    settings: Settings, sandbox: SandboxClient, programs: Programs, telemetry: Telemetry
) -> AsyncGenerator[Workshop, None]:
    tool_secrets = {
        name: ToolSecret(
            value=secret.value.get_secret_value(),
            origins=frozenset(secret.origins),
            organizations=None if secret.organizations is None else frozenset(secret.organizations),
        )
        for name, secret in settings.secrets.items()
    }
    async with open_egress(AddressRules(allow_private=settings.egress.allow_private)) as egress:
        observed = ObservedSandbox(sandbox, telemetry)
        yield Workshop(sandbox=observed, egress=egress, programs=programs, secrets=tool_secrets, telemetry=telemetry)
