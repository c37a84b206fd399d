"""What comes into the log of a server, and what must not."""

import logging
from collections.abc import Iterator

import pytest

from api.logs import log_to
from core.telemetry.tracing import Collector, incoming, open_tracer

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """A server's, from its beginning; logging is afterwards as it was."""
    root, trace = logging.getLogger(), logging.getLogger("opentelemetry.trace")
    handlers, levels = root.handlers[:], (root.level, trace.level)
    root.handlers = []
    log_to(None, "debug")
    yield capsys
    root.handlers = handlers
    root.setLevel(levels[0])
    trace.setLevel(levels[1])


def test_a_tracestate_that_is_not_well_formed_is_not_in_the_log(log: pytest.CaptureFixture[str]) -> None:
    for tracestate in ("Bearer pk_secret, the cat's secret name", "secret=a,secret=b", "=secret"):
        incoming(TRACEPARENT, tracestate)
    logging.getLogger("paddock").info("another line")
    written = log.readouterr().err
    assert "another line" in written
    assert "secret" not in written


async def test_a_key_in_the_address_of_a_collector_that_is_gone_is_not_in_the_log(log: pytest.CaptureFixture[str]) -> None:
    async with open_tracer(Collector(endpoint="http://127.0.0.1:9/v1/traces?key=secret")) as tracer:
        tracer.start_span("x").end()
    written = log.readouterr().err
    assert "Connection refused" in written
    assert "secret" not in written
