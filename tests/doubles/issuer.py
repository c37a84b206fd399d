"""An identity provider: signs whatever it is told to, and publishes its keys until it is told to stop."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

NAME, AUDIENCE = "https://id.example.com/", "paddock"


class Issuer:
    """down: answers 503. moved: answers with a redirect. asked: how often its keys were. odd: entries beside them."""

    def __init__(self) -> None:
        self.keys: dict[str, RSAPrivateKey] = {}
        self.url = ""
        self.asked = 0
        self.down = self.moved = False
        self.odd: list[dict[str, Any]] = []
        self.rotate("one")

    def rotate(self, key_id: str) -> None:
        """Another key in place of those before."""
        self.keys = {key_id: generate_private_key(65_537, 2048)}

    def token(self, *, algorithm: str = "RS256", key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """claims: over those of a good token; None leaves one out."""
        key_id, private = next(iter(self.keys.items()))
        now = int(time.time())
        good = {"iss": NAME, "aud": AUDIENCE, "sub": "alice", "org": "acme", "iat": now, "exp": now + 600}
        payload = {name: value for name, value in {**good, **claims}.items() if value is not None}
        return jwt.encode(payload, private if key is None else key, algorithm, {"kid": key_id, **(header or {})})

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.moved:
            raise web.HTTPFound("/elsewhere")
        if self.down:
            return web.Response(status=503)
        entries = [
            {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig"}
            for key_id, key in self.keys.items()
        ]
        return web.json_response({"keys": [*self.odd, *entries]})


@asynccontextmanager
async def open_issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/{path:.*}", issuer.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    try:
        yield issuer
    finally:
        await runner.cleanup()
