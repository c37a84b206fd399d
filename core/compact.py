"""JSON text as it is kept and goes out: one line, pure ASCII, so that no character can break a frame or fail to encode."""

import json
from json.encoder import encode_basestring_ascii as quote
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

__all__ = ["dump", "quote"]

_dump_anything = json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False).encode


def dump(value: Any) -> str:
    try:
        return to_json(value, ensure_ascii=True).decode("ascii")  # four times as fast
    except PydanticSerializationError:  # half a surrogate pair, which a guest may have printed
        return _dump_anything(value)
