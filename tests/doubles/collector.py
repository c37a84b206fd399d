"""An OpenTelemetry collector: takes spans by OTLP over HTTP, or takes its time over it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Seen:
    name: str
    id: str
    parent: str
    trace: str
    attributes: dict[str, Any]


@dataclass
class OwnCollector:
    """hanging: it takes connections and never answers."""

    hanging: bool = False
    url: str = ""
    spans: list[Seen] = field(default_factory=list)

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]

    async def take(self, request: web.Request) -> web.Response:
        if self.hanging:
            await asyncio.sleep(3600)
        message = ExportTraceServiceRequest.FromString(await request.read())
        for part in message.resource_spans:
            for scope in part.scope_spans:
                self.spans += [_seen(span) for span in scope.spans]
        return web.Response(body=b"", content_type="application/x-protobuf")


def _seen(span: Any) -> Seen:
    values = {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}
    return Seen(span.name, span.span_id.hex(), span.parent_span_id.hex(), span.trace_id.hex(), values)


@asynccontextmanager
async def own_collector(*, hanging: bool = False) -> AsyncIterator[OwnCollector]:
    collector = OwnCollector(hanging=hanging)
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        await runner.cleanup()
