"""Lists of numbers and of words: order, extremes, sums, averages."""

from collections.abc import Callable
from dataclasses import dataclass

from ..draw import Draw
from ..exercise import Exercise, says
from ..values import decimal, small, whole, word

THINGS = "[the list|the numbers|these numbers|this list|the following numbers|these values|the values|this list of numbers|these|the following list|the data|my numbers]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTask:
    family: str
    code: str  # of {l}
    answer: str
    nouns: tuple[str, ...] = ()  # continued by " of {l}"
    verbs: tuple[str, ...] = ()  # continued by " {l}"
    questions: tuple[str, ...] = ()
    number: bool = True


TASKS = (
    ListTask(
        family="list sort",
        code="print(sorted({l}))",
        answer="Sorted: {out}.",
        number=False,
        nouns=("the sorted version", "the sorted order", "the ascending order"),
        verbs=(
            "sort",
            "order",
            "put in order",
            "sort in ascending order",
            "sort from [smallest to largest|low to high|lowest to highest]",
            "arrange in [ascending|increasing] order",
            "arrange from [smallest to largest|low to high]",
            "rank from lowest to highest",
        ),
        questions=("how {l} looks [sorted|when sorted|in order]", "what {l} is in [order|ascending order]"),
    ),
    ListTask(
        family="list sort",
        code="print(sorted({l}, reverse=True))",
        answer="Sorted: {out}.",
        number=False,
        nouns=("the descending order", "the descending version"),
        verbs=(
            "sort descending",
            "sort in [descending|decreasing|reverse] order",
            "sort from [largest to smallest|high to low|highest to lowest|biggest to smallest]",
            "order from [high to low|largest to smallest|highest to lowest]",
            "arrange in [descending|decreasing] order",
            "rank from highest to lowest",
        ),
        questions=("what {l} is in [descending|decreasing] order",),
    ),
    ListTask(
        family="list mean",
        code="print(sum({l}) / len({l}))",
        answer="The average is {out}.",
        nouns=("the average", "the mean", "the arithmetic mean", "the average value", "the mean value"),
        verbs=("average", "take the [average|mean] of", "calculate the [mean|average] of", "find the [mean|average] of"),
        questions=("what {l} [averages to|is on average]", "what the [average|mean] of {l} is", "how much {l} is on average"),
    ),
    ListTask(
        family="list median",
        code="import statistics; print(statistics.median({l}))",
        answer="The median is {out}.",
        nouns=("the median", "the median value", "the middle value"),
        verbs=("find the [median|middle value] of", "take the median of", "calculate the median of"),
        questions=("what the [median|middle value] of {l} is", "which value is in the middle of {l}"),
    ),
    ListTask(
        family="list max",
        code="print(max({l}))",
        answer="The largest is {out}.",
        nouns=(
            "the [largest|biggest|greatest|highest] [number|value|element|one]",
            "the maximum",
            "the max",
            "the [largest|biggest|highest]",
        ),
        verbs=(
            "find the [largest|biggest|highest|greatest] [number|value] [in|of]",
            "find the maximum [in|of]",
            "pick the [largest|biggest] [of|from]",
        ),
        questions=(
            "which [number|one|value] is the [largest|biggest|highest|greatest] [in|of] {l}",
            "what the [maximum|largest number|biggest number] [in|of] {l} is",
        ),
    ),
    ListTask(
        family="list min",
        code="print(min({l}))",
        answer="The smallest is {out}.",
        nouns=("the [smallest|least|lowest] [number|value|element|one]", "the minimum", "the min", "the [smallest|lowest]"),
        verbs=(
            "find the [smallest|lowest] [number|value] [in|of]",
            "find the minimum [in|of]",
            "pick the [smallest|lowest] [of|from]",
        ),
        questions=(
            "which [number|one|value] is the [smallest|lowest] [in|of] {l}",
            "what the [minimum|smallest number|lowest number] [in|of] {l} is",
        ),
    ),
    ListTask(
        family="list sum",
        code="print(sum({l}))",
        answer="The sum is {out}.",
        nouns=("the sum", "the total", "the sum total"),
        verbs=("add up", "sum", "sum up", "total", "add", "add together", "[take|find|calculate] the [sum|total] of"),
        questions=(
            "what {l} [add up to|sum to|make together]",
            "how much {l} is [in total|together|altogether]",
            "what the [sum|total] of {l} is",
        ),
    ),
    ListTask(
        family="list product",
        code="import math; print(math.prod({l}))",
        answer="The product is {out}.",
        nouns=("the product",),
        verbs=("multiply", "multiply together", "[take|find|calculate] the product of", "multiply all of"),
        questions=("what {l} multiply to", "what the product of {l} is"),
    ),
    ListTask(
        family="list count",
        code="print(len({l}))",
        answer="There are {out}.",
        nouns=("the [number|count] of [elements|items|numbers|values] in", "the length", "the size"),
        verbs=("count", "count the [numbers|elements|items|values] in"),
        questions=(
            "how many [numbers|elements|items|values] are in {l}",
            "how long {l} is",
            "how many [numbers|elements|values] there are in {l}",
        ),
    ),
    ListTask(
        family="list range",
        code="print(max({l}) - min({l}))",
        answer="The range is {out}.",
        nouns=(
            "the range",
            "the spread",
            "the difference between the [largest and smallest|biggest and smallest|highest and lowest]",
        ),
        verbs=("find the range of", "calculate the [range|spread] of", "subtract the smallest from the largest of"),
        questions=("what the [range|spread] of {l} is",),
    ),
    ListTask(
        family="list unique",
        code="print(sorted(set({l})))",
        answer="Without duplicates: {out}.",
        number=False,
        nouns=("the [unique|distinct|different] [values|numbers|elements]",),
        verbs=(
            "remove [the duplicates|duplicates|repeats] from",
            "drop [the duplicates|duplicates] [from|in]",
            "deduplicate",
            "list the [unique|distinct] [values|numbers] [of|in]",
        ),
        questions=("which [unique|distinct|different] [numbers|values] are in {l}", "what {l} is without [duplicates|repeats]"),
    ),
    ListTask(
        family="list reverse",
        code="print({l}[::-1])",
        answer="Reversed: {out}.",
        number=False,
        nouns=("the reverse",),
        verbs=("reverse", "turn around", "flip", "reverse the order of", "list backwards"),
        questions=("what {l} is [backwards|reversed|in reverse]",),
    ),
)


def numbers(draw: Draw) -> Exercise:
    return about(draw, draw.pick(TASKS))


def about(draw: Draw, task: ListTask) -> Exercise:
    items = number_items(draw, repeats=task.family == "list unique")
    listed = written(draw, items)
    spot = [f"{THINGS} {{l}}", f"{THINGS}: {{l}}", "{l}", "{l}"]
    joint = " " if task.nouns and task.nouns[0].endswith(" in") else " of "
    noun = tuple(f"{noun}{' ' if noun.endswith(' in') else joint}{where}" for noun in task.nouns for where in spot)
    verb = tuple(f"{verb} {where}" for verb in task.verbs for where in spot)
    raw = (
        *(f"{{l}}: {noun}" for noun in task.nouns if not noun.endswith(" in")),
        *(
            f"{{l}}. {verb} [them|these]"
            for verb in task.verbs
            if " of" not in verb and " in" not in verb and " from" not in verb
        ),
        *(f"{noun.removeprefix('the ')} of {{l}}" for noun in task.nouns if not noun.endswith(" in")),
        *(f"{verb}: {{l}}" for verb in task.verbs if " of" not in verb and " from" not in verb),
    )
    questions = tuple(text.replace("{l}", where) for text in task.questions for where in spot)
    return Exercise(
        family=task.family,
        slots={"l": listed, "short": listed},
        code=task.code.replace("{l}", f"[{', '.join(items)}]"),
        answer=says(task.answer),
        noun=noun,
        verb=verb,
        question=questions,
        raw=raw,
        number=task.number,
        again=lambda again: about(again, task),
    )


def number_items(draw: Draw, *, repeats: bool) -> list[str]:
    count = draw.between(3, 8)
    if repeats:
        pool = [str(whole(draw, 1, 2)) for _ in range(max(2, count // 2))]
        return [draw.pick(pool) for _ in range(count)]
    digits = draw.between(1, 4)
    return [decimal(draw) if digits == 4 and draw.chance(0.4) else str(whole(draw, 1, digits)) for _ in range(count)]


def written(draw: Draw, items: list[str]) -> str:
    """A list as people type one."""
    match draw.between(0, 7):
        case 0:
            return f"[{', '.join(items)}]"
        case 1:
            return f"{', '.join(items[:-1])} and {items[-1]}"
        case 2:
            return f"{', '.join(items[:-1])}, and {items[-1]}"
        case 3:
            return " ".join(items)
        case 4:
            return ",".join(items)
        case 5:
            return "; ".join(items)
        case _:
            return ", ".join(items)


WORD_TASKS = (
    ListTask(
        family="words sort",
        code="print(sorted({l}))",
        answer="Sorted: {out}.",
        number=False,
        nouns=("the alphabetical order",),
        verbs=(
            "sort",
            "sort alphabetically",
            "alphabetize",
            "put in alphabetical order",
            "order alphabetically",
            "arrange [alphabetically|in alphabetical order|from A to Z]",
        ),
        questions=("what the alphabetical order of {l} is",),
    ),
    ListTask(
        family="words longest",
        code="print(max({l}, key=len))",
        answer="The longest is {out}.",
        number=False,
        nouns=("the longest [word|one|]",),
        verbs=("find the longest [word|] [of|in|among]", "pick the longest [of|from]"),
        questions=("which [word|one] is the longest [of|in|among] {l}", "which of {l} is the longest"),
    ),
    ListTask(
        family="words longest",
        code="print(min({l}, key=len))",
        answer="The shortest is {out}.",
        number=False,
        nouns=("the shortest [word|one|]",),
        verbs=("find the shortest [word|] [of|in|among]", "pick the shortest [of|from]"),
        questions=("which [word|one] is the shortest [of|in|among] {l}", "which of {l} is the shortest"),
    ),
)
WORD_THINGS = [
    "[the words|these words|this list|the following words|the list|the names]",
    "[the words|these words|this list|the following words]:",
]


def word_list(draw: Draw) -> Exercise:
    task = draw.pick(WORD_TASKS)
    items = [word(draw).lower() for _ in range(draw.between(3, 5))]
    listed = written(draw, items)
    spot = [f"{things} {{l}}" for things in WORD_THINGS] + ["{l}"]
    return Exercise(
        family=task.family,
        slots={"l": listed, "short": listed},
        code=task.code.replace("{l}", repr(items)),
        answer=says(task.answer),
        noun=tuple(f"{noun} of {where}" for noun in task.nouns for where in spot),
        verb=tuple(f"{verb} {where}" for verb in task.verbs for where in spot),
        question=tuple(text.replace("{l}", where) for text in task.questions for where in spot),
        raw=tuple(f"{verb}: {{l}}" for verb in task.verbs if not verb.endswith("]"))
        or tuple(f"{{l}}: {noun}" for noun in task.nouns),
    )


def squares_of(draw: Draw) -> Exercise:
    items = [str(small(draw, 30)) for _ in range(draw.between(3, 5))]
    factor = small(draw, 12)
    listed = written(draw, items)
    what, code = draw.pick(
        [
            ("square", "n ** 2"),
            ("double", "n * 2"),
            (f"multiply by {factor}", f"n * {factor}"),
            (f"add {factor} to", f"n + {factor}"),
        ]
    )
    verb = (
        (
            f"{what} [each|every one|each number|every number] [of|in] [these|this list|the list|]: {{l}}",
            f"{what} [each of|all of|every element of] {{l}}",
        )
        if " " not in what or what.endswith("to")
        else (f"multiply [each of|all of|every element of] {{l}} by {factor}",)
    )
    return Exercise(
        family="list map",
        slots={"l": listed, "short": listed},
        code=f"print([{code} for n in [{', '.join(items)}]])",
        answer=says("The new list is {out}."),
        verb=verb,
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = ((9, numbers), (2, word_list), (0.8, squares_of))
