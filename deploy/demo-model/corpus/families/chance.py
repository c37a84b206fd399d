"""Dice and coins, and Python that the person wrote."""

from collections.abc import Callable

from ..draw import Draw
from ..exercise import Exercise
from ..values import small, whole, word


def given_code(draw: Draw) -> Exercise:
    a, b, c, text = whole(draw, 1, 4), small(draw, 12), whole(draw, 1, 2), word(draw)
    char = draw.pick(text.lower())
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
            f"print(sorted([{b}, {a}, {c}]))",
            f"print('{text}'[{draw.between(0, 2)}])",
            f"print(round({a} / {b}, 2))",
            f"print('{text}')",
            f"print({a} + {b} * {c})",
            f"print(({a} - {b}) * {c})",
            f"print('{text}'[::-1])",
            f"print('{text}'.count('{char}'))",
            f"print('{text}'.replace('{char}', '{draw.pick('xyz')}'))",
            f"print('{text}'.title(), len('{text}'))",
            f"print({a} {draw.pick(['>', '<', '==', '!=', '>=', '<='])} {c})",
            f"print(min({a}, {b}, {c}))",
            f"print(sum([{a}, {b}, {c}]))",
            f"print({b} in [{b}, {a}, {c}])",
            f"print('-'.join(['{a}', '{c}']))",
            f"a, b = {a}, {c}; print(a - b)",
            f"x = [{a}, {b}]; x.append({c}); print(x)",
            f"print([n for n in [{a}, {b}, {c}] if n > {small(draw, 50)}])",
            f"print(divmod({a}, {b}))",
            f"print(str({a}) + str({c}))",
            f"print(int('{a}') + {c})",
            f"print('{text}'.startswith('{char}'))",
            f"for i in range({small(draw, 5)}): print(i * {c}, end=' ')",
            f"print('big' if {a} > {c} else 'small')",
            f"import math; print(math.floor({a} / {b}))",
            f"n = {a}; n //= {b}; print(n)",
            f"print(abs({b} - {a}))",
            f"print(ord('{char}'), chr({draw.between(97, 122)}))",
            f"print(type({draw.pick([str(a), repr(text), f'[{b}]', f'{a}.5'])}).__name__)",
        ]
    )
    mark = draw.pick(["{}", "{}", "`{}`", "```{}```", "```python\n{}\n```", "```py\n{}\n```", "```\n{}\n```"]).replace(
        "{}", code
    )
    what = "[this|this code|the code|the following|the following code|the program|this program|this Python code|the Python code|this line|this snippet|this script|my code]"
    return Exercise(
        family="given code",
        slots={"c": mark},
        code=code,
        verb=(
            f"[run|execute|evaluate|try] {what}: {{c}}",
            f"[run|execute|evaluate|try] {what} {{c}}",
            "[run|execute|evaluate|try] {c}",
            f"[show|tell] me what {what} prints: {{c}}",
            f"[run|execute] {what} and [show|give|tell] me [the output|the result|what it prints|what comes out]: {{c}}",
            "[run|execute] {c} and [show|give|tell] me [the output|the result|what it prints]",
            "[run|execute|try] {c} in Python",
            f"[see|check] what {what} [prints|gives|outputs]: {{c}}",
            "[see|check] what {c} [prints|gives|outputs]",
        ),
        question=(
            f"what {what} [prints|outputs|gives|does]: {{c}}",
            "what {c} [prints|outputs|gives|does|returns]",
            "what does {c} [print|output|give|do|show]",
            f"what does {what} [print|output|give|show]: {{c}}",
            f"what the [output|result] of {what} is: {{c}}",
            "what the [output|result] of {c} is",
            f"what [happens|comes out|is printed] [when|if] [you|we|I] run {what}: {{c}}",
            "what [happens|comes out|is printed] [when|if] [you|we|I] run {c}",
            "what [will|would] {c} [print|output|show]",
            f"what [will|would] {what} [print|output|show]: {{c}}",
        ),
        noun=(
            "the [output|result] of {c}",
            f"the [output|result] of {what}: {{c}}",
            f"the [output|result] [when running|of running|of executing] {what}: {{c}}",
            "the [output|result] [when running|of running|of executing] {c}",
        ),
        raw=(
            "{c}",
            "[run|execute|python|output|code|result]: {c}",
            "[run|execute] {c}",
            "{c} - what [is printed|does it print|comes out|is the output]",
            "{c} [Run it|Run this|What is the output|What does it print]",
            "here is [some code|my code|my program]: {{c}} [Run it|What does it print|What is its output]",
            f"I wrote {what}: {{c}} [What does it print|Run it]",
            "output of {c}",
            ">>> {c}",
        ),
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = ((1, given_code),)
