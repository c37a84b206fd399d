"""Words and sentences: length, letters, case, reversal."""

from collections.abc import Callable
from dataclasses import dataclass

from ..draw import Draw
from ..exercise import Exercise
from ..values import invented, quoted, word


@dataclass(frozen=True, slots=True, kw_only=True)
class WordTask:
    code: str  # of {w}, a quoted literal
    noun: tuple[str, ...] = ()
    verb: tuple[str, ...] = ()
    question: tuple[str, ...] = ()
    raw: tuple[str, ...] = ()
    number: bool = False


W = "[the word|the name|the string|the text|] {w}"
PALINDROME = WordTask(
    code="w = {w}.lower(); print(w == w[::-1])",
    verb=(f"[check|see|test|find out|tell me] [if|whether] {W} is a palindrome",),
    question=(
        f"[if|whether] {W} is a palindrome",
        f"[if|whether] {W} reads the same [backwards|both ways|forwards and backwards]",
    ),
    raw=(
        f"is {W} a palindrome",
        f"does {W} read the same [backwards|both ways|in both directions|forwards and backwards]",
        "{w}: palindrome or not",
        "{w} palindrome",
    ),
)
TASKS = (
    WordTask(
        code="print(len({w}))",
        number=True,
        noun=(
            f"the [length|number of letters|number of characters|letter count|character count] [of|in] {W}",
            f"the [size|length] of {W} in [letters|characters]",
        ),
        verb=(
            f"count the [letters|characters] [in|of] {W}",
            f"[measure|get] the length of {W}",
            f"count how many [letters|characters] {W} has",
        ),
        question=(
            f"how many [letters|characters] are in {W}",
            f"how many [letters|characters] {W} has",
            f"how long {W} is",
            f"how many [letters|characters] there are in {W}",
            f"how many [letters|characters] does {W} have",
            f"how long is {W}",
        ),
        raw=(
            "length of {w}",
            "len({w})",
            "{w}: how many letters",
            "[number of letters|letter count|character count] [in|of] {w}",
            "{w} has how many [letters|characters]",
        ),
    ),
    WordTask(
        code="print({w}[::-1])",
        noun=(
            f"{W} [backwards|reversed|spelled backwards|in reverse|written backwards]",
            f"the [reverse|reversal] of {W}",
            "the letters of {w} in reverse order",
            f"the reversed [form|version] of {W}",
        ),
        verb=(
            f"reverse {W}",
            f"[spell|write|say|print|turn|type] {W} [backwards|in reverse|from back to front|the other way round]",
            f"reverse the [letters|order of the letters] [of|in] {W}",
            f"flip {W} [around|]",
        ),
        question=(f"what {W} [is|looks like|reads] [backwards|reversed|in reverse]", f"how {W} is [spelled|written] backwards"),
        raw=("{w} backwards", "reverse: {w}", "reverse {w}", "{w} reversed", "{w} in reverse"),
    ),
    WordTask(
        code="print({w}.upper())",
        noun=(
            f"{W} in [upper case|uppercase|capitals|capital letters|all caps|block letters]",
            f"the [upper case|uppercase|capitalised] [form|version] of {W}",
        ),
        verb=(
            f"[write|put|convert|turn|change|make|print|type] {W} [in|to|into] [upper case|uppercase|capitals|capital letters|all caps]",
            f"[uppercase|capitalize all letters of] {W}",
            f"make {W} [upper case|uppercase|all caps]",
        ),
        question=(
            f"what {W} [is|looks like] in [upper case|uppercase|capitals|capital letters|all caps]",
            f"how {W} is written in [capitals|upper case]",
        ),
        raw=("{w} in [upper case|uppercase|capitals|all caps]", "uppercase: {w}", "{w} uppercase", "uppercase {w}"),
    ),
    WordTask(
        code="print(sum(c in 'aeiou' for c in {w}.lower()))",
        number=True,
        noun=(f"the number of vowels in {W}", f"the vowel count of {W}"),
        verb=(f"count the vowels [in|of] {W}", f"count how many vowels {W} has", f"tell how many vowels {W} has"),
        question=(
            f"how many vowels are in {W}",
            f"how many vowels {W} [has|contains]",
            f"how many vowels there are in {W}",
            f"how many vowels does {W} [have|contain]",
        ),
        raw=("vowels in {w}", "{w}: how many vowels", "number of vowels in {w}"),
    ),
    PALINDROME,
    WordTask(
        code="print({w}[0])",
        noun=(f"the first [letter|character] of {W}", f"the initial of {W}"),
        verb=(f"[find|give|show] me the first [letter|character] of {W}",),
        question=(
            f"which [letter|character] {W} [starts|begins] with",
            f"what the first [letter|character] of {W} is",
            f"what letter {W} starts with",
        ),
        raw=("first letter of {w}", f"which letter does {W} [start|begin] with"),
    ),
    WordTask(
        code="print({w}[-1])",
        noun=(f"the [last|final] [letter|character] of {W}",),
        verb=(f"[find|give|show] me the [last|final] [letter|character] of {W}",),
        question=(
            f"which [letter|character] {W} ends [with|in]",
            f"what the [last|final] [letter|character] of {W} is",
            f"what letter {W} ends with",
        ),
        raw=("last letter of {w}", f"which letter does {W} end with"),
    ),
)


def on_word(draw: Draw) -> Exercise:
    task = draw.pick(TASKS)
    target = word(draw)
    if task is PALINDROME and draw.chance(0.5):
        half = invented(draw)[:4]
        target = half + half[::-1][draw.between(0, 1) :]
    mark = quoted(draw, target)
    return Exercise(
        family="words",
        slots={"w": mark},
        code=task.code.replace("{w}", repr(target)),
        noun=task.noun,
        verb=task.verb,
        question=task.question,
        raw=task.raw,
        number=task.number,
    )


def letter(draw: Draw) -> Exercise:
    """Counting one letter."""
    target = word(draw)
    sought = draw.pick(target) if draw.chance(0.85) else draw.pick("abcdefghijklmnopqrstuvwxyz")
    sought = sought.lower()
    mark = quoted(draw, target)
    shown = draw.pick([sought, sought, f"'{sought}'", f'"{sought}"', sought.upper()])
    plural = draw.pick(["{c}s", "{c}'s", "letters {c}", "letter {c}s", "{c}", "{c} letters"]).replace("{c}", shown)
    return Exercise(
        family="words",
        slots={"w": mark, "c": shown, "cs": plural},
        number=True,
        code=f"print({target!r}.lower().count('{sought}'))",
        noun=(
            f"the [number|count] of {{cs}} in {W}",
            f"the number of times [the letter|] {{c}} [occurs|appears|is] in {W}",
            f"[how often|how many times] [the letter|] {{c}} [occurs|appears|comes up] in {W}",
        ),
        verb=(
            f"count the {{cs}} in {W}",
            f"count [the letter|] {{c}} in {W}",
            f"count how [often|many times] {{c}} [occurs|appears|is] in {W}",
            f"count all the {{cs}} in {W}",
        ),
        question=(
            f"how many {{cs}} are in {W}",
            f"how many {{cs}} are there in {W}",
            f"how many {{cs}} there are in {W}",
            f"how many {{cs}} {W} [has|contains]",
            f"how many {{cs}} does {W} [have|contain]",
            f"how [often|many times] [does|] [the letter|] {{c}} [occurs|appears|occur|appear] in {W}",
            f"how many times {{c}} is in {W}",
        ),
        raw=(
            "{cs} in {w}",
            "how many {cs} in {w}",
            "number of {cs} in {w}",
            "count {c} in {w}",
            f"in {W}, how many {{cs}} are there",
            f"{W}: how many {{cs}}",
        ),
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = (
    (10, on_word),
    (3.5, letter),
)
