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
        verb=(
            "[check|test|see|find out|determine|verify|decide] [if|whether] {n} is [prime|a prime|a prime number]",
            "test {n} for primality",
        ),
        question=(
            "[if|whether] {n} is [prime|a prime|a prime number]",
            "is {n} [prime|a prime|a prime number]",
            "[if|whether] the number {n} is prime",
        ),
        raw=(
            "is {n} [prime|a prime|a prime number]",
            "is {n} [prime or not|a prime number or not]",
            "is the number {n} prime",
            "{n}: prime or not",
            "{n} prime",
            "would you say {n} is prime",
            "{n} is [prime|a prime number], right",
        ),
    )


def prime_factors(draw: Draw) -> Exercise:
    n = whole(draw, 2, 5)
    return Exercise(
        family="primes",
        slots={"n": shown(draw, n)},
        code=f"n, d, f = {n}, 2, []\nwhile n > 1:\n    while n % d == 0:\n        f.append(d); n //= d\n    d += 1\nprint(f)",
        noun=(
            "the prime factors of {n}",
            "the prime factorization of {n}",
            "the prime factorisation of {n}",
            "the factorization of {n} into primes",
            "the prime decomposition of {n}",
        ),
        verb=(
            "factor {n}",
            "factorize {n}",
            "factorise {n} [into primes|]",
            "break {n} [down|] into prime factors",
            "[decompose|split] {n} into primes",
            "[find|list|get] the prime factors of {n}",
        ),
        question=("what the prime factors of {n} are", "which primes [divide|make up] {n}", "how {n} factors into primes"),
        raw=("prime factors of {n}", "factorization of {n}", "prime factors: {n}"),
    )


def divisible(draw: Draw) -> Exercise:
    d = small(draw, 15)
    n = d * whole(draw, 1, 4) + (0 if draw.chance(0.5) else draw.between(0, d - 1))
    return Exercise(
        family="numbers",
        slots={"n": str(n), "d": str(d)},
        code=f"print({n} % {d} == 0)",
        verb=(
            "[check|test|see|find out|verify] [if|whether] {n} is [divisible by|a multiple of] {d}",
            "[check|test|see] [if|whether] {d} divides {n}",
        ),
        question=(
            "[if|whether] {n} is [divisible by|a multiple of] {d}",
            "[if|whether] {n} can be divided by {d} [evenly|without a remainder]",
            "[if|whether] {d} divides {n}",
        ),
        raw=(
            "is {n} [divisible by|a multiple of|evenly divisible by] {d}",
            "does {d} divide {n}",
            "can {n} be divided by {d} [evenly|without a remainder]",
            "is {d} a [divisor|factor] of {n}",
        ),
    )


def parity(draw: Draw) -> Exercise:
    n = whole(draw, 1, 9)
    return Exercise(
        family="numbers",
        slots={"n": shown(draw, n)},
        code=f"print('even' if {n} % 2 == 0 else 'odd')",
        verb=("[check|see|find out|decide|determine] [if|whether] {n} is [even or odd|odd or even|even|odd]",),
        question=("[if|whether] {n} is [even or odd|odd or even|even|odd]",),
        raw=(
            "is {n} [even or odd|odd or even|even|odd]",
            "{n}: even or odd",
            "{n}, odd or even",
            "is the number {n} [even or odd|odd or even]",
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
        ),
        verb=(
            "take the factorial of {n}",
            "[compute|calculate|work out|find|get] {n} factorial",
            "[compute|calculate|work out|find|get] [the|] factorial of {n}",
            "multiply all [the numbers|numbers|integers] from 1 to {n}",
        ),
        question=(
            "what {n} factorial is",
            "what the factorial of {n} is",
            "how much {n}! is",
            "what {n}! [is|makes|equals]",
            "how many ways [there are|] to [arrange|order] {n} [books|things|items|people]",
        ),
        raw=("{n}!", "{n}! = ?", "factorial of {n}", "factorial({n})", "{n} factorial"),
    )


def root(draw: Draw) -> Exercise:
    cube = draw.chance(0.25)
    power = 3 if cube else 2
    n = small(draw, 400) ** power if draw.chance(0.5) else whole(draw, 1, 6)
    grammar = "[cube|cubic|third]" if cube else "[square|]"
    raw = (
        (f"{grammar} root of {{n}}", f"{grammar} root of {{n}} = ?")
        if cube
        else ("square root of {n}", "sqrt({n})", "sqrt {n}", "√{n}", "root of {n}", "sqrt of {n}")
    )
    return Exercise(
        family="roots",
        slots={"n": shown(draw, n)},
        number=True,
        code=f"import math; print(math.{'cbrt' if cube else 'sqrt'}({n}))",
        noun=(
            f"the {grammar} root of {{n}}",
            f"[the value|the result] of the {grammar} root of {{n}}",
            *(() if cube else ("sqrt({n})", "the sqrt of {n}", "√{n}")),
        ),
        verb=(f"[take|find|get|compute|extract] the {grammar} root of {{n}}",),
        question=(
            f"what the {grammar} root of {{n}} is",
            f"how much the {grammar} root of {{n}} is",
            "which number [cubed|to the third] gives {n}" if cube else "which number squared [gives|is|makes] {n}",
        ),
        raw=raw,
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
            f"[the value|the result] of {{n}} {grammar[0]}",
            *(() if cube else ("{n} times itself", "{n}²")),
        ),
        verb=(
            f"{grammar[1]} {{n}}",
            f"{grammar[1]} the number {{n}}",
            f"[take|find|compute] the {grammar[1]} of {{n}}",
            *(() if cube else ("multiply {n} by itself",)),
        ),
        question=(
            f"what {{n}} {grammar[0]} [is|makes]",
            f"how much {{n}} {grammar[0]} is",
            f"what the {grammar[1]} of {{n}} is",
        ),
        raw=(f"{{n}} {grammar[0]}", f"{grammar[1]} of {{n}}"),
    )


def common(draw: Draw) -> Exercise:
    least = draw.chance(0.45)
    factor = small(draw, 30, 1)
    a, b = factor * whole(draw, 1, 2), factor * whole(draw, 1, 2)
    long = "[least|lowest|smallest] common multiple" if least else "[greatest|highest|largest|biggest] common [divisor|factor]"
    name = "lcm" if least else "gcd"
    title = "[lcm|LCM]" if least else "[gcd|GCD|GCF|hcf]"
    return Exercise(
        family="gcd",
        slots={"a": str(a), "b": str(b)},
        number=True,
        code=f"import math; print(math.{name}({a}, {b}))",
        noun=(
            f"the {long} of {{a}} and {{b}}",
            f"the {title} of {{a}} and {{b}}",
            f"the {title} of [the numbers|the pair] {{a}} and {{b}}",
            f"{name}({{a}}, {{b}})",
        ),
        verb=(
            f"[find|get|compute|take|determine] the {long} of {{a}} and {{b}}",
            f"[find|get|compute|take|determine] the {title} of {{a}} and {{b}}",
        ),
        question=(
            f"what the {long} of {{a}} and {{b}} is",
            f"what the {title} of {{a}} and {{b}} is",
            "what the smallest number is that both {a} and {b} divide"
            if least
            else "what the largest number is that divides both {a} and {b}",
        ),
        raw=(f"{name}({{a}}, {{b}})", f"{title} of {{a}} and {{b}}", f"{title} {{a}} {{b}}", f"{long} of {{a}} and {{b}}"),
    )


BASES = {"binary": ("0b", 2, "bin"), "hexadecimal": ("0x", 16, "hex"), "octal": ("0o", 8, "oct")}
BASE_WORDS = {
    "binary": "[binary|base 2|base two|the binary system]",
    "hexadecimal": "[hexadecimal|hex|base 16|base sixteen]",
    "octal": "[octal|base 8|base eight]",
}


def to_base(draw: Draw) -> Exercise:
    base = draw.pick(["binary", "binary", "hexadecimal", "octal"])
    n = whole(draw, 1, 5)
    words = BASE_WORDS[base]
    return Exercise(
        family="bases",
        slots={"n": shown(draw, n)},
        code=f"print({BASES[base][2]}({n}))",
        noun=(
            f"{{n}} in {words}",
            f"the {base} [form|representation|version|notation|value] of {{n}}",
            f"{{n}} [as|as a] {base} [number|]",
            f"{{n}} [converted to|written in|expressed in] {words}",
        ),
        verb=(
            f"convert {{n}} [to|into] {words}",
            f"[write|express|represent|show] {{n}} in {words}",
            f"turn {{n}} into {words}",
            f"[change|translate|transform] {{n}} [to|into] {words}",
            f"convert the [decimal|decimal number|number] {{n}} to {words}",
        ),
        question=(f"what {{n}} is in {words}", f"how {{n}} [looks|is written] in {words}", f"how to write {{n}} in {words}"),
        raw=(f"{{n}} in {words}", f"{{n}} to {words}", f"{BASES[base][2]}({{n}})", f"{base} of {{n}}"),
    )


def from_base(draw: Draw) -> Exercise:
    base = draw.pick(["binary", "binary", "hexadecimal", "octal"])
    prefix, radix, function = BASES[base]
    digits = {"bin": bin, "hex": hex, "oct": oct}[function](whole(draw, 1, 4))
    bare = digits.removeprefix(prefix)
    slot = digits if draw.chance(0.3) else bare.upper() if base == "hexadecimal" and draw.chance(0.5) else bare
    words = BASE_WORDS[base]
    ten = "[decimal|base 10|base ten|the decimal system|a decimal number]"
    return Exercise(
        family="bases",
        slots={"n": slot},
        code=f"print(int('{slot}', {radix}))",
        number=True,
        noun=(
            f"the {base} number {{n}} in {ten}",
            f"[the decimal value|the decimal form|the value] of the {base} number {{n}}",
            f"{{n}} [from|converted from] {words} [to|in] {ten}",
            f"{base} {{n}} [in|as] {ten}",
        ),
        verb=(
            f"convert [the|] {base} [number|] {{n}} [to|into] {ten}",
            f"convert {{n}} from {words} to {ten}",
            f"turn [the|] {base} {{n}} into {ten}",
            f"[read|interpret] {{n}} as [a|an] {base} number",
            f"[change|translate] {{n}} from {words} to {ten}",
        ),
        question=(
            f"what [the|] {base} [number|] {{n}} is in {ten}",
            f"how much {base} {{n}} is in {ten}",
            f"what number {{n}} is in {words}",
        ),
        raw=(f"{base} {{n}} to {ten}", f"{base} {{n}} in {ten}", f"{{n}} from {words} to {ten}"),
    )


def up_to(draw: Draw) -> Exercise:
    """Sums over a range."""
    n = draw.pick([10, 20, 50, 100, 200, 500, 1000]) if draw.chance(0.4) else whole(draw, 1, 3)
    what, code = draw.pick(
        [
            (
                "[all numbers|the numbers|the integers|all integers|every number|all whole numbers|the whole numbers]",
                f"print(sum(range(1, {n} + 1)))",
            ),
            ("[all even numbers|the even numbers|even numbers|every even number]", f"print(sum(range(2, {n} + 1, 2)))"),
            ("[all odd numbers|the odd numbers|odd numbers|every odd number]", f"print(sum(range(1, {n} + 1, 2)))"),
            ("[the squares|all squares|the squares of the numbers]", f"print(sum(i ** 2 for i in range(1, {n} + 1)))"),
            ("[the cubes|all cubes|the cubes of the numbers]", f"print(sum(i ** 3 for i in range(1, {n} + 1)))"),
        ]
    )
    span = "[from 1 to {n}|from one to {n}|between 1 and {n}|up to {n}|from 1 up to {n}|from 1 through {n}]"
    return Exercise(
        family="numbers",
        slots={"n": str(n)},
        number=True,
        code=code,
        noun=(
            f"the [sum|total] of {what} {span}",
            f"[the result|the value] of adding {what} {span}",
            f"{what} {span} added [up|together]",
        ),
        verb=(f"[add|add up|sum|sum up|total] {what} {span}", f"[add|sum] {what} {span} together"),
        question=(
            f"what {what} {span} [add up to|sum to]",
            f"what the sum of {what} {span} is",
            f"what you get when you add {what} {span}",
        ),
        raw=(
            f"sum of {what} {span}",
            "1 + 2 + ... + {n}" if "sum(range(1, " in code and ", 2)" not in code else f"sum {what} {span}",
        ),
    )


def primes_below(draw: Draw) -> Exercise:
    n = small(draw, 120, 10)
    return Exercise(
        family="primes",
        slots={"n": str(n)},
        code=f"print([n for n in range(2, {n} + 1) if all(n % d for d in range(2, n))])",
        noun=(
            "[all primes|the primes|all prime numbers|the prime numbers|every prime] [up to|below|under|until|from 1 to] {n}",
            "a list of [primes|prime numbers] up to {n}",
        ),
        verb=(
            "[list|print|find|show|name|generate] [all primes|the primes|all prime numbers|the prime numbers] [up to|below|under|until] {n}",
        ),
        question=(
            "which [primes|prime numbers] [there are|exist|are] [up to|below] {n}",
            "what the primes [up to|below] {n} are",
        ),
        raw=("primes [up to|below|under] {n}",),
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
            "the Fibonacci number [number|at position|with index] {n}",
            "fibonacci({n})",
            "the {n}th [number|term|element] [of|in] the Fibonacci [sequence|series]",
        ),
        verb=("[find|get|compute|calculate] the {n}th [Fibonacci number|term of the Fibonacci sequence]",),
        question=("what the {n}th Fibonacci number is", "what Fibonacci number {n} is"),
        raw=("fibonacci {n}", "fib({n})", "{n}th fibonacci number"),
    )


def larger(draw: Draw) -> Exercise:
    smaller = draw.chance(0.35)
    a, b = (decimal(draw), decimal(draw)) if draw.chance(0.4) else (str(whole(draw, 3, 7)), str(whole(draw, 3, 7)))
    words = "[smaller|less|lower]" if smaller else "[larger|bigger|greater|higher|more]"
    noun = "the [smaller|lesser|lower]" if smaller else "the [larger|bigger|greater|higher]"
    function = "min" if smaller else "max"
    return Exercise(
        family="numbers",
        slots={"a": a, "b": b},
        number=True,
        code=f"print({function}({a}, {b}))",
        noun=(f"{noun} of {{a}} and {{b}}", f"{noun} [number|one] of {{a}} and {{b}}", f"{noun} number: {{a}} or {{b}}"),
        verb=(f"compare {{a}} and {{b}} and [tell me|say] which is {words}", f"[find|pick|choose] {noun} of {{a}} and {{b}}"),
        question=(
            f"which is {words}, {{a}} or {{b}}",
            f"which [number|one] is {words}: {{a}} or {{b}}",
            f"which of {{a}} and {{b}} is {words}",
        ),
        raw=(
            f"which is {words}, {{a}} or {{b}}",
            f"what is {words}: {{a}} or {{b}}",
            f"{{a}} or {{b}}, which is {words}",
            f"which number is {words}, {{a}} or {{b}}",
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
            noun=("{n} rounded", "{n} rounded to [the nearest integer|the nearest whole number|a whole number|an integer]"),
            verb=(
                "round {n}",
                "round {n} [off|to the nearest integer|to the nearest whole number|to a whole number|to an integer]",
            ),
            raw=("round({n})", "{n} rounded"),
        )
    return Exercise(
        family="numbers",
        slots=slots,
        number=True,
        code=f"print(round({n}, {places}))",
        noun=("{n} rounded to {d} [decimals|decimal places|digits|places]", "{n} to {d} [decimals|decimal places]"),
        verb=("round {n} to {d} [decimals|decimal places|digits|places]", "[cut|shorten] {n} to {d} [decimals|decimal places]"),
        question=("what {n} is rounded to {d} [decimals|decimal places]",),
        raw=("round {n} to {d} [decimals|places]",),
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
