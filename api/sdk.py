"""OpenAI's client on the command line: what it raises is a message, not a traceback. It knows no route."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from openai import APIConnectionError, APIError, APIStatusError, AuthenticationError

from api.client import Server
from api.terminal import plain


@contextmanager
def translated(server: Server) -> Iterator[None]:
    """Raises `ClickException` for all that can go wrong between us and the server."""
    try:
        yield
    except AuthenticationError as exc:
        raise server.refused(_message(exc), exc.code) from exc
    except APIConnectionError as exc:
        raise server.unreachable() from exc
    except APIStatusError as exc:
        raise click.ClickException(plain(_message(exc))) from exc
    except APIError as exc:
        raise click.ClickException(plain(exc.message)) from exc
    except UnicodeError as exc:
        raise click.ClickException(f"not valid as text: {exc}") from exc


def _message(error: APIStatusError) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or error.message)
