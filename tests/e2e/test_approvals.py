"""Approvals and replays by OpenAI's own client and by the command line, against a server as a user starts it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import ConflictError, OpenAI
from openai.types.responses.response_output_item import McpApprovalRequest, McpCall

from tests.e2e.paddock import make_home, paddock, started
from tests.e2e.test_openai_sdk import plain

CONFIG = """
models:
  - name: scripted
    backend: scripted
    script:
      - when: {contains: pay, tool_results: 0}
        reply: [{text: "I will."}, {tool_calls: [{name: pay, arguments: {amount: 12}}]}]
      - when: {after_tool: true}
        reply: {text: "{last_tool_result}"}
      - reply: "You said: {last_user_text}"
  - {name: other, backend: scripted, script: [{reply: Never.}, {when: {after_tool: true}, reply: Never.}]}
"""
PAY = {
    "name": "pay",
    "description": "Pays an amount",
    "parameters": {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]},
    "runtime": {"kind": "python", "code": "def main(amount):\n    return {'paid': amount}"},
    "approval": {"expires_seconds": 600},
    "effect": "pure",
    "permissions": {"organization": True},
}
TOOLS: Any = [{"type": "mcp", "server_label": "registry", "require_approval": {"never": {"tool_names": ["pay"]}}}]


@dataclass(frozen=True)
class Served:
    url: str
    home: Path

    @property
    def key(self) -> str:
        return (self.home / "admin.key").read_text().strip()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, session_home: Path, new_database: Path) -> Iterator[Served]:
    home = make_home(session_home / "approvals", CONFIG, database=new_database)
    with started(home, tmp_path_factory.mktemp("approvals") / "output") as up:
        gateway = Served(up.wait_until_ready(), home)
        headers = {"authorization": f"Bearer {gateway.key}"}
        assert httpx.post(f"{gateway.url}/admin/v1/tools", json=PAY, headers=headers, timeout=60).status_code == 200
        yield gateway
        assert up.interrupt() == 0


@pytest.fixture
def client(served: Served) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0) as opened:
        yield opened


def next_of(told: str, verb: str) -> str:
    found = re.fullmatch(rf"{verb} pay; it goes on in (resp_\w+)\n", told)
    assert found, told
    return found[1]


def test_the_stock_client_is_asked_approves_and_gets_the_result(client: OpenAI) -> None:
    with client.responses.stream(model="scripted", input="pay", tools=TOOLS) as stream:
        asked = stream.get_final_response()
    assert plain(client.responses.retrieve(asked.id)) == plain(asked)
    [request] = [item for item in asked.output if isinstance(item, McpApprovalRequest)]
    assert (request.name, json.loads(request.arguments)) == ("pay", {"amount": 12})
    with client.responses.stream(
        model="scripted",
        previous_response_id=asked.id,
        tools=TOOLS,
        input=[{"type": "mcp_approval_response", "approval_request_id": request.id, "approve": True}],
    ) as stream:
        done = stream.get_final_response()
    assert plain(client.responses.retrieve(done.id)) == plain(done)
    [call] = [item for item in done.output if isinstance(item, McpCall)]
    assert (call.approval_request_id, call.output) == (request.id, '{"paid": 12}')
    assert done.output_text == '{"paid": 12}'
    answer: Any = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": False}
    with pytest.raises(ConflictError) as refused:
        client.responses.create(model="scripted", previous_response_id=asked.id, tools=TOOLS, input=[answer])
    assert refused.value.code == "approval_used"
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_a_conversation_that_waits_goes_on_when_the_shell_says_so(served: Served, client: OpenAI) -> None:
    def run(*arguments: str) -> str:
        ran = paddock("approvals", *arguments, home=served.home, PADDOCK_URL=served.url)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    conversation = client.conversations.create()
    asked = client.responses.create(model="scripted", input="pay", tools=TOOLS, conversation=conversation.id)
    [request] = [item for item in asked.output if isinstance(item, McpApprovalRequest)]
    assert re.search(rf'{request.id}  pending  pay +{{"amount": 12}}', run("list"))
    assert json.loads(run("show", request.id))["response_id"] == asked.id
    told = run("approve", request.id, "--arguments", '{"amount": 3}')
    with client.responses.retrieve(next_of(told, "approved"), stream=True) as events:
        last = list(events)[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == '{"paid": 3}'
    again = paddock("approvals", "deny", request.id, home=served.home, PADDOCK_URL=served.url)
    assert (again.returncode, "carries it out" in again.stderr) == (1, True)
    assert run("list") == ""
    again = paddock("replay", last.response.id, home=served.home, PADDOCK_URL=served.url)
    shown = ['step 0: pay({"amount":3}): the same', "no difference"]
    assert (again.returncode, again.stdout.splitlines()) == (0, shown)
    other = paddock("replay", last.response.id, "--model", "other", home=served.home, PADDOCK_URL=served.url)
    assert other.returncode == 1
    assert other.stdout.splitlines()[1:] == [
        "step 1: the model: differs",
        '  then: {"paid": 3}',
        "  now: Never.",
        "1 difference",
    ]


def test_the_shell_says_where_it_goes_on_when_that_is_for_the_client(served: Served, client: OpenAI) -> None:
    asked = client.responses.create(model="scripted", input="pay", tools=TOOLS)
    [request] = [item for item in asked.output if isinstance(item, McpApprovalRequest)]
    told = paddock("approvals", "approve", request.id, home=served.home, PADDOCK_URL=served.url)
    assert told.stdout == f"approved pay; it goes on when a request continues {asked.id} with the same answer\n"


def test_a_background_response_goes_on_by_itself_in_another_one(served: Served, client: OpenAI) -> None:
    asked = client.responses.create(model="scripted", input="pay", tools=TOOLS, background=True)
    with client.responses.retrieve(asked.id, stream=True) as events:
        whole = list(events)[-1]
    assert whole.type == "response.completed"
    [request] = [item for item in whole.response.output if isinstance(item, McpApprovalRequest)]
    told = paddock("approvals", "deny", request.id, "--reason", "not today", home=served.home, PADDOCK_URL=served.url).stdout
    with client.responses.retrieve(next_of(told, "denied"), stream=True) as events:
        last = list(events)[-1]
    assert last.type == "response.completed"
    assert (last.response.background, last.response.previous_response_id) == (True, asked.id)
    assert last.response.output_text == "denied by a human: not today"
