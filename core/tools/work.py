"""What a kind makes of a call, and what it makes it with. Knows no kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from yarl import URL

from core.egress.client import Answer, Judge, Request
from core.telemetry.telemetry import Telemetry, silent
from core.tools.canonical import digest_of
from core.tools.programs import Programs
from sandbox import Invocation, OnCall, OnOutput, Outcome, refuse_calls

if TYPE_CHECKING:
    from core.tools.definition import ToolVersion


PARSED_BYTES = 4 * 2**20
"""The largest result that is read as JSON: it is done in the server's own process, while everybody else waits."""


class Sandbox(Protocol):
    async def run(self, invocation: Invocation, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome: ...


class Egress(Protocol):
    def refusal(self, host: str) -> str | None: ...
    async def send(self, request: Request, *, seconds: float, body_bytes: int, judge: Judge, redirects: int = 0) -> Answer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSecret:
    """origins: the only places that it is ever sent to. organizations: whose tools may use it; None means everybody's."""

    value: str = field(repr=False)
    origins: frozenset[str]
    organizations: frozenset[str] | None = None

    def is_for(self, origin: URL, organization_id: str) -> bool:
        theirs = self.organizations is None or organization_id in self.organizations
        return theirs and str(origin.origin()) in self.origins


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What tools are registered, run and watched with. secrets: the operator's, by name; a guest never sees one."""

    sandbox: Sandbox
    egress: Egress
    programs: Programs
    secrets: Mapping[str, ToolSecret]
    telemetry: Telemetry = field(default_factory=silent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that is valid and allowed. id: the same however often this very call is dispatched; a model wrote it."""

    id: str
    organization_id: str
    arguments: Mapping[str, Any]

    @property
    def idempotency_key(self) -> str:
        """What may go into a header in place of the id, which may hold anything."""
        return digest_of(self.id.encode(errors="surrogatepass"))


class Work(Protocol):
    """A call made ready: a sandbox's invocation, or a request that is spoken on the tool's behalf."""

    async def run(self, workshop: Workshop, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        """An outcome with a `result` is told by it, one without by its output. Raises SandboxError; cancelling ends it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxWork:
    invocation: Invocation

    async def run(self, workshop: Workshop, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        return await workshop.sandbox.run(self.invocation, on_output, on_call)


class ManifestRefused(ValueError):
    """path: where in the manifest the mistake is, like `runtime.code`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


def refuse_capabilities(version: "ToolVersion", *, but: str | None = None) -> None:
    """For kinds whose sandbox gives a guest nothing else. Raises ManifestRefused."""
    for name in version.capabilities.granted:
        if name != but:
            message = "cannot be granted to a tool of this kind: its sandbox does not reach it"
            raise ManifestRefused(f"capabilities.{name}", message)


class CallRefused(ValueError):
    """The arguments fit the schema, but not the tool; the message is written for the model."""
