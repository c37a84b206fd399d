"""When a call has to wait for a human, and what exactly an approval approves. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.tools.canonical import canonical, digest

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """four_eyes: whoever made the request that the call came of may not approve it. expires_seconds: how long it waits; what
    was approved is carried out within as long again, or a day, or never.
    """

    four_eyes: bool = False
    expires_seconds: int = DAY_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Calls that a request wants to be asked about, beyond those of tools that demand it themselves: `always` these, and where
    `others` says so all but those of `never`.
    """

    others: bool = False
    always: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    def wants(self, tool: str) -> bool:
        return tool in self.always or (self.others and tool not in self.never)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a human is asked. arguments: canonical JSON. digest: of all that an approval is for: it is for nothing else."""

    arguments: str
    digest: str
    policy: Policy


def demand(version_digest: str, arguments: Mapping[str, Any], policy: Policy) -> Demand:
    bound = {"tool_version": version_digest, "arguments": arguments, "policy": asdict(policy)}
    return Demand(arguments=canonical(arguments).decode(), digest=digest(bound), policy=policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A call that a human has decided on, as the turn that takes it up keeps it. request_id: of the item that asked.

    digest: of what was approved. denial: what the model is told instead of a result; None where it may run.
    """

    request_id: str
    tool: str
    arguments: str
    digest: str
    denial: str | None = None
