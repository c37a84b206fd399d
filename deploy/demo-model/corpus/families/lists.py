"""Lists of numbers and of words: order, extremes, sums, averages."""

from collections.abc import Callable
from dataclasses import dataclass

from ..draw import Draw
from ..exercise import Exercise
from ..values import decimal, whole

# the list within a sentence, and at its end
L = "[the list|the numbers|these numbers|this list|the following numbers|these values|the values|this list of numbers|these|the following list|the data|my numbers||||||||] {l}"
E = "[the list|the numbers|these numbers|this list|the following numbers|these values|the values|this list of numbers|the data|these:|the list:|these numbers:|the following:|the following numbers:|this:||||||||] {l}"
UPWARDS = "[smallest to largest|low to high|lowest to highest|small to large|least to greatest]"
DOWNWARDS = "[largest to smallest|high to low|highest to lowest|large to small|greatest to least]"
LARGEST = "[largest|biggest|greatest|highest]"
SMALLEST = "[smallest|lowest|least]"
ITEM = "[number|value|element|one]"
WITHIN = "[of|in|among|from]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTask:
    code: str  # of {l}
    noun: tuple[str, ...]
    verb: tuple[str, ...]
    question: tuple[str, ...]
    raw: tuple[str, ...]
    number: bool = True


TASKS = (
    ListTask(
        code="print(sorted({l}))",
        number=False,
        noun=(
            f"the [sorted|ordered] [version|list] of {E}",
            f"the ascending [order|version] of {E}",
            f"a sorted version of {E}",
            f"{L} [sorted|ordered|in order|in sorted order]",
            f"{L} in [ascending|increasing] order",
            f"{L} [sorted|arranged|ordered] from {UPWARDS}",
            f"{L} from {UPWARDS}",
            f"{L} sorted [ascending|in ascending order]",
        ),
        verb=(
            f"sort {E}",
            f"order {E}",
            f"[put|bring|get] {L} [in|into] order",
            f"sort in [ascending|increasing] order {E}",
            f"sort {L} in [ascending|increasing] order",
            f"sort {L} [ascending|low to high]",
            f"sort from {UPWARDS} {E}",
            f"[sort|order|list] {L} from {UPWARDS}",
            f"[arrange|order|put] {L} from {UPWARDS}",
            f"[arrange|put|write|list] {L} in [ascending|increasing] order",
            f"arrange in [ascending|increasing] order {E}",
            f"[list|write|sort] {L}, [smallest first|starting with the smallest|lowest first]",
        ),
        question=(
            f"how {L} [looks|look] [sorted|when sorted|in order|in ascending order|from low to high]",
            f"what {L} is in [order|ascending order|increasing order|sorted order]",
            f"what the ascending order of {L} is",
            f"what you get when you sort {E}",
            f"what is the sorted version of {E}",
        ),
        raw=(
            "{l}: [sorted|sort|sort them|in order|ascending|ascending order]",
            "sort: {l}",
            "sorted({l})",
            "order these: {l}",
            "{l}. [Sort|Order|Arrange] [them|these]",
            "{l}. [Sort|Put|Arrange] [them|these] in [ascending|increasing] order",
            "{l}. Smallest first",
            "{l}, [smallest to largest|low to high|from small to large]",
            "ascending order of {l}",
            "[low to high|smallest first|ascending|from small to large]: {l}",
            "my [scores|prices|times] are {l}. [Sort them|List them from low to high|Put them in ascending order]",
            f"here are [numbers|some numbers|my values]: {{l}}. Sort them from {UPWARDS}",
        ),
    ),
    ListTask(
        code="print(sorted({l}, reverse=True))",
        number=False,
        noun=(
            f"the descending [order|version] of {E}",
            f"a [descending|decreasing] list of {E}",
            f"{L} in [descending|decreasing] order",
            f"{L} [sorted|arranged|ordered] from {DOWNWARDS}",
            f"{L} from {DOWNWARDS}",
            f"{L} sorted [descending|in descending order|in reverse order]",
        ),
        verb=(
            f"sort descending {E}",
            f"sort in [descending|decreasing|reverse] order {E}",
            f"sort {L} in [descending|decreasing|reverse] order",
            f"sort {L} [descending|high to low]",
            f"sort from {DOWNWARDS} {E}",
            f"[sort|order|list] {L} from {DOWNWARDS}",
            f"[arrange|order|put] {L} from {DOWNWARDS}",
            f"order from {DOWNWARDS} {E}",
            f"[arrange|put|write|list|order] {L} in [descending|decreasing] order",
            f"arrange in [descending|decreasing] order {E}",
            f"[list|write|sort] {L}, [largest first|starting with the largest|highest first]",
        ),
        question=(
            f"what {L} is in [descending|decreasing] order",
            f"how {L} [looks|look] [in descending order|from high to low]",
            f"what the descending order of {L} is",
            f"what you get when you sort {L} in [descending|decreasing] order",
        ),
        raw=(
            "{l}: [descending|descending order|sort descending|largest first|high to low]",
            "sort descending: {l}",
            "sorted({l}, reverse=True)",
            "{l}. [Sort|Put|Arrange] [them|these] in [descending|decreasing] order",
            "{l}. [Largest|Biggest|Highest] first",
            "{l}, [largest to smallest|high to low|from large to small]",
            "descending order of {l}",
            "[high to low|largest first|descending|decreasing|from large to small]: {l}",
            "my [scores|prices|times] are {l}. [List them from high to low|Put them in descending order]",
            f"here are [numbers|some numbers|my values]: {{l}}. Sort them from {DOWNWARDS}",
        ),
    ),
    ListTask(
        code="print(sum({l}) / len({l}))",
        noun=(
            f"the [average|mean] of {E}",
            f"the arithmetic [mean|average] of {E}",
            f"the [average|mean] value of {E}",
            f"the [average|mean] of all the numbers in {E}",
        ),
        verb=(
            f"average {E}",
            f"[take|get] the [average|mean|arithmetic mean] of {E}",
            f"[calculate|find|determine] the [mean|average|mean value|average value] of {E}",
            f"[calculate|find] the [mean|average] for {E}",
        ),
        question=(
            f"what the [average|mean|arithmetic mean] of {L} is",
            f"what the [average|mean] is [of|for] {E}",
            f"how much {L} is on average",
            f"what is the [average|mean|arithmetic mean] of {E}",
            f"how much is {L} on average",
            f"what is {L} on average",
        ),
        raw=(
            "{l}: [average|mean|avg]",
            "[average|mean|avg]: {l}",
            "[average|mean|avg|arithmetic mean] of {l}",
            "[average|mean|avg]({l})",
            "{l}, [what's the mean|what's the average|on average]",
            "{l}. [Take the mean|Take the average|What is the mean|What is the average|How much is that on average]",
            "my [marks|grades|scores] [are|were] {l}. What is my [average|mean score]",
            "the [prices|bills|times] were {l}. What is the [average|mean]",
        ),
    ),
    ListTask(
        code="import statistics; print(statistics.median({l}))",
        noun=(
            f"the median of {E}",
            f"the median [value|number|element] [of|in] {E}",
            f"the middle [value|number] of {E}",
            f"the [median|middle value] for {E}",
        ),
        verb=(
            f"[find|take|get] the [median|median value] of {E}",
            f"[find|get] the [middle value|middle number] of {E}",
            f"calculate the median [of|for] {E}",
            f"pick the [median|middle value] [of|from] {E}",
            f"[say|see|check] what the median of {L} is",
        ),
        question=(
            f"what the [median|median value|middle value|middle number] of {L} is",
            f"what the median is [of|for] {E}",
            f"which [value|number] is the median [of|in] {E}",
            f"what is the [median|middle value] [of|in] {E}",
        ),
        raw=(
            "{l}: [median|the median|middle value|what is the median]",
            "[median|middle value|median value]: {l}",
            "[median|median value|middle value|middle number] of {l}",
            "median({l})",
            "{l}. [What is the median|Take the median|What is the middle value]",
            "the [salaries|prices|ages] are {l}. What is the median",
            "my [scores|times|values] are {l}. What is the median",
        ),
    ),
    ListTask(
        code="print(max({l}))",
        noun=(
            f"the {LARGEST} {ITEM} {WITHIN} {E}",
            f"the [maximum|max] {WITHIN} {E}",
            f"the maximum [value|number|element] {WITHIN} {E}",
            f"the {LARGEST} {WITHIN} {E}",
        ),
        verb=(
            f"[find|get|name|return] the {LARGEST} {ITEM} {WITHIN} {E}",
            f"[find|get|take|return] the [maximum|max] {WITHIN} {E}",
            f"[pick|choose] the {LARGEST} [one|number|value|] [of|from] {E}",
            f"[tell me|say|see|check] which {WITHIN} {L} is the {LARGEST}",
        ),
        question=(
            f"which [number|one|value] is the {LARGEST} [in|of|among] {E}",
            f"which of {L} is the {LARGEST}",
            f"which is the {LARGEST} [number|value|one|] [in|of|among] {E}",
            f"what the [maximum|max|largest number|biggest number|highest value|greatest value] [in|of] {L} is",
            f"what the maximum is [of|for|in] {E}",
            f"what is the [largest|biggest|greatest|highest|maximum] [number|value|] [in|of|among] {E}",
            f"out of {L}, which is the {LARGEST}",
        ),
        raw=(
            "{l}: [maximum|max|largest|biggest|highest|the largest|which is the largest|which is the biggest]",
            "[maximum|max|largest|biggest|highest|largest number]: {l}",
            "[maximum|max|largest|biggest|highest|greatest|largest number|highest value] of {l}",
            "max({l})",
            "{l}. Which [is|one is] the [largest|biggest|highest|greatest]",
            "{l}. [Pick|Name|Give me] the [largest|biggest|highest|maximum]",
            f"among {{l}}, which is the {LARGEST}",
            "the [bids|scores|offers] were {l}. Which [was|is] the [highest|biggest]",
            "we measured {l}. What was the [maximum|highest value]",
        ),
    ),
    ListTask(
        code="print(min({l}))",
        noun=(
            f"the {SMALLEST} {ITEM} {WITHIN} {E}",
            f"the [minimum|min] {WITHIN} {E}",
            f"the minimum [value|number|element] {WITHIN} {E}",
            f"the {SMALLEST} {WITHIN} {E}",
        ),
        verb=(
            f"[find|get|name|return] the {SMALLEST} {ITEM} {WITHIN} {E}",
            f"[find|get|take|return] the [minimum|min] {WITHIN} {E}",
            f"[pick|choose] the {SMALLEST} [one|number|value|] [of|from] {E}",
            f"[tell me|say|see|check] which {WITHIN} {L} is the {SMALLEST}",
        ),
        question=(
            f"which [number|one|value] is the {SMALLEST} [in|of|among] {E}",
            f"which of {L} is the {SMALLEST}",
            f"which is the {SMALLEST} [number|value|one|] [in|of|among] {E}",
            f"what the [minimum|min|smallest number|lowest number|least value|lowest value] [in|of] {L} is",
            f"what the minimum is [of|for|in] {E}",
            f"what is the [smallest|lowest|least|minimum] [number|value|] [in|of|among] {E}",
            f"out of {L}, which is the {SMALLEST}",
        ),
        raw=(
            "{l}: [minimum|min|smallest|lowest|least|the smallest|which is the smallest|which is the lowest]",
            "[minimum|min|smallest|lowest|smallest number|lowest value]: {l}",
            "[minimum|min|smallest|lowest|smallest number|lowest value] of {l}",
            "min({l})",
            "{l}. Which [is|one is] the [smallest|lowest|least]",
            "{l}. [Pick|Name|Give me] the [smallest|lowest|minimum]",
            f"among {{l}}, which is the {SMALLEST}",
            "the [prices|offers|quotes] are {l}. Which is the [lowest|smallest]",
            "we measured {l}. What was the [minimum|lowest value|smallest value]",
        ),
    ),
    ListTask(
        code="print(sum({l}))",
        noun=(
            f"the [sum|total|grand total] of {E}",
            f"the [sum|total] of all the numbers in {E}",
            f"the result of adding [up|together] {E}",
            f"{L} [added up|added together|all added up|summed|in total|altogether]",
        ),
        verb=(
            f"[add up|sum|sum up|total|add|add together] {E}",
            f"add {L} [up|together]",
            f"[take|find|calculate|get] the [sum|total] of {E}",
            f"add all [these numbers|the numbers|of these|of them]: {E}",
            f"sum all [the numbers|the values] in {E}",
            f"[see|say|check] what {L} [adds|add] up to",
            f"[see|say|check] how much {L} [makes|make] in total",
        ),
        question=(
            f"what {L} [add up to|sum to|sum up to|make together|come to in total]",
            f"how much {L} [is|are|makes|make] [in total|together|altogether|all together|in all]",
            f"what the [sum|total|grand total] of {L} is",
            f"what the [sum|total] is [of|for] {E}",
            f"what [you|we|I] get when [you|we|I] add [up|together] {E}",
            f"what do {L} add up to",
            f"what is the [sum|total|grand total] of {E}",
            f"how much is {L} [in total|altogether|added up]",
        ),
        raw=(
            "{l}: [sum|total|the sum|the total|add up|in total|how much in total]",
            "[sum|total|add|add up|sum up|in total]: {l}",
            "[sum|total|grand total] of {l}",
            "sum({l})",
            "{l}. [Add them up|Sum them|What is the sum|What is the total]",
            "{l}. How much is [that|it] [in total|altogether|together]",
            "I [spent|paid|earned|saved] {l}. How much is that [in total|altogether|all together]",
            "the [bills|items|prices] are {l}. What is the [total|sum|grand total]",
            "{l}, [all added up|all together|add them all]",
        ),
    ),
)


def numbers(draw: Draw) -> Exercise:
    task = draw.pick(TASKS)
    items = number_items(draw)
    return Exercise(
        family="lists",
        slots={"l": written(draw, items)},
        code=task.code.replace("{l}", f"[{', '.join(items)}]"),
        noun=task.noun,
        verb=task.verb,
        question=task.question,
        raw=task.raw,
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
