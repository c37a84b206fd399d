"""Runs a line of Python as the code interpreter does and gives what the model would be told.

Code of our own runs in this process; what a model wrote belongs into another (`python -m corpus.notebook`). Messages of errors are those of CPython 3.14 where versions differ.
"""

import contextlib
import functools
import io
import sys
from typing import Any

NO_OUTPUT = "(no output)"
NEWER_MESSAGES = {
    "integer division or modulo by zero": "division by zero",
    "integer modulo by zero": "division by zero",
    "float division by zero": "division by zero",
    "math domain error": "expected a nonnegative input",
}


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
    message = NEWER_MESSAGES.get(str(error), str(error))
    return f'Traceback (most recent call last):\n  File "<code>", line 1, in <module>\n{type(error).__name__}: {message}'


if __name__ == "__main__":
    print(run(sys.stdin.read()))
