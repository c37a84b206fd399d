"""Serves the application until a signal: the port, uvicorn, and what Ctrl-C means at which moment."""

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from api.protocol import Protocol
from core.errors import ConfigurationError

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LAST_PORT = 65535
DRAIN_SECONDS = 5
UNREAD_SECONDS = 60  # who takes nothing of what was sent for so long is disconnected
ECHO_SECONDS = 0.3  # one key press may reach us twice: from the terminal, and through make


def run(main: Callable[["Stopping"], Awaitable[None]]) -> None:
    """Run `main` to its end, or to its clean-up after the first signal. A second signal ends the process at once."""
    import uvloop

    async def watched() -> None:
        stopping = Stopping(asyncio.current_task())
        for number in STOP_SIGNALS:
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # by nohup(1)
            asyncio.get_running_loop().add_signal_handler(number, stopping.on_signal)
        with contextlib.suppress(asyncio.CancelledError):
            await main(stopping)

    uvloop.run(watched())


class Stopping:
    """The first signal cancels what starts; once we serve, it asks the server to drain instead."""

    def __init__(self, task: "asyncio.Task[Any] | None") -> None:
        self._task = task
        self._server: uvicorn.Server | None = None
        self._asked_at: float | None = None

    def on_signal(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._asked_at is not None and now - self._asked_at < ECHO_SECONDS:
            return
        if self._asked_at is not None:
            _tell("stopped at once\n")
            os._exit(130)  # our children die with us
        self._asked_at = now
        self.stop()
        _tell("\nstopping (once more: at once) ...\n")

    def stop(self) -> None:
        if self._server is not None:
            self._server.should_exit = True
        elif self._task is not None:
            self._task.cancel()

    @contextmanager
    def draining(self, server: uvicorn.Server) -> Iterator[None]:
        self._server = server
        try:
            yield
        finally:
            self._server = None


def _tell(text: str) -> None:
    """Whoever read it may be gone: a pipe that is closed, a terminal that was hung up."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A port that is ours from now on, but refuses connections until it is served. Raises `ConfigurationError`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as exc:
        raise ConfigurationError(f"PADDOCK_HOST: {host!r} is no address of this machine: {exc.strerror}") from exc
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_SECONDS * 1000)  # connections inherit it
        try:
            listener.bind(address)
        except OSError as exc:
            raise _cannot_listen(host, port, exc) from exc
        yield listener


def _cannot_listen(host: str, port: int, error: OSError) -> ConfigurationError:
    other = 8080 if error.errno == errno.EACCES or port == LAST_PORT else port + 1
    advice = f"set another one with PADDOCK_PORT={other}, or `port:` in paddock.yaml"
    return ConfigurationError(f"port {port} on {host} cannot be used ({error.strerror}); {advice}")


def address_of(listener: socket.socket) -> str:
    """As a client on this machine writes it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a name to recognise, not to bind
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(app: Any, listener: socket.socket, stopping: Stopping, on_ready: Callable[[], None]) -> None:
    """Until a signal, then for as long as running requests take, but no longer than `DRAIN_SECONDS`."""
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    try:
        listener.listen(config.backlog)
    except OSError as exc:  # somebody else was quicker since we bound it
        host, port = listener.getsockname()[:2]
        raise _cannot_listen(host, port, exc) from exc
    server = _Server(config, on_ready)
    with stopping.draining(server):
        await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """Says when it is ready, and leaves signals to us."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        spare_the_collector()
        self._on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def spare_the_collector() -> None:
    """What is loaded by now stays: to walk over it again and again was a quarter of a request's processor time, measured."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
