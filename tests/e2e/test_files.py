"""Files as OpenAI's SDK speaks of them, against a running server; and what hostile hands send there."""

import io
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.e2e.conftest import Gateway
from tests.e2e.test_bad_requests import refusal


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {gateway.key}"}, timeout=60) as client:
        yield client


@pytest.fixture
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        yield client


def test_the_sdk_uploads_lists_reads_and_deletes(client: OpenAI) -> None:
    content = bytes(range(256)) * 4_000
    file = client.files.create(file=("data 1.bin", content), purpose="user_data")
    assert (file.object, file.bytes, file.filename, file.purpose) == ("file", len(content), "data 1.bin", "user_data")
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == content
    lasting = client.files.create(
        file=io.BytesIO(b"{}"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 7200}
    )
    assert lasting.expires_at is not None
    assert abs(lasting.expires_at - lasting.created_at - 7200) <= 1
    others = [client.files.create(file=b"x", purpose="evals") for _ in range(3)]
    assert [row.id for row in client.files.list(purpose="evals", limit=2)] == [other.id for other in reversed(others)]
    assert [row.id for row in client.files.list(purpose="evals", limit=1, order="asc")] == [other.id for other in others]
    for made in (file, lasting, *others):
        assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)
    assert not list(client.files.list())


async def test_the_async_sdk_does_the_same(gateway: Gateway) -> None:
    async with AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        file = await client.files.create(file=b"abc", purpose="assistants")
        async with client.files.with_streaming_response.content(file.id) as response:
            assert await response.read() == b"abc"
        assert (await client.files.delete(file.id)).id == file.id


def test_bytes_are_saved_and_never_shown(http: httpx.Client) -> None:
    page = ("page.html", b"<script>alert(1)</script>", "text/html; charset=utf-7")
    file = http.post("/v1/files", data={"purpose": "user_data"}, files={"file": page}).json()
    response = http.get(f"/v1/files/{file['id']}/content")
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith('attachment; filename="page.html"')
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "private, no-store"
    http.delete(f"/v1/files/{file['id']}")


FILE = {"file": ("a.txt", b"abc")}
BAD = {
    "no purpose": ({}, FILE, "purpose", "missing_required_parameter"),
    "unknown purpose": ({"purpose": "fun"}, FILE, "purpose", "unsupported_value"),
    "no file": ({"purpose": "user_data"}, {"other": ("a", b"x")}, "file", "missing_required_parameter"),
    "unknown field": ({"purpose": "user_data", "colour": "blue"}, FILE, "colour", "unknown_parameter"),
    "half an expiry": (
        {"purpose": "user_data", "expires_after[seconds]": "3600"},
        FILE,
        "expires_after.anchor",
        "missing_required_parameter",
    ),
    "an expiry too soon": (
        {"purpose": "user_data", "expires_after[seconds]": "1", "expires_after[anchor]": "created_at"},
        FILE,
        "expires_after.seconds",
        "invalid_value",
    ),
    "an expiry that is no number": (
        {"purpose": "user_data", "expires_after[seconds]": "soon", "expires_after[anchor]": "created_at"},
        FILE,
        "expires_after.seconds",
        "invalid_value",
    ),
    "no name": ({"purpose": "user_data"}, {"file": ("..", b"x")}, "file", "invalid_filename"),
    "a long field": ({"purpose": "x" * 2_000}, FILE, "purpose", "request_too_large"),
}


@pytest.mark.parametrize(("fields", "files", "param", "code"), BAD.values(), ids=BAD)
def test_what_is_wrong_with_an_upload_is_named_and_nothing_is_kept(
    http: httpx.Client, fields: dict[str, str], files: dict[str, tuple[str, bytes]], param: str, code: str
) -> None:
    response = http.post("/v1/files", data=fields, files=files)
    error = refusal(response, 413 if code == "request_too_large" else 400)
    assert (error["param"], error["code"]) == (param, code)
    assert not http.get("/v1/files").json()["data"]


def test_a_file_that_is_announced_too_large_is_refused_unread(gateway: Gateway) -> None:
    where = urlsplit(gateway.url)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=30) as connection:
        head = "POST /v1/files HTTP/1.1\r\nhost: paddock\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        connection.sendall(f"{head}authorization: Bearer {gateway.key}\r\ncontent-length: {10**15}\r\n\r\n".encode())
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"code":"file_too_large"' in answer


def test_a_client_that_leaves_amid_its_upload_leaves_nothing(gateway: Gateway, http: httpx.Client) -> None:
    where = urlsplit(gateway.url)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=30) as connection:
        head = "POST /v1/files HTTP/1.1\r\nhost: paddock\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        body = '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n' + "x" * 100_000
        connection.sendall(f"{head}authorization: Bearer {gateway.key}\r\ncontent-length: {10**6}\r\n\r\n{body}".encode())
    assert not http.get("/v1/files").json()["data"]


@pytest.mark.parametrize("path", ["file_unknown", "file_unknown/content", "x" * 5_000, "%00", "..%2f..%2fadmin.key"])
def test_what_is_not_there_is_a_404_and_no_path(http: httpx.Client, path: str) -> None:
    response = http.get(f"/v1/files/{path}")
    refusal(response, 400 if path == "%00" else 404)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=10001", "order=up", "after=file_unknown", "after=%00", "purpose=" + "x" * 65]
)
def test_a_list_is_asked_for_sensibly(http: httpx.Client, query: str) -> None:
    refusal(http.get(f"/v1/files?{query}"), 400)


def test_a_key_without_the_scope_gets_no_file(gateway: Gateway, http: httpx.Client) -> None:
    made = http.post("/admin/v1/keys", json={"name": "auditor", "scopes": ["audit"]}).json()
    with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {made['secret']}"}) as auditor:
        for response in (auditor.get("/v1/files"), auditor.post("/v1/files", data={"purpose": "user_data"}, files=FILE)):
            assert refusal(response, 403)["code"] == "permission_denied"
