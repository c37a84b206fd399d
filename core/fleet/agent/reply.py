"""One reply, from a prompt to its last piece: where engine, sampler, grammar, parser and stop sequences meet."""

import codecs
import logging
from collections.abc import Callable, Iterator
from functools import cached_property

from core.fleet.agent import grammar
from core.fleet.agent.engine import Cancelled, Engine, Stopped
from core.fleet.agent.parsers import Dropped, Hermes, State, StopText, Written
from core.fleet.agent.sampling import Sampler
from core.fleet.agent.task import Task
from core.fleet.protocol import Finished, Piece, Text
from core.messages import FinishReason, Usage

log = logging.getLogger(__name__)


def write(
    engine: Engine, task: Task, *, stopped: Stopped, new_id: Callable[[], str], use_grammar: bool = True
) -> Iterator[Piece]:
    """Blocks while the model works and looks at `stopped` before each token. Raises Cancelled, AgentFailure."""
    sampler = Sampler(engine, task.settings)
    try:
        yield from _Reply(engine, sampler, task, new_id, use_grammar).write(stopped)
    finally:
        sampler.close()


class _Reply:
    def __init__(self, engine: Engine, sampler: Sampler, task: Task, new_id: Callable[[], str], use_grammar: bool) -> None:
        self._engine = engine
        self._sampler = sampler
        self._task = task
        self._parser = Hermes(calls=bool(task.tools), thinking=task.thinking, json_answer=task.json_answer, new_id=new_id)
        self._stop = StopText(task.stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._use_grammar = use_grammar
        self._answer_begun = False
        self._call_begun = False
        self._output = 0
        self._reasoning = 0

    def write(self, stopped: Stopped) -> Iterator[Piece]:
        engine, prompt, wanted = self._engine, self._task.prompt, self._task.max_output_tokens
        cached = engine.read(prompt, stopped, owner=self._task.owner)
        yield from self._take(self._task.begun)
        room = engine.context_tokens - len(prompt)
        reason = FinishReason.LENGTH
        token: int | None = None
        for _ in range(room if wanted is None else min(room, wanted)):
            if token is not None:
                engine.step(token)
            if stopped():
                raise Cancelled
            token = self._sampler.choose()
            if engine.vocabulary.is_end(token):
                reason = FinishReason.STOP
                break
            yield from self._take(self._decoder.decode(self._visible(token)))
            self._output += 1
            self._reasoning += self._parser.state is State.REASONING
            if self._complete:
                reason = FinishReason.STOP
                break
        yield from self._end(ended=reason is FinishReason.STOP)
        if reason is FinishReason.STOP and self._parser.calls:
            reason = FinishReason.TOOL_CALLS
        usage = Usage(input=len(prompt), output=self._output, cached=cached, reasoning=self._reasoning)
        yield Finished(reason=reason, usage=usage)

    @property
    def _complete(self) -> bool:
        return self._stop.reached or (self._task.single_call and self._parser.calls > 0)

    def _visible(self, token: int) -> bytes:
        piece = self._engine.vocabulary.piece(token)
        hidden = self._engine.vocabulary.is_control(token) and piece.decode("utf-8", "replace") not in Hermes.TAGS
        return b"" if hidden else piece

    def _take(self, text: str) -> Iterator[Piece]:
        for piece in self._parser.feed(text):
            yield from self._show(piece)
        if not self._stop.reached:
            self._stop.look(self._parser.held)
        if self._use_grammar:
            self._steer()

    def _show(self, piece: Written) -> Iterator[Piece]:
        if isinstance(piece, Dropped):
            if not self._stop.reached:
                self._stop.drop(piece.text)
            return
        if isinstance(piece, Text):
            shown = "" if self._stop.reached else self._stop.feed(piece.text)
            if shown:
                yield Text(text=shown)
            return
        yield from self._flush()
        if not self._stop.reached:
            yield piece

    def _flush(self) -> Iterator[Piece]:
        if held := self._stop.flush():
            yield Text(text=held)

    def _end(self, *, ended: bool) -> Iterator[Piece]:
        if not self._complete:
            yield from self._take(self._decoder.decode(b"", final=True))
            for piece in self._parser.finish(ended=ended):
                yield from self._show(piece)
        yield from self._flush()

    def _steer(self) -> None:
        """Bring the grammar for what is being written now, and take it away when that is over."""
        in_call = self._parser.state is State.CALL
        if in_call:  # a call takes the answer's place, also one that has to be made
            self._answer_begun = True
        if in_call and not self._call_begun and not self._sampler.constrained:
            self._constrain(lambda: self._for_call, already=self._parser.call_so_far)
        elif self._call_begun and not in_call:
            self._sampler.release()
        elif self._parser.state is State.TEXT and self._task.json_answer and not self._answer_begun:
            self._answer_begun = True
            self._constrain(self._for_answer)
        self._call_begun = in_call

    @cached_property
    def _for_call(self) -> str:
        return grammar.for_call(self._task.tools, closing=Hermes.CALL_CLOSING)

    def _for_answer(self) -> str:
        schema, tools = self._task.json_schema, self._task.tools
        if not tools:
            return grammar.for_answer(schema)
        return grammar.for_answer_or_call(schema, tools, opening=Hermes.CALL_OPENING, closing=Hermes.CALL_CLOSING)

    def _constrain(self, build: Callable[[], str], already: str = "") -> None:
        """Without a grammar the reply goes on unconstrained: the platform validates what was promised either way."""
        try:
            held = self._sampler.constrain(build()) and self._sampler.advance(already)
            problem = "llama.cpp cannot read it, or it does not allow what was written already"
        except grammar.Untranslatable as exc:
            held, problem = False, str(exc)
        if not held:
            log.warning("no grammar for a part of a reply: %s", problem)
