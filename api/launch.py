"""From settings to a served gateway: `paddock up` with servers of our own, `paddock serve` with the operator's."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import click

from api import gateway, home
from api.gateway import Stopping, address_of
from api.logs import log_to
from api.protocol import raise_descriptor_limit
from api.servers import Servers, open_database_server, open_servers
from core.config import Settings, load_settings
from core.environment import places
from core.errors import ConfigurationError, Unavailable
from core.llm.declaration import declaration_of
from core.storage.embedded.cluster import LOGIN
from core.storage.embedded.ownership import data_account
from core.storage.embedded.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from core.bootstrap import Platform
    from core.storage.directory import Directory


WRITABLE_TO_OTHERS = 0o022
FEWEST_FILES = 256  # PostgreSQL alone asks for 58, and the gateway has one for each of its connections


def say(line: str) -> None:
    click.echo(line)


def up() -> None:
    directory, config = places()
    _allow_files()
    if not config.exists() or load_settings(declaration_of).database_url is None:
        data_account(directory)  # refuses what is somebody else's before anything is written there
    os.umask(os.umask(0) | WRITABLE_TO_OTHERS)
    home.prepare_home(directory)
    if home.write_default_config(config):
        say(f"wrote {config}, with the demonstration model")
    settings = _settings()
    log_to(settings.home / "logs" / "gateway.log", settings.log_level)
    gateway.run(lambda stopping: _up(settings, stopping))


def serve() -> None:
    _allow_files()
    settings = _settings()
    needed = {
        "PADDOCK_DATABASE_URL": settings.database_url is not None,
        "PADDOCK_REDIS_URL": settings.redis_url is not None,
        "PADDOCK_OBJECTS_URL": settings.objects_url is not None,
        "PADDOCK_SANDBOX_SOCKET": settings.sandbox_socket is not None,
    }
    if missing := [name for name, given in needed.items() if not given]:
        raise ConfigurationError(f"{', '.join(missing)}: not set; `paddock up` brings servers of its own")
    log_to(None, settings.log_level)
    gateway.run(lambda stopping: _serve(settings, stopping))


async def migrate(admin_key: Path | None) -> None:
    """admin_key: where to write an operator's first key, unless the one in it works."""
    settings = load_settings(declaration_of)
    async with open_database_server(settings, say) as postgres:
        if not await _migrate(settings, postgres):
            raise ConfigurationError("PADDOCK_DATABASE_OWNER_URL: not set; migrations need a login that may create roles")
        say("the database is up to date")
        if admin_key is not None:
            await _write_first_key(_database_url(settings, postgres), admin_key)
            say(f"the operator's key is in {admin_key}")


def _settings() -> Settings:
    settings = load_settings(declaration_of)
    if not settings.models:
        raise ConfigurationError(f"{settings.config}: `models` is missing: declare at least one model")
    return settings


def _allow_files() -> None:
    """As many as may be. Raises `ConfigurationError` where that is too few: what opens one too many tells it in its own way."""
    raise_descriptor_limit()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most != resource.RLIM_INFINITY and most < FEWEST_FILES:
        raise ConfigurationError(f"this process may open {most} files, and needs {FEWEST_FILES}: `ulimit -n 4096` allows more")


async def _up(settings: Settings, stopping: Stopping) -> None:
    async with AsyncExitStack() as stack:
        announce = stack.enter_context(home.serving(settings.home))
        listener = stack.enter_context(gateway.bound(settings.host, settings.port))
        importing = asyncio.create_task(asyncio.to_thread(import_module, "api.app"))  # while the servers start
        servers = await stack.enter_async_context(open_servers(settings, say))
        await importing
        await _migrate(settings, servers.postgres)
        await _write_first_key(_database_url(settings, servers.postgres), home.admin_key_file(settings.home))
        platform = await stack.enter_async_context(_open_platform(servers))
        if servers.postgres is not None:
            await stack.enter_async_context(_ending_with(servers.postgres, stopping))

        from api.app import create_app

        def ready() -> None:
            announce(address_of(listener))
            say(f"The admin key is in {home.admin_key_file(settings.home)}")
            say(f"Paddock is ready at {address_of(listener)}")

        await gateway.serve(create_app(platform), listener, stopping, ready)


async def _serve(settings: Settings, stopping: Stopping) -> None:
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(gateway.bound(settings.host, settings.port))
        servers = await stack.enter_async_context(open_servers(settings, say))
        platform = await stack.enter_async_context(_open_platform(servers))
        from api.app import create_app

        await gateway.serve(
            create_app(platform), listener, stopping, lambda: say(f"Paddock is ready at {address_of(listener)}")
        )


async def _migrate(settings: Settings, postgres: EmbeddedPostgres | None) -> bool:
    """False when the database is the operator's, and nobody told us a login that may change it."""
    from core.storage.migrate import migrate as bring_up_to_date

    if postgres is not None:
        await bring_up_to_date(postgres.owner_url, server_login=LOGIN, embedded=postgres.child)
        return True
    if settings.database_owner_url is None:
        return False
    login = unquote(urlsplit(_database_url(settings, None)).username or LOGIN)
    await bring_up_to_date(settings.database_owner_url.get_secret_value(), server_login=login)
    return True


async def _write_first_key(database_url: str, file: Path) -> None:
    """No key stays that nobody has: whether there can be a file is known before, and one that cannot be kept is revoked."""
    from core.identity.first_key import make_first_key
    from core.storage.database import open_database
    from core.storage.directory import Directory
    from core.storage.version import check_version

    async with open_database(database_url) as database:
        await check_version(database)
        directory = Directory(database)
        present = home.read_key(file)
        if present is None:
            _refuse_unwritable(file)
        made = await make_first_key(directory, present)
        if made is None:
            return
        try:
            home.write_key(file, made.secret)
        except ConfigurationError as exc:
            await _revoke(directory, made.secret)
            raise ConfigurationError(f"{exc.message}; the key that was made for it is revoked") from exc
    if made.others:
        say(f"An operator's key was made, and these open on: {', '.join(made.others)}. `paddock keys revoke` ends one.")


def _refuse_unwritable(file: Path) -> None:
    try:
        with TemporaryFile(dir=file.parent):
            pass
    except OSError as exc:
        raise ConfigurationError(f"the admin key cannot be written to {file}: {exc.strerror}") from exc


async def _revoke(directory: "Directory", secret: str) -> None:
    from core.identity.keys import Keys
    from core.identity.sign_in import Identity

    operator = await Identity(directory).authenticate(secret)
    await Keys(directory).revoke(operator, operator.key_id)


@asynccontextmanager
async def _open_platform(servers: Servers) -> "AsyncIterator[Platform]":
    from api.batches import WIRES
    from core.bootstrap import Addresses, open_platform

    settings = servers.settings
    objects = settings.objects_url.get_secret_value() if settings.objects_url else (settings.home / "objects").as_uri()
    addresses = Addresses(
        database=_database_url(settings, servers.postgres), redis=servers.redis, objects=objects, sandbox=servers.sandbox
    )
    async with open_platform(settings, addresses, WIRES) as platform:
        yield platform


def _database_url(settings: Settings, postgres: EmbeddedPostgres | None) -> str:
    if postgres is not None:
        return postgres.server_url
    assert settings.database_url is not None
    return settings.database_url.get_secret_value()


@asynccontextmanager
async def _ending_with(postgres: EmbeddedPostgres, stopping: Stopping) -> AsyncIterator[None]:
    """Without its database the gateway can do nothing: it ends, and says why. Nothing that was stored is lost."""
    ended = asyncio.create_task(postgres.child.wait())
    ended.add_done_callback(lambda task: None if task.cancelled() else stopping.stop())
    try:
        yield
        if ended.done():
            end = postgres.child.describe_end(ended.result())
            raise Unavailable(f"the database ended; what was stored is kept, start again: {end}")
    finally:
        ended.cancel()
        await asyncio.wait([ended])
