"""The identity provider's keys and what a token has to be to pass them."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from core.config import Tokens
from core.errors import Unauthenticated
from core.identity.key_set import KeySet, ProviderUnavailable
from core.identity.principals import Role
from core.identity.tokens import Claims, TokenVerifier
from tests.doubles.issuer import AUDIENCE, NAME, Issuer, open_issuer


@dataclass
class Door:
    """clock: the key set's, in seconds."""

    issuer: Issuer
    clock: list[float] = field(default_factory=lambda: [0.0])
    sets: list[KeySet] = field(default_factory=list)

    def open(self, **settings: Any) -> TokenVerifier:
        good = {"issuer": NAME, "audience": AUDIENCE, "jwks_url": self.issuer.url, "organization_claim": "org"}
        given = Tokens.model_validate({**good, **settings})
        self.sets.append(KeySet(given, clock=lambda: self.clock[0]))
        return TokenVerifier(given, self.sets[-1])


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_issuer() as issuer:
        opened = Door(issuer)
        yield opened
        for keys in opened.sets:
            await keys.close()


def pem(key: Any) -> bytes:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text


async def test_a_good_token_says_who_where_as_what_and_until_when(door: Door) -> None:
    verifier = door.open(role_claim="roles", clock_skew_seconds=10)
    until = int(time.time()) + 100
    claims = await verifier.verify(door.issuer.token(roles=["x", "auditor", "admin"], name="Alice", exp=until))
    assert claims == Claims(subject="alice", name="Alice", organization="acme", role=Role.ADMIN, expires_at=claims.expires_at)
    assert claims.expires_at.timestamp() == until + 10


HOSTILE = {
    "unsigned": {"algorithm": "none", "key": ""},
    "another audience": {"aud": "another"},
    "no audience": {"aud": None},
    "another issuer": {"iss": "https://id.example.com"},
    "no issuer": {"iss": None},
    "no end": {"exp": None},
    "an end that is no number": {"exp": "soon"},
    "an end that is written as text": {"exp": "4000000000"},
    "an end that is a list": {"exp": [4_000_000_000]},
    "an end that never comes": {"exp": 10**18},
    "not yet": {"nbf": 4_000_000_000},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a long subject": {"sub": "x" * 300},
    "no organisation": {"org": None},
    "an organisation that is a list": {"org": ["acme"]},
    "a key that nobody knows": {"header": {"kid": "two"}},
    "an extension that nobody knows": {"header": {"crit": ["x"], "x": 1}},
    "another algorithm of the same key": {"algorithm": "PS256"},
    "a key of the sender's": {"key": generate_rsa_key(65_537, 2048)},
    "a key in the token": {
        "key": generate_rsa_key(65_537, 2048),
        "header": {"jku": "http://evil.example", "jwk": {"kty": "RSA"}},
    },
    "a role that is none of ours": {"role": "god"},
}


@pytest.mark.parametrize("how", HOSTILE)
async def test_a_token_that_is_wrong_anywhere_is_refused(door: Door, how: str) -> None:
    verifier = door.open(role_claim="role")
    await verifier.verify(door.issuer.token())
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(door.issuer.token(**HOSTILE[how]))
    assert refused.value.code == "invalid_token"


async def test_the_public_key_is_no_shared_secret(door: Door) -> None:
    """The classic confusion: HS256 with the text of the public key, which everybody has."""
    verifier = door.open()
    public = pem(door.issuer.keys["one"])
    signing_input = door.issuer.token(algorithm="HS256", key="x" * 64).rpartition(".")[0]
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signing_input.encode(), public)
    forged = f"{signing_input}.{jwt.utils.base64url_encode(signature).decode()}"
    assert jwt.get_unverified_header(forged)["alg"] == "HS256"
    with pytest.raises(Unauthenticated, match="not valid"):
        await verifier.verify(forged)


@pytest.mark.parametrize(
    "text", ["a.b.c", "..", "e30.e30.", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA", "\u00e9.\u00e9.\u00e9", "x" * 20_000 + ".."]
)
async def test_what_is_no_token_at_all_is_refused(door: Door, text: str) -> None:
    with pytest.raises(Unauthenticated):
        await door.open().verify(text)


async def test_the_clocks_may_differ_by_what_is_set_and_not_more(door: Door) -> None:
    late = door.issuer.token(exp=int(time.time()) - 20)
    await door.open(clock_skew_seconds=60).verify(late)
    with pytest.raises(Unauthenticated) as refused:
        await door.open(clock_skew_seconds=5).verify(late)
    assert refused.value.code == "token_expired"


async def test_a_rotated_key_is_found_at_once_and_the_one_before_counts_no_more(door: Door) -> None:
    verifier = door.open()
    old = door.issuer.token()
    await verifier.verify(old)
    door.issuer.rotate("two")
    door.clock[0] += 31
    await verifier.verify(door.issuer.token())
    with pytest.raises(Unauthenticated, match="does not publish"):
        await verifier.verify(old)
    assert door.issuer.asked == 2


async def test_a_key_that_was_withdrawn_opens_nothing_after_a_quiet_time(door: Door) -> None:
    verifier = door.open()
    old = door.issuer.token()
    await verifier.verify(old)
    door.issuer.rotate("two")
    door.clock[0] += 301
    refused = await asyncio.gather(*(verifier.verify(old) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(error, Unauthenticated) for error in refused)
    assert door.issuer.asked == 2


ODD_ENTRIES = {
    "a kind that is a list": {"kty": ["RSA"]},
    "a kind that is an object": {"kty": {}},
    "no kind": {},
    "a name that is a list": {"kty": "RSA", "kid": ["one"]},
    "numbers for texts": {"kty": "RSA", "n": 5, "e": 3},
    "a curve that is a list": {"kty": "EC", "crv": ["P-256"], "x": "AA", "y": "AA"},
}


@pytest.mark.parametrize("how", ODD_ENTRIES)
async def test_an_odd_entry_among_the_providers_keys_is_left_out_and_the_others_count(door: Door, how: str) -> None:
    door.issuer.odd.append(ODD_ENTRIES[how])
    await door.open().verify(door.issuer.token())


@pytest.mark.parametrize("answer", ["[" * 200_000, '{"keys":' * 200_000, "", "[]", '{"keys": 1}', "\ud800"])
async def test_an_answer_that_is_no_key_set_is_none_and_the_next_one_may_be(door: Door, tmp_path: Path, answer: str) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(answer.encode(errors="surrogatepass"))
    verifier = door.open(jwks_url=None, key_file=file)
    with pytest.raises(ProviderUnavailable):
        await verifier.verify(door.issuer.token())
    file.write_bytes(pem(door.issuer.keys["one"]))
    door.clock[0] += 31
    await verifier.verify(door.issuer.token())


@pytest.mark.parametrize("left", ["none", "none for us"])
async def test_a_provider_that_withdraws_all_keys_is_no_provider_that_is_down(door: Door, left: str) -> None:
    verifier, token = door.open(), door.issuer.token()
    await verifier.verify(token)
    keys, door.issuer.keys = door.issuer.keys, {}
    if left == "none for us":
        elliptic = generate_private_key(SECP256R1()).public_key()
        door.issuer.odd.append({**jwt.algorithms.ECAlgorithm.to_jwk(elliptic, as_dict=True), "kid": "two", "use": "sig"})
    door.clock[0] += 301
    with pytest.raises(Unauthenticated, match="does not publish"):
        await verifier.verify(token)
    door.issuer.keys = keys
    door.clock[0] += 31
    await verifier.verify(token)


async def test_many_unknown_keys_ask_the_provider_once_an_interval(door: Door) -> None:
    verifier = door.open()
    await verifier.verify(door.issuer.token())
    for wait in (31, 0, 0, 31, 0):
        door.clock[0] += wait
        attempts = [verifier.verify(door.issuer.token(header={"kid": f"k{n}"})) for n in range(5)]
        refused = await asyncio.gather(*attempts, return_exceptions=True)
        assert all(isinstance(error, Unauthenticated) for error in refused)
    assert door.issuer.asked == 3


@pytest.mark.parametrize("trouble", ["down", "moved"])
async def test_a_provider_that_is_down_is_done_without_for_a_while_and_then_nothing_passes(door: Door, trouble: str) -> None:
    verifier = door.open(keep_seconds=3600)
    token = door.issuer.token()
    await verifier.verify(token)
    setattr(door.issuer, trouble, True)
    door.clock[0] = 3600
    await verifier.verify(token)
    door.clock[0] = 3700
    with pytest.raises(ProviderUnavailable):
        await verifier.verify(token)
    setattr(door.issuer, trouble, False)
    door.clock[0] = 3800
    await verifier.verify(token)


async def test_a_provider_that_was_never_there_lets_nobody_in(door: Door) -> None:
    door.issuer.down = True
    with pytest.raises(ProviderUnavailable):
        await door.open().verify(door.issuer.token())


async def test_a_key_file_may_be_pem_or_a_key_set_and_is_read_again(door: Door, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(pem(door.issuer.keys["one"]))
    verifier = door.open(jwks_url=None, key_file=file)
    await verifier.verify(door.issuer.token())
    door.issuer.rotate("two")
    private = generate_private_key(SECP256R1())
    file.write_bytes(pem(private))
    door.clock[0] += 301
    for expected in (Unauthenticated, Unauthenticated):  # an EC key, while RS256 alone is set: the last good file counts
        with pytest.raises(expected):
            await verifier.verify(door.issuer.token())
    elliptic = door.open(jwks_url=None, key_file=file, algorithms=["ES256"])
    await elliptic.verify(door.issuer.token(key=private, algorithm="ES256"))
    with pytest.raises(Unauthenticated):
        await elliptic.verify(door.issuer.token(key=generate_private_key(SECP256R1()), algorithm="ES256"))


async def test_a_private_key_in_the_file_is_no_key(door: Door, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    key = door.issuer.keys["one"]
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ProviderUnavailable):
        await door.open(jwks_url=None, key_file=file).verify(door.issuer.token())
