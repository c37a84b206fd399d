"""Text to tokens and back, for the vocabulary of one model file."""

import ctypes
import re
from collections.abc import Iterator, Sequence
from functools import cached_property

import llama_cpp.llama_cpp as llama

SPECIAL = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_USER_DEFINED | llama.LLAMA_TOKEN_ATTR_UNKNOWN

WORDS = (
    "the quick zebra jumped over a lazy fox while forty wizards juggled boxes of quartz in the foggy morning",
    "sphygmomanometer otorhinolaryngologist worcestershire knickknack oxyphenbutazone rhythm jejune pneumonia",
    "die katze sitzt auf dem dach und wartet geduldig bis die nachbarn ihre kinder ins bett gebracht haben",
    "def kwargs strftime argparse ndarray dtype mkdir popen struct fnmatch urllib ctypes subprocess functools",
)


CHARACTERS_AT_ONCE = 8_000
"""llama.cpp splits the texts of most byte-level vocabularies with `std::regex`, which calls itself for every character of a run
and ends the process when the stack is full: with 50,000 of them it is, with 16,000 it was for none of its splitters."""
BETWEEN_WORDS = re.compile(r"\w(?= \w)|\w\n(?=\w)")
"""Ends where every splitter begins anew."""
TRIES = 100
"""How many of these places are looked at, from the last one on."""


class Vocabulary:
    """Immutable, and so safe to use from several threads. Lives as long as its model."""

    def __init__(self, model: llama.llama_model_p) -> None:
        handle = llama.llama_model_get_vocab(model)
        assert handle is not None  # every loaded model has one
        self.handle = handle
        self.size = llama.llama_vocab_n_tokens(handle)
        self._is_byte_level = llama.llama_vocab_type(handle) == llama.LLAMA_VOCAB_TYPE_BPE
        self._pieces: dict[int, bytes] = {}

    def tokenise(self, text: str) -> list[int]:
        """Also turns the text of special tokens into those tokens: never give it what a user wrote unguarded.

        A long text is cut from its beginning on, so that one which goes on is cut in the same places. Between words a cut
        changes nothing; where there are none it may cost a token.
        """
        return [token for part in self._parts(text) for token in self._tokenise(part)]

    def _parts(self, text: str) -> Iterator[str]:
        """Only of a byte-level text: the other kinds have no splitter, and may put a space before each text."""
        start = 0
        while self._is_byte_level and len(text) - start > CHARACTERS_AT_ONCE:
            end = self._cut(text, start)
            yield text[start:end]
            start = end
        yield text[start:]

    def _cut(self, text: str, start: int) -> int:
        """Between the last words before the limit, else at the limit; never inside a special text."""
        limit = start + CHARACTERS_AT_ONCE
        between = [found.end() for found in BETWEEN_WORDS.finditer(text, start, limit + 1)]
        cut = next(
            (end for end in reversed(between[-TRIES:]) if end <= limit and self._special_around(text, end) is None), limit
        )
        while (special := self._special_around(text, cut)) is not None:
            cut = special
        return cut if cut > start else limit

    def _special_around(self, text: str, position: int) -> int | None:
        """Where a special text begins that a cut would go through."""
        for special in self.special_texts:
            found = text.find(special, max(0, position - len(special) + 1), position + len(special) - 1)
            if found >= 0:
                return found
        return None

    def _tokenise(self, text: str) -> list[int]:
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
