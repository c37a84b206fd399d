"""How an identity provider writes its public keys: a JWKS (RFC 7517), or one key in PEM.

What the provider says is data of a stranger: a key that does not fit is left out, not trusted.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

FAMILIES = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}  # and no `oct`: a public key is no shared secret
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """algorithms: those of the settings that the key is for."""

    key: Any
    algorithms: tuple[str, ...]


Keys = Mapping[str | None, VerifyingKey]
"""By key id; None for a key that has none."""


def parse_keys(answer: bytes, algorithms: tuple[str, ...]) -> Keys:
    """A JWKS, or one public key in PEM. None of a JWKS in which none is for us: its keys were withdrawn.

    Raises ValueError for what is neither, and for a key in PEM that cannot be used.
    """
    if answer.lstrip().startswith(b"-----BEGIN"):
        key = _from_pem(answer, algorithms)
        if not key.algorithms:
            raise ValueError("no key for the algorithms that are set")
        return {None: key}
    document = _parsed(answer)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("no key set")
    usable = [_from_jwk(entry, algorithms) for entry in entries]
    return dict(pair for pair in usable if pair is not None and pair[1].algorithms)


def _parsed(answer: bytes) -> Any:
    """Raises ValueError."""
    try:
        return json.loads(answer)
    except RecursionError as exc:
        raise ValueError("too deep") from exc


def _from_jwk(entry: Any, algorithms: tuple[str, ...]) -> tuple[str | None, VerifyingKey] | None:
    """None for a key that is not for us: private, for encryption, malformed, or of a kind that we do not take."""
    if not isinstance(entry, dict) or "d" in entry or entry.get("use", "sig") != "sig":
        return None
    kind, key_id = entry.get("kty"), entry.get("kid")
    if not isinstance(kind, str) or kind not in FAMILIES or not isinstance(key_id, str | None):
        return None
    fitting = _fitting(kind, entry.get("crv"), algorithms)
    if "alg" in entry:
        fitting = tuple(name for name in fitting if name == entry["alg"])
    try:
        key = jwt.PyJWK({name: value for name, value in entry.items() if name != "alg"}).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    return key_id, VerifyingKey(key, fitting)


def _from_pem(text: bytes, algorithms: tuple[str, ...]) -> VerifyingKey:
    """Raises ValueError, also for a private key: it has no business here."""
    try:
        key = load_pem_public_key(text)
    except UnsupportedAlgorithm as exc:
        raise ValueError("a kind of key that is not known") from exc
    match key:
        case RSAPublicKey():
            return VerifyingKey(key, _fitting("RSA", None, algorithms))
        case EllipticCurvePublicKey():
            return VerifyingKey(key, _fitting("EC", _NAMES.get(key.curve.name), algorithms))
        case Ed25519PublicKey():
            return VerifyingKey(key, _fitting("OKP", "Ed25519", algorithms))
        case _:
            raise ValueError("a kind of key that signs no tokens here")


def _fitting(kind: str, curve: object, algorithms: tuple[str, ...]) -> tuple[str, ...]:
    if kind == "EC":
        return tuple(name for name in algorithms if name == _CURVES.get(str(curve)))
    if kind == "OKP" and curve != "Ed25519":
        return ()
    return tuple(name for name in algorithms if name.startswith(FAMILIES.get(kind, ())))
