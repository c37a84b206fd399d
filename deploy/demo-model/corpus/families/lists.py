"""Lists of numbers and of words: order, extremes, sums, averages."""

from collections.abc import Callable
from dataclasses import dataclass

from ..draw import Draw
from ..exercise import Exercise
from ..values import decimal, whole

THINGS = "[the list|the numbers|these numbers|this list|the following numbers|these values|the values|this list of numbers|these|the following list|the data|my numbers]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTask:
    code: str  # of {l}
    nouns: tuple[str, ...] = ()  # continued by " of {l}"
    verbs: tuple[str, ...] = ()  # continued by " {l}"
    questions: tuple[str, ...] = ()
    number: bool = True


TASKS = (
    ListTask(
        code="print(sorted({l}))",
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
        code="print(sorted({l}, reverse=True))",
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
        code="print(sum({l}) / len({l}))",
        nouns=("the average", "the mean", "the arithmetic mean", "the average value", "the mean value"),
        verbs=("average", "take the [average|mean] of", "calculate the [mean|average] of", "find the [mean|average] of"),
        questions=("what {l} [averages to|is on average]", "what the [average|mean] of {l} is", "how much {l} is on average"),
    ),
    ListTask(
        code="import statistics; print(statistics.median({l}))",
        nouns=("the median", "the median value", "the middle value"),
        verbs=("find the [median|middle value] of", "take the median of", "calculate the median of"),
        questions=("what the [median|middle value] of {l} is", "which value is in the middle of {l}"),
    ),
    ListTask(
        code="print(max({l}))",
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
        code="print(min({l}))",
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
        code="print(sum({l}))",
        nouns=("the sum", "the total", "the sum total"),
        verbs=("add up", "sum", "sum up", "total", "add", "add together", "[take|find|calculate] the [sum|total] of"),
        questions=(
            "what {l} [add up to|sum to|make together]",
            "how much {l} is [in total|together|altogether]",
            "what the [sum|total] of {l} is",
        ),
    ),
)


def numbers(draw: Draw) -> Exercise:
    task = draw.pick(TASKS)
    items = number_items(draw)
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
        family="lists",
        slots={"l": listed},
        code=task.code.replace("{l}", f"[{', '.join(items)}]"),
        noun=noun,
        verb=verb,
        question=questions,
        raw=raw,
        number=task.number,
    )


def number_items(draw: Draw) -> list[str]:
    count = draw.between(3, 8)
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


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = ((1, numbers),)
