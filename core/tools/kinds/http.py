"""Tools that are one HTTP request: arguments go to named places of it, each encoded so that it stays in its place."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal
from urllib.parse import unquote

from jsonpointer import JsonPointer, JsonPointerException
from multidict import CIMultiDict
from pydantic import AfterValidator, Field, JsonValue
from yarl import URL

from core.bounded import Bounded, at_most
from core.egress.client import EgressRefused
from core.tools.brokered import Grants, HttpWork, ResultMapping
from core.tools.definition import Effect, ToolVersion
from core.tools.filling import ORIGIN, filled_address, filled_body, filled_headers, has_steps
from core.tools.placeholders import Template
from core.tools.work import Call, ManifestRefused, Work, Workshop

# What frames the request, or says where it goes, is ours.
OUR_HEADERS = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"}
OUR_HEADERS |= {"accept-encoding", "keep-alive", "proxy-authorization", "proxy-connection"}
REFUSED_IN_URL = re.compile(r"[\x00-\x20\x7f-\U0010ffff#\\]")


def _template(text: str) -> str:
    Template.parse(text)
    return text


def _without_secrets(text: str) -> str:
    if Template.parse(text).secrets:
        raise ValueError("a secret may stand in a header only")
    return text


def _url(text: str) -> str:
    origin = ORIGIN.match(text)
    if origin is None:
        raise ValueError("expected http(s)://host/path with a literal host and no user")
    if REFUSED_IN_URL.search(text):
        raise ValueError("blanks, '#', backslashes and what is not ASCII must be percent-encoded")
    if not URL(origin[0]).origin().host:  # a port or an international name that is none raises ValueError here
        raise ValueError("expected a host")
    return _without_secrets(text)


def _header_name(name: str) -> str:
    if name.lower() in OUR_HEADERS:
        raise ValueError(f"the header {name!r} is set by the server")
    return name


def _pointer(text: str) -> str:
    try:
        JsonPointer(text)
    except JsonPointerException as exc:
        raise ValueError(str(exc)) from exc
    if text.endswith("/-"):
        raise ValueError("'-' is the element after the last one: it never is in an answer")
    return text


HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"), AfterValidator(_header_name)]
Text = Annotated[str, Field(max_length=8192), AfterValidator(_without_secrets)]


class Result(Bounded):
    """pointer: the part of a JSON answer that is the result (RFC 6901). statuses: of success, else 200 to 299."""

    pointer: Annotated[str, Field(max_length=1024), AfterValidator(_pointer)] | None = None
    statuses: Annotated[tuple[Annotated[int, Field(ge=100, le=599)], ...], Field(max_length=20, fail_fast=True)] = ()


class Options(Bounded):
    """`{argument}` may stand in the URL's path and query, in `query`, `headers` and `body`; `{secret:NAME}` in a header.

    A query parameter, header or field of the body whose argument was not given is left out. In the body, a text that is one
    placeholder keeps the argument's type. redirects: how many are followed, each judged like the first address.
    """

    kind: Literal["http"]
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: Annotated[str, Field(max_length=8192), AfterValidator(_url)]
    query: Annotated[Mapping[Annotated[str, Field(max_length=256)], Text], at_most(100)] = {}
    headers: Annotated[
        Mapping[HeaderName, Annotated[str, Field(max_length=8192, pattern=r"^[\x20-\x7e]*$"), AfterValidator(_template)]],
        at_most(50),
    ] = {}
    body: JsonValue = None
    encoding: Literal["json", "form"] = "json"
    result: Result = Result()
    redirects: Annotated[int, Field(ge=0, le=5)] = 0
    idempotency_header: HeaderName = "Idempotency-Key"


async def admit(version: ToolVersion, organization_id: str, workshop: Workshop, /) -> dict[str, object]:
    options = Options.model_validate(version.runtime)
    _check_arguments(options, version)
    for name in ("files", "tools"):
        if name in version.capabilities.granted:
            raise ManifestRefused(f"capabilities.{name}", "cannot be granted to a tool of kind 'http': it is one request")
    origin = _checked_origin(options, version, workshop)
    _check_headers(options, version)
    for header, text in options.headers.items():
        for name in sorted(Template.parse(text).secrets):
            _check_secret(f"runtime.headers.{header}", name, version, origin, organization_id, workshop)
    return dict(version.runtime)


def _checked_origin(options: Options, version: ToolVersion, workshop: Workshop) -> URL:
    """What no call could ever be spoken to, or would lead somewhere else than it says, is refused now."""
    origin = URL(ORIGIN.match(options.url)[0])  # type: ignore[index]  # checked by Options
    try:
        Grants(network=version.capabilities.network).judge(options.method, origin)
    except EgressRefused as exc:
        raise ManifestRefused("runtime.url", str(exc)) from exc
    if refusal := workshop.egress.refusal(origin.host or ""):
        raise ManifestRefused("runtime.url", refusal)
    if has_steps(unquote(options.url.partition("?")[0])):
        raise ManifestRefused("runtime.url", "'.' and '..' are taken out of a path: write the one that is meant")
    return origin


def _check_headers(options: Options, version: ToolVersion) -> None:
    """Their names have no case."""
    ours = {options.idempotency_header.lower()} if version.effect is Effect.IDEMPOTENT else set()
    seen: dict[str, str] = {}
    for name in options.headers:
        if name.lower() in ours:
            message = "an idempotent tool's key goes into this header; idempotency_header names another for it"
            raise ManifestRefused(f"runtime.headers.{name}", message)
        if (first := seen.setdefault(name.lower(), name)) != name:
            raise ManifestRefused(f"runtime.headers.{name}", f"is the header {first!r} again: their names have no case")


def _check_arguments(options: Options, version: ToolVersion) -> None:
    """A placeholder must name a parameter, and one in the address a required one."""
    known = version.parameters.get("properties", {})
    for path, text in _texts(options):
        try:
            names = Template.parse(text).arguments
        except ValueError as exc:
            raise ManifestRefused(path, str(exc)) from exc
        for name in sorted(names):
            if name not in known:
                raise ManifestRefused(path, f"{{{name}}} names no parameter; there are: {', '.join(sorted(known)) or 'none'}")
            if path == "runtime.url" and name not in version.parameters.get("required", ()):
                raise ManifestRefused(path, f"{{{name}}} is a part of the address: the parameter must be required")


def _texts(options: Options) -> Iterator[tuple[str, str]]:
    yield "runtime.url", options.url
    yield from ((f"runtime.query.{name}", text) for name, text in options.query.items())
    yield from ((f"runtime.headers.{name}", text) for name, text in options.headers.items())
    yield from _texts_within("runtime.body", options.body)


def _texts_within(path: str, value: object) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield path, _secretless(path, value)
        case dict():
            for name, inner in value.items():
                yield from _texts_within(f"{path}.{name}", inner)
        case list():
            for index, inner in enumerate(value):
                yield from _texts_within(f"{path}[{index}]", inner)


def _secretless(path: str, text: str) -> str:
    try:
        return _without_secrets(text)
    except ValueError as exc:
        raise ManifestRefused(path, str(exc)) from exc


def _check_secret(path: str, name: str, version: ToolVersion, origin: URL, organization_id: str, workshop: Workshop) -> None:
    """One answer for a secret that is not there and one that is not theirs: which there are is the operator's to tell."""
    secret = workshop.secrets.get(name)
    if name not in version.capabilities.secrets:
        raise ManifestRefused(path, f"capabilities.secrets does not grant {name!r}")
    if secret is None or not secret.is_for(origin, organization_id):
        raise ManifestRefused(path, f"the operator has set no secret {name!r} for {origin.origin()} and this organisation")


def prepare(version: ToolVersion, call: Call, /) -> Work:
    options = Options.model_validate(version.runtime)
    headers, ours = CIMultiDict(filled_headers(options.headers, call.arguments)), set[str]()
    body = filled_body(options.body, options.encoding, call.arguments)
    if body is not None:
        kind = "application/json" if options.encoding == "json" else "application/x-www-form-urlencoded"
        if "Content-Type" not in headers:
            headers["Content-Type"] = Template((kind,))
            ours.add("content-type")
    if version.effect is Effect.IDEMPOTENT:
        headers[options.idempotency_header] = Template((call.idempotency_key,))
        ours.add(options.idempotency_header.lower())
    return HttpWork(
        organization_id=call.organization_id,
        method=options.method,
        url=filled_address(options.url, options.query, call.arguments),
        headers=headers,
        ours=frozenset(ours),
        body=body,
        grants=Grants(network=version.capabilities.network),
        redirects=options.redirects,
        result=ResultMapping(statuses=options.result.statuses, pointer=options.result.pointer),
        limits=version.limits,
    )
