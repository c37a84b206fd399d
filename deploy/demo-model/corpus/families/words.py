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
        f"[check|see|test|find out|decide] [if|whether] {W} reads the same [backwards|both ways|in both directions|from either end]",
        f"test {W} for being a palindrome",
        f"compare {W} with its reverse and say if they are the same",
        f"[check|see] [if|whether] {W} [stays|remains] the same [when reversed|when you reverse it]",
    ),
    question=(
        f"[if|whether] {W} is a palindrome",
        f"[if|whether] {W} is a palindrome or not",
        f"[if|whether] {W} reads the same [backwards|both ways|forwards and backwards|from either end|from both sides]",
        f"[if|whether] {W} [stays|remains] the same when [reversed|you reverse it|read backwards]",
        f"[if|whether] {W} and its reverse are the same",
        f"[if|whether] {W} spelled backwards is still {{w}}",
        f"is {W} a palindrome",
        f"does {W} count as a palindrome",
    ),
    raw=(
        f"is {W} a palindrome",
        f"is {W} a palindrome or not",
        f"does {W} read the same [backwards|both ways|in both directions|forwards and backwards|from either end]",
        f"would you call {W} a palindrome",
        f"do you get the same word when you reverse {W}",
        f"is {W} the same [backwards|read backwards|when reversed|in both directions]",
        f"{W}, a palindrome or not",
        "{w}: palindrome or not",
        "{w} palindrome",
        "palindrome: {w}",
        "palindrome check for {w}",
        "is_palindrome({w})",
        "they say {w} is a palindrome. Is that true",
    ),
)
CAPITALS = "[upper case|uppercase|capitals|capital letters|all caps|block letters|big letters]"
LETTERS = "[letters|characters]"
TASKS = (
    WordTask(
        code="print(len({w}))",
        number=True,
        noun=(
            f"the [length|number of letters|number of characters|letter count|character count] [of|in] {W}",
            f"the [size|length] of {W} in {LETTERS}",
            f"the [total|exact] [number|count] of {LETTERS} [in|of] {W}",
            f"the [number|count] of {LETTERS} [that|which] {W} [has|is made of|contains|consists of]",
            f"the [number|count] of {LETTERS} [making up|used in|needed for] {W}",
            f"the amount of {LETTERS} in {W}",
        ),
        verb=(
            f"count the {LETTERS} [in|of] {W}",
            f"count [all|all the|every one of the] {LETTERS} in {W}",
            f"[measure|get|determine|give me] the length of {W}",
            f"count how many {LETTERS} {W} has",
            f"[say|check|see] how [long|many letters long] {W} is",
            f"[say|check|see] how many {LETTERS} {W} [has|contains|is made of]",
            f"count {W} letter by letter",
        ),
        question=(
            f"how many {LETTERS} are in {W}",
            f"how many {LETTERS} {W} [has|contains|consists of|is made of]",
            f"how long {W} is",
            f"how many {LETTERS} there are in {W}",
            f"how many {LETTERS} does {W} [have|contain|consist of]",
            f"how long is {W}",
            f"how many {LETTERS} are there in {W}",
            f"how many {LETTERS} long {W} is",
            f"how many {LETTERS} long is {W}",
            f"how many {LETTERS} it takes to [spell|write|type] {W}",
            f"how many {LETTERS} [you need|one needs|I need] to [spell|write|type] {W}",
            f"what the [length|letter count|number of letters] of {W} is",
            f"how many {LETTERS} make up {W}",
            f"out of how many {LETTERS} {W} is [made|built]",
        ),
        raw=(
            "length of {w}",
            "[length|size|letter count|character count|number of letters]: {w}",
            "len({w})",
            "{w}: how many letters",
            "{w}: [length|letter count|how long|how many characters]",
            "[number of letters|letter count|character count] [in|of] {w}",
            f"{{w}} has how many {LETTERS}",
            f"{{w}} is how many {LETTERS} long",
            "{w}, how long is [that|it|that word]",
            f"I typed {{w}}. How many {LETTERS} is that",
            f"count {{w}}: how many {LETTERS}",
            "letters in {w} in total",
        ),
    ),
    WordTask(
        code="print({w}[::-1])",
        noun=(
            f"{W} [backwards|reversed|spelled backwards|in reverse|written backwards|spelt backwards|read backwards]",
            f"{W} from [back to front|end to start|right to left|the last letter to the first]",
            f"{W} the other way [round|around]",
            f"the [reverse|reversal|mirror image|reversed spelling|backward spelling] of {W}",
            "the letters of {w} in [reverse|reversed|backward|opposite] order",
            f"the reversed [form|version|string|spelling] of {W}",
            f"{W} with its letters [reversed|in reverse order|in the opposite order]",
            f"the backwards [form|version] of {W}",
        ),
        verb=(
            f"reverse {W}",
            f"[spell|write|say|print|turn|type|read|give me] {W} [backwards|in reverse|from back to front|the other way round|from right to left]",
            f"reverse the [letters|order of the letters|spelling] [of|in] {W}",
            f"flip {W} [around|]",
            f"[flip|mirror|invert] the [letters|order of the letters] of {W}",
            f"[write|print|list] the letters of {W} in [reverse|reversed|backward|opposite] order",
            f"[write|spell|print] {W} starting [with|from] [the last letter|the end]",
            f"turn {W} [back to front|around letter by letter]",
            f"put the letters of {W} in reverse order",
        ),
        question=(
            f"what {W} [is|looks like|reads|becomes] [backwards|reversed|in reverse|from right to left|when reversed]",
            f"how {W} is [spelled|written|spelt] [backwards|in reverse|from back to front]",
            f"how [you|I|to] [spell|write] {W} backwards",
            f"what the reverse of {W} is",
            f"what [you|I|we] get when [you|I|we] [reverse|flip] {W}",
            f"what comes out when [you|I|we] [spell|read|write] {W} backwards",
            f"how {W} reads from right to left",
            f"what {W} turns into when you reverse [it|its letters]",
            f"what is {W} [backwards|in reverse|spelled backwards]",
            f"how does {W} look [backwards|in reverse|when reversed]",
        ),
        raw=(
            "{w} backwards",
            "[reverse|backwards|reversed|in reverse|mirrored]: {w}",
            "reverse {w}",
            "{w} reversed",
            "{w} in reverse",
            "{w}: [backwards|reverse it|in reverse|reversed|from back to front]",
            "{w}, but [backwards|in reverse|from the last letter to the first|spelled backwards]",
            "reverse of {w}",
            "take {w} and [reverse it|spell it backwards|turn it around|flip the letters]",
            "I have {w}. [Reverse it|Spell it backwards|Write it the other way round]",
        ),
    ),
    WordTask(
        code="print({w}.upper())",
        noun=(
            f"{W} in {CAPITALS}",
            f"the [upper case|uppercase|capitalised|all caps] [form|version|spelling] of {W}",
            f"{W} [written|spelled|typed|printed] [in|with] {CAPITALS}",
            f"{W} with [every letter|all letters|each letter] [capitalised|capitalized|in upper case|in capitals]",
            f"{W} [uppercased|fully capitalised|fully capitalized]",
            f"the uppercase of {W}",
        ),
        verb=(
            f"[write|put|convert|turn|change|make|print|type] {W} [in|to|into] {CAPITALS}",
            f"[uppercase|capitalize all letters of|capitalise every letter of|upper-case] {W}",
            f"make {W} [upper case|uppercase|all caps]",
            f"make [all letters|every letter|each letter] [of|in] {W} [a capital|upper case|uppercase|big]",
            f"[write|spell|show|say|print] {W} with {CAPITALS}",
            f"[raise|switch|set] {W} to [upper case|uppercase]",
            f"[shout|scream] {W} in {CAPITALS}",
            f"use [only capital letters|only capitals|upper case only] for {W}",
        ),
        question=(
            f"what {W} [is|looks like|becomes] in {CAPITALS}",
            f"how {W} is [written|spelled|spelt|typed] in {CAPITALS}",
            f"how {W} looks [in|with] {CAPITALS}",
            f"how [you|I|to] write {W} in {CAPITALS}",
            f"what the [uppercase|upper case|all caps] [form|version] of {W} is",
            f"what is {W} in {CAPITALS}",
            f"what [you|we|I] get when [you|we|I] [uppercase|capitalize every letter of] {W}",
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
            "I want {w} [all in capitals|in big letters|in block letters]",
        ),
    ),
    WordTask(
        code="print(sum(c in 'aeiou' for c in {w}.lower()))",
        number=True,
        noun=(
            f"the [number|count|total] of vowels [in|of] {W}",
            f"the vowel count [of|in|for] {W}",
            f"the [number|count] of vowels [that|which] {W} [has|contains]",
            f"the [total number|exact number|amount] of vowels in {W}",
            f"the number of letters in {W} that are vowels",
            f"the [number|count] of a, e, i, o and u in {W}",
        ),
        verb=(
            f"count the vowels [in|of] {W}",
            f"count [all|all the|only the|just the] vowels in {W}",
            f"count how many vowels {W} has",
            f"tell how many vowels {W} has",
            f"[say|check|see] how many vowels there are in {W}",
            f"count how many [letters of|letters in] {W} are vowels",
            f"go through {W} and count the vowels",
            f"get the vowel count of {W}",
        ),
        question=(
            f"how many vowels are in {W}",
            f"how many vowels {W} [has|contains|uses]",
            f"how many vowels there are in {W}",
            f"how many vowels does {W} [have|contain|use]",
            f"how many vowels are there in {W}",
            f"how many of the letters in {W} are vowels",
            f"how many letters of {W} are vowels",
            f"what the vowel count of {W} is",
            f"what the number of vowels in {W} is",
            f"how many vowels [you|we|I] [find|see|hear] in {W}",
            f"how many times a vowel appears in {W}",
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
            "in {w}, how many letters are vowels",
            "take {w} and count its vowels",
        ),
    ),
    PALINDROME,
    WordTask(
        code="print({w}[0])",
        noun=(
            f"the [first|initial|starting|opening|very first] [letter|character] of {W}",
            f"the initial of {W}",
            f"the [letter|character] [that|which] {W} [starts|begins|opens] with",
            f"the [letter|character] at the [start|beginning|front] of {W}",
            f"the [beginning|first] letter in {W}",
            f"the [letter|character] in first [position|place] of {W}",
            f"letter number one of {W}",
        ),
        verb=(
            f"[find|give|show|tell] me the first [letter|character] of {W}",
            f"[name|take|print|return|pick] the [first|initial|starting|very first] [letter|character] [of|in] {W}",
            f"[tell me|say] [which|what] letter {W} [starts|begins] with",
            f"take {W} and give me [only|just|] its first [letter|character]",
            f"[name|get] the [letter|character] at the [start|beginning] of {W}",
        ),
        question=(
            f"[which|what] [letter|character] {W} [starts|begins|opens] with",
            f"what the [first|initial|opening|starting|very first] [letter|character] of {W} is",
            f"which [letter|character] comes first in {W}",
            f"[which|what] [letter|character] is [the first|at the start|at the beginning] of {W}",
            f"with [which|what] [letter|character] {W} [starts|begins]",
            f"[which|what] letter does {W} [start|begin] with",
            f"what is the first [letter|character] of {W}",
            f"what {W} [starts|begins] with",
        ),
        raw=(
            "first [letter|character] of {w}",
            f"which letter does {W} [start|begin] with",
            "{w}: [first letter|initial|starting letter|first character]",
            "[first letter|initial|first character|starting letter]: {w}",
            "{w} [starts|begins] with [which|what] letter",
            "{w}, what is the first letter",
            "initial of {w}",
            "take the word {w}. What is its first [letter|character]",
        ),
    ),
    WordTask(
        code="print({w}[-1])",
        noun=(
            f"the [last|final|ending|closing|very last] [letter|character] of {W}",
            f"the [letter|character] [that|which] {W} ends [with|in|on]",
            f"the [letter|character] at the [end|very end] of {W}",
            f"the [last|final] letter in {W}",
            f"the [letter|character] in last [position|place] of {W}",
            f"the end letter of {W}",
        ),
        verb=(
            f"[find|give|show|tell] me the [last|final] [letter|character] of {W}",
            f"[name|take|print|return|pick] the [last|final|ending|very last] [letter|character] [of|in] {W}",
            f"[tell me|say] [which|what] letter {W} ends [with|in]",
            f"take {W} and give me [only|just|] its last [letter|character]",
            f"[name|get] the [letter|character] at the end of {W}",
        ),
        question=(
            f"[which|what] [letter|character] {W} ends [with|in|on]",
            f"what the [last|final|ending|closing|very last] [letter|character] of {W} is",
            f"which [letter|character] comes [last|at the end] in {W}",
            f"[which|what] [letter|character] is [the last|at the end] of {W}",
            f"with [which|what] [letter|character] {W} ends",
            f"[which|what] letter does {W} end [with|in]",
            f"what is the [last|final] [letter|character] of {W}",
            f"what {W} ends [with|in]",
        ),
        raw=(
            "[last|final] [letter|character] of {w}",
            f"which letter does {W} end with",
            "{w}: [last letter|final letter|ending letter|last character]",
            "[last letter|final letter|last character|ending letter]: {w}",
            "{w} ends [with|in] [which|what] letter",
            "{w}, what is the last letter",
            "end letter of {w}",
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
            f"the number of times [the letter|] {{c}} [occurs|appears|is|comes up|is used] in {W}",
            f"[how often|how many times] [the letter|] {{c}} [occurs|appears|comes up] in {W}",
            f"the [number|count] of occurrences of [the letter|] {{c}} in {W}",
            f"the [number|count] of {{cs}} [that|which] {W} [has|contains]",
            f"the frequency of [the letter|] {{c}} in {W}",
            f"the count of [the letter|] {{c}} in {W}",
        ),
        verb=(
            f"count the {{cs}} in {W}",
            f"count [the letter|] {{c}} in {W}",
            f"count how [often|many times] [the letter|] {{c}} [occurs|appears|is|comes up] in {W}",
            f"count [all the|all|only the|just the] {{cs}} in {W}",
            f"count [every|each] {{c}} in {W}",
            f"count the occurrences of [the letter|] {{c}} in {W}",
            f"go through {W} and count the {{cs}}",
            f"look at {W} and count how many {{cs}} [it has|there are]",
            f"[say|check|see] how many {{cs}} {W} [has|contains]",
            f"find all {{cs}} in {W} and count them",
        ),
        question=(
            f"how many {{cs}} are in {W}",
            f"how many {{cs}} are there in {W}",
            f"how many {{cs}} there are in {W}",
            f"how many {{cs}} {W} [has|contains]",
            f"how many {{cs}} does {W} [have|contain]",
            f"how [often|many times] [does|] [the letter|] {{c}} [occurs|appears|occur|appear] in {W}",
            f"how [often|many times] [the letter|] {{c}} [comes up|is used|can be found|shows up] in {W}",
            f"how many times {{c}} is in {W}",
            f"how many times [you|we|I] [write|type|see|find] [the letter|] {{c}} in {W}",
            f"how many of the letters in {W} are {{cs}}",
            f"how many {{cs}} it takes to [spell|write] {W}",
            f"how many {{cs}} [you|we|I] [find|see|count] in {W}",
            f"what the number of {{cs}} in {W} is",
        ),
        raw=(
            "{cs} in {w}",
            "how many {cs} in {w}",
            "number of {cs} in {w}",
            "count {c} in {w}",
            f"in {W}, how many {{cs}} are there",
            f"in {W}, how [often|many times] is [the letter|] {{c}} [used|written]",
            f"{W}: how many {{cs}}",
            "{w}: [count|number of] {cs}",
            "{w} has how many {cs}",
            "count of {c} in {w}",
            "occurrences of {c} in {w}",
            "[letter|the letter] {c} in {w}: how [often|many times]",
            "take {w} and count the {cs}",
            "I look at {w}. How many {cs} do I see",
        ),
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = (
    (10, on_word),
    (3.5, letter),
)
