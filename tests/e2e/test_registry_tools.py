"""Tools of the registry, from `curl` and the command line to OpenAI's own clients, against a server as a user starts it."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from openai import AsyncOpenAI, BadRequestError, OpenAI

from tests.e2e.paddock import make_home, paddock, started
from tests.e2e.test_openai_sdk import every, helped, plain, settled

CONFIG = """
egress: {allow_private: [127.0.0.0/8]}
models:
  - name: scripted
    backend: scripted
    breaker: {failures: 1000}
    retries: {attempts: 1}
    script:
      - when: {contains: both, tool_results: 0}
        reply:
          - {text: "Let me see."}
          - tool_calls:
              - {name: area, arguments: {width: 6, height: 7}}
              - {name: rate, arguments: {base: EUR, quote: "N O/K?"}}
              - {name: factor, arguments: {n: 600851475143}}
      - when: {contains: broken, tool_results: 0}
        reply: {tool_calls: [{name: broken, arguments: {}}]}
      - when: {contains: program, tool_results: 0}
        reply:
          tool_calls:
            - name: code_interpreter
              arguments:
                code: |
                  from paddock import call
                  rate = call("rate", base="EUR", quote="NOK")
                  print(sum(call("area", width=n, height=rate) for n in range(3)), call("factor", n=6)["factors"])
      - when: {after_tool: true}
        reply: {text: "It is {last_tool_result}."}
      - reply: "You said: {last_user_text}"
"""
NUMBER, TEXT = {"type": "number"}, {"type": "string"}
AREA = {
    "name": "area",
    "description": "Area of a rectangle",
    "parameters": {"type": "object", "properties": {"width": NUMBER, "height": NUMBER}, "required": ["width", "height"]},
    "returns": NUMBER,
    "runtime": {"kind": "python", "code": "def main(width, height):\n    print('measuring')\n    return width * height"},
    "effect": "pure",
    "permissions": {"organization": True},
}
BROKEN = {
    "name": "broken",
    "description": "Never works",
    "parameters": {"type": "object", "properties": {}},
    "runtime": {"kind": "python", "code": "def main():\n    raise LookupError('nothing there')"},
    "permissions": {"roles": ["owner"]},
}
EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "tools" / "factor"
FACTORS = '{"factors": [71, 839, 1471, 6857]}'
ALL = {"type": "mcp", "server_label": "registry", "require_approval": "never"}


@dataclass(frozen=True)
class Served:
    """rates: the addresses that the HTTP tool asked for, as they came."""

    url: str
    home: Path
    rates: list[str]

    @property
    def key(self) -> str:
        return (self.home / "admin.key").read_text().strip()

    def curl(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(
            method, f"{self.url}/admin/v1/tools{path}", json=body, headers={"authorization": f"Bearer {self.key}"}, timeout=60
        )


@pytest.fixture(scope="module")
def rates() -> Iterator[tuple[int, list[str]]]:
    """A service somewhere, which knows one rate."""
    asked: list[str] = []

    class Rates(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps({"rate": 11.5}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Rates) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, asked
        server.shutdown()


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, session_home: Path, new_database: Path, rates: tuple[int, list[str]]
) -> Iterator[Served]:
    port, asked = rates
    home = make_home(session_home / "registry", CONFIG, database=new_database)
    rate = {
        "name": "rate",
        "description": "Exchange rate between two currencies",
        "parameters": {"type": "object", "properties": {"base": TEXT, "quote": TEXT}, "required": ["base", "quote"]},
        "runtime": {
            "kind": "http",
            "method": "GET",
            "url": f"http://127.0.0.1:{port}/rates/{{base}}/{{quote}}",
            "result": {"pointer": "/rate"},
        },
        "capabilities": {"network": [{"host": "127.0.0.1", "ports": [port], "methods": ["GET"]}]},
        "effect": "idempotent",
        "permissions": {"organization": True},
    }
    with started(home, tmp_path_factory.mktemp("registry") / "output") as up:
        gateway = Served(up.wait_until_ready(), home, asked)
        for tool in (AREA, rate, BROKEN, uploaded_factor(gateway)):
            made = gateway.curl("POST", "", tool)
            assert made.status_code == 200, made.text
        yield gateway
        assert up.interrupt() == 0


def uploaded_factor(gateway: Served) -> dict[str, Any]:
    """As the example's own page says, but by the SDK."""
    with OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key) as openai:
        file = openai.files.create(file=EXAMPLE / "factor.component.wasm", purpose="user_data")
    made: dict[str, Any] = yaml.safe_load((EXAMPLE / "factor.yaml").read_text().replace("file_of_factor", file.id))
    return made


@pytest.fixture(params=["sync", "async"])
async def client(request: pytest.FixtureRequest, served: Served) -> AsyncIterator[Any]:
    kind = OpenAI if request.param == "sync" else AsyncOpenAI
    made = kind(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0)
    yield made
    await settled(made.close())


async def test_code_that_the_model_writes_calls_tools_of_every_kind(client: Any, served: Served) -> None:
    by_code = {**ALL, "allowed_callers": ["programmatic"]}
    interpreter = {"type": "code_interpreter", "container": {"type": "auto"}}
    before = len(served.rates)
    tools = [by_code, interpreter]
    answer = await settled(client.responses.create(input="a program, please", model="scripted", tools=tools))
    assert answer.output_text == "It is 34.5 [2, 3]."
    assert [item.type for item in answer.output] == ["code_interpreter_call", "message"]
    assert len(served.rates) == before + 1


async def test_who_may_call_is_checked(client: Any) -> None:
    interpreter = {"type": "code_interpreter", "container": {"type": "auto"}}
    for callers, others in (([], [interpreter]), (["model"], [interpreter]), ("direct", [interpreter]), (["programmatic"], [])):
        tools = [{**ALL, "allowed_callers": callers}, *others]
        with pytest.raises(BadRequestError) as refused:
            await settled(client.responses.create(input="a program", model="scripted", tools=tools))
        assert str(refused.value.param).startswith("tools")


async def test_tools_of_every_kind_run_in_one_reply_and_the_stream_helper_rebuilds_the_response(
    client: Any, served: Served
) -> None:
    asked = {"input": "both, please", "model": "scripted", "tools": [ALL]}
    events, rebuilt = await helped(client.responses.stream(**asked), "get_final_response")
    assert [item.type for item in rebuilt.output] == [
        "mcp_list_tools",
        "message",
        "mcp_call",
        "mcp_call",
        "mcp_call",
        "message",
    ]
    listed, _, area, rate, factor, _ = rebuilt.output
    assert [tool.name for tool in listed.tools] == ["area", "broken", "factor", "rate"]
    assert listed.tools[0].input_schema == AREA["parameters"]
    assert (area.name, area.output, area.error, area.status, area.server_label) == ("area", "42", None, "completed", "registry")
    assert (rate.name, rate.output, rate.status) == ("rate", "11.5", "completed")
    assert (factor.name, factor.output, factor.status) == ("factor", FACTORS, "completed")
    assert served.rates[-1] == "/rates/EUR/N%20O%2FK%3F"
    assert rebuilt.output_text == f"Let me see.It is {FACTORS}."
    kinds = {event.type for event in events}
    assert {"response.mcp_list_tools.completed", "response.mcp_call.in_progress", "response.mcp_call.completed"} <= kinds
    deltas = "".join(event.delta for event in events if event.type == "response.mcp_call_arguments.delta")
    assert deltas == area.arguments + rate.arguments + factor.arguments
    assert [event.sequence_number for event in events] == list(range(len(events)))
    stored = await settled(client.responses.retrieve(rebuilt.id))
    assert plain(rebuilt) == plain(stored)
    whole = await settled(client.responses.create(**asked))
    changing = {"id": None, "created_at": None, "completed_at": None, "output": None}
    assert {**plain(whole), **changing} == {**plain(stored), **changing}
    assert whole.output_text == rebuilt.output_text


async def test_a_stream_with_registry_calls_is_followed_again_from_any_event_on(client: Any) -> None:
    first = await every(client.responses.create(input="both, please", tools=[ALL], stream=True))
    for after in (0, 3, 9, len(first) - 2):
        rest = await every(client.responses.retrieve(first[0].response.id, stream=True, starting_after=after))
        assert [event.to_json() for event in rest] == [event.to_json() for event in first[after + 1 :]]


async def test_what_a_tool_raises_is_an_error_of_its_call_and_history_goes_back_to_the_model(client: Any) -> None:
    response = await settled(client.responses.create(input="broken", tools=[{**ALL, "allowed_tools": ["broken"]}]))
    [call] = [item for item in response.output if item.type == "mcp_call"]
    assert (call.status, call.output, call.error.type) == ("failed", None, "mcp_tool_execution_error")
    assert "LookupError: nothing there" in call.error.content
    history = [{"role": "user", "content": "broken"}, *(item.to_dict() for item in response.output)]
    again = await settled(client.responses.create(input=[*history, {"role": "user", "content": "thanks"}], tools=[ALL]))
    assert again.output_text == "You said: thanks"


async def test_a_choice_makes_the_model_call_one_tool_of_the_registry(client: Any) -> None:
    choice = {"type": "mcp", "server_label": "registry", "name": "area"}
    response = await settled(client.responses.create(input="both, please", tools=[ALL], tool_choice=choice))
    assert response.tool_choice.name == "area"
    assert response.tools[0].server_label == "registry"


async def test_a_choice_among_tools_leaves_the_others_out_in_every_step(client: Any) -> None:
    choice = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "mcp", "server_label": "registry", "name": "area"}],
    }
    tools = [{**ALL, "server_url": "paddock:registry"}, {"type": "code_interpreter", "container": {"type": "auto"}}]
    response = await settled(client.responses.create(input="both, please", tools=tools, tool_choice=choice))
    listed, _, area, _ = response.output
    assert [tool.name for tool in listed.tools] == ["area"]
    assert (area.name, area.output) == ("area", "42")
    assert response.output_text == "Let me see.It is unknown tool 'factor'; available: 'area'."
    assert response.tool_choice.to_dict() == choice
    assert response.tools[0].server_url == "paddock:registry"
    assert plain(await settled(client.responses.retrieve(response.id))) == plain(response)


def test_the_command_line_brings_the_registry_to_what_a_file_says(served: Served, tmp_path: Path) -> None:
    def tools(*arguments: str, code: int = 0) -> str:
        done = paddock("tools", *arguments, home=served.home)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    file = tmp_path / "greet.yaml"
    file.write_text(GREET)
    assert tools("add", str(file)) == "greet: made, version 1, for nobody\npart: made, version 1, for member\n"
    assert tools("add", str(file)) == "greet: still version 1, for nobody\npart: still version 1, for member\n"
    assert "may not use" in tools("test", "greet", '{"name": "Ada"}', code=1)
    file.write_text(GREET.replace("Hello", "Good day").replace("---", "permissions: {organization: true}\n---"))
    assert tools("add", str(file)).splitlines()[0] == "greet: version 2, for everybody"
    assert tools("test", "greet", '{"name": "Ada"}') == '"Good day, Ada"\n'
    assert tools("test", "greet", '{"name": "Ada"}', "--version", "1") == '"Hello, Ada"\n'
    assert "not JSON" in tools("test", "greet", "{", code=2)
    assert "greet                            version 2    on   for everybody" in tools("list")
    assert tools("disable", "greet") == "greet is off\n"
    assert "turned off" in tools("test", "greet", '{"name": "Ada"}', code=1)
    assert tools("enable", "greet") == "greet is on\n"
    shown = json.loads(tools("show", "greet"))
    assert (shown["version"], shown["manifest"]["runtime"]["kind"]) == (2, "python")
    assert json.loads(tools("show", "greet", "--version", "1"))["version"] == 1
    for name in ("greet", "part"):
        assert tools("delete", name, "--yes") == f"deleted {name}\n"
    assert "no tool 'greet'" in tools("show", "greet", code=1)
    broken = tmp_path / "broken.json"
    for text in ("{", "[]", '{"name": 3}'):
        broken.write_text(text)
        assert str(broken) in tools("add", str(broken), code=1)
    broken.write_text(json.dumps({**BROKEN, "name": "other", "runtime": {"kind": "python", "code": "def main(:"}}))
    assert "runtime.code" in tools("add", str(broken), code=1)


GREET = """
name: greet
description: Greets somebody
parameters: {type: object, properties: {name: {type: string}}, required: [name]}
runtime:
  kind: python
  code: |
    def main(name):
        return f"Hello, {name}"
---
name: part
description: Says farewell
parameters: {type: object, properties: {}}
runtime: {kind: python, code: "def main(): return 'Farewell'"}
permissions: {roles: [member]}
"""


def test_a_tool_that_is_turned_off_is_refused(served: Served) -> None:
    with OpenAI(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0) as openai:
        assert served.curl("POST", "/area/disable", {}).status_code == 200
        response = openai.responses.create(input="both, please", tools=[ALL])
        assert "area" not in [tool.name for tool in response.output[0].tools]
        assert [item.name for item in response.output if item.type == "mcp_call"] == ["rate", "factor"]
        assert served.curl("POST", "/area/enable", {}).json()["enabled"] is True
    usage = served.curl("GET", "/area/usage").json()["data"]
    assert usage[0]["calls"] == usage[0]["completed"] >= 1
