"""Standard Webhooks signatures (https://www.standardwebhooks.com): whoever gets a message can tell whose it is, and of when."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping

PREFIX = "whsec_"
NEW_BYTES = 32
KEY_BYTES = range(24, 65)


def new_secret() -> str:
    """As receivers are given it: the key in base64 behind `whsec_`."""
    return PREFIX + base64.b64encode(secrets.token_bytes(NEW_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Raises ValueError, which does not repeat the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise ValueError(f"expected {PREFIX!r} and the base64 of {KEY_BYTES[0]} to {KEY_BYTES[-1]} bytes")
    return key


def signed(key: bytes, message_id: str, at: int, body: bytes) -> Mapping[str, str]:
    """The headers of one attempt. message_id: the same at each of them; at: Unix time of this one, in seconds."""
    digest = hmac.new(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
