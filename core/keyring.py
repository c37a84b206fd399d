"""Secrets of tenants that the server needs again, as they lie in the database: sealed, under keys that are not in it.

The keys are a file, one of base64 a line: the first one seals, all of them open. It is made at the first start.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import ConfigurationError, Unavailable
from core.secret_file import make_once

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = "sealed1"


class Keyring:
    """A sealed text is `sealed1:<id of its key>:<base64>`. owner: the id of the row that it is in; it opens for that alone."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {hashlib.sha256(key).hexdigest()[:12]: key for key in keys}
        self.current = f"{VERSION}:{next(iter(self._keys))}:"

    def seal(self, text: str, *, owner: str) -> str:
        nonce = secrets.token_bytes(NONCE_BYTES)
        key = next(iter(self._keys.values()))
        return self.current + base64.b64encode(nonce + AESGCM(key).encrypt(nonce, text.encode(), owner.encode())).decode()

    def open(self, text: str, *, owner: str) -> str:
        """Raises Unavailable (`sealing_key_missing`)."""
        version, key_id, sealed = (*text.split(":", 2), "", "")[:3]
        if version != VERSION:
            raise Unavailable("it is not sealed as this server seals", code="sealing_key_missing")
        if key_id not in self._keys:
            told = f"it is sealed with the key {key_id}, which this server has not; here: {', '.join(self._keys)}"
            raise Unavailable(f"{told} (sealing_key_file)", code="sealing_key_missing")
        try:
            raw = base64.b64decode(sealed, validate=True)
            return AESGCM(self._keys[key_id]).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], owner.encode()).decode()
        except (InvalidTag, ValueError) as exc:
            raise Unavailable("it was changed since it was sealed", code="sealing_key_missing") from exc

    def derived(self, context: str) -> Sequence[str]:
        """A secret of each key, the one of the key that seals first: the same ones from every server that shares the keys."""
        return [hmac.digest(key, context.encode(), "sha256").hex() for key in self._keys.values()]

    def resealed(self, text: str, *, owner: str) -> str:
        """Under the key that seals now; a text that was never sealed too. Raises as `open` does."""
        return self.seal(self.open(text, owner=owner) if text.startswith(VERSION) else text, owner=owner)


def open_keyring(file: Path) -> Keyring:
    """The keys in the file, or of a new one. Raises ConfigurationError, which repeats no key."""
    try:
        if not file.exists():
            make_once(file, base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
        keys = [base64.b64decode(line, validate=True) for line in file.read_bytes().split()]
    except OSError as exc:
        raise ConfigurationError(f"sealing_key_file: {file} cannot be used: {exc.strerror}") from exc
    except binascii.Error:
        keys = []
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        made = f"`openssl rand -base64 {KEY_BYTES}`"
        raise ConfigurationError(f"sealing_key_file: {file} does not hold keys alone, one a line; {made} makes one")
    return Keyring(keys)
