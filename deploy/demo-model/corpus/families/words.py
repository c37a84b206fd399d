"""Words and sentences: length, letters, case, reversal."""

from collections.abc import Callable
from dataclasses import dataclass

from ..draw import Draw
from ..exercise import Exercise, says
from ..values import invented, quoted, word
from .integers import yes_or_no


@dataclass(frozen=True, slots=True, kw_only=True)
class WordTask:
    family: str
    code: str  # of {w}, a quoted literal
    answer: str
    noun: tuple[str, ...] = ()
    verb: tuple[str, ...] = ()
    question: tuple[str, ...] = ()
    raw: tuple[str, ...] = ()
    number: bool = False


W = "[the word|the name|the string|the text|] {w}"
TASKS = (
    WordTask(
        family="word length",
        code="print(len({w}))",
        answer="{W} has {out} letters.",
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
        family="word reverse",
        code="print({w}[::-1])",
        answer="Reversed: {out}.",
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
        family="word case",
        code="print({w}.upper())",
        answer="In capitals: {out}.",
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
        family="word case",
        code="print({w}.lower())",
        answer="In lower case: {out}.",
        noun=(f"{W} in [lower case|lowercase|small letters]", f"the [lower case|lowercase] [form|version] of {W}"),
        verb=(
            f"[write|put|convert|turn|change|make|print|type] {W} [in|to|into] [lower case|lowercase|small letters]",
            f"lowercase {W}",
            f"make {W} [lower case|lowercase]",
        ),
        question=(f"what {W} [is|looks like] in [lower case|lowercase|small letters]",),
        raw=("{w} in [lower case|lowercase]", "lowercase: {w}", "{w} lowercase", "lowercase {w}"),
    ),
    WordTask(
        family="word vowels",
        code="print(sum(c in 'aeiou' for c in {w}.lower()))",
        answer="{W} has {out} vowels.",
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
    WordTask(
        family="word palindrome",
        code="w = {w}.lower(); print(w == w[::-1])",
        answer="",
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
    ),
    WordTask(
        family="word end",
        code="print({w}[0])",
        answer="The first letter is {out}.",
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
        family="word end",
        code="print({w}[-1])",
        answer="The last letter is {out}.",
        noun=(f"the [last|final] [letter|character] of {W}",),
        verb=(f"[find|give|show] me the [last|final] [letter|character] of {W}",),
        question=(
            f"which [letter|character] {W} ends [with|in]",
            f"what the [last|final] [letter|character] of {W} is",
            f"what letter {W} ends with",
        ),
        raw=("last letter of {w}", f"which letter does {W} end with"),
    ),
    WordTask(
        family="word spell",
        code="print('-'.join({w}))",
        answer="Spelled: {out}.",
        noun=(f"the spelling of {W}",),
        verb=(
            f"spell {W}",
            f"spell out {W}",
            f"spell {W} [letter by letter|with dashes|out loud]",
            f"[put|insert] dashes between the letters of {W}",
        ),
        question=(f"how {W} is spelled", f"how to spell {W}", f"how you spell {W}"),
        raw=("how do you spell {w}", "spell {w}", "spelling of {w}"),
    ),
    WordTask(
        family="word sorted",
        code="print(''.join(sorted({w})))",
        answer="The letters in order: {out}.",
        noun=(f"the letters of {W} in [alphabetical order|order|sorted order]",),
        verb=(
            f"sort the [letters|characters] [of|in] {W}",
            f"[put|order|arrange] the letters of {W} [alphabetically|in alphabetical order]",
        ),
        question=(f"what the letters of {W} are in alphabetical order",),
        raw=("sort the letters of {w}", "letters of {w} sorted"),
    ),
)


def on_word(draw: Draw) -> Exercise:
    return about(draw, draw.pick(TASKS))


def about(draw: Draw, task: WordTask) -> Exercise:
    target = word(draw)
    if task.family == "word palindrome" and draw.chance(0.5):
        half = invented(draw)[:4]
        target = half + half[::-1][draw.between(0, 1) :]
    mark = quoted(draw, target)
    answer = (
        yes_or_no(f"Yes, {target} is a palindrome.", f"No, {target} is not a palindrome.")
        if task.family == "word palindrome"
        else says(task.answer.replace("{W}", target))
    )
    return Exercise(
        family=task.family,
        slots={"w": mark, "short": mark},
        code=task.code.replace("{w}", repr(target)),
        answer=answer,
        noun=task.noun,
        verb=task.verb,
        question=task.question,
        raw=task.raw,
        number=task.number,
        again=lambda again: about(again, task),
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
        family="letter count",
        slots={"w": mark, "c": shown, "cs": plural, "short": mark},
        number=True,
        answer=says(f"{sought} occurs {{out}} times in {target}."),
        again=letter if False else None,
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


SENTENCE_WORDS = "the a my our one this cat dog man child tree house bird teacher river runs sees likes finds makes a big small red quick lazy happy over under near every day again always today with without".split()


def sentence(draw: Draw) -> Exercise:
    text = " ".join(draw.pick(SENTENCE_WORDS) if draw.chance(0.6) else word(draw).lower() for _ in range(draw.between(3, 7)))
    mark = draw.pick(['"{}"', "'{}'", "“{}”", ": {}"]).format(text)
    mark = mark.removeprefix(": ") if mark.startswith(": ") else mark
    kind = draw.pick(["count", "count", "reverse", "title", "upper"])
    what = "[the sentence|the text|the phrase|this sentence|this text|this:|the following:|]"
    code = {
        "count": f"print(len({text!r}.split()))",
        "reverse": f"print(' '.join({text!r}.split()[::-1]))",
        "title": f"print({text!r}.title())",
        "upper": f"print({text!r}.upper())",
    }[kind]
    answer = {"count": "There are {out} words.", "reverse": "{out}", "title": "{out}", "upper": "In capitals: {out}."}[kind]
    verbs = {
        "count": (f"count the words in {what} {{w}}", f"count how many words {what} {{w}} has"),
        "reverse": (
            f"reverse the [order of the words|word order|words] [in|of] {what} {{w}}",
            f"put the words of {what} {{w}} in reverse order",
        ),
        "title": (
            f"[write|put|convert] {what} {{w}} [in|to|into] title case",
            f"capitalize [each|every] word [in|of] {what} {{w}}",
        ),
        "upper": (f"[write|put|convert|turn] {what} {{w}} [in|to|into] [upper case|uppercase|capitals|all caps]",),
    }[kind]
    questions = {
        "count": (
            f"how many words are in {what} {{w}}",
            f"how many words {what} {{w}} has",
            f"how many words does {what} {{w}} have",
        ),
        "reverse": (f"what {what} {{w}} is with the words reversed",),
        "title": (f"what {what} {{w}} looks like in title case",),
        "upper": (f"what {what} {{w}} is in capitals",),
    }[kind]
    nouns = (f"the [number of words|word count] [in|of] {what} {{w}}",) if kind == "count" else ()
    return Exercise(
        family="sentence",
        slots={"w": mark, "short": ""},
        code=code,
        answer=says(answer),
        noun=nouns,
        verb=verbs,
        question=questions,
        number=kind == "count",
    )


def repeated(draw: Draw) -> Exercise:
    target, times = word(draw), draw.between(2, 6)
    mark = quoted(draw, target)
    return Exercise(
        family="word repeat",
        slots={"w": mark, "n": str(times), "short": mark},
        code=f"print({target!r} * {times})",
        answer=says("{out}"),
        verb=(
            f"repeat {W} {{n}} times",
            f"[write|print|type] {W} {{n}} times [in a row|without spaces]",
            f"join {{n}} copies of {W}",
        ),
        noun=(f"{W} {{n}} times [in a row|without spaces]", f"{W} repeated {{n}} times"),
        raw=("{w} times {n}, as text", "repeat {w} {n} times"),
    )


def joined(draw: Draw) -> Exercise:
    first, second = word(draw), word(draw)
    return Exercise(
        family="word join",
        slots={"a": quoted(draw, first), "b": quoted(draw, second), "short": ""},
        code=f"print({first!r} + {second!r})",
        answer=says("{out}"),
        verb=(
            "[join|concatenate|glue|stick] {a} and {b} [together|]",
            "[join|concatenate] the [words|strings] {a} and {b}",
            "append {b} to {a}",
            "put {a} and {b} together as one word",
        ),
        noun=("the concatenation of {a} and {b}", "{a} and {b} [joined|glued together] as one word"),
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = (
    (10, on_word),
    (3.5, letter),
    (2, sentence),
    (0.7, repeated),
    (0.7, joined),
)
