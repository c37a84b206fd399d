"""What every isolation technology promises. A new file in sandbox/runtimes has to pass this and nothing else."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from sandbox import (
    Capabilities,
    GuestCrashed,
    LimitExceeded,
    Outcome,
    PythonFunction,
    RuntimeUnavailable,
    SandboxBusy,
    SandboxError,
    Stream,
    protocol,
    runtimes,
)
from sandbox.dispatcher import Sandbox, open_sandbox
from tests.sandboxing import OPTIONS, nowhere, program

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=runtimes.available())
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, Sandbox]]:
    async with open_sandbox({request.param: OPTIONS[request.param]()}, permits=2, queue=64) as sandbox:
        yield request.param, sandbox


class Runner:
    def __init__(self, name: str, sandbox: Sandbox) -> None:
        self.name = name
        self.sandbox = sandbox
        self.seen: list[tuple[Stream, bytes]] = []

    async def __call__(self, source: str, **limits: float) -> Outcome:
        return await self.sandbox.run(
            program(source, self.name, **limits), lambda stream, data: self.seen.append((stream, data))
        )

    async def end(self, source: str, **limits: float) -> Outcome | LimitExceeded | GuestCrashed:
        try:
            return await self(source, **limits)
        except (LimitExceeded, GuestCrashed) as error:
            return error

    async def prints(self, source: str) -> str:
        outcome = await self(source)
        assert (outcome.exit_code, outcome.stderr) == (0, b"")
        return outcome.stdout.decode()

    async def fails(self, source: str) -> str:
        outcome = await self(source)
        assert outcome.exit_code == 1
        return outcome.stderr.decode()

    async def still_works(self) -> bool:
        return await self.prints("print(6 * 7)") == "42\n"


@pytest.fixture
def run(opened: tuple[str, Sandbox]) -> Runner:
    return Runner(*opened)


# Output and exit codes


async def test_what_a_program_prints_comes_back(run: Runner) -> None:
    outcome = await run("print(6 * 7)")

    assert (outcome.exit_code, outcome.stdout, outcome.stderr, outcome.truncated) == (0, b"42\n", b"", False)
    assert 0 < outcome.cpu_seconds <= outcome.wall_seconds + 0.1


async def test_the_value_of_a_final_expression_is_printed_unless_it_is_none(run: Runner) -> None:
    assert await run.prints("x = 'a'\nx * 3") == "'aaa'\n"
    assert await run.prints("None") == ""
    assert await run.prints("1\nx = 2") == ""
    assert await run.prints("print('a')") == "a\n"
    assert await run.prints("") == ""


async def test_stdout_and_stderr_arrive_in_the_order_in_which_they_were_written(run: Runner) -> None:
    outcome = await run("import sys\nprint('a')\nsys.stderr.write('b')\nprint('c', end='')\nprint('d', file=sys.stderr)")

    assert (outcome.stdout, outcome.stderr) == (b"a\nc", b"bd\n")
    order = b"".join(data for _, data in run.seen)
    assert order == b"a\nbcd\n"
    assert b"".join(data for stream, data in run.seen if stream is Stream.STDERR) == b"bd\n"


async def test_output_arrives_while_the_program_still_runs(run: Runner) -> None:
    running = asyncio.create_task(run("import time\nprint('early')\ntime.sleep(30)"))
    while not run.seen:
        await asyncio.sleep(0.01)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert run.seen == [(Stream.STDOUT, b"early\n")]


async def test_a_program_that_writes_byte_after_byte_makes_no_piece_of_each(run: Runner) -> None:
    source = """
import sys
for n in range(20_000):
    to, what = (sys.stdout, 'o') if n % 1000 else (sys.stderr, 'e')
    _ = to.write(what)
    to.flush()"""
    outcome = await run(source)

    assert (outcome.stdout, outcome.stderr) == (b"o" * 19_980, b"e" * 20)
    assert len(run.seen) < 10_000


async def test_a_program_that_changes_between_streams_makes_no_piece_of_each_byte(run: Runner) -> None:
    outcome = await run("import sys\nfor n in range(20_000): (sys.stderr if n % 2 else sys.stdout).write('eo'[n % 2])")

    assert (outcome.stdout, outcome.stderr) == (b"e" * 10_000, b"o" * 10_000)
    assert len(run.seen) < 10_000


@pytest.mark.parametrize("source", ["while True: pass", "import time\ntime.sleep(60)"], ids=["computes", "sleeps"])
async def test_the_last_line_before_a_long_silence_arrives_however_many_came_before(run: Runner, source: str) -> None:
    running = asyncio.create_task(run(f"for n in range(1200): print(n)\n{source}"))
    async with asyncio.timeout(15):
        while not b"".join(data for _, data in run.seen).endswith(b"\n1199\n"):
            await asyncio.sleep(0.01)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running


async def test_bytes_that_are_no_text_come_back_as_they_are(run: Runner) -> None:
    outcome = await run("import sys\nn = sys.stdout.buffer.write(bytes(range(256)))\nsys.stdout.flush()")

    assert outcome.stdout == bytes(range(256))
    assert await run.prints("print('\\0')") == "\0\n"
    assert await run.prints("print('äß\\N{SNOWMAN}\\N{GRINNING FACE}')") == "äß☃😀\n"
    assert await run.prints("print(chr(0xD800))") == "\\ud800\n"


@pytest.mark.parametrize(("how", "code"), [("3", 3), ("", 0), ("None", 0), ("True", 1), ("256 + 4", 4), ("'no'", 1)])
async def test_sys_exit_gives_its_exit_code(run: Runner, how: str, code: int) -> None:
    outcome = await run(f"import sys\nprint('before')\nsys.exit({how})\nprint('after')")

    assert (outcome.exit_code, outcome.stdout) == (code, b"before\n")
    assert outcome.stderr == (b"no\n" if how == "'no'" else b"")


async def test_an_uncaught_exception_shows_the_users_own_lines(run: Runner) -> None:
    outcome = await run("import json\n\ndef parse(text):\n    return json.loads(text)\n\nprint('before')\nparse('{')")

    assert (outcome.exit_code, outcome.stdout) == (1, b"before\n")
    assert outcome.stderr.decode() == (
        "Traceback (most recent call last):\n"
        '  File "<code>", line 7, in <module>\n'
        "    parse('{')\n"
        '  File "<code>", line 4, in parse\n'
        "    return json.loads(text)\n"
        "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n"
    )


async def test_an_exception_shows_its_cause(run: Runner) -> None:
    told = await run.fails("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('bad') from e")

    assert "ZeroDivisionError: division by zero" in told
    assert told.endswith("ValueError: bad\n")


@pytest.mark.parametrize("source", ["x = (", "def f(:\n  pass", "  x", "a\0b", "x = '\ud800", "return 1", "await x"])
async def test_source_that_does_not_compile_is_a_syntax_error_with_exit_code_one(run: Runner, source: str) -> None:
    assert "Error" in await run.fails(source)


async def test_a_syntax_error_shows_the_line(run: Runner) -> None:
    told = await run.fails("x = 1\ny = = 2")

    assert 'File "<code>", line 2' in told
    assert "SyntaxError: invalid syntax" in told


async def test_a_long_program_runs_and_one_that_is_too_long_is_refused(run: Runner) -> None:
    assert await run.prints("# " + "x" * 2**19 + "\nprint('ä' * 3)") == "äää\n"
    with pytest.raises(SandboxError, match="too long"):
        await run("#" + "x" * 2**20)
    assert await run.still_works()


async def test_standard_input_is_empty(run: Runner) -> None:
    assert "EOFError" in await run.fails("input()")
    assert await run.prints("import sys; print(repr(sys.stdin.read()))") == "''\n"


# A function: what `main` returns is the result, beside what was printed


async def called(run: Runner, source: str, arguments: object = None, **limits: float) -> Outcome:
    function = PythonFunction(source=source, arguments=json.dumps(arguments or {}))
    invocation = replace(program("", run.name, **limits), program=function)
    return await run.sandbox.run(invocation, lambda stream, data: run.seen.append((stream, data)))


@pytest.mark.parametrize(
    "value", [None, True, 3, -2.5, "text", "ä☃\ud800\0", [], {"a": [1, {"b": None}]}, 10**300, "x" * 100_000]
)
async def test_what_main_returns_comes_back_as_json_beside_what_it_printed(run: Runner, value: object) -> None:
    outcome = await called(run, "def main(value):\n    print('said')\n    return value", {"value": value})

    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (0, b"said\n", b"")
    assert json.loads(outcome.result or b"") == value


async def test_main_may_be_a_coroutine_function_and_have_defaults_and_types_of_its_own(run: Runner) -> None:
    source = """
from dataclasses import dataclass, asdict
@dataclass
class Sum:
    value: int
async def main(a: int, *, b: int = 2) -> dict:
    return asdict(Sum(a + b))
if __name__ == "__main__":
    raise SystemExit("it is imported, not run")
"""
    assert (await called(run, source, {"a": 40})).result == b'{"value": 42}'


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def main(): return {1}", "TypeError: what main returned is no JSON: Object of type set is not JSON serializable\n"),
        ("def main(): return float('nan')", "TypeError: what main returned is no JSON: Out of range float values"),
        ("def main(): x = []; x.append(x); return x", "TypeError: what main returned is no JSON: Circular reference"),
        ("def main(a): pass", "TypeError: main() missing 1 required positional argument: 'a'"),
        ("x = 1", "has no attribute 'main'"),
        ("main = 3", "TypeError: 'int' object is not callable"),
        ("def main(:", "SyntaxError"),
        ("def main():\n    return 1 / 0", '  File "<code>", line 2, in main\n    return 1 / 0\n'),
    ],
)
async def test_a_main_that_fails_has_no_result_and_says_why(run: Runner, source: str, told: str) -> None:
    outcome = await called(run, source)

    assert (outcome.exit_code, outcome.result) == (1, None)
    assert told in outcome.stderr.decode()


async def test_a_result_that_does_not_fit_the_cap_is_a_limit_exceeded_and_not_half_a_result(run: Runner) -> None:
    with pytest.raises(LimitExceeded, match=r"output_bytes \(1000 bytes\)"):
        await called(run, "def main(): return 'x' * 10**6", output_bytes=1000)
    assert (await called(run, "def main(): return 'x' * 998", output_bytes=1000)).result == b'"%s"' % (b"x" * 998)
    assert await run.still_works()


async def test_arguments_that_are_too_long_are_refused(run: Runner) -> None:
    with pytest.raises(SandboxError, match="arguments is too long"):
        protocol.run(replace(program(""), program=PythonFunction(source="", arguments="x" * (2**20 + 1))))


# What is there


async def test_the_standard_library_is_there(run: Runner) -> None:
    modules = "asyncio collections csv datetime decimal fractions functools hashlib heapq html itertools json math random re"
    modules += " sqlite3 statistics string textwrap unicodedata uuid xml.etree.ElementTree zlib email.message urllib.parse"

    assert await run.prints(f"import {', '.join(modules.split())}\nprint(math.pi)") == "3.141592653589793\n"


@pytest.mark.parametrize("name", ["numpy", "requests"])
async def test_importing_what_is_not_there_says_what_there_is(run: Runner, name: str) -> None:
    told = await run.fails(f"import {name}")

    assert f"ModuleNotFoundError: No module named '{name}': this sandbox has the Python standard library only" in told
    assert await run.prints(f"import importlib.util\nprint(importlib.util.find_spec('{name}'))") == "None\n"
    assert await run.prints(f"try:\n    import {name}.x\nexcept ImportError:\n    print('without')") == "without\n"


async def test_clocks_and_randomness_are_real(run: Runner) -> None:
    now = float(await run.prints("import time\nprint(time.time())"))
    draw = "import random, os, uuid\nprint(random.random(), os.urandom(8).hex(), uuid.uuid4())"
    first, second = await run.prints(draw), await run.prints(draw)

    assert abs(now - time.time()) < 60
    assert not set(first.split()) & set(second.split())


async def test_time_zones_are_there(run: Runner) -> None:
    source = """
from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones
for month in (1, 7):
    print(datetime(2026, month, 1, tzinfo=ZoneInfo("Europe/Berlin")).isoformat(), len(available_timezones()) > 500)
"""
    assert await run.prints(source) == "2026-01-01T00:00:00+01:00 True\n2026-07-01T00:00:00+02:00 True\n"
    assert "No time zone found with key Mars/Olympus" in await run.fails("import zoneinfo\nzoneinfo.ZoneInfo('Mars/Olympus')")


async def test_coroutines_run(run: Runner) -> None:
    source = """
import asyncio
async def after(seconds):
    await asyncio.sleep(seconds)
    return seconds
async def main():
    print(await asyncio.gather(after(0.02), after(0.01)))
asyncio.run(main())
"""
    assert await run.prints(source) == "[0.02, 0.01]\n"


# What is not there


@pytest.mark.parametrize(
    "leak",
    [
        "import builtins; builtins.leaked = 1",
        "import json; json.leaked = 1; json.dumps = None",
        "import sys, types; sys.modules['leaked'] = types.ModuleType('leaked')",
        "import sys; sys.path.append('leaked'); sys.setrecursionlimit(50)",
        "import os; os.environ['leaked'] = '1'",
        "leaked = 1",
        "import builtins; del builtins.print",
        "import random; random.seed(1)",
        "import atexit; atexit.register(print, 'leaked')",
    ],
)
async def test_nothing_that_a_program_changes_is_there_in_the_next_one(run: Runner, leak: str) -> None:
    look = """
import builtins, json, os, sys
found = [name in vars(where) for where in (builtins, json, sys.modules["__main__"]) for name in ("leaked",)]
found += ["leaked" in sys.modules, "leaked" in sys.path, "leaked" in os.environ, sys.getrecursionlimit() == 50]
print(any(found), json.dumps([1]))
"""
    for _ in range(8):  # more often than there are workers
        await run(leak)
        assert await run.prints(look) == "False [1]\n"


async def test_a_file_that_a_program_writes_is_not_there_in_the_next_one(run: Runner) -> None:
    write = "try:\n    open('/tmp/leaked', 'w').write('x')\nexcept OSError:\n    pass"
    for _ in range(8):
        await run(write)
        assert await run.prints("import os\nprint(os.path.exists('/tmp/leaked'))") == "False\n"


async def test_the_environment_and_the_arguments_are_empty(run: Runner) -> None:
    assert await run.prints("import os, sys\nprint(dict(os.environ), sys.argv)") == "{} ['']\n"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/proc/self/environ", "/proc/1/cmdline", "../../etc/hostname", "/dev/mem", "."]
)
async def test_no_host_file_can_be_read(run: Runner, path: str) -> None:
    assert "Error" in await run.fails(f"print(open({path!r}, 'rb').read())")


@pytest.mark.parametrize(
    "source",
    [
        "import socket\nsocket.create_connection(('127.0.0.1', 80), 1)",
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('1.1.1.1', 53))",
        "import urllib.request\nurllib.request.urlopen('http://1.1.1.1', timeout=1)",
        "import socket\nprint(socket.getaddrinfo('example.com', 80))",
    ],
)
async def test_no_network_can_be_reached(run: Runner, source: str) -> None:
    assert "rror: " in await run.fails(source)


# Limits: each has a guest that hits it


@pytest.mark.parametrize(
    "source",
    [
        "while True: pass",
        "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')",
        "x = 3 ** (3 ** 16)",
        "sum(iter(int, 1))",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    ],
    ids=["loop", "regular expression", "big integer", "C loop", "catches everything"],
)
async def test_cpu_seconds_stop_a_program_that_computes(run: Runner, source: str) -> None:
    with pytest.raises(LimitExceeded) as error:
        await run(f"print('before')\n{source}", cpu_seconds=0.3)

    assert (error.value.limit, error.value.stdout) == ("cpu_seconds", b"before\n")
    assert str(error.value) == "limit exceeded: cpu_seconds (0.3 s)"
    assert await run.still_works()


async def test_wall_seconds_stop_a_program_that_sleeps(run: Runner) -> None:
    started = time.monotonic()
    with pytest.raises(LimitExceeded) as error:
        await run("import time\nprint('before')\ntime.sleep(60)", wall_seconds=3)  # a busy machine begins late

    assert (error.value.limit, error.value.stdout) == ("wall_seconds", b"before\n")
    assert time.monotonic() - started < 10
    assert await run.still_works()


@pytest.mark.parametrize(
    "source",
    [
        "x = bytes(10**9)",
        "x = []\nwhile True: x.append('y' * 10**6)",
        "x = [0] * 10**9",
        "d = {}\nfor i in range(10**9): d[i] = i",
    ],
)
async def test_memory_bytes_stop_a_program_that_hoards(run: Runner, source: str) -> None:
    end = await run.end(f"print('before')\n{source}\nprint('after')", memory_bytes=64 * 2**20)

    assert end.stdout == b"before\n"
    assert isinstance(end, LimitExceeded) or b"MemoryError" in end.stderr
    assert await run.still_works()


async def test_a_program_may_use_the_memory_that_it_was_given(run: Runner) -> None:
    assert (await run("x = bytes(150 * 10**6)\nprint(len(x))", memory_bytes=256 * 2**20)).stdout == b"150000000\n"


async def test_too_little_memory_to_start_in_is_a_limit_exceeded(run: Runner) -> None:
    with pytest.raises(LimitExceeded, match="memory_bytes"):
        await run("print(1)", memory_bytes=2**16)


async def test_output_bytes_cut_a_gigabyte_of_output(run: Runner) -> None:
    outcome = await run("for _ in range(1000): print('x' * 10**6)", output_bytes=1000, cpu_seconds=30, wall_seconds=120)

    assert (outcome.stdout, outcome.truncated, outcome.exit_code) == (b"x" * 1000, True, 0)
    assert sum(len(data) for _, data in run.seen) == 1000


async def test_stdout_and_stderr_share_the_cap(run: Runner) -> None:
    outcome = await run("import sys\nsys.stderr.write('e' * 600)\nprint('o' * 600)", output_bytes=1000)

    assert (outcome.stderr, outcome.stdout, outcome.truncated) == (b"e" * 600, b"o" * 400, True)


async def test_output_of_exactly_the_cap_is_not_truncated(run: Runner) -> None:
    assert not (await run("print('x' * 9)", output_bytes=10)).truncated


async def test_python_recursion_is_an_exception(run: Runner) -> None:
    assert "RecursionError" in await run.fails("def f(): f()\nf()")


@pytest.mark.parametrize(
    "source",
    [
        "x = []\nfor _ in range(10**5): x = [x]\nrepr(x)",
        "import json\njson.loads('[' * 10**6)",
        "import pickle\nx = []\nfor _ in range(10**5): x = [x]\npickle.dumps(x)",
        "compile('(' * 10**5, '', 'eval')",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
        "class A:\n    def __repr__(self): return repr(self)\nrepr(A())",
    ],
    ids=["repr", "json", "pickle", "parser", "no limit", "own repr"],
)
async def test_recursion_in_c_ends_the_program_and_nothing_else(run: Runner, source: str) -> None:
    end = await run.end(f"print('before')\n{source}")

    assert end.stdout == b"before\n"
    assert isinstance(end, GuestCrashed) or b"Error" in end.stderr
    assert await run.still_works()


# Cancelling, crowding, refusing


@pytest.mark.parametrize("source", ["while True: pass", "import time\ntime.sleep(60)", "while True: print('x' * 1000)"])
async def test_cancelling_kills_the_guest_within_a_second(run: Runner, source: str) -> None:
    running = asyncio.create_task(run(f"print('started', flush=True)\n{source}"))
    while not run.seen:
        await asyncio.sleep(0.01)
    started = time.monotonic()
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - started < 1
    heard = len(run.seen)
    await asyncio.sleep(0.05)
    assert len(run.seen) == heard
    assert await run.still_works()


async def test_programs_beside_each_other_do_not_mix_their_output(run: Runner) -> None:
    outcomes = await asyncio.gather(*(run(f"for _ in range(50): print({n})") for n in range(20)))

    assert [outcome.stdout for outcome in outcomes] == [b"%d\n" % n * 50 for n in range(20)]


async def test_more_programs_than_the_queue_takes_are_refused_as_busy(opened: tuple[str, Sandbox]) -> None:
    name, sandbox = opened
    sleepers = [asyncio.create_task(sandbox.run(program("import time\ntime.sleep(60)", name), nowhere)) for _ in range(66)]
    await asyncio.sleep(0.1)

    with pytest.raises(SandboxBusy):
        await sandbox.run(program("print(1)", name), nowhere)
    for sleeper in sleepers:
        sleeper.cancel()
    await asyncio.gather(*sleepers, return_exceptions=True)
    assert await Runner(name, sandbox).still_works()


async def test_an_owner_finds_room_however_many_programs_another_one_has(opened: tuple[str, Sandbox]) -> None:
    name, sandbox = opened
    sleeper = replace(program("import time\ntime.sleep(60)", name), owner="many")
    sleepers = [asyncio.create_task(sandbox.run(sleeper, nowhere)) for _ in range(100)]
    await asyncio.sleep(0.1)

    async with asyncio.timeout(15):
        assert (await sandbox.run(replace(program("print(1)", name), owner="few"), nowhere)).stdout == b"1\n"
    for task in sleepers:
        task.cancel()
    refused = await asyncio.gather(*sleepers, return_exceptions=True)
    assert any(isinstance(error, SandboxBusy) for error in refused)


@pytest.mark.parametrize(
    ("capabilities", "named"),
    [
        (Capabilities(network=({"host": "example.com"},)), "network"),
        (Capabilities(secrets=("TOKEN",)), "secrets"),
        (Capabilities(files="workspace"), "files"),
    ],
)
async def test_a_capability_that_cannot_be_enforced_is_refused_by_name(
    opened: tuple[str, Sandbox], capabilities: Capabilities, named: str
) -> None:
    name, sandbox = opened
    with pytest.raises(RuntimeUnavailable, match=named):
        await sandbox.run(replace(program("print(1)", name), capabilities=capabilities), nowhere)


async def test_a_runtime_that_is_not_configured_is_refused_by_name(opened: tuple[str, Sandbox]) -> None:
    with pytest.raises(RuntimeUnavailable, match="'abacus'"):
        await opened[1].run(program("print(1)", "abacus"), nowhere)
