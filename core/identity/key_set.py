"""The identity provider's public keys: fetched or read, kept for a bounded time, asked for again when one is not known.

It knows no token, and not how keys are written (jwks.py).
"""

import asyncio
import logging
import time
from collections.abc import Callable

import aiohttp

from core.config import Tokens
from core.errors import Unavailable
from core.identity.jwks import Keys, VerifyingKey, parse_keys

log = logging.getLogger(__name__)
FETCH_SECONDS = 5
LARGEST_BYTES = 2**20


class ProviderUnavailable(Unavailable):
    code = "identity_provider_unavailable"


class KeySet:
    def __init__(self, settings: Tokens, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._keys: Keys = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None) -> VerifyingKey | None:
        """None: the provider has no such key. One that is not known is asked for, at most once in `ask_again_seconds`.

        An answer older than `refresh_seconds` counts only where the provider was asked again and had none: a key that it has
        withdrawn opens nothing. Raises ProviderUnavailable when the last good answer is older than `keep_seconds`.
        """
        if self._clock() - self._fetched_at >= self._settings.refresh_seconds or not self._counts():
            self._refresh()
            await self._refreshed()
        found = self._pick(key_id)
        if found is None:
            self._refresh()
            await self._refreshed()
            found = self._pick(key_id)
        if not self._counts():
            raise ProviderUnavailable("the identity provider's keys cannot be had now")
        return found

    async def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])

    def _counts(self) -> bool:
        return self._clock() - self._fetched_at <= self._settings.keep_seconds

    def _pick(self, key_id: str | None) -> VerifyingKey | None:
        """A token without a key id, or a provider with one key without, leaves no choice where there is one key only."""
        if not self._counts():
            return None
        if len(self._keys) == 1 and (key_id is None or None in self._keys):
            return next(iter(self._keys.values()))
        return self._keys.get(key_id) if key_id is not None else None

    def _refresh(self) -> None:
        """Begin to ask, unless that is going on or was done a moment ago."""
        going_on = self._refreshing is not None and not self._refreshing.done()
        if not going_on and self._clock() - self._tried_at >= self._settings.ask_again_seconds:
            self._tried_at = self._clock()
            self._refreshing = asyncio.create_task(self._ask(), name="identity provider's keys")

    async def _refreshed(self) -> None:
        """A caller that leaves does not stop it for the others."""
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    async def _ask(self) -> None:
        try:
            answer = await self._read()
            keys = parse_keys(answer, self._settings.algorithms)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            log.warning("the identity provider's keys cannot be had: %s", type(exc).__name__)
            return
        if not keys:
            log.warning("the identity provider has no key for the algorithms that are set: no bearer token is taken")
        self._keys, self._fetched_at = keys, self._clock()

    async def _read(self) -> bytes:
        if self._settings.key_file is not None:
            return await asyncio.to_thread(self._settings.key_file.read_bytes)
        assert self._settings.jwks_url is not None
        limit = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(self._settings.jwks_url, allow_redirects=False) as response,
        ):
            if response.status != 200:  # a redirect may lead to where nobody vouches for the answer
                raise ValueError(f"status {response.status}")
            answer = bytearray()
            async for piece in response.content.iter_any():
                answer += piece
                if len(answer) > LARGEST_BYTES:
                    raise ValueError("too large")
        return bytes(answer)
