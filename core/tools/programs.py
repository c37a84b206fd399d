"""Programs that an organisation uploaded, brought to the sandbox host: when a tool is made of one, and when the host lacks it.

It runs none, and does not look into them.
"""

import asyncio
from collections import Counter
from typing import Protocol

from core.errors import PaddockError
from sandbox import RuntimeUnavailable
from sandbox.protocol import MAX_PROGRAM_BYTES

RUNTIME = "wasmtime"


class Uploads(Protocol):
    async def read(self, organization_id: str, file_id: str, *, limit_bytes: int) -> bytes: ...


class Host(Protocol):
    async def install(self, runtime: str, program: bytes) -> str: ...


class Programs:
    def __init__(self, uploads: Uploads, host: Host) -> None:
        self._uploads = uploads
        self._host = host
        self._turn = asyncio.Lock()  # each is held in memory whole
        self._restored: Counter[str] = Counter()

    async def install(self, organization_id: str, file_id: str) -> str:
        """The digest of its bytes, by which it is run. Raises NotFound, TooLarge, Unavailable, and SandboxError."""
        async with self._turn:
            return await self._install(organization_id, file_id)

    async def restore(self, organization_id: str, file_id: str, sha256: str) -> None:
        """One that the host has no more; once for all who miss it now. Raises SandboxError."""
        before = self._restored[sha256]
        async with self._turn:
            if self._restored[sha256] > before:
                return
            try:
                await self._install(organization_id, file_id)
            except PaddockError as exc:
                raise RuntimeUnavailable(f"the tool's program cannot be read ({exc.code})") from exc
            self._restored[sha256] += 1

    async def _install(self, organization_id: str, file_id: str) -> str:
        program = await self._uploads.read(organization_id, file_id, limit_bytes=MAX_PROGRAM_BYTES)
        return await self._host.install(RUNTIME, program)
