"""How many ways of going on a grammar leaves open at once: llama.cpp keeps a stack for each, and looks at all for a character.

Options that begin alike are followed together until they differ, and those inside multiply them: 24 options in each of 6 levels
are 191 million stacks, made in one call that nothing can stop. It also walks anew to what several options lead to: each walk
counts, or choices of choices of the same few are as many. What is counted here errs high. Knows no schema.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

ROUNDS = 16
"""How often all rules are looked at until nothing changes; one or two more than once is usual."""
CROSSED = 10**6
"""For a token that ends what is open and begins it again, as `],[` does: from each way that ends alike llama.cpp goes on alone,
and compares each stack that it finds with those before. So many are half a second at worst.
"""
OPENINGS = 32
TAGS, TAG_LENGTH = 8, 100
"""By more, or longer, values of its first member an object is not told from others."""

Found = TypeVar("Found")

NUMBER = "-0123456789"
TYPES = {
    "object": "{",
    "array": "[",
    "string": '"',
    "number": NUMBER,
    "integer": NUMBER,
    "boolean": "tf",
    "null": "n",
    "value": f'{{["{NUMBER}tfn',
}
"""The characters that a value of a type may begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plain:
    """openings: each of its texts, without blanks, begins with one of them. starts: the ways while that is read.

    own: the ways that it leaves open itself. inside: the rules in it, of which one is open at a time.
    """

    openings: frozenset[str]
    starts: int = 1
    own: int = 1
    inside: frozenset[str] = frozenset()


class Ways:
    """Is told the rules of a grammar: each after those that it is made of, but for what leads back to it."""

    def __init__(self) -> None:
        self._plain = {name: _Plain(openings=frozenset(characters)) for name, characters in TYPES.items()}
        self._options: dict[str, tuple[str, ...]] = {name: (name,) for name in TYPES}
        self._tags: dict[str, Sequence[str]] = {}

    def constants(self, name: str, texts: Sequence[str]) -> None:
        self._add(name, _Plain(openings=_few(texts), starts=len(texts), own=len(texts)))
        if len(texts) <= TAGS and max(map(len, texts)) <= TAG_LENGTH:
            self._tags[name] = texts

    def around(self, name: str, opening: str, inside: Iterable[str], *, own: int = 1) -> None:
        self._add(name, _Plain(openings=frozenset({opening}), own=own, inside=frozenset(inside)))

    def choice(self, name: str, options: Sequence[str]) -> None:
        self._options[name] = tuple(options)
        if len(options) == 1 and options[0] in self._tags:
            self._tags[name] = self._tags[options[0]]

    def members(self, name: str, values: Mapping[str, str], required: Iterable[str]) -> None:
        """An object. values: rules by key, as JSON has it, in the order in which they come."""
        fixed = set(required)
        first = list(values)[: next((n for n, key in enumerate(values, 1) if key in fixed), None)]
        tags = {key: self._tags.get(values[key], [""]) for key in first}
        openings = [f"{{{key}:{tag}" for key in first for tag in tags[key]]
        run = longest = 0
        for key in values:
            run = 0 if key in fixed else run + 1
            longest = max(longest, run)
        rule = _Plain(
            openings=_few(openings if fixed else [*openings, "{}"]),
            starts=max(1, len(first), *map(len, tags.values())),
            own=longest + 1,
            inside=frozenset(values.values()),
        )
        self._add(name, rule)

    def exceed(self, limit: int) -> bool:
        """Whether more are open at the worst moment; where they multiply in a circle, or one begins with itself, they are."""

        def walked(name: str, found: Mapping[str, int]) -> int:
            if name in self._plain:
                return self._plain[name].starts
            return min(sum(found[option] for option in self._options[name]), limit + 1)

        walks = self._settled(0, walked)
        if walks is None or not all(0 < many <= limit for many in walks.values()):  # 0: it leads to nothing but itself
            return True
        options = self._settled(frozenset[str](), self._plain_options)
        if options is None:
            return True
        own = walks | {name: rule.own for name, rule in self._plain.items()}
        together = {name: frozenset(_alike({option: self._plain[option] for option in options[name]})) for name in options}
        together |= {name: frozenset(frozenset({inner}) for inner in rule.inside) for name, rule in self._plain.items()}

        def most(name: str, found: Mapping[str, int], least: Mapping[str, int] = own) -> int:
            return min(max([least[name], *(sum(found[inner] for inner in group) for group in together[name])]), limit + 1)

        ways = self._settled(1, most)
        if ways is None or max(ways.values()) > limit:
            return True
        alike = self._settled(1, partial(most, least=dict.fromkeys(own, 1)))
        return alike is None or max(alike.values()) * max(ways.values()) ** 2 > CROSSED

    def _add(self, name: str, rule: _Plain) -> None:
        self._plain[name] = rule
        self._options[name] = (name,)

    def _settled(self, first: Found, look: Callable[[str, Mapping[str, Found]], Found]) -> dict[str, Found] | None:
        """What `look` says of each rule, given what is said of the others; None where that does not come to rest."""
        found = dict.fromkeys(self._options, first)
        for _ in range(ROUNDS):
            before = dict(found)
            for name in found:
                found[name] = look(name, found)
            if found == before:
                return found
        return None

    def _plain_options(self, name: str, found: Mapping[str, frozenset[str]]) -> frozenset[str]:
        """What is left of a choice when no option is itself a choice."""
        if name in self._plain:
            return frozenset({name})
        return frozenset().union(*(found[option] for option in self._options[name]))


def _alike(rules: Mapping[str, _Plain]) -> Iterator[frozenset[str]]:
    """The rules in groups that begin alike: as the shortest opening in a group does."""
    group: set[str] = set()
    shortest = ""
    for opening, name in sorted((opening, name) for name, rule in rules.items() for opening in rule.openings):
        if group and not opening.startswith(shortest):
            yield frozenset(group)
            group = set()
        if not group:
            shortest = opening
        group.add(name)
    yield frozenset(group)


def _few(openings: Iterable[str]) -> frozenset[str]:
    """The openings, or when they are many the characters that they begin with."""
    kept = frozenset(openings)
    return kept if len(kept) <= OPENINGS else frozenset(opening[:1] for opening in kept)
