"""What a platform stands on: its stores, its models, its sandbox host, its limits. It is there before the first turn and after
the last, and knows none.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.background import Background
from core.config import Settings
from core.errors import Unavailable
from core.limits.limiter import Limiter
from core.limits.tiers import Tiers
from core.llm.declaration import validate_model
from core.llm.router import ModelRouter, open_router
from core.storage.database import Database, open_database
from core.storage.journal import Journal, open_journal
from core.storage.limiter import Allowance, open_counters
from core.storage.objects import Objects, open_objects
from core.storage.tiers import TierStore
from core.storage.version import check_version
from core.storage.wakeups import Wakeups, open_wakeups
from core.telemetry.metrics import Metrics
from core.telemetry.telemetry import Telemetry
from core.telemetry.tracing import Collector, open_tracer
from sandbox.client import SandboxClient, open_client


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the stores and the sandbox host answer: the operator's own, or those of the servers that were just started."""

    database: str
    redis: str
    objects: str
    sandbox: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    settings: Settings
    addresses: Addresses
    background: Background
    database: Database
    wakeups: Wakeups
    objects: Objects
    sandbox: SandboxClient
    telemetry: Telemetry
    models: ModelRouter
    journal: Journal
    limiter: Limiter


@asynccontextmanager
async def open_ground(settings: Settings, addresses: Addresses) -> AsyncGenerator[Ground, None]:
    background = Background()
    declarations = [validate_model(entry, settings.config.parent) for entry in settings.models]
    async with (
        open_database(addresses.database) as database,
        open_wakeups(addresses.redis) as wakeups,
        open_objects(addresses.objects) as objects,
        open_client(addresses.sandbox) as sandbox,
        _telemetry(settings) as telemetry,
        open_router(declarations, telemetry=telemetry) as models,
        open_journal(database, on_commit=wakeups.publish, on_group=telemetry.metrics.journal_group) as journal,
        _limiter(settings, addresses, TierStore(database), background) as limiter,
    ):
        with suppress(Unavailable):  # whoever needs it next says so
            await check_version(database)
        yield Ground(
            settings=settings,
            addresses=addresses,
            background=background,
            database=database,
            wakeups=wakeups,
            objects=objects,
            sandbox=sandbox,
            telemetry=telemetry,
            models=models,
            journal=journal,
            limiter=limiter,
        )


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
