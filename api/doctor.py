"""What this machine can do for Paddock, found by trying it, with what to do about each "no". It changes nothing."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from pydantic import BaseModel, ValidationError

from api.client import find_url
from api.servers import model_file
from api.terminal import plain
from core.accounts import server_account
from core.config import Settings
from core.config_section import beside
from core.errors import PaddockError
from core.fleet.client import AgentUnreachable, connect
from core.storage.database import open_database
from core.storage.embedded.cluster import installations
from core.storage.embedded.redis import find_server
from core.storage.objects import open_objects
from core.storage.version import check_version
from core.storage.wakeups import open_wakeups
from sandbox import runtimes, walls
from sandbox.client import open_client
from sandbox.errors import SandboxError

ROOM_BYTES = 2 * 2**30
ANSWER_BYTES = 2**16
CHECK_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """needed: without it Paddock does not work, while the others make it safer or faster. advice: about a "no"."""

    subject: str
    present: bool
    detail: str = ""
    advice: str = ""
    needed: bool = False


async def examine(settings: Settings) -> AsyncIterator[tuple[str, list[Finding]]]:
    """Section by section, as each is known."""
    yield "machine", list(_machine(settings))
    yield "sandboxes", [*_sandboxes(settings), *await _sandbox_host(settings)]
    yield "second wall around the sandbox", [_wall(wall) for wall in await asyncio.to_thread(walls.report)]
    yield "accelerators", await asyncio.to_thread(lambda: list(_accelerators()))
    yield "stores", await _stores(settings)
    yield "models", await _models(settings)
    yield "server", [await _server(settings)]


def _machine(settings: Settings) -> Iterator[Finding]:
    yield Finding(subject="Python", present=True, detail=sys.version.split()[0])
    yield Finding(subject="processors", present=True, detail=str(len(os.sched_getaffinity(0))))
    place = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    writable = os.access(place, os.W_OK) and place.is_dir()
    advice = "make it a directory of yours, or set another PADDOCK_HOME"
    yield Finding(subject="PADDOCK_HOME", present=writable, detail=str(settings.home), advice=advice, needed=True)
    free = shutil.disk_usage(place).free
    detail = f"{free / 2**30:.1f} GiB free"
    yield Finding(subject="disk", present=free > ROOM_BYTES, detail=detail, advice="free some: the stores need about 2 GiB")


def _sandboxes(settings: Settings) -> Iterator[Finding]:
    for name in runtimes.available():
        yield Finding(subject=name, present=True, detail=_version(name), needed=True)
    built = sorted((settings.home / "guests").glob("python-*.cwasm")) if (settings.home / "guests").exists() else []
    advice = "`paddock up` builds it at its first start, in about 20 s"
    yield Finding(subject="Python guest", present=bool(built), detail=str(built[-1]) if built else "", advice=advice)


async def _sandbox_host(settings: Settings) -> list[Finding]:
    if settings.sandbox_socket is None:
        return []

    async def check() -> None:
        assert settings.sandbox_socket is not None
        async with open_client(settings.sandbox_socket) as client:
            await client.check()

    return [await _tried("sandbox host", check, "start `paddock sandbox --socket` there")]


def _version(package: str) -> str:
    try:
        return f"version {version(package)}"
    except PackageNotFoundError:
        return ""


def _wall(wall: walls.Wall) -> Finding:
    return Finding(subject=wall.name, present=wall.present, advice=wall.advice)


def _accelerators() -> Iterator[Finding]:
    """llama.cpp is asked in a process of its own: it may write, and it may crash on a broken driver."""
    probe = "import llama_cpp; print(llama_cpp.__version__, llama_cpp.llama_supports_gpu_offload())"
    done = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, text=True)  # noqa: S603 - constants
    if done.returncode != 0:
        advice = "reinstall it with a C++ compiler: make up"
        yield Finding(subject="llama.cpp", present=False, advice=advice, needed=True)
        return
    release, offloads = done.stdout.split()[-2:]
    yield Finding(subject="llama.cpp", present=True, detail=release, needed=True)
    devices = [device for device in ("/dev/nvidiactl", "/dev/kfd", "/dev/dri/renderD128") if Path(device).exists()]
    if sys.platform == "darwin":
        devices.append("Metal")
    advice = "none was found; models run on the processor"
    if devices:
        advice = "llama.cpp is not built for it: install llama-cpp-python anew with CMAKE_ARGS of its kind, as -DGGML_CUDA=on"
    detail = ", ".join(devices)
    yield Finding(subject="accelerator in use", present=bool(devices) and offloads == "True", detail=detail, advice=advice)


async def _stores(settings: Settings) -> list[Finding]:
    return [await _database(settings), await _redis(settings), await _objects(settings)]


async def _database(settings: Settings) -> Finding:
    if settings.database_url is None:
        account = server_account()
        runs_as = f", run as {account.name!r}" if account else ""
        return Finding(subject="PostgreSQL", present=True, detail=f"embedded, version {installations()[0].version}{runs_as}")

    async def ping() -> None:
        assert settings.database_url is not None
        async with open_database(settings.database_url.get_secret_value()) as database:
            await database.ping()
            await check_version(database)

    return await _tried("PostgreSQL", ping, "is it up, is PADDOCK_DATABASE_URL right, did `paddock migrate` run?")


async def _redis(settings: Settings) -> Finding:
    if settings.redis_url is None:
        return Finding(subject="Redis", present=True, detail=f"embedded, {await find_server()}")

    async def ping() -> None:
        assert settings.redis_url is not None
        async with open_wakeups(settings.redis_url.get_secret_value()) as wakeups:
            await wakeups.ping()

    return await _tried("Redis", ping, "is it up, and is PADDOCK_REDIS_URL right?", needed=False)


async def _objects(settings: Settings) -> Finding:
    if settings.objects_url is None:
        return Finding(subject="objects", present=True, detail=f"directory {settings.home / 'objects'}")

    async def check() -> None:
        assert settings.objects_url is not None
        async with open_objects(settings.objects_url.get_secret_value()) as objects:
            await objects.check()

    return await _tried("objects", check, "is PADDOCK_OBJECTS_URL right, and are its credentials?")


async def _tried(subject: str, attempt: Callable[[], Awaitable[None]], advice: str, *, needed: bool = True) -> Finding:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await attempt()
    except (PaddockError, SandboxError, OSError, TimeoutError) as exc:
        reason = str(exc) or f"no answer in {CHECK_SECONDS:g} s"
        return Finding(subject=subject, present=False, detail=reason, advice=advice, needed=needed)
    return Finding(subject=subject, present=True, detail="answers")


async def _models(settings: Settings) -> list[Finding]:
    if not settings.models:
        advice = "`paddock up` writes a paddock.yaml with the demonstration model at its first start"
        return [Finding(subject="none declared", present=False, detail=str(settings.config), advice=advice)]
    return [await _model(settings, index) for index in range(len(settings.models))]


async def _model(settings: Settings, index: int) -> Finding:
    """A provider is not asked: that costs money. A local model's file or agent is looked for."""
    entry = settings.models[index]
    name, backend = str(entry["name"]), str(entry["backend"])
    needed = index == 0
    if backend == "fleet" and entry.get("file"):
        try:
            return Finding(subject=name, present=True, detail=f"fleet, {model_file(settings, entry)}")
        except PaddockError as exc:
            advice = "correct `file` in the configuration"
            return Finding(subject=name, present=False, detail=exc.message, advice=advice, needed=needed)
    if backend == "fleet":
        socket = beside(settings.config.parent, entry["socket"])
        return await _tried(name, lambda: _greet(socket), "start `paddock agent` there", needed=needed)
    return Finding(subject=name, present=True, detail=f"{backend}, declared; not asked, since an answer may cost money")


async def _greet(socket: Path) -> None:
    try:
        async with connect(socket):
            pass
    except AgentUnreachable as exc:
        raise ConnectionError(str(exc)) from exc


async def _server(settings: Settings) -> Finding:
    address = find_url(settings.home) or f"http://127.0.0.1:{settings.port}"

    def ask() -> str:
        """What is wrong; nothing, when it is ready."""
        try:
            with urlopen(f"{address}/health/ready", timeout=CHECK_SECONDS):  # noqa: S310 - an http address of our own
                return ""
        except HTTPError as exc:
            with exc:
                return _not_ok(exc)

    try:
        wrong = await asyncio.to_thread(ask)
    except (OSError, HTTPException):  # URLError is of its kind
        return Finding(subject=address, present=False, advice="start it with `paddock up` (or `make up`)")
    if wrong:
        return Finding(subject=address, present=False, detail=wrong, advice="see its log, or is it another's address?")
    return Finding(subject=address, present=True, detail="ready")


class _Readiness(BaseModel):
    checks: dict[str, str]


def _not_ok(answer: HTTPError) -> str:
    try:
        checks = _Readiness.model_validate_json(answer.read(ANSWER_BYTES)).checks
    except ValidationError:
        return f"it answers with {answer.code}, and not as Paddock does"
    return plain("not ready: " + "; ".join(f"{name}: {said}" for name, said in checks.items() if said != "ok"))
