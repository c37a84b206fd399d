"""The key that signs checkpoints and manifests (Ed25519), and the notes that it signs, in the form of C2SP's signed-note.

The key is a file; it is made at the first start. Who has the file can forge the log, so it is closed to others.
"""

import base64
import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from core.errors import ConfigurationError
from core.secret_file import make_once

ED25519 = b"\x01"  # the kind of key, in C2SP's signed-note


@dataclass(frozen=True, slots=True)
class Signer:
    """id: the first 16 hex digits of the public key's SHA-256, to tell keys apart. public_key: PEM."""

    key: Ed25519PrivateKey
    id: str
    public_key: str

    @classmethod
    def of(cls, key: Ed25519PrivateKey) -> "Signer":
        public = key.public_key()
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        return cls(key, hashlib.sha256(raw).hexdigest()[:16], pem)

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)

    def note(self, origin: str, text: str) -> str:
        """The text, which ends with a line end, and its signature under it."""
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        key_hash = hashlib.sha256(origin.encode() + b"\n" + ED25519 + raw).digest()[:4]
        signature = base64.b64encode(key_hash + self.sign(text.encode())).decode()
        return f"{text}\n\u2014 {origin} {signature}\n"


def open_signer(file: Path) -> Signer:
    """The key in the file, or a new one; its public half is written beside it, as `.pub`. Raises ConfigurationError."""
    try:
        if not file.exists():
            key = Ed25519PrivateKey.generate()
            make_once(file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        loaded = load_pem_private_key(file.read_bytes(), password=None)
        if not isinstance(loaded, Ed25519PrivateKey):
            raise ConfigurationError(
                f"audit.key_file: {file} is no Ed25519 key; make one with `openssl genpkey -algorithm ed25519`"
            )
        signer = Signer.of(loaded)
        _publish(file.with_suffix(".pub"), signer.public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ConfigurationError(f"audit.key_file: {file} is no private key in PEM without a password") from exc
    except OSError as exc:
        raise ConfigurationError(f"audit.key_file: {file} cannot be used: {exc.strerror}") from exc
    return signer


def public_keys(texts: Iterable[str]) -> list[Ed25519PublicKey]:
    """Those of PEMs that are for Ed25519. Of what somebody has put among them, nothing."""
    found = []
    for text in texts:
        with suppress(ValueError, UnsupportedAlgorithm):
            if isinstance(key := load_pem_public_key(text.encode()), Ed25519PublicKey):
                found.append(key)
    return found


def _publish(file: Path, text: str) -> None:
    """Best effort where the key lies in a place that cannot be written, such as a mounted secret: a route tells it too."""
    with suppress(OSError):
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
