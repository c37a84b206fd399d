"""Child processes as they misbehave: loud, deaf, crashing, slow."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from core.accounts import Account, capability_to_reach
from core.errors import ConfigurationError, Unavailable
from core.supervisor import BoundedLog, Child, Program, answer, kept_running, running
from tests.conftest import quiet


def python(source: str, *, env: Mapping[str, str] | None = None, stop_seconds: float = 10.0) -> Program:
    argv = (sys.executable, "-I", "-S", "-u", "-c", source)
    return Program(name="child", argv=argv, env=env or {}, stop_seconds=stop_seconds)


async def no_wait(_child: Child) -> None:
    """Ready at once."""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_what_a_child_says_is_in_its_log_and_its_end_is_told_with_the_last_lines(tmp_path: Path) -> None:
    source = "import sys; print('one'); print('two', file=sys.stderr); sys.stdout.write('no newline'); sys.exit(3)"
    async with running(python(source), tmp_path) as child:
        code = await child.wait()
    told = child.describe_end(code)
    assert "child ended with exit code 3" in told
    assert told.endswith("  one\n  two\n  no newline")
    assert (tmp_path / "child.log").read_text() == "one\ntwo\nno newline"
    assert (tmp_path / "child.log").stat().st_mode & 0o077 == 0


async def test_a_long_line_is_heard_whole_and_cut_in_what_is_told_of_the_end(tmp_path: Path) -> None:
    """One of them is a path: cut, it named another file."""
    heard: list[str] = []
    async with running(python("print('x' * 3000)"), tmp_path, on_line=heard.append) as child:
        code = await child.wait()
    assert heard == ["x" * 3000]
    assert child.describe_end(code).endswith("\n  " + "x" * 500)


async def test_a_log_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "child.log").mkdir()
    with pytest.raises(ConfigurationError, match=r"child\.log cannot be used: Is a directory"):
        async with running(python("pass"), tmp_path):
            pass


async def test_a_child_gets_the_environment_it_was_given_and_no_open_file(tmp_path: Path) -> None:
    source = "import os; print(sorted(os.environ)); print(sorted(os.listdir('/proc/self/fd')))"
    secret = os.open(os.devnull, os.O_RDONLY)
    try:
        async with running(python(source, env={"ONE": "1"}), tmp_path) as child:
            await child.wait()
    finally:
        os.close(secret)
    environment, files = (tmp_path / "child.log").read_text().splitlines()
    assert set(environment.strip("[]").split(", ")) <= {"'ONE'", "'LC_CTYPE'"}
    assert files == "['0', '1', '2', '3']"  # 3 is the directory that is being listed


async def test_a_child_that_is_deaf_to_the_stop_signal_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(600)"
    heard = asyncio.Event()
    async with running(python(deaf, stop_seconds=0.1), tmp_path, on_line=lambda _: heard.set()) as child:
        await heard.wait()
    assert await child.wait() == -signal.SIGKILL


async def test_stopping_twice_is_stopping(tmp_path: Path) -> None:
    async with running(python("import time; time.sleep(600)"), tmp_path) as child:
        await child.stop()
        await child.stop()
        assert not alive(child.pid)


async def test_a_start_that_is_given_up_leaves_no_process(tmp_path: Path) -> None:
    async def start(started: asyncio.Future[int]) -> None:
        async with running(python("import time; time.sleep(600)"), tmp_path) as child:
            started.set_result(child.pid)
            await asyncio.sleep(600)

    for given_up_after in (0, 0.001, 0.005, 0.02, None):
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(start(started))
        await (asyncio.sleep(given_up_after) if given_up_after is not None else started)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not started.done() or not alive(started.result())


@pytest.mark.parametrize("made", [None, OSError])
async def test_a_start_is_given_up_though_a_library_makes_something_else_of_the_cancellation(
    tmp_path: Path, made: type[OSError] | None
) -> None:
    """Redis's client does, about once in a hundred and fifty times: Ctrl-C was not heard then."""
    asking = asyncio.Event()

    async def ask() -> None:
        asking.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            if made is not None:
                raise made from None

    async def start() -> None:
        ready = partial(answer, attempt=ask, refusals=(OSError,), within_seconds=600)
        async with kept_running(python("import time; time.sleep(600)"), tmp_path, ready, quiet):
            raise AssertionError

    starting = asyncio.create_task(start())
    await asking.wait()
    starting.cancel()
    async with asyncio.timeout(60):
        await asyncio.wait([starting])
    assert starting.cancelled()


async def test_a_child_dies_with_its_parent_even_when_it_hears_no_signal(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(600)"
    parent = f"""
import asyncio
from pathlib import Path
from core.supervisor import Program, running

async def main():
    program = Program(name="child", argv=({sys.executable!r}, "-u", "-c", {deaf!r}))
    heard = asyncio.Event()
    async with running(program, Path({str(tmp_path)!r}), on_line=lambda _: heard.set()) as child:
        await heard.wait()
        print(child.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE, cwd=root)
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    process.kill()
    await process.communicate()
    async with asyncio.timeout(30):
        while alive(pid):
            await asyncio.sleep(0.01)


async def test_a_loud_child_fills_no_disk(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "loud.log", limit_bytes=1000)
    for number in range(100):
        log.write(b"%099d\n" % number)
    log.close()
    assert (tmp_path / "loud.log").stat().st_size <= 1000
    assert (tmp_path / "loud.log.1").stat().st_size <= 1000
    assert (tmp_path / "loud.log").read_text().endswith("99\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loud.log", "loud.log.1"]


async def test_a_log_that_somebody_removed_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "child.log"
    log = BoundedLog(file, limit_bytes=1000)
    log.write(b"x" * 900)
    file.unlink()
    log.write(b"y" * 200)
    log.write(b"z")
    log.close()
    assert file.read_bytes() == b"y" * 200 + b"z"


async def test_a_log_that_cannot_be_moved_aside_loses_lines_and_goes_on_later(tmp_path: Path) -> None:
    file, in_the_way = tmp_path / "child.log", tmp_path / "child.log.1"
    log = BoundedLog(file, limit_bytes=1000)
    log.write(b"x" * 900)
    in_the_way.mkdir()
    for _ in range(2):
        log.write(b"y" * 200)
    in_the_way.rmdir()
    log.write(b"z")
    log.close()
    assert (in_the_way.read_bytes(), file.read_bytes()) == (b"x" * 900, b"z")


async def test_a_log_that_cannot_be_written_stops_no_child(tmp_path: Path) -> None:
    (tmp_path / "child.log").symlink_to("/dev/full")
    async with running(python("print('x' * 1000)"), tmp_path) as child:
        assert await child.wait() == 0


async def test_a_child_that_ends_is_started_again_and_its_end_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    again = asyncio.Event()
    starts = 0

    async def ready(_child: Child) -> None:
        nonlocal starts
        starts += 1
        if starts == 3:
            again.set()

    async with kept_running(python("raise SystemExit(7)"), tmp_path, ready, told.append):
        await again.wait()
    assert len(told) >= 2
    assert "child ended with exit code 7" in told[0]


@pytest.mark.parametrize("failure", [None, Unavailable("not yet"), RuntimeError("a defect")])
async def test_a_child_is_started_again_though_nobody_hears_of_it_and_whatever_a_start_raises(
    tmp_path: Path, failure: Exception | None
) -> None:
    again = asyncio.Event()
    starts = 0

    async def ready(_child: Child) -> None:
        nonlocal starts
        starts += 1
        if starts == 3:
            again.set()
        if starts == 2 and failure is not None:
            raise failure

    def gone(_text: str) -> None:
        raise BrokenPipeError

    async with asyncio.timeout(60), kept_running(python("raise SystemExit(7)"), tmp_path, ready, gone):
        await again.wait()


async def test_a_first_start_that_fails_is_an_error_and_not_tried_for_ever(tmp_path: Path) -> None:
    async def never(child: Child) -> None:
        async def refused() -> None:
            raise ConnectionRefusedError

        await answer(child, refused, refusals=(OSError,), within_seconds=60)

    with pytest.raises(Unavailable, match="no such model"):
        async with kept_running(python("raise SystemExit('no such model')"), tmp_path, never, quiet):
            pass


async def test_a_child_that_never_answers_is_given_up(tmp_path: Path) -> None:
    async def refused() -> None:
        raise ConnectionRefusedError

    async with running(python("import time; time.sleep(600)"), tmp_path) as child:
        with pytest.raises(Unavailable, match="child did not answer within 0 s"):
            await answer(child, refused, refusals=(OSError,), within_seconds=0.1)


async def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    async with running(Program(name="child", argv=("/nowhere/program",)), tmp_path) as child:
        assert "FileNotFoundError" in child.describe_end(await child.wait())


def test_an_account_gets_a_capability_only_for_a_way_that_is_closed_to_it(tmp_path: Path) -> None:
    stranger = Account(uid=54321, gid=54321, name="stranger")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert capability_to_reach([Path("/usr/bin/env")], stranger) is None
    assert capability_to_reach([closed / "file"], None) is None
    held = Path("/proc/self/status").read_text().partition("CapPrm:")[2].split()[0]
    if int(held, 16) & 0b110:
        assert capability_to_reach([closed / "file"], stranger) in (1, 2)
    else:
        with pytest.raises(ConfigurationError, match="'stranger' cannot reach"):
            capability_to_reach([closed / "file"], stranger)
