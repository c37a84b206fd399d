"""The servers that Paddock is compared with: each in an environment of its own, made from pinned requirements when needed."""

import asyncio
import hashlib
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg

from core.errors import Unavailable
from core.supervisor import Child
from tests.benchmarks.stand import ROOT, Served, Stand, free_port

HERE = Path(__file__).parent
INSTALL_SECONDS = 600


class Missing(Exception):
    """The peer cannot be had on this machine; the text says why."""


async def environment(stand: Stand, name: str) -> Path:
    """Where the peer's programs are. Raises Missing."""
    requirements = HERE / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = stand.kept / "peers" / name
    made = folder / "made-from"
    if not (made.exists() and made.read_text() == digest):
        print(f"installing {name} into {folder} ...", flush=True)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        await _install(folder, requirements)
        made.write_text(digest)
    return folder / "bin"


async def _install(folder: Path, requirements: Path) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=ROOT / ".venv-bootstrap" / "bin")
    if uv is not None:
        await _run(uv, "venv", "-q", "--python", sys.executable, str(folder))
        await _run(uv, "pip", "install", "-q", "--python", str(folder / "bin" / "python"), "-r", str(requirements))
    else:
        await _run(sys.executable, "-m", "venv", str(folder))
        await _run(str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", "-r", str(requirements))


async def _run(*argv: str) -> None:
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    try:
        async with asyncio.timeout(INSTALL_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError as exc:
        process.kill()
        raise Missing(f"{argv[0]} took more than {INSTALL_SECONDS} s") from exc
    if process.returncode != 0:
        lines = output.decode(errors="replace").strip().splitlines() or [""]
        raise Missing(f"{Path(argv[0]).name} failed: {lines[-1][:100]}")


async def _start(stack: AsyncExitStack, server: AbstractAsyncContextManager[Child]) -> Child:
    """Raises Missing where it does not start."""
    try:
        return await stack.enter_async_context(server)
    except Unavailable as exc:
        raise Missing(exc.message.replace("\n", " ")[:200]) from exc


@asynccontextmanager
async def litellm(stand: Stand) -> AsyncIterator[Served]:
    """LiteLLM's proxy as its manual says for production: one worker, a key of its own, no debug log; without its database."""
    programs, port, key = await environment(stand, "litellm"), free_port(), "sk-benchmark"
    config = stand.folder / "litellm.yaml"
    config.write_text(
        "model_list:\n"
        "  - model_name: scripted\n"
        f"    litellm_params: {{model: openai/scripted, api_base: '{stand.model}', api_key: none}}\n"
        f"general_settings: {{master_key: {key}}}\n"
        "litellm_settings: {set_verbose: false, telemetry: false}\n"
    )
    variables = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"}
    argv = (str(programs / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port))
    async with AsyncExitStack() as stack:
        child = await _start(stack, stand.serving("litellm", argv, variables, port, "/health/liveliness"))
        yield Served(name="LiteLLM", address=f"http://127.0.0.1:{port}", key=key, program=child, pids=(child.pid,))


@asynccontextmanager
async def agno(stand: Stand) -> AsyncIterator[Served]:
    """AgentOS with one agent and one Python tool, on a database of its own in the stand's PostgreSQL."""
    programs, port = await environment(stand, "agno"), free_port()
    connection = await asyncpg.connect(stand.postgres.owner_url)
    await connection.execute("CREATE DATABASE agno")
    await connection.close()
    url = stand.postgres.owner_url.replace("postgresql://", "postgresql+asyncpg://").replace("@/paddock?", "@/agno?")
    argv = (str(programs / "python"), str(HERE / "agent_os.py"), str(port), stand.model, url)
    async with AsyncExitStack() as stack:
        child = await _start(stack, stand.serving("agno", argv, {"AGNO_TELEMETRY": "false"}, port, "/health"))
        yield Served(
            name="Agno",
            address=f"http://127.0.0.1:{port}",
            key="",
            program=child,
            pids=(child.pid, stand.postgres.child.pid),
        )
