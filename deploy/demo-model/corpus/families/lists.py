"""Lists of numbers and of words: order, extremes, sums, averages."""

from collections.abc import Callable
from dataclasses import dataclass

from ..draw import Draw
from ..exercise import Exercise
from ..values import decimal, whole

# the list within a sentence, and at its end
L = "[the list|the numbers|these numbers|this list|the following numbers|these values|the values|this list of numbers|these|the following list|the data|my numbers||||||||] {l}"
E = "[the list|the numbers|these numbers|this list|the following numbers|these values|the values|this list of numbers|the data|these:|the list:|these numbers:|the following:|the following numbers:|this:||||||||] {l}"
UPWARDS = "[smallest to largest|low to high|lowest to highest|small to large|least to greatest|smallest to biggest]"
DOWNWARDS = "[largest to smallest|high to low|highest to lowest|large to small|greatest to least|biggest to smallest]"
LARGEST = "[largest|biggest|greatest|highest]"
SMALLEST = "[smallest|lowest|least]"
ITEM = "[number|value|element|one|item|entry]"
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
            f"the [sorted|ordered] [version|form|list] of {E}",
            f"the sorted order of {E}",
            f"the ascending [order|version|form|arrangement] of {E}",
            f"the increasing order of {E}",
            f"a [sorted|ascending] [version|copy] of {E}",
            f"{L} [sorted|ordered|in order|in sorted order]",
            f"{L} in [ascending|increasing|rising|growing|numerical] order",
            f"{L} [sorted|arranged|ordered|ranked|listed] from {UPWARDS}",
            f"{L} from {UPWARDS}",
            f"{L} with the {SMALLEST} [number|value|one|] first",
            f"{L} in order of size, smallest first",
            f"{L} sorted [upwards|ascending|in ascending order]",
        ),
        verb=(
            f"sort {E}",
            f"order {E}",
            f"[put|bring|get] {L} [in|into] order",
            f"put in order {E}",
            f"sort in [ascending|increasing] order {E}",
            f"sort {L} in [ascending|increasing|rising|numerical] order",
            f"sort {L} [ascending|upwards|by size|by value]",
            f"sort from {UPWARDS} {E}",
            f"[sort|order|rank|list|write] {L} from {UPWARDS}",
            f"[arrange|order|put|line up] {L} from {UPWARDS}",
            f"[arrange|put|write|list] {L} in [ascending|increasing|rising] order",
            f"arrange in [ascending|increasing] order {E}",
            f"rank from lowest to highest {E}",
            f"[list|write|sort] {L}, [smallest first|starting with the smallest|beginning with the smallest|lowest first]",
            f"sort {L} so that the [smallest|lowest] comes first",
            f"rearrange {L} so that they [go up|get larger|increase|rise]",
            f"tidy up {L} by sorting [them|it]",
        ),
        question=(
            f"how {L} [looks|look] [sorted|when sorted|in order|in ascending order|from low to high]",
            f"what {L} is in [order|ascending order|increasing order|sorted order]",
            f"what order {L} [come|comes] in from {UPWARDS}",
            f"what the ascending order of {L} is",
            f"how {L} would be [sorted|ordered|arranged] from {UPWARDS}",
            f"what {L} [looks|look] like [sorted|after sorting|in increasing order|with the smallest first]",
            f"how to put {L} in ascending order",
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
            "{l} are all mixed up. [Sort them|Put them in order|Get them in order]",
            "my [scores|prices|times] are {l}. [Sort them|List them from low to high|Put them in ascending order]",
            f"here are [numbers|some numbers|my values]: {{l}}. Sort them from {UPWARDS}",
        ),
    ),
    ListTask(
        code="print(sorted({l}, reverse=True))",
        number=False,
        noun=(
            f"the descending [order|version|form|arrangement] of {E}",
            f"the decreasing order of {E}",
            f"a [descending|decreasing] [version|list|copy] of {E}",
            f"the [version|form] of {L} sorted downwards",
            f"{L} in [descending|decreasing|falling] order",
            f"{L} [sorted|arranged|ordered|ranked|listed] from {DOWNWARDS}",
            f"{L} from {DOWNWARDS}",
            f"{L} with the {LARGEST} [number|value|one|] first",
            f"{L} in order of size, [largest|biggest] first",
            f"{L} sorted [downwards|descending|in descending order|in reverse order|in decreasing order]",
        ),
        verb=(
            f"sort descending {E}",
            f"sort in [descending|decreasing|reverse] order {E}",
            f"sort {L} in [descending|decreasing|falling|reverse] order",
            f"sort {L} [descending|downwards|high to low]",
            f"sort from {DOWNWARDS} {E}",
            f"[sort|order|rank|list|write] {L} from {DOWNWARDS}",
            f"[arrange|order|put|line up] {L} from {DOWNWARDS}",
            f"order from {DOWNWARDS} {E}",
            f"[arrange|put|write|list|order] {L} in [descending|decreasing|falling] order",
            f"arrange in [descending|decreasing] order {E}",
            f"rank from highest to lowest {E}",
            f"[list|write|sort] {L}, [largest first|starting with the largest|beginning with the biggest|highest first]",
            f"sort {L} so that the [largest|biggest|highest] comes first",
            f"rearrange {L} so that they [go down|get smaller|decrease|fall]",
        ),
        question=(
            f"what {L} is in [descending|decreasing|falling] order",
            f"how {L} [looks|look] [in descending order|sorted downwards|from high to low|with the largest first]",
            f"what order {L} [come|comes] in from {DOWNWARDS}",
            f"what the descending order of {L} is",
            f"how {L} would be [sorted|ordered|arranged] from {DOWNWARDS}",
            f"what {L} [looks|look] like [in decreasing order|with the biggest first|sorted from high to low]",
            f"how to put {L} in descending order",
            f"what you get when you sort {L} in [descending|decreasing] order",
            f"what is the descending version of {E}",
        ),
        raw=(
            "{l}: [descending|descending order|sort descending|largest first|high to low]",
            "sort descending: {l}",
            "sorted({l}, reverse=True)",
            "{l}. [Sort|Put|Arrange] [them|these] in [descending|decreasing] order",
            "{l}. [Largest|Biggest|Highest] first",
            "{l}, [largest to smallest|high to low|from large to small]",
            "descending [order|version] of {l}",
            "[high to low|largest first|descending|decreasing|from large to small]: {l}",
            "my [scores|prices|times] are {l}. [List them from high to low|Put them in descending order|Rank them, highest first]",
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
            f"the [average|mean] [for|that belongs to] {E}",
            f"the average [number|value] in {E}",
            f"the sum of {L} divided by [their count|how many there are]",
            f"{L}, averaged",
        ),
        verb=(
            f"average {E}",
            f"average out {E}",
            f"[take|get|form] the [average|mean|arithmetic mean] of {E}",
            f"[calculate|find|determine] the [mean|average|mean value|average value] of {E}",
            f"[calculate|find] the [mean|average] for {E}",
            f"add up {L} and divide by how many there are",
            f"sum {L} and divide the sum by their count",
            f"[say|see|check] [what|how much] {L} is on average",
            f"bring {L} down to one average",
        ),
        question=(
            f"what {L} [averages to|averages out to|averages|is on average]",
            f"what the [average|mean|arithmetic mean] of {L} is",
            f"what the [average|mean] is [of|for] {E}",
            f"what [average|mean] [you|we|I] get for {E}",
            f"how much {L} is on average",
            f"how much {L} [makes|make] on average",
            f"what the [mean|average] of {L} comes to",
            f"how [high|large] the [average|mean] of {L} is",
            f"what is the [average|mean|arithmetic mean] of {E}",
            f"how much is {L} on average",
            f"what is {L} on average",
        ),
        raw=(
            "{l}: [average|mean|the average|the mean]",
            "[average|mean|avg]: {l}",
            "[average|mean|avg|arithmetic mean] of {l}",
            "[average|mean]({l})",
            "{l}, [what's the mean|what's the average|on average]",
            "{l}. [Average them|Take the mean|Take the average|What is the mean|How much is that on average]",
            "{l}. On average, how much is that",
            "my [marks|grades|scores] [are|were] {l}. What is my [average|mean score]",
            "I [walked|ran|drove] {l} km on different days. How far is that on average",
            "the [prices|bills|times] were {l}. What is the [average|mean]",
            "on average, what [is|are] {l}",
            "for {l} I need the [average|mean]",
        ),
    ),
    ListTask(
        code="import statistics; print(statistics.median({l}))",
        noun=(
            f"the median of {E}",
            f"the median [value|number|element] [of|in] {E}",
            f"the middle [value|number|element] of {E}",
            f"the [value|number] in the middle of {E}",
            f"the [middle one|middle value|middle number] of {L} [when sorted|once they are sorted|after sorting]",
            f"the [median|middle value] for {E}",
            f"the 50th percentile of {E}",
            f"the [value|number] that splits {L} [in|into] two halves, the median",
            f"the middle value of the sorted list: {E}",
        ),
        verb=(
            f"[find|take|get] the [median|median value] of {E}",
            f"[find|determine|look for] the [middle value|middle number|middle one] of {E}",
            f"calculate the median [of|for] {E}",
            f"sort {L} and [give|show|tell] me the middle [value|number|one]",
            f"pick the [median|middle value] [of|from] {E}",
            f"[say|see|check] what the median of {L} is",
            f"put {L} in order and take the middle [value|one]",
        ),
        question=(
            f"what the [median|median value|middle value|middle number] of {L} is",
            f"what the median is [of|for] {E}",
            f"which [value|number|one] is in the middle of {E}",
            f"which [value|number] is the median [of|in] {E}",
            f"which [value|number] [sits|stands|lies] in the middle [when|if] {L} [is|are] sorted",
            f"what [median|middle value] [you|we|I] get for {E}",
            f"what is the [median|middle value] [of|in] {E}",
            f"where the median of {L} [is|lies]",
        ),
        raw=(
            "{l}: [median|the median|middle value|what is the median]",
            "[median|middle value|median value]: {l}",
            "[median|median value|middle value|middle number] of {l}",
            "median({l})",
            "{l}. [What is the median|Take the median|Which is the middle value|What is the middle one when sorted]",
            "the [salaries|prices|ages] are {l}. What is the median",
            "my [scores|times|values] are {l}. [Which one is in the middle|What is the median]",
            "for {l} I need the median",
            "{l}, and the median is",
        ),
    ),
    ListTask(
        code="print(max({l}))",
        noun=(
            f"the {LARGEST} {ITEM} {WITHIN} {E}",
            f"the [maximum|max] {WITHIN} {E}",
            f"the maximum [value|number|element] {WITHIN} {E}",
            f"the {LARGEST} {WITHIN} {E}",
            f"the [top|peak] [value|number] {WITHIN} {E}",
            f"the [number|value|one] {WITHIN} {L} that is [larger|bigger|greater|higher] than all [the others|others]",
            f"the largest there is in {E}",
        ),
        verb=(
            f"[find|get|name|spot|return] the {LARGEST} {ITEM} {WITHIN} {E}",
            f"[find|get|take|return] the [maximum|max] {WITHIN} {E}",
            f"[pick|pick out|choose|select] the {LARGEST} [one|number|value|] [of|from] {E}",
            f"[tell me|say|see|check] which {WITHIN} {L} is the {LARGEST}",
            f"look through {L} and [give|tell|show] me the {LARGEST}",
            f"compare {L} and [name|give me|tell me] the {LARGEST} [one|]",
            f"go through {L} and find the [maximum|largest one|highest value]",
        ),
        question=(
            f"which [number|one|value] is the {LARGEST} [in|of|among] {E}",
            f"which of {L} is the {LARGEST}",
            f"which is the {LARGEST} [number|value|one|] [in|of|among] {E}",
            f"what the [maximum|max|largest number|biggest number|highest value|greatest value] [in|of] {L} is",
            f"what the maximum is [of|for|in] {E}",
            f"which [number|value] {WITHIN} {L} is [larger|bigger|greater|higher] than all the others",
            f"how [high|large|big] the [highest|largest|biggest] [of|in] {L} is",
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
            "we measured {l}. What was the [maximum|highest value|peak]",
            "for {l} I need the [maximum|max|largest value]",
            "{l}, who is the biggest [here|of them]",
        ),
    ),
    ListTask(
        code="print(min({l}))",
        noun=(
            f"the {SMALLEST} {ITEM} {WITHIN} {E}",
            f"the [minimum|min] {WITHIN} {E}",
            f"the minimum [value|number|element] {WITHIN} {E}",
            f"the {SMALLEST} {WITHIN} {E}",
            f"the [bottom|tiniest] [value|number] {WITHIN} {E}",
            f"the [number|value|one] {WITHIN} {L} that is [smaller|lower] than all [the others|others]",
            f"the smallest there is in {E}",
        ),
        verb=(
            f"[find|get|name|spot|return] the {SMALLEST} {ITEM} {WITHIN} {E}",
            f"[find|get|take|return] the [minimum|min] {WITHIN} {E}",
            f"[pick|pick out|choose|select] the {SMALLEST} [one|number|value|] [of|from] {E}",
            f"[tell me|say|see|check] which {WITHIN} {L} is the {SMALLEST}",
            f"look through {L} and [give|tell|show] me the {SMALLEST}",
            f"compare {L} and [name|give me|tell me] the {SMALLEST} [one|]",
            f"go through {L} and find the [minimum|smallest one|lowest value]",
        ),
        question=(
            f"which [number|one|value] is the {SMALLEST} [in|of|among] {E}",
            f"which of {L} is the {SMALLEST}",
            f"which is the {SMALLEST} [number|value|one|] [in|of|among] {E}",
            f"what the [minimum|min|smallest number|lowest number|least value|lowest value] [in|of] {L} is",
            f"what the minimum is [of|for|in] {E}",
            f"which [number|value] {WITHIN} {L} is [smaller|lower] than all the others",
            f"how [low|small] the [lowest|smallest] [of|in] {L} is",
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
            "the [prices|offers|quotes] are {l}. Which is the [lowest|cheapest|smallest]",
            "we measured {l}. What was the [minimum|lowest value|smallest value]",
            "for {l} I need the [minimum|min|smallest value]",
            "{l}, who is the smallest [here|of them]",
        ),
    ),
    ListTask(
        code="print(sum({l}))",
        noun=(
            f"the [sum|total|sum total|grand total|overall sum|overall total] of {E}",
            f"the [sum|total] of all the numbers in {E}",
            f"the [result|outcome] of adding [up|together] {E}",
            f"the [sum|total] [for|that comes from] {E}",
            f"{L} [added up|added together|all added up|summed|summed up|in total|altogether|combined]",
            f"the addition of all these: {E}",
            f"everything in {L} added [up|together]",
        ),
        verb=(
            f"[add up|sum|sum up|total|add|add together|total up|tally up] {E}",
            f"add {L} [up|together|to each other]",
            f"[take|find|calculate|form|get] the [sum|total] of {E}",
            f"add all [these numbers|the numbers|of these|of them]: {E}",
            f"sum all [the numbers|the values|of it] in {E}",
            f"[see|say|check] what {L} [adds|add] up to",
            f"[see|say|check] how much {L} [makes|make] in total",
            f"put {L} together and [tell|give] me the [sum|total]",
        ),
        question=(
            f"what {L} [add up to|sum to|sum up to|make together|come to in total|total]",
            f"how much {L} [is|are|makes|make] [in total|together|altogether|all together|in all]",
            f"what the [sum|total|grand total] of {L} is",
            f"what the [sum|total] is [of|for] {E}",
            f"what [sum|total] [you|we|I] get for {E}",
            f"what [you|we|I] get when [you|we|I] add [up|together] {E}",
            f"what do {L} add up to",
            f"what is the [sum|total|overall sum] of {E}",
            f"how much is {L} [in total|altogether|added up]",
            f"how large the [sum|total] of {L} is",
        ),
        raw=(
            "{l}: [sum|total|the sum|the total|add up|in total|how much in total]",
            "[sum|total|add|add up|sum up|in total]: {l}",
            "[sum|total|grand total|sum total] of {l}",
            "sum({l})",
            "{l}. [Add them up|Sum them|Total them|What is the sum|What is the total]",
            "{l}. How much is [that|it] [in total|altogether|together]",
            "I [spent|paid|earned|saved] {l}. How much is that [in total|altogether|all together]",
            "the [bills|items|prices] are {l}. What is the [total|sum|grand total]",
            "{l}, [all added up|all together|add them all]",
            "in total, how much [is|are] {l}",
            "for {l} I need the [sum|total]",
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
