"""A model that tells what it was told, so that a client can see whether the history that it meant has reached the model."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from core.llm.contract import Finished, TextChunk
from core.llm.scripted_wire import Encoder
from core.messages import FinishReason, Usage


@contextmanager
def echoing() -> Iterator[str]:
    """Its address, as a backend's `api_base`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        chunks = TextChunk(text=_told(body["messages"])), Finished(reason=FinishReason.STOP, usage=Usage(input=7, output=5))
        encoder = Encoder("chatcmpl-echo", body)
        stream = body.get("stream", False)
        answer = "".join(map(encoder.event, chunks)) if stream else json.dumps(encoder.whole(chunks))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if stream else "application/json")
        self.send_header("content-length", str(len(answer.encode())))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_: Any) -> None: ...


def _told(messages: list[dict[str, Any]]) -> str:
    """`be brief: red, green (1 answered), tools said 42`: instructions, the user, how many answers are between, results."""
    said: dict[str, list[str]] = {"system": [], "user": [], "assistant": [], "tool": []}
    for message in messages:
        content = message["content"] or ""
        said[message["role"]].append(content if isinstance(content, str) else "".join(part["text"] for part in content))
    told = f"{' '.join(said['system'])}: {', '.join(said['user'])} ({len(said['assistant'])} answered)"
    return f"{told}, tools said {', '.join(said['tool'])}" if said["tool"] else told
