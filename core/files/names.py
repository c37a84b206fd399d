"""What a file may be called. A name is shown and sent back; no path is ever made of it."""

import unicodedata

from core.errors import InvalidRequest

LONGEST = 255
NEVER_SHOWN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode's categories of control, formatting (they turn text around), surrogate and unassigned characters, and line ends."""


def checked_name(given: str) -> str:
    """The last part of what may be a path. Raises InvalidRequest."""
    name = given.replace("\\", "/").rpartition("/")[2].strip()
    if not name or name in (".", ".."):
        raise InvalidRequest("the file has no name", param="file", code="invalid_filename")
    if len(name) > LONGEST:
        raise InvalidRequest(f"the file's name is longer than {LONGEST} characters", param="file", code="invalid_filename")
    for character in name:
        if unicodedata.category(character) in NEVER_SHOWN:
            message = f"the file's name holds the character U+{ord(character):04X}"
            raise InvalidRequest(message, param="file", code="invalid_filename")
    return name
