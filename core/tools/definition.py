"""A tool version: an immutable definition, known by the digest of its canonical manifest."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, ValidationError

from core.bounded import Bounded
from core.llm.contract import ToolSpec
from core.tools import kinds
from core.tools.approval import DAY_SECONDS, Policy
from core.tools.canonical import canonical, digest_of
from core.tools.schema import Schema, SchemaRefused, Together, refuse_unbounded
from core.tools.work import ManifestRefused
from sandbox import Capabilities, Limits

NAME = r"^[a-zA-Z][a-zA-Z0-9_-]{0,63}$"
MANIFEST_BYTES = 1_000_000
DEEPEST = 3
"""Of calls that code makes within code that was called."""
SCHEMA_BYTES = 65_536
"""A model reads the schema of each tool with every request; what is larger than this fits no context."""


class Effect(StrEnum):
    """What a call does to the world, which decides whether it may be repeated after a crash."""

    PURE = "pure"  # nothing: run it again
    IDEMPOTENT = "idempotent"  # the same as once, given the same idempotency key
    EFFECTFUL = "effectful"  # never dispatch it twice


class _Model(Bounded):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


LISTED = Field(strict=False, max_length=100, fail_fast=True)  # JSON has no tuple
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class NetworkRule(_Model):
    host: Annotated[str, Field(min_length=1, max_length=253)]
    ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65_535)], ...], LISTED] = (443,)
    methods: Annotated[tuple[Method, ...], LISTED] = ("GET",)


class CapabilityManifest(_Model):
    network: Annotated[tuple[NetworkRule, ...], LISTED] = ()
    secrets: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=256)], ...], LISTED] = ()
    files: Literal["none", "read", "write"] = "none"
    tools: Annotated[tuple[Annotated[str, Field(pattern=NAME)], ...], LISTED] = ()


class LimitManifest(_Model):
    cpu_seconds: Annotated[float, Field(gt=0, le=600)] = 30
    wall_seconds: Annotated[float, Field(gt=0, le=3600)] = 60
    memory_bytes: Annotated[int, Field(ge=2**20, le=2**32)] = 256 * 2**20
    output_bytes: Annotated[int, Field(ge=0, le=2**26)] = 2**20


class ApprovalManifest(_Model):
    """A human approves each call. Its fields are those of `Policy`."""

    four_eyes: bool = False
    expires_seconds: Annotated[int, Field(ge=60, le=30 * DAY_SECONDS)] = DAY_SECONDS


JsonObject = dict[str, JsonValue]


class Manifest(_Model):
    """A tool version as it is written down. Nothing is granted and nothing unlimited by default."""

    name: Annotated[str, Field(pattern=NAME)]
    description: Annotated[str, Field(min_length=1, max_length=4096)]
    parameters: JsonObject
    returns: JsonObject | None = None
    runtime: JsonObject
    capabilities: CapabilityManifest = CapabilityManifest()
    limits: LimitManifest = LimitManifest()
    effect: Annotated[Effect, Field(strict=False)] = Effect.EFFECTFUL
    approval: Literal["never", "always"] | ApprovalManifest = "never"


@dataclass(frozen=True, kw_only=True)
class ToolVersion:
    """runtime: checked by its kind. manifest: the canonical text of the whole, and digest the SHA-256, in hex, of that text.

    approval: what every call of it has to wait for, whatever the request says; None for nothing.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    returns: Mapping[str, Any] | None
    runtime: Mapping[str, Any]
    capabilities: Capabilities
    limits: Limits
    effect: Effect
    approval: Policy | None
    manifest: str
    digest: str

    @cached_property
    def arguments_schema(self) -> Schema:
        return Schema(self.parameters)

    @cached_property
    def result_schema(self) -> Schema | None:
        return None if self.returns is None else Schema(self.returns)

    @cached_property
    def schema_bytes(self) -> int:
        return len(canonical(self.parameters))

    @property
    def calls(self) -> Mapping[str, str]:
        """Digests of the versions that its code calls, by name."""
        return self.runtime.get("tools") or {}

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(name=self.name, description=self.description, parameters=self.parameters)


def parse_manifest(raw: Mapping[str, Any]) -> ToolVersion:
    """Raises pydantic's ValidationError, ManifestRefused."""
    return check(Manifest.model_validate(raw))


def check(manifest: Manifest) -> ToolVersion:
    """What can be said without its kind's `admit`. Raises ManifestRefused with the path of what is wrong."""
    _check_schema(manifest.parameters, "parameters")
    if manifest.parameters.get("type") != "object":
        raise ManifestRefused("parameters.type", "the arguments of a tool are an object: it must be 'object'")
    if manifest.returns is not None:
        _check_schema(manifest.returns, "returns")
    if manifest.limits.output_bytes == 0:  # versions of before may have it, and have to be read
        raise ManifestRefused("limits.output_bytes", "it must be at least 1: without output a tool cannot answer")
    granted = manifest.capabilities
    if manifest.effect is Effect.PURE and (granted.network or granted.secrets or granted.tools or granted.files == "write"):
        raise ManifestRefused("effect", "'pure' is refused for a tool with network, secrets, tools or writable files")
    version = version_of(manifest, checked_runtime(manifest.runtime))
    if len(version.manifest) > MANIFEST_BYTES:
        raise ManifestRefused("runtime", f"the manifest has {len(version.manifest)} bytes; at most {MANIFEST_BYTES} are taken")
    return version


def version_of(manifest: Manifest, runtime: Mapping[str, Any]) -> ToolVersion:
    """runtime: in place of the manifest's, as its kind keeps it."""
    text = canonical({**manifest.model_dump(mode="json"), "runtime": dict(runtime)})
    return _version(manifest, runtime, text)


def stored_version(text: str) -> ToolVersion:
    """One that was registered, perhaps by rules of before."""
    manifest = Manifest.model_validate(json.loads(text))
    return _version(manifest, manifest.runtime, text.encode())


def _version(manifest: Manifest, runtime: Mapping[str, Any], text: bytes) -> ToolVersion:
    capabilities = manifest.capabilities
    return ToolVersion(
        name=manifest.name,
        description=manifest.description,
        parameters=manifest.parameters,
        returns=manifest.returns,
        runtime=runtime,
        capabilities=Capabilities(
            network=tuple(rule.model_dump() for rule in capabilities.network),
            secrets=capabilities.secrets,
            files=capabilities.files,
            tools=capabilities.tools,
        ),
        limits=Limits(**manifest.limits.model_dump()),
        effect=manifest.effect,
        approval=_policy(manifest.approval),
        manifest=text.decode(),
        digest=digest_of(text),
    )


def _policy(approval: Literal["never", "always"] | ApprovalManifest) -> Policy | None:
    if isinstance(approval, ApprovalManifest):
        return Policy(**approval.model_dump())
    return Policy() if approval == "always" else None


def _check_schema(schema: Mapping[str, Any], field: str) -> None:
    size = len(canonical(schema))
    if size > SCHEMA_BYTES:
        raise ManifestRefused(field, f"the schema has {size} bytes; at most {SCHEMA_BYTES} are taken")
    try:
        refuse_unbounded(schema)
        together = Together()
        together.add(schema)
        Schema(schema, pattern_bytes=together.pattern_bytes)
    except SchemaRefused as refused:
        raise ManifestRefused(dotted((field, *refused.path)), str(refused).partition("\n")[0]) from refused


def checked_runtime(runtime: Mapping[str, Any]) -> Mapping[str, Any]:
    """With what its kind has where it says nothing. Raises ManifestRefused."""
    try:
        kind = kinds.load(str(runtime.get("kind")))
    except LookupError as exc:
        raise ManifestRefused("runtime.kind", str(exc.args[0])) from exc
    try:
        return kind.Options.model_validate(runtime).model_dump(mode="json")
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        raise ManifestRefused(dotted(("runtime", *first["loc"])), first["msg"].removeprefix("Value error, ")) from exc


def dotted(path: Sequence[str | int]) -> str:
    """`capabilities.network[0].host`"""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
