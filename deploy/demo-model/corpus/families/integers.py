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
            "[check|see|test] [if|whether] {n} [belongs to|is one of] the [primes|prime numbers]",
            "[check|verify] that {n} is [prime|a prime number]",
            "run a [prime|primality] [test|check] on {n}",
            "[check|see] [if|whether] {n} has exactly two divisors",
            "[check|see] [if|whether] only 1 and {n} divide {n}",
        ),
        question=(
            "[if|whether] {n} is [prime|a prime|a prime number]",
            "is {n} [prime|a prime|a prime number]",
            "[if|whether] the number {n} is prime",
            "[if|whether] {n} is [among|one of] the [primes|prime numbers]",
            "[if|whether] {n} is [prime or not|a prime number or not]",
            "[if|whether] {n} counts as [prime|a prime|a prime number]",
            "does {n} count as [prime|a prime|a prime number]",
            "does {n} belong to the [primes|prime numbers]",
            "does {n} have exactly two divisors",
            "is {n} divisible only by 1 and itself",
        ),
        raw=(
            "is {n} [prime|a prime|a prime number]",
            "is {n} [prime or not|a prime number or not]",
            "is the number {n} [prime|a prime]",
            "{n}: [prime or not|prime|is it prime|a prime number]",
            "{n} prime",
            "{n}, is [it|that|this one] [prime|a prime|a prime number]",
            "would you say {n} is prime",
            "{n} is [prime|a prime number], right",
            "[prime check|primality test|prime test|primality]: {n}",
            "prime or not: {n}",
            "isprime({n})",
            "is_prime({n})",
            "can {n} be [called|considered] [prime|a prime number]",
            "my teacher says {n} is [prime|a prime number]. Is [that so|that true]",
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
            "the [factorization|factorisation] of {n} into [primes|prime numbers|prime factors]",
            "the prime decomposition of {n}",
            "the [decomposition|breakdown] of {n} into [primes|prime factors]",
            "{n} as a product of [primes|prime numbers|prime factors]",
            "{n} [factored|split|broken down|decomposed] into [primes|prime factors|prime numbers]",
            "the [primes|prime numbers] [that|which] multiply to {n}",
            "the [primes|prime numbers] whose product is {n}",
            "all [the|] prime factors of {n}",
            "the list of prime factors of {n}",
        ),
        verb=(
            "factor {n}",
            "[factor|factorize|factorise] {n} into [primes|prime numbers|prime factors]",
            "factorize {n}",
            "factorise {n}",
            "break {n} [down|] into [prime factors|primes]",
            "[decompose|split|take apart] {n} into [primes|prime factors|its prime factors]",
            "[find|list|get|name] [all|] the prime factors of {n}",
            "[find|list|get] the [primes|prime numbers] that [multiply to|make up|build] {n}",
            "write {n} as a product of [primes|prime numbers|prime factors]",
            "reduce {n} to its prime factors",
            "do a prime [factorization|factorisation] of {n}",
        ),
        question=(
            "what the prime factors of {n} are",
            "what are the prime factors of {n}",
            "which [primes|prime numbers] [divide|make up|multiply to] {n}",
            "how {n} factors into [primes|prime numbers]",
            "how {n} [breaks down|splits|decomposes|is broken down] into [primes|prime factors]",
            "what prime factors {n} has",
            "what prime factors does {n} have",
            "which prime factors [there are in|are in] {n}",
            "what the prime [factorization|factorisation|decomposition] of {n} is",
            "into which primes {n} [splits|can be split|breaks]",
        ),
        raw=(
            "prime factors of {n}",
            "[prime|] [factorization|factorisation] of {n}",
            "[prime factors|factor|factorize|factorise|prime factorization|prime decomposition]: {n}",
            "{n}: [prime factors|factorize|factor it|which prime factors]",
            "{n} [in|into] prime factors",
            "{n}, [which primes is it made of|broken down into primes|as a product of primes]",
            "factorint({n})",
            "{n} = product of which primes",
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
            "[check|test|see|find out] [if|whether] {d} [goes|fits] into {n} [evenly|without a remainder|exactly]",
            "[check|see] [if|whether] {d} is a [divisor|factor] of {n}",
            "[check|see] [if|whether] {n} can be divided by {d} [evenly|without a remainder|exactly|with nothing left]",
            "test {n} for divisibility by {d}",
            "[check|see] [if|whether] dividing {n} by {d} leaves no remainder",
            "[check|see] [if|whether] {n} divided by {d} is a whole number",
        ),
        question=(
            "[if|whether] {n} is [divisible by|a multiple of|evenly divisible by] {d}",
            "[if|whether] {n} can be divided by {d} [evenly|without a remainder|with nothing left]",
            "[if|whether] {d} divides {n} [evenly|]",
            "[if|whether] {d} [goes|fits] into {n} [evenly|exactly|without a remainder]",
            "[if|whether] {d} is a [divisor|factor] of {n}",
            "[if|whether] {n} divided by {d} [leaves no remainder|is a whole number|comes out even]",
            "[if|whether] {n} has {d} as a [divisor|factor]",
            "is {n} [divisible by|a multiple of] {d}",
            "does {d} [divide|go into|fit into] {n} evenly",
        ),
        raw=(
            "is {n} [divisible by|a multiple of|evenly divisible by|exactly divisible by] {d}",
            "does {d} divide {n} [evenly|exactly|]",
            "does {d} [go|fit] into {n} [evenly|exactly|without a remainder]",
            "can {n} be divided by {d} [evenly|without a remainder|with nothing left]",
            "is {d} a [divisor|factor] of {n}",
            "does {n} have {d} as a [factor|divisor]",
            "{n}: [divisible by|a multiple of] {d}",
            "{n} divisible by {d}",
            "{n} % {d} == 0",
            "can {n} [sweets|coins|people] be split evenly into {d} groups",
            "is {n} / {d} a whole number",
            "does {n} leave no remainder when divided by {d}",
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
            "[say|decide|tell me] which {n} is, [even or odd|odd or even]",
            "[classify|label|mark] {n} as [even or odd|odd or even]",
            "[check|see] [if|whether] {n} is an [even or an odd|odd or an even] number",
            "[check|see] [if|whether] {n} is an [even|odd] number",
        ),
        question=(
            "[if|whether] {n} is [even or odd|odd or even|even|odd]",
            "[if|whether] {n} is an [even|odd] number",
            "[if|whether] {n} is an [even or an odd|odd or an even] number",
            "is {n} [even or odd|odd or even|an even number|an odd number]",
            "which {n} is, [even or odd|odd or even]",
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
            "would you call {n} [even or odd|odd or even|even|odd]",
            "I have {n} [socks|gloves|shoes]. Is that an [even or an odd|odd or an even] number",
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
            "the factorial for {n}",
            "the product of all [the|] [numbers|integers|whole numbers] from 1 to {n}",
            "the product of the [numbers|integers] [from 1 through|between 1 and|from 1 up to] {n}",
            "the number of [permutations|orders|arrangements] of {n} [things|books|people|items|objects]",
            "the number of ways to [arrange|order|line up] {n} [things|books|people|items]",
            "1 * 2 * ... * {n}",
        ),
        verb=(
            "take the factorial of {n}",
            "[compute|calculate|work out|find|get|evaluate] {n} factorial",
            "[compute|calculate|work out|find|get] [the|] factorial [of|for] {n}",
            "[compute|calculate|evaluate|expand] {n}!",
            "multiply all [the numbers|numbers|integers|whole numbers] from 1 to {n}",
            "multiply [the numbers|all numbers|every number] from 1 [up to|through] {n} together",
            "multiply 1 by 2 by 3 and so on up to {n}",
            "count the [permutations|orderings|arrangements] of {n} [things|items|books|people]",
            "count the ways to [arrange|order|line up] {n} [things|items|books|people]",
            "[say|see] what {n} factorial [is|gives|makes]",
        ),
        question=(
            "what {n} factorial [is|makes|gives|equals|comes to]",
            "what is {n} factorial",
            "what the factorial [of|for] {n} is",
            "how much {n}! is",
            "how much is {n} factorial",
            "how [large|big] the factorial of {n} is",
            "how [large|big] {n} factorial is",
            "what {n}! [is|makes|equals]",
            "what [you|we|I] get for the factorial of {n}",
            "how many ways [there are|] to [arrange|order|line up] {n} [books|things|items|people]",
            "in how many [ways|orders] {n} [books|people|things|cards] can [be arranged|be ordered|stand in a row]",
            "how many [permutations|orderings] {n} [things|items|cards] have",
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
            "{n}: [factorial|take the factorial|the factorial please]",
            "{n} factorial [equals|is|makes] [what|how much]",
            "{n} [people|guests|runners] stand in a row. In how many orders [can they stand|is that possible]",
            "1 * 2 * 3 * ... * {n} = ?",
            "permutations of {n} [things|items|cards]",
        ),
    )


def root(draw: Draw) -> Exercise:
    cube = draw.chance(0.25)
    power = 3 if cube else 2
    n = small(draw, 400) ** power if draw.chance(0.5) else whole(draw, 1, 6)
    grammar = "[cube|cubic|third|3rd]" if cube else "[square|square|]"
    power_word = "[cubed|to the third]" if cube else "squared"
    own = (
        (
            "[cbrt|cuberoot]({n})",
            "cbrt {n}",
            "cbrt of {n}",
            "∛{n}",
            "a cube has a volume of {n}. How long is its edge",
            "which number cubed is {n}",
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
            "a square has an area of {n}. How long is [its side|one side]",
            "which number squared is {n}",
            "which number times itself is {n}",
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
            f"the {grammar} root for {{n}}",
            f"[the value|the result] of the {grammar} root of {{n}}",
            f"the number whose {'cube' if cube else 'square'} [is|equals] {{n}}",
            f"the number that, {power_word}, [gives|is|makes] {{n}}",
            *(
                ("cbrt({n})", "the cbrt of {n}", "∛{n}", "the edge of a cube with [a volume of|volume] {n}")
                if cube
                else (
                    "sqrt({n})",
                    "the sqrt of {n}",
                    "√{n}",
                    "the side of a square with [an area of|area] {n}",
                    "the number that times itself [gives|is|makes] {n}",
                )
            ),
        ),
        verb=(
            f"[take|find|get|compute|extract|draw] the {grammar} root of {{n}}",
            f"[work out|calculate|determine|evaluate] the {grammar} root [of|for] {{n}}",
            f"[find|get] the number whose {'cube' if cube else 'square'} is {{n}}",
            f"[say|see] what the {grammar} root of {{n}} is",
            *(
                ("take the cbrt of {n}", "find the edge of a cube of volume {n}")
                if cube
                else ("take the sqrt of {n}", "square-root {n}", "find the side of a square of area {n}")
            ),
        ),
        question=(
            f"what the {grammar} root of {{n}} [is|equals|comes to]",
            f"how much the {grammar} root of {{n}} is",
            f"what is the {grammar} root of {{n}}",
            f"how much is the {grammar} root of {{n}}",
            f"how [large|big] the {grammar} root of {{n}} is",
            f"what [you|we|I] get for the {grammar} root of {{n}}",
            f"what number has {{n}} as its {'cube' if cube else 'square'}",
            f"which number {power_word} [gives|is|makes] {{n}}",
            f"what has to be {'cubed' if cube else 'squared'} to get {{n}}",
            *(
                ("how long the edge of a cube with volume {n} is",)
                if cube
                else (
                    "how long the side of a square with area {n} is",
                    "which number times itself [gives|is|makes] {n}",
                )
            ),
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
            f"the {grammar[1]} you get from {{n}}",
            f"the number {{n}} {grammar[0]}",
            f"the result of {grammar[1][:-1]}ing {{n}}",
            *(
                ("{n}³", "the volume of a cube with [side|an edge of|edge] {n}", "{n} to the third")
                if cube
                else (
                    "{n} times itself",
                    "{n}²",
                    "{n} multiplied by itself",
                    "the area of a square with [side|a side of|sides of] {n}",
                    "the product of {n} and itself",
                )
            ),
        ),
        verb=(
            f"{grammar[1]} {{n}}",
            f"{grammar[1]} the number {{n}}",
            f"[take|find|compute|get] the {grammar[1]} of {{n}}",
            f"[say|see] what {{n}} {grammar[0]} is",
            f"[work out|calculate|evaluate] {{n}} {grammar[0]}",
            f"take {{n}} and {grammar[1]} it",
            *(
                ("find the volume of a cube with edge {n}", "raise {n} to the third")
                if cube
                else (
                    "multiply {n} by itself",
                    "multiply {n} with itself",
                    "take {n} times itself",
                    "find the area of a square with side {n}",
                )
            ),
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
                ("how large the volume of a cube with edge {n} is",)
                if cube
                else (
                    "what {n} times itself [is|makes|gives]",
                    "what [you|we|I] get when [you|we|I] multiply {n} by itself",
                    "how large the area of a square with side {n} is",
                )
            ),
        ),
        raw=(
            f"{{n}} {grammar[0]}",
            f"{grammar[1]} of {{n}}",
            f"{grammar[1]}: {{n}}",
            f"{{n}}, {grammar[0]}",
            f"{{n}}: {grammar[1]} it",
            f"{{n}} {grammar[0]} [equals|is|makes] [what|how much]",
            f"{grammar[1]}({{n}})",
            *(
                ("{n}³ = ?", "a cube has an edge of {n}. What is its volume")
                if cube
                else ("{n}² = ?", "{n} times itself", "a square has a side of {n}. What is its area")
            ),
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
        "[smallest|lowest|least|first] [number|positive number|integer] [that both {a} and {b} divide|divisible by both {a} and {b}|that is a multiple of both {a} and {b}|that {a} and {b} both go into]"
        if least
        else "[largest|biggest|greatest|highest] [number|integer|whole number] [that divides both {a} and {b}|dividing both {a} and {b}|that goes into both {a} and {b}|by which both {a} and {b} can be divided]"
    )
    shared = (
        "[smallest|least|lowest|first] multiple [that|which] {a} and {b} [share|have in common]"
        if least
        else "[largest|greatest|biggest|highest] [divisor|factor] [that|which] {a} and {b} [share|have in common]"
    )
    story = (
        (
            "one bus comes every {a} minutes and another every {b}. After how many minutes do they first come together again",
            "a light blinks every {a} seconds and another every {b} seconds. After how many seconds do they next blink together",
        )
        if least
        else (
            "I have {a} apples and {b} pears and want equal baskets with nothing left. What is the largest number of baskets",
            "two boards are {a} and {b} cm long. What is the longest length that cuts both without waste",
        )
    )
    return Exercise(
        family="gcd",
        slots={"a": str(a), "b": str(b)},
        number=True,
        code=f"import math; print(math.{name}({a}, {b}))",
        noun=(
            f"the {long} of {{a}} and {{b}}",
            f"the {long} [for|between|shared by] {{a}} and {{b}}",
            f"the {long} of [the numbers|the pair|the two numbers] {{a}} and {{b}}",
            f"the {title} of {{a}} and {{b}}",
            f"the {title} [for|between] {{a}} and {{b}}",
            f"the {title} of [the numbers|the pair] {{a}} and {{b}}",
            f"the {described}",
            f"the {shared}",
            f"{name}({{a}}, {{b}})",
        ),
        verb=(
            f"[find|get|compute|take|determine] the {long} of {{a}} and {{b}}",
            f"[find|get|compute|take|determine] the {title} of {{a}} and {{b}}",
            f"[find|get|determine|name] the {described}",
            f"[find|get|determine|name] the {shared}",
            f"take {{a}} and {{b}} and [find|get] their {long}",
            f"take {{a}} and {{b}} and [find|get] their {title}",
            f"[say|see] what the {long} of {{a}} and {{b}} is",
        ),
        question=(
            f"what the {long} of {{a}} and {{b}} is",
            f"what is the {long} of {{a}} and {{b}}",
            f"what the {title} of {{a}} and {{b}} is",
            f"what is the {title} of {{a}} and {{b}}",
            f"which [number is|is] the {long} of {{a}} and {{b}}",
            f"what {long} {{a}} and {{b}} have",
            f"what the {described} is",
            f"which is the {shared}",
            f"what is the {shared}",
            "what the smallest number is that both {a} and {b} divide"
            if least
            else "what the largest number is that divides both {a} and {b}",
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
            f"{shared}",
            f"math.{name}({{a}}, {{b}})",
            *story,
        ),
    )


BASES = {"binary": ("0b", 2, "bin"), "hexadecimal": ("0x", 16, "hex"), "octal": ("0o", 8, "oct")}
BASE_WORDS = {
    "binary": "[binary|base 2|base two|the binary system|binary notation|the base 2 system]",
    "hexadecimal": "[hexadecimal|hex|base 16|base sixteen|the hexadecimal system|hex notation|hexadecimal notation]",
    "octal": "[octal|base 8|base eight|the octal system|octal notation|the base 8 system]",
}
BASE_DIGITS = {
    "binary": "[binary digits|zeros and ones|ones and zeros|binary digits]",
    "hexadecimal": "[hexadecimal digits|hex digits]",
    "octal": "[octal digits|the digits 0 to 7]",
}
BASE_NAMES = {"binary": "[binary|base 2]", "hexadecimal": "[hexadecimal|hex|base 16]", "octal": "[octal|base 8]"}
ARTICLES = {"binary": "a", "hexadecimal": "a", "octal": "an"}


def to_base(draw: Draw) -> Exercise:
    base = draw.pick(["binary", "binary", "hexadecimal", "octal"])
    n = whole(draw, 1, 5)
    words, digits, called, article = BASE_WORDS[base], BASE_DIGITS[base], BASE_NAMES[base], ARTICLES[base]
    return Exercise(
        family="bases",
        slots={"n": shown(draw, n)},
        code=f"print({BASES[base][2]}({n}))",
        noun=(
            f"{{n}} in {words}",
            f"the {called} [form|representation|version|notation|value|equivalent|code] of {{n}}",
            f"{{n}} as {article} {base} number",
            f"{{n}} as {base}",
            f"{{n}} [converted to|written in|expressed in|put into|translated to|shown in] {words}",
            f"{{n}} [written|expressed] [in|with|using] {digits}",
            f"the [conversion|translation] of {{n}} [to|into] {words}",
            f"the [decimal|] number {{n}} in {words}",
            f"the {called} number [for|equal to] {{n}}",
        ),
        verb=(
            f"convert {{n}} [to|into] {words}",
            f"[write|express|represent|show|print|give me] {{n}} in {words}",
            f"[turn|bring|put] {{n}} into {words}",
            f"[change|translate|transform] {{n}} [to|into] {words}",
            f"convert the [decimal|decimal number|number] {{n}} to {words}",
            f"convert {{n}} from decimal to {words}",
            f"[write|express|encode] {{n}} [in|with|using] {digits}",
            f"make {article} {base} number [of|out of] {{n}}",
            f"[give me|find|get] the {called} [form|representation|equivalent] of {{n}}",
            f"go from decimal {{n}} to {words}",
        ),
        question=(
            f"what {{n}} is in {words}",
            f"what is {{n}} in {words}",
            f"how {{n}} [looks|is written|is expressed|is represented] in {words}",
            f"how [to|you|I] write {{n}} in {words}",
            f"how {{n}} is written [with|in|using] {digits}",
            f"what the {called} [form|representation|equivalent|version] of {{n}} is",
            f"what {{n}} [becomes|turns into|gives] in {words}",
            f"which {base} number {{n}} [corresponds to|is equal to|gives]",
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
    ten = "[decimal|base 10|base ten|the decimal system|a decimal number|decimal notation]"
    return Exercise(
        family="bases",
        slots={"n": slot},
        code=f"print(int('{slot}', {radix}))",
        number=True,
        noun=(
            f"the {called} number {{n}} in {ten}",
            f"[the decimal value|the decimal form|the value|the decimal equivalent] of [the|] {called} number {{n}}",
            f"[the decimal value|the decimal form|the decimal equivalent] of {called} {{n}}",
            f"{{n}} [from|converted from|translated from] {words} [to|into] {ten}",
            f"{base} {{n}} [in|as|converted to|written in] {ten}",
            f"the [decimal number|number] that {called} {{n}} [stands for|represents|means]",
            f"{{n}} read as {article} {base} number",
            f"the {base} {{n}}, but in {ten}",
            f"the conversion of {called} {{n}} to {ten}",
        ),
        verb=(
            f"convert [the|] {called} [number|] {{n}} [to|into] {ten}",
            f"convert {{n}} from {words} to {ten}",
            f"convert {{n}}, [which is in|given in|written in] {words}, to {ten}",
            f"turn [the|] {base} [number|value|] {{n}} into {ten}",
            f"[write|express|show|give me] the {called} number {{n}} [in|as] {ten}",
            f"[read|interpret] {{n}} as {article} {base} number",
            f"[change|translate|bring] {{n}} from {words} to {ten}",
            f"[decode|decipher] the {called} number {{n}}",
            f"[give me|find|get] the decimal [value|equivalent|form] of {called} {{n}}",
            f"go from {called} {{n}} to {ten}",
        ),
        question=(
            f"what [the|] {called} [number|] {{n}} is in {ten}",
            f"what is [the|] {called} [number|] {{n}} in {ten}",
            f"how much {called} {{n}} is in {ten}",
            f"what number {called} {{n}} [stands for|represents|means]",
            f"which decimal number {called} {{n}} [is|corresponds to|equals|stands for]",
            f"how [the|] {base} [number|] {{n}} [looks|is written] in {ten}",
            f"what the decimal [value|equivalent|form] of {called} {{n}} is",
            f"what {{n}} [means|is worth] if [it|that] is {article} {base} number",
            f"how to read the {base} number {{n}} in {ten}",
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
                "[all numbers|the numbers|the integers|all integers|every number|all whole numbers|the whole numbers|each number|all the numbers|the natural numbers]",
                f"print(sum(range(1, {n} + 1)))",
                (
                    "1 + 2 + ... + {n}",
                    "1 + 2 + 3 + ... + {n} = ?",
                    "[sum|add up|total of|add] 1 to {n}",
                    "1 to {n}, [summed|added up|all added up]",
                    "the {n}th triangular number",
                    "sum of the first {n} [numbers|natural numbers|positive integers]",
                    "start at 1 and keep adding the next number until {n}. What is the total",
                ),
            ),
            (
                "[all even numbers|the even numbers|even numbers|every even number|all the even numbers|only the even numbers|each even number|all even integers]",
                f"print(sum(range(2, {n} + 1, 2)))",
                (
                    "2 + 4 + 6 + ... up to {n}",
                    "add up every second number from 2 up to {n}",
                    "of the numbers from 1 to {n}, add only the even ones",
                    "from 1 to {n}, what do the even ones add up to",
                ),
            ),
            (
                "[all odd numbers|the odd numbers|odd numbers|every odd number|all the odd numbers|only the odd numbers|each odd number|all odd integers]",
                f"print(sum(range(1, {n} + 1, 2)))",
                (
                    "1 + 3 + 5 + ... up to {n}",
                    "add up every second number from 1 up to {n}",
                    "of the numbers from 1 to {n}, add only the odd ones",
                    "from 1 to {n}, what do the odd ones add up to",
                ),
            ),
            (
                "[the squares|all squares|the squares of the numbers|the squares of all numbers|the squared numbers|the squares of the integers]",
                f"print(sum(i ** 2 for i in range(1, {n} + 1)))",
                (
                    "1² + 2² + ... + {n}²",
                    "1^2 + 2^2 + 3^2 + ... + {n}^2",
                    "square every number from 1 to {n} and add [them|the squares] up",
                    "the numbers from 1 to {n}, each squared, then summed",
                    "sum of i squared for i from 1 to {n}",
                ),
            ),
            (
                "[the cubes|all cubes|the cubes of the numbers|the cubes of all numbers|the cubed numbers|the cubes of the integers]",
                f"print(sum(i ** 3 for i in range(1, {n} + 1)))",
                (
                    "1³ + 2³ + ... + {n}³",
                    "1^3 + 2^3 + 3^3 + ... + {n}^3",
                    "cube every number from 1 to {n} and add [them|the cubes] up",
                    "the numbers from 1 to {n}, each cubed, then summed",
                    "sum of i cubed for i from 1 to {n}",
                ),
            ),
        ]
    )
    span = "[from 1 to {n}|from one to {n}|between 1 and {n}|up to {n}|from 1 up to {n}|from 1 through {n}|from 1 until {n}|1 to {n}]"
    return Exercise(
        family="numbers",
        slots={"n": str(n)},
        number=True,
        code=code,
        noun=(
            f"the [sum|total|grand total|overall sum] of {what} {span}",
            f"the [sum|total] of {what}, {span}",
            f"[the result|the value] of adding {what} {span}",
            f"[the result|the outcome] of summing {what} {span}",
            f"{what} {span} added [up|together]",
            f"{what} {span}, [summed|in total|all added up]",
            f"the sum that {what} {span} give",
        ),
        verb=(
            f"[add|add up|sum|sum up|total] {what} {span}",
            f"[add|sum] {what} {span} together",
            f"[add|sum] together {what} {span}",
            f"take {what} {span} and [add them up|sum them|add them together|find their sum]",
            f"[find|get|take|form] the [sum|total] of {what} {span}",
            f"[say|see] what {what} {span} add up to",
        ),
        question=(
            f"what {what} {span} [add up to|sum to|sum up to|make together|come to in total]",
            f"what the [sum|total] of {what} {span} is",
            f"what is the [sum|total] of {what} {span}",
            f"what you get when you [add|add up|sum|add together] {what} {span}",
            f"how much {what} {span} [make|are] [in total|together|altogether]",
            f"how large the sum of {what} {span} is",
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
            "[all primes|the primes|all prime numbers|the prime numbers|every prime|all the primes] [up to|below|under|until|from 1 to|between 1 and|not exceeding|no larger than] {n}",
            "[a|the] list of [primes|prime numbers] [up to|from 2 to|until|between 1 and] {n}",
            "[all primes|the primes|all prime numbers] [that lie|that exist|that there are] [between 1 and|up to|below] {n}",
            "[all|the] numbers [up to|between 1 and|from 1 to] {n} that are [prime|primes]",
            "the [primes|prime numbers] in the range [from 1 to|up to] {n}",
        ),
        verb=(
            "[list|print|find|show|name|generate|collect|write down] [all primes|the primes|all prime numbers|the prime numbers] [up to|below|under|until|between 1 and|from 1 to] {n}",
            "[list|find|name|give me] every prime [up to|below|between 1 and|no larger than] {n}",
            "make a list of [all|the|] [primes|prime numbers] [up to|until|from 1 to] {n}",
            "go through the numbers up to {n} and [list|keep|show] the [primes|prime ones]",
            "sieve the primes up to {n}",
        ),
        question=(
            "which [primes|prime numbers] [there are|exist|are] [up to|below|between 1 and] {n}",
            "what the [primes|prime numbers] [up to|below|between 1 and] {n} are",
            "what are the [primes|prime numbers] [up to|below|between 1 and] {n}",
            "which numbers [up to|from 1 to|between 1 and] {n} are [prime|primes|prime numbers]",
            "which [primes|prime numbers] lie [between 1 and|below] {n}",
            "which [primes|prime numbers] are [not larger|no larger|not bigger] than {n}",
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
            "Fibonacci number [no.|#|number] {n}",
            "the Fibonacci number [number|at position|with index|in place] {n}",
            "fibonacci({n})",
            "the {n}th [number|term|element|member] [of|in] the Fibonacci [sequence|series|numbers]",
            "[number|term|element|entry] {n} [of|in] the Fibonacci [sequence|series]",
            "the {n}th Fibonacci [term|value]",
            "F({n}) of the Fibonacci [sequence|series]",
        ),
        verb=(
            "[find|get|compute|calculate|determine] the {n}th [Fibonacci number|term of the Fibonacci sequence|number in the Fibonacci series]",
            "[find|get|compute|give me] Fibonacci number {n}",
            "go {n} steps [along|through] the Fibonacci sequence",
            "[find|give me] the Fibonacci number at [position|index|place] {n}",
            "run the Fibonacci [sequence|series] to its {n}th [term|number]",
        ),
        question=(
            "what the {n}th Fibonacci number is",
            "what is the {n}th Fibonacci number",
            "what Fibonacci number {n} is",
            "which number is the {n}th [in|of] the Fibonacci [sequence|series]",
            "which number [stands|comes|is] at [position|place] {n} [of|in] the Fibonacci [sequence|series]",
            "what the {n}th [term|number|element] of the Fibonacci [sequence|series] is",
            "how [large|big] the {n}th Fibonacci number is",
        ),
        raw=(
            "fibonacci {n}",
            "fib({n})",
            "fib {n}",
            "fibonacci({n})",
            "{n}th fibonacci number",
            "{n}th [term|number] of the Fibonacci [sequence|series]",
            "fibonacci [number|no.|index|position]: {n}",
            "Fibonacci sequence, [position|term|number] {n}",
            "Fibonacci: the {n}th [one|number|term]",
        ),
    )


def larger(draw: Draw) -> Exercise:
    smaller = draw.chance(0.35)
    a, b = (decimal(draw), decimal(draw)) if draw.chance(0.4) else (str(whole(draw, 3, 7)), str(whole(draw, 3, 7)))
    words = "[smaller|less|lower]" if smaller else "[larger|bigger|greater|higher|more]"
    noun = "the [smaller|lesser|lower]" if smaller else "the [larger|bigger|greater|higher]"
    top = "[minimum|min]" if smaller else "[maximum|max]"
    most = "[smallest|lowest]" if smaller else "[largest|biggest|highest|greatest]"
    function = "min" if smaller else "max"
    return Exercise(
        family="numbers",
        slots={"a": a, "b": b},
        number=True,
        code=f"print({function}({a}, {b}))",
        noun=(
            f"{noun} of {{a}} and {{b}}",
            f"{noun} [number|one|value] of {{a}} and {{b}}",
            f"{noun} of the [two|two numbers|pair] {{a}} and {{b}}",
            f"{noun} [number|value]: {{a}} or {{b}}",
            f"the {top} of {{a}} and {{b}}",
            f"the {most} of the two, {{a}} and {{b}}",
            f"{noun} [number|value] out of {{a}} and {{b}}",
            f"{function}({{a}}, {{b}})",
        ),
        verb=(
            f"compare {{a}} and {{b}} and [tell me|say|see] which is {words}",
            f"compare {{a}} [with|to] {{b}} and [name|give me|return] {noun} [one|number|]",
            f"[find|pick|choose|take|name] {noun} of {{a}} and {{b}}",
            f"[find|pick|choose|take|name] {noun} [number|one|value]: {{a}} or {{b}}",
            f"[find|take|get] the {top} of {{a}} and {{b}}",
            f"[decide|check|see] which is {words}, {{a}} or {{b}}",
            f"[decide|check|see] which of {{a}} and {{b}} is {words}",
            f"look at {{a}} and {{b}} and [pick|name] {noun}",
        ),
        question=(
            f"which is {words}, {{a}} or {{b}}",
            f"which [number|one|value] is {words}: {{a}} or {{b}}",
            f"which of {{a}} and {{b}} is {words}",
            f"which of the two is {words}, {{a}} or {{b}}",
            f"which of {{a}} and {{b}} is {noun} [one|number|]",
            f"which is {noun} [one|number|], {{a}} or {{b}}",
            f"what the {top} of {{a}} and {{b}} is",
            f"what is {noun} of {{a}} and {{b}}",
            f"which one is the {most} of {{a}} and {{b}}",
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
            (
                "one shop asks {a} and the other {b}. What is the [lower|cheaper] price"
                if smaller
                else "Ann has {a} points and Ben has {b}. What is the [higher|winning] score"
            ),
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
                "{n} without decimals, rounded",
                "{n} to the nearest [one|unit|integer|whole number]",
                "{n} rounded [off|to zero decimals|to 0 decimal places]",
            ),
            verb=(
                "round {n}",
                "round {n} [off|to the nearest integer|to the nearest whole number|to a whole number|to an integer]",
                "round off {n} [|to the nearest integer|to a whole number]",
                "round {n} to [zero decimals|0 decimals|no decimals|0 decimal places]",
                "make {n} a whole number by rounding",
                "[find|give me|get] the [nearest|closest] [integer|whole number] to {n}",
                "[find|give me|get] the [integer|whole number] [closest|nearest] to {n}",
                "round the number {n} to the nearest [one|unit]",
            ),
            question=(
                "what {n} is rounded to [the nearest integer|the nearest whole number|a whole number|an integer]",
                "what {n} rounds to",
                "what is {n} rounded [off|to a whole number|to the nearest integer]",
                "which [integer|whole number] is [nearest|closest] to {n}",
                "which [integer|whole number] {n} [rounds to|is closest to|is nearest to]",
                "how much {n} is when rounded to [a whole number|the nearest integer]",
            ),
            raw=(
                "round({n})",
                "{n} rounded",
                "round: {n}",
                "{n}: [round it|nearest integer|nearest whole number|to a whole number]",
                "{n} to the nearest [integer|whole number]",
                "{n}, [nearest whole number|rounded off|as a whole number]",
                "[nearest|closest] [integer|whole number] to {n}",
                "the bill is {n}. Round it to a whole number",
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
            "{n} [with|rounded to|given to] {d} [digits|places] after the [decimal point|point|comma]",
            "{n} [with|rounded to] [only|just|] {d} decimals",
            "{n} [with|to] {d}-digit precision after the decimal point",
            "the value of {n} to {d} [decimals|decimal places]",
            "the number {n} rounded to {d} [decimals|decimal places]",
        ),
        verb=(
            f"round {{n}} [|off] to {{d}} {unit}",
            f"round off {{n}} to {{d}} {unit}",
            "[cut|shorten|trim] {n} to {d} [decimals|decimal places]",
            "round {n} to {d} [digits|places] after the [decimal point|point|comma]",
            "round {n} so that {d} decimals remain",
            "[write|give|show] {n} [to|with] {d} [decimals|decimal places]",
            "keep [only|just] {d} [decimals|decimal places] of {n}",
            "to {d} [decimals|decimal places], round {n}",
        ),
        question=(
            "what {n} is rounded to {d} [decimals|decimal places|places]",
            "what is {n} rounded to {d} [decimals|decimal places]",
            "what {n} is [to|with] {d} [decimals|decimal places]",
            "how much {n} is [to|when rounded to] {d} [decimals|decimal places]",
            "how {n} looks [with|rounded to|to] {d} [decimals|decimal places]",
            "what {n} [rounds to|becomes] [at|with] {d} [decimals|decimal places]",
        ),
        raw=(
            "round {n} to {d} [decimals|places]",
            "{n}, {d} [decimals|decimal places]",
            "{n}: [round to|rounded to|to] {d} [decimals|decimal places]",
            "{n} to {d} decimals",
            "{d} [decimals|decimal places] of {n}, rounded",
            "{n}. Round it to {d} [decimals|decimal places|places]",
            "I measured {n} but need only {d} decimals",
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
