"""JSON text as it goes out: one line, pure ASCII, so that no character can break a frame or fail to encode."""

import json
from json.encoder import encode_basestring_ascii as quote

__all__ = ["dump", "quote"]

dump = json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False).encode
