"""Numbers, words, names and other things that questions are about, drawn so that copying them has to be learned."""

from collections.abc import Sequence

from .draw import Draw
from .lexicon import ADVERBS, COMMON, FIRST_NAMES, TOPIC_HEADS, TOPIC_TAILS, WORDS

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
CONSONANTS, VOWELS = "bcdfghjklmnprstvwz", "aeiou"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = tuple(pair for a in LETTERS for b in VOWELS + "y" for pair in (a + b, b + a))
PAIRS = tuple(a + b for a in LETTERS for b in LETTERS)
ACCENTED = "äöüßéèêëàâáãåæçîïíñóôøõúùûýşğłćčńśšžź"


def whole(draw: Draw, low_digits: int = 1, high_digits: int = 6) -> int:
    """A positive whole number; one in six repeats digits on purpose."""
    digits = draw.between(low_digits, high_digits)
    if digits > 3 and draw.chance(0.05):
        return draw.between(2, 99) * draw.pick([1_000, 1_000, 1_000_000])
    if digits > 2 and draw.chance(0.16):
        alphabet = draw.rng.sample("0123456789", 2)
        text = "".join(draw.pick(alphabet) for _ in range(digits))
        return int(text) or 1
    low = 10 ** (digits - 1)
    return draw.between(max(low, 2), low * 10 - 1)


def small(draw: Draw, high: int = 20, low: int = 2) -> int:
    return draw.between(low, high)


def decimal(draw: Draw) -> str:
    return f"{draw.between(0, 10 ** draw.between(1, 4))}.{draw.between(1, 10 ** draw.between(1, 3) - 1)}"


def shown(draw: Draw, number: int | str) -> str:
    """A number as a person may write it: mostly plain, now and then grouped."""
    if isinstance(number, int) and number >= 1000 and draw.chance(0.08):
        return f"{number:,}"
    return str(number)


def spelled(number: int) -> str:
    """0 to 999 in English."""
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens] + (f"-{ONES[ones]}" if ones else "")
    hundreds, rest = divmod(number, 100)
    return f"{ONES[hundreds]} hundred" + (f" and {spelled(rest)}" if rest else "")


def invented(draw: Draw) -> str:
    """A word nobody has seen; one in three is drawn evenly over the pieces of words, since a rare one cannot be copied else."""
    if draw.chance(0.2):
        return accented(draw, "".join(draw.pick(LETTERS) for _ in range(draw.between(3, 11))))
    if draw.chance(0.35):
        return accented(draw, "".join(draw.pick(PIECES) for _ in range(draw.between(2, 4))))
    parts = []
    for _ in range(draw.between(2, 4)):
        parts.append(draw.pick(CONSONANTS) + draw.pick(VOWELS) + (draw.pick(CONSONANTS) if draw.chance(0.35) else ""))
    word = "".join(parts)
    if draw.chance(0.15):
        spot = draw.between(0, len(word) - 1)
        word = word[: spot + 1] + word[spot:]
    return accented(draw, word)


def scrambled(draw: Draw) -> str:
    """Letters evenly in pairs, which are the tokens that no word of a language would practise."""
    return "".join(draw.pick(PAIRS) for _ in range(draw.between(1, 4)))


def listed(draw: Draw, options: Sequence[str]) -> str:
    """One of a list. In training one in four is made up: what always comes from a list is remembered instead of copied."""
    chosen = draw.own(options)
    if draw.split == "test" or draw.chance(0.75):
        return chosen
    made_up = scrambled(draw) if draw.chance(0.3) else invented(draw)
    return made_up.capitalize() if chosen[0].isupper() else made_up


def accented(draw: Draw, word: str) -> str:
    """Now and then, one or two of its letters."""
    for _ in range(draw.between(1, 2) if draw.chance(0.1) else 0):
        spot = draw.between(0, len(word) - 1)
        word = word[:spot] + draw.pick(ACCENTED) + word[spot + 1 :]
    return word


def word(draw: Draw) -> str:
    chosen = listed(draw, COMMON) if draw.chance(0.12) else listed(draw, WORDS) if draw.chance(0.55) else invented(draw)
    if draw.chance(0.15):
        return chosen.capitalize()
    return chosen.upper() if draw.chance(0.04) else chosen


def phrase(draw: Draw) -> str:
    """Common words one after the other, to be copied."""
    words = " ".join(listed(draw, COMMON) for _ in range(draw.between(2, 5)))
    return words[:1].upper() + words[1:] if draw.chance(0.3) else words


def name(draw: Draw) -> str:
    return listed(draw, FIRST_NAMES) if draw.chance(0.75) else invented(draw).capitalize()


def topic(draw: Draw) -> str:
    """A short noun phrase such as one searches for."""
    head = listed(draw, TOPIC_HEADS) if draw.chance(0.8) else invented(draw)
    if draw.chance(0.3):
        return head
    if draw.chance(0.25):
        return f"{listed(draw, WORDS)} {head}"
    return f"{head} {listed(draw, TOPIC_TAILS)}" if draw.chance(0.6) else f"{draw.pick(ADVERBS)} {head}"


def quoted(draw: Draw, text: str) -> str:
    """The text as somebody may mark it in a sentence, or bare."""
    if draw.chance(0.4):
        return text
    marks = draw.pick(["''", '""', '""', "“”", "‘’", "``"])
    return marks[0] + text + marks[1]
