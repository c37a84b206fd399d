"""What a hostile or clumsy caller can send, and the one shape of what it gets."""

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.conftest import Gateway

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {gateway.key}"}, timeout=60) as client:
        yield client


@pytest.fixture
def nobody(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        yield client


def status_of(code: str) -> int:
    return 404 if code == "model_not_found" else 400


def refusal(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error, after a look at its shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert "content-security-policy" in response.headers
    assert response.headers["x-request-id"]
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert error["message"]
    assert error["code"]
    return error


BROKEN_BODIES = {
    "nothing": b"",
    "cut off": b'{"input": "a"',
    "trailing comma": b'{"input": "a",}',
    "two values": b'{"input": "a"} {}',
    "not utf-8": b'{"input": "\xff\xfe"}',
    "half a surrogate pair": b'{"input": "\\ud800"}',
    "no number": b'{"input": "a", "temperature": NaN}',
    "deep arrays": b"[" * 10_000,
    "deep objects": b'{"a":' * 10_000,
    "deep inside": b'{"input": "a", "metadata": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
    "endless number": b'{"input": "a", "max_output_tokens": ' + b"9" * 100_000 + b"}",
}


@pytest.mark.parametrize("body", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
@pytest.mark.parametrize("path", [RESPONSES, CHAT, "/v1/conversations", "/admin/v1/keys"])
def test_broken_json_is_told_with_its_place(http: httpx.Client, path: str, body: bytes) -> None:
    error = refusal(http.post(path, content=body, headers={"content-type": "application/json"}), 400)
    assert error["code"] == "invalid_json"
    assert re.search(r"line 1 column \d+", error["message"])


def function(**fields: Any) -> dict[str, Any]:
    return {"input": "a", "tools": [{"type": "function", "name": "f", **fields}]}


def message(*content: Any, role: str = "user") -> dict[str, Any]:
    return {"input": [{"role": role, "content": list(content)}]}


BAD_RESPONSES: dict[str, tuple[Any, str | None, str]] = {
    "no object": ([], None, "invalid_type"),
    "no input": ({}, "input", "missing_required_parameter"),
    "empty input": ({"input": []}, "input", "missing_required_parameter"),
    "input of a wrong type": ({"input": 5}, "input", "invalid_type"),
    "no item": ({"input": [5]}, "input[0]", "invalid_type"),
    "unknown item": ({"input": [{"type": "computer_call"}]}, "input[0].type", "unsupported_value"),
    "item without type": ({"input": [{"name": "a"}]}, "input[0].type", "missing_required_parameter"),
    "reference to no item": ({"input": [{"type": "item_reference"}]}, "input[0].id", "missing_required_parameter"),
    "reference that is no id": ({"input": [{"type": "item_reference", "id": "msg\u0000"}]}, "input[0].id", "invalid_value"),
    "reference with more": (
        {"input": [{"type": "item_reference", "id": "msg_1", "role": "user"}]},
        "input[0].role",
        "unknown_parameter",
    ),
    "two references to one": ({"input": [{"id": "msg_1"}, {"id": "msg_1"}]}, "input", "duplicate_item"),
    "unknown role": ({"input": [{"role": "robot", "content": "a"}]}, "input[0].role", "unsupported_value"),
    "unknown content": (message({"type": "input_file", "file_id": "f"}), "input[0].content[0].type", "unsupported_value"),
    "text that is none": (message({"type": "input_text", "text": 1}), "input[0].content[0].text", "invalid_type"),
    "image that is read from disk": (
        message({"type": "input_image", "image_url": "file:///etc/passwd"}),
        "input[0].content[0].image_url",
        "invalid_value",
    ),
    "image for a model without eyes": (
        message({"type": "input_image", "image_url": "https://example.com/a.png"}),
        "input[0]",
        "unsupported_image",
    ),
    "unknown parameter": ({"input": "a", "temprature": 1}, "temprature", "unknown_parameter"),
    "unsupported parameter": ({"input": "a", "prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
    "background": ({"input": "a", "background": True, "store": False}, "store", "invalid_value"),
    "service tier": ({"input": "a", "service_tier": "gold"}, "service_tier", "unsupported_value"),
    "how much to say": ({"input": "a", "text": {"verbosity": "loud"}}, "text.verbosity", "unsupported_value"),
    "how long to cache": ({"input": "a", "prompt_cache_retention": "1h"}, "prompt_cache_retention", "unsupported_value"),
    "log probabilities": ({"input": "a", "top_logprobs": 3}, "top_logprobs", "unsupported_parameter"),
    "include of log probabilities": (
        {"input": "a", "include": ["message.output_text.logprobs"]},
        "include[0]",
        "unsupported_value",
    ),
    "number as text": ({"input": "a", "max_output_tokens": "5"}, "max_output_tokens", "invalid_type"),
    "truth as number": ({"input": "a", "store": 1}, "store", "invalid_type"),
    "too hot": ({"input": "a", "temperature": 3}, "temperature", "invalid_value"),
    "endlessly hot": ('{"input": "a", "temperature": 1e999}', "temperature", "invalid_value"),
    "no tokens": ({"input": "a", "max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
    "more tokens than fit a number": ({"input": "a", "max_output_tokens": 2**70}, "max_output_tokens", "invalid_value"),
    "metadata of a wrong type": ({"input": "a", "metadata": {"n": 1}}, "metadata.n", "invalid_type"),
    "metadata without end": ({"input": "a", "metadata": {str(n): "" for n in range(17)}}, "metadata", "invalid_value"),
    "stream options without a stream": ({"input": "a", "stream_options": {}}, "stream_options", "invalid_value"),
    "two histories": (
        {"input": "a", "conversation": "conv_1", "previous_response_id": "resp_1"},
        "previous_response_id",
        "mutually_exclusive",
    ),
    "unknown tool": ({"input": "a", "tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_value"),
    "tools of a server of the caller's": (
        {"input": "a", "tools": [{"type": "mcp", "server_label": "registry", "server_url": "https://example.com/mcp"}]},
        "tools[0].server_url",
        "unsupported_parameter",
    ),
    "somebody's container": (
        {"input": "a", "tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
        "tools[0].container",
        "invalid_type",
    ),
    "container with files": (
        {"input": "a", "tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}}]},
        "tools[0].container.file_ids",
        "unsupported_parameter",
    ),
    "two tools of one name": (
        {"input": "a", "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "f"}]},
        "tools[1].name",
        "invalid_value",
    ),
    "function without a usable name": (function(name="a b"), "tools[0].name", "invalid_value"),
    "schema that is none": (
        function(parameters={"type": "object", "properties": 5}),
        "tools[0].parameters",
        "invalid_json_schema",
    ),
    "schema of no object": (function(parameters={"type": "string"}), "tools[0].parameters", "invalid_json_schema"),
    "schema from a file of ours": (
        function(parameters={"type": "object", "$ref": "file:///etc/passwd"}),
        "tools[0].parameters",
        "invalid_json_schema",
    ),
    "schema whose patterns take long to compile": (
        function(parameters={"type": "object", "allOf": [{"pattern": rf"(?=\pL{{99}}){n}"} for n in range(100)]}),
        "tools[0].parameters",
        "invalid_json_schema",
    ),
    "schema with an infinite number": (
        '{"input": "a", "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "x": 1e999}}]}',
        "tools[0].parameters.x",
        "invalid_value",
    ),
    "choice of a tool that is not there": (
        {"input": "a", "tool_choice": {"type": "function", "name": "g"}},
        "tool_choice",
        "invalid_value",
    ),
    "choice among tools of which one is not there": (
        {
            **function(),
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
            },
        },
        "tool_choice.tools[1]",
        "invalid_value",
    ),
    "choice among nothing": ({"input": "a", "tool_choice": "required"}, "tool_choice", "invalid_value"),
    "format without a schema": (
        {"input": "a", "text": {"format": {"type": "json_schema", "name": "x"}}},
        "text.format.schema",
        "missing_required_parameter",
    ),
    "unknown model": ({"input": "a", "model": "gpt-6"}, "model", "model_not_found"),
}


@pytest.mark.parametrize(("body", "param", "code"), BAD_RESPONSES.values(), ids=BAD_RESPONSES)
def test_what_is_wrong_with_a_response_is_named(http: httpx.Client, body: Any, param: str | None, code: str) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    error = refusal(http.post(RESPONSES, content=content, headers={"content-type": "application/json"}), status_of(code))
    assert (error["param"], error["code"]) == (param, code), error["message"]
    assert error["type"] == "invalid_request_error"


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "scripted", "messages": [{"role": "user", "content": "a"}], **fields}


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
BAD_CHATS: dict[str, tuple[Any, str, str]] = {
    "no messages": ({"model": "scripted"}, "messages", "missing_required_parameter"),
    "empty messages": (chat(messages=[]), "messages", "invalid_value"),
    "unknown role": (chat(messages=[{"role": "function", "content": "a"}]), "messages[0].role", "unsupported_value"),
    "message without role": (chat(messages=[{"content": "a"}]), "messages[0].role", "missing_required_parameter"),
    "result of no call": (
        chat(messages=[{"role": "tool", "content": "a"}]),
        "messages[0].tool_call_id",
        "missing_required_parameter",
    ),
    "image for a model without eyes": (
        chat(
            messages=[{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "t"}, PICTURE]}]
        ),
        "messages[1].content[1]",
        "unsupported_image",
    ),
    "several choices": (chat(n=2), "n", "unsupported_parameter"),
    "log probabilities": (chat(logprobs=True), "logprobs", "unsupported_parameter"),
    "sound": (chat(modalities=["text", "audio"]), "modalities", "unsupported_parameter"),
    "functions as they once were": (chat(functions=[{"name": "f"}]), "functions", "unsupported_parameter"),
    "bias": (chat(logit_bias={"1": 5}), "logit_bias", "unsupported_parameter"),
    "message with more": (
        chat(messages=[{"role": "assistant", "content": [{"type": "text", "text": "a", "mood": "good"}]}]),
        "messages[0].content[0].mood",
        "unknown_parameter",
    ),
    "choice among functions of which one is not there": (
        chat(
            tool_choice={
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "g"}}]},
            }
        ),
        "tool_choice.allowed_tools.tools[0]",
        "invalid_value",
    ),
    "web search": (chat(web_search_options={}), "web_search_options", "unsupported_parameter"),
    "misspelt": (chat(max_token=5), "max_token", "unknown_parameter"),
    "tool without a function": (chat(tools=[{"type": "function"}]), "tools[0].function", "missing_required_parameter"),
    "too many stops": (chat(stop=["a", "b", "c", "d", "e"]), "stop", "array_above_max_length"),
    "unknown model": (chat(model="gpt-6"), "model", "model_not_found"),
}


@pytest.mark.parametrize(("body", "param", "code"), BAD_CHATS.values(), ids=BAD_CHATS)
def test_what_is_wrong_with_a_chat_is_named(http: httpx.Client, body: Any, param: str, code: str) -> None:
    error = refusal(http.post(CHAT, json=body), status_of(code))
    assert (error["param"], error["code"]) == (param, code), error["message"]


def test_a_refused_stream_is_a_status_and_no_stream(http: httpx.Client) -> None:
    refusal(http.post(RESPONSES, json={"input": "a", "model": "gpt-6", "stream": True}), 404)
    refusal(http.post(CHAT, json=chat(model="gpt-6", stream=True)), 404)


@pytest.mark.parametrize("sent", ["with its length", "in chunks"])
def test_a_body_of_a_hundred_megabytes_is_refused(http: httpx.Client, sent: str) -> None:
    whole = b'{"input": "' + b"a" * 100_000_000 + b'"}'
    content = whole if sent == "with its length" else (whole[at : at + 2**20] for at in range(0, len(whole), 2**20))
    response = http.post(RESPONSES, content=content, headers={"content-type": "application/json"})
    assert refusal(response, 413)["code"] == "request_too_large"


def test_a_body_of_another_type_is_refused(http: httpx.Client) -> None:
    error = refusal(http.post(RESPONSES, data={"input": "a"}), 415)
    assert error["code"] == "unsupported_media_type"


def test_unknown_places_and_methods_have_the_same_shape(http: httpx.Client, nobody: httpx.Client) -> None:
    assert refusal(nobody.get("/"), 404)["code"] == "unknown_url"
    assert refusal(http.get("/v1/nothing"), 404)["code"] == "unknown_url"
    assert refusal(http.get("/v1/responses/"), 404)["code"] == "unknown_url"
    assert refusal(http.put(RESPONSES), 405)["code"] == "method_not_allowed"


QUERIES = {
    "/v1/models?limit=5": "limit",
    "/v1/responses/resp_x?limit=5": "limit",
    "/v1/responses/resp_x?starting_after=1": "starting_after",
    "/v1/responses/resp_x?stream=true&starting_after=-2": "starting_after",
    "/v1/responses/resp_x?stream=true&starting_after=abc": "starting_after",
    "/v1/responses/resp_x?stream=maybe": "stream",
    "/v1/responses/resp_x?include[]=nonsense": "include[0]",
    "/v1/responses/resp_x/input_items?limit=0": "limit",
    "/v1/responses/resp_x/input_items?limit=101": "limit",
    "/v1/responses/resp_x/input_items?limit=1&limit=2": "limit",
    "/v1/responses/resp_x/input_items?order=sideways": "order",
    "/v1/responses/resp_x/input_items?before=x": "before",
    "/admin/v1/keys?limit=-1": "limit",
    "/admin/v1/keys?after=nonsense": "after",
    "/admin/v1/organizations?after=%F0%9F%8E%89": "after",
}


@pytest.mark.parametrize(("path", "param"), QUERIES.items(), ids=QUERIES)
def test_nonsense_in_a_query_is_named(http: httpx.Client, path: str, param: str) -> None:
    assert refusal(http.get(path), 400)["param"] == param


def test_a_cursor_that_is_nonsense_is_named(http: httpx.Client) -> None:
    response = http.post(RESPONSES, json={"input": "a"}).json()
    conversation = http.post("/v1/conversations", json={}).json()
    for path in (f"{RESPONSES}/{response['id']}/input_items", f"/v1/conversations/{conversation['id']}/items"):
        for cursor in ("nonsense", "msg_" + "0" * 32, "%00", "'; drop table items; --", "a" * 5000):
            assert refusal(http.get(f"{path}?after={cursor}"), 400)["param"] in ("after", None)
    stream = http.get(f"{RESPONSES}/{response['id']}?stream=true", headers={"last-event-id": "abc"})
    assert refusal(stream, 400)["param"] == "last-event-id"


@pytest.mark.parametrize("ident", ["resp_" + "0" * 32, "x", "..", "%2e%2e%2f", "a" * 5000, "%F0%9F%8E%89", "%ff"])
def test_an_id_that_is_nonsense_is_not_found(http: httpx.Client, ident: str) -> None:
    for path in (
        f"{RESPONSES}/{ident}",
        f"{RESPONSES}/{ident}/input_items",
        f"/v1/conversations/{ident}",
        f"/v1/conversations/{ident}/items",
        f"{CHAT}/{ident}",
        f"/v1/models/{ident}",
    ):
        refusal(http.get(path), 404)
    refusal(http.delete(f"/admin/v1/keys/{ident}"), 404)
    refusal(http.post(f"/admin/v1/turns/{ident}/cancel"), 404)


def other_tenant(http: httpx.Client, **fields: Any) -> dict[str, str]:
    """Headers of a key of another organisation."""
    organization = http.post("/admin/v1/organizations", json={"name": "Another"}).json()
    key = http.post("/admin/v1/keys", json={"name": "theirs", "organization_id": organization["id"], **fields}).json()
    return {"authorization": f"Bearer {key['secret']}"}


def test_what_belongs_to_another_tenant_is_not_found_exactly_like_what_is_not_there(http: httpx.Client) -> None:
    response = http.post(RESPONSES, json={"input": "secret"}).json()
    completion = http.post(CHAT, json=chat(store=True)).json()
    conversation = http.post("/v1/conversations", json={"items": [{"role": "user", "content": "secret"}]}).json()
    [item] = http.get(f"/v1/conversations/{conversation['id']}/items").json()["data"]
    theirs = other_tenant(http, scopes=["chat", "admin"])

    def unlike(method: str, path: str, **options: Any) -> None:
        """The refusals of a foreign id and of a made-up one differ in nothing but the id."""
        foreign = http.request(method, path, headers=theirs, **options)
        made_up = http.request(
            method, re.sub(r"[0-9a-f]{32,36}", lambda found: "f" * len(found[0]), path), headers=theirs, **options
        )
        assert refusal(foreign, 404)["code"] == refusal(made_up, 404)["code"]
        assert "secret" not in foreign.text

    unlike("GET", f"{RESPONSES}/{response['id']}")
    unlike("GET", f"{RESPONSES}/{response['id']}?stream=true")
    unlike("GET", f"{RESPONSES}/{response['id']}/input_items")
    unlike("POST", f"{RESPONSES}/{response['id']}/cancel")
    unlike("DELETE", f"{RESPONSES}/{response['id']}")
    unlike("POST", f"/admin/v1/turns/{response['id']}/cancel")
    unlike("GET", f"{CHAT}/{completion['id']}")
    unlike("DELETE", f"{CHAT}/{completion['id']}")
    unlike("GET", f"/v1/conversations/{conversation['id']}")
    unlike("POST", f"/v1/conversations/{conversation['id']}", json={"metadata": {}})
    unlike("GET", f"/v1/conversations/{conversation['id']}/items")
    unlike("GET", f"/v1/conversations/{conversation['id']}/items/{item['id']}")
    unlike("DELETE", f"/v1/conversations/{conversation['id']}/items/{item['id']}")
    unlike("DELETE", f"/v1/conversations/{conversation['id']}")
    for field, status, ident in (("previous_response_id", 400, response["id"]), ("conversation", 404, conversation["id"])):
        made_up = re.sub(r"[0-9a-f]{32}", "f" * 32, ident)
        asked = [http.post(RESPONSES, json={"input": "a", field: one}, headers=theirs) for one in (ident, made_up)]
        assert [refusal(one, status)["code"] for one in asked] == [f"{field.removesuffix('_id')}_not_found"] * 2
    assert http.get(f"{RESPONSES}/{response['id']}").status_code == 200


def test_keys_are_needed_and_must_be_good(http: httpx.Client, nobody: httpx.Client) -> None:
    for headers in ({}, {"authorization": "Basic eDp5"}, {"authorization": "Bearer"}):
        response = nobody.get("/v1/models", headers=headers)
        assert refusal(response, 401)["code"] == "missing_api_key"
        assert response.headers["www-authenticate"] == "Bearer"
    for token in ("pk_nonsense", "pk_" + "a" * 51, "x" * 5000, "pk_\xff"):
        error = refusal(nobody.get("/v1/models", headers={"authorization": f"Bearer {token}".encode("latin-1")}), 401)
        assert (error["code"], error["type"]) == ("invalid_api_key", "authentication_error")
    broken = nobody.post(RESPONSES, content=b"{", headers={"content-type": "application/json"})
    refusal(broken, 401)  # who asks comes before what


def test_a_key_that_was_revoked_a_moment_ago_opens_nothing_and_stops_what_runs(http: httpx.Client) -> None:
    key = http.post("/admin/v1/keys", json={"name": "short-lived"}).json()
    theirs = {"authorization": f"Bearer {key['secret']}"}
    assert http.get("/v1/models", headers=theirs).status_code == 200
    with http.stream("POST", RESPONSES, json={"input": "a saga", "stream": True}, headers=theirs) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: response.created"
        revoked = http.delete(f"/admin/v1/keys/{key['id']}").json()
        assert revoked["revoked_at"]
        assert refusal(http.get("/v1/models", headers=theirs), 401)["code"] == "key_revoked"
        events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert events[-1] != "response.completed"


def test_a_secret_is_shown_once_and_scopes_hold(http: httpx.Client) -> None:
    made = http.post("/admin/v1/keys", json={"name": "plain"}).json()
    assert made["scopes"] == ["chat"]
    assert made["secret"].startswith(made["prefix"])
    listed = http.get("/admin/v1/keys?limit=100").text
    assert made["id"] in listed
    assert made["secret"] not in listed
    plain = {"authorization": f"Bearer {made['secret']}"}
    for path in ("/admin/v1/keys", "/admin/v1/organizations"):
        assert refusal(http.get(path, headers=plain), 403)["code"] == "permission_denied"
    administrator = other_tenant(http, scopes=["chat", "admin"])
    assert refusal(http.get("/admin/v1/organizations", headers=administrator), 403)["type"] == "permission_error"
    refusal(http.post("/admin/v1/keys", json={"name": "more", "scopes": ["operator"]}, headers=administrator), 403)


def test_ten_thousand_items_are_paged_through_whole(http: httpx.Client) -> None:
    conversation = http.post("/v1/conversations", json={}).json()
    path = f"/v1/conversations/{conversation['id']}/items"
    for start in range(0, 10_000, 20):
        items = [{"role": "user", "content": str(start + n)} for n in range(20)]
        assert http.post(path, json={"items": items}).status_code == 200
    refusal(http.post(path, json={"items": [{"role": "user", "content": "x"}] * 21}), 400)
    seen: list[str] = []
    page: dict[str, Any] = {"has_more": True, "last_id": None}
    while page["has_more"]:
        after = f"&after={page['last_id']}" if page["last_id"] else ""
        page = http.get(f"{path}?order=asc&limit=100{after}").json()
        seen += [item["content"][0]["text"] for item in page["data"]]
    assert seen == [str(n) for n in range(10_000)]


def test_ids_and_traces_are_taken_from_the_client_when_they_are_sane(nobody: httpx.Client) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = {"x-request-id": "my-request.1", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    answer = nobody.get("/health/live", headers=sent)
    assert (answer.headers["x-request-id"], answer.headers["x-paddock-trace-id"]) == ("my-request.1", trace)
    for insane in ("a b", "a" * 129, "<script>", "\xe9"):
        headers = {"x-request-id": insane.encode("latin-1"), "traceparent": b"00-" + b"0" * 32 + b"-0-01"}
        answer = nobody.get("/health/live", headers=headers)
        assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-paddock-trace-id"])


def test_the_access_log_has_a_line_for_each_request_and_no_secret(http: httpx.Client, gateway: Gateway) -> None:
    http.get("/v1/responses/resp_x?include[]=nonsense", headers={"x-request-id": "look-for-me"})
    while "look-for-me" not in gateway.log.read_text():  # it is written after the answer
        time.sleep(0.02)
    [line] = [json.loads(line) for line in gateway.log.read_text().splitlines() if "look-for-me" in line]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/responses/{response_id}", 400)
    assert line["key"].startswith("key_")
    assert line["organization"].startswith("org_")
    assert line["bytes"] > 0
    everything = gateway.log.read_text()
    assert gateway.key not in everything
    assert "nonsense" not in everything


def test_a_browser_of_a_named_origin_may_ask(nobody: httpx.Client) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    allowed = nobody.options(RESPONSES, headers={"origin": "https://app.example.com", **asked})
    assert allowed.headers["access-control-allow-origin"] == "https://app.example.com"
    refused = nobody.options(RESPONSES, headers={"origin": "https://evil.example.com", **asked})
    assert "access-control-allow-origin" not in refused.headers


def test_health_needs_no_key_and_openapi_names_every_route(nobody: httpx.Client) -> None:
    assert nobody.get("/health/live").json() == {"status": "ok"}
    ready = nobody.get("/health/ready")
    assert (ready.status_code, set(ready.json()["checks"].values())) == (200, {"ok"})
    document = nobody.get("/openapi.json").json()
    assert {RESPONSES, CHAT, "/v1/models", "/v1/conversations/{conversation_id}/items", "/health/ready"} <= set(
        document["paths"]
    )
    text = json.dumps(document)
    names = set(re.findall(r"#/components/schemas/([\w.-]+)", text))
    assert names == names & set(document["components"]["schemas"])
    assert document["paths"][RESPONSES]["post"]["security"] == [{"key": []}]


@pytest.fixture
async def connection(gateway: Gateway) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    where = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    yield reader, writer
    writer.close()
    await writer.wait_closed()


RUBBISH = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "two lengths": b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "a length that is none": b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: five\r\n\r\n",
    "a chunk that is none": b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("sent", RUBBISH.values(), ids=RUBBISH)
async def test_rubbish_on_the_wire_hurts_nobody_else(
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], http: httpx.Client, sent: bytes
) -> None:
    reader, writer = connection
    writer.write(sent)
    await writer.drain()
    writer.write_eof()
    answer = await reader.read()
    assert not answer or b" 400 " in answer.partition(b"\r\n")[0] or b" 401 " in answer.partition(b"\r\n")[0]
    assert http.get("/health/live").status_code == 200


def test_a_client_that_vanishes_amid_its_body_leaves_no_trace(gateway: Gateway, http: httpx.Client) -> None:
    where = urlsplit(gateway.url)
    head = f"POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\nX-Request-Id: vanishing\r\n"
    with socket.create_connection((where.hostname, where.port)) as half:
        half.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{".encode())
    while "vanishing" not in gateway.log.read_text():
        assert http.get("/health/live").status_code == 200
    [line] = [json.loads(line) for line in gateway.log.read_text().splitlines() if "vanishing" in line]
    assert line["status"] == 499
