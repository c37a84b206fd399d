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
    verb=(
        f"[check|see|test|find out|tell me|decide|verify] [if|whether] {W} is a palindrome",
        f"[check|see|test|find out|decide] [if|whether] {W} reads the same [backwards|both ways|forwards and backwards]",
    ),
    question=(
        f"[if|whether] {W} is a palindrome",
        f"[if|whether] {W} is a palindrome or not",
        f"[if|whether] {W} reads the same [backwards|both ways|forwards and backwards]",
        f"is {W} a palindrome",
    ),
    raw=(
        f"is {W} a palindrome",
        f"is {W} a palindrome or not",
        f"does {W} read the same [backwards|both ways|forwards and backwards]",
        f"{W}, a palindrome or not",
        "{w}: palindrome or not",
        "{w} palindrome",
        "palindrome: {w}",
        "palindrome check for {w}",
        "is_palindrome({w})",
    ),
)
CAPITALS = "[upper case|uppercase|capitals|capital letters|all caps|big letters]"
LETTERS = "[letters|characters]"
TASKS = (
    WordTask(
        code="print(len({w}))",
        number=True,
        noun=(
            f"the [length|number of letters|number of characters|letter count|character count] [of|in] {W}",
            f"the total number of {LETTERS} [in|of] {W}",
            f"the [number|count] of {LETTERS} [that|which] {W} [has|contains]",
        ),
        verb=(
            f"count the {LETTERS} [in|of] {W}",
            f"count [all|all the] {LETTERS} in {W}",
            f"[get|determine|give me] the length of {W}",
            f"count how many {LETTERS} {W} has",
            f"[say|check|see] how [long|many letters long] {W} is",
            f"[say|check|see] how many {LETTERS} {W} [has|contains]",
        ),
        question=(
            f"how many {LETTERS} are in {W}",
            f"how many {LETTERS} {W} [has|contains]",
            f"how long {W} is",
            f"how many {LETTERS} there are in {W}",
            f"how many {LETTERS} does {W} [have|contain]",
            f"how long is {W}",
            f"how many {LETTERS} are there in {W}",
            f"how many {LETTERS} long {W} is",
            f"how many {LETTERS} long is {W}",
            f"what the [length|letter count|number of letters] of {W} is",
        ),
        raw=(
            "length of {w}",
            "[length|letter count|character count|number of letters]: {w}",
            "len({w})",
            "{w}: how many letters",
            "{w}: [length|letter count|how long|how many characters]",
            "[number of letters|letter count|character count] [in|of] {w}",
            f"{{w}} has how many {LETTERS}",
            f"{{w}} is how many {LETTERS} long",
            "{w}, how long is [that|it|that word]",
            f"I typed {{w}}. How many {LETTERS} is that",
        ),
    ),
    WordTask(
        code="print({w}[::-1])",
        noun=(
            f"{W} [backwards|reversed|spelled backwards|in reverse|written backwards|spelt backwards|read backwards]",
            f"{W} from [back to front|right to left]",
            f"the [reverse|reversed spelling] of {W}",
            "the letters of {w} in [reverse|reversed] order",
            f"the reversed [form|version|string|spelling] of {W}",
        ),
        verb=(
            f"reverse {W}",
            f"[spell|write|say|print|type|read|give me] {W} [backwards|in reverse|from back to front|from right to left]",
            f"reverse the [letters|order of the letters|spelling] [of|in] {W}",
            f"flip {W}",
            f"[write|print|list] the letters of {W} in [reverse|reversed] order",
            f"put the letters of {W} in reverse order",
        ),
        question=(
            f"what {W} [is|looks like|reads|becomes] [backwards|reversed|in reverse|from right to left|when reversed]",
            f"how {W} is [spelled|written|spelt] [backwards|in reverse|from back to front]",
            f"how [you|I|to] [spell|write] {W} backwards",
            f"what the reverse of {W} is",
            f"what [you|I|we] get when [you|I|we] [reverse|flip] {W}",
            f"what is {W} [backwards|in reverse|spelled backwards]",
            f"how does {W} look [backwards|in reverse|when reversed]",
        ),
        raw=(
            "{w} backwards",
            "[reverse|backwards|reversed|in reverse]: {w}",
            "reverse {w}",
            "{w} reversed",
            "{w} in reverse",
            "{w}: [backwards|reverse it|in reverse|reversed|from back to front]",
            "{w}, but [backwards|in reverse|spelled backwards]",
            "reverse of {w}",
            "take {w} and [reverse it|spell it backwards|flip it]",
            "I have {w}. [Reverse it|Spell it backwards|Write it backwards]",
        ),
    ),
    WordTask(
        code="print({w}.upper())",
        noun=(
            f"{W} in {CAPITALS}",
            f"the [upper case|uppercase|all caps] [form|version|spelling] of {W}",
            f"{W} [written|spelled] in {CAPITALS}",
            f"the uppercase of {W}",
        ),
        verb=(
            f"[write|put|convert|turn|change|print|type] {W} [in|to|into] {CAPITALS}",
            f"uppercase {W}",
            f"make {W} [upper case|uppercase|all caps]",
            f"[write|spell|show|say|print] {W} with {CAPITALS}",
        ),
        question=(
            f"what {W} [is|looks like|becomes] in {CAPITALS}",
            f"how {W} is [written|spelled|spelt|typed] in {CAPITALS}",
            f"how [you|I|to] write {W} in {CAPITALS}",
            f"what the [uppercase|upper case|all caps] [form|version] of {W} is",
            f"what is {W} in {CAPITALS}",
            f"how does {W} look in {CAPITALS}",
        ),
        raw=(
            "{w} in [upper case|uppercase|capitals|all caps]",
            "{w}, but in [upper case|uppercase|capitals|all caps|big letters]",
            "[uppercase|upper case|capitals|all caps|in capitals|in upper case]: {w}",
            "{w} uppercase",
            "uppercase {w}",
            "{w}: [uppercase|upper case|capitals please|in all caps|all caps]",
            "{w} to [upper case|uppercase|capitals]",
            "upper({w})",
            "{w}.upper()",
            "take {w} and make it [uppercase|all caps|upper case]",
            "I want {w} [all in capitals|in big letters]",
        ),
    ),
    WordTask(
        code="print(sum(c in 'aeiou' for c in {w}.lower()))",
        number=True,
        noun=(
            f"the [number|count|total] of vowels [in|of] {W}",
            f"the vowel count [of|in|for] {W}",
            f"the [number|count] of vowels [that|which] {W} [has|contains]",
            f"the total number of vowels in {W}",
        ),
        verb=(
            f"count the vowels [in|of] {W}",
            f"count [all|all the|only the|just the] vowels in {W}",
            f"count how many vowels {W} has",
            f"[say|check|see] how many vowels there are in {W}",
            f"get the vowel count of {W}",
        ),
        question=(
            f"how many vowels are in {W}",
            f"how many vowels {W} [has|contains]",
            f"how many vowels there are in {W}",
            f"how many vowels does {W} [have|contain]",
            f"how many vowels are there in {W}",
            f"what the vowel count of {W} is",
            f"what the number of vowels in {W} is",
        ),
        raw=(
            "vowels in {w}",
            "{w}: how many vowels",
            "{w}: [vowels|vowel count|number of vowels]",
            "number of vowels in {w}",
            "[vowel count|vowels|count vowels|count the vowels]: {w}",
            "vowel count of {w}",
            "how many vowels in {w}",
            "{w} has how many vowels",
            "{w}, how many vowels [is that|does it have|are in it]",
            "take {w} and count its vowels",
        ),
    ),
    PALINDROME,
    WordTask(
        code="print({w}[0])",
        noun=(
            f"the [first|starting|very first] [letter|character] of {W}",
            f"the [letter|character] [that|which] {W} [starts|begins] with",
            f"the [letter|character] at the [start|beginning] of {W}",
        ),
        verb=(
            f"[find|give|show|tell] me the first [letter|character] of {W}",
            f"[name|take|print|return|pick] the [first|starting|very first] [letter|character] [of|in] {W}",
            f"[tell me|say] [which|what] letter {W} [starts|begins] with",
            f"[name|get] the [letter|character] at the [start|beginning] of {W}",
        ),
        question=(
            f"[which|what] [letter|character] {W} [starts|begins] with",
            f"what the [first|starting|very first] [letter|character] of {W} is",
            f"which [letter|character] comes first in {W}",
            f"[which|what] [letter|character] is [the first|at the start|at the beginning] of {W}",
            f"[which|what] letter does {W} [start|begin] with",
            f"what is the first [letter|character] of {W}",
            f"what {W} [starts|begins] with",
        ),
        raw=(
            "first [letter|character] of {w}",
            f"which letter does {W} [start|begin] with",
            "{w}: [first letter|starting letter|first character]",
            "[first letter|first character|starting letter]: {w}",
            "{w} [starts|begins] with [which|what] letter",
            "{w}, what is the first letter",
            "take the word {w}. What is its first [letter|character]",
        ),
    ),
    WordTask(
        code="print({w}[-1])",
        noun=(
            f"the [last|final|very last] [letter|character] of {W}",
            f"the [letter|character] [that|which] {W} ends [with|in]",
            f"the [letter|character] at the end of {W}",
        ),
        verb=(
            f"[find|give|show|tell] me the [last|final] [letter|character] of {W}",
            f"[name|take|print|return|pick] the [last|final|very last] [letter|character] [of|in] {W}",
            f"[tell me|say] [which|what] letter {W} ends [with|in]",
            f"[name|get] the [letter|character] at the end of {W}",
        ),
        question=(
            f"[which|what] [letter|character] {W} ends [with|in]",
            f"what the [last|final|very last] [letter|character] of {W} is",
            f"which [letter|character] comes [last|at the end] in {W}",
            f"[which|what] [letter|character] is [the last|at the end] of {W}",
            f"[which|what] letter does {W} end [with|in]",
            f"what is the [last|final] [letter|character] of {W}",
            f"what {W} ends [with|in]",
        ),
        raw=(
            "[last|final] [letter|character] of {w}",
            f"which letter does {W} end with",
            "{w}: [last letter|final letter|last character]",
            "[last letter|final letter|last character]: {w}",
            "{w} ends [with|in] [which|what] letter",
            "{w}, what is the last letter",
            "take the word {w}. What is its [last|final] [letter|character]",
        ),
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
            f"the [number|count|total] of {{cs}} in {W}",
            f"the number of times [the letter|] {{c}} [occurs|appears|comes up] in {W}",
            f"[how often|how many times] [the letter|] {{c}} [occurs|appears|comes up] in {W}",
            f"the [number|count] of occurrences of [the letter|] {{c}} in {W}",
            f"the [number|count] of {{cs}} [that|which] {W} [has|contains]",
            f"the count of [the letter|] {{c}} in {W}",
        ),
        verb=(
            f"count the {{cs}} in {W}",
            f"count [the letter|] {{c}} in {W}",
            f"count how [often|many times] [the letter|] {{c}} [occurs|appears|comes up] in {W}",
            f"count [all the|all|only the|just the] {{cs}} in {W}",
            f"count the occurrences of [the letter|] {{c}} in {W}",
            f"[say|check|see] how many {{cs}} {W} [has|contains]",
        ),
        question=(
            f"how many {{cs}} are in {W}",
            f"how many {{cs}} are there in {W}",
            f"how many {{cs}} there are in {W}",
            f"how many {{cs}} {W} [has|contains]",
            f"how many {{cs}} does {W} [have|contain]",
            f"how [often|many times] [does|] [the letter|] {{c}} [occurs|appears|occur|appear] in {W}",
            f"how [often|many times] [the letter|] {{c}} comes up in {W}",
            f"how many times {{c}} is in {W}",
            f"what the number of {{cs}} in {W} is",
        ),
        raw=(
            "{cs} in {w}",
            "how many {cs} in {w}",
            "number of {cs} in {w}",
            "count {c} in {w}",
            f"in {W}, how many {{cs}} are there",
            f"{W}: how many {{cs}}",
            "{w}: [count|number of] {cs}",
            "{w} has how many {cs}",
            "count of {c} in {w}",
            "occurrences of {c} in {w}",
            "take {w} and count the {cs}",
        ),
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = (
    (10, on_word),
    (3.5, letter),
)
