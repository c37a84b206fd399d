"""What an assistant is: a model with instructions, tools and parameters that are said once. Knows no database and no wire."""

from dataclasses import dataclass, field

from pydantic import TypeAdapter

from core.llm.contract import Sampling
from core.storage.assistants import Text
from core.tools.canonical import canonical, digest_of
from core.tools.catalog import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """model: a declared one, never an assistant. builtins: names of tools that ship.

    registry: tools that are named are granted: every caller may use them through the assistant. Without names: what the caller
    may use anyway. None: nothing of it.
    """

    model: str
    description: str = ""
    instructions: str | None = None
    builtins: tuple[str, ...] = ()
    registry: Selection | None = None
    sampling: Sampling = field(default_factory=Sampling)
    max_tool_calls: int | None = None
    parallel_tool_calls: bool = True
    truncate: bool = False

    def text(self) -> Text:
        kept = canonical(_DEFINITION.dump_python(self, mode="json"))
        told = {"model": self.model, "granted_tools": " ".join((*self.builtins, *self.granted))}
        return Text(definition=kept.decode(), digest=digest_of(kept), told=told)

    @property
    def granted(self) -> tuple[str, ...]:
        return (self.registry.names or ()) if self.registry else ()


_DEFINITION = TypeAdapter(Definition)


def read_definition(text: str) -> Definition:
    return _DEFINITION.validate_json(text)
