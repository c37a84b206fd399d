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
LOOSE = 0.4
PERCENT = ("{p}", "%")  # "29 % of 62" without its "of" is another question
SMALL_WORDS = frozenset(
    "the a an of is are me please you to for that this it in what my i so just now can could would do".split()
)
LIKE = tuple(
    group.split("|")
    for group in (
        "compute|calculate|work out|find|determine|evaluate|figure out",
        "tell me|give me|show me|let me know",
        "what is|what's|whats|what would be",
        "how many|what number of",
        "numbers|values|figures",
        "list|series|row|sequence",
        "word|text|string|term",
        "letters|characters|signs",
        "largest|biggest|greatest|highest|maximal",
        "smallest|lowest|least|minimal",
        "{a} times {b}|{a} multiplied by {b}",
        "{a} minus {b}|{a} less {b}",
        "{a} divided by {b}|{a} over {b}",
        "sum|total",
        "backwards|in reverse|reversed",
        "before|prior to",
        "after|following",
        "convert|transform",
        "repeat|echo",
        "cancel|call off",
    )
)
ALSO_LIKE = tuple(  # in training alone, so that the test stays the same
    group.split("|")
    for group in (
        "{a} plus {b}|{a} increased by {b}|{b} added to {a}",
        "{a} minus {b}|{a} less {b}|{a} reduced by {b}|{a} decreased by {b}|{a} take away {b}",
        "reduce {a}|decrease {a}|lower {a}|cut {a}",
        "subtract|deduct",
        "how much more|how much bigger|how much larger|how much greater",
        "in total|altogether|in all|all in all",
        "remainder|rest",
        "sort|order|arrange",
        "mean|average",
        "ascending|increasing|rising",
        "descending|decreasing|falling",
        "upper case|capitals|capital letters",
        "weekday|day of the week",
        "show|display",
        "search for|look for|hunt for",
        "about|concerning|on the subject of",
        "saying|that says|which says|that reads",
    )
)


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
        """A wording that training may see; often one that no grammar says, since what counts is the variety of wordings."""
        wording = self._search(grammars, wanted=False)
        return self._loosened(wording) if self.chance(LOOSE) else wording

    def _loosened(self, wording: str) -> str:
        """Small words left out, others said by their like. Never a held-out wording."""
        loose = wording
        for _ in range(self.between(1, 3)):
            loose = self._dropped(loose) if self.chance(0.4) else self._swapped(loose)
        return wording if held_out(loose) or held_out(loose.strip()) else loose

    def _dropped(self, wording: str) -> str:
        words = wording.split(" ")
        small = [n for n, word in enumerate(words) if word.lower() in SMALL_WORDS and not words[max(0, n - 1)].endswith(PERCENT)]
        if not small or len(words) < 3:
            return wording
        dropped = self.pick(small)
        return " ".join(word for n, word in enumerate(words) if n != dropped)

    def _swapped(self, wording: str) -> str:
        groups = LIKE + ALSO_LIKE if self.split == "train" else LIKE
        found = [(word, group) for group in groups for word in group if re.search(rf"(?<![\w{{]){word}(?![\w}}])", wording)]
        if not found:
            return wording
        word, group = self.pick(found)
        return re.sub(rf"(?<![\w{{]){word}(?![\w}}])", self.pick(group), wording, count=1)

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
