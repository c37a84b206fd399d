"""The `paddock` command in processes that have imported already what it needs: most of what a start costs is that.

`multiprocessing`'s fork server has one thread and no event loop, and ends with the process that asks it.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

IMPORTED = [
    "api.cli",
    "api.launch",
    "api.app",
    "api.admin",
    "api.admin_commands",
    "core.llm.backends.scripted",
    "tests.e2e.nursery",
]
NURSERY = get_context("forkserver")
NURSERY.set_forkserver_preload(IMPORTED)


class Child:
    """As much of `subprocess.Popen` as the tests use."""

    def __init__(
        self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdin: Path, stdout: Path, stderr: Path
    ) -> None:
        self._process = NURSERY.Process(target=_become, args=(arguments, dict(env), cwd, stdin, stdout, stderr))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self._file: int | None = None
        with suppress(ProcessLookupError):  # it has ended already
            self._file = os.pidfd_open(self.pid)  # for its number may then be another's

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("paddock", timeout or 0)
        if self._file is not None:
            os.close(self._file)
            self._file = None
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._file is None:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._file, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _become(arguments: Sequence[str], env: Mapping[str, str], cwd: Path, stdin: Path, stdout: Path, stderr: Path) -> None:
    os.dup2(os.open(stdin, os.O_RDONLY), 0)
    sys.stdin = os.fdopen(0, closefd=False)
    for number, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    from api.cli import main

    main(arguments)
