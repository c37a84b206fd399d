"""What needs more than one question: follow-ups on a result, two calls at once, failures."""

import re

from ..draw import Draw
from ..exercise import Call, Exercise, Round, Turn, answer_to
from ..notebook import run
from ..values import whole, word
from ..wording import compose

GROUPED = re.compile(r"\d{1,3}(,\d{3})+")
THAT = (
    "[that|it|this|that|it|this|the result|that number|the last result|the answer|this number|that result|"
    "your result|your answer|the last number|the previous result|the last answer|this result]"
)
AND = "[and|now|then|and then|and now|next|ok, now|after that|]"
IF = "[what if|and if|what do I get if|what is it if] [I|you|we]"
WHAT = "[what is|what's|how much is|and what is|now what is|and how much is|what would be]"
ABOUT = "[what about|how about|and what about]"


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
                "[take|do|get] " + THAT + " times {n}",
                "[now|then|next|] multiply by {n}",
                "make " + THAT + " {n} times as [big|large|much]",
                "[find|get] the product of " + THAT + " and {n}",
            ),
            (
                THAT + " [times|multiplied by] {n}",
                THAT + " multiplied with {n}",
                THAT + " [x|*] {n}",
                "{n} times " + THAT,
                "the product of " + THAT + " and {n}",
            ),
            (
                AND + " [times|multiplied by|multiply by|multiply it by|multiply that by|times it by|multiplied with] {n}",
                AND + " [it|that|this] times {n}",
                AND + " {n} times [that|it|this|as much|as many]",
                "* {n}",
                "x {n}",
                "*{n}",
                "x{n}",
                "times {n}[, please|]",
                "times {n} [now|then|= ?|is]",
                "multiplied by {n}",
                ABOUT + " [times|multiplied by] {n}",
                ABOUT + " {n} times [that|it|as much]",
                WHAT + " " + THAT + " [times|multiplied by|x] {n}",
                WHAT + " {n} times " + THAT,
                IF + " multiply [that|it|this|the result] by {n}",
                "I [need|want|have|buy] {n} of [those|these|them]. How [many|much] is that",
                "{n}x [that|it|this]",
            ),
        ),
        (
            f"{x} + {n}",
            (
                "add {n} to " + THAT,
                "[now|then|] add {n}",
                "plus {n}",
                "add {n} more",
                "add another {n} [to that|to it|]",
                "[increase|raise] " + THAT + " by {n}",
                "[take|use] " + THAT + " and add {n}",
            ),
            (
                THAT + " plus {n}",
                THAT + " + {n}",
                THAT + " and {n} [more|together]",
                THAT + " [increased|raised] by {n}",
                THAT + " with {n} [more|added]",
                "{n} more than " + THAT,
                "{n} added to " + THAT,
            ),
            (
                AND + " [plus|add|plus another|add another] {n}",
                AND + " {n} [more|more than that|added]",
                AND + " [that|it|this] plus {n}",
                AND + " with {n} [more|added]",
                "+ {n}",
                "+{n}",
                "{n} more",
                "plus {n}",
                "plus {n} [now|then|= ?|is]",
                "another {n}[, please|]",
                ABOUT + " plus {n}",
                ABOUT + " {n} more",
                "[what about|how about] {n} more than [that|it|this]",
                WHAT + " " + THAT + " plus {n}",
                WHAT + " {n} more than " + THAT,
                IF + " add {n} [to it|to that|more|]",
                "[I get|we get] {n} more. How [many|much] [now|is it now]",
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
                "[decrease|reduce|lower] " + THAT + " by {n}",
                "[take|use] " + THAT + " and subtract {n}",
                "minus {n}",
            ),
            (
                THAT + " minus {n}",
                THAT + " - {n}",
                THAT + " less {n}",
                THAT + " [decreased|reduced|lowered] by {n}",
                THAT + " with {n} [subtracted|taken away]",
                "{n} less than " + THAT,
            ),
            (
                AND + " [minus|less|subtract|take away|deduct|take off|remove] {n}",
                AND + " {n} [less|less than that|taken away|off]",
                AND + " [that|it|this] minus {n}",
                "- {n}",
                "-{n}",
                "{n} less",
                "minus {n}",
                "minus {n} [now|then|= ?|is]",
                ABOUT + " minus {n}",
                ABOUT + " {n} less",
                "[what about|how about] {n} less than [that|it|this]",
                WHAT + " " + THAT + " [minus|less] {n}",
                WHAT + " {n} less than " + THAT,
                IF + " [subtract|take away|deduct|remove] {n}",
                "[I lose|I sell|I give away] {n} of [them|those]. How many are left",
                "[I spend|we use] {n} of it. How much is left",
                "[decreased|reduced|lowered] by {n}",
            ),
        ),
        (
            f"{x} / {n}",
            (
                "divide " + THAT + " by {n}",
                "[now|then|] divide by {n}",
                "split " + THAT + " into {n} parts",
                "[split|divide] " + THAT + " into {n} [equal parts|parts]",
                "[split|share|divide] " + THAT + " [among|between] {n} [people|friends|]",
                "[split|share|divide] " + THAT + " {n} ways",
                "[find|get] the quotient of " + THAT + " and {n}",
                "[take|use] " + THAT + " and divide [|it] by {n}",
            ),
            (
                THAT + " divided by {n}",
                THAT + " / {n}",
                THAT + " over {n}",
                THAT + " [split|divided] into {n} [parts|equal parts]",
                THAT + " split {n} ways",
                THAT + " shared [among|between] {n} [people|friends]",
                "the quotient of " + THAT + " and {n}",
            ),
            (
                AND + " [divided by|divide by|divide it by|divide that by|over] {n}",
                AND + " [that|it|this] divided by {n}",
                AND + " [split|divide] it into {n} [parts|equal parts]",
                AND + " [share|split] it [among|between] {n}",
                AND + " split {n} ways",
                "/ {n}",
                "/{n}",
                "divided by {n}",
                "divided by {n} [now|then|= ?|is]",
                ABOUT + " divided by {n}",
                WHAT + " " + THAT + " [divided by|over] {n}",
                IF + " divide [that|it|this|the result] by {n}",
                "{n} [people|friends|children] share it. How much does each get",
            ),
        ),
        (
            f"{x} * 2",
            (
                "double " + THAT,
                "[now|then|next] double [it|that|this]",
                "multiply " + THAT + " by two",
                "take " + THAT + " [twice|two times]",
                "double the [result|number|amount]",
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
            ),
            (
                "[and|now|then|] [doubled|twice that|double]",
                AND + " [double it|double that|double this|doubled|twice it|twice as much|twice as many|times two]",
                AND + " [two times that|two times it|the double of it|the double of that]",
                ABOUT + " [twice that|double that|the double of it|twice as much]",
                WHAT + " [twice that|twice this|double that|the double of that|two times that]",
                IF + " double [it|that|this]",
                "double",
                "twice",
                "double that, please",
                "twice as [many|much]",
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
                "[take|get|find] [half of|the half of|one half of] " + THAT,
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
            ),
            (
                "[and|now|then|] [halved|half of that|half]",
                AND + " [half of it|half of this|halve it|halve that|half that|half as much]",
                AND + " [in half|the half of it|the half of that|one half of it|divided by two]",
                ABOUT + " [half of it|half of that|half that|half as much]",
                WHAT + " [half of it|half of that|half that|one half of that|half of this]",
                IF + " [halve it|halve that|take half of it]",
                "half",
                "half of it",
                "[halved|cut in half]",
                "I [eat|lose|keep|give away] half of [it|them|that]. How [much|many] is that",
                "only half of [that|it]",
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
                    "raise " + THAT + " to the [power of two|power of 2|second power]",
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
                    THAT + " ^ 2",
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
                    "^ 2",
                ),
            ),
            (
                f"import math; print(math.sqrt({x}))",
                (
                    "take the [square|] root of " + THAT,
                    "[find|get|calculate] the [square|] root of " + THAT,
                    "[find|get|take] its [square|] root",
                    "[now|then|next] take the [square|] root",
                    "take the sqrt of " + THAT,
                ),
                (
                    "the square root of " + THAT,
                    "the root of " + THAT,
                    "the sqrt of " + THAT,
                    "its [square|] root",
                    "the square root",
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
                    "square root, please",
                ),
            ),
            (
                f"{x} * {n} / 100",
                (
                    "take {n}% of " + THAT,
                    "[find|get|compute|work out] {n}% of " + THAT,
                    "[take|find|get|compute] {n} [percent|per cent] of " + THAT,
                    "[now|then|next] take {n} [percent|per cent] of [it|that|this]",
                    "[give|tell|show] me {n}[%| percent| per cent] of " + THAT,
                ),
                (
                    "{n}% of " + THAT,
                    "{n} percent of " + THAT,
                    "{n} % of " + THAT,
                    "{n} per cent of " + THAT,
                    "a {n}% [tip|tax] on " + THAT,
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
                    "round " + THAT + " to [2|two] decimal places",
                    "round " + THAT + " to the nearest [hundredth|cent]",
                    "round [it|] to [2|two] [decimals|decimal places]",
                    "[give|show|write] " + THAT + " [with|to] [2|two] [decimals|decimal places]",
                ),
                (
                    THAT + " rounded to 2 decimals",
                    THAT + " rounded to [two decimals|two decimal places|2 decimal places]",
                    THAT + " rounded to the nearest [hundredth|cent]",
                    THAT + " [with|to] [2|two] [decimals|decimal places]",
                    "the [number|value|result] [to|with|rounded to] [2|two] [decimals|decimal places]",
                ),
                (
                    "[and|now|] rounded to two decimals",
                    AND + " [rounded|round it|round that|round] to [2|two] [decimals|decimal places]",
                    AND + " [with|to] [2|two] [decimals|decimal places]",
                    AND + " [rounded|round it|round] to the nearest [hundredth|cent]",
                    ABOUT + " [with|to|rounded to] [2|two] [decimals|decimal places]",
                    WHAT + " [that|it|this] [to|with|rounded to] [2|two] [decimals|decimal places]",
                    IF + " round [it|that|this] to [2|two] [decimals|decimal places]",
                    "[2|two] [decimals|decimal places], please",
                    "to the nearest [hundredth|cent]",
                    "to [2|two] decimal places",
                    "with [only|] [2|two] decimals",
                ),
            ),
            (
                f"round({x})",
                (
                    "round " + THAT,
                    "round " + THAT + " to a whole number",
                    "round " + THAT + " to [the nearest whole number|the nearest integer|an integer]",
                    "round " + THAT + " off",
                    "[now|then|next] round [it|that|this|]",
                ),
                (
                    THAT + " rounded",
                    THAT + " rounded to [a whole number|an integer|the nearest integer|the nearest whole number]",
                    THAT + " [as|to] [a whole number|the nearest integer|the nearest whole number]",
                    "the [nearest|closest] [whole number|integer]",
                    "the [whole number|integer] [nearest|closest] to " + THAT,
                ),
                (
                    "[and|now|] rounded",
                    AND + " [round it|round that|rounded off|round it off|round|round this]",
                    AND + " [rounded|round it|as|round that|to] [a whole number|the nearest integer|the nearest whole number]",
                    AND + " [rounded to|as|to] an integer",
                    ABOUT + " [that rounded|it rounded|the nearest integer|the nearest whole number]",
                    WHAT + " [that rounded|it rounded|that as a whole number|the nearest integer|the closest whole number]",
                    IF + " round [it|that|this] [off|]",
                    "rounded, please",
                    "rounded",
                    "round it",
                    "to the nearest [integer|whole number]",
                    "as a whole number",
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
    "{first}[, and|. And|. Also,| and also| and|; also|. Then|, then|,] {second}",
    "[two things|two questions|both, please|I need two things]: {first} [and|, and|. And also] {second}",
    "{first}? [and|also|and also|then] {second}?",
    "1. {first} 2. {second}",
    "first {first}, then {second}",
    "{first}? {second}?",
    "{first}. {second}.",
    "{first}; {second}",
    "{first}? [And|Also:|Next:|Then:|After that:|And another one:] {second}?",
    "{first}. [And|Also:|Next:|Then:|After that:|In addition:] {second}",
    "{first}[ and after that| and then| and next] {second}",
    "1) {first} 2) {second}",
    "1. {first}\n2. {second}",
    "1) {first}\n2) {second}",
    "a) {first}[,|;|] b) {second}",
    "- {first}\n- {second}",
    "{first}\n{second}",
    "{first}?\n{second}?",
    "[two things|two questions|both of these|my questions], please:\n{first}\n{second}",
    "[firstly|first of all|first], {first}. [secondly|second|next|after that|then], {second}",
    "[I have|here are] two [questions|things|tasks]: {first}, and {second}",
    "[can|could|would] you [do|answer] both: {first}, and {second}?",
    "[answer both|do these two|please do both]: {first} [and|, then|, also] {second}",
    "{first}, {second}. [Both please|I need both|Please do both]",
    "{first} and {second}, [both please|I need both|please do both]",
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
        ),
        verb=(
            "[take|find|compute] the square root of {n}",
            "[get|determine|give me] the [square|] root of {n}",
            "take the [sqrt|root] of {n}",
        ),
        question=(
            "what the square root of {n} is",
            "what the [root|sqrt] of {n} is",
            "how much the [square|] root of {n} is",
            "how much is the square root of {n}",
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
