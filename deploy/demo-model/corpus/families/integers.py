"""Primes, factorials, roots, common divisors, bases, sums over ranges, comparing numbers."""

from collections.abc import Callable

from ..draw import Draw
from ..exercise import Exercise
from ..values import decimal, shown, small, spelled, whole


def prime(draw: Draw) -> Exercise:
    n = (
        draw.pick([101, 127, 131, 199, 211, 307, 401, 499, 601, 709, 809, 907, 1009, 2003, 7919])
        if draw.chance(0.15)
        else whole(draw, 1, 5)
    )
    n += draw.chance(0.6) and n % 2 == 0
    return Exercise(
        family="primes",
        slots={"n": shown(draw, n)},
        code=f"n = {n}; print(n > 1 and all(n % d for d in range(2, int(n ** 0.5) + 1)))",
        noun=("the primality of {n}",),
        verb=(
            "[check|test|see|find out|determine|verify|decide] [if|whether] {n} is [prime|a prime|a prime number]",
            "[check|see|find out|decide] [if|whether] {n} is [prime or not|a prime number or not]",
            "[check|test|examine] {n} for primality",
            "test the primality of {n}",
        ),
        question=(
            "[if|whether] {n} is [prime|a prime|a prime number]",
            "is {n} [prime|a prime|a prime number]",
            "[if|whether] the number {n} is prime",
            "[if|whether] {n} is [prime or not|a prime number or not]",
        ),
        raw=(
            "is {n} [prime|a prime|a prime number]",
            "is {n} [prime or not|a prime number or not]",
            "is the number {n} [prime|a prime]",
            "{n}: [prime or not|prime|is it prime|a prime number]",
            "{n} prime",
            "{n}, is [it|that|this one] [prime|a prime|a prime number]",
            "[prime check|primality test|prime test|primality]: {n}",
            "prime or not: {n}",
            "isprime({n})",
            "is_prime({n})",
            "take {n}. Is it [prime|a prime number]",
        ),
    )


def prime_factors(draw: Draw) -> Exercise:
    n = whole(draw, 2, 5)
    return Exercise(
        family="primes",
        slots={"n": shown(draw, n)},
        code=f"n, d, f = {n}, 2, []\nwhile n > 1:\n    while n % d == 0:\n        f.append(d); n //= d\n    d += 1\nprint(f)",
        noun=(
            "the prime [factors|divisors] of {n}",
            "the prime [factorization|factorisation] of {n}",
            "the prime decomposition of {n}",
            "{n} as a product of [primes|prime numbers|prime factors]",
            "{n} [factored|split|broken down] into [primes|prime factors|prime numbers]",
            "all [the|] prime factors of {n}",
            "the list of prime factors of {n}",
        ),
        verb=(
            "factor {n}",
            "[factor|factorize|factorise] {n} into [primes|prime numbers|prime factors]",
            "factorize {n}",
            "factorise {n}",
            "break {n} [down|] into [prime factors|primes]",
            "[decompose|split] {n} into [primes|prime factors|its prime factors]",
            "[find|list|get] [all|] the prime factors of {n}",
            "write {n} as a product of [primes|prime numbers|prime factors]",
            "do a prime [factorization|factorisation] of {n}",
        ),
        question=(
            "what the prime factors of {n} are",
            "what are the prime factors of {n}",
            "how {n} factors into [primes|prime numbers]",
            "what prime factors {n} has",
            "what prime factors does {n} have",
            "what the prime [factorization|factorisation|decomposition] of {n} is",
        ),
        raw=(
            "prime factors of {n}",
            "[prime|] [factorization|factorisation] of {n}",
            "[prime factors|factor|factorize|factorise|prime factorization|prime decomposition]: {n}",
            "{n}: [prime factors|factorize|factor it|which prime factors]",
            "{n} [in|into] prime factors",
            "take {n} and [factor|factorize|factorise] it",
        ),
    )


def divisible(draw: Draw) -> Exercise:
    d = small(draw, 15)
    n = d * whole(draw, 1, 4) + (0 if draw.chance(0.5) else draw.between(0, d - 1))
    return Exercise(
        family="numbers",
        slots={"n": str(n), "d": str(d)},
        code=f"print({n} % {d} == 0)",
        verb=(
            "[check|test|see|find out|verify] [if|whether] {n} is [divisible by|a multiple of|evenly divisible by] {d}",
            "[check|test|see] [if|whether] {d} divides {n}",
            "[check|test|see|find out] [if|whether] {d} [goes|fits] into {n} [evenly|without a remainder]",
            "[check|see] [if|whether] {d} is a [divisor|factor] of {n}",
            "test {n} for divisibility by {d}",
        ),
        question=(
            "[if|whether] {n} is [divisible by|a multiple of|evenly divisible by] {d}",
            "[if|whether] {n} can be divided by {d} [evenly|without a remainder]",
            "[if|whether] {d} divides {n} [evenly|]",
            "[if|whether] {d} [goes|fits] into {n} [evenly|without a remainder]",
            "[if|whether] {d} is a [divisor|factor] of {n}",
            "is {n} [divisible by|a multiple of] {d}",
            "does {d} [divide|go into|fit into] {n} evenly",
        ),
        raw=(
            "is {n} [divisible by|a multiple of|evenly divisible by] {d}",
            "does {d} divide {n} [evenly|]",
            "does {d} [go|fit] into {n} [evenly|without a remainder]",
            "can {n} be divided by {d} [evenly|without a remainder]",
            "is {d} a [divisor|factor] of {n}",
            "{n}: [divisible by|a multiple of] {d}",
            "{n} divisible by {d}",
            "{n} % {d} == 0",
        ),
    )


def parity(draw: Draw) -> Exercise:
    n = whole(draw, 1, 9)
    return Exercise(
        family="numbers",
        slots={"n": shown(draw, n)},
        code=f"print('even' if {n} % 2 == 0 else 'odd')",
        noun=("the parity of {n}",),
        verb=(
            "[check|see|find out|decide|determine|say] [if|whether] {n} is [even or odd|odd or even|even|odd]",
            "[check|determine|find] the parity of {n}",
            "[check|see] [if|whether] {n} is an [even|odd] number",
        ),
        question=(
            "[if|whether] {n} is [even or odd|odd or even|even|odd]",
            "[if|whether] {n} is an [even|odd] number",
            "is {n} [even or odd|odd or even|an even number|an odd number]",
            "what parity {n} has",
            "what the parity of {n} is",
            "[if|whether] the number {n} is [even or odd|odd or even]",
        ),
        raw=(
            "is {n} [even or odd|odd or even|even|odd]",
            "is {n} an [even|odd] number",
            "is {n} an [even or an odd|odd or an even] number",
            "{n}: [even or odd|odd or even|is it even|is it odd|parity]",
            "{n}, odd or even",
            "{n}, is [it|that] [even|odd|even or odd|an even number|an odd number]",
            "is the number {n} [even or odd|odd or even|even|odd]",
            "[even or odd|odd or even|parity]: {n}",
            "parity of {n}",
        ),
    )


def factorial(draw: Draw) -> Exercise:
    n = small(draw, 30, 0)
    slot = spelled(n) if draw.chance(0.1) else str(n)
    return Exercise(
        family="factorials",
        slots={"n": slot},
        number=True,
        code=f"import math; print(math.factorial({n}))",
        noun=(
            "the factorial of {n}",
            "{n} factorial",
            "{n}!",
            "the factorial of the number {n}",
            "[the value|the result] of {n}[!| factorial]",
            "factorial {n}",
            "factorial of {n}",
            "the product of all [the|] [numbers|integers|whole numbers] from 1 to {n}",
        ),
        verb=(
            "take the factorial of {n}",
            "[compute|calculate|work out|find|get|evaluate] {n} factorial",
            "[compute|calculate|work out|find|get] [the|] factorial [of|for] {n}",
            "[compute|calculate|evaluate] {n}!",
            "multiply all [the numbers|numbers|integers|whole numbers] from 1 to {n}",
        ),
        question=(
            "what {n} factorial [is|makes|equals]",
            "what is {n} factorial",
            "what the factorial [of|for] {n} is",
            "how much {n}! is",
            "how much is {n} factorial",
            "what {n}! [is|makes|equals]",
            "what [you|we|I] get when multiplying all [numbers|integers] from 1 to {n}",
        ),
        raw=(
            "{n}!",
            "{n}! = ?",
            "{n}! =",
            "factorial of {n}",
            "factorial({n})",
            "math.factorial({n})",
            "{n} factorial",
            "factorial {n}",
            "factorial: {n}",
            "{n}: [factorial|take the factorial]",
            "{n} factorial is [what|how much]",
        ),
    )


def root(draw: Draw) -> Exercise:
    cube = draw.chance(0.25)
    power = 3 if cube else 2
    n = small(draw, 400) ** power if draw.chance(0.5) else whole(draw, 1, 6)
    grammar = "[cube|cubic|third]" if cube else "[square|square|]"
    own = (
        (
            "[cbrt|cuberoot]({n})",
            "cbrt {n}",
            "cbrt of {n}",
            "∛{n}",
        )
        if cube
        else (
            "sqrt({n})",
            "sqrt {n}",
            "√{n}",
            "√{n} = ?",
            "root of {n}",
            "sqrt of {n}",
            "math.sqrt({n})",
        )
    )
    return Exercise(
        family="roots",
        slots={"n": shown(draw, n)},
        number=True,
        code=f"import math; print(math.{'cbrt' if cube else 'sqrt'}({n}))",
        noun=(
            f"the {grammar} root of {{n}}",
            f"the {grammar} root of the number {{n}}",
            f"[the value|the result] of the {grammar} root of {{n}}",
            *(
                ("cbrt({n})", "the cbrt of {n}", "∛{n}")
                if cube
                else (
                    "sqrt({n})",
                    "the sqrt of {n}",
                    "√{n}",
                )
            ),
        ),
        verb=(
            f"[take|find|get|compute] the {grammar} root of {{n}}",
            f"[work out|calculate|determine|evaluate] the {grammar} root [of|for] {{n}}",
            f"[say|see] what the {grammar} root of {{n}} is",
            "take the cbrt of {n}" if cube else "take the sqrt of {n}",
        ),
        question=(
            f"what the {grammar} root of {{n}} [is|equals|comes to]",
            f"how much the {grammar} root of {{n}} is",
            f"what is the {grammar} root of {{n}}",
            f"how much is the {grammar} root of {{n}}",
        ),
        raw=(
            f"{grammar} root of {{n}}",
            f"{grammar} root of {{n}} = ?",
            f"{grammar} root {{n}}",
            f"{grammar} root: {{n}}",
            f"{{n}}: [the|] {grammar} root",
            f"{{n}}, what is its {grammar} root",
            *own,
        ),
    )


def squared(draw: Draw) -> Exercise:
    cube = draw.chance(0.35)
    n = whole(draw, 1, 4)
    grammar = ("cubed", "cube") if cube else ("squared", "square")
    slot = spelled(n) if n < 100 and draw.chance(0.2) else shown(draw, n)
    return Exercise(
        family="roots",
        slots={"n": slot},
        number=True,
        code=f"print({n} ** {3 if cube else 2})",
        noun=(
            f"{{n}} {grammar[0]}",
            f"the {grammar[1]} of {{n}}",
            f"the {grammar[1]} of the number {{n}}",
            f"[the value|the result] of {{n}} {grammar[0]}",
            f"the number {{n}} {grammar[0]}",
            *(
                ("{n}³", "{n} to the third")
                if cube
                else (
                    "{n} times itself",
                    "{n}²",
                    "{n} multiplied by itself",
                )
            ),
        ),
        verb=(
            f"{grammar[1]} {{n}}",
            f"{grammar[1]} the number {{n}}",
            f"[take|find|compute|get] the {grammar[1]} of {{n}}",
            f"[work out|calculate|evaluate] {{n}} {grammar[0]}",
            f"take {{n}} and {grammar[1]} it",
            "raise {n} to the third" if cube else "multiply {n} by itself",
        ),
        question=(
            f"what {{n}} {grammar[0]} [is|makes|gives|equals|comes to]",
            f"how much {{n}} {grammar[0]} is",
            f"how much is {{n}} {grammar[0]}",
            f"what is {{n}} {grammar[0]}",
            f"what the {grammar[1]} of {{n}} is",
            f"what is the {grammar[1]} of {{n}}",
            f"what [you|we|I] get when [you|we|I] {grammar[1]} {{n}}",
            *(
                ("what {n} to the third is",)
                if cube
                else (
                    "what {n} times itself [is|makes|gives]",
                    "what [you|we|I] get when [you|we|I] multiply {n} by itself",
                )
            ),
        ),
        raw=(
            f"{{n}} {grammar[0]}",
            f"{grammar[1]} of {{n}}",
            f"{grammar[1]}: {{n}}",
            f"{{n}}, {grammar[0]}",
            f"{{n}}: {grammar[1]} it",
            f"{{n}} {grammar[0]} is [what|how much]",
            f"{grammar[1]}({{n}})",
            *(("{n}³ = ?", "{n} to the third") if cube else ("{n}² = ?", "{n} times itself")),
        ),
    )


def common(draw: Draw) -> Exercise:
    least = draw.chance(0.45)
    factor = small(draw, 30, 1)
    a, b = factor * whole(draw, 1, 2), factor * whole(draw, 1, 2)
    long = "[least|lowest|smallest] common multiple" if least else "[greatest|highest|largest|biggest] common [divisor|factor]"
    name = "lcm" if least else "gcd"
    title = "[lcm|LCM]" if least else "[gcd|GCD|GCF|hcf|HCF]"
    described = (
        "[smallest|lowest] number [divisible by both {a} and {b}|that is a multiple of both {a} and {b}]"
        if least
        else "[largest|biggest|greatest] [number|integer] that divides both {a} and {b}"
    )
    shared = (
        "[smallest|least|lowest] multiple [that|which] {a} and {b} [share|have in common]"
        if least
        else "[largest|greatest|biggest|highest] [divisor|factor] [that|which] {a} and {b} [share|have in common]"
    )
    return Exercise(
        family="gcd",
        slots={"a": str(a), "b": str(b)},
        number=True,
        code=f"import math; print(math.{name}({a}, {b}))",
        noun=(
            f"the {long} of {{a}} and {{b}}",
            f"the {long} [for|between] {{a}} and {{b}}",
            f"the {long} of the numbers {{a}} and {{b}}",
            f"the {title} of {{a}} and {{b}}",
            f"the {title} [for|between] {{a}} and {{b}}",
            f"the {title} of the numbers {{a}} and {{b}}",
            f"the {described}",
            f"the {shared}",
            f"{name}({{a}}, {{b}})",
        ),
        verb=(
            f"[find|get|compute|take|determine] the {long} of {{a}} and {{b}}",
            f"[find|get|compute|take|determine] the {title} of {{a}} and {{b}}",
            f"find the {described}",
            f"find the {shared}",
            f"take {{a}} and {{b}} and [find|get] their {long}",
            f"take {{a}} and {{b}} and [find|get] their {title}",
        ),
        question=(
            f"what the {long} of {{a}} and {{b}} is",
            f"what is the {long} of {{a}} and {{b}}",
            f"what the {title} of {{a}} and {{b}} is",
            f"what is the {title} of {{a}} and {{b}}",
            f"what the {described} is",
            f"what is the {shared}",
        ),
        raw=(
            f"{name}({{a}}, {{b}})",
            f"{title} of {{a}} and {{b}}",
            f"{title} {{a}} {{b}}",
            f"{title} {{a}}, {{b}}",
            f"{title}: {{a}} and {{b}}",
            f"{{a}} and {{b}}: {title}",
            f"{{a}}, {{b}}: {long}",
            f"{{a}} and {{b}}, what is their {long}",
            f"{{a}} and {{b}}. What is the {title}",
            f"{long} of {{a}} and {{b}}",
            f"{long}: {{a}}, {{b}}",
            f"math.{name}({{a}}, {{b}})",
        ),
    )


BASES = {"binary": ("0b", 2, "bin"), "hexadecimal": ("0x", 16, "hex"), "octal": ("0o", 8, "oct")}
BASE_WORDS = {
    "binary": "[binary|base 2|base two|the binary system]",
    "hexadecimal": "[hexadecimal|hex|base 16|base sixteen|the hexadecimal system]",
    "octal": "[octal|base 8|base eight|the octal system]",
}
BASE_NAMES = {"binary": "[binary|base 2]", "hexadecimal": "[hexadecimal|hex|base 16]", "octal": "[octal|base 8]"}
ARTICLES = {"binary": "a", "hexadecimal": "a", "octal": "an"}


def to_base(draw: Draw) -> Exercise:
    base = draw.pick(["binary", "binary", "hexadecimal", "octal"])
    n = whole(draw, 1, 5)
    words, called, article = BASE_WORDS[base], BASE_NAMES[base], ARTICLES[base]
    return Exercise(
        family="bases",
        slots={"n": shown(draw, n)},
        code=f"print({BASES[base][2]}({n}))",
        noun=(
            f"{{n}} in {words}",
            f"the {called} [form|representation|version|value|equivalent] of {{n}}",
            f"{{n}} as {article} {base} number",
            f"{{n}} as {base}",
            f"{{n}} [converted to|written in|expressed in] {words}",
            f"the [decimal|] number {{n}} in {words}",
        ),
        verb=(
            f"convert {{n}} [to|into] {words}",
            f"[write|express|represent|show|print|give me] {{n}} in {words}",
            f"[turn|put] {{n}} into {words}",
            f"[change|translate] {{n}} [to|into] {words}",
            f"convert the [decimal|decimal number|number] {{n}} to {words}",
            f"convert {{n}} from decimal to {words}",
            f"[give me|find|get] the {called} [form|representation|equivalent] of {{n}}",
        ),
        question=(
            f"what {{n}} is in {words}",
            f"what is {{n}} in {words}",
            f"how {{n}} [looks|is written] in {words}",
            f"how [to|you|I] write {{n}} in {words}",
            f"what the {called} [form|representation|equivalent|version] of {{n}} is",
            f"what {{n}} becomes in {words}",
            f"what the decimal number {{n}} is in {words}",
        ),
        raw=(
            f"{{n}} in {words}",
            f"{{n}} to {words}",
            f"{{n}} -> {words}",
            f"{{n}} as {base}",
            f"{{n}}, but in {words}",
            f"{{n}}: [to|in|convert to] {words}",
            f"[to|in|into] {words}: {{n}}",
            f"{BASES[base][2]}({{n}})",
            f"{called} of {{n}}",
            f"{called} [form|representation|equivalent] of {{n}}",
            f"decimal {{n}} to {words}",
            f"{{n}} is a decimal number. What is it in {words}",
        ),
    )


def from_base(draw: Draw) -> Exercise:
    base = draw.pick(["binary", "binary", "hexadecimal", "octal"])
    prefix, radix, function = BASES[base]
    digits = {"bin": bin, "hex": hex, "oct": oct}[function](whole(draw, 1, 4))
    bare = digits.removeprefix(prefix)
    slot = digits if draw.chance(0.3) else bare.upper() if base == "hexadecimal" and draw.chance(0.5) else bare
    words, called, article = BASE_WORDS[base], BASE_NAMES[base], ARTICLES[base]
    ten = "[decimal|base 10|base ten|the decimal system]"
    return Exercise(
        family="bases",
        slots={"n": slot},
        code=f"print(int('{slot}', {radix}))",
        number=True,
        noun=(
            f"the {called} number {{n}} in {ten}",
            f"[the decimal value|the decimal form|the decimal equivalent] of [the|] {called} number {{n}}",
            f"[the decimal value|the decimal form|the decimal equivalent] of {called} {{n}}",
            f"{{n}} [from|converted from] {words} [to|into] {ten}",
            f"{base} {{n}} [in|as|converted to|written in] {ten}",
            f"the conversion of {called} {{n}} to {ten}",
        ),
        verb=(
            f"convert [the|] {called} [number|] {{n}} [to|into] {ten}",
            f"convert {{n}} from {words} to {ten}",
            f"convert {{n}}, which is in {words}, to {ten}",
            f"turn [the|] {base} [number|value|] {{n}} into {ten}",
            f"[write|express|show|give me] the {called} number {{n}} [in|as] {ten}",
            f"[change|translate|bring] {{n}} from {words} to {ten}",
            f"[give me|find|get] the decimal [value|equivalent|form] of {called} {{n}}",
        ),
        question=(
            f"what [the|] {called} [number|] {{n}} is in {ten}",
            f"what is [the|] {called} [number|] {{n}} in {ten}",
            f"what the decimal [value|equivalent|form] of {called} {{n}} is",
        ),
        raw=(
            f"{called} {{n}} to {ten}",
            f"{called} {{n}} in {ten}",
            f"{called} {{n}} -> decimal",
            f"{called} {{n}} = ? in decimal",
            f"{{n}} from {words} to {ten}",
            f"{{n}} is {article} {base} number. [What is it in decimal|Which decimal number is that|Convert it to decimal]",
            f"I have the {called} number {{n}}. What is that in {ten}",
            f"from {words} to {ten}: {{n}}",
            f"[decimal value|decimal form] of {called} {{n}}",
            f"[to|in|into] {ten}: {called} {{n}}",
        ),
    )


def up_to(draw: Draw) -> Exercise:
    """Sums over a range."""
    n = draw.pick([10, 20, 50, 100, 200, 500, 1000]) if draw.chance(0.4) else whole(draw, 1, 3)
    what, code, terms = draw.pick(
        [
            (
                "[all numbers|the numbers|the integers|all integers|all whole numbers|all the numbers]",
                f"print(sum(range(1, {n} + 1)))",
                (
                    "1 + 2 + ... + {n}",
                    "1 + 2 + 3 + ... + {n} = ?",
                    "[sum|add up|total of|add] 1 to {n}",
                    "1 to {n}, [summed|added up|all added up]",
                    "sum of the first {n} [numbers|natural numbers|positive integers]",
                ),
            ),
            (
                "[all even numbers|the even numbers|even numbers|every even number|all the even numbers]",
                f"print(sum(range(2, {n} + 1, 2)))",
                ("even numbers up to {n}, added up",),
            ),
            (
                "[all odd numbers|the odd numbers|odd numbers|every odd number|all the odd numbers]",
                f"print(sum(range(1, {n} + 1, 2)))",
                ("odd numbers up to {n}, added up",),
            ),
            (
                "[the squares|all squares|the squares of the numbers|the squares of all numbers]",
                f"print(sum(i ** 2 for i in range(1, {n} + 1)))",
                ("square every number from 1 to {n} and add [them|the squares] up",),
            ),
            (
                "[the cubes|all cubes|the cubes of the numbers|the cubes of all numbers]",
                f"print(sum(i ** 3 for i in range(1, {n} + 1)))",
                ("cube every number from 1 to {n} and add [them|the cubes] up",),
            ),
        ]
    )
    span = "[from 1 to {n}|between 1 and {n}|up to {n}|from 1 up to {n}|from 1 through {n}|1 to {n}]"
    return Exercise(
        family="numbers",
        slots={"n": str(n)},
        number=True,
        code=code,
        noun=(
            f"the [sum|total] of {what} {span}",
            f"the [sum|total] of {what}, {span}",
            f"[the result|the value] of adding {what} {span}",
            f"{what} {span} added [up|together]",
            f"{what} {span}, all added up",
        ),
        verb=(
            f"[add|add up|sum|sum up|total] {what} {span}",
            f"[add|sum] {what} {span} together",
            f"take {what} {span} and [add them up|sum them]",
            f"[find|get] the [sum|total] of {what} {span}",
            f"[say|see] what {what} {span} add up to",
        ),
        question=(
            f"what {what} {span} [add up to|sum to|sum up to]",
            f"what the [sum|total] of {what} {span} is",
            f"what is the [sum|total] of {what} {span}",
            f"what you get when you [add|add up|sum|add together] {what} {span}",
            f"what do {what} {span} add up to",
        ),
        raw=(
            f"[sum|total] of {what} {span}",
            f"sum {what} {span}",
            f"add {what} {span}",
            f"[sum|total|add up]: {what} {span}",
            f"{what} {span}: [sum|total|add them|the sum]",
            f"{what} {span}. [What is the sum|Add them up|How much is that in total]",
            f"{what} {span} added up",
            *terms,
            *terms,
        ),
    )


def primes_below(draw: Draw) -> Exercise:
    n = small(draw, 120, 10)
    return Exercise(
        family="primes",
        slots={"n": str(n)},
        code=f"print([n for n in range(2, {n} + 1) if all(n % d for d in range(2, n))])",
        noun=(
            "[all primes|the primes|all prime numbers|the prime numbers|every prime|all the primes] [up to|below|under|until|from 1 to|between 1 and] {n}",
            "[a|the] list of [primes|prime numbers] [up to|from 2 to|until|between 1 and] {n}",
            "[all|the] numbers [up to|between 1 and|from 1 to] {n} that are [prime|primes]",
        ),
        verb=(
            "[list|print|find|show|name] [all primes|the primes|all prime numbers|the prime numbers] [up to|below|under|until|between 1 and|from 1 to] {n}",
            "[list|find|name|give me] every prime [up to|below|between 1 and] {n}",
            "make a list of [all|the|] [primes|prime numbers] [up to|until|from 1 to] {n}",
        ),
        question=(
            "which [primes|prime numbers] [there are|exist|are] [up to|below|between 1 and] {n}",
            "what the [primes|prime numbers] [up to|below|between 1 and] {n} are",
            "what are the [primes|prime numbers] [up to|below|between 1 and] {n}",
            "which numbers [up to|from 1 to|between 1 and] {n} are [prime|primes|prime numbers]",
        ),
        raw=(
            "[primes|prime numbers|all primes] [up to|below|under|until|from 1 to|between 1 and] {n}",
            "[primes|prime numbers]: [up to|from 1 to|until] {n}",
            "list of primes up to {n}",
            "primes <= {n}",
            "up to {n}, which [numbers are prime|are the primes]",
            "from 1 to {n}: [all primes|which are prime|list the primes]",
        ),
    )


def fibonacci(draw: Draw) -> Exercise:
    n = small(draw, 60, 5)
    return Exercise(
        family="numbers",
        slots={"n": str(n)},
        number=True,
        code=f"a, b = 0, 1\nfor _ in range({n}):\n    a, b = b, a + b\nprint(a)",
        noun=(
            "the {n}th Fibonacci number",
            "Fibonacci number {n}",
            "fibonacci({n})",
            "the {n}th [number|term|element] [of|in] the Fibonacci [sequence|series|numbers]",
            "[number|term] {n} [of|in] the Fibonacci [sequence|series]",
        ),
        verb=(
            "[find|get|compute|calculate|determine] the {n}th [Fibonacci number|term of the Fibonacci sequence|number in the Fibonacci series]",
            "[find|get|compute|give me] Fibonacci number {n}",
            "[find|give me] the Fibonacci number at position {n}",
        ),
        question=(
            "what the {n}th Fibonacci number is",
            "what is the {n}th Fibonacci number",
            "what Fibonacci number {n} is",
            "which number is the {n}th [in|of] the Fibonacci [sequence|series]",
            "what the {n}th [term|number|element] of the Fibonacci [sequence|series] is",
        ),
        raw=(
            "fibonacci {n}",
            "fib({n})",
            "fib {n}",
            "fibonacci({n})",
            "{n}th fibonacci number",
            "{n}th [term|number] of the Fibonacci [sequence|series]",
            "fibonacci [number|position]: {n}",
            "Fibonacci sequence, [position|term|number] {n}",
        ),
    )


def larger(draw: Draw) -> Exercise:
    smaller = draw.chance(0.35)
    a, b = (decimal(draw), decimal(draw)) if draw.chance(0.4) else (str(whole(draw, 3, 7)), str(whole(draw, 3, 7)))
    words = "[smaller|less|lower]" if smaller else "[larger|bigger|greater|higher|more]"
    noun = "the [smaller|lower]" if smaller else "the [larger|bigger|greater|higher]"
    top = "[minimum|min]" if smaller else "[maximum|max]"
    function = "min" if smaller else "max"
    return Exercise(
        family="numbers",
        slots={"a": a, "b": b},
        number=True,
        code=f"print({function}({a}, {b}))",
        noun=(
            f"{noun} of {{a}} and {{b}}",
            f"{noun} [number|one|value] of {{a}} and {{b}}",
            f"{noun} of the two numbers {{a}} and {{b}}",
            f"the {top} of {{a}} and {{b}}",
            f"{function}({{a}}, {{b}})",
        ),
        verb=(
            f"compare {{a}} and {{b}} and [tell me|say|see] which is {words}",
            f"compare {{a}} [with|to] {{b}} and give me {noun} [one|number|]",
            f"[find|pick|take|name] {noun} of {{a}} and {{b}}",
            f"[find|take|get] the {top} of {{a}} and {{b}}",
            f"[decide|check|see] which is {words}, {{a}} or {{b}}",
            f"[decide|check|see] which of {{a}} and {{b}} is {words}",
        ),
        question=(
            f"which is {words}, {{a}} or {{b}}",
            f"which [number|one|value] is {words}: {{a}} or {{b}}",
            f"which of {{a}} and {{b}} is {words}",
            f"which is {noun} [one|number|], {{a}} or {{b}}",
            f"what the {top} of {{a}} and {{b}} is",
            f"what is {noun} of {{a}} and {{b}}",
        ),
        raw=(
            f"which is {words}, {{a}} or {{b}}",
            f"what is {words}: {{a}} or {{b}}",
            f"{{a}} or {{b}}, which is {words}",
            f"{{a}} or {{b}}: [which one is|what is] {words}",
            f"{{a}} or {{b}}, {noun} [one|number]",
            f"{{a}} vs {{b}}, which is {words}",
            f"which number is {words}, {{a}} or {{b}}",
            f"between {{a}} and {{b}}, which is {words}",
            f"{function}({{a}}, {{b}})",
            f"{function} of {{a}} and {{b}}",
            f"{top} of {{a}} and {{b}}",
            f"I have {{a}} and {{b}}. Which [one|] is {words}",
        ),
    )


def rounded(draw: Draw) -> Exercise:
    n, places = f"{draw.between(0, 9999)}.{draw.between(10000, 999999)}", small(draw, 4, 1)
    slots = {"n": n, "d": spelled(places) if draw.chance(0.4) else str(places)}
    if draw.chance(0.4):
        return Exercise(
            family="numbers",
            slots=slots,
            number=True,
            code=f"print(round({n}))",
            noun=(
                "{n} rounded",
                "{n} rounded [to|off to] [the nearest integer|the nearest whole number|a whole number|an integer]",
                "the [nearest|closest] [integer|whole number] to {n}",
                "the [integer|whole number] [nearest|closest] to {n}",
                "{n} [as a|rounded to a] whole number",
                "{n} rounded off",
            ),
            verb=(
                "round {n}",
                "round {n} [off|to the nearest integer|to the nearest whole number|to a whole number|to an integer]",
                "round off {n} [|to the nearest integer|to a whole number]",
                "round {n} to [0 decimals|0 decimal places]",
                "[find|give me|get] the [nearest|closest] [integer|whole number] to {n}",
                "[find|give me|get] the [integer|whole number] [closest|nearest] to {n}",
            ),
            question=(
                "what {n} is rounded to [the nearest integer|the nearest whole number|a whole number|an integer]",
                "what {n} rounds to",
                "what is {n} rounded [off|to a whole number|to the nearest integer]",
                "which [integer|whole number] is [nearest|closest] to {n}",
                "which [integer|whole number] {n} [rounds to|is closest to|is nearest to]",
            ),
            raw=(
                "round({n})",
                "{n} rounded",
                "round: {n}",
                "{n}: [round it|nearest integer|nearest whole number|to a whole number]",
                "{n} to the nearest [integer|whole number]",
                "{n}, [nearest whole number|rounded off|as a whole number]",
                "[nearest|closest] [integer|whole number] to {n}",
            ),
        )
    unit = "[decimals|decimal places|digits|places]"
    return Exercise(
        family="numbers",
        slots=slots,
        number=True,
        code=f"print(round({n}, {places}))",
        noun=(
            f"{{n}} [rounded|rounded off] to {{d}} {unit}",
            "{n} to {d} [decimals|decimal places]",
            "{n} [with|rounded to|given to] {d} [digits|places] after the [decimal point|point]",
            "the number {n} rounded to {d} [decimals|decimal places]",
        ),
        verb=(
            f"round {{n}} [|off] to {{d}} {unit}",
            f"round off {{n}} to {{d}} {unit}",
            "round {n} to {d} [digits|places] after the [decimal point|point]",
            "[write|give|show] {n} [to|with] {d} [decimals|decimal places]",
        ),
        question=(
            "what {n} is rounded to {d} [decimals|decimal places|places]",
            "what is {n} rounded to {d} [decimals|decimal places]",
            "what {n} is [to|with] {d} [decimals|decimal places]",
        ),
        raw=(
            "round {n} to {d} [decimals|places]",
            "{n}, {d} [decimals|decimal places]",
            "{n}: [round to|rounded to|to] {d} [decimals|decimal places]",
            "{n} to {d} decimals",
            "{n}. Round it to {d} [decimals|decimal places|places]",
        ),
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = (
    (2.4, prime),
    (1, prime_factors),
    (0.8, primes_below),
    (0.6, divisible),
    (0.6, parity),
    (2.4, factorial),
    (2.4, root),
    (1.2, squared),
    (2.4, common),
    (2.2, to_base),
    (2, from_base),
    (1.4, up_to),
    (0.6, fibonacci),
    (0.8, larger),
    (0.8, rounded),
)
