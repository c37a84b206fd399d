"""`paddock up` as a user starts it: a process of its own, watched from outside."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from tests.e2e.nursery import Child
from tests.sandboxing import guest

ROOT = Path(__file__).parents[2]
PADDOCK = (sys.executable, "-P", "-c", "from api.cli import main; main()")
PATIENCE_SECONDS = 180.0
READY = re.compile(r"^Paddock is ready at (http://\S+)$", re.MULTILINE)
CONFIG = """
models:
  - name: scripted
    backend: scripted
    script:
      - when: {contains: "1234 * 5678"}
        reply: {tool_calls: [{name: code_interpreter, arguments: {code: "print(1234 * 5678)"}}]}
      - when: {after_tool: code_interpreter}
        reply: {text: "It is {last_tool_result}"}
      - when: {contains: slow}
        reply: [{text: "one "}, {pause_seconds: 600, text: two}]
      - reply: "You said: {last_user_text}"
"""


def make_home(home: Path, config: str = CONFIG, *, database: Path | None = None) -> Path:
    """A home with a configuration, and with the sandbox's guest built already.

    database: copied, so that the first start makes none.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "paddock.yaml").write_text(config)
    (home / "guests").mkdir(mode=0o700)
    shutil.copy2(guest(), home / "guests" / guest().name)
    if database is not None:
        subprocess.run(["cp", "--archive", database, home / "postgres"], check=True)  # whose it is stays
    return home


def environment(home: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PADDOCK_")}
    return {**kept, "PADDOCK_HOME": str(home), **variables}


def paddock(*arguments: str, home: Path, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    with TemporaryDirectory() as folder:
        asked, told, refused = (Path(folder) / name for name in ("stdin", "stdout", "stderr"))
        asked.write_text(stdin)
        child = Child(arguments, env=environment(home, **variables), cwd=ROOT, stdin=asked, stdout=told, stderr=refused)
        try:
            code = child.wait(PATIENCE_SECONDS)
        finally:
            child.kill()
        return subprocess.CompletedProcess(arguments, code, told.read_text(), refused.read_text())


class Up:
    """A started `paddock up`. Its output goes to a file, so that no pipe of it can fill."""

    def __init__(self, home: Path, output: Path, environment: Mapping[str, str], command: str, *, anew: bool) -> None:
        self.home = home
        self._output = output
        output.write_bytes(b"")
        self.process: subprocess.Popen[bytes] | Child
        if anew:
            with output.open("ab") as file:
                arguments = [*PADDOCK, command]
                self.process = subprocess.Popen(
                    arguments, env=environment, cwd=ROOT, stdout=file, stderr=file, stdin=subprocess.DEVNULL
                )
        else:
            self.process = Child([command], env=environment, cwd=ROOT, stdin=Path(os.devnull), stdout=output, stderr=output)

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def url(self) -> str:
        found = READY.search(self.output)
        assert found, self.output
        return found[1]

    def wait_until_ready(self) -> str:
        self.wait_for(lambda: READY.search(self.output) is not None)
        return self.url

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def descendants(self) -> dict[int, str]:
        """Process id -> what it runs, of everything that it started, and that those started."""
        return descendants(self.process.pid)

    def interrupt(self) -> int:
        assert self.process.poll() is None, self.output
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def started(home: Path, output: Path, *, command: str = "up", anew: bool = False, **variables: str) -> Iterator[Up]:
    """Ended at the latest with the context, and with it everything that it started.

    anew: in a Python of its own, whose imports a test is about.
    """
    variables.setdefault("PADDOCK_PORT", "0")
    up = Up(home, output, environment(home, **variables), command, anew=anew)
    try:
        yield up
    finally:
        children = up.descendants()
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait()
        wait_until_gone(children)


def descendants(root: int) -> dict[int, str]:
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
                names[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found: dict[int, str] = {}
    grown = {root}
    while grown:
        grown = {pid for pid, parent in parents.items() if parent in grown}
        found |= {pid: names.get(pid, "") for pid in grown}
    return found


def wait_until_gone(children: Mapping[int, str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := {pid: name for pid, name in children.items() if _runs(pid, name)}:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)


def _runs(pid: int, name: str) -> bool:
    """Not a zombie, and not another program that got the same number."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") == name
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/health/ready", timeout=10) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
