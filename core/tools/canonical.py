"""One text for one JSON value, so that a digest says which value was meant. Knows nothing of what the values are for."""

import hashlib
from typing import Any

import rfc8785


def canonical(value: Any) -> bytes:
    """RFC 8785; but an integer beyond 2**53 keeps its digits, where that RFC has doubles alone: arguments that differ there
    would have one digest, and an approval of the one would hold for the other. Raises ValueError for what is no JSON.
    """
    match value:
        case dict():
            pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16be"))
            return b"{%b}" % b",".join(b"%b:%b" % (rfc8785.dumps(name), canonical(inner)) for name, inner in pairs)
        case list() | tuple():
            return b"[%b]" % b",".join(map(canonical, value))
        case int() if not isinstance(value, bool):
            return b"%d" % value
        case _:
            return rfc8785.dumps(value)


def digest(value: Any) -> str:
    """SHA-256, in hex, of the canonical text."""
    return digest_of(canonical(value))


def digest_of(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
