"""A script served on OpenAI's chat-completions wire: a provider for tests, demonstrations and load (format: `script.py`)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic_core import from_json

from core.llm.contract import Chunk
from core.llm.player import Disconnect, Event, Pause, Player
from core.llm.script import Rule, ScriptedError, read_rules
from core.llm.scripted_wire import Encoder, error_body, situation_of

MAX_REQUEST_BYTES = 1 << 26
SHUTDOWN_SECONDS = 0.05  # aiohttp takes 0 for "no limit"


async def serve(script_file: Path, host: str, port: int, *, ready: Callable[[str], None] = lambda address: None) -> None:
    """Until cancelled. ready: is told the base address for clients. Raises ConfigurationError, and OSError for a taken port."""
    rules = await asyncio.to_thread(read_rules, script_file)
    async with open_server(rules, host=host, port=port) as address:
        ready(address)
        await asyncio.Event().wait()


@asynccontextmanager
async def open_server(rules: Iterable[Rule], *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Gives the base address (`http://.../v1`). Leaving cuts the connections that are still open."""
    server = web.Server(_Handler(Player(rules)).handle, request_factory=_request, access_log=None, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound_port = runner.addresses[0][1]
        yield f"http://{f'[{host}]' if ':' in host else host}:{bound_port}/v1"
    finally:
        await runner.cleanup()


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """aiohttp's own, with room for images and long conversations."""
    return web.BaseRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=MAX_REQUEST_BYTES
    )


class _Handler:
    def __init__(self, player: Player) -> None:
        self._player = player
        self._answers = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET" and request.path.endswith("/models"):
            model = {"id": "scripted", "object": "model", "created": 0, "owned_by": "paddock"}
            return web.json_response({"object": "list", "data": [model]})
        if request.method != "POST" or not request.path.endswith("/chat/completions"):
            return _refusal(ScriptedError(status=404, message="there is only /chat/completions and /models here"))
        try:
            body = from_json(await request.read())
            situation = situation_of(body["messages"])
        except (ValueError, LookupError, TypeError, AttributeError):
            return _refusal(ScriptedError(status=400, message="the body is not a chat completion request"))
        self._answers += 1
        encoder = Encoder(f"chatcmpl-{self._answers}", body)
        events = self._player.play(situation)
        return await (_stream(request, encoder, events) if body.get("stream") else _whole(request, encoder, events))


async def _stream(request: web.BaseRequest, encoder: Encoder, events: Iterable[Event]) -> web.StreamResponse:
    """What lies between two pauses is written at once."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    waiting: list[str] = []
    begun = False
    for event in events:
        match event:
            case Pause(seconds=seconds):
                await _write(request, response, waiting)
                await asyncio.sleep(seconds)
            case Disconnect():
                await _write(request, response, waiting)
                return _hang_up(request, response)
            case ScriptedError() if not begun:
                return _refusal(event)
            case ScriptedError():
                waiting.append(f"data: {json.dumps(error_body(event))}\n\n")
            case chunk:
                waiting.append(encoder.event(chunk) if begun else encoder.opening() + encoder.event(chunk))
                begun = True
    await _write(request, response, waiting)
    await response.write_eof()
    return response


async def _write(request: web.BaseRequest, response: web.StreamResponse, waiting: list[str]) -> None:
    if not waiting:
        return
    if not response.prepared:
        await response.prepare(request)
    await response.write("".join(waiting).encode())
    waiting.clear()


async def _whole(request: web.BaseRequest, encoder: Encoder, events: Iterable[Event]) -> web.StreamResponse:
    chunks: list[Chunk] = []
    for event in events:
        match event:
            case Pause(seconds=seconds):
                await asyncio.sleep(seconds)
            case Disconnect():
                return _hang_up(request, web.Response())
            case ScriptedError():
                return _refusal(event)
            case chunk:
                chunks.append(chunk)
    return web.json_response(encoder.whole(chunks))


def _refusal(error: ScriptedError) -> web.Response:
    headers = {} if error.retry_after is None else {"Retry-After": f"{error.retry_after:g}"}
    return web.json_response(error_body(error), status=error.status, headers=headers)


def _hang_up(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response
