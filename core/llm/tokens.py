"""Token counts for models whose tokenizer is not here."""

from collections.abc import Callable
from string import ascii_letters

from core.llm.contract import ModelRequest
from core.messages import Reply, SystemMessage, Text, ToolResult, UserMessage

IMAGE_TOKENS = 1_500
MESSAGE_TOKENS = 8  # the role and the separators around a message

_LETTERS = (ascii_letters + " ").encode()


def estimate_tokens(text: str) -> int:
    """Three letters a token, and four of anything else three: 1.04 to 2.3 times what cl100k makes of prose, code, JSON, random
    digits, other alphabets and emoji.
    """
    encoded = text.encode("utf-8", "surrogatepass")
    others = len(encoded.translate(None, _LETTERS))
    return (len(encoded) - others + 2) // 3 + (others * 3 + 3) // 4


def count_request(request: ModelRequest, count: Callable[[str], int]) -> int:
    total = sum(count(f"{tool.name}{tool.description}{tool.parameters}") for tool in request.tools)
    for message in request.messages:
        total += MESSAGE_TOKENS
        match message:
            case SystemMessage(text=text) | ToolResult(content=text):
                total += count(text)
            case UserMessage(parts=parts):
                total += sum(count(part.text) if isinstance(part, Text) else IMAGE_TOKENS for part in parts)
            case Reply(text=text, refusal=refusal, tool_calls=calls):
                total += count(text + refusal) + sum(
                    MESSAGE_TOKENS + count(call.name) + count(call.arguments) for call in calls
                )
    return total
