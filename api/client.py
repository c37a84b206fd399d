"""A client's side of the command line: where the server is, and as whom to ask. Knows no route."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import click

from api import home
from core.config import client_variables, places


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """url: without a path. key: as it is sent."""

    url: str
    key: str

    def unreachable(self) -> click.ClickException:
        return click.ClickException(f"no server answers at {self.url}; start one with `paddock up` (or `make up`)")

    def refused(self) -> click.ClickException:
        return click.ClickException(
            f"the server at {self.url} does not know this key; it is in PADDOCK_HOME/admin.key, or give one with --key"
        )


def find_server(url: str | None, key: str | None) -> Server:
    """What was said, else the variables, else what `paddock up` noted in PADDOCK_HOME. Raises `ClickException`."""
    variables = client_variables()
    directory, _ = places()
    key_file = home.admin_key_file(directory)
    found_key = key or variables.get("PADDOCK_KEY") or home.read_key(key_file)
    if not found_key:
        raise click.ClickException(f"no key: {key_file} is not there (`paddock up` writes it); or give one with --key")
    found_url = url or variables.get("PADDOCK_URL") or _local(variables) or home.served_at(directory) or "http://127.0.0.1:8080"
    if not _is_address(found_url):
        raise click.ClickException(f"{found_url!r} is no address of a server, as http://127.0.0.1:8080 is")
    return Server(url=found_url.rstrip("/").removesuffix("/v1"), key=found_key)


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
