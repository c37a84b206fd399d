"""The composition root: with `core/wiring`, the only modules that name concrete classes."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType

from core.alerts.alerts import Alerts
from core.approvals.approvals import Approvals
from core.assistants.assistants import Assistants
from core.audit.exports import Exports
from core.audit.log import AuditLog
from core.background import Background
from core.batches.batches import Batches
from core.batches.wire import Wires
from core.config import Settings
from core.conversations.continuing import Continuing
from core.conversations.manager import TurnManager
from core.conversations.replay import Replay
from core.errors import PaddockError
from core.files.files import Files
from core.identity.admission import Admission
from core.identity.key_set import KeySet
from core.identity.keys import Keys
from core.identity.organizations import Organizations
from core.identity.reach import Reach
from core.identity.sign_in import Identity
from core.identity.standing import Standing
from core.identity.usage import CostOf, UsageReports
from core.identity.users import Users
from core.keyring import Keyring
from core.limits.limiter import Limiter
from core.llm.router import ModelRouter
from core.messages import Usage
from core.storage.audit_events import EventStore
from core.storage.conversations import ConversationStore
from core.storage.database import Database
from core.storage.directory import Directory
from core.storage.idempotency import IdempotencyStore
from core.storage.journal import Journal
from core.storage.objects import Objects
from core.storage.tools import ToolStore
from core.storage.usage import UsageStore
from core.storage.wakeups import Wakeups
from core.subscriptions.endpoints import Endpoints
from core.telemetry.telemetry import Telemetry
from core.tools.registry import Registry
from core.tools.trial import Trials
from core.wiring.conversing import Conversing, open_conversing
from core.wiring.ground import Addresses as Addresses
from core.wiring.ground import Ground, open_ground
from core.wiring.keeping import Keeping, open_keeping
from sandbox import SandboxError
from sandbox.client import SandboxClient

CHECK_SECONDS = 2.0


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
    async with open_ground(settings, addresses) as ground:
        directory = Directory(ground.database)
        async with (
            _identity(ground, directory) as identity,
            open_conversing(ground, directory.identities) as conversing,
            open_keeping(ground, conversing, wires) as keeping,
        ):
            yield _platform(ground, conversing, keeping, directory, identity, wires)


@asynccontextmanager
async def _identity(ground: Ground, directory: Directory) -> AsyncGenerator[Identity, None]:
    """Refusals that are not told yet are, when it closes."""
    admission = None
    async with AsyncExitStack() as stack:
        if ground.settings.tokens is not None:
            key_set = KeySet(ground.settings.tokens)
            stack.push_async_callback(key_set.close)
            admission = Admission(ground.settings.tokens, directory, key_set)
        identity = Identity(directory, admission)
        stack.push_async_callback(identity.refusals.settle)
        await stack.enter_async_context(ground.background.running(identity.refusals))
        yield identity


def _platform(
    ground: Ground, conversing: Conversing, keeping: Keeping, directory: Directory, identity: Identity, wires: Wires
) -> Platform:
    database, tools, reach = ground.database, ToolStore(ground.database), Reach(directory)
    return Platform(
        settings=ground.settings,
        audit=AuditLog(EventStore(database), keeping.seals, reach),
        audit_exports=Exports(keeping.exports, ground.objects, reach),
        alerts=Alerts(keeping.alerts),
        turns=conversing.turns,
        limiter=ground.limiter,
        telemetry=ground.telemetry,
        conversations=conversing.conversations,
        identity=identity,
        organizations=Organizations(directory),
        users=Users(directory),
        keys=Keys(directory),
        usage=UsageReports(UsageStore(database), directory, _cost_of(ground.models)),
        models=ground.models,
        tools=Registry(tools, Standing(directory), conversing.catalog, conversing.workshop),
        trials=Trials(tools, conversing.catalog, conversing.workshop),
        approvals=conversing.approvals,
        continuing=conversing.continuing,
        replay=conversing.replay,
        objects=ground.objects,
        files=conversing.files,
        idempotency=keeping.idempotency,
        keyring=keeping.keyring,
        webhooks=keeping.webhooks,
        batches=Batches(keeping.batches, conversing.files, wires),
        assistants=conversing.assistants,
        sandbox=ground.sandbox,
        database=database,
        wakeups=ground.wakeups,
        journal=ground.journal,
        background=ground.background,
    )
