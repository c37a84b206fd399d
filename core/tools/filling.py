"""Arguments into the places of a request, each encoded so that it stays in its place. Raises CallRefused for what cannot be."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import quote, urlencode

from yarl import URL

from core.tools.placeholders import Absent, Template
from core.tools.work import CallRefused

ORIGIN = re.compile(r"(https?)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(?=[/?]|$)")
HEADER_VALUE = re.compile(r"[\x20-\x7e]*")


def filled_address(url: str, parameters: Mapping[str, str], arguments: Mapping[str, Any]) -> URL:
    """url: one that ORIGIN matches. parameters: added to its query. A list gives one once for each of its elements."""
    origin = ORIGIN.match(url)[0]  # type: ignore[index]
    path, _, query = url[len(origin) :].partition("?")
    try:
        path = Template.parse(path).fill(arguments, _segment).reveal({})
        query = Template.parse(query).fill(arguments, lambda text: quote(text, safe="")).reveal({})
    except Absent as exc:
        raise CallRefused(f"the argument {exc.name!r} is needed") from exc
    if has_steps(path):
        raise CallRefused("an argument must not lead to another address")
    more = urlencode(list(_query(parameters, arguments)), quote_via=quote)
    told = "&".join(part for part in (query, more) if part)
    return URL(f"{URL(origin).origin()}{path or '/'}?{told}".rstrip("?"), encoded=True)


def has_steps(path: str) -> bool:
    """Up or down in the hierarchy, for some server at least."""
    return any(part in (".", "..") for part in re.split(r"[/\\]", path))


def _segment(text: str) -> str:
    """Of a path. Refused is what some server would take for a step up or down, however it is encoded."""
    if not text:
        raise CallRefused("an argument that is a part of the address must not be empty")
    if has_steps(text):
        raise CallRefused("an argument must not lead to another address")
    return quote(text, safe="")


def _query(parameters: Mapping[str, str], arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, text in parameters.items():
        try:
            value = Template.parse(text).value(arguments)
        except Absent:
            continue
        for element in value if isinstance(value, list) else [value]:
            yield name, element if isinstance(element, str) else json.dumps(element, ensure_ascii=False)


def filled_headers(headers: Mapping[str, str], arguments: Mapping[str, Any]) -> Iterator[tuple[str, Template]]:
    """Secrets stay in them as placeholders."""
    for name, text in headers.items():
        with suppress(Absent):
            yield name, Template.parse(text).fill(arguments, _header_value)


def _header_value(text: str) -> str:
    if not HEADER_VALUE.fullmatch(text):
        raise CallRefused("an argument that goes into a header must be plain ASCII without line ends")
    return text


def filled_body(template: object, encoding: Literal["json", "form"], arguments: Mapping[str, Any]) -> bytes | None:
    if template is None:
        return None
    try:
        value = _filled(template, arguments)
    except Absent:
        return None
    if encoding == "json":
        return json.dumps(value, ensure_ascii=False).encode()
    if not isinstance(value, dict):
        raise CallRefused("a form is made of an object")
    fields = {name: field if isinstance(field, str) else json.dumps(field, ensure_ascii=False) for name, field in value.items()}
    return urlencode(fields).encode()


def _filled(template: Any, arguments: Mapping[str, Any]) -> Any:
    """Raises Absent for a text whose argument was not given; around it, only that element is missing."""
    match template:
        case str():
            return Template.parse(template).value(arguments)
        case dict():
            return dict(_present(template.items(), arguments))
        case list():
            return [value for _, value in _present(enumerate(template), arguments)]
        case _:
            return template


def _present(elements: Iterable[tuple[Any, Any]], arguments: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    for key, inner in elements:
        with suppress(Absent):
            yield key, _filled(inner, arguments)
