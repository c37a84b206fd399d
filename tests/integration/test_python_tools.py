"""Tools that are Python source: what is refused when they are registered, and what a call gives."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.egress.addresses import AddressRules
from core.egress.client import open_egress
from core.tools import kinds
from core.tools.definition import ToolVersion, parse_manifest
from core.tools.work import Call, ManifestRefused, Workshop
from sandbox import Outcome, open_client
from tests.doubles.uploads import NO_PROGRAMS
from tests.sandboxing import nowhere

KIND = kinds.load("python")


def version(code: str, **more: Any) -> ToolVersion:
    manifest = {"name": "t", "description": "d", "parameters": {"type": "object"}, "runtime": {"kind": "python", "code": code}}
    return parse_manifest({**manifest, **more})


@pytest.fixture
async def workshop(sandbox_socket: Path) -> AsyncIterator[Workshop]:
    async with open_client(sandbox_socket) as client, open_egress(AddressRules()) as egress:
        yield Workshop(sandbox=client, egress=egress, programs=NO_PROGRAMS, secrets={})


async def call(workshop: Workshop, code: str, arguments: Mapping[str, Any]) -> Outcome:
    return await KIND.prepare(version(code), Call(id="c", organization_id="org_1", arguments=arguments)).run(workshop, nowhere)


async def test_main_is_called_with_the_arguments_and_its_value_is_the_result(workshop: Workshop) -> None:
    code = "def main(base, quote):\n    print('asked')\n    return {base: quote * 2}"
    outcome = await call(workshop, code, {"base": "ä'\"\\", "quote": "☃"})

    assert (outcome.exit_code, outcome.stdout, json.loads(outcome.result or b"")) == (0, b"asked\n", {"ä'\"\\": "☃☃"})


@pytest.mark.parametrize(
    "code",
    [
        "def main(): pass",
        "async def main(**all): pass",
        "main = lambda: 1",
        "from json import dumps as main",
        "if True:\n    def main(): pass",
        "type Pair[T] = tuple[T, T]\ndef main():\n    try: pass\n    except ValueError, KeyError: pass\n    return t'{1}'",
    ],
)
async def test_what_the_sandboxs_python_compiles_and_has_a_main_is_admitted(workshop: Workshop, code: str) -> None:
    tool = version(code)
    assert await KIND.admit(tool, "org", workshop) == {"kind": "python", "code": code}


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def main(:\n  pass", "line 1, column 10: invalid syntax"),
        ("x = 1\ny = = 2", "line 2, column 5: invalid syntax"),
        ("def main():\n    return 1\n  return 2", "line 3, column 11: unindent does not match"),
        ("return 1", "line 1, column 1: 'return' outside function"),
        ("x = 1", "defines no function 'main'"),
        ("def outer():\n    def main(): pass", "defines no function 'main'"),
        ("def main(): pass\0", "null bytes"),
        ("x = " + "(" * 100_000, "cannot be compiled"),
        ("x = " + "-" * 400_000 + "1\ndef main(): pass", "cannot be compiled"),
    ],
)
async def test_code_that_does_not_compile_or_has_no_main_is_refused_with_its_place(
    workshop: Workshop, code: str, told: str
) -> None:
    with pytest.raises(ManifestRefused, match=told) as refused:
        await KIND.admit(version(code), "org", workshop)
    assert refused.value.path == "runtime.code"


@pytest.mark.parametrize(
    "text",
    ["x" * 900_000, "文" * 300_000, "😀" * 200_000, '"' * 500_000],
    ids=["ascii", "three bytes", "four bytes", "escaped"],
)
async def test_arguments_in_any_script_are_taken_as_far_as_their_bytes_go(workshop: Workshop, text: str) -> None:
    outcome = await call(workshop, "def main(text):\n    return [len(text), text[-1]]", {"text": text})
    assert json.loads(outcome.result or b"") == [len(text), text[-1]]


async def test_arguments_with_half_a_surrogate_pair_reach_main_as_they_are(workshop: Workshop) -> None:
    outcome = await call(workshop, "def main(text):\n    return ascii(text)", {"text": "a\ud800"})
    assert json.loads(outcome.result or b"") == ascii("a\ud800")


async def test_code_in_any_script_is_admitted_as_far_as_its_bytes_go_and_told_as_code_beyond(workshop: Workshop) -> None:
    def commented(letters: str) -> ToolVersion:
        return version(f"# {letters}\ndef main(): pass")

    await KIND.admit(commented("я" * 480_000), "org", workshop)
    with pytest.raises(ManifestRefused, match="the code has 1200031 bytes as JSON; at most 1048576") as refused:
        await KIND.admit(commented("文" * 400_000), "org", workshop)
    assert refused.value.path == "runtime.code"


async def test_registering_code_does_not_run_it(workshop: Workshop) -> None:
    await KIND.admit(version("import time\nwhile True: time.sleep(1)\ndef main(): pass"), "org", workshop)


@pytest.mark.parametrize(
    ("granted", "path"),
    [
        ({"network": [{"host": "example.com"}]}, "capabilities.network"),
        ({"secrets": ["TOKEN"]}, "capabilities.secrets"),
        ({"files": "read"}, "capabilities.files"),
    ],
)
async def test_a_capability_that_the_sandbox_does_not_give_is_refused(
    workshop: Workshop, granted: Mapping[str, Any], path: str
) -> None:
    with pytest.raises(ManifestRefused, match="cannot be granted") as refused:
        await KIND.admit(version("def main(): pass", capabilities=granted), "org", workshop)
    assert refused.value.path == path
