"""What `paddock up` keeps in PADDOCK_HOME beside the stores: the configuration, the admin key, and a note of who serves it."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.accounts import let_through, server_account
from core.errors import ConfigurationError
from core.filelock import exclusive

DEFAULT_CONFIG = """\
# Paddock's configuration. It is read at the start; a mistake is answered with its line.
# Every value may take variables from the environment: ${NAME}, or ${NAME:-default}.
# What is not said here has a default; PADDOCK_* variables (PADDOCK_PORT=9000) win over this file.

models: # the first one is the default
  - name: paddock-demo # a very small model that comes with Paddock: arithmetic and the like
    backend: fleet # runs on this machine, with llama.cpp
    file: demo # or the path of a GGUF file of your own

  # Any server that speaks OpenAI's chat completions (OpenAI, vLLM, Ollama, ...):
  # - name: gpt
  #   backend: openai
  #   model: gpt-5-mini
  #   api_base: https://api.openai.com/v1
  #   api_key: ${OPENAI_API_KEY}

# host: 127.0.0.1
# port: 8080
# log_level: info
# cors_origins: [https://app.example.com]
# trusted_proxies: [10.0.0.0/8]
# limits:
#   max_steps: 10
#   turn_seconds: 600
#   request_body_bytes: 10000000
"""


def prepare_home(home: Path) -> None:
    """Makes the directory, closed to others; the accounts of our servers may pass through, where we are root."""
    try:
        if not home.exists():
            home.mkdir(mode=0o700, parents=True)
            let_through(home, server_account())
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as exc:
        raise ConfigurationError(
            f"PADDOCK_HOME: cannot keep files in {home}: {exc.strerror}; make it a directory of yours, or set another one"
        ) from exc


def write_default_config(path: Path) -> bool:
    """Whether there was none."""
    if os.path.exists(path):
        return False
    if os.path.lexists(path):
        raise ConfigurationError(
            f"{path} is a link to {os.readlink(path)!r}, which cannot be found: make it, or remove the link"
        )
    try:
        _write(path, DEFAULT_CONFIG)
    except OSError as exc:
        raise ConfigurationError(f"PADDOCK_CONFIG: cannot write {path}: {exc.strerror}") from exc
    return True


@contextmanager
def serving(home: Path) -> Iterator[Callable[[str], None]]:
    """One server a home. Gives a function that tells others where it answers."""
    elsewhere = served_at(home)
    where = f" and answers at {elsewhere}" if elsewhere else ""
    refusal = f"Paddock already runs on {home}{where}; stop it first, or set another PADDOCK_HOME (and PADDOCK_PORT)"
    with exclusive(home / "up.lock", refusal) as lock:

        def announce(address: str) -> None:
            os.ftruncate(lock, 0)
            os.pwrite(lock, address.encode(), 0)

        announce("")
        yield announce


def served_at(home: Path) -> str | None:
    """Where the server of this home answers, or last did."""
    try:
        return (home / "up.lock").read_text() or None
    except OSError:
        return None


def admin_key_file(home: Path) -> Path:
    return home / "admin.key"


def read_key(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def write_key(file: Path, secret: str) -> None:
    try:
        _write(file, secret + "\n")
    except OSError as exc:
        raise ConfigurationError(f"the admin key cannot be written to {file}: {exc.strerror}") from exc


def _write(path: Path, text: str) -> None:
    """Whole or not at all, readable by us alone."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
