"""Where log lines go: one JSON object a line. It knows no line's content."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

from core.supervisor import BoundedLog

FILE_BYTES = 10 * 2**20
ACCESS = "paddock.access"  # its messages are JSON already


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        if record.name == ACCESS:
            return record.getMessage()
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class LogFile:
    """What logging writes to. A full disk loses lines, never a request."""

    def __init__(self, file: Path) -> None:
        self._log = BoundedLog(file, FILE_BYTES)

    def write(self, text: str) -> None:
        self._log.write(text.encode(errors="backslashreplace"))


def log_to(file: Path | None, level: str) -> None:
    """To a file, bounded, while warnings also go to the terminal; without one, all to the terminal (for a log collector)."""
    terminal = logging.StreamHandler()
    terminal.setFormatter(JsonLines())
    handlers: list[logging.Handler] = [terminal]
    if file is not None:
        kept = logging.StreamHandler(LogFile(file))
        kept.setFormatter(JsonLines())
        terminal.setLevel(logging.WARNING)
        handlers.append(kept)
    logging.basicConfig(level=level.upper(), handlers=handlers)
    for talkative in ("botocore", "alembic", "asyncio", "uvicorn"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    # it warns of what is wrong in a caller's `tracestate`, word for word: anybody's text, and perhaps a secret
    logging.getLogger("opentelemetry.trace").setLevel(logging.CRITICAL)
