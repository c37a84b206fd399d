"""Tools that are one HTTP request: what is refused when they are registered, and where arguments and secrets may go."""

import html
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote, quote_plus, unquote_to_bytes

import pytest
from pydantic import ValidationError
from yarl import URL

from core.egress.addresses import AddressRules
from core.egress.client import open_egress
from core.tools import kinds
from core.tools.brokered import HttpWork
from core.tools.definition import ToolVersion, parse_manifest
from core.tools.work import Call, CallRefused, ManifestRefused, ToolSecret, Workshop
from sandbox import Invocation, OnCall, OnOutput, Outcome, refuse_calls
from tests.doubles.uploads import NO_PROGRAMS
from tests.doubles.web import Web, open_web
from tests.sandboxing import nowhere

KIND = kinds.registrable("http")
SECRET = 'pa"ss-word-of-twenty'


ODD = "ab+cd/ef<gh&ij\\kl"


class NoSandbox:
    async def run(self, invocation: Invocation, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        raise AssertionError("a request needs no sandbox")


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with open_web() as opened:
        opened.says("/")
        yield opened


@pytest.fixture
async def workshop(web: Web) -> AsyncIterator[Workshop]:
    secrets = {
        "TOKEN": ToolSecret(value=SECRET, origins=frozenset({web.origin})),
        "OTHERS": ToolSecret(value=SECRET, origins=frozenset({web.origin}), organizations=frozenset({"org_2"})),
        "LONG": ToolSecret(value=f"{ODD}, and the rest", origins=frozenset({web.origin})),
        "ODD": ToolSecret(value=ODD, origins=frozenset({web.origin})),
        "ELSEWHERE": ToolSecret(value=SECRET, origins=frozenset({"https://api.example.com"})),
    }
    async with open_egress(AddressRules(allow_private=[ip_network("127.0.0.0/8")])) as egress:
        yield Workshop(sandbox=NoSandbox(), egress=egress, programs=NO_PROGRAMS, secrets=secrets)


def tool(
    web: Web, url: str = "/{a}", *, effect: str = "effectful", grant: Mapping[str, Any] | None = None, **runtime: Any
) -> ToolVersion:
    properties = {name: {} for name in ("a", "b", "c")}
    network = {"host": "127.0.0.1", "ports": [web.port], "methods": [runtime.get("method", "GET")], **(grant or {})}
    secrets = ["TOKEN", "OTHERS", "LONG", "ODD", "ELSEWHERE", "NOBODYS"]
    return parse_manifest(
        {
            "name": "t",
            "description": "d",
            "parameters": {"type": "object", "properties": properties, "required": ["a"]},
            "runtime": {"kind": "http", "url": url if "://" in url else web.origin + url, **runtime},
            "capabilities": {"network": [network], "secrets": secrets},
            "limits": {"output_bytes": 100_000, "wall_seconds": 5},
            "effect": effect,
        }
    )


async def call(workshop: Workshop, version: ToolVersion, **arguments: Any) -> Outcome:
    work = KIND.prepare(version, Call(id="c", organization_id="org_1", arguments=arguments))
    return await work.run(workshop, nowhere)


def asked(web: Web) -> str:
    return web.requests[-1].split(b"\r\n")[0].decode()


# Arguments stay in their places

TEXTS = {
    "a b": "a%20b",
    "a/b": "a%2Fb",
    "a?x=1#y": "a%3Fx%3D1%23y",
    "a&b=c;d": "a%26b%3Dc%3Bd",
    "a:b@c": "a%3Ab%40c",
    "%2e%2e%2f": "%252e%252e%252f",
    "ä☃": "%C3%A4%E2%98%83",
    "a\r\nX: y\0": "a%0D%0AX%3A%20y%00",
    "{b}": "%7Bb%7D",
    "//evil.example/": "%2F%2Fevil.example%2F",
    "...": "...",
    "+": "%2B",
}


@pytest.mark.parametrize(("text", "encoded"), TEXTS.items())
async def test_an_argument_stays_in_its_place_of_the_address(web: Web, workshop: Workshop, text: str, encoded: str) -> None:
    web.answers = dict.fromkeys([f"/v1/{encoded}/end"], web.answers["/"])
    version = tool(web, "/v1/{a}/end?q={a}&x=1", query={"more": "{a}"})
    outcome = await call(workshop, version, a=text)

    assert (outcome.exit_code, outcome.result) == (0, b"{}")
    assert asked(web) == f"GET /v1/{encoded}/end?q={encoded}&x=1&more={encoded} HTTP/1.1"


@pytest.mark.parametrize("text", ["", ".", "..", "../x", "x/..", "..\\x", "a/./b", "/..", "a/../../b"])
async def test_an_argument_that_would_lead_elsewhere_is_refused_before_anything_is_sent(web: Web, text: str) -> None:
    with pytest.raises(CallRefused, match="an argument"):
        KIND.prepare(tool(web, "/v1/{a}/end"), Call(id="c", organization_id="org_1", arguments={"a": text}))


async def test_arguments_that_lead_elsewhere_together_are_refused(web: Web) -> None:
    version = replace(tool(web, "/v1/{a}/end"), runtime={"kind": "http", "url": f"{web.origin}/v1/.{{a}}{{b}}/x"})
    for arguments in ({"a": "x", "b": ".."}, {"a": ".", "b": ""}):
        with pytest.raises(CallRefused, match="an argument"):
            KIND.prepare(version, Call(id="c", organization_id="org_1", arguments=arguments))
    assert KIND.prepare(version, Call(id="c", organization_id="org_1", arguments={"a": "x", "b": "y"}))


async def test_a_header_takes_plain_text_only(web: Web, workshop: Workshop) -> None:
    version = tool(web, "/", headers={"X-Name": "of {b}!", "X-Other": "{c}"})
    await call(workshop, version, a=1, b="me")

    assert b"\r\nX-Name: of me!\r\n" in web.requests[-1]
    assert b"X-Other" not in web.requests[-1]
    for text in ("x\r\nX-Evil: 1", "x\ny", "x\0", "☃", "\x7f"):
        with pytest.raises(CallRefused, match="plain ASCII"):
            KIND.prepare(version, Call(id="c", organization_id="org_1", arguments={"a": 1, "b": text}))


async def test_what_was_not_given_is_left_out_and_a_list_repeats_its_parameter(web: Web, workshop: Workshop) -> None:
    version = tool(web, "/", query={"b": "{b}", "c": "{c}", "fixed": "x {{}}"})
    await call(workshop, version, a=1, c=["x&", 2, True])

    assert asked(web) == "GET /?c=x%26&c=2&c=true&fixed=x%20%7B%7D HTTP/1.1"


async def test_a_body_keeps_the_types_of_arguments_and_no_text_leaves_its_string(web: Web, workshop: Workshop) -> None:
    body = {"whole": "{a}", "text": "for {a} and {{b}}", "absent": "{b}", "list": ["{a}", "{b}", 3], "fixed": None}
    version = tool(web, "/", method="POST", body=body)
    await call(workshop, version, a={"x": ['"', 1]})

    sent = json.loads(web.requests[-1].partition(b"\r\n\r\n")[2])
    told = {"x": ['"', 1]}
    assert sent == {"whole": told, "text": 'for {"x": ["\\"", 1]} and {b}', "list": [told, 3], "fixed": None}
    assert b"\r\nContent-Type: application/json\r\n" in web.requests[-1]


async def test_a_form_encodes_its_fields(web: Web, workshop: Workshop) -> None:
    version = tool(web, "/", method="POST", body={"x": "{a}", "y": "1&{b}"}, encoding="form")
    await call(workshop, version, a=3, b="=&")

    assert web.requests[-1].endswith(b"\r\n\r\nx=3&y=1%26%3D%26")


async def test_an_idempotent_call_has_the_same_key_each_time_and_another_has_none(web: Web, workshop: Workshop) -> None:
    for _ in range(2):
        await call(workshop, tool(web, "/", effect="idempotent"), a=1)
    await call(workshop, tool(web, "/"), a=1)

    keys = [[line for line in request.split(b"\r\n") if line.startswith(b"Idempotency-Key: ")] for request in web.requests]
    assert keys[0] == keys[1] != []
    assert keys[2] == []


# Results


@pytest.mark.parametrize(
    ("result", "body", "told"),
    [
        ({}, b'{"rate": 1.5}', b'{"rate": 1.5}'),
        ({"pointer": "/rates/0/x~1y"}, b'{"rates": [{"x/y": "\xc3\xa4"}]}', '"ä"'.encode()),
        ({"pointer": ""}, b"[1]", b"[1]"),
    ],
)
async def test_the_result_is_the_answer_or_a_part_of_it(
    web: Web, workshop: Workshop, result: Mapping[str, Any], body: bytes, told: bytes
) -> None:
    web.says("/", body)
    assert (await call(workshop, tool(web, "/", result=result), a=1)).result == told


async def test_an_answer_that_is_no_json_is_told_as_text(web: Web, workshop: Workshop) -> None:
    web.says("/", b"<p>", Content_Type="text/html")
    outcome = await call(workshop, tool(web, "/"), a=1)

    assert (outcome.exit_code, outcome.stdout, outcome.result) == (0, b"<p>", None)


@pytest.mark.parametrize(
    ("method", "status", "length"),
    [
        ("DELETE", "204 No Content", None),
        ("POST", "200 OK", 0),
        ("POST", "202 Accepted", 0),
        ("HEAD", "200 OK", 17),
    ],
)
async def test_an_answer_without_a_body_is_a_success_that_says_nothing(
    web: Web, workshop: Workshop, method: str, status: str, length: int | None
) -> None:
    said = "" if length is None else f"Content-Length: {length}\r\n"
    web.answers["/"] = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{said}Connection: close\r\n\r\n".encode()
    outcome = await call(workshop, tool(web, "/", method=method), a=1)

    assert (outcome.exit_code, outcome.stdout, outcome.stderr, outcome.result) == (0, b"", b"", None)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "its answer is not JSON"),
        (b"NaN", "its answer is not JSON"),
        (b"", "its answer is not JSON"),
        (b'{"y": 1e999}', "its answer is not JSON"),
        (b"[" * 50_000, "its answer is not JSON"),
        (b"\xff", "its answer is not JSON"),
        (b"1" * 20_000, "its answer is not JSON"),
        (b'{"x": 1}', "its answer has nothing at '/y'"),
        (b"3", "its answer has nothing at '/y'"),
        (b"x" * 200_000, "127.0.0.1: answered more than 100000 bytes"),
    ],
)
async def test_an_answer_that_is_not_as_described_is_a_failed_result(
    web: Web, workshop: Workshop, body: bytes, told: str
) -> None:
    web.says("/", body)
    outcome = await call(workshop, tool(web, "/", result={"pointer": "/y"}), a=1)

    assert (outcome.exit_code, outcome.stderr.decode(), outcome.result) == (1, told, None)


async def test_another_status_is_a_failed_result_with_the_beginning_of_the_answer(web: Web, workshop: Workshop) -> None:
    web.says("/", b"no such pair" + b"x" * 5000, status="404 Not Found")
    outcome = await call(workshop, tool(web, "/"), a=1)

    assert outcome.exit_code == 1
    assert outcome.stderr.startswith(b"it answered 404 Not Found: no such pair")
    assert len(outcome.stderr) < 1100
    assert (await call(workshop, tool(web, "/", result={"statuses": [404]}), a=1)).exit_code == 1  # it is no JSON
    web.says("/", b"{}", status="404 Not Found")
    assert (await call(workshop, tool(web, "/", result={"statuses": [404]}), a=1)).exit_code == 0


async def test_a_redirect_is_a_failed_result_unless_it_is_granted_and_to_be_followed(web: Web, workshop: Workshop) -> None:
    web.says("/", status="302 Found", Location="/next")
    web.says("/next", b'"there"')
    assert (await call(workshop, tool(web, "/"), a=1)).stderr.startswith(b"it answered 302 Found")
    assert (await call(workshop, tool(web, "/", redirects=1), a=1)).result == b'"there"'

    web.says("/", status="302 Found", Location="http://169.254.169.254/")
    outcome = await call(workshop, tool(web, "/", redirects=1), a=1)
    assert outcome.stderr == b"capabilities.network does not grant GET to 169.254.169.254:80"


async def test_a_server_that_is_not_there_is_a_failed_result(web: Web, workshop: Workshop) -> None:
    outcome = await call(workshop, tool(web, "http://127.0.0.1:9/", grant={"ports": [9]}), a=1)

    assert outcome.stderr == b"127.0.0.1: no connection could be made"


# Secrets


async def test_a_secret_is_sent_in_its_header_and_taken_out_of_what_comes_back(web: Web, workshop: Workshop) -> None:
    version = tool(web, "/", headers={"Authorization": "Bearer {secret:TOKEN}"})
    web.says("/", json.dumps({"you sent": SECRET}).encode())
    await KIND.admit(version, "org_1", workshop)
    outcome = await call(workshop, version, a=1)

    assert f"\r\nAuthorization: Bearer {SECRET}\r\n".encode() in web.requests[-1]
    assert outcome.result == b'{"you sent": "[secret TOKEN]"}'
    web.says("/", SECRET.encode(), status="500 Internal Server Error")
    assert (await call(workshop, version, a=1)).stderr == b"it answered 500 Internal Server Error: [secret TOKEN]"


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"said": ODD}).encode(),
        rb'{"said": "ab+cd\/ef<gh&ij\\kl"}',
        rb'{"said": "ab\u002Bcd/ef\u003cgh\u0026ij\u005Ckl"}',
        json.dumps({"said": ODD}).encode("utf-16"),
        json.dumps({"said": ODD}).encode("utf-32-be"),
        ODD.encode(),
        quote(ODD, safe="").encode(),
        re.sub("%..", lambda code: code[0].lower(), quote_plus(ODD)).encode(),
        html.escape(ODD).encode(),
        b"ab&#43;cd&#x2F;ef&#060;gh&#x26;ij&#x5c;kl",
        b"ab&plus;cd&sol;ef&lt;gh&amp;ij\\kl",
        json.dumps({"said": html.escape(ODD)}).replace("&", r"\u0026").encode(),
    ],
    ids=[
        *("JSON", "slashes", "codes", "UTF-16", "UTF-32", "text", "URL", "form"),
        *("HTML", "HTML by numbers", "HTML by names", "HTML in JSON"),
    ],
)
@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
async def test_a_secret_is_taken_out_however_it_is_written(web: Web, workshop: Workshop, body: bytes, status: str) -> None:
    for mapping in ({"result": {"pointer": "/said"}}, {}):
        version = tool(web, "/", headers={"X": "{secret:ODD}"}, **mapping)
        for kind in ("application/json", "text/plain"):
            web.says("/", body, status=status, Content_Type=kind)
            outcome = await call(workshop, version, a=1)
            told = (outcome.result or b"") + outcome.stdout + outcome.stderr
            told = unquote_to_bytes(html.unescape(told.replace(b"\x00", b"").replace(b"\\", b"").decode(errors="replace")))
            assert b"cd/ef" not in told


async def test_of_two_secrets_that_begin_alike_nothing_is_left(web: Web, workshop: Workshop) -> None:
    web.says("/", json.dumps([f"{ODD}, and the rest", ODD]).encode())
    version = tool(web, "/", headers={"X": "{secret:ODD}", "Y": "{secret:LONG}"})
    assert (await call(workshop, version, a=1)).result == b'["[secret LONG]", "[secret ODD]"]'


async def test_a_secret_that_was_taken_from_an_organisation_is_not_sent_by_a_tool_of_before(
    web: Web, workshop: Workshop
) -> None:
    outcome = await call(workshop, tool(web, "/", headers={"X": "{secret:OTHERS}"}), a=1)
    assert (outcome.exit_code, web.requests) == (1, [])
    assert b"the secret 'OTHERS' is not there for" in outcome.stderr


async def test_a_call_that_is_redirected_elsewhere_keeps_its_idempotency_key_and_no_secret(
    web: Web, workshop: Workshop
) -> None:
    async with open_web() as other:
        web.says("/", status="307 Temporary Redirect", Location=f"{other.origin}/there")
        other.says("/there", b'"done"')
        runtime: dict[str, Any] = {"method": "POST", "body": {"a": "{a}"}, "redirects": 1}
        grant = {"methods": ["POST"], "ports": [web.port, other.port]}
        version = tool(web, "/", effect="idempotent", headers={"X": "{secret:TOKEN}"}, grant=grant, **runtime)
        assert (await call(workshop, version, a=1)).result == b'"done"'
    [asked] = other.requests
    assert json.loads(asked.partition(b"\r\n\r\n")[2]) == {"a": 1}
    assert b"\r\nidempotency-key: " in asked.lower()
    assert b"\r\ncontent-type: application/json\r\n" in asked.lower()
    assert SECRET.encode() not in asked


async def test_a_secret_is_in_no_representation_of_what_is_kept(web: Web, workshop: Workshop) -> None:
    work = KIND.prepare(
        tool(web, "/", headers={"X": "{secret:TOKEN}"}),
        Call(id="c", organization_id="org_1", arguments={"a": 1}),
    )

    assert SECRET not in repr(work) + repr(workshop)


async def test_an_argument_that_looks_like_a_secret_is_text(web: Web, workshop: Workshop) -> None:
    await call(workshop, tool(web, "/", headers={"X": "{b}"}), a=1, b="{secret:TOKEN}")

    assert b"\r\nX: {secret:TOKEN}\r\n" in web.requests[-1]


async def test_a_secret_goes_to_no_origin_that_the_operator_did_not_name(web: Web, workshop: Workshop) -> None:
    outcome = await call(workshop, tool(web, "/", headers={"X": "{secret:ELSEWHERE}"}), a=1)

    assert (outcome.exit_code, web.requests) == (1, [])
    assert outcome.stderr.decode() == f"the secret 'ELSEWHERE' is not there for {web.origin}"


# What is refused when a tool is registered


@pytest.mark.parametrize(
    ("runtime", "path"),
    [
        ({"url": "https://{a}.example.com/"}, "url"),
        ({"url": "https://{a}/"}, "url"),
        ({"url": "https://example.com:{a}/"}, "url"),
        ({"url": "https://user:{a}@example.com/"}, "url"),
        ({"url": "https://user@example.com/"}, "url"),
        ({"url": "{a}"}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "//example.com/"}, "url"),
        ({"url": "https://example.com"}, None),
        ({"url": "https://example.com/#x"}, "url"),
        ({"url": "https://example.com\\@evil.example/"}, "url"),
        ({"url": "https://example.com/a b"}, "url"),
        ({"url": "https://exämple.com/"}, "url"),
        ({"url": "https://example.com/{secret:TOKEN}"}, "url"),
        ({"url": "https://example.com/{a"}, "url"),
        ({"url": "https://example.com/{}"}, "url"),
        ({"url": "https://example.com:0x50/"}, "url"),
        ({"url": "https://example.com:99999/"}, "url"),
        ({"url": "https://xn--a/"}, "url"),
        ({"url": "https://xn--bcher-kva.example/"}, None),
        ({"url": "https://[::1/"}, "url"),
        ({"url": "https://example.com/", "method": "CONNECT"}, "method"),
        ({"url": "https://example.com/", "headers": {"Host": "evil.example"}}, "headers"),
        ({"url": "https://example.com/", "headers": {"content-length": "5"}}, "headers"),
        ({"url": "https://example.com/", "headers": {"X": "a\r\nY: b"}}, "headers"),
        ({"url": "https://example.com/", "headers": {"X\r\nY": "b"}}, "headers"),
        ({"url": "https://example.com/", "query": {"x": "{secret:TOKEN}"}}, "query"),
        ({"url": "https://example.com/", "result": {"pointer": "x"}}, "result"),
        ({"url": "https://example.com/", "result": {"pointer": "/x/-"}}, "result"),
        ({"url": "https://example.com/", "result": {"pointer": "/~2"}}, "result"),
        ({"url": "https://example.com/", "redirects": 100}, "redirects"),
        ({"url": "https://example.com/", "verify": False}, "verify"),
    ],
)
def test_what_is_no_request_is_refused_with_its_path(runtime: Mapping[str, Any], path: str | None) -> None:
    options = {"kind": "http", **runtime}
    if path is None:
        KIND.Options.model_validate(options)
        return
    with pytest.raises(ValidationError) as refused:
        KIND.Options.model_validate(options)
    assert refused.value.errors()[0]["loc"][0] == path


@pytest.mark.parametrize(
    ("changes", "path", "told"),
    [
        ({"url": "/{d}"}, "runtime.url", r"\{d\} names no parameter; there are: a, b, c"),
        ({"url": "/{b}"}, "runtime.url", "must be required"),
        ({"query": {"x": "{d}"}}, "runtime.query.x", "names no parameter"),
        ({"headers": {"X": "{d}"}}, "runtime.headers.X", "names no parameter"),
        ({"body": {"x": ["{d}"]}}, "runtime.body.x[0]", "names no parameter"),
        ({"body": {"x": "{secret:TOKEN}"}}, "runtime.body.x", "a secret may stand in a header only"),
        ({"body": "}"}, "runtime.body", "braces are written twice"),
        ({"grant": {"host": "api.example.com"}}, "runtime.url", "does not grant GET to 127.0.0.1"),
        ({"grant": {"ports": [443]}}, "runtime.url", "does not grant"),
        ({"grant": {"methods": ["POST"]}}, "runtime.url", "does not grant"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "runtime.headers.x-a", "is the header 'X-A' again"),
        (
            {"headers": {"idempotency-key": "{a}"}, "effect": "idempotent"},
            "runtime.headers.idempotency-key",
            "an idempotent tool's key goes into this header",
        ),
        ({"url": "/{a}/../.."}, "runtime.url", "taken out of a path"),
        ({"url": "/./x"}, "runtime.url", "taken out of a path"),
        ({"url": "/%2e%2E/{a}"}, "runtime.url", "taken out of a path"),
        ({"url": "/x%5c..%2f{a}?q=1"}, "runtime.url", "taken out of a path"),
        ({"headers": {"X": "{secret:NOT_GRANTED}"}}, "runtime.headers.X", "capabilities.secrets does not grant 'NOT_GRANTED'"),
        ({"headers": {"X": "{secret:NOBODYS}"}}, "runtime.headers.X", "the operator has set no secret 'NOBODYS' for"),
        ({"headers": {"X": "{secret:OTHERS}"}}, "runtime.headers.X", "the operator has set no secret 'OTHERS' for"),
        ({"headers": {"X": "{secret:ELSEWHERE}"}}, "runtime.headers.X", "the operator has set no secret 'ELSEWHERE' for"),
    ],
)
async def test_what_a_manifest_does_not_grant_or_name_is_refused_with_its_path(
    web: Web, workshop: Workshop, changes: Mapping[str, Any], path: str, told: str
) -> None:
    with pytest.raises(ManifestRefused, match=told) as refused:
        await KIND.admit(tool(web, **changes), "org_1", workshop)
    assert refused.value.path == path


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "2852039166",
        "0xa9.0xfea9fe",
        "10.1",
    ],
)
async def test_an_address_that_no_call_may_speak_to_is_refused_when_the_tool_is_registered(
    web: Web, workshop: Workshop, host: str
) -> None:
    """By the operator's rules for calls: here they allow 127.0.0.0/8."""
    version = tool(web, f"http://{host}/x", grant={"host": str(URL(f"http://{host}").host), "ports": [80]})
    with pytest.raises(ManifestRefused, match=r"is never spoken to|is private") as refused:
        await KIND.admit(version, "org_1", workshop)
    assert refused.value.path == "runtime.url"
    outcome = await call(workshop, version, a=1)
    assert (outcome.exit_code, outcome.stderr.decode()) == (1, str(refused.value))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "localhost", "api.example.com", "8.8.8.8"])
async def test_an_address_that_the_operator_allows_and_a_name_are_admitted(web: Web, workshop: Workshop, host: str) -> None:
    version = tool(web, f"http://{host}/...{{a}}/..x?q=../..", grant={"host": host, "ports": [80]})
    assert await KIND.admit(version, "org_1", workshop) == version.runtime


async def test_a_host_is_the_same_however_it_is_written(web: Web, workshop: Workshop) -> None:
    """Grants and secrets name origins: what is admitted under one spelling is not refused at the call under another."""
    headers = {"X": "{secret:ELSEWHERE}"}
    version = tool(web, "https://API.Example.COM:443/{a}", headers=headers, grant={"host": "Api.example.com", "ports": [443]})
    await KIND.admit(version, "org_1", workshop)
    work = KIND.prepare(version, Call(id="c", organization_id="org_1", arguments={"a": 1}))
    assert isinstance(work, HttpWork)
    assert str(work.url) == "https://api.example.com/1"


async def test_a_header_of_the_manifest_holds_whatever_its_case(web: Web, workshop: Workshop) -> None:
    headers = {"content-type": "application/merge-patch+json"}
    version = tool(web, "/", method="PATCH", headers=headers, body={"x": "{a}"}, grant={"methods": ["PATCH"]})
    await KIND.admit(version, "org_1", workshop)
    await call(workshop, version, a=1)
    assert sent(web, b"content-type") == [b"application/merge-patch+json"]


async def test_the_key_of_an_idempotent_call_stands_alone_in_its_header(web: Web, workshop: Workshop) -> None:
    """Also for a manifest that was registered when it could name that header."""
    version = tool(web, "/", effect="idempotent", headers={"idempotency-key": "theirs", "IDEMPOTENCY-KEY": "too"})
    await call(workshop, version, a=1)
    [key] = sent(web, b"idempotency-key")
    assert key not in (b"theirs", b"too")
    await KIND.admit(tool(web, "/", headers={"idempotency-key": "{a}"}), "org_1", workshop)  # no call of it has a key of ours


def sent(web: Web, name: bytes) -> list[bytes]:
    """The values of a header in the last request."""
    lines = [line.partition(b": ") for line in web.requests[-1].split(b"\r\n")]
    return [value for found, _, value in lines if found.lower() == name]


async def test_what_is_granted_and_named_is_admitted(web: Web, workshop: Workshop) -> None:
    version = tool(web, "/{a}", headers={"X": "{secret:OTHERS}"}, query={"b": "{b}"})
    assert await KIND.admit(version, "org_2", workshop) == version.runtime
