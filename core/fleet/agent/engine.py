"""One llama.cpp model with one sequence: loads it, reads prompts, steps. Knows nothing of text, chat or clients."""

import ctypes
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import llama_cpp.llama_cpp as llama
import numpy as np

from core.fleet.agent.vocabulary import Vocabulary, common_prefix
from core.fleet.protocol import AgentFailure, FailureCode

DEFAULT_CONTEXT = 8192
CHUNK_TOKENS = 128
"""How much of a prompt is read between two looks at the stop flag: on a CPU more is hardly faster."""
GPU_CHUNK_TOKENS = 512
CHUNK_SECONDS = 5.0
"""Where a chunk takes longer, fewer tokens are read at once: whoever waits sees by each that the model works."""
SMALL_MODEL_BYTES = 64 * 2**20
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""A container's: so many microseconds of processor time in so many, or `max`."""

Stopped = Callable[[], bool]


class Cancelled(Exception):
    """The stop flag was seen while the prompt was being read."""


class ModelNotLoaded(Exception):
    """For the operator: what is wrong with the file or the options."""


class Engine:
    """Not for two threads at once. Keeps the last sequence, so that a prompt which continues it is not read again."""

    def __init__(self, path: Path, *, threads: int | None = None, context: int | None = None, gpu_layers: int = 0) -> None:
        """context: tokens; None takes what the model was trained for, at most 8192. Raises ModelNotLoaded.

        threads: None takes every core, and one for a small model: handing its work around costs more than doing it.
        """
        started = time.monotonic()
        self._model = _load(path, gpu_layers)
        self.vocabulary = Vocabulary(self._model)
        trained = llama.llama_model_n_ctx_train(self._model)
        self.context_tokens = context or min(trained, DEFAULT_CONTEXT)
        self._chunk = GPU_CHUNK_TOKENS if gpu_layers else CHUNK_TOKENS
        self.context = self._open_context(threads or self._fitting_threads())
        self._memory = llama.llama_get_memory(self.context)
        self._batch = llama.llama_batch_init(self._chunk, 0, 1)
        self._read: list[int] = []
        self._owner: str | None = None
        self.load_seconds = time.monotonic() - started

    def close(self) -> None:
        llama.llama_batch_free(self._batch)
        llama.llama_free(self.context)
        llama.llama_model_free(self._model)

    def metadata(self, key: str) -> str | None:
        """A value of the file's header, numbers as text."""
        room = 256
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = llama.llama_model_meta_val_str(self._model, key.encode(), buffer, room)
            if count < 0:
                return None
            if count < room:
                return buffer.value.decode("utf-8", "replace")
            room = count + 1

    def read(self, prompt: Sequence[int], stopped: Stopped, *, owner: str | None = None) -> int:
        """Make the sequence equal to `prompt`; returns how many of its tokens were there already.

        The last token is always read, since the next one is chosen by what it leaves. Of another owner's sequence nothing is
        kept: from how much of a guess was there already, it could be found out word by word. Raises Cancelled.
        """
        kept = min(common_prefix(self._read, prompt), len(prompt) - 1) if owner == self._owner else 0
        self._owner = owner
        if not llama.llama_memory_seq_rm(self._memory, 0, kept, -1):  # a recurrent model cannot go back a little
            llama.llama_memory_clear(self._memory, True)
            kept = 0
        del self._read[kept:]
        start, size = kept, self._chunk
        while start < len(prompt):
            if stopped():
                raise Cancelled
            began = time.monotonic()
            self._decode(prompt[start : start + size])
            start += size
            if took := time.monotonic() - began:
                size = max(1, min(self._chunk, int(size * CHUNK_SECONDS / took)))
        return kept

    def step(self, token: int) -> None:
        """Append one token, so that the next can be chosen."""
        self._decode((token,))

    def scores(self) -> np.ndarray:
        """Of every token to come next; good until the next is read. Raises AgentFailure where the model computes no numbers."""
        logits = llama.llama_get_logits_ith(self.context, -1)
        scores = np.ctypeslib.as_array(logits, (self.vocabulary.size,))
        if not np.isfinite(scores.max()):
            self._forget()
            raise AgentFailure(FailureCode.BROKEN, "the model's scores are no numbers: its file may be damaged")
        return scores

    def _forget(self) -> None:
        llama.llama_memory_clear(self._memory, True)
        self._read.clear()

    def _decode(self, tokens: Sequence[int]) -> None:
        batch, position = self._batch, len(self._read)
        batch.n_tokens = len(tokens)
        for n, token in enumerate(tokens):
            batch.token[n] = token
            batch.pos[n] = position + n
            batch.n_seq_id[n] = 1
            batch.seq_id[n][0] = 0
            batch.logits[n] = n == len(tokens) - 1
        status = llama.llama_decode(self.context, batch)
        if status:
            self._forget()
            raise AgentFailure(FailureCode.BROKEN, f"llama.cpp could not read {len(tokens)} tokens (status {status})")
        self._read.extend(tokens)

    def _fitting_threads(self) -> int:
        small = llama.llama_model_size(self._model) < SMALL_MODEL_BYTES
        return 1 if small else processors()

    def _open_context(self, threads: int) -> llama.llama_context_p:
        options = llama.llama_context_default_params()
        options.n_ctx = self.context_tokens
        options.n_batch = options.n_ubatch = self._chunk
        options.n_seq_max = 1
        options.n_threads = options.n_threads_batch = threads
        options.swa_full = True  # else a sliding window could not go back to a common prefix
        context: llama.llama_context_p | None = llama.llama_init_from_model(self._model, options)
        if context is None:
            llama.llama_model_free(self._model)
            raise ModelNotLoaded(f"no room for a context of {self.context_tokens} tokens; a smaller --context may fit")
        return context


def processors() -> int:
    """As many as we may run on, and no more than our container's share of them: threads beyond it only wait for each other."""
    count = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):  # ValueError: no limit
        quota, period = map(int, CPU_QUOTA.read_text().split())
        count = min(count, math.ceil(quota / period))
    return count


def _load(path: Path, gpu_layers: int) -> llama.llama_model_p:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as exc:
        raise ModelNotLoaded(f"cannot read the model file {str(path)!r}: {exc.strerror}") from exc
    if magic != b"GGUF":
        raise ModelNotLoaded(f"{str(path)!r} is not a GGUF file: it begins with {magic!r}")
    logging.getLogger("llama-cpp-python").setLevel(logging.ERROR)  # what it has to say of each graph is thousands of lines
    llama.llama_backend_init()
    options = llama.llama_model_default_params()
    options.n_gpu_layers = gpu_layers
    model: llama.llama_model_p | None = llama.llama_model_load_from_file(str(path).encode(), options)
    if model is None:
        raise ModelNotLoaded(f"llama.cpp cannot load {str(path)!r}: the file is damaged or of an unknown architecture")
    return model
