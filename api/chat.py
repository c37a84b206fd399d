"""A conversation in the terminal, through the stock `openai` client: what streams in is what is shown, as it comes.

It knows the Responses API and nothing of the server behind it.
"""

from collections.abc import Iterable
from typing import Any

import click
from openai import APIError, OpenAI, Timeout
from openai.types.responses import ResponseCodeInterpreterToolCall, ResponseStreamEvent

from api.client import Server
from api.sdk import translated
from api.terminal import plain

PATIENCE = Timeout(900, connect=5)
FIRST_PATIENCE = Timeout(10, connect=5)  # what accepts a connection and never answers is no server of ours
CANCEL_SECONDS = 5.0
LEFT = "left; what was begun goes on (a key with the scope admin would cancel it)"
TOOLS: Any = [{"type": "code_interpreter", "container": {"type": "auto"}}]


class Chat:
    """A conversation goes on through `previous_response_id`: the server keeps the history."""

    def __init__(self, server: Server, model: str | None) -> None:
        self._server = server
        self._client = OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0, timeout=PATIENCE)
        self._model = model
        self._answered = False
        self._previous: str | None = None

    def say(self, message: str) -> None:
        """Ask, and show the answer. Ctrl-C cancels the turn where the key may, says whether it did, and raises
        `KeyboardInterrupt`. Raises `ClickException`.
        """
        response_id: str | None = None
        with translated(self._server):
            try:
                with self._client.responses.create(
                    model=self._chosen_model(),
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
                click.echo(click.style(f"\n{self._cancelled(response_id)}", dim=True))
                raise

    def _chosen_model(self) -> str:
        """The server is asked for its models in any case: what is answered at once tells soon whether it is one."""
        if not self._answered:
            try:
                names = [model.id for model in self._client.models.list(timeout=FIRST_PATIENCE).data]
            except (AttributeError, TypeError, ValueError) as exc:  # OpenAI's client believes what it is answered
                raise click.ClickException(f"what answers at {self._server.url} is no Paddock") from exc
            self._answered = True
            self._model = self._model or next(iter(names), None)
        if self._model is None:
            raise click.ClickException(f"the server at {self._server.url} has no model")
        return self._model

    def _cancelled(self, response_id: str | None) -> str:
        """How the turn ended; a stored one goes on without us where only an administrator may cancel it."""
        if response_id is None:
            return LEFT
        url = f"{self._server.url}/admin/v1/turns/{response_id}/cancel"
        try:
            ended: Any = self._client.post(url, cast_to=object, options={"timeout": CANCEL_SECONDS})
        except APIError:
            return LEFT
        return plain(str(ended["status"]))

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
            case "response.output_text.delta" | "response.refusal.delta":
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
