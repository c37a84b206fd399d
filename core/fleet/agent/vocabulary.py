"""Text to tokens and back, for the vocabulary of one model file."""

import ctypes
from collections.abc import Sequence
from functools import cached_property

import llama_cpp.llama_cpp as llama

SPECIAL = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_USER_DEFINED | llama.LLAMA_TOKEN_ATTR_UNKNOWN

WORDS = (
    "the quick zebra jumped over a lazy fox while forty wizards juggled boxes of quartz in the foggy morning",
    "sphygmomanometer otorhinolaryngologist worcestershire knickknack oxyphenbutazone rhythm jejune pneumonia",
    "die katze sitzt auf dem dach und wartet geduldig bis die nachbarn ihre kinder ins bett gebracht haben",
    "def kwargs strftime argparse ndarray dtype mkdir popen struct fnmatch urllib ctypes subprocess functools",
)


class Vocabulary:
    """Immutable, and so safe to use from several threads. Lives as long as its model."""

    def __init__(self, model: llama.llama_model_p) -> None:
        handle = llama.llama_model_get_vocab(model)
        assert handle is not None  # every loaded model has one
        self.handle = handle
        self.size = llama.llama_vocab_n_tokens(handle)
        self._pieces: dict[int, bytes] = {}

    def tokenise(self, text: str) -> list[int]:
        """Also turns the text of special tokens into those tokens: never give it what a user wrote unguarded."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        tokens = (llama.llama_token * room)()
        count = llama.llama_tokenize(self.handle, data, len(data), tokens, room, False, True)
        if count < 0:
            tokens = (llama.llama_token * -count)()
            count = llama.llama_tokenize(self.handle, data, len(data), tokens, -count, False, True)
        return list(tokens[:count])

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; a special token's are its name."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._read_piece(token)
        return known

    def is_end(self, token: int) -> bool:
        return bool(llama.llama_vocab_is_eog(self.handle, token))

    def is_control(self, token: int) -> bool:
        return bool(llama.llama_vocab_is_control(self.handle, token))

    @cached_property
    def special_texts(self) -> tuple[str, ...]:
        """The texts that tokenise to one special token, blank ones left out: they steer nothing."""
        texts = (
            self.piece(token).decode("utf-8", "replace")
            for token in range(self.size)
            if llama.llama_vocab_get_attr(self.handle, token) & SPECIAL
        )
        return tuple(text for text in texts if text.strip())

    @cached_property
    def longest_piece(self) -> int:
        """Bytes. A text is never fewer tokens than its length divided by this."""
        return max(len(self.piece(token)) for token in range(self.size))

    @cached_property
    def word_bytes(self) -> float:
        """Bytes a token in running words of small letters, rather low: see `protocol.estimate_tokens`."""
        return max(1.0, 0.9 * min(len(sample) / len(self.tokenise(sample)) for sample in WORDS))

    @property
    def first(self) -> int | None:
        """The token that every prompt begins with, where the model wants one."""
        return llama.llama_vocab_bos(self.handle) if llama.llama_vocab_get_add_bos(self.handle) else None

    @property
    def bos_text(self) -> str:
        return self._name(llama.llama_vocab_bos(self.handle))

    @property
    def eos_text(self) -> str:
        return self._name(llama.llama_vocab_eos(self.handle))

    def _name(self, token: int) -> str:
        return self.piece(token).decode("utf-8", "replace") if 0 <= token < self.size else ""

    def _read_piece(self, token: int) -> bytes:
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = llama.llama_token_to_piece(self.handle, token, buffer, room, 0, True)
            if count >= 0:
                return buffer.raw[:count]
            room = -count


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for n, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return n
    return min(len(left), len(right))
