"""How a transcript becomes a request to the model: what of it fits, which tools, how to sample."""

from core.conversations.budget import Budget
from core.conversations.context import fit, tool_tokens
from core.conversations.loop import Ask
from core.conversations.request import TurnRequest
from core.conversations.strict_answer import StrictAnswer
from core.llm.contract import Model, ModelRequest
from core.messages import Message, Transcript
from core.tools.executor import Toolset


def asking(model: Model, request: TurnRequest, tools: Toolset, *, owner: str | None = None) -> Ask:
    """owner: as in `ModelRequest`. Raises InvalidRequest."""
    wanted = request.format
    promised = wanted.schema if wanted is not None and wanted.strict else None

    def ask(transcript: Transcript, budget: Budget) -> ModelRequest:
        return ModelRequest(
            messages=_fitting(transcript.messages, model, request, tools),
            tools=tools.specs,
            tool_choice=budget.tool_choice(request.tool_choice),
            parallel_tool_calls=request.parallel_tool_calls,
            sampling=budget.sampling(),
            format=request.format,
            labels=request.labels,
            owner=owner,
        )

    return Ask(model=model, request=ask, answer=None if promised is None else StrictAnswer(promised))


def _fitting(messages: list[Message], model: Model, request: TurnRequest, tools: Toolset) -> list[Message]:
    """All of them, unless the request lets us leave out the oldest; then the model's own count has the last word."""
    if not request.truncate or model.context_tokens is None:
        return messages
    whole = model.context_tokens
    reply = min(request.sampling.max_output_tokens or whole // 4, whole // 2)
    return fit(messages, count=model.count_tokens, room=whole - reply - tool_tokens(tools.specs, model.count_tokens))
