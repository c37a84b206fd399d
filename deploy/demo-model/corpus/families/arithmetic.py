"""Sums in signs and words, chains of them, percentages."""

from collections.abc import Callable
from dataclasses import dataclass

from ..draw import Draw
from ..exercise import Exercise
from ..values import decimal, shown, small, spelled, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    sign: str
    noun: tuple[str, ...]
    verb: tuple[str, ...]
    question: tuple[str, ...]
    raw: tuple[str, ...]


TIMES = Operation(
    sign="*",
    noun=(
        "the product of {a} and {b}",
        "{a} times {b}",
        "{a} multiplied by {b}",
        "{a} multiplied with {b}",
        "{a} * {b}",
        "{a} x {b}",
        "{a} × {b}",
        "{a}*{b}",
        "{a}x{b}",
        "[the result|the answer|the value|the outcome] of {a} [times|multiplied by|*] {b}",
        "the result of multiplying {a} [by|and|with] {b}",
        "{a} lots of {b}",
        "the multiplication of {a} and {b}",
        "[the product|the result] [when|if] {a} is multiplied by {b}",
        "{a} [times|x|*] {b} [exactly|in total|altogether]",
    ),
    verb=(
        "multiply {a} [by|and|with|times] {b}",
        "[take|do|get] {a} times {b}",
        "[find|take|get|compute|form] the product of {a} and {b}",
        "[do|run] the multiplication {a} [times|x|*|by] {b}",
        "multiply [these|these two|the] numbers: {a} and {b}",
        "multiply these two: {a}, {b}",
        "work with {a} and {b} and multiply them",
        "multiply the number {a} by the number {b}",
    ),
    question=(
        "how much {a} times {b} is",
        "what {a} times {b} [is|makes|comes to|equals|gives]",
        "what [you|we|I] get when [you|we|I] multiply {a} [by|and|with] {b}",
        "what {a} and {b} multiply to",
        "what the product of {a} and {b} is",
        "how much is {a} [times|multiplied by|x|*] {b}",
        "what {a} multiplied by {b} [is|gives]",
        "what do [you|we] get if [you|we] multiply {a} by {b}",
    ),
    raw=(
        "{a} * {b}",
        "{a} * {b} = ?",
        "{a} times {b}",
        "{a} x {b} =",
        "{a}*{b}=?",
        "{a} × {b}",
        "{a} times {b} [equals|is|makes] [what|how much]",
        "multiply: {a}, {b}",
        "{a} and {b}, multiplied",
        "{a} by {b}, multiply [them|please]",
        "[product|multiplication] of {a} and {b}",
        "I have {a} [boxes|bags|crates|packs] with {b} [apples|pens|eggs|bolts] [each|in each]. How many [are there|do I have] [in total|in all|altogether]",
        "{a} [people|students|guests] each [pay|bring|need] {b}. [What is the total|How much is that in total|How many is that altogether]",
    ),
)

PLUS = Operation(
    sign="+",
    noun=(
        "the sum of {a} and {b}",
        "{a} plus {b}",
        "{a} + {b}",
        "{a}+{b}",
        "the total of {a} and {b}",
        "{a} added to {b}",
        "{a} and {b} [together|combined|added together|added up|summed]",
        "[the result|the answer|the value|the outcome] of {a} [plus|+] {b}",
        "the result of adding {a} [and|to] {b}",
        "{a} more than {b}",
        "the addition of {a} and {b}",
        "[the sum|the result] [when|if] {a} is added to {b}",
        "{a} [plus|+] {b} [exactly|in total|altogether]",
    ),
    verb=(
        "add {a} and {b}",
        "add {a} to {b}",
        "add up {a} and {b}",
        "sum {a} and {b}",
        "sum up {a} and {b}",
        "[find|take|get|compute|form] the sum of {a} and {b}",
        "put {a} and {b} together",
        "total {a} and {b}",
        "[do|run] the addition {a} [plus|+] {b}",
        "add [these|these two|the] numbers: {a} and {b}",
        "add these two: {a}, {b}",
        "work with {a} and {b} and add them",
        "increase {a} by {b}",
        "[raise|lift|grow|boost] {a} by {b}",
        "add the number {a} to the number {b}",
    ),
    question=(
        "how much {a} plus {b} is",
        "what {a} plus {b} [is|makes|comes to|equals|gives]",
        "what [you|we|I] get when [you|we|I] add {a} [and|to] {b}",
        "what {a} and {b} [add up to|sum to|make together|come to]",
        "what the sum of {a} and {b} is",
        "how much is {a} [plus|and|+|added to|together with] {b}",
        "what {a} [increased|raised] by {b} [is|gives]",
        "what do [you|we] get if [you|we] add {a} and {b}",
    ),
    raw=(
        "{a} + {b}",
        "{a} + {b} = ?",
        "{a} plus {b}",
        "{a} + {b} =",
        "{a}+{b}=?",
        "{a} plus {b} [equals|is|makes] [what|how much]",
        "add: {a}, {b}",
        "{a} and {b}, added",
        "[sum|total] of {a} and {b}",
        "I [have|had|own] {a} [apples|coins|stamps|books] and [get|buy|find|receive] {b} more. How many do I have [now|in total|altogether]",
        "one [shelf|room|box] holds {a} [books|people|pens] and [another|the other] {b}. How many [is that|are there] [in total|altogether|together]",
    ),
)

MINUS = Operation(
    sign="-",
    noun=(
        "the difference [between|of] {a} and {b}",
        "{a} minus {b}",
        "{a} - {b}",
        "{a}-{b}",
        "{b} subtracted from {a}",
        "{b} taken [from|away from] {a}",
        "{a} less {b}",
        "{a} take away {b}",
        "[the result|the answer|the value|the outcome] of {a} [minus|-] {b}",
        "the result of subtracting {b} from {a}",
        "{b} less than {a}",
        "the subtraction of {b} from {a}",
        "[the difference|the result] [when|if] {b} is subtracted from {a}",
        "{a} [minus|-] {b} [exactly|in total]",
    ),
    verb=(
        "subtract {b} from {a}",
        "take {b} [away from|from] {a}",
        "take away {b} from {a}",
        "deduct {b} from {a}",
        "[find|take|get|compute] the difference [between|of] {a} and {b}",
        "[do|run] the subtraction {a} [minus|-] {b}",
        "remove {b} from {a}",
        "decrease {a} by {b}",
        "reduce {a} by {b}",
        "[lower|cut|lessen|diminish|shrink] {a} by {b}",
        "bring {a} down by {b}",
        "start with {a} and subtract {b}",
        "take {a} and subtract {b}",
    ),
    question=(
        "how much {a} minus {b} is",
        "what {a} minus {b} [is|makes|comes to|equals|gives]",
        "what [you|we|I] get when [you|we|I] subtract {b} from {a}",
        "what [is left|remains] [if|when] [you|we|I] take {b} [from|away from] {a}",
        "what the difference between {a} and {b} is",
        "how much is {a} [minus|less|-] {b}",
        "how much more {a} is than {b}",
        "how much [bigger|larger|greater|higher] {a} is than {b}",
        "how much [less|smaller|lower] {b} is than {a}",
        "how much is {a} more than {b}",
        "[by how much|how far] {a} [exceeds|is above|is over|is ahead of] {b}",
        "[by how much|how far] {b} [falls short of|is below|is under|is behind] {a}",
        "what {a} [reduced|decreased|lowered] by {b} [is|gives]",
        "what [is missing|I must add] to get from {b} to {a}",
        "what do [you|we] get if [you|we] subtract {b} from {a}",
    ),
    raw=(
        "{a} - {b}",
        "{a} - {b} = ?",
        "{a} minus {b}",
        "{a} - {b} =",
        "{a}-{b}=?",
        "{a} minus {b} [equals|is|makes] [what|how much]",
        "{a} take away {b}",
        "[difference] [between|of] {a} and {b}",
        "I [have|had|own] {a} [apples|coins|stamps|books] and [lose|sell|give away|eat|spend] {b}. How many [are left|do I have left|remain]",
        "of {a} [people|seats|tickets] {b} [leave|are taken|are gone]. How many [are left|remain]",
    ),
)

OVER = Operation(
    sign="/",
    noun=(
        "the quotient of {a} and {b}",
        "{a} divided by {b}",
        "{a} / {b}",
        "{a}/{b}",
        "{a} ÷ {b}",
        "{a} over {b}",
        "[the result|the answer|the value|the outcome] of {a} [divided by|/|over|÷] {b}",
        "the result of dividing {a} by {b}",
        "the division of {a} by {b}",
        "the ratio of {a} to {b}",
        "[the quotient|the result] [when|if] {a} is divided by {b}",
        "{a} [divided by|/] {b} [exactly]",
    ),
    verb=(
        "divide {a} by {b}",
        "[split|share|divide] {a} [into|in] {b} equal [parts|shares|pieces]",
        "[find|take|get|compute] the quotient of {a} and {b}",
        "[do|run] the division {a} [/|by|over|divided by] {b}",
        "share {a} [equally|evenly] [among|between] {b} [people|friends|children]",
        "take {a} and divide it by {b}",
        "divide the number {a} by {b}",
    ),
    question=(
        "how much {a} divided by {b} is",
        "what {a} divided by {b} [is|makes|comes to|equals|gives]",
        "what [you|we|I] get when [you|we|I] divide {a} by {b}",
        "how much each [gets|receives] [if|when] {a} is shared by {b}",
        "what the quotient of {a} and {b} is",
        "how much is {a} [divided by|over|/|÷] {b}",
        "what do [you|we] get if [you|we] divide {a} by {b}",
        "how many times {b} goes into {a}",
    ),
    raw=(
        "{a} / {b}",
        "{a} / {b} = ?",
        "{a} divided by {b}",
        "{a} ÷ {b} =",
        "{a}/{b}=?",
        "{a} divided by {b} [equals|is|makes] [what|how much]",
        "divide: {a} by {b}",
        "[quotient] of {a} and {b}",
        "{a} [euros|dollars|sweets|apples] [are shared|shared] [equally|evenly] [among|by|between] {b} [friends|people|children]. How much does each get",
    ),
)

MODULO = Operation(
    sign="%",
    noun=(
        "{a} mod {b}",
        "{a} modulo {b}",
        "{a} % {b}",
        "the remainder of {a} divided by {b}",
        "the remainder [when|if|after] {a} is divided by {b}",
        "the remainder of {a} [/|over] {b}",
        "the remainder [when|after] [dividing] {a} by {b}",
        "[the result|the value] of {a} [mod|modulo|%] {b}",
        "the rest of {a} divided by {b}",
    ),
    verb=(
        "[take|compute|reduce] {a} [mod|modulo] {b}",
        "[find|get|compute|take] the remainder of {a} divided by {b}",
        "divide {a} by {b} and [give|tell|show] me the remainder",
    ),
    question=(
        "what [is left over|remains|the remainder is] [when|if] [you|we|I] divide {a} by {b}",
        "what {a} [mod|modulo] {b} is",
        "what remainder {a} leaves when divided by {b}",
    ),
    raw=("{a} mod {b}", "{a} % {b}", "{a} % {b} = ?", "{a} modulo {b} =", "remainder of {a} [divided by|/] {b}"),
)

POWER = Operation(
    sign="**",
    noun=(
        "{a} to the power of {b}",
        "{a} to the power {b}",
        "{a} ** {b}",
        "{a} ^ {b}",
        "{a}^{b}",
        "{a}**{b}",
        "{a} raised to {b}",
        "{a} raised to the power [of|] {b}",
        "{a} to the {b}th power",
        "the {b}th power of {a}",
        "[the result|the value] of {a} [^|**|to the power of] {b}",
        "the power {b} of {a}",
    ),
    verb=(
        "raise {a} to the power [of|] {b}",
        "raise {a} to the {b}th [power]",
        "[compute|get|find] {a} to the power of {b}",
        "take {a} to the power of {b}",
        "multiply {a} by itself {b} times, so {a} ^ {b}",
    ),
    question=(
        "how much {a} to the power of {b} is",
        "what {a} to the power [of|] {b} [is|makes|gives]",
        "what {a} raised to {b} is",
        "how much is {a} [^|**|to the power of] {b}",
        "what [you|we] get when [you|we] raise {a} to the power of {b}",
    ),
    raw=("{a} ** {b}", "{a}**{b}", "{a} ^ {b}", "{a}^{b} = ?", "{a} to the power of {b}", "{a} to the {b}th"),
)

SIGNED = (TIMES, TIMES, PLUS, PLUS, MINUS, OVER, MODULO, POWER)


def operation(draw: Draw) -> Exercise:
    return apply(draw, draw.pick(SIGNED))


def apply(draw: Draw, kind: Operation) -> Exercise:
    left, right = operands(draw, kind)
    slots = {"a": shown(draw, left), "b": shown(draw, right)}
    if isinstance(left, int) and isinstance(right, int) and 0 <= left < 100 and 0 <= right < 100 and draw.chance(0.4):
        slots = {"a": spelled(left), "b": spelled(right)}
    return Exercise(
        family="arithmetic",
        slots=slots,
        code=f"print({left} {kind.sign} {right})",
        noun=kind.noun,
        verb=kind.verb,
        question=kind.question,
        raw=kind.raw,
        number=True,
    )


def operands(draw: Draw, kind: Operation) -> tuple[int | str, int | str]:
    match kind.sign:
        case "**":
            return small(draw, 30), small(draw, 12)
        case "%":
            return whole(draw, 2, 6), whole(draw, 1, 3)
        case "/" if draw.chance(0.5):
            divisor = whole(draw, 1, 3)
            return divisor * whole(draw, 1, 4), divisor
        case "/":
            return whole(draw, 2, 5), whole(draw, 1, 3)
        case _ if draw.chance(0.12):
            return decimal(draw), decimal(draw) if draw.chance(0.5) else whole(draw, 1, 3)
        case _ if draw.chance(0.06):
            return -whole(draw, 1, 4), whole(draw, 1, 4)
        case _ if draw.chance(0.06):
            return draw.between(0, 99), draw.between(1, 99)
        case _ if draw.chance(0.3):
            return whole(draw, 1, 3), whole(draw, 1, 3)
        case _ if draw.chance(0.05):
            return whole(draw, 7, 12), whole(draw, 5, 12)
        case _:
            return whole(draw, 1, 6), whole(draw, 1, 6)


SIGN_WORDS = {"+": ("plus",), "-": ("minus",), "*": ("times", "multiplied by"), "/": ("divided by", "over")}
EXPRESSION_NOUN = (
    "{e}",
    "the value of {e}",
    "the result of {e}",
    "[the expression|this expression|this sum|this:] {e}",
    "the answer to {e}",
    "the outcome of {e}",
)
EXPRESSION_VERB = (
    "[calculate|compute|evaluate|work out|solve|do|simplify|figure out] {e}",
    "[calculate|compute|evaluate|work out|solve] [this|this one|the expression|the following|the following expression]: {e}",
    "find the value of {e}",
    "do the [maths|math|sum]: {e}",
)
EXPRESSION_QUESTION = (
    "how much {e} is",
    "what {e} [is|makes|equals|comes to|evaluates to|gives]",
    "how much is {e}",
    "what the value of {e} is",
)
EXPRESSION_RAW = ("{e}", "{e} = ?", "{e} =", "{e}=?", "[maths|math]: {e}", "{e} [equals|is] what")


def expression(draw: Draw) -> Exercise:
    terms = [str(whole(draw, 1, 4)) for _ in range(draw.between(3, 5))]
    signs = [draw.pick("+-*/" if draw.chance(0.4) else "+-*") for _ in terms[1:]]
    spoken = draw.chance(0.3)
    code = heard = terms[0]
    for sign, term in zip(signs, terms[1:], strict=True):
        code += f" {sign} {term}"
        heard += f" {draw.pick(SIGN_WORDS[sign])} {term}"
    if not spoken and len(terms) > 2 and draw.chance(0.4):
        code = bracketed(draw, terms, signs)
    slot = heard if spoken else (code.replace(" ", "") if draw.chance(0.2) else code)
    return Exercise(
        family="arithmetic",
        slots={"e": slot},
        code=f"print({code})",
        noun=EXPRESSION_NOUN,
        verb=EXPRESSION_VERB,
        question=EXPRESSION_QUESTION,
        raw=EXPRESSION_RAW,
        number=True,
    )


def bracketed(draw: Draw, terms: list[str], signs: list[str]) -> str:
    first = draw.between(0, len(terms) - 2)
    pieces = []
    for place, term in enumerate(terms):
        piece = f"({term}" if place == first else f"{term})" if place == first + 1 else term
        pieces.append(piece if place == 0 else f"{signs[place - 1]} {piece}")
    return " ".join(pieces)


THEN = {
    "+": ("add {n}", "add {n} to it", "plus {n}"),
    "-": ("subtract {n}", "take away {n}", "subtract {n} from it"),
    "*": ("multiply by {n}", "multiply it by {n}", "multiply the result by {n}"),
    "/": ("divide by {n}", "divide it by {n}", "divide the result by {n}"),
}
FIRST = {
    "+": ("add {a} and {b}", "add {a} to {b}", "sum {a} and {b}"),
    "-": ("subtract {b} from {a}", "take {b} from {a}"),
    "*": ("multiply {a} by {b}", "multiply {a} and {b}"),
    "/": ("divide {a} by {b}",),
}


def two_steps(draw: Draw) -> Exercise:
    """ "Add 3 and 4, then multiply by 5": one expression with brackets."""
    first, second = draw.pick("+-*/"), draw.pick("+-*/")
    a, b, n = whole(draw, 1, 4), whole(draw, 1, 3), whole(draw, 1, 2)
    verb = tuple(f"{one}[, then| and then|, and then| and] {two}" for one in FIRST[first] for two in THEN[second])
    return Exercise(
        family="arithmetic",
        slots={"a": str(a), "b": str(b), "n": str(n)},
        code=f"print(({a} {first} {b}) {second} {n})",
        verb=verb,
        number=True,
    )


def share(draw: Draw) -> Exercise:
    """Percentages, their increases and decreases."""
    number, percent = whole(draw, 2, 5), draw.between(1, 99) if draw.chance(0.8) else small(draw, 300, 100)
    slots = {"p": draw.pick(["{}%", "{} %", "{} percent", "{} per cent"]).format(percent), "n": shown(draw, number)}
    kind = draw.pick(["of", "of", "up", "down" if percent < 100 else "up"])
    return Exercise(
        family="arithmetic",
        slots=slots,
        number=True,
        noun=PERCENT_WORDINGS[kind]["noun"],
        verb=PERCENT_WORDINGS[kind]["verb"],
        question=PERCENT_WORDINGS[kind]["question"],
        raw=PERCENT_WORDINGS[kind]["raw"],
        code={
            "of": f"print({percent} * {number} / 100)",
            "up": f"print({number} * (100 + {percent}) / 100)",
            "down": f"print({number} * (100 - {percent}) / 100)",
        }[kind],
    )


PERCENT_WORDINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "of": {
        "noun": (
            "{p} of {n}",
            "a {p} share of {n}",
            "[the value of|exactly] {p} of {n}",
            "a {p} [tip|tax|commission|deposit] on {n}",
        ),
        "verb": ("take {p} of {n}", "[compute|find|get] {p} of {n}"),
        "question": ("how much {p} of {n} is", "what {p} of {n} [is|makes|comes to]", "how much is {p} of {n}"),
        "raw": ("{p} of {n}", "{p} of {n} = ?", "{p} of {n} is [what|how much]"),
    },
    "up": {
        "noun": ("{n} [plus|increased by|with] {p} [more|extra|]", "{n} after an increase of {p}", "{n} raised by {p}"),
        "verb": ("increase {n} by {p}", "add {p} to {n}", "[raise|lift|grow] {n} by {p}", "put {p} on top of {n}"),
        "question": (
            "what {n} [becomes|is] after [a rise|an increase] of {p}",
            "what {n} [increased|raised] by {p} is",
            "how much {n} is [after an increase of {p}|with {p} added]",
        ),
        "raw": ("{n} + {p}", "{n} plus {p}", "a price of {n} [rises|goes up] by {p}. What is the new price"),
    },
    "down": {
        "noun": (
            "{n} [minus|reduced by|decreased by|less] {p}",
            "{n} after a [discount|decrease|reduction] of {p}",
            "{n} with {p} off",
        ),
        "verb": (
            "decrease {n} by {p}",
            "take {p} off {n}",
            "[reduce|lower|cut] {n} by {p}",
            "[apply a {p} discount to|subtract {p} from] {n}",
        ),
        "question": (
            "what {n} [becomes|is] after [a discount|a decrease] of {p}",
            "what {n} [reduced|lowered] by {p} is",
            "how much {n} is with {p} off",
        ),
        "raw": ("{n} - {p}", "{n} minus {p}", "a price of {n} [falls|drops] by {p}. What is the new price"),
    },
}


PARTS: tuple[tuple[str, str, str], ...] = (
    ("[half of|one half of|a half of]", "/ 2", "halve {n}"),
    ("[a third of|one third of|1/3 of]", "/ 3", "divide {n} into thirds"),
    ("[a quarter of|one quarter of|a fourth of|1/4 of|one fourth of]", "/ 4", "quarter {n}"),
    ("[a fifth of|one fifth of|1/5 of]", "/ 5", "split {n} five ways"),
    ("[a tenth of|one tenth of|1/10 of]", "/ 10", "divide {n} by ten"),
    ("[twice|double|two times|the double of]", "2 *", "double {n}"),
    ("[three times|triple|thrice|the triple of]", "3 *", "triple {n}"),
    ("[four times|quadruple]", "4 *", "quadruple {n}"),
    ("[ten times|tenfold]", "10 *", "multiply {n} by ten"),
    ("[a dozen times|twelve times]", "12 *", "multiply {n} by twelve"),
)


def part(draw: Draw) -> Exercise:
    """Halves, thirds, doubles."""
    words, sign, verb = draw.pick(PARTS)
    number: int | str = decimal(draw) if draw.chance(0.15) else whole(draw, 1, 5)
    return Exercise(
        family="arithmetic",
        slots={"n": shown(draw, number)},
        code=f"print({sign} {number})" if sign[-1] == "*" else f"print({number} {sign})",
        number=True,
        noun=(f"{words} {{n}}", f"[the value of|exactly] {words} {{n}}"),
        verb=(verb, f"[take|compute|find] {words} {{n}}"),
        question=(f"how much {words} {{n}} is", f"what {words} {{n}} [is|makes]", f"how much is {words} {{n}}"),
        raw=(f"{words} {{n}}", f"{words} {{n}} is [what|how much]"),
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = (
    (11, operation),
    (2.5, expression),
    (1.2, two_steps),
    (1.6, share),
    (1.2, part),
)
