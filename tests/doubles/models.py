"""Models that do what a test tells them, chunk by chunk."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from core.llm.contract import Chunk, Finished, ModelError, ModelRequest
from core.messages import FinishReason, Usage

DONE = Finished(reason=FinishReason.STOP, usage=Usage(input=1, output=1))


class Silence:
    """Nothing comes any more."""


Step = Chunk | ModelError | Silence


@dataclass(slots=True)
class StepModel:
    """replies: played in order, the last one again and again. asked: the requests. closed: how many streams were let go."""

    replies: Sequence[Sequence[Step]]
    context_tokens: int | None = None
    accepts_images: bool = False
    asked: list[ModelRequest] = field(default_factory=list)
    closed: int = 0

    def count_tokens(self, text: str) -> int:
        return len(text)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        self.asked.append(request)
        try:
            for step in self.replies[min(len(self.asked), len(self.replies)) - 1]:
                match step:
                    case ModelError():
                        raise step
                    case Silence():
                        await asyncio.Event().wait()
                    case chunk:
                        yield chunk
        finally:
            self.closed += 1
