import json
import os
import random
from typing import Any

import pytest

from core.llm.contract import ModelRequest, ToolSpec
from core.llm.tokens import count_request, estimate_tokens
from core.messages import Image, Reply, SystemMessage, Text, ToolCall, ToolResult, UserMessage

CHANCE = random.Random(1)
TEXTS = {
    "prose": "The quick brown fox jumps over the lazy dog, and the dog does not mind it at all. " * 20,
    "code": "def main(base: str, quote: str) -> dict[str, float]:\n    return {base: 1.0, quote: 2.5}\n" * 20,
    "json": json.dumps([{"id": number, "name": "abc", "value": number * 1.5} for number in range(100)]),
    "random digits": "".join(CHANCE.choices("0123456789abcdef", k=3000)),
    "chinese": "人工智能正在改变世界，我们需要理解它的影响。" * 20,
    "russian": "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 20,
    "hindi": "यह एक परीक्षण वाक्य है जो हिंदी में लिखा गया है। " * 20,
    "emoji": "😀🎉🔥👩‍👩‍👧" * 50,
    "punctuation": "!@#$%^&*()_+{}|:<>?" * 50,
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """cl100k, which LiteLLM carries."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_OFFLINE_MODE"):
            patch.setenv(name, os.environ.get(name, "True"))
        import litellm

        return litellm.encoding


@pytest.mark.parametrize("kind", TEXTS)
def test_the_estimate_is_above_what_a_real_tokenizer_makes_and_below_three_times_that(tokenizer: Any, kind: str) -> None:
    real = len(tokenizer.encode(TEXTS[kind]))
    assert real <= estimate_tokens(TEXTS[kind]) <= 3 * real


def test_text_that_cannot_be_encoded_is_counted_too() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("\ud83d") > 0


def test_the_estimate_of_a_request_counts_all_that_the_model_reads() -> None:
    call = ToolCall(id="a", name="name", arguments="arguments")
    messages = [
        SystemMessage(text="system"),
        UserMessage(parts=(Text(text="user"), Image(url="https://example.com/x.png"))),
        Reply(text="reply", reasoning="not sent", tool_calls=(call,)),
        ToolResult(call_id="a", content="result"),
    ]
    seen: list[str] = []
    tool = ToolSpec(name="tool", description="what it does", parameters={"type": "object"})
    count_request(ModelRequest(messages=messages, tools=[tool]), lambda text: len(seen.append(text) or text))
    read = " ".join(seen)
    assert all(word in read for word in ["system", "user", "reply", "name", "arguments", "result", "what it does", "object"])
    assert "not sent" not in read
