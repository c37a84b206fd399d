"""Where log lines go: one JSON object a line. It knows no line's content."""

import json
import logging
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

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


def log_to(file: Path | None, level: str) -> None:
    """To a file, bounded, while warnings also go to the terminal; without one, all to the terminal (for a log collector)."""
    terminal = logging.StreamHandler()
    terminal.setFormatter(JsonLines())
    handlers: list[logging.Handler] = [terminal]
    if file is not None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = RotatingFileHandler(file, maxBytes=FILE_BYTES, backupCount=1, encoding="utf-8")
        kept.setFormatter(JsonLines())
        terminal.setLevel(logging.WARNING)
        handlers.append(kept)
    logging.basicConfig(level=level.upper(), handlers=handlers)
    for talkative in ("botocore", "alembic", "asyncio", "uvicorn"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
