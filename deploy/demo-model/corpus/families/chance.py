"""Dice and coins, and Python that the person wrote."""

from collections.abc import Callable

from ..draw import Draw
from ..exercise import Exercise, says
from ..values import small, whole, word


def dice(draw: Draw) -> Exercise:
    kind = draw.pick(["die", "coin", "number", "dice"])
    low, high = (1, draw.pick([10, 50, 100, 1000])) if draw.chance(0.6) else (draw.between(1, 50), draw.between(51, 999))
    count = small(draw, 6)
    slots = {"a": str(low), "b": str(high), "n": str(count), "short": ""}
    match kind:
        case "die":
            return Exercise(
                family="random",
                slots=slots,
                imagined=lambda d: str(d.between(1, 6)),
                code="import random; print(random.randint(1, 6))",
                answer=says("You rolled {out}."),
                verb=("roll a [die|dice]", "throw a [die|dice]", "roll a six-sided die", "roll the dice"),
                noun=("a dice roll", "a [roll|throw] of a die"),
            )
        case "coin":
            return Exercise(
                family="random",
                slots=slots,
                imagined=lambda d: d.pick(["heads", "tails"]),
                code="import random; print(random.choice(['heads', 'tails']))",
                answer=says("It came up {out}."),
                verb=("flip a coin", "toss a coin", "throw a coin", "flip a coin for me"),
                noun=("a coin [flip|toss]",),
                raw=("heads or tails",),
            )
        case "number":
            return Exercise(
                family="random",
                slots=slots,
                number=True,
                imagined=lambda d: str(d.between(low, high)),
                code=f"import random; print(random.randint({low}, {high}))",
                answer=says("Your number is {out}."),
                verb=("[pick|choose|draw|generate|think of|make up] a [random|] number [between {a} and {b}|from {a} to {b}]",),
                noun=("a random [number|integer] [between {a} and {b}|from {a} to {b}]",),
            )
        case _:
            return Exercise(
                family="random",
                slots=slots,
                imagined=lambda d: str([d.between(1, 6) for _ in range(count)]),
                code=f"import random; print([random.randint(1, 6) for _ in range({count})])",
                answer=says("You rolled {out}."),
                verb=("roll {n} dice", "throw {n} dice", "roll a die {n} times"),
                noun=("the [roll|result] of {n} dice",),
            )


def given_code(draw: Draw) -> Exercise:
    a, b, text = whole(draw, 1, 4), small(draw, 12), word(draw)
    code = draw.pick(
        [
            f"print({a} * {b})",
            f"print({a} ** {b})",
            f"print('{text}' * {b})",
            f"print(sum(range({a})))",
            f"print([i * {b} for i in range({small(draw, 6)})])",
            f"print('{text}'.upper())",
            f"print(len('{text}'))",
            f"x = {a}; print(x + {b})",
            f"print(max({a}, {b}))",
            f"print({a} // {b}, {a} % {b})",
            f"for i in range({small(draw, 5)}): print(i)",
            f"print('{text}', {a})",
            f"print(sorted([{b}, {a}, {whole(draw, 1, 2)}]))",
            f"print(divmod({a}, {b}))",
            f"print('{text}'[{draw.between(0, 2)}])",
            f"print({a} > {b})",
            f"print(abs({b} - {a}))",
            f"print(round({a} / {b}, 2))",
            f"print('{text}')",
        ]
    )
    mark = draw.pick(["{}", "{}", "`{}`", "```{}```", "```python\n{}\n```"]).replace("{}", code)
    what = "[this|this code|the code|the following|the following code|the program|this program|this Python code|the Python code|this line|this snippet]"
    return Exercise(
        family="given code",
        slots={"c": mark, "short": ""},
        code=code,
        answer=says("It prints: {out}"),
        verb=(
            f"[run|execute|evaluate|try] {what}: {{c}}",
            f"[run|execute|evaluate|try] {what} {{c}}",
            "[run|execute|evaluate|try] {c}",
            f"[show|tell] me what {what} prints: {{c}}",
        ),
        question=(
            f"what {what} [prints|outputs|gives|does]: {{c}}",
            "what {c} [prints|outputs|gives|does]",
            "what does {c} [print|output|give|do]",
            f"what the output of {what} is: {{c}}",
        ),
        noun=("the output of {c}", f"the [output|result] of {what}: {{c}}"),
        raw=("{c}", "run: {c}", "python: {c}"),
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = ((1, dice), (1.6, given_code))
