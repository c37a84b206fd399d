"""Chooses the next token: temperature, nucleus, penalties, and a grammar that comes and goes within one reply."""

import ctypes
from dataclasses import dataclass

import llama_cpp.llama_cpp as llama
import numpy as np

from core.fleet.agent.engine import Engine

RANDOM_SEED = llama.LLAMA_DEFAULT_SEED  # tells llama.cpp to draw one
GREEDY_BELOW = 1e-6
"""A lower temperature is 0: scores divided by it can be too big to be numbers."""
CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """temperature 0, or next to it: always the likeliest. seed None: another one every time."""

    temperature: float
    top_p: float
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None


class Sampler:
    """For one reply; close it.

    With a grammar, the token that would have been chosen without is taken when the grammar allows it, and only otherwise is the
    grammar applied to the whole vocabulary. llama.cpp aborts the process when it is made to accept a token that its grammar
    forbids, so every token is tried before: also one that was chosen of those that it left.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._size = engine.vocabulary.size
        self._chain = self._open_chain(settings)
        self._unscored = np.zeros(self._size, dtype=CANDIDATE)
        self._unscored["id"] = np.arange(self._size)
        self._scored = self._unscored.copy()
        self._grammar: llama.llama_sampler_p | None = None

    def close(self) -> None:
        self.release()
        llama.llama_sampler_free(self._chain)

    @property
    def constrained(self) -> bool:
        return self._grammar is not None

    def constrain(self, grammar: str) -> bool:
        """From now on only what the grammar's `root` allows. False: llama.cpp cannot read the grammar; nothing changed."""
        opened = llama.llama_sampler_init_grammar(self._engine.vocabulary.handle, grammar.encode(), b"root")
        if not opened:
            return False
        self.release()
        self._grammar = opened
        return True

    def release(self) -> None:
        """From now on anything."""
        if self._grammar is not None:
            llama.llama_sampler_free(self._grammar)
            self._grammar = None

    def advance(self, text: str) -> bool:
        """Tell the grammar what was already written. False: it does not allow that, and was released."""
        for token in self._engine.vocabulary.tokenise(text):
            if not self._allows(token):
                self.release()
                return False
            llama.llama_sampler_accept(self._grammar, token)
        return True

    def choose(self) -> int:
        """The next token. A grammar that allows none is released. Raises AgentFailure."""
        scores = self._engine.scores()
        if self._grammar is None:
            return int(llama.llama_sampler_sample(self._chain, self._engine.context, -1))
        token = self._pick(self._candidates(scores))
        if not self._allows(token):
            candidates = self._candidates(scores)
            _apply(self._grammar, candidates)
            if not np.isneginf(candidates["logit"]).all():
                token = self._pick(candidates)
            if not self._allows(token):
                self.release()
        llama.llama_sampler_accept(self._chain, token)
        if self._grammar is not None:
            llama.llama_sampler_accept(self._grammar, token)
        return token

    def _allows(self, token: int) -> bool:
        candidate = np.array([(token, 0.0, 0.0)], dtype=CANDIDATE)
        _apply(self._grammar, candidate)
        return not np.isneginf(candidate["logit"][0])

    def _candidates(self, scores: np.ndarray) -> np.ndarray:
        """Good until the next are asked for. Copied as whole numbers: field by field takes ten times as long."""
        np.copyto(self._scored.view(np.int32), self._unscored.view(np.int32))
        self._scored["logit"] = scores
        return self._scored

    def _pick(self, candidates: np.ndarray) -> int:
        array = _apply(self._chain, candidates)
        return int(array.data[array.selected].id)

    def _open_chain(self, settings: Settings) -> "llama.llama_sampler_p":
        chain: llama.llama_sampler_p = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        if settings.presence_penalty or settings.frequency_penalty:
            span = self._engine.context_tokens
            penalties = llama.llama_sampler_init_penalties(
                self._size, span, 1.0, settings.frequency_penalty, settings.presence_penalty
            )
            llama.llama_sampler_chain_add(chain, penalties)
        if settings.temperature < GREEDY_BELOW:
            llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_greedy())
            return chain
        seed = RANDOM_SEED if settings.seed is None else settings.seed % RANDOM_SEED
        for sampler in (
            llama.llama_sampler_init_top_p(settings.top_p, 1),
            llama.llama_sampler_init_temp(settings.temperature),
            llama.llama_sampler_init_dist(seed),
        ):
            llama.llama_sampler_chain_add(chain, sampler)
        return chain


def _apply(sampler: "llama.llama_sampler_p | None", candidates: np.ndarray) -> llama.llama_token_data_array:
    """Runs in place; the candidates must outlive what is returned."""
    data = candidates.ctypes.data_as(ctypes.POINTER(llama.llama_token_data))
    array = llama.llama_token_data_array(data=data, size=len(candidates), selected=-1, sorted=False)
    assert sampler is not None
    llama.llama_sampler_apply(sampler, ctypes.byref(array))
    return array
