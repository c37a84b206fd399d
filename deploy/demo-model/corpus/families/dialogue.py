"""What needs more than one question: follow-ups on a result, two calls at once, failures."""

import re

from ..draw import Draw
from ..exercise import Call, Exercise, Round, Turn, answer_to
from ..notebook import run
from ..values import whole, word
from ..wording import compose

GROUPED = re.compile(r"\d{1,3}(,\d{3})+")
THAT = "[that|it|this|the result|that number|the last result|the answer|this number|that result|the last one]"


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
            ("[multiply|now multiply|then multiply] " + THAT + " by {n}", "times {n}"),
            (THAT + " [times|multiplied by] {n}",),
            (
                "[and|now|then|and then|and now|] [times|multiplied by|multiply by] {n}",
                "* {n}",
                "x {n}",
                "times {n}[, please|]",
            ),
        ),
        (
            f"{x} + {n}",
            ("add {n} to " + THAT, "[now|then|] add {n}", "plus {n}"),
            (THAT + " plus {n}",),
            ("[and|now|then|and then|and now|] [plus|add] {n}", "+ {n}", "{n} more", "plus {n}"),
        ),
        (
            f"{x} - {n}",
            ("subtract {n} from " + THAT, "[now|then|] [subtract|take away] {n}", "take {n} away from " + THAT),
            (THAT + " minus {n}",),
            ("[and|now|then|and then|and now|] [minus|less|subtract] {n}", "- {n}", "{n} less", "minus {n}"),
        ),
        (
            f"{x} / {n}",
            ("divide " + THAT + " by {n}", "[now|then|] divide by {n}", "split " + THAT + " into {n} parts"),
            (THAT + " divided by {n}",),
            ("[and|now|then|and then|and now|] [divided by|divide by|over] {n}", "/ {n}", "divided by {n}"),
        ),
        (
            f"2 * {x}",
            ("double " + THAT,),
            ("the double of " + THAT, "twice " + THAT),
            ("[and|now|then|] [doubled|twice that|double]",),
        ),
        (
            f"{x} / 2",
            ("halve " + THAT,),
            ("half of " + THAT, "the half of " + THAT),
            ("[and|now|then|] [halved|half of that|half]",),
        ),
    ]
    if plain:
        options += [
            (f"{x} ** 2", ("square " + THAT,), ("the square of " + THAT, THAT + " squared"), ("[and|now|then|] squared",)),
            (
                f"import math; print(math.sqrt({x}))",
                ("take the [square|] root of " + THAT,),
                ("the square root of " + THAT,),
                ("[and|now|then|] the square root",),
            ),
            (
                f"{n} * {x} / 100",
                ("take {n}% of " + THAT,),
                ("{n}% of " + THAT, "{n} percent of " + THAT),
                ("[and|now|] {n}% of that",),
            ),
        ]
    if "." in x:
        options += [
            (
                f"round({x}, 2)",
                ("round " + THAT + " to 2 decimals", "round " + THAT + " to two decimals"),
                (THAT + " rounded to 2 decimals",),
                ("[and|now|] rounded to two decimals",),
            ),
            (
                f"round({x})",
                ("round " + THAT, "round " + THAT + " to a whole number"),
                (THAT + " rounded",),
                ("[and|now|] rounded",),
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
    if draw.split == "train" and exercise.raw and draw.chance(0.2):
        kinds = ["raw"]
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


def seen_in_python(draw: Draw) -> tuple[str, str]:
    """What an interpreter says of code that people write; in training alone, so that the test stays the same."""
    x, y, n = word(draw), word(draw), draw.between(1, 99)
    kinds = ["int", "str", "float", "list", "NoneType", "dict", "tuple", "function", "set", "bool"]
    a, b = draw.pick(kinds), draw.pick(kinds)
    sign = draw.pick(["+", "-", "*", "/", "//", "%", "**", "<", "&"])
    method = draw.pick(["append", "split", "upper", "lower", "items", "sort", x])
    return draw.pick(
        [
            ("TypeError", f"unsupported operand type(s) for {sign}: '{a}' and '{b}'"),
            ("TypeError", f'can only concatenate {a} (not "{b}") to {a}'),
            ("TypeError", f"'{sign}' not supported between instances of '{a}' and '{b}'"),
            ("TypeError", f"'{a}' object is not callable"),
            ("TypeError", f"'{a}' object is not iterable"),
            ("TypeError", f"'{a}' object is not subscriptable"),
            ("TypeError", f"object of type '{a}' has no len()"),
            ("TypeError", f"{x}() missing 1 required positional argument: '{y}'"),
            ("TypeError", f"{x}() takes {n % 7} positional arguments but {n} were given"),
            ("TypeError", f"{x}() got an unexpected keyword argument '{y}'"),
            ("NameError", f"name '{x}' is not defined"),
            ("NameError", f"name '{draw.pick('abcnxy')}' is not defined"),
            ("AttributeError", f"'{a}' object has no attribute '{method}'"),
            ("AttributeError", f"module '{x}' has no attribute '{y}'"),
            ("ModuleNotFoundError", f"No module named '{draw.pick(['numpy', 'pandas', 'requests', x])}'"),
            ("ImportError", f"cannot import name '{x}' from '{y}'"),
            ("IndexError", f"{draw.pick(['list', 'string', 'tuple'])} index out of range"),
            ("KeyError", draw.pick([f"'{x}'", str(n)])),
            ("ValueError", f"invalid literal for int() with base 10: '{x}'"),
            ("ValueError", f"could not convert string to float: '{x}'"),
            ("ValueError", f"{x} is not in list"),
            ("ValueError", f"not enough values to unpack (expected {n}, got {n % 5})"),
            ("ZeroDivisionError", draw.pick(["division by zero", "float division by zero", "integer modulo by zero"])),
            ("FileNotFoundError", f"[Errno 2] No such file or directory: '{x}.txt'"),
            ("PermissionError", f"[Errno 13] Permission denied: '{x}'"),
            ("SyntaxError", draw.pick(["invalid syntax", "'(' was never closed", "unterminated string literal"])),
            ("AssertionError", f"{x} {y}"),
            (f"{x.title()}Error", f"{y} {n}"),
        ]
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
        if draw.split == "train" and draw.chance(0.5):
            kind, message = seen_in_python(draw)
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
            raw=kind.raw[:5],
        )
    return Exercise(
        family="errors",
        slots={"n": f"-{n}"},
        code=f"import math; print(math.sqrt(-{n}))",
        noun=("the [square|] root of {n}", "sqrt({n})"),
        verb=("[take|find|compute] the square root of {n}",),
        question=("what the square root of {n} is",),
        raw=("square root of {n}", "√{n}"),
    )
