"""What needs more than one question: follow-ups on a result, two calls at once, failures."""

import re

from ..draw import Draw
from ..exercise import Call, Exercise, Round, Turn, answer_to
from ..notebook import run
from ..values import whole, word
from ..wording import compose

GROUPED = re.compile(r"\d{1,3}(,\d{3})+")
THAT = (
    "[that|it|this|that|it|this|the result|that number|the last result|the answer|this number|that result|the last one|"
    "your result|your answer|what we got|what you got|the last number|the previous result|the last answer|this result|"
    "the number above|the result above|that last number|this value|that value]"
)
AND = "[and|now|then|and then|and now|next|ok, now|after that|so now|]"
IF = "[what if|and if|what do I get if|what happens if|what is it if|suppose] [I|you|we]"
WHAT = "[what is|what's|how much is|and what is|now what is|and how much is|what would be]"
ABOUT = "[what about|how about|and what about|next up:|now I want|let me see|make that|and]"


def code_call(code: str) -> Call:
    return Call(name="code_interpreter", arguments={"code": code})


def solved(draw: Draw, exercise: Exercise, family: str | None = None) -> Turn:
    code = written_alike(exercise)
    out = exercise.imagined(draw) if exercise.imagined else run(code)
    answer = answer_to(out) if "Traceback" not in out else failed(out)
    return Turn(
        family=family or exercise.family,
        user=compose(draw, exercise),
        rounds=(Round(calls=(code_call(code),), results=(out,)),),
        answer=answer,
        expected=() if exercise.imagined else (answer,) if out in ("True", "False") else (out.splitlines()[-1],),
        last_number=out if exercise.number and numeric(out) else None,
    )


def written_alike(exercise: Exercise) -> str:
    """The code, with 1_234 where the question says 1,234: what is written is copied, never rearranged."""
    code = exercise.code
    for value in exercise.slots.values():
        if GROUPED.fullmatch(value):
            code = re.sub(rf"\b{value.replace(',', '')}\b", value.replace(",", "_"), code)
    return code


def failed(result: str) -> str:
    return f"That failed: {result.splitlines()[-1]}"


def numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return len(text) <= 20 and "e" not in text


def further(draw: Draw, number: str) -> Turn:
    """A step on from the last result."""
    exercise = step(draw, number)
    return solved(draw, exercise, family="follow-up")


def step(draw: Draw, x: str) -> Exercise:
    n = str(whole(draw, 1, 3))
    slots = {"n": n}
    plain = not x.startswith("-")
    options = [
        (
            f"{x} * {n}",
            (
                "[multiply|now multiply|then multiply] " + THAT + " by {n}",
                "multiply " + THAT + " with {n}",
                "times {n}",
                "times " + THAT + " by {n}",
                "[take|do|get] " + THAT + " times {n}",
                "[take|get] {n} times " + THAT,
                "[now|then|next|] multiply by {n}",
                "[now|then|next|] [go|do] times {n}",
                "make " + THAT + " {n} times as [big|large|much]",
                "[find|get|form] the product of " + THAT + " and {n}",
                "multiply [everything|the whole thing|all of that|all that] by {n}",
                "use " + THAT + " and multiply [|it] by {n}",
            ),
            (
                THAT + " [times|multiplied by] {n}",
                THAT + " multiplied with {n}",
                THAT + " [x|*] {n}",
                "{n} times " + THAT,
                "{n} times as [much|many]",
                "the product of " + THAT + " and {n}",
                "the product [with|by] {n}",
                "[the whole thing|all of that|everything] times {n}",
                "{n} lots of " + THAT,
                "{n} of [those|these|them] [together|in total|altogether|]",
            ),
            (
                "[and|now|then|and then|and now|] [times|multiplied by|multiply by] {n}",
                AND + " [times|multiplied by|multiply by|multiply it by|multiply that by|times it by|multiplied with] {n}",
                AND + " [it|that|this] times {n}",
                AND + " {n} times [that|it|this|as much|as many]",
                "* {n}",
                "x {n}",
                "*{n}",
                "x{n}",
                "times {n}[, please|]",
                "times {n} [now|then|too|as well|= ?|is|gives|makes what]",
                "multiplied by {n}",
                ABOUT + " [times|multiplied by] {n}",
                ABOUT + " {n} times [that|it|as much|as many]",
                WHAT + " " + THAT + " [times|multiplied by|x] {n}",
                WHAT + " {n} times " + THAT,
                IF + " multiply [that|it|this|the result] by {n}",
                IF + " take [that|it|this] {n} times",
                "I [need|want|have|buy] {n} of [those|these|them]. How [many|much] is that",
                "the same [for|but for] {n} of them, so times {n}",
                "{n}x [that|it|this]",
                "product with {n}",
            ),
        ),
        (
            f"{x} + {n}",
            (
                "add {n} to " + THAT,
                "[now|then|] add {n}",
                "plus {n}",
                "[now|then|next|] [add|put] {n} [more|on top]",
                "add {n} [more|on top|to the total]",
                "add [another|a further|an extra] {n} [to that|to it|]",
                "[increase|raise|bump up] " + THAT + " by {n}",
                "put {n} on top of " + THAT,
                "make " + THAT + " {n} [more|larger|bigger|higher]",
                "[find|get|form] the sum of " + THAT + " and {n}",
                "[take|use] " + THAT + " and add {n}",
                "go up by {n}",
                "count {n} [further|up|on] from " + THAT,
                "let " + THAT + " grow by {n}",
            ),
            (
                THAT + " plus {n}",
                THAT + " + {n}",
                THAT + " and {n} [more|together|in total|on top]",
                THAT + " [increased|raised] by {n}",
                THAT + " with {n} [more|added|on top|extra]",
                "{n} more than " + THAT,
                "the sum of " + THAT + " and {n}",
                "the [sum|total] with {n}",
                "the [sum|total|result] [with|including] [another|an extra] {n}",
                "{n} added to " + THAT,
            ),
            (
                "[and|now|then|and then|and now|] [plus|add] {n}",
                AND + " [plus|add|add on|adding|plus another|add another] {n}",
                AND + " {n} [more|extra|on top|added|more than that|more on top|added to it|added to that]",
                AND + " [that|it|this] plus {n}",
                AND + " [increase|raise] it by {n}",
                AND + " with {n} [more|added|on top|extra]",
                "+ {n}",
                "+{n}",
                "{n} more",
                "plus {n}",
                "plus {n} [now|then|too|as well|please|= ?|is|gives|makes what]",
                "another {n} [on top|added|to add|on top of that]",
                ABOUT + " plus {n}",
                ABOUT + " {n} more",
                "[what about|how about] {n} more than [that|it|this]",
                WHAT + " " + THAT + " plus {n}",
                WHAT + " {n} more than " + THAT,
                IF + " add {n} [to it|to that|more|]",
                "[I get|we get|they bring|there come] {n} more. How [many|much] [now|is it now]",
                "make it {n} [more|higher|bigger|larger]",
                "increased by {n}",
                "sum with {n}",
            ),
        ),
        (
            f"{x} - {n}",
            (
                "subtract {n} from " + THAT,
                "[now|then|] [subtract|take away] {n}",
                "take {n} away from " + THAT,
                "take {n} [off|from] " + THAT,
                "[now|then|next|] [deduct|remove|take off] {n}",
                "[deduct|remove] {n} from " + THAT,
                "[decrease|reduce|lower|diminish] " + THAT + " by {n}",
                "make " + THAT + " {n} [less|smaller|lower]",
                "knock {n} off [that|it|the result]",
                "[find|get|form] the difference [of|between] " + THAT + " and {n}",
                "[take|use] " + THAT + " and subtract {n}",
                "go down by {n}",
                "count {n} [back|down] from " + THAT,
                "let " + THAT + " [drop|shrink|fall] by {n}",
                "minus {n}",
            ),
            (
                THAT + " minus {n}",
                THAT + " - {n}",
                THAT + " less {n}",
                THAT + " [decreased|reduced|lowered] by {n}",
                THAT + " with {n} [less|taken away|subtracted|removed]",
                THAT + " without {n}",
                "{n} [less|fewer|lower] than " + THAT,
                "the difference [of|between] " + THAT + " and {n}",
                "{n} [subtracted|taken away|deducted] from " + THAT,
                "the [amount|number] left [without|after taking away|after subtracting] {n}",
            ),
            (
                "[and|now|then|and then|and now|] [minus|less|subtract] {n}",
                AND + " [minus|less|subtract|take away|deduct|take off|remove|subtracting|without] {n}",
                AND + " {n} [less|fewer|off|lower|less than that|fewer than that|taken away|subtracted|removed]",
                AND + " [that|it|this] minus {n}",
                AND + " [decrease|reduce|lower] it by {n}",
                AND + " with {n} [less|fewer|taken away|off]",
                "- {n}",
                "-{n}",
                "{n} less",
                "{n} fewer",
                "minus {n}",
                "minus {n} [now|then|too|as well|please|= ?|is|leaves|makes what]",
                ABOUT + " minus {n}",
                ABOUT + " {n} [less|fewer]",
                "[what about|how about] {n} less than [that|it|this]",
                WHAT + " " + THAT + " [minus|less] {n}",
                WHAT + " {n} less than " + THAT,
                IF + " [subtract|take away|deduct|remove] {n}",
                "[I lose|we sell|they take|I give away] {n} of [them|those]. How many are left",
                "[I spend|we use|they take] {n} of it. How much is left",
                "make it {n} [less|lower|smaller]",
                "[decreased|reduced|lowered] by {n}",
                "what [is left|remains] without {n}",
            ),
        ),
        (
            f"{x} / {n}",
            (
                "divide " + THAT + " by {n}",
                "[now|then|] divide by {n}",
                "split " + THAT + " into {n} parts",
                "[split|cut|divide] " + THAT + " [in|into] {n} [equal parts|shares|pieces]",
                "[split|share|divide] " + THAT + " [among|between] {n} [people|friends|]",
                "[split|share|divide] " + THAT + " {n} ways",
                "[find|get|form] the quotient of " + THAT + " and {n}",
                "[take|use] " + THAT + " and divide [|it] by {n}",
                "divide [everything|the whole thing|all of that|all that] by {n}",
                "[take|do|get] " + THAT + " over {n}",
                "see how often {n} [fits into|goes into] " + THAT,
            ),
            (
                THAT + " divided by {n}",
                THAT + " / {n}",
                THAT + " over {n}",
                THAT + " [split|divided|cut|shared] [into|in] {n} [parts|equal parts]",
                THAT + " split {n} ways",
                THAT + " shared [among|between] {n} [people|friends]",
                "the quotient of " + THAT + " and {n}",
                "the quotient with {n}",
                "[the whole thing|all of that|everything] divided by {n}",
                "the ratio of " + THAT + " to {n}",
                "a share of " + THAT + " for each of {n} [people|friends]",
            ),
            (
                "[and|now|then|and then|and now|] [divided by|divide by|over] {n}",
                AND + " [divided by|divide by|divide it by|divide that by|over|split by|split in|split into|shared by] {n}",
                AND + " [that|it|this] divided by {n}",
                AND + " [split|divide|share|cut] it [in|into] {n} [parts|equal parts|shares]",
                AND + " [share|split] it [among|between] {n}",
                AND + " split {n} ways",
                "/ {n}",
                "/{n}",
                "÷ {n}",
                "divided by {n}",
                "divided by {n} [now|then|too|as well|please|= ?|is|gives|makes what]",
                "in {n} [parts|equal parts|shares]",
                ABOUT + " divided by {n}",
                WHAT + " " + THAT + " [divided by|over] {n}",
                IF + " divide [that|it|this|the result] by {n}",
                IF + " [share|split] [that|it|this] [among|between|into] {n}",
                "{n} [people|friends|children] share it. How much does each get",
                "how much is that [per person|each|per head] for {n} people",
                "how often does {n} [go|fit] into [that|it]",
                "each of {n} gets how much of [that|it]",
                "quotient with {n}",
            ),
        ),
        (
            f"{x} * 2",
            (
                "double " + THAT,
                "[now|then|next] double [it|that|this]",
                "multiply " + THAT + " by two",
                "take " + THAT + " [twice|two times]",
                "make " + THAT + " twice as [big|large|much]",
                "make [twice|double] that",
                "double [the number|the amount|the value|everything|all of that]",
                "[take|get|find] [twice|the double of] " + THAT,
            ),
            (
                "the double of " + THAT,
                "twice " + THAT,
                "double " + THAT,
                THAT + " doubled",
                "two times " + THAT,
                THAT + " times two",
                "twice as [much|many]",
                "double the [amount|number|value]",
                "its double",
            ),
            (
                "[and|now|then|] [doubled|twice that|double]",
                AND + " [double it|double that|double this|doubled|twice it|twice as much|twice as many|the double|times two]",
                AND + " [two times that|two times it|the double of it|the double of that|twice this|its double|two of those]",
                ABOUT + " [twice that|double that|the double|twice as much|twice as many|twice the amount]",
                WHAT + " [twice that|twice this|double that|the double|two times that|its double]",
                IF + " double [it|that|this]",
                "double",
                "twice",
                "double it",
                "double that, please",
                "[doubled|doubling it|twice over]",
                "twice as [many|much] [please|is what|would be|now]",
                "I [need|want] twice [that|as much|as many]. How [much|many] is it",
            ),
        ),
        (
            f"{x} / 2",
            (
                "halve " + THAT,
                "[now|then|next] halve [it|that|this]",
                "divide " + THAT + " by two",
                "[cut|split|divide|break] " + THAT + " in half",
                "[cut|split|divide] " + THAT + " [in|into] two [parts|halves|]",
                "[take|get|find] [half of|the half of|one half of] " + THAT,
                "make " + THAT + " half as [big|large|much]",
                "halve [the number|the amount|the value|everything|all of that]",
            ),
            (
                "half of " + THAT,
                "the half of " + THAT,
                "one half of " + THAT,
                THAT + " halved",
                THAT + " [cut|split|divided] in half",
                THAT + " divided by two",
                "half as [much|many]",
                "half the [amount|number|value]",
                "its half",
            ),
            (
                "[and|now|then|] [halved|half of that|half]",
                AND + " [half of it|half of this|halve it|halve that|half that|the half|half as much|half as many|its half]",
                AND + " [in half|cut in half|the half of it|the half of that|one half of it|only half of it|divided by two]",
                ABOUT + " [half of it|half of that|half that|the half|half as much|half as many|only half|half the amount]",
                WHAT + " [half of it|half of that|half that|the half|one half of that|half of this|its half]",
                IF + " [halve it|halve that|cut it in half|take half of it|split it in half]",
                "half",
                "half of it",
                "halve it",
                "half of that, please",
                "[halved|halving it|split in half|cut in half]",
                "I [eat|lose|keep|give away] half of [it|them|that]. How [much|many] is that",
                "only half [of that|of it|as much|as many]",
                "two people share it. How much does each get",
            ),
        ),
    ]
    if plain:
        options += [
            (
                f"{x} ** 2",
                (
                    "square " + THAT,
                    "[now|then|next] square [it|that|this]",
                    "multiply " + THAT + " by itself",
                    "take the square of " + THAT,
                    "raise " + THAT + " to the [power of two|power of 2|second power|power 2]",
                    "take " + THAT + " squared",
                    "take " + THAT + " times itself",
                    "[find|get] its square",
                ),
                (
                    "the square of " + THAT,
                    THAT + " squared",
                    THAT + " times itself",
                    THAT + " multiplied by itself",
                    THAT + " to the [power of two|power of 2|second power]",
                    "its square",
                    "the second power of " + THAT,
                    THAT + " [^|**] 2",
                ),
                (
                    "[and|now|then|] squared",
                    AND + " [square it|square that|square this|the square|its square|the square of it|the square of that]",
                    AND + " [times itself|multiplied by itself|to the power of two|to the power of 2|to the second power]",
                    ABOUT + " [its square|the square|that squared|it squared|the square of that|the square of it]",
                    WHAT + " [its square|that squared|it squared|this squared|the square of that|the square of it|the square]",
                    IF + " [square it|square that|multiply it by itself|square the result]",
                    "squared",
                    "square it",
                    "squared, please",
                    "[that|it] squared",
                    "^2",
                    "** 2",
                    "its square [now|please|is what|= ?]",
                ),
            ),
            (
                f"import math; print(math.sqrt({x}))",
                (
                    "take the [square|] root of " + THAT,
                    "[find|get|extract|draw] the [square|] root of " + THAT,
                    "[find|get|take|extract] its [square|] root",
                    "[now|then|next] take the [square|] root",
                    "take the sqrt of " + THAT,
                    "[see|find out] which number squared gives " + THAT,
                    "use the square root function on " + THAT,
                ),
                (
                    "the square root of " + THAT,
                    "the root of " + THAT,
                    "the sqrt of " + THAT,
                    "its [square|] root",
                    "the square root",
                    "[the value|the result] of the square root of " + THAT,
                    "the number whose square is " + THAT,
                ),
                (
                    "[and|now|then|] the square root",
                    AND + " [its square root|the root|the root of it|the root of that|its root|sqrt|sqrt of that]",
                    AND + " the [square root|sqrt|root] of [that|it|this|the result]",
                    AND + " take [the root|the square root|its square root|its root]",
                    ABOUT + " [its square root|the square root|the root of that|the square root of it|its root|the root]",
                    WHAT + " [its square root|the root of it|the square root of that|the square root of this|its root]",
                    IF + " take [the root|the square root|its square root|the square root of that]",
                    "square root",
                    "square root of " + THAT,
                    "root of [that|it|this]",
                    "sqrt",
                    "sqrt of [that|it|this]",
                    "√ of that",
                    "square root, please",
                    "which number squared [gives|is|makes] [that|it|this]",
                ),
            ),
            (
                f"{x} * {n} / 100",
                (
                    "take {n}% of " + THAT,
                    "[find|get|compute|work out] {n}% of " + THAT,
                    "[take|find|get|compute] {n} [percent|per cent] of " + THAT,
                    "[now|then|next] take {n} [percent|per cent] of [it|that|this]",
                    "[say|see] how much {n}% of " + THAT + " is",
                    "take a {n}% share of " + THAT,
                    "[give|tell|show] me {n}[%| percent| per cent] of " + THAT,
                ),
                (
                    "{n}% of " + THAT,
                    "{n} percent of " + THAT,
                    "{n} % of " + THAT,
                    "{n} per cent of " + THAT,
                    "a {n}% [share|part|portion|cut] of " + THAT,
                    "a [share|part|portion] of {n} [percent|per cent] of " + THAT,
                    "a {n}% [tip|commission|tax|deposit] on " + THAT,
                ),
                (
                    "[and|now|] {n}% of that",
                    AND + " {n}[%| %| percent| per cent] of [it|that|this|the result|that number]",
                    AND + " take {n}[%| %| percent| per cent] of [it|that|this]",
                    ABOUT + " {n}[%| %| percent| per cent] of [it|that|this]",
                    WHAT + " {n}[%| %| percent| per cent] of " + THAT,
                    IF + " take {n}[%| %| percent| per cent] of [it|that|this]",
                    "{n}% of it",
                    "{n} percent of it",
                    "{n} percent of that, please",
                    "only {n}[%| percent] of [it|that|this|them]",
                    "of [that|it|this], {n}[%| %| percent]",
                    "I [get|pay|keep|spend] {n}[%| percent] of [it|that]. How much is that",
                    "how much [are|is] {n}[%| percent| per cent] of [it|that|this]",
                ),
            ),
        ]
    if "." in x:
        options += [
            (
                f"round({x}, 2)",
                (
                    "round " + THAT + " to 2 decimals",
                    "round " + THAT + " to two decimals",
                    "round " + THAT + " to [2|two] [decimal places|places|digits after the point]",
                    "round " + THAT + " to the nearest [hundredth|cent]",
                    "round [off|it|] to [2|two] [decimals|decimal places]",
                    "[give|show|write] " + THAT + " [with|to] [2|two] [decimals|decimal places]",
                    "keep [only|just] [2|two] [decimals|decimal places]",
                ),
                (
                    THAT + " rounded to 2 decimals",
                    THAT + " rounded to [two decimals|two decimal places|2 decimal places|two places]",
                    THAT + " rounded to the nearest [hundredth|cent]",
                    THAT + " [with|to] [2|two] [decimals|decimal places]",
                    "the same with [2|two] [decimals|decimal places]",
                    "the [number|value|result] [to|with|rounded to] [2|two] [decimals|decimal places]",
                ),
                (
                    "[and|now|] rounded to two decimals",
                    AND + " [rounded|round it|round that|round|rounding] to [2|two] [decimals|decimal places|places]",
                    AND + " [with|to] [2|two] [decimals|decimal places|digits after the point]",
                    AND + " [rounded|round it|round] to the nearest [hundredth|cent]",
                    ABOUT + " [with|to|rounded to] [2|two] [decimals|decimal places]",
                    WHAT + " [that|it|this] [to|with|rounded to] [2|two] [decimals|decimal places]",
                    IF + " round [it|that|this] to [2|two] [decimals|decimal places]",
                    "[2|two] [decimals|decimal places], please",
                    "[2|two] [decimals|decimal places] [only|will do|are enough]",
                    "to the nearest [hundredth|cent]",
                    "to [2|two] decimal places",
                    "with only [2|two] decimals",
                    "too many digits, [2|two] decimals [please|are enough]",
                ),
            ),
            (
                f"round({x})",
                (
                    "round " + THAT,
                    "round " + THAT + " to a whole number",
                    "round " + THAT + " to [the nearest whole number|the nearest integer|an integer|the nearest unit]",
                    "round " + THAT + " [off|to zero decimals|to no decimals]",
                    "[now|then|next] round [it|that|this|]",
                    "make [a whole number|an integer|a round number] of " + THAT,
                    "[give|show|find] the [integer|whole number] nearest to " + THAT,
                ),
                (
                    THAT + " rounded",
                    THAT + " rounded to [a whole number|an integer|the nearest integer|the nearest whole number]",
                    THAT + " [as|to] [a whole number|the nearest integer|the nearest whole number]",
                    "the [nearest|closest] [whole number|integer]",
                    "the [whole number|integer] [nearest|closest] to " + THAT,
                    "the same as a whole number",
                ),
                (
                    "[and|now|] rounded",
                    AND + " [round it|round that|rounded off|round it off|round|round this]",
                    AND + " [rounded|round it|as|round that|to] [a whole number|the nearest integer|the nearest whole number]",
                    AND + " [rounded to|as|to] [an integer|the nearest unit|the nearest whole]",
                    ABOUT + " [that rounded|it rounded|the nearest integer|the nearest whole number]",
                    WHAT + " [that rounded|it rounded|that as a whole number|the nearest integer|the closest whole number]",
                    IF + " round [it|that|this] [off|]",
                    "rounded, please",
                    "rounded",
                    "round it",
                    "to the nearest [integer|whole number]",
                    "as a whole number",
                    "[no|without|I need no] decimals, [round it|rounded|just round]",
                ),
            ),
        ]
    code, verb, noun, raw = draw.pick(options)
    return Exercise(
        family="follow-up",
        slots=slots,
        code=code if "print" in code else f"print({code})",
        verb=verb,
        noun=noun,
        raw=raw,
        number=True,
    )


JOINTS = (
    "{first}[, and|. And|. Also,| and also| and|; also|. Then| plus:|, then|,] {second}",
    "[two things|two questions|both, please|do both|I need two things]: {first} [and|; then|, and|. And also] {second}",
    "{first}? [and|also|and also|then] {second}?",
    "1. {first} 2. {second}",
    "first {first}, then {second}",
    "[please do both:|] (a) {first} (b) {second}",
    "{first}? {second}?",
    "{first}. {second}.",
    "{first}; {second}",
    "{first}? [And|Also:|Next:|Then:|After that:|One more:|Secondly,|And another one:] {second}?",
    "{first}. [And|Also:|Next:|Then:|After that:|One more:|Secondly,|In addition:|Besides that:|Afterwards:] {second}",
    "{first}[, as well as this:|, and additionally:|, and in the same go:|, along with this:|, and besides:|, and next:] {second}",
    "{first}[ and after that| and afterwards| and, secondly,| and in addition| and then| and finally| and next] {second}",
    "1) {first} 2) {second}",
    "1: {first}, 2: {second}",
    "1. {first}\n2. {second}",
    "1) {first}\n2) {second}",
    "(1) {first}[,|;|] (2) {second}",
    "a) {first}[,|;|] b) {second}",
    "(i) {first} (ii) {second}",
    "- {first}\n- {second}",
    "* {first}\n* {second}",
    "{first}\n{second}",
    "{first}?\n{second}?",
    "[two things|two questions|both of these|these two|my questions|two tasks], please:\n{first}\n{second}",
    "question [one|1|number one]: {first}. question [two|2|number two]: {second}",
    "task [one|1]: {first}. task [two|2]: {second}",
    "[problem|exercise|item|point] 1: {first}; 2: {second}",
    "[one|number one]: {first}. [two|number two]: {second}",
    "[A|a]: {first}. [B|b]: {second}",
    "[the first question|my first question|first question|the first one|first one]: {first}. [the second|my second|second|the other]: {second}",
    "[firstly|first of all|first|to begin with|to start with], {first}. [secondly|second|next|after that|then], {second}",
    "[firstly|first of all|first|to start with], {first}[, and secondly|; secondly|, and after that|, and next], {second}",
    "[at first|first], {first}? [and then|then|second]: {second}?",
    "[I have|here are|there are|I've got|let me ask] two [questions|things|tasks|requests]. {first}? [And|Also|The other:|Then] {second}?",
    "[I have|here are|there are|I've got] two [questions|things|tasks|problems]: {first}, and {second}",
    "[I want to ask|I need|I'd like to have|please handle|please answer|please do|could you do] two things: {first}; {second}",
    "[two for you|a double question|two in one|a pair of questions|two quick ones|a couple of things]: {first} [and|, also|;|, then] {second}",
    "both of these[, please|]: {first}; {second}",
    "[can|could|would] you [do|answer|handle] both: {first}, and {second}?",
    "[answer both|do these two|please do both|please solve both|handle both|help with both]: {first} [and|;|, then|, also] {second}",
    "[tell me two things|let me know two things|give me two answers|give me both answers|I need both]: {first}, {second}",
    "{first}, [and while you are at it|and at the same time|and, by the way|and on top of that|and another thing], {second}",
    "{first}. [While you are at it|At the same time|By the way|On top of that|Another thing|And another question]: {second}",
    "{first}; [when you are done|once that is done|when that is done|after this], {second}",
    "[start with|begin with] this: {first}. [Then|Next|Afterwards|Go on with this|Continue with this]: {second}",
    "{first}? [I also want to ask|I also need to know this|And I have another one|I have one more|My other question]: {second}?",
    "{first}. [I also need this|I need this too|This one too|The same goes for this|That was one, now two]: {second}",
    "{first}, [please|thanks]. [And|Also] {second}, [please|thanks]",
    "{first} [&|... and|... and also|... then|, &|, plus this one:] {second}",
    "[hello|hi|hey], [two questions|two things|quickly two things]: {first}? {second}?",
    "{first}, {second}. [Both please|I need both|Please do both|Both of them|Two answers please]",
    "{first} and {second}, [both please|I need both|please do both|in this order|in that order|one after the other]",
    "[part|step] [one|1]: {first}, [and then|then|next] two: {second}",
    "[for a start|for starters|as a start], {first}; [for the rest|as a sequel|as a follow-up], {second}",
    "Q1: {first}[\n|; |. ]Q2: {second}",
    "Q: {first}\nQ: {second}",
    "1st: {first}\n2nd: {second}",
)


def two_at_once(draw: Draw, first: Exercise, second: Exercise) -> Turn:
    parts = [bare(draw, exercise) for exercise in (first, second)]
    user = draw.text(JOINTS).replace("{first}", parts[0]).replace("{second}", parts[1])
    user = user[:1].upper() + user[1:] if draw.chance(0.6) and not user.startswith("{") else user
    codes = [written_alike(first), written_alike(second)]
    outs = [run(code) for code in codes]
    answers = [answer_to(out) for out in outs]
    expected = tuple(answer if out in ("True", "False") else out for answer, out in zip(answers, outs, strict=True))
    return Turn(
        family="two calls",
        user=user + ("" if user[-1] in "?.!" else draw.pick(["", "?", "."])),
        rounds=(Round(calls=tuple(code_call(code) for code in codes), results=tuple(outs)),),
        answer=" ".join(answers),
        expected=expected,
    )


def bare(draw: Draw, exercise: Exercise) -> str:
    """A wording fit to stand beside another in a sentence."""
    kinds = [kind for kind in ("noun", "verb", "question") if getattr(exercise, kind)] or ["raw"]
    kind = draw.pick(kinds)
    core = draw.text(getattr(exercise, kind))
    if kind == "noun":
        core = draw.text("[what is|compute|calculate|tell me|give me|work out|find|what's] ") + core
    text = " ".join(core.split())
    for key, value in exercise.slots.items():
        text = text.replace(f"{{{key}}}", value)
    return text


LIMITS = (
    "limit exceeded: cpu_seconds (30 s)",
    "limit exceeded: wall_seconds (60 s)",
    "limit exceeded: memory_bytes (268435456)",
    "limit exceeded: output_bytes (1048576)",
    "cancelled",
    "sandbox unavailable",
    "permission denied",
    "MemoryError",
    "tool 'code_interpreter' is disabled",
    "quota exceeded: 100 runs a day",
)


def broken(draw: Draw, exercise: Exercise) -> Turn:
    """Good code, and the sandbox refuses or stops it."""
    turn = solved(draw, exercise)
    if draw.chance(0.5):
        result = draw.pick(LIMITS)
    else:
        kind = draw.pick(
            [
                "ValueError",
                "TypeError",
                "OverflowError",
                "RecursionError",
                "MemoryError",
                "KeyError",
                "OSError",
                "RuntimeError",
                "IndexError",
            ]
        )
        message = draw.pick(
            [
                "expected a nonnegative input",
                "math range error",
                "bad operand type",
                "out of range",
                f"invalid literal: '{word(draw)}'",
                f"{word(draw)} {draw.pick(['failed', 'missing', 'not allowed', 'too large'])}",
                f"exceeds the limit ({whole(draw, 3, 5)} digits)",
                "maximum recursion depth exceeded",
                "day is out of range for month",
            ]
        )
        code = turn.rounds[0].calls[0].arguments["code"].splitlines()[0]
        result = f'Traceback (most recent call last):\n  File "<code>", line 1, in <module>\n    {code}\n{kind}: {message}'
    answer = failed(result)
    return Turn(
        family="errors",
        user=turn.user,
        rounds=(Round(calls=turn.rounds[0].calls, results=(result,)),),
        answer=answer,
        expected=(result.splitlines()[-1],),
    )


def impossible_sum(draw: Draw) -> Exercise:
    """Code that really fails."""
    from .arithmetic import MODULO, OVER  # noqa: PLC0415  # the two operations that zero breaks

    n = whole(draw, 1, 5)
    if draw.chance(0.6):
        kind = draw.pick([OVER, OVER, MODULO])
        return Exercise(
            family="errors",
            slots={"a": str(n), "b": draw.pick(["0", "0", "0", "zero"])},
            code=f"print({n} {kind.sign} 0)",
            noun=kind.noun,
            verb=kind.verb,
            question=kind.question,
            raw=kind.raw[:12],
        )
    return Exercise(
        family="errors",
        slots={"n": f"-{n}"},
        code=f"import math; print(math.sqrt(-{n}))",
        noun=(
            "the [square|] root of {n}",
            "sqrt({n})",
            "the sqrt of {n}",
            "√{n}",
            "the square root of [the number|the negative number|the value] {n}",
            "[the value|the result] of the [square|] root of {n}",
            "the number [whose square is|that squared gives|which squared is] {n}",
        ),
        verb=(
            "[take|find|compute] the square root of {n}",
            "[get|extract|draw|determine|give me] the [square|] root of {n}",
            "take the [sqrt|root] of {n}",
            "[find|give me|tell me] the number whose square is {n}",
            "apply the square root to {n}",
        ),
        question=(
            "what the square root of {n} is",
            "what the [root|sqrt] of {n} is",
            "how much the [square|] root of {n} is",
            "how much is the square root of {n}",
            "which number squared [gives|is|makes] {n}",
            "what [you|I|we] get when [you|I|we] take the [square|] root of {n}",
        ),
        raw=(
            "square root of {n}",
            "√{n}",
            "sqrt({n})",
            "sqrt {n}",
            "sqrt of {n}",
            "root of {n}",
            "[square root|root|sqrt]: {n}",
            "square root of {n} = ?",
            "{n}, [square root|the square root|its square root]",
        ),
    )
