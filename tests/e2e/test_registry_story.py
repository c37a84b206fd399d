"""A tool's life, as administrators, developers and auditors see it: created, called, turned off, refused, exported, proved."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.paddock import ROOT, make_home, paddock, started
from tests.e2e.test_background import until

CONFIG = """
egress: {allow_private: [127.0.0.0/8]}
models:
  - name: scripted
    backend: scripted
    script:
      - when: {contains: area, tool_results: 0}
        reply: {tool_calls: [{name: area, arguments: {width: 6, height: 7}}]}
      - when: {contains: health, tool_results: 0}
        reply: {tool_calls: [{name: health, arguments: {part: live}}]}
      - when: {contains: factor, tool_results: 0}
        reply: {tool_calls: [{name: factor, arguments: {n: 91}}]}
      - when: {after_tool: true}
        reply: {text: "It is {last_tool_result}."}
"""
COMPONENT = ROOT / "deploy" / "examples" / "tools" / "factor" / "factor.component.wasm"
ANSWERS = {"area": "42", "health": '"ok"', "factor": '{"factors": [7, 13]}'}


@dataclass(frozen=True)
class Office:
    url: str
    home: Path

    @property
    def key(self) -> str:
        return (self.home / "admin.key").read_text().strip()

    def post(self, path: str, body: Any) -> Any:
        """What one `curl` does."""
        headers = {"authorization": f"Bearer {self.key}"}
        answer = httpx.post(f"{self.url}/admin/v1{path}", json=body, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def has_ended(self, turn_id: str) -> bool:
        """On record: of a turn that is not stored that comes behind its answer."""
        headers, query = {"authorization": f"Bearer {self.key}"}, {"object": turn_id, "kind": "turn.ended"}
        answer = httpx.get(f"{self.url}/admin/v1/audit/events", params=query, headers=headers, timeout=60)
        return bool(answer.json()["data"])

    def paddock(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return paddock(*arguments, home=self.home, PADDOCK_URL=self.url)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, session_home: Path, new_database: Path) -> Iterator[Office]:
    home = make_home(session_home / "story", CONFIG, database=new_database)
    with started(home, tmp_path_factory.mktemp("story") / "output") as up:
        yield Office(up.wait_until_ready(), home)
        assert up.interrupt() == 0


@pytest.fixture
def client(office: Office) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{office.url}/v1", api_key=office.key, max_retries=0) as opened:
        yield opened


def manifest(office: Office, name: str) -> dict[str, Any]:
    """The tools are of three kinds."""
    match name:
        case "area":
            described = {name: {"type": "number"} for name in ("width", "height")}
            runtime = {"kind": "python", "code": "def main(width, height): return width * height"}
            granted = {}
        case "health":
            described = {"part": {"type": "string"}}
            runtime = {
                "kind": "http",
                "method": "GET",
                "url": f"{office.url}/health/{{part}}",
                "result": {"pointer": "/status"},
            }
            granted = {"capabilities": {"network": [{"host": "127.0.0.1", "ports": [int(office.url.rpartition(":")[2])]}]}}
        case _:
            described = {"n": {"type": "integer"}}
            runtime = {"kind": "wasm", "artifact": office.paddock("files", "upload", str(COMPONENT)).stdout.split()[0]}
            granted = {}
    return {
        "name": name,
        "description": f"Tells the {name}",
        "parameters": {"type": "object", "properties": described, "required": list(described)},
        "runtime": runtime,
        "permissions": {"organization": True},
        **granted,
    }


@pytest.mark.parametrize("name", ANSWERS)
def test_a_tool_is_created_called_turned_off_refused_and_all_of_it_is_proved(
    office: Office, client: OpenAI, name: str, tmp_path: Path
) -> None:
    offered: Any = {"type": "mcp", "server_label": "registry", "allowed_tools": [name], "require_approval": "never"}
    made = office.post("/tools", manifest(office, name))
    office.post("/assistants", {"name": f"the-{name}", "model": "scripted", "tools": [offered]})

    def asked(**how: Any) -> Any:
        return client.responses.create(input=f"the {name}", **how)

    def chatted() -> str | None:
        messages: Any = [{"role": "user", "content": f"the {name}"}]
        raw = client.chat.completions.with_raw_response.create(model=f"the-{name}", messages=messages)
        until(lambda: office.has_ended(raw.headers["x-paddock-turn-id"]), bool)
        return raw.parse().choices[0].message.content

    for response in (asked(tools=[offered]), asked(model=f"the-{name}")):
        assert [item.output for item in response.output if item.type == "mcp_call"] == [ANSWERS[name]]
        assert response.output_text == f"It is {ANSWERS[name]}."
    assert chatted() == f"It is {ANSWERS[name]}."

    office.post(f"/tools/{name}/disable", {})
    with pytest.raises(openai.BadRequestError, match=name):
        asked(tools=[offered])
    for refused in (asked(model=f"the-{name}").output_text, chatted()):
        assert refused == f"It is unknown tool {name!r}; available: none."

    assert_all_of_it_is_proved(office, made, tmp_path)


def assert_all_of_it_is_proved(office: Office, tool: dict[str, Any], tmp_path: Path) -> None:
    keys, export = tmp_path / "audit.pub", tmp_path / "export"
    keys.write_text(office.paddock("audit", "keys").stdout)
    assert office.paddock("audit", "export", str(export)).returncode == 0
    verify = ("audit", "verify", str(export), "--public-key", str(keys))
    assert paddock(*verify, home=tmp_path).stdout.endswith("nothing is wrong\n")

    file = export / "records.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    told = [json.loads(line) for line in lines]
    begun = next(n for n, record in enumerate(told) if (record["kind"], record["digest"]) == ("tool.created", tool["digest"]))
    lived = [record for record in told[begun:] if record["kind"].startswith("tool.")]
    calls, refusals = ["tool.dispatched", "tool.returned"] * 3, ["tool.refused"] * 3
    assert [record["kind"] for record in lived] == ["tool.created", *calls, "tool.changed", *refusals]
    assert {record["digest"] for record in lived if record["kind"] == "tool.dispatched"} == {tool["digest"]}
    assert [record["outcome"] for record in lived] == ["success"] * 8 + ["refused"] * 3

    for record in (lived[2], lived[-1]):
        place = told.index(record)
        file.write_bytes(b"".join([*lines[:place], with_a_flipped_byte(lines[place]), *lines[place + 1 :]]))
        wrong = paddock(*verify, home=tmp_path)
        assert wrong.returncode == 1
        assert re.findall(r"aud_\w+", wrong.stderr) == [record["id"]]


def with_a_flipped_byte(line: bytes) -> bytes:
    """In the request's id: the record is still JSON, and says what it may."""
    place = line.index(b'"request":"req_') + len(b'"request":"req_')
    return line[:place] + (b"0" if line[place : place + 1] != b"0" else b"1") + line[place + 1 :]
