"""A tool version: an immutable definition, known by the digest of its canonical manifest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.llm.contract import ToolSpec
from core.tools import kinds
from core.tools.schema import Schema
from sandbox import Capabilities, Limits


class Effect(StrEnum):
    """What a call does to the world, which decides whether it may be repeated after a crash."""

    PURE = "pure"  # nothing: run it again
    IDEMPOTENT = "idempotent"  # the same as once, given the same idempotency key
    EFFECTFUL = "effectful"  # never dispatch it twice


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NetworkRule(_Model):
    host: Annotated[str, Field(min_length=1, max_length=253)]
    ports: tuple[Annotated[int, Field(ge=1, le=65_535)], ...] = (443,)
    methods: tuple[str, ...] = ("GET",)


class CapabilityManifest(_Model):
    network: tuple[NetworkRule, ...] = ()
    secrets: tuple[str, ...] = ()
    files: Literal["none", "read", "write"] = "none"
    tools: tuple[str, ...] = ()


class LimitManifest(_Model):
    cpu_seconds: Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)] = 30
    wall_seconds: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 60
    memory_bytes: Annotated[int, Field(ge=2**20, le=2**32)] = 256 * 2**20
    output_bytes: Annotated[int, Field(ge=0, le=2**26)] = 2**20


class Manifest(_Model):
    """A tool version as it is written down. Nothing is granted and nothing unlimited by default."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]{0,63}$")]
    description: Annotated[str, Field(min_length=1, max_length=4096)]
    parameters: dict[str, Any]
    returns: dict[str, Any] | None = None
    runtime: dict[str, Any]
    capabilities: CapabilityManifest = CapabilityManifest()
    limits: LimitManifest = LimitManifest()
    effect: Effect = Effect.EFFECTFUL
    approval: Literal["never"] = "never"

    @model_validator(mode="after")
    def _pure_reaches_nothing(self) -> "Manifest":
        granted = self.capabilities
        if self.effect is Effect.PURE and (granted.network or granted.secrets or granted.tools or granted.files == "write"):
            raise ValueError("effect 'pure' is refused for a tool with network, secrets, tools or writable files")
        return self


@dataclass(frozen=True, kw_only=True)
class ToolVersion:
    """runtime: checked by its kind. digest: SHA-256, in hex, over the canonical manifest."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    returns: Mapping[str, Any] | None
    runtime: Mapping[str, Any]
    capabilities: Capabilities
    limits: Limits
    effect: Effect
    digest: str

    @cached_property
    def arguments_schema(self) -> Schema:
        return Schema(self.parameters)

    @cached_property
    def result_schema(self) -> Schema | None:
        return None if self.returns is None else Schema(self.returns)

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(name=self.name, description=self.description, parameters=self.parameters)


def parse_manifest(raw: Mapping[str, Any]) -> ToolVersion:
    """Raises pydantic's ValidationError with the path of what is wrong, LookupError for an unknown kind, SchemaRefused."""
    manifest = Manifest.model_validate(raw)
    kind = kinds.load(str(manifest.runtime.get("kind")))
    runtime = kind.Options.model_validate(manifest.runtime)
    version = ToolVersion(
        name=manifest.name,
        description=manifest.description,
        parameters=manifest.parameters,
        returns=manifest.returns,
        runtime=runtime.model_dump(mode="json"),
        capabilities=Capabilities(
            network=tuple(rule.model_dump() for rule in manifest.capabilities.network),
            secrets=manifest.capabilities.secrets,
            files=manifest.capabilities.files,
            tools=manifest.capabilities.tools,
        ),
        limits=Limits(**manifest.limits.model_dump()),
        effect=manifest.effect,
        digest=digest(manifest.model_dump(mode="json")),
    )
    _ = (
        version.arguments_schema,
        version.result_schema,
    )  # a manifest whose schema is none is refused here, not at the first call
    return version


def digest(value: object) -> str:
    """SHA-256 of the value's canonical JSON: sorted keys, no blanks, ASCII (RFC 8785 but for the form of floats)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
