"""Tools and assistants written down in files: YAML or JSON, as the admin API takes them. It asks no server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import yaml

TOOL = "a tool: a mapping with 'name', 'description', 'parameters', 'runtime'"
ASSISTANT = "an assistant: a mapping with 'name', 'model'"


def read_tools(path: Path, *, expected: str = TOOL) -> Iterator[dict[str, Any]]:
    """Each document of the file. Raises `ClickException` that says where it is broken."""
    try:
        text = path.read_text()
        documents = [json.loads(text)] if path.suffix == ".json" else list(yaml.safe_load_all(text))
        documents = [json.loads(_json(document)) for document in documents or [None]]
    except (OSError, RecursionError, TypeError, ValueError, yaml.YAMLError) as exc:
        raise click.ClickException(f"{path}: {exc}") from exc
    for document in documents:
        if not isinstance(document, dict) or not isinstance(document.get("name"), str):
            raise click.ClickException(f"{path}: expected {expected}")
        yield document


def _json(document: Any) -> bytes:
    """YAML has dates, which become text, and much that is no JSON: raises TypeError, ValueError (also of characters)."""
    return json.dumps(document, default=str, allow_nan=False, ensure_ascii=False).encode()


@contextmanager
def named(path: Path) -> Iterator[None]:
    """What is refused within is told with the file that asked for it."""
    try:
        yield
    except click.ClickException as exc:
        raise click.ClickException(f"{path}: {exc.message}") from exc
