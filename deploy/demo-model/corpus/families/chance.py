"""Dice and coins, and Python that the person wrote."""

from collections.abc import Callable

from ..draw import Draw
from ..exercise import Exercise
from ..values import small, whole, word


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
            f"print('{text}', {a})",
            f"print(sorted([{b}, {a}, {whole(draw, 1, 2)}]))",
            f"print('{text}'[{draw.between(0, 2)}])",
            f"print(round({a} / {b}, 2))",
            f"print('{text}')",
        ]
    )
    mark = draw.pick(["{}", "{}", "`{}`", "```{}```", "```python\n{}\n```"]).replace("{}", code)
    what = "[this|this code|the code|the following|the following code|the program|this program|this Python code|the Python code|this line|this snippet]"
    return Exercise(
        family="given code",
        slots={"c": mark},
        code=code,
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


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = ((1, given_code),)
