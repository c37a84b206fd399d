"""Runs a line of Python as the code interpreter does and gives what the model would be told.

Code of our own runs in this process; what a model wrote belongs into another (`python -m corpus.notebook`). Messages of errors are those of CPython 3.14 where versions differ.
"""

import contextlib
import functools
import io
import re
import sys
import traceback
from typing import Any

NO_OUTPUT = "(no output)"
NEWER_MESSAGES = {
    "integer division or modulo by zero": "division by zero",
    "integer modulo by zero": "division by zero",
    "float division by zero": "division by zero",
}
NEGATIVE_ROOT = re.compile(r"math\.sqrt\((-[\d.]+)\)")


@functools.lru_cache(maxsize=20_000)
def run(code: str) -> str:
    printed = io.StringIO()
    scope: dict[str, Any] = {"__name__": "__main__"}
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "<code>", "exec"), scope)
    except Exception as error:
        return printed.getvalue() + traceback_of(code, error)
    return printed.getvalue().rstrip() or NO_OUTPUT


def traceback_of(code: str, error: Exception) -> str:
    if isinstance(error, SyntaxError):
        place = f'  File "<code>", line {error.lineno or 1}\n    {code.splitlines()[0]}'
        return f"{place}\nSyntaxError: {error.msg}"
    line = next((frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<code>"), 1) or 1
    place = f'  File "<code>", line {line}, in <module>\n    {code.splitlines()[line - 1].strip()}'
    return f"Traceback (most recent call last):\n{place}\n{type(error).__name__}: {message_of(code, error)}"


def message_of(code: str, error: Exception) -> str:
    root = NEGATIVE_ROOT.search(code)
    if root and str(error) == "math domain error":
        return f"expected a nonnegative input, got {float(root[1])}"
    return NEWER_MESSAGES.get(str(error), str(error))


if __name__ == "__main__":
    print(run(sys.stdin.read()))
