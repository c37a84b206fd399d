"""Token counts for models whose tokenizer is not here."""

from collections.abc import Callable

from core.llm.contract import ModelRequest
from core.messages import Reply, SystemMessage, Text, ToolResult, UserMessage

IMAGE_TOKENS = 1_500
MESSAGE_TOKENS = 8  # the role and the separators around a message


def estimate_tokens(text: str) -> int:
    """A third of the UTF-8 bytes: above what current tokenizers make of prose, code and CJK; random strings can take more."""
    length = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return (length + 2) // 3


def count_request(request: ModelRequest, count: Callable[[str], int]) -> int:
    total = sum(count(f"{tool.name}{tool.description}{tool.parameters}") for tool in request.tools)
    for message in request.messages:
        total += MESSAGE_TOKENS
        match message:
            case SystemMessage(text=text) | ToolResult(content=text):
                total += count(text)
            case UserMessage(parts=parts):
                total += sum(count(part.text) if isinstance(part, Text) else IMAGE_TOKENS for part in parts)
            case Reply(text=text, tool_calls=calls):
                total += count(text) + sum(MESSAGE_TOKENS + count(call.name) + count(call.arguments) for call in calls)
    return total
