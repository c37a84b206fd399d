"""What only the holder of a secret can read again: bytes under a key that is made of the secret, which is kept nowhere."""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12


def seal(secret: str, context: str, plain: bytes) -> bytes:
    """context: what it is; it opens under the same one alone. The secret must be one that nobody can guess."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + _cipher(secret, context).encrypt(nonce, plain, None)


def unseal(secret: str, context: str, sealed: bytes) -> bytes | None:
    """None for another secret or context, and for what was changed."""
    try:
        return _cipher(secret, context).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
    except InvalidTag:
        return None


def _cipher(secret: str, context: str) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=context.encode()).derive(secret.encode()))
