"""One `paddock up` for the tests that only talk to it, with a scripted model in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.paddock import make_home, paddock, started

CONFIG = """
models:
  - name: scripted
    backend: scripted
    prices: {input: 1, output: 2}
    breaker: {failures: 1000}
    retries: {attempts: 1}
    script:
      - when: {contains: "1234 * 5678", tool_results: 0}
        reply:
          - {reasoning: "A job for Python.", text: "Let me see."}
          - {tool_calls: [{name: code_interpreter, arguments: {code: "print(1234 * 5678)"}}]}
      - when: {contains: "raise", tool_results: 0}
        reply: {tool_calls: [{name: code_interpreter, arguments: {code: "1/0"}}]}
      - when: {contains: "malformed", tool_results: 0}
        reply: {tool_calls: [{name: code_interpreter, arguments: '{"code": "print(1)'}]}
      - when: {contains: weather, tool_results: 0}
        reply: {tool_calls: [{name: weather, arguments: {city: Oslo}}, {name: weather, arguments: {city: Rome}}]}
      - when: {contains: Tell the secret, tool_results: 0}
        reply: {tool_calls: [{name: secret_tool, arguments: {}}]}
      - when: {after_tool: true}
        reply: {text: "It is {last_tool_result}."}
      - when: {contains: json}
        reply: {text: '{"answer": 42}'}
      - when: {contains: long story}
        piece_characters: 1
        pace_seconds: 0.02
        reply: {text: "Once upon a time there was a server that told a long story, and nobody listened to the end of it."}
      - when: {contains: saga}
        piece_characters: 1
        pace_seconds: 0.5
        reply: {text: "In those days there was a server whose story nobody has ever heard to its end, so slowly was it told."}
      - when: {contains: endless}
        reply: [{text: "one "}, {pause_seconds: 600, text: two}]
      - when: {contains: cut short}
        finish: length
        reply: {text: "This is as far as"}
      - when: {contains: breaks midway}
        reply: [{text: "Once "}, {error: {status: 500, message: "boom"}}]
      - when: {contains: is down}
        reply: {error: {status: 503}}
      - reply: "You said: {last_user_text}"
  - name: other
    backend: scripted
    script: [{reply: "The other one."}]
"""


@dataclass(frozen=True)
class Gateway:
    """key: the operator's."""

    url: str
    key: str
    log: Path

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"


@pytest.fixture(scope="session")
def new_database(session_home: Path) -> Path:
    """What the first start makes, for all whose test is not about that."""
    home = make_home(session_home / "new")
    made = paddock("migrate", home=home)
    assert made.returncode == 0, made.stderr
    return home / "postgres"


@pytest.fixture(scope="session")
def gateway(session_home: Path, new_database: Path) -> Iterator[Gateway]:
    home = make_home(session_home / "gateway", CONFIG, database=new_database)
    with started(home, session_home / "gateway.out", anew=True, PADDOCK_CORS_ORIGINS="https://app.example.com") as up:
        url = up.wait_until_ready()
        yield Gateway(url, (home / "admin.key").read_text().strip(), home / "logs" / "gateway.log")
        assert up.interrupt() == 0
