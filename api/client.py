"""A client's side of the command line: where the server is, and as whom to ask. Knows no route."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from api import home
from api.terminal import plain
from core.environment import client_variables, places


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """url: without a path. key: as it is sent."""

    url: str
    key: str

    def unreachable(self) -> click.ClickException:
        return click.ClickException(f"no server answers at {self.url}; start one with `paddock up` (or `make up`)")

    def refused(self, message: str, code: str | None) -> click.ClickException:
        """message, code: what the server says of the key. Where it does not know it, we can tell where there is one."""
        if code in (None, "invalid_api_key"):
            message += (
                f": the server at {self.url} does not know this key; one is in PADDOCK_HOME/admin.key, or give it with --key"
            )
        return click.ClickException(plain(message))


def find_server(url: str | None, key: str | None) -> Server:
    """What was said, else the variables, else what `paddock up` noted in PADDOCK_HOME. Raises `ClickException`."""
    directory, _ = places()
    key_file = home.admin_key_file(directory)
    found_key = key or client_variables().get("PADDOCK_KEY") or home.read_key(key_file)
    if not found_key:
        raise click.ClickException(f"no key: {key_file} is not there (`paddock up` writes it); or give one with --key")
    if not re.fullmatch("[!-~]+", found_key):
        raise click.ClickException("that is no key: a key is printable ASCII without spaces, as pk_... is")
    return Server(url=find_url(directory, url) or "http://127.0.0.1:8080", key=found_key)


def find_url(directory: Path, url: str | None = None) -> str | None:
    """What was said, else the variables, else what `paddock up` noted in this home; None: nothing. Raises `ClickException`."""
    variables = client_variables()
    found = url or variables.get("PADDOCK_URL") or _local(variables) or home.served_at(directory)
    if found is not None and not _is_address(found):
        raise click.ClickException(f"{found!r} is no address of a server, as http://127.0.0.1:8080 is")
    return found and found.rstrip("/").removesuffix("/v1")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and parts.port != 0
            and url.isprintable()
            and " " not in url
        )
    except ValueError:  # a port that is no number, half an IPv6 address
        return False


def _local(variables: dict[str, str]) -> str | None:
    host, port = variables.get("PADDOCK_HOST", "127.0.0.1"), variables.get("PADDOCK_PORT", "8080")
    if not {"PADDOCK_HOST", "PADDOCK_PORT"} & variables.keys():
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a name to recognise, not to bind
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
