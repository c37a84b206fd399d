"""Forks replicas on demand, so that one is there in a moment: everything is imported already. One order a line, in JSON.

It is a process of its own, with one thread and no event loop. Its replicas end with it, and it ends with who started it.
"""

import ctypes
import json
import os
import signal
import sys
import traceback
from importlib import import_module
from typing import Any

PR_SET_PDEATHSIG = 1
IMPORTED = ("tests.crash.replica", "api.app", "core.bootstrap", "core.llm.backends.openai", "core.tools.kinds.python", "uvloop")


def main() -> None:
    for module in IMPORTED:
        import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are nobody's to bury
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become(json.loads(line))
        print(pid, flush=True)


def _become(order: dict[str, Any]) -> None:
    """order: environment, output (a file), death and clock_seconds (see `replica.py`)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    os.environ.clear()
    os.environ.update(order["environment"])
    from tests.crash.replica import serve

    try:
        serve(order["death"], order["clock_seconds"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)  # not back into the loop of the one that forked us


if __name__ == "__main__":
    main()
