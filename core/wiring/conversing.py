"""Turns, and all that they need: tools, files, assistants, approvals; who runs them, and who goes on with them."""

import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from core.approvals.approvals import Approvals
from core.assistants.assistants import Assistants
from core.config import Settings
from core.conversations.adoption import Adoption
from core.conversations.budget import TurnLimits
from core.conversations.continuing import Continuing
from core.conversations.history import History
from core.conversations.manager import TurnManager
from core.conversations.queue_depth import QueueDepth
from core.conversations.replay import Replay
from core.conversations.runner import Runner, WaitingRoom
from core.conversations.staging import Staging
from core.conversations.upkeep import Upkeep
from core.egress.addresses import AddressRules
from core.egress.client import open_egress
from core.files.files import Files
from core.files.upkeep import FileUpkeep
from core.readings import readings
from core.storage.approvals import ApprovalStore
from core.storage.assistants import AssistantStore
from core.storage.conversations import ConversationStore
from core.storage.files import FileStore
from core.storage.identities import IdentityStore
from core.storage.leases import Leases
from core.storage.tool_calls import ToolCallStore
from core.storage.turns import TurnStore
from core.telemetry.telemetry import Telemetry
from core.tools.catalog import Catalog
from core.tools.executor import ToolExecutor
from core.tools.observed import ObservedSandbox
from core.tools.programs import Programs
from core.tools.work import ToolSecret, Workshop
from core.wiring.ground import Ground
from sandbox.client import SandboxClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversing:
    """server: our name among the servers, which no other one ever has."""

    server: str
    turns: TurnManager
    turn_store: TurnStore
    conversations: ConversationStore
    files: Files
    catalog: Catalog
    workshop: Workshop
    assistants: Assistants
    approvals: Approvals
    continuing: Continuing
    replay: Replay


@asynccontextmanager
async def open_conversing(ground: Ground, identities: IdentityStore) -> AsyncGenerator[Conversing, None]:
    """At the end all turns that run here are stopped, durably so."""
    settings, database = ground.settings, ground.database
    files = Files(FileStore(database), ground.objects, settings.files)
    conversations, turn_store, tool_calls = ConversationStore(database), TurnStore(database), ToolCallStore(database)
    catalog, approval_store = Catalog(tool_calls), ApprovalStore(database)
    assistants, approvals = Assistants(AssistantStore(database), ground.models, catalog), Approvals(approval_store, catalog)
    leases = Leases(database, owner=f"{os.getpid()}-{secrets.token_hex(8)}", seconds=settings.limits.lease_seconds)
    async with _workshop(settings, ground.sandbox, Programs(files, ground.sandbox), ground.telemetry) as workshop:
        executor = ToolExecutor(catalog=catalog, workshop=workshop, retries=settings.limits.tool_retries)
        staging = Staging(
            models=ground.models,
            assistants=assistants,
            tools=executor,
            approvals=approvals,
            history=History(turn_store, conversations),
            limits=_limits(settings),
        )
        turns = _turns(ground, leases, turn_store, staging)
        async with (
            _kept_going(ground, identities, leases, turn_store, staging, turns),
            ground.background.running(FileUpkeep(files)),
        ):
            yield Conversing(
                server=leases.owner,
                turns=turns,
                turn_store=turn_store,
                conversations=conversations,
                files=files,
                catalog=catalog,
                workshop=workshop,
                assistants=assistants,
                approvals=approvals,
                continuing=Continuing(approvals, approval_store, turns),
                replay=Replay(turns=turn_store, staging=staging, tools=executor, limiter=ground.limiter, store=tool_calls),
            )


def _limits(settings: Settings) -> TurnLimits:
    limits = settings.limits
    return TurnLimits(steps=limits.max_steps, seconds=limits.turn_seconds, pauses=limits.background_retries)


def _turns(ground: Ground, leases: Leases, turn_store: TurnStore, staging: Staging) -> TurnManager:
    limits = ground.settings.limits
    return TurnManager(
        journal=ground.journal,
        leases=leases,
        turns=turn_store,
        staging=staging,
        waiting_room=WaitingRoom(most=limits.queued_turns, most_of_one=limits.queued_turns_of_organization),
        wakeups=ground.wakeups,
        limiter=ground.limiter,
        telemetry=ground.telemetry,
    )


@asynccontextmanager
async def _kept_going(
    ground: Ground,
    identities: IdentityStore,
    leases: Leases,
    turn_store: TurnStore,
    staging: Staging,
    turns: TurnManager,
) -> AsyncGenerator[None, None]:
    """Leases are renewed, orphans adopted, queues emptied; in the end who does it stops first, and then the turns do."""
    wakeups, running, depth = ground.wakeups, turns.running, QueueDepth(turn_store)
    ground.telemetry.metrics.read(*readings(turns, depth, ground.journal, ground.database, ground.limiter))
    adoption = Adoption(
        journal=ground.journal,
        leases=leases,
        turns=turn_store,
        staging=staging,
        limiter=ground.limiter,
        running=running,
        play=turns.play,
        on_end=turns.count,
    )
    upkeep = Upkeep(leases=leases, adoption=adoption, identities=identities, wakeups=wakeups, running=running)
    at_once = ground.settings.limits.background_turns
    runner = Runner(leases=leases, adoption=adoption, running=running, wakeups=wakeups, at_once=at_once)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(ground.background.running(depth))
        stack.push_async_callback(turns.stop)
        await stack.enter_async_context(ground.background.running(upkeep))
        await stack.enter_async_context(ground.background.running(runner))
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
