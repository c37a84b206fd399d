"""What is counted and traced of a request, a turn, a model call, a tool and a sandbox: each is watched by one small object.

Names of spans and attributes are OpenTelemetry's semantic conventions for HTTP and generative AI. No text that a user or a
model wrote is in them, unless the operator asks for the messages (`content`).
"""

import json
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from opentelemetry import context, trace
from opentelemetry.trace import NoOpTracer, Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation import set_span_in_context

from core.events import Replied, ToolReturned, TurnEvent, TurnStarted
from core.messages import Offer, ToolCallItem, Usage
from core.telemetry.metrics import METHODS, OTHER, Metrics
from core.telemetry.tracing import entry_span, incoming

Attributes = Mapping[str, str | int | float | bool | tuple[str, ...]]
OK, FAILED, CANCELLED = "ok", "failed", "cancelled"
NO_ROUTE = "none"


class Watched(Protocol):
    """A turn."""

    @property
    def id(self) -> str: ...
    @property
    def organization_id(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def conversation_id(self) -> str | None: ...
    @property
    def model(self) -> str: ...
    @property
    def queue(self) -> int | None: ...
    @property
    def created_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Telemetry:
    """content: put the messages of model calls into their spans."""

    metrics: Metrics
    tracer: Tracer
    content: bool = False

    def request(self, method: str, headers: Mapping[str, str]) -> "RequestWatch":
        return RequestWatch(self, method, headers)

    def turn(self, turn: Watched, first: Sequence[TurnEvent]) -> "TurnWatch":
        """first: the events that it begins with here."""
        if turn.queue is not None and any(isinstance(event, TurnStarted) for event in first):
            self.metrics.queue_seconds.observe(max(0.0, (datetime.now(UTC) - turn.created_at).total_seconds()))
        return TurnWatch(self, turn)

    def turn_ended(self, model: str, outcome: str) -> None:
        self.metrics.turns.labels(model, outcome).inc()

    def model_call(self, model: str, provider: str, attributes: Attributes) -> "ModelWatch":
        return ModelWatch(self, model, provider, attributes)

    @contextmanager
    def tool(self, name: str, *, kind: str, call_id: str, shipped: bool) -> Generator[Callable[[bool], None], None, None]:
        """Tell what is given whether it failed. shipped: its name is ours, and so may be a label."""
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.call.id": call_id}
        labels = (name if shipped else "registry", kind)
        began, outcome = time.monotonic(), CANCELLED

        def tell(failed: bool) -> None:
            nonlocal outcome
            outcome = FAILED if failed else OK

        try:
            with self._span(f"execute_tool {name}", attributes) as span:
                yield tell
                _fail(span, outcome)
        finally:
            self.metrics.tool_runs.labels(*labels, outcome).inc()
            self.metrics.tool_seconds.labels(*labels).observe(time.monotonic() - began)

    @contextmanager
    def sandbox(self, runtime: str) -> Generator[Callable[[str, float], None], None, None]:
        """Tell what is given the outcome and the processor time in seconds."""
        began, outcome = time.monotonic(), CANCELLED

        def tell(how: str, cpu_seconds: float) -> None:
            nonlocal outcome
            outcome = how
            self.metrics.sandbox_cpu_seconds.labels(runtime).inc(cpu_seconds)
            span.set_attribute("paddock.sandbox.cpu_seconds", cpu_seconds)

        try:
            with self._span(f"sandbox {runtime}", {"paddock.sandbox.runtime": runtime}) as span:
                yield tell
                _fail(span, outcome)
        finally:
            self.metrics.sandbox_runs.labels(runtime, outcome).inc()
            self.metrics.sandbox_seconds.labels(runtime).observe(time.monotonic() - began)

    def _span(self, name: str, attributes: Attributes) -> AbstractContextManager[Span]:
        return self.tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        )


def silent() -> Telemetry:
    """Counts for nobody."""
    return Telemetry(Metrics(), NoOpTracer())


class RequestWatch:
    """From here to `end` its span is the current one of whoever made it."""

    def __init__(self, telemetry: Telemetry, method: str, headers: Mapping[str, str]) -> None:
        self._metrics = telemetry.metrics
        self._method = method if method in METHODS else OTHER
        self._began = time.monotonic()
        caller = incoming(headers.get("traceparent"), headers.get("tracestate"))
        self._span = entry_span(telemetry.tracer, self._method, caller)
        self._token = context.attach(set_span_in_context(self._span))
        self.trace_id = trace.format_trace_id(self._span.get_span_context().trace_id)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def end(self, route: str | None, status: int | None, attributes: Attributes) -> None:
        """route: its template. status: None when nothing was answered."""
        context.detach(self._token)
        labels = (self._method, route or NO_ROUTE, str(status or 0))
        self._metrics.requests.labels(*labels).inc()
        self._metrics.request_seconds.labels(route or NO_ROUTE).observe(self.seconds)
        if self._span.is_recording():
            self._span.update_name(f"{self._method} {route}" if route else self._method)
            self._span.set_attributes({**attributes, "http.request.method": self._method, "http.route": route or NO_ROUTE})
            self._span.set_attribute("http.response.status_code", status or 0)
            if status is None or status >= 500:
                self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class TurnWatch:
    def __init__(self, telemetry: Telemetry, turn: Watched) -> None:
        self._telemetry = telemetry
        self._metrics = telemetry.metrics
        self._tracer = telemetry.tracer
        self._model = turn.model
        self._began = time.monotonic()
        self._step: Span | None = None
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.request.model": turn.model,
            "paddock.turn.id": turn.id,
            "paddock.organization.id": turn.organization_id,
            "paddock.user.id": turn.user_id,
        }
        if turn.conversation_id is not None:
            attributes["gen_ai.conversation.id"] = turn.conversation_id
        self._span = self._tracer.start_span("invoke_agent", attributes=attributes)

    def over(self, events: AsyncGenerator[TurnEvent, None]) -> AsyncGenerator[TurnEvent, None]:
        """The same events. Whoever plays them, in a task of its own, is in the turn's span and its steps'."""
        return self._traced(events) if self._span.is_recording() else events

    async def _traced(self, events: AsyncGenerator[TurnEvent, None]) -> AsyncGenerator[TurnEvent, None]:
        running, step = 0, 0
        self._next_step(step)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Replied):
                    calls = [item for item in event.items if isinstance(item, ToolCallItem)]
                    running, step = sum(call.offer is not Offer.FUNCTION for call in calls), step + 1
                elif isinstance(event, ToolReturned):
                    running -= 1
                    if running == 0:  # the model is asked again
                        self._next_step(step)
                yield event

    def _next_step(self, step: int) -> None:
        if self._step is not None:
            self._step.end()
        here = set_span_in_context(self._span)
        self._step = self._tracer.start_span("step", here, attributes={"paddock.step": step})
        context.attach(set_span_in_context(self._step))  # for as long as the turn's task lives

    def end(self, outcome: str, usage: Usage, *, ended: bool) -> None:
        """outcome: the status that the turn has, in which it may have ended, or goes on elsewhere or later."""
        if ended:
            self._telemetry.turn_ended(self._model, outcome)
            self._metrics.turn_seconds.labels(self._model).observe(time.monotonic() - self._began)
        if self._step is not None:
            self._step.end()
        self._span.set_attributes({"paddock.turn.outcome": outcome, **_usage(usage)})
        _fail(self._span, outcome)
        self._span.end()


class ModelWatch:
    """One call of a model, retries included."""

    def __init__(self, telemetry: Telemetry, model: str, provider: str, attributes: Attributes) -> None:
        self._telemetry = telemetry
        self._model = model
        self._began = time.monotonic()
        named = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": model}
        self._span = telemetry.tracer.start_span(f"chat {model}", kind=SpanKind.CLIENT, attributes={**named, **attributes})

    def current(self) -> AbstractContextManager[object]:
        return trace.use_span(self._span, record_exception=False, set_status_on_exception=False)

    @property
    def wants_content(self) -> bool:
        return self._telemetry.content and self._span.is_recording()

    def add_content(self, name: str, messages: Any) -> None:
        self._span.set_attribute(f"gen_ai.{name}.messages", json.dumps(messages))

    def heard(self) -> None:
        """Its first token."""
        seconds = time.monotonic() - self._began
        self._telemetry.metrics.first_token_seconds.labels(self._model).observe(seconds)
        self._span.set_attribute("gen_ai.response.time_to_first_chunk", seconds)

    def finished(self, reason: str) -> None:
        self._span.set_attribute("gen_ai.response.finish_reasons", (reason,))

    def took(self, usage: Usage, dollars: float) -> None:
        """However it ended."""
        tokens = {"input": usage.input, "output": usage.output, "cached": usage.cached, "reasoning": usage.reasoning}
        for kind, count in tokens.items():
            self._telemetry.metrics.tokens.labels(self._model, kind).inc(count)
        self._telemetry.metrics.cost.labels(self._model).inc(dollars)
        self._span.set_attributes({"paddock.cost_dollars": dollars, **_usage(usage)})

    def end(self, outcome: str) -> None:
        """outcome: `ok`, `cancelled`, or an error's code."""
        self._telemetry.metrics.model_calls.labels(self._model, outcome).inc()
        self._telemetry.metrics.model_seconds.labels(self._model).observe(time.monotonic() - self._began)
        _fail(self._span, outcome)
        self._span.end()


def _usage(usage: Usage) -> Attributes:
    return {"gen_ai.usage.input_tokens": usage.input, "gen_ai.usage.output_tokens": usage.output}


def _fail(span: Span, outcome: str) -> None:
    if outcome not in (OK, CANCELLED, "completed", "incomplete"):
        span.set_status(Status(StatusCode.ERROR))
        span.set_attribute("error.type", outcome)
