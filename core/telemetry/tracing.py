"""W3C trace context in and out, and spans that go where the operator says. Knows nothing of the platform.

Without an address to send them to nothing is recorded and the SDK is not imported; ids are made, shown and passed on all the
same. Spans are sent by a thread of the SDK's own from a bounded queue: a collector that is slow or gone loses spans, no time.
"""

import asyncio
import logging
import re
import secrets
import threading
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, Span, SpanContext, SpanKind, TraceFlags, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

SERVICE = "paddock"
SEND_SECONDS = 5.0
LAST_SECONDS = 2.0
"""How long the end of the server waits for the last spans."""
QUERY = re.compile(r"\?\S+")
TELL_THE_ADDRESS = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "urllib3.connectionpool")
CARRIER = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """endpoint: where OTLP over HTTP is taken, with `/v1/traces`. ratio: the part of new traces that is recorded."""

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ratio: float = 1.0


def incoming(traceparent: str | None, tracestate: str | None) -> Context:
    """What a caller says; nothing of it, when it is not well-formed."""
    if traceparent is None:
        return Context()
    return CARRIER.extract({"traceparent": traceparent, "tracestate": tracestate or ""}, Context())


def outgoing() -> dict[str, str]:
    """The headers that tell whom we ask which trace it is part of."""
    headers: dict[str, str] = {}
    CARRIER.inject(headers)
    return headers


def entry_span(tracer: Tracer, name: str, caller: Context) -> Span:
    """The first span of ours, with ids also where nothing is recorded."""
    span = tracer.start_span(name, caller, SpanKind.SERVER)
    if span.get_span_context().is_valid:
        return span
    trace_id, span_id = secrets.randbits(128) or 1, secrets.randbits(64) or 1
    return NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.DEFAULT)))


@asynccontextmanager
async def open_tracer(collector: Collector | None) -> AsyncGenerator[Tracer, None]:
    if collector is None:
        yield NoOpTracer()
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    for name in TELL_THE_ADDRESS:
        logging.getLogger(name).addFilter(_without_queries)
    exporter = OTLPSpanExporter(endpoint=collector.endpoint, headers=dict(collector.headers), timeout=SEND_SECONDS)
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(collector.ratio), resource=Resource({"service.name": SERVICE}), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield provider.get_tracer(SERVICE)
    finally:
        last = threading.Thread(target=provider.shutdown, daemon=True)  # a collector that hangs does not keep us
        last.start()
        await asyncio.to_thread(last.join, LAST_SECONDS)


def _without_queries(record: logging.LogRecord) -> bool:
    """In the address of a collector a key may be."""
    record.msg, record.args = QUERY.sub("?...", record.getMessage()), ()
    return True
