"""A call that is an HTTP request, spoken on the tool's behalf. Secrets enter here, at the last moment, and only headers."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from http import HTTPStatus
from typing import Any

from jsonpointer import JsonPointer, JsonPointerException
from yarl import URL

from core.egress.client import Answer, EgressError, EgressRefused, Request
from core.tools.placeholders import Template
from core.tools.work import PARSED_BYTES, ToolSecret, Workshop
from sandbox import Limits, OnCall, OnOutput, Outcome, refuse_calls

EXCERPT_CHARACTERS = 1000
NOTHING = rb"\x00{0,3}"
"""What other encodings put between characters."""
BACKSLASH = rb"\\"
ESCAPES = rb"\\%&+"
"""With which the escapes of JSON, URLs and HTML begin."""
AMPERSAND = rb"(?:&|\\u0026)"
"""As JSON that may stand in HTML has it."""
NAMED = {'"': b"quot", "&": b"amp", "'": b"apos", "<": b"lt", ">": b"gt", "+": b"plus", "/": b"sol", "=": b"equals"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """network: rules of a capability manifest. What none of them names is refused, after a redirect too."""

    network: Sequence[Mapping[str, Any]]

    def judge(self, method: str, url: URL) -> None:
        for rule in self.network:
            if url.host == rule["host"].lower() and url.port in rule["ports"] and method in rule["methods"]:
                return
        raise EgressRefused(f"capabilities.network does not grant {method} to {url.host}:{url.port}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultMapping:
    """statuses: those of success; empty means all from 200 to 299. pointer: the part of a JSON answer that is the result."""

    statuses: tuple[int, ...]
    pointer: str | None

    def outcome(self, answer: Answer) -> Outcome:
        if answer.status not in (self.statuses or range(200, 300)):
            excerpt = answer.body.decode(errors="replace")[:EXCERPT_CHARACTERS]
            return _failed(f"it answered {_status(answer.status)}" + (f": {excerpt}" if excerpt else ""))
        if self.pointer is None and not (answer.body and _is_json(answer)):
            return Outcome(exit_code=0, stdout=answer.body)
        try:
            value = json.loads(answer.body.decode("utf-8-sig"), parse_constant=_refuse_constant)
            found = value if self.pointer is None else JsonPointer(self.pointer).resolve(value)
            told = json.dumps(found, ensure_ascii=False, allow_nan=False)  # 1e999 is read as infinity
        except (JsonPointerException, TypeError):  # TypeError: "-" in the middle of a pointer is an element that never is
            return _failed(f"its answer has nothing at {self.pointer!r}")
        except (ValueError, RecursionError):
            return _failed("its answer is not JSON")
        return Outcome(exit_code=0, result=told.encode("utf-8", "backslashreplace"))


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpWork:
    """ours: the names of headers that we gave it, in small letters."""

    organization_id: str
    method: str
    url: URL
    headers: Mapping[str, Template]
    ours: frozenset[str]
    body: bytes | None
    grants: Grants
    redirects: int
    result: ResultMapping
    limits: Limits

    async def run(self, workshop: Workshop, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        """What goes wrong out there is an outcome with words for the model."""
        started = time.monotonic()
        try:
            secrets = _revealed(self.headers, self.url, self.organization_id, workshop.secrets)
            headers = {name: template.reveal(secrets) for name, template in self.headers.items()}
            answer = await workshop.egress.send(
                Request(
                    method=self.method,
                    url=self.url,
                    headers=headers,
                    kept=self.ours,
                    body=self.body,
                    owner=self.organization_id,
                ),
                seconds=self.limits.wall_seconds,
                body_bytes=min(self.limits.output_bytes, PARSED_BYTES),
                judge=self.grants.judge,
                redirects=self.redirects,
            )
        except EgressError as exc:
            outcome = _failed(str(exc))
        else:
            outcome = self.result.outcome(_redacted(answer, secrets))
        return replace(outcome, wall_seconds=time.monotonic() - started)


def _revealed(
    headers: Mapping[str, Template], url: URL, organization_id: str, secrets: Mapping[str, ToolSecret]
) -> dict[str, str]:
    """Only to an origin, and for an organisation, that the operator names for the secret now, whatever a manifest says."""
    names = set[str]().union(*(template.secrets for template in headers.values()))
    for name in sorted(names):
        if name not in secrets or not secrets[name].is_for(url, organization_id):
            raise EgressRefused(f"the secret {name!r} is not there for {url.origin()}")
    return {name: secrets[name].value for name in names}


def _redacted(answer: Answer, secrets: Mapping[str, str]) -> Answer:
    """A server that tells what it was sent must not tell the model, in none of the ways to write it."""
    names = sorted(secrets, key=lambda name: len(secrets[name]), reverse=True)  # one may begin as another does
    if not names:
        return answer
    begin = b"".join(re.escape(secrets[name][:1].encode()) for name in names)  # looked for first: that is three times as fast
    ways = b"|".join(b"(%b)" % _ways_to_write(secrets[name]) for name in names)
    written = re.compile(b"(?=[%b%b])(?:%b)" % (ESCAPES, begin, ways))
    body = written.sub(lambda found: f"[secret {names[(found.lastindex or 1) - 1]}]".encode(), answer.body)
    return Answer(status=answer.status, headers=answer.headers, body=body)


def _ways_to_write(secret: str) -> bytes:
    """A pattern: as it is, and as JSON, URLs and HTML have it, with as many escapes as its writer likes; in UTF-8, and what is
    plain or JSON in UTF-16 or UTF-32 too.
    """
    return NOTHING.join(_ways_to_write_one(byte) for byte in secret.encode())


@cache  # of 256 at most
def _ways_to_write_one(byte: int) -> bytes:
    character = chr(byte)
    escaped = NOTHING.join([BACKSLASH, b"u", *(_in_any_case(digit) for digit in f"{byte:04x}")])
    ways = [escaped, b"%" + _in_any_case(f"{byte:02x}")]
    if not character.isalnum():  # nobody writes letters and digits otherwise in HTML
        ways.append(AMPERSAND + b"#(?:[xX]0{0,6}%b|0{0,6}%d);" % (_in_any_case(f"{byte:x}"), byte))
    if character in NAMED:
        ways.append(AMPERSAND + b"%b;" % NAMED[character])
    if character == " ":
        ways.append(rb"\+")
    plain = b"(?:%b%b)?%b" % (BACKSLASH, NOTHING, re.escape(bytes([byte])))
    return b"(?:%b)" % b"|".join([*ways, plain])  # plain is the last: it may be what another way begins with


def _in_any_case(digits: str) -> bytes:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits).encode()


def _is_json(answer: Answer) -> bool:
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _failed(message: str) -> Outcome:
    return Outcome(exit_code=1, stderr=message.encode())
