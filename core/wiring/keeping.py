"""What is done beside the requests: told by webhook, worked on in batches, sealed, exported, alerted, forgotten."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from core.alerts.courier import Courier
from core.alerts.sampling import Sampling
from core.alerts.watch import Watch
from core.audit.archiving import Archiver
from core.audit.export.making import ExportMaker
from core.audit.head import Head
from core.audit.sealing import Sealer
from core.audit.signing import open_signer
from core.audit.waiting import SealDelay
from core.background import Background
from core.batches.answers import Answers
from core.batches.wire import Wires
from core.batches.work import BatchWork
from core.config import Settings
from core.conversations.request import Queue
from core.conversations.retention import StreamRetention
from core.conversations.runner import WaitingRoom
from core.egress.addresses import EVERY_NETWORK, AddressRules
from core.egress.client import open_egress
from core.keeper import Job, Keeper
from core.keyring import Keyring, open_keyring
from core.storage.alerts import AlertStore
from core.storage.approvals import DAYS
from core.storage.audit_archives import ArchiveStore
from core.storage.audit_exports import ExportStore
from core.storage.audit_seals import SealStore
from core.storage.batches import BatchStore
from core.storage.idempotency import IdempotencyStore
from core.storage.streams import StreamStore
from core.storage.webhooks import WebhookStore
from core.subscriptions.deliveries import Deliveries
from core.subscriptions.endpoints import Endpoints
from core.telemetry.metrics import Metrics, Reading
from core.webhooks.receiver import Receiver
from core.webhooks.sending import Webhooks
from core.webhooks.signing import key_of
from core.wiring.conversing import Conversing
from core.wiring.ground import Ground

CONTINUE_SECONDS = 3.0
"""How often turns are begun that could not begin when humans had decided, today or yesterday."""
CONTINUE_LATE_SECONDS = 60.0
"""And long ago: the conversation was busy for days, or one of several calls has just expired."""
STREAMS_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What those who do it share with those who ask for it."""

    keyring: Keyring
    webhooks: Endpoints
    batches: BatchStore
    idempotency: IdempotencyStore
    seals: SealStore
    exports: ExportStore
    alerts: AlertStore


@asynccontextmanager
async def open_keeping(ground: Ground, conversing: Conversing, wires: Wires) -> AsyncGenerator[Keeping, None]:
    settings, database = ground.settings, ground.database
    keyring = open_keyring(settings.sealing_key_file or settings.home / "sealing.key")
    webhooks = WebhookStore(database)
    keeping = Keeping(
        keyring=keyring,
        webhooks=Endpoints(webhooks, keyring, AddressRules(allow_private=settings.egress.allow_private)),
        batches=BatchStore(database),
        idempotency=IdempotencyStore(database, most_bytes=settings.limits.idempotency_bytes),
        seals=SealStore(database),
        exports=ExportStore(database),
        alerts=AlertStore(database),
    )
    await keeping.webhooks.reseal()
    streams = StreamRetention(StreamStore(database), conversing.turn_store, days=settings.retention.events_days)
    answers = Answers(keeping.batches, conversing.files, conversing.turns, wires)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_webhooks(settings, webhooks, keyring, ground.background))
        if wires:
            await stack.enter_async_context(ground.background.running(_batch_work(ground, conversing, keeping.batches, wires)))
        delay = SealDelay(keeping.seals)
        ground.telemetry.metrics.read(Reading(name="audit_unsealed_seconds", read=lambda: delay.seconds))
        await stack.enter_async_context(ground.background.running(delay))
        jobs = [
            Job(name="forgetting lines of batches", every_seconds=5, run=answers.clear),
            Job(name="forgetting deliveries", every_seconds=600, run=webhooks.sweep),
            Job(name="forgetting idempotency keys", every_seconds=600, run=keeping.idempotency.sweep),
            Job(name="approvals", every_seconds=CONTINUE_SECONDS, run=partial(conversing.continuing.begin_due, days=1)),
            Job(
                name="old approvals",
                every_seconds=CONTINUE_LATE_SECONDS,
                run=partial(conversing.continuing.begin_due, days=DAYS),
            ),
            *await _auditing(ground, keeping),
            Job(name="removing streams", every_seconds=STREAMS_SECONDS, run=streams.run),
            *await stack.enter_async_context(
                _alerting(settings, keeping.alerts, ground.telemetry.metrics, ground.background, server=conversing.server)
            ),
        ]
        await stack.enter_async_context(ground.background.running(Keeper(database, jobs)))
        yield keeping


def _batch_work(ground: Ground, conversing: Conversing, store: BatchStore, wires: Wires) -> BatchWork:
    limits = ground.settings.limits
    waiting_room = WaitingRoom(most=limits.queued_turns, most_of_one=limits.queued_turns_of_organization)
    return BatchWork(
        store,
        conversing.files,
        conversing.turns,
        ground.models,
        wires,
        worker=conversing.server,
        line_bytes=limits.request_body_bytes,
        places=waiting_room.places(Queue.BATCH),
    )


async def _auditing(ground: Ground, keeping: Keeping) -> Sequence[Job]:
    settings, audit = ground.settings, ground.settings.audit
    signer = open_signer(audit.key_file or settings.home / "audit.key")
    head = Head(keeping.seals, signer, settings.home / "audit.head")
    sealer = Sealer(keeping.seals, signer, head)
    await head.know_key()
    await sealer.announce()
    maker = ExportMaker(
        keeping.exports,
        ground.objects,
        sealer,
        signer,
        stores={"database": ground.database.address, "objects": ground.addresses.objects},
        home=settings.home,
        days=audit.export_days,
    )
    archiver = Archiver(
        ArchiveStore(ground.database),
        ground.objects,
        head,
        signer,
        database=ground.database.address,
        archive_days=audit.archive_days,
        keep_days=audit.keep_days,
    )
    return (
        Job(name="sealing", every_seconds=audit.seal_seconds, run=sealer.seal),
        Job(name="exports", every_seconds=1, run=maker.make_all),
        Job(name="archiving", every_seconds=600, run=archiver.run),
    )


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
async def _webhooks(
    settings: Settings, store: WebhookStore, keyring: Keyring, background: Background
) -> AsyncGenerator[None, None]:
    """Of tenants: what a tool may not speak to, a webhook may not either."""
    async with (
        open_egress(AddressRules(allow_private=settings.egress.allow_private)) as egress,
        background.running(Deliveries(store, Webhooks(egress), keyring)),
    ):
        yield
