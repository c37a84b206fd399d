"""A conversation in the terminal, through the stock `openai` client: what streams in is what is shown, as it comes.

It knows the Responses API and nothing of the server behind it.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import click
from openai import APIConnectionError, APIError, APIStatusError, AuthenticationError, OpenAI, Timeout
from openai.types.responses import ResponseCodeInterpreterToolCall, ResponseStreamEvent

from api.client import Server
from api.terminal import plain

PATIENCE = Timeout(900, connect=5)
TOOLS: Any = [{"type": "code_interpreter", "container": {"type": "auto"}}]


class Chat:
    """A conversation goes on through `previous_response_id`: the server keeps the history."""

    def __init__(self, server: Server, model: str | None) -> None:
        self._server = server
        self._client = OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0, timeout=PATIENCE)
        self._model = model
        self._previous: str | None = None

    def say(self, message: str) -> None:
        """Ask, and show the answer. Ctrl-C cancels the turn and raises `KeyboardInterrupt`. Raises `ClickException`."""
        response_id: str | None = None
        try:
            self._model = self._model or self._client.models.list().data[0].id
            with self._client.responses.create(
                model=self._model,
                input=message,
                previous_response_id=self._previous,
                tools=TOOLS,
                include=["code_interpreter_call.outputs"],
                stream=True,
            ) as events:
                screen = Screen()
                for event in events:
                    if event.type == "response.created":
                        response_id = event.response.id
                    screen.show(event)
            self._previous = response_id
        except KeyboardInterrupt:
            self._cancel(response_id)
            raise
        except AuthenticationError as exc:
            raise self._server.refused() from exc
        except APIConnectionError as exc:
            raise self._server.unreachable() from exc
        except APIStatusError as exc:
            raise click.ClickException(plain(message_of(exc))) from exc
        except APIError as exc:
            raise click.ClickException(plain(exc.message)) from exc

    def _cancel(self, response_id: str | None) -> None:
        """A stored turn would go on without us."""
        if response_id is not None:
            with suppress(APIError):
                url = f"{self._server.url}/admin/v1/turns/{response_id}/cancel"
                self._client.post(url, cast_to=object, options={"timeout": 5})
        click.echo(click.style("\ncancelled", dim=True))

    def close(self) -> None:
        self._client.close()


class Screen:
    """Writes events as they come. Model and guest are not trusted with our terminal: control characters are left out."""

    def __init__(self) -> None:
        self._column = 0
        self._block: tuple[str, int] | None = None

    def show(self, event: ResponseStreamEvent) -> None:
        match event.type:
            case "response.reasoning_text.delta":
                self._write("reasoning", event.output_index, event.delta, dim=True)
            case "response.code_interpreter_call_code.delta":
                self._write("code", event.output_index, event.delta, fg="cyan")
            case "response.output_text.delta":
                self._write("text", event.output_index, event.delta)
            case "response.output_item.done" if isinstance(event.item, ResponseCodeInterpreterToolCall):
                self._write("output", event.output_index, "".join(_logs(event.item)) or "(no output)", fg="yellow")
            case "response.completed":
                self._end()
            case "response.incomplete" | "response.failed":
                self._end()
                raise click.ClickException(plain(_why(event.response)))
            case "error":
                self._end()
                raise click.ClickException(plain(event.message))

    def _write(self, kind: str, index: int, text: str, **style: Any) -> None:
        """Code and output are set off by a heading and a margin, each call's by its own."""
        if (kind, index) != self._block:
            self._end()
            self._block = (kind, index)
            if kind in ("code", "output"):
                click.echo(click.style({"code": "python:", "output": "output:"}[kind], bold=True))
        margin = "  " if kind in ("code", "output") else ""
        for line in plain(text).splitlines(keepends=True):
            click.echo(click.style((margin if self._column == 0 else "") + line, **style), nl=False)
            self._column = 0 if line.endswith("\n") else self._column + len(line)

    def _end(self) -> None:
        if self._column:
            click.echo()
        self._column = 0
        self._block = None


def _logs(call: ResponseCodeInterpreterToolCall) -> Iterable[str]:
    return (output.logs for output in call.outputs or () if output.type == "logs")


def _why(response: Any) -> str:
    if response.error is not None:
        return str(response.error.message)
    if response.incomplete_details is not None:
        return f"the answer is incomplete: {response.incomplete_details.reason}"
    return f"the turn ended as {response.status}"


def message_of(error: APIStatusError) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or error.message)
