"""Names of hosts that users chose, made addresses by this machine's resolver. It judges none."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from aiohttp.abc import AbstractResolver, ResolveResult

from core.egress.shares import OWNER, Shares

THREADS, THREADS_OF_ONE = 128, 8


class Names(AbstractResolver):
    """In threads of its own: one that waits for a name server that never answers cannot be stopped, and whoever picks the name
    may want just that. Everybody else's threads stay free: one that nobody waits for any more is still its owner's.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="names")
        self._shares = Shares(THREADS_OF_ONE)

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """Raises OSError. No name's scope is in what it gives: link-local addresses are of no use here."""
        loop, share = asyncio.get_running_loop(), self._shares.of(OWNER.get())
        await share.acquire()

        def over(_: object) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(share.release)

        looking = self._threads.submit(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        looking.add_done_callback(over)
        found = await asyncio.wrap_future(looking)
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=socket.AI_NUMERICHOST
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
