"""A server is stopped by a signal whoever is there to hear of it."""

import signal
import subprocess
import sys

import pytest

SERVER = """
import asyncio
from api import gateway

async def main(stopping):
    print("ready", flush=True)
    await asyncio.sleep(60)

gateway.run(main)
"""


def begun(*, ignoring: signal.Signals | None = None) -> "subprocess.Popen[bytes]":
    before = signal.signal(ignoring, signal.SIG_IGN) if ignoring is not None else None
    try:
        server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        if ignoring is not None:
            signal.signal(ignoring, before)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return server


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_server_whose_messages_nobody_reads_any_more_stops(number: signal.Signals) -> None:
    with begun() as server:
        assert server.stderr is not None
        server.stderr.close()
        server.send_signal(number)
        assert server.wait(20) == 0


def test_a_server_under_nohup_outlives_its_terminal() -> None:
    with begun(ignoring=signal.SIGHUP) as server:
        server.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            server.wait(1)
        server.terminate()
        assert server.wait(20) == 0
