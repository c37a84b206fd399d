"""The text of an API key: `pk_` + 8 characters that are shown + 43 that are not. What is kept of it is a digest."""

import hashlib
import secrets
import string

ALPHABET = string.ascii_letters + string.digits
PREFIX_LENGTH, SECRET_LENGTH = 8, 43  # 43 characters of 62 are 256 bits
SHOWN = len("pk_") + PREFIX_LENGTH
LENGTH = SHOWN + SECRET_LENGTH


def new_secret() -> str:
    return "pk_" + "".join(secrets.choice(ALPHABET) for _ in range(PREFIX_LENGTH + SECRET_LENGTH))


def is_secret(text: str) -> bool:
    """Whether it may be a key at all."""
    return text.startswith("pk_") and len(text) == LENGTH


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
