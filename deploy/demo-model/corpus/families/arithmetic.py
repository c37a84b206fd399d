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
        "[the result|the answer|the value] of {a} [times|multiplied by|*] {b}",
        "the result of multiplying {a} [by|and|with] {b}",
        "[the product|the result] [when|if] {a} is multiplied [by|with] {b}",
        "{a} and {b} multiplied [together|]",
        "the product of the [numbers|two numbers] {a} and {b}",
        "the [cost|price] of {a} [tickets|books|shirts|pens] at {b} each",
    ),
    verb=(
        "multiply {a} [by|and|with|times] {b}",
        "multiply {a} and {b} [together|with each other]",
        "multiply together {a} and {b}",
        "[take|do|get] {a} times {b}",
        "times {a} by {b}",
        "[find|take|get|compute|form] the product of {a} and {b}",
        "[give|tell|show|get] me the product of {a} and {b}",
        "multiply [these|these two|the] numbers: {a} and {b}",
        "take {a} and multiply it [by|with] {b}",
    ),
    question=(
        "how much {a} times {b} is",
        "what {a} times {b} [is|makes|comes to|equals|gives|amounts to|works out to]",
        "what [you|we|I] get when [you|we|I] multiply {a} [by|and|with] {b}",
        "what [is|would be] the result [if|when] [you|we|I] multiply {a} [by|with] {b}",
        "what {a} and {b} multiplied [is|make]",
        "what the product of {a} and {b} [is|would be|comes to]",
        "how much is {a} [times|multiplied by|x|*] {b}",
        "what {a} multiplied by {b} [is|gives|makes|comes to]",
        "how much {a} [tickets|books|shirts] cost at {b} each",
        "how much [you|we|I] pay for {a} [tickets|books|shirts] at {b} each",
        "what do [you|we] get if [you|we] multiply {a} [by|with] {b}",
        "what does multiplying {a} [by|and|with] {b} [give|make|yield]",
    ),
    raw=(
        "{a} * {b}",
        "{a} * {b} = ?",
        "{a} times {b}",
        "{a} x {b} =",
        "{a}*{b}=?",
        "{a} × {b}",
        "{a} × {b} =",
        "{a} times {b} [equals|is|makes] [what|how much]",
        "multiply: {a}, {b}",
        "multiply {a} {b}",
        "multiplication: {a} [and|by|,] {b}",
        "product: {a}, {b}",
        "{a} and {b}, multiplied",
        "{a} and {b}: [product|multiply them|multiply]",
        "[product|multiplication] of {a} and {b}",
        "{a} multiplied by {b}",
        "[if I|when I] multiply {a} by {b}, what [do I get|comes out|is it]",
        "I have {a} [boxes|bags|crates|packs] with {b} [apples|pens|eggs|bolts] [each|in each]. How many [are there|do I have] [in total|in all|altogether]",
        "{a} [people|students|guests] each [pay|bring|need] {b}. [What is the total|How much is that in total|How many is that altogether]",
        "{a} rows, {b} [seats|chairs|plants] in each row. How many [seats|chairs|plants] [are there|in all]",
        "one [ticket|book|shirt] costs {b}, [I buy|we need|I want] {a} of them. How much do [I|we] pay",
        "{a} [tickets|shirts|cakes] at {b} each, [how much in total|what do I pay|what is the bill|how much is that]",
        "I [earn|save|walk|drive] {b} [a day|every day|each day] for {a} days. How much is that [altogether|in all|in total]",
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
        "{a} and {b} [together|combined|added together|added up|summed|summed up|in total|altogether]",
        "[the result|the answer|the value] of {a} [plus|+] {b}",
        "the result of adding {a} [and|to] {b}",
        "{a} more than {b}",
        "[{a}|the number {a}] increased by {b}",
        "{a} with {b} added",
        "{a} and another {b}",
        "the sum of the [numbers|two numbers] {a} and {b}",
    ),
    verb=(
        "add {a} and {b}",
        "add {a} to {b}",
        "add up {a} and {b}",
        "add {a} and {b} [together|up]",
        "add together {a} and {b}",
        "sum {a} and {b}",
        "sum up {a} and {b}",
        "[find|take|get|compute|form] the sum of {a} and {b}",
        "[give|tell|show|get] me the [sum|total] of {a} and {b}",
        "do the addition {a} [plus|+] {b}",
        "add [these|these two|the] numbers: {a} and {b}",
        "take {a} and {b} and [add them|add them up|add them together]",
        "take {a} and add {b} [to it|]",
        "[increase|raise] {a} by {b}",
    ),
    question=(
        "how much {a} plus {b} is",
        "what {a} plus {b} [is|makes|comes to|equals|gives|amounts to|adds up to]",
        "what [you|we|I] get when [you|we|I] add {a} [and|to] {b}",
        "what [is|would be] the result [if|when] [you|we|I] add {a} [and|to] {b}",
        "what {a} and {b} [add up to|sum to|make together|come to|make|are together]",
        "what the sum of {a} and {b} [is|would be|comes to]",
        "what the total of {a} and {b} [is|would be|comes to]",
        "how much is {a} [plus|and|+|added to|increased by] {b}",
        "how much do {a} and {b} make [together|in total]",
        "how much {a} and {b} [are|make] [together|in total|altogether]",
        "what do [you|we] get if [you|we] add {a} and {b}",
        "what does adding {a} [and|to] {b} [give|make|yield]",
        "[which|what] number is {a} more than {b}",
    ),
    raw=(
        "{a} + {b}",
        "{a} + {b} = ?",
        "{a} plus {b}",
        "{a} + {b} =",
        "{a}+{b}=?",
        "{a} plus {b} [equals|is|makes] [what|how much]",
        "{a} and {b} [is|makes|make] [what|how much]",
        "add: {a}, {b}",
        "add {a} {b}",
        "addition: {a} [and|plus|,] {b}",
        "sum: {a}, {b}",
        "{a} and {b}, added",
        "{a} and {b}: [sum|add them|total|add up]",
        "{a}, {b}, [sum|total]",
        "[sum|total] of {a} and {b}",
        "[sum|total] {a} and {b}",
        "{a} and {b} [together|combined|added up|summed up|in total]",
        "[if I|when I] add {a} and {b}, what [do I get|comes out|is it]",
        "I [have|had|own] {a} [apples|coins|stamps|books] and [get|buy|find|receive] {b} more. How many do I have [now|in total|altogether]",
        "[I paid|we spent|she paid] {a} for [food|rent|the hotel] and {b} for [travel|fuel|the tickets]. How much [altogether|in total|in all]",
        "there were {a} [birds|cars|people], then {b} more [came|arrived|joined]. How many [are there now|now]",
        "{a} [boys|cats|cups] and {b} [girls|dogs|plates], how many [altogether|in all|in total]",
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
        "{b} deducted from {a}",
        "{b} taken [from|away from|off] {a}",
        "{a} less {b}",
        "{a} take away {b}",
        "[the result|the answer|the value] of {a} [minus|-] {b}",
        "the result of subtracting {b} from {a}",
        "the result of taking {b} [away|] from {a}",
        "{b} less than {a}",
        "{a} [decreased|reduced|lowered] by {b}",
        "the difference of the [numbers|two numbers] {a} and {b}",
    ),
    verb=(
        "subtract {b} from {a}",
        "take {b} [away from|from|off] {a}",
        "take away {b} from {a}",
        "deduct {b} from {a}",
        "[find|take|get|compute] the difference [between|of] {a} and {b}",
        "[give|tell|show|get] me the difference [between|of] {a} and {b}",
        "do the subtraction {a} [minus|-] {b}",
        "remove {b} from {a}",
        "[decrease|lower] {a} by {b}",
        "reduce {a} by {b}",
        "take {a} and subtract {b}",
        "find how much [more|larger|bigger|greater] {a} is than {b}",
    ),
    question=(
        "how much {a} minus {b} is",
        "what {a} minus {b} [is|makes|comes to|equals|gives|amounts to|leaves]",
        "what [you|we|I] get when [you|we|I] subtract {b} from {a}",
        "what [is|would be] the result [if|when] [you|we|I] subtract {b} from {a}",
        "what [is left|remains] [if|when] [you|we|I] take {b} [from|away from] {a}",
        "what the difference [between|of] {a} and {b} [is|would be|comes to]",
        "how [big|large] the difference [between|of] {a} and {b} is",
        "how much is {a} [minus|less|-|take away] {b}",
        "how much more {a} is than {b}",
        "how much more is {a} than {b}",
        "how much [larger|bigger|greater|higher] {a} is than {b}",
        "how much [larger|bigger|greater|higher] is {a} than {b}",
        "how much [smaller|less] {b} is than {a}",
        "what do [you|we] get if [you|we] subtract {b} from {a}",
        "what does subtracting {b} from {a} [give|make|yield|leave]",
        "[which|what] number is {b} less than {a}",
    ),
    raw=(
        "{a} - {b}",
        "{a} - {b} = ?",
        "{a} minus {b}",
        "{a} - {b} =",
        "{a}-{b}=?",
        "{a} minus {b} [equals|is|makes] [what|how much]",
        "{a} take away {b}",
        "{a} take away {b} [is|leaves] [what|how much]",
        "{a}, [subtract|take away|minus] {b}",
        "subtract: {b} from {a}",
        "subtraction: {a} [minus|less|-] {b}",
        "[difference] [between|of] {a} and {b}",
        "difference {a} and {b}",
        "difference: {a}, {b}",
        "{a} and {b}: [difference|what is the difference]",
        "[if I|when I] [subtract|take] {b} from {a}, what [do I get|is left]",
        "from {a} [take|subtract|take away] {b}",
        "I had {a} and [spent|used|lost] {b}, [what is left|how much is left]",
        "I [have|had|own] {a} [apples|coins|stamps|books] and [lose|sell|give away|eat|spend] {b}. How many [are left|do I have left|remain]",
        "there were {a} [birds|cars|people], then {b} [left|went away|drove off]. How many are [left|still there]",
        "the [price|temperature|level] was {a} and [fell|dropped|went down] by {b}. What is it now",
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
        "[the result|the answer|the value] of {a} [divided by|/|over|÷] {b}",
        "the result of dividing {a} by {b}",
        "the division of {a} by {b}",
        "the ratio of {a} to {b}",
        "the result [when|if] {a} is divided by {b}",
        "{a} [split|divided] into {b} [parts|equal parts]",
        "{a} [split|shared|divided] [equally|] [among|between] {b}",
        "{a} [split|divided] {b} ways",
    ),
    verb=(
        "divide {a} by {b}",
        "[split|divide] {a} into {b} equal [parts|shares]",
        "[split|cut] {a} into {b} [parts|equal parts]",
        "[split|divide] {a} {b} ways",
        "[find|take|get|compute] the quotient of {a} and {b}",
        "[give|tell|show|get] me the quotient of {a} and {b}",
        "[give|tell|show|get] me the ratio of {a} to {b}",
        "do the division {a} [/|by|divided by] {b}",
        "share {a} [equally|evenly] [among|between] {b} [people|friends|children]",
        "[share|split|distribute|divide] {a} [among|between] {b}",
        "take {a} and divide it by {b}",
        "divide the number {a} by [the number|] {b}",
    ),
    question=(
        "how much {a} divided by {b} is",
        "what {a} divided by {b} [is|makes|comes to|equals|gives|amounts to|works out to]",
        "what [you|we|I] get when [you|we|I] divide {a} by {b}",
        "what [is|would be] the result [if|when] [you|we|I] divide {a} by {b}",
        "how much [each person|each one] gets [if|when] {b} [people|friends] [share|split] {a}",
        "what the quotient of {a} and {b} [is|would be|comes to]",
        "what the ratio of {a} to {b} is",
        "how much is {a} [divided by|over|/|÷] {b}",
        "how much is {a} [split|shared|divided] [among|between] {b}",
        "what do [you|we] get if [you|we] divide {a} by {b}",
        "what does dividing {a} by {b} [give|make|yield]",
        "how many times {b} goes into {a}",
        "how often {b} [goes into|fits into] {a}",
        "how often does {b} [go into|fit into] {a}",
    ),
    raw=(
        "{a} / {b}",
        "{a} / {b} = ?",
        "{a} divided by {b}",
        "{a} ÷ {b} =",
        "{a}/{b}=?",
        "divide: {a} by {b}",
        "division: {a} [by|over|divided by] {b}",
        "[quotient] of {a} and {b}",
        "{a} divided by {b} [equals|is|makes] [what|how much]",
        "ratio of {a} to {b}",
        "{a}, divide [it|that|this|] by {b}",
        "{a} and {b}: [quotient|divide them]",
        "quotient: {a}, {b}",
        "{a} over {b} [equals|is|makes] [what|how much]",
        "{a} [split|shared|divided] [by|among|between] {b}",
        "{a} split {b} ways",
        "[if I|when I] divide {a} by {b}, what [do I get|comes out|is it]",
        "{a} [euros|dollars|sweets|apples] [are shared|shared] [equally|evenly] [among|by|between] {b} [friends|people|children]. How much does each get",
        "{b} [friends|people|children] share {a} [euros|dollars|sweets|apples]. How [much|many] [for each|does each get|per person]",
        "we are {b} and the bill is {a}. [How much does each pay|What does each of us pay|How much per person]",
        "{b} [tickets|books|shirts] cost {a} [together|in total|altogether]. How much [is one|does one cost|for a single one]",
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
        "[the result|the value|the answer] of {a} [mod|modulo|%] {b}",
        "the rest of {a} divided by {b}",
        "the rest [when|if|after] {a} is divided by {b}",
        "the remainder [of|from|in] the division of {a} by {b}",
        "the remainder {a} leaves when divided by {b}",
        "what is left over [when|if|after] {a} is divided by {b}",
    ),
    verb=(
        "[take|compute] {a} [mod|modulo] {b}",
        "[find|get|compute|take] the remainder of {a} divided by {b}",
        "[find|get|compute|take] the remainder [when|if] {a} is divided by {b}",
        "[find|get|take] the remainder of {a} [by|over|/] {b}",
        "[find|get|take] the remainder of the division of {a} by {b}",
        "divide {a} by {b} and [give|tell|show] me the remainder",
        "divide {a} by {b} and return [only|] the [remainder|rest]",
        "[give|tell|show|get] me the [remainder|rest] of {a} divided by {b}",
        "[give|tell|show] me {a} [mod|modulo] {b}",
        "do {a} [mod|modulo|%] {b}",
        "find out what is left over when {a} is divided by {b}",
    ),
    question=(
        "what [is left over|remains|the remainder is] [when|if] [you|we|I] divide {a} by {b}",
        "what [is left over|remains|the remainder is] [when|if|after] {a} is divided by {b}",
        "what {a} [mod|modulo|%] {b} [is|gives|equals]",
        "how much is {a} [mod|modulo|%] {b}",
        "how much {a} [mod|modulo] {b} is",
        "what remainder {a} leaves when divided by {b}",
        "what remainder [you|we|I] get [when|if] [you|we|I] divide {a} by {b}",
        "what remainder does {a} [leave|have] when divided by {b}",
        "what the remainder of {a} [divided by|/|over] {b} is",
        "what the rest of {a} divided by {b} [is|would be]",
        "what the remainder of the division of {a} by {b} is",
        "how much is left over [when|if] {a} is divided by {b}",
    ),
    raw=(
        "{a} mod {b}",
        "{a} % {b}",
        "{a} % {b} = ?",
        "{a} modulo {b} =",
        "remainder of {a} [divided by|/] {b}",
        "{a}%{b}",
        "{a} mod {b} = ?",
        "{a} mod {b} [is|equals] what",
        "mod({a}, {b})",
        "modulo: {a}, {b}",
        "remainder: {a} [divided by|by|/] {b}",
        "{a} divided by {b}, [remainder|the remainder|what is the remainder|only the remainder]",
        "rest of {a} [divided by|/] {b}",
        "remainder [when|after|if] [dividing|you divide] {a} by {b}",
        "remainder {a} / {b}",
        "{a} / {b}, [the remainder|remainder only|what is the remainder]",
        "{a} and {b}: [remainder|modulo]",
        "[if I|when I] divide {a} by {b}, what is [the remainder|left over]",
        "{a} [eggs|pens|bottles] are packed in boxes of {b}. How many are left over",
        "{b} [children|friends|people] share {a} [sweets|cookies|marbles] evenly. How many are left over",
        "{a} [people|students] in [teams|groups|rows] of {b}. How many are left over",
    ),
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
        "{a} raised to the {b}th power",
        "the {b}th power of {a}",
        "[the result|the value|the answer] of {a} [^|**|to the power of] {b}",
        "[the result|the value] of raising {a} to the power [of|] {b}",
        "{a} to the exponent {b}",
        "{a} to power {b}",
        "[the value of|the result of|] pow({a}, {b})",
    ),
    verb=(
        "raise {a} to the power [of|] {b}",
        "raise {a} to the {b}th [power]",
        "raise {a} to [the exponent|exponent] {b}",
        "raise the number {a} to the power [of|] {b}",
        "[compute|get|find] {a} to the power of {b}",
        "[compute|get|find|give me] the {b}th power of {a}",
        "take {a} to the power [of|] {b}",
        "take {a} to the {b}th power",
        "[do|evaluate] {a} [^|**|to the power of] {b}",
        "[give|tell|show] me {a} raised to [the power of|] {b}",
    ),
    question=(
        "how much {a} to the power of {b} is",
        "what {a} to the power [of|] {b} [is|makes|gives|equals|comes to]",
        "what {a} raised to {b} is",
        "what {a} raised to the power [of|] {b} [is|makes|gives|equals]",
        "what {a} to the {b}th power [is|makes]",
        "what the {b}th power of {a} is",
        "how [big|large] {a} to the power of {b} is",
        "how much is {a} [^|**|to the power of] {b}",
        "how much is {a} raised to [the power of|power|] {b}",
        "what [you|we] get when [you|we] raise {a} to the power of {b}",
        "what do [you|we|I] get [if|when] [you|we|I] raise {a} to [the power of|the power|power] {b}",
        "what does raising {a} to the power [of|] {b} [give|make|yield]",
    ),
    raw=(
        "{a} ** {b}",
        "{a} ^ {b}",
        "{a}^{b} = ?",
        "{a} to the power of {b}",
        "{a} to the {b}th",
        "{a}**{b}",
        "{a} ^ {b} =",
        "{a} ** {b} = ?",
        "{a} to the power {b}",
        "{a} to the power of {b} [is|equals|makes] [what|how much]",
        "{a} power {b}",
        "{a} raised to {b}",
        "{a} raised to the power [of|] {b}",
        "{a} to the power of {b} = ?",
        "pow({a}, {b})",
        "power: {a}, {b}",
        "base {a}, exponent {b}",
        "[if I|when I] raise {a} to the power of {b}, what [do I get|comes out|is it]",
        "{b}th power of {a}",
    ),
)

SIGNED = (TIMES, TIMES, PLUS, PLUS, MINUS, OVER, MODULO, POWER)


def operation(draw: Draw) -> Exercise:
    return apply(draw, draw.pick(SIGNED))


def apply(draw: Draw, kind: Operation) -> Exercise:
    left, right = operands(draw, kind)
    slots = {"a": shown(draw, left), "b": shown(draw, right)}
    if isinstance(left, int) and isinstance(right, int) and 0 <= left < 100 and 0 <= right < 100 and draw.chance(0.3):
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
    "the [result|value] of [the|this] [expression|calculation|formula] {e}",
    "[this|the|the following] [calculation|sum]: {e}",
    "the [final|exact|total] [result|value] of {e}",
    "the following: {e}",
    "[the solution of|the solution to|the solution:] {e}",
)
EXPRESSION_VERB = (
    "[calculate|compute|evaluate|work out|solve|do|figure out] {e}",
    "[calculate|compute|evaluate|work out|solve] [this|this one|the expression|the following|the following expression]: {e}",
    "[calculate|compute|evaluate|work out|solve] [the sum|this sum|this calculation] {e}",
    "find the value of {e}",
    "find [the result|the answer] [of|for] {e}",
    "do the [maths|math|sum]: {e}",
    "do [the|this] calculation: {e}",
    "do [this|the following|this one]: {e}",
    "[tell me|check|find out] what {e} [is|makes|comes to|gives]",
    "give [me|us] the [number|result|value|answer] for {e}",
)
EXPRESSION_QUESTION = (
    "how much {e} is",
    "what {e} [is|makes|equals|comes to|evaluates to|gives]",
    "what {e} [works out to|amounts to|would be]",
    "how much is {e}",
    "how much does {e} [make|give|come to|amount to]",
    "what the value of {e} is",
    "what the [result|answer|outcome|value] [of|to|for] {e} [is|would be]",
    "what [you|I|we] get [for|from] {e}",
)
EXPRESSION_RAW = (
    "{e}",
    "{e} = ?",
    "{e} =",
    "{e}=?",
    "[maths|math]: {e}",
    "{e} [equals|is] what",
    "{e} [equals|is|makes|gives|comes to] [what|how much]",
    "{e}, [the result|what is the result|how much is that]",
    "{e} = [what|how much]",
    "[result|answer|solve|evaluate|calculate|solution|calculator]: {e}",
    "[result|value|answer] of {e}",
    "{e}, [please|the result please|how much]",
)


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
    "+": (
        "add {n}",
        "add {n} to it",
        "plus {n}",
        "add {n} to [that|the result|what you get]",
        "add another {n}",
        "[increase|raise] [it|that|the result] by {n}",
    ),
    "-": (
        "subtract {n}",
        "take away {n}",
        "subtract {n} from it",
        "subtract {n} from [that|the result|what you get]",
        "take {n} [away|off]",
        "take {n} [away|] from [it|that|the result]",
        "minus {n}",
        "[reduce|decrease|lower] [it|that|the result] by {n}",
        "[deduct|remove] {n}",
    ),
    "*": (
        "multiply by {n}",
        "multiply it by {n}",
        "multiply the result by {n}",
        "multiply [that|what you get|everything] [by|with] {n}",
        "times {n}",
        "times [it|that|the result] by {n}",
    ),
    "/": (
        "divide by {n}",
        "divide it by {n}",
        "divide the result by {n}",
        "divide [that|what you get|everything] by {n}",
        "[split|cut] [it|that|the result] into {n} [parts|equal parts]",
        "divided by {n}",
    ),
}
FIRST = {
    "+": (
        "add {a} and {b}",
        "add {a} to {b}",
        "sum {a} and {b}",
        "add up {a} and {b}",
        "add {a} and {b} together",
        "[take|start with|begin with] {a}, add {b}",
        "[take|form|get] the sum of {a} and {b}",
        "[do|take|compute] {a} [plus|+] {b}",
        "[increase|raise] {a} by {b}",
    ),
    "-": (
        "subtract {b} from {a}",
        "take {b} from {a}",
        "take {b} away from {a}",
        "deduct {b} from {a}",
        "[take|start with|begin with] {a}, subtract {b}",
        "[take|form|get] the difference [of|between] {a} and {b}",
        "[do|take|compute] {a} [minus|-] {b}",
        "[reduce|decrease|lower] {a} by {b}",
    ),
    "*": (
        "multiply {a} by {b}",
        "multiply {a} and {b}",
        "multiply {a} with {b}",
        "multiply {a} and {b} together",
        "[take|start with|begin with] {a}, multiply by {b}",
        "[take|form|get] the product of {a} and {b}",
        "[do|take|compute] {a} [times|*|x] {b}",
        "take {a} and multiply it by {b}",
    ),
    "/": (
        "divide {a} by {b}",
        "[take|start with|begin with] {a}, divide by {b}",
        "[take|form|get] the quotient of {a} and {b}",
        "[do|take|compute] {a} [divided by|/|over] {b}",
        "split {a} into {b} [parts|equal parts]",
        "take {a} and divide it by {b}",
    ),
}
AND_THEN = "[, then| and then|, and then| and|, after that|, and after that|. Then|, next|; then]"
FIRST_NOUN = {
    "+": ("the sum of {a} and {b}", "the total of {a} and {b}", "{a} [plus|+|added to] {b}", "{a} and {b} together"),
    "-": (
        "the difference [of|between] {a} and {b}",
        "{a} [minus|-] {b}",
        "{b} [subtracted|taken away] from {a}",
        "{a} [reduced|decreased] by {b}",
    ),
    "*": ("the product of {a} and {b}", "{a} [times|*|x] {b}", "{a} multiplied [by|with] {b}", "{a} and {b} multiplied"),
    "/": ("the quotient of {a} and {b}", "{a} [divided by|/] {b}", "{a} over {b}"),
}
THEN_NOUN = {
    "+": (
        "[then|and then] plus {n}",
        "with {n} added [at the end|to the result|to that]",
        "[the result|that] [increased by|plus] {n}",
        "and {n} added to [that|the result|it]",
    ),
    "-": (
        "[then|and then] minus {n}",
        "with {n} subtracted [at the end|from the result|from that]",
        "[the result|that] [reduced by|decreased by|minus|less] {n}",
        "and {n} taken away from [that|the result|it]",
    ),
    "*": (
        "[then|and then] times {n}",
        "[the result|that|all of it] [times|multiplied by] {n}",
        "[all|all of that|everything] [times|multiplied by] {n}",
        "and [that|the result] multiplied by {n}",
    ),
    "/": (
        "[then|and then] divided by {n}",
        "[the result|that|all of it] [divided by|split by|over] {n}",
        "[all|all of that|everything] divided by {n}",
        "and [that|the result] divided by {n}",
    ),
}


def two_steps(draw: Draw) -> Exercise:
    """ "Add 3 and 4, then multiply by 5": one expression with brackets."""
    first, second = draw.pick("+-*/"), draw.pick("+-*/")
    a, b, n = whole(draw, 1, 4), whole(draw, 1, 3), whole(draw, 1, 2)
    nouns = tuple(f"{one}, {two}" for one in FIRST_NOUN[first] for two in THEN_NOUN[second])
    return Exercise(
        family="arithmetic",
        slots={"a": str(a), "b": str(b), "n": str(n)},
        code=f"print(({a} {first} {b}) {second} {n})",
        noun=nouns,
        verb=tuple(f"{one}{AND_THEN} {two}" for one in FIRST[first] for two in THEN[second]),
        raw=nouns,
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
            "of": f"print({number} * {percent} / 100)",
            "up": f"print({number} * (100 + {percent}) / 100)",
            "down": f"print({number} * (100 - {percent}) / 100)",
        }[kind],
    )


PERCENT_WORDINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "of": {
        "noun": (
            "{p} of {n}",
            "[the value of|exactly] {p} of {n}",
            "a {p} [tip|tax|commission] on {n}",
            "the {p} [tip|tax|commission|VAT] on [a bill of|] {n}",
            "[a|the] [tip|commission|tax] of {p} on {n}",
            "{p} [out of|from] {n}",
            "{p} [interest|tax|commission|VAT] on {n}",
            "the percentage: {p} of {n}",
        ),
        "verb": (
            "take {p} of {n}",
            "[compute|find|get] {p} of {n}",
            "[give|tell|show] me {p} of {n}",
            "[work out|find] a {p} [tip|commission|tax] on {n}",
            "[say|see|find out] how much {p} of {n} is",
        ),
        "question": (
            "how much {p} of {n} is",
            "what {p} of {n} [is|makes|comes to|amounts to|equals|would be]",
            "how much is {p} of {n}",
            "how much is {p} out of {n}",
            "how many {p} of {n} [are|is]",
            "how much [tip|commission|tax|interest|VAT] {p} on {n} [is|makes|comes to]",
            "how much [tip|commission|tax|interest|VAT] is {p} on {n}",
            "what a {p} [tip|tax|commission] on {n} [is|comes to|would be]",
            "what number is {p} of {n}",
            "which number is {p} of {n}",
            "what does {p} of {n} [make|come to|amount to]",
        ),
        "raw": (
            "{p} of {n}",
            "{p} of {n} = ?",
            "{p} of {n} is [what|how much]",
            "{p} of {n} [equals|makes|gives] [what|how much]",
            "[percentage|percent|percentages]: {p} of {n}",
            "{p} [tip|tax|commission|interest|VAT] on {n}",
            "{p} of {n} [people|voters|students|users] [said yes|agree|came|voted]. How many is that",
            "{n} [people|voters|students|items], {p} of them [agree|are new|are red]. How many [is that|are they]",
            "the bill is {n} and I [want to|] tip {p}. How much is the tip",
            "[my salary is|I earn|we made] {n} and {p} of it goes to [rent|tax|savings]. How much is that",
            "a [bank|savings account] pays {p} on {n}. How much interest is that",
        ),
    },
    "up": {
        "noun": (
            "{n} [plus|increased by] {p}",
            "{n} after an increase of {p}",
            "{n} raised by {p}",
            "{n} after [a rise|a raise|an increase] of {p}",
            "{n} after a {p} [rise|raise|increase]",
            "{n} with a {p} [rise|raise|increase]",
            "{n} with {p} [more|extra|added]",
            "{n} [up|gone up] by {p}",
            "{p} more than {n}",
            "{p} [on top of|added to] {n}",
            "[the new value|the result] [when|if|after] {n} [rises|grows|goes up|increases|is increased] by {p}",
            "a {p} increase [of|on|to] {n}",
            "[the price|the total|the bill] of {n} plus {p} [tax|VAT|tip|service]",
        ),
        "verb": (
            "increase {n} by {p}",
            "add {p} to {n}",
            "raise {n} by {p}",
            "put {p} on top of {n}",
            "make {n} {p} [larger|bigger|higher]",
            "[add|put] {p} [tax|VAT|tip] [to|on top of|on] {n}",
            "apply a {p} [increase|rise|raise] to {n}",
            "apply an increase of {p} to {n}",
            "take {n} and [add|increase it by|raise it by] {p}",
        ),
        "question": (
            "what {n} [becomes|is] after [a rise|an increase] of {p}",
            "what {n} increased by {p} is",
            "what {n} [becomes|is|will be] after a {p} [rise|raise|increase]",
            "what {n} plus {p} [is|makes|comes to]",
            "how much {n} plus {p} is",
            "how much is {n} [plus|increased by|raised by] {p}",
            "what [is|will be] {n} [when|if|once] it [grows|rises|goes up|increases] by {p}",
            "what {n} becomes [when|if] [you|we|I] [add|raise it by|increase it by] {p}",
            "what do [you|we|I] get [if|when] {n} [grows|rises|goes up|increases|is raised] by {p}",
            "what do [you|we|I] get [if|when] [you|we|I] [increase|raise] {n} by {p}",
            "which number is {p} [more|higher|larger] than {n}",
            "what the total is for {n} plus {p} [tax|VAT|tip]",
        ),
        "raw": (
            "{n} + {p}",
            "{n} plus {p}",
            "{n} + {p} = ?",
            "{n} plus {p} [is|makes] [what|how much]",
            "{n} [increased|raised|up] by {p}",
            "{n}, [up by|increased by|raised by] {p}",
            "{p} [more|higher] than {n}",
            "{p} on top of {n}",
            "a price of {n} [rises|goes up] by {p}. What is the new price",
            "[my rent|the price|my salary|the fee] [was|is] {n} and [rose|goes up|went up|increases|grew] by {p}. [What is it now|What is the new value|How much is it now]",
            "I earn {n} and get a {p} raise. [What do I earn now|What is my new salary]",
            "the bill is {n}, plus a {p} tip. How much do [I|we] pay in [total|all]",
            "{n} [before|without] tax, {p} tax [is added|comes on top]. [What is the total|How much in total]",
        ),
    },
    "down": {
        "noun": (
            "{n} [minus|reduced by|decreased by|less] {p}",
            "{n} after a [discount|decrease|reduction] of {p}",
            "{n} with {p} off",
            "{n} after a {p} [discount|decrease|reduction|drop]",
            "{n} with a {p} [discount|reduction]",
            "{n} with a [discount|reduction|decrease] of {p}",
            "{n} [lowered|down|cut|discounted] by {p}",
            "{p} off {n}",
            "{p} off [a price|the price|a bill] of {n}",
            "{p} less than {n}",
            "[the new value|the result] [when|if|after] {n} [falls|drops|shrinks|goes down|decreases|is decreased] by {p}",
            "a {p} [decrease|reduction|discount] [of|on] {n}",
            "the price of {n} [with|after] {p} off",
        ),
        "verb": (
            "decrease {n} by {p}",
            "take {p} off {n}",
            "reduce {n} by {p}",
            "apply a {p} discount to {n}",
            "apply a {p} [decrease|reduction] to {n}",
            "apply a [decrease|reduction|discount] of {p} to {n}",
            "[lower|cut|discount] {n} by {p}",
            "[subtract|deduct] {p} from {n}",
            "take {p} away from {n}",
            "take {p} off [a price|the price|a bill] of {n}",
            "make {n} {p} [smaller|lower|cheaper]",
            "take {n} and [take off|decrease it by|reduce it by|subtract] {p}",
        ),
        "question": (
            "what {n} [becomes|is] after [a discount|a decrease] of {p}",
            "what {n} reduced by {p} is",
            "how much {n} is with {p} off",
            "what {n} [becomes|is|will be] after a {p} [discount|decrease|reduction|drop]",
            "what {n} [decreased|lowered] by {p} is",
            "what {n} minus {p} [is|makes|comes to]",
            "how much {n} minus {p} is",
            "how much is {n} [minus|less|decreased by|reduced by] {p}",
            "what [is|will be] {n} [when|if|once] it [drops|falls|shrinks|goes down|decreases] by {p}",
            "what {n} becomes [when|if] [you|we|I] [take off|decrease it by|reduce it by] {p}",
            "what do [you|we|I] get [if|when] {n} [drops|falls|shrinks|decreases|is decreased] by {p}",
            "what do [you|we|I] get [if|when] [you|we|I] [decrease|reduce|lower] {n} by {p}",
            "which number is {p} [less|lower|smaller] than {n}",
            "how much [I|we|you] pay for [something|a thing|a coat] [at|that costs] {n} with {p} off",
        ),
        "raw": (
            "{n} - {p}",
            "{n} minus {p}",
            "{n} - {p} = ?",
            "{n} minus {p} [is|makes] [what|how much]",
            "{n} less {p}",
            "{n} [decreased|reduced|lowered|down] by {p}",
            "{n}, [down by|decreased by|reduced by] {p}",
            "{p} [less|lower] than {n}",
            "{p} off {n}",
            "{n}, {p} off",
            "a price of {n} [falls|drops] by {p}. What is the new price",
            "[my rent|the price|the share|the fee] [was|is] {n} and [fell|goes down|went down|decreases|shrank|dropped] by {p}. [What is it now|What is the new value|How much is it now]",
            "a [coat|phone|ticket|bike] costs {n} and is {p} off. [What do I pay|How much is it now|What is the sale price]",
            "I get a {p} discount on {n}. [What do I pay|How much do I pay|What is left to pay]",
            "{n} [euros|dollars] and {p} is [deducted|taken off]. How much is left",
        ),
    },
}


# before the number, what is done to it, verbs, after the number, whole messages
PARTS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "[half of|one half of|50 percent of|the half of|half|1/2 of]",
        "/ 2",
        ("halve {n}", "[cut|split|divide|break] {n} in half", "[cut|split|divide] {n} [into|in] two [halves|equal parts]"),
        ("{n} halved", "{n} [cut|split|divided] in half", "half as much as {n}", "{n} split in two"),
        (
            "I [eat|spend|give away|lose] half of {n}. How much is that",
            "{n}, [half of it|halved|half of that]",
            "two people share {n}. How much does each get",
        ),
    ),
    (
        "[a third of|one third of|1/3 of]",
        "/ 3",
        ("[split|cut|divide] {n} [in three|into three equal parts|three ways]",),
        ("{n} [split|divided|cut] [in|into] three", "{n} split three ways"),
        (
            "three people share {n}. How much does each get",
            "{n}, [a third of it|one third of that]",
        ),
    ),
    (
        "[a quarter of|one quarter of|a fourth of|1/4 of|one fourth of|25 percent of]",
        "/ 4",
        ("[split|cut|divide] {n} [in four|into four equal parts|four ways]",),
        ("{n} [split|divided|cut] [in|into] four", "{n} split four ways"),
        (
            "four people share {n}. How much does each get",
            "{n}, [a quarter of it|one quarter of that]",
        ),
    ),
    (
        "[a fifth of|one fifth of|1/5 of]",
        "/ 5",
        ("split {n} five ways", "[split|cut|divide] {n} [in five|into five equal parts]"),
        ("{n} [split|divided|cut] [in|into] five", "{n} split five ways"),
        (
            "five people share {n}. How much does each get",
            "{n}, [a fifth of it|one fifth of that]",
        ),
    ),
    (
        "[a tenth of|one tenth of|1/10 of]",
        "/ 10",
        ("divide {n} by ten", "[split|cut|divide] {n} [in ten|into ten equal parts]"),
        ("{n} [split|divided|cut] [in|into] ten", "{n} divided by ten"),
        (
            "ten people share {n}. How much does each get",
            "{n}, [a tenth of it|one tenth of that]",
        ),
    ),
    (
        "[twice|double|two times|the double of|2 times]",
        "* 2",
        ("double {n}", "double the [number|value|amount] {n}", "make {n} twice as [big|large|much]", "take {n} twice"),
        ("{n} doubled", "twice as [much|many] as {n}", "double the [number|amount|value] {n}", "{n} taken twice"),
        (
            "{n}, [doubled|double it|twice that]",
            "I have {n} and [my sister|my friend|Ben] has twice as [many|much]. How [many|much] is that",
        ),
    ),
    (
        "[three times|triple|3 times]",
        "* 3",
        (
            "triple {n}",
            "triple the [number|value|amount] {n}",
            "make {n} three times as [big|large|much]",
            "take {n} three times",
        ),
        ("{n} tripled", "three times as [much|many] as {n}", "triple the [number|amount|value] {n}", "{n} taken three times"),
        (
            "{n}, [tripled|triple it|three times that]",
            "I have {n} and [my sister|my friend|Ben] has three times as [many|much]. How [many|much] is that",
        ),
    ),
    (
        "[four times|quadruple|4 times]",
        "* 4",
        ("quadruple {n}", "quadruple the [number|value] {n}", "make {n} four times as [big|large|much]"),
        ("{n} quadrupled", "four times as [much|many] as {n}", "quadruple the [number|amount] {n}", "{n} taken four times"),
        (
            "{n}, [quadrupled|quadruple it|four times that]",
            "I have {n} and [my sister|my friend|Ben] has four times as [many|much]. How [many|much] is that",
        ),
    ),
    (
        "[ten times|10 times]",
        "* 10",
        ("multiply {n} by ten", "make {n} ten times as [big|large|much]", "take {n} ten times"),
        ("{n} multiplied by ten", "ten times as [much|many] as {n}", "{n} taken ten times"),
        (
            "{n}, [ten times that|times ten]",
            "I have {n} and [my sister|my friend|Ben] has ten times as [many|much]. How [many|much] is that",
        ),
    ),
    (
        "[a dozen times|twelve times|12 times]",
        "* 12",
        ("multiply {n} by twelve", "multiply {n} by a dozen", "take {n} [twelve|a dozen] times"),
        ("{n} multiplied by [twelve|a dozen]", "twelve times as [much|many] as {n}", "{n} taken [twelve|a dozen] times"),
        (
            "{n}, [twelve times that|times twelve|a dozen times that]",
            "{n} [a month|every month|per month], how much is that [for twelve months|in twelve months]",
            "a dozen [tickets|books|boxes] at {n} each, how much is that",
        ),
    ),
)


def part(draw: Draw) -> Exercise:
    """Halves, thirds, doubles."""
    words, sign, verbs, nouns, raws = draw.pick(PARTS)
    number: int | str = decimal(draw) if draw.chance(0.15) else whole(draw, 1, 5)
    return Exercise(
        family="arithmetic",
        slots={"n": shown(draw, number)},
        code=f"print({number} {sign})",
        number=True,
        noun=(
            f"{words} {{n}}",
            f"[the value of|exactly] {words} {{n}}",
            f"{words} the [number|value|amount] {{n}}",
            *nouns,
        ),
        verb=(*verbs, f"[take|compute|find] {words} {{n}}", f"[give|tell|show] me {words} {{n}}"),
        question=(
            f"how much {words} {{n}} is",
            f"what {words} {{n}} [is|makes|comes to|equals|would be|amounts to]",
            f"how much is {words} {{n}}",
            f"how [much|many] {words} {{n}} [makes|comes to]",
            f"which number is {words} {{n}}",
            f"what do [you|I|we] get [if|when] [you|I|we] take {words} {{n}}",
            f"what does {words} {{n}} [make|come to|amount to]",
            *(f"what {noun} is" for noun in nouns),
        ),
        raw=(
            f"{words} {{n}}",
            f"{words} {{n}} is [what|how much]",
            f"{words} {{n}} [makes|equals] [what|how much]",
            f"{words} {{n}} = ?",
            *nouns,
            *raws,
        ),
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = (
    (11, operation),
    (2.5, expression),
    (1.2, two_steps),
    (1.6, share),
    (1.2, part),
)
