"""One text for one JSON value, so that a digest says which value was meant. Knows nothing of what the values are for."""

import hashlib
from json.encoder import encode_basestring
from typing import Any

import rfc8785

PLAIN_FROM, PLAIN_BELOW = 1e-4, 1e16  # between them Python writes a double as the RFC does, but for the ".0"


def canonical(value: Any) -> bytes:
    """RFC 8785; but an integer beyond 2**53 keeps its digits, where that RFC has doubles alone: arguments that differ there
    would have one digest, and an approval of the one would hold for the other. Raises ValueError for what is no JSON.
    """
    return _text(value).encode()


def digest(value: Any) -> str:
    """SHA-256, in hex, of the canonical text."""
    return digest_of(canonical(value))


def digest_of(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _text(value: Any) -> str:
    if isinstance(value, str):
        return encode_basestring(value)  # escapes what the RFC escapes, and nothing else
    if isinstance(value, dict):
        names = sorted(value) if all(map(str.isascii, value)) else sorted(value, key=_utf_16)
        return f"{{{','.join([f'{encode_basestring(name)}:{_text(value[name])}' for name in names])}}}"
    if isinstance(value, float) and PLAIN_FROM <= abs(value) < PLAIN_BELOW:
        return repr(value).removesuffix(".0")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_text, value))}]"
    return rfc8785.dumps(value).decode()


def _utf_16(name: str) -> bytes:
    return name.encode("utf-16be")
