"""Programs that an organisation uploaded, brought to the sandbox host: when a tool is made of one, and when the host lacks it.

It runs none, and does not look into them.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

from core.egress.shares import Shares
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
        self._installing, self._restoring = _Line(), _Line()  # calls wait for these, and registrations for those
        self._coming: dict[tuple[str, str], asyncio.Task[str]] = {}

    async def install(self, organization_id: str, file_id: str) -> str:
        """The digest of its bytes, by which it is run. Raises NotFound, TooLarge, Unavailable, and SandboxError."""
        return await self._install(self._installing, organization_id, file_id)

    async def restore(self, organization_id: str, file_id: str, *, seconds: float) -> None:
        """One that the host has no more; once for all who miss it now, and to its end though none of them waits so long: the
        next call finds it. Raises SandboxError.
        """
        wanted = organization_id, file_id
        coming = self._coming.get(wanted)
        if coming is None:
            coming = self._coming[wanted] = asyncio.create_task(self._install(self._restoring, *wanted), name="restore")
            coming.add_done_callback(partial(self._over, wanted))
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(coming)
        except TimeoutError:
            message = f"the tool's program is not ready after {seconds:g} s: it is being compiled again; call it later"
            raise RuntimeUnavailable(message) from None
        except PaddockError as exc:
            raise RuntimeUnavailable(f"the tool's program cannot be read ({exc.code})") from exc

    def _over(self, wanted: tuple[str, str], coming: "asyncio.Task[str]") -> None:
        del self._coming[wanted]
        if not coming.cancelled():
            coming.exception()  # those who waited were told; perhaps none did

    async def _install(self, line: "_Line", organization_id: str, file_id: str) -> str:
        async with line.turn(organization_id):
            program = await self._uploads.read(organization_id, file_id, limit_bytes=MAX_PROGRAM_BYTES)
            return await self._host.install(RUNTIME, program)


class _Line:
    """One program at a time, as each is held in memory whole, and one of each organization that waits for its turn."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._shares = Shares(1)

    @asynccontextmanager
    async def turn(self, organization_id: str) -> AsyncGenerator[None, None]:
        async with self._shares.of(organization_id), self._turn:
            yield
