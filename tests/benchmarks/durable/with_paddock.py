"""Paddock as its gateway runs, with a sandbox of its own. Arguments: a home, the database, the database for its owner."""

import sys
from pathlib import Path

import uvloop

from api.gateway import spare_the_collector
from api.servers import open_servers
from core.bootstrap import Addresses, open_platform
from core.config import Settings
from core.conversations.request import TurnRequest
from core.events import TurnStatus
from core.identity.first_key import make_first_key
from core.identity.sign_in import Identity
from core.ids import new_id
from core.messages import MessageItem, Role, Text
from core.storage.database import open_database
from core.storage.directory import Directory
from core.storage.embedded.cluster import LOGIN
from core.storage.migrate import migrate
from tests.benchmarks.durable.rounds import serve

SCRIPT = [
    {"when": {"after_tool": True}, "reply": "It is {last_tool_result}"},
    {"reply": {"tool_calls": [{"name": "code_interpreter", "arguments": {"code": "print(6*7)"}}]}},
]


async def main(home: Path, database: str, owner: str) -> None:
    await migrate(owner, server_login=LOGIN)
    async with open_database(database) as opened:
        made = await make_first_key(Directory(opened), None)
        assert made is not None
        principal = await Identity(Directory(opened)).authenticate(made.secret)
    model = {"name": "scripted", "backend": "scripted", "script": SCRIPT}
    values = {"home": home, "config": home / "paddock.yaml", "database_url": database, "models": [model]}
    async with open_servers(Settings.model_validate(values), lambda line: None) as servers:
        addresses = Addresses(
            database=database, redis=servers.redis, objects=(home / "objects").as_uri(), sandbox=servers.sandbox
        )
        async with open_platform(servers.settings, addresses) as platform:

            async def turn() -> None:
                asked = MessageItem(id=new_id("msg"), role=Role.USER, parts=(Text(text="compute"),))
                request = TurnRequest(input=(asked,), builtins=("code_interpreter",))
                begun = await platform.turns.start(principal, request)
                assert (await platform.turns.wait(principal, begun.id)).status is TurnStatus.COMPLETED

            spare_the_collector()
            await serve(turn)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
