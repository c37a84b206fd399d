"""Random choices bound to one side of the split: wordings, words and names held out for testing never appear in training.

A wording grammar writes alternatives in brackets: `[compute|find] the sum of {a} and {b}`. Its *expansion*, slots still
unfilled, is what is held out, so whole wordings are new in the test.
"""

import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

Split = Literal["train", "test"]
Choice = TypeVar("Choice")

ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
HELD_OUT_ONE_IN = 7


@dataclass(slots=True)
class Draw:
    rng: random.Random
    split: Split

    def pick(self, options: Sequence[Choice]) -> Choice:
        return self.rng.choice(options)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def between(self, low: int, high: int) -> int:
        """Both ends included."""
        return self.rng.randint(low, high)

    def known(self, grammars: Sequence[str]) -> str:
        """A wording that training may see."""
        return self._search(grammars, wanted=False)

    def unseen(self, grammars: Sequence[str]) -> str:
        """A held-out wording where there is one among them."""
        return self._search(grammars, wanted=True)

    def text(self, grammar: str | Sequence[str]) -> str:
        """A wording of the split's own side."""
        grammars = [grammar] if isinstance(grammar, str) else grammar
        return self.known(grammars) if self.split == "train" else self.unseen(grammars)

    def own(self, options: Sequence[str]) -> str:
        """One of the words or names of the split's own side."""
        for _ in range(60):
            option = self.pick(options)
            if held_out(option) == (self.split == "test"):
                return option
        return option

    def _search(self, grammars: Sequence[str], *, wanted: bool) -> str:
        for _ in range(40):
            wording = expand(self.rng, self.pick(grammars))
            if held_out(wording) == wanted:
                return wording
        return wording


def expand(rng: random.Random, grammar: str) -> str:
    while "[" in grammar:
        grammar = ALTERNATIVES.sub(lambda match: rng.choice(match[1].split("|")), grammar)
    return grammar


def held_out(text: str) -> bool:
    return zlib.crc32(text.encode()) % HELD_OUT_ONE_IN == 0
