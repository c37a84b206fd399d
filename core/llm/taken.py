"""What one call of a model takes: as the model says, and an estimate where the call was cut off before it could."""

from core.llm.contract import CallChunk, Chunk, Finished, Model, ModelRequest
from core.llm.tokens import count_request
from core.messages import Usage


def estimate(request: ModelRequest, said: str, model: Model) -> Usage:
    """What a call took whose model could not say it: it was cut off after so much."""
    return Usage(input=count_request(request, model.count_tokens), output=model.count_tokens(said))


class Taken:
    """By one call, which is told here chunk by chunk."""

    def __init__(self, request: ModelRequest, model: Model) -> None:
        self._request = request
        self._model = model
        self._said: list[str] = []
        self._told: Usage | None = None

    def hear(self, chunk: Chunk) -> None:
        if isinstance(chunk, Finished):
            self._told = chunk.usage
        else:
            self._said.append(chunk.arguments if isinstance(chunk, CallChunk) else chunk.text)

    def failed(self) -> None:
        """By a fault of the model."""
        if not self._said:
            self._told = Usage()  # it never answered

    @property
    def usage(self) -> Usage:
        if self._told is None:
            return estimate(self._request, "".join(self._said), self._model)
        return self._told
