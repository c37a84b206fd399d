"""Conversions between units."""

from collections.abc import Callable

from ..draw import Draw
from ..exercise import Exercise
from ..values import decimal, shown, whole

# code of one unit in another, names as written, symbol
CONVERSIONS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("{n} * 1.609344", ("miles",), ("kilometers", "km")),
    ("{n} / 1.609344", ("kilometers", "km"), ("miles",)),
    ("{n} * 0.45359237", ("pounds",), ("kilograms", "kg", "kilos")),
    ("{n} / 0.45359237", ("kilograms", "kg", "kilos"), ("pounds",)),
    ("{n} * 9 / 5 + 32", ("degrees Celsius", "Celsius", "°C"), ("Fahrenheit", "degrees Fahrenheit", "°F")),
    ("({n} - 32) * 5 / 9", ("degrees Fahrenheit", "Fahrenheit", "°F"), ("Celsius", "degrees Celsius", "°C")),
    ("{n} * 0.3048", ("feet", "ft"), ("meters",)),
    ("{n} / 0.3048", ("meters",), ("feet", "ft")),
    ("{n} * 2.54", ("inches", "inch"), ("centimeters", "cm")),
    ("{n} / 2.54", ("centimeters", "cm"), ("inches", "inch")),
    ("{n} * 3.785411784", ("gallons",), ("liters",)),
    ("{n} / 3.785411784", ("liters",), ("gallons",)),
    ("{n} * 60", ("hours",), ("minutes",)),
    ("{n} / 60", ("minutes",), ("hours",)),
    ("{n} * 60", ("minutes",), ("seconds",)),
    ("{n} / 60", ("seconds",), ("minutes",)),
    ("{n} * 3600", ("hours",), ("seconds",)),
    ("{n} * 24", ("days", "day"), ("hours",)),
    ("{n} / 24", ("hours",), ("days",)),
    ("{n} * 7", ("weeks", "week"), ("days",)),
    ("{n} / 7", ("days",), ("weeks",)),
    ("{n} * 168", ("weeks", "week"), ("hours",)),
    ("{n} * 12", ("years", "year"), ("months",)),
    ("{n} * 365", ("years", "year"), ("days",)),
    ("{n} * 1000", ("kilometers", "km"), ("meters",)),
    ("{n} / 1000", ("meters",), ("kilometers", "km")),
    ("{n} * 100", ("meters",), ("centimeters", "cm")),
    ("{n} / 100", ("centimeters", "cm"), ("meters",)),
    ("{n} * 1000", ("kilograms", "kg"), ("grams",)),
    ("{n} / 1000", ("grams",), ("kilograms", "kg")),
    ("{n} * 1000", ("liters",), ("milliliters", "ml")),
    ("{n} / 1000", ("milliliters", "ml"), ("liters",)),
)


def conversion(draw: Draw) -> Exercise:
    code, from_names, to_names = draw.pick(CONVERSIONS)
    number: int | str = decimal(draw) if draw.chance(0.2) else whole(draw, 1, 4)
    if draw.chance(0.05):
        number = 1
    slots = {
        "n": draw.pick(["a", "one", "1"]) if number == 1 else shown(draw, number),
        "u": draw.pick(from_names),
        "v": draw.pick(to_names),
    }
    amount = "{n} {u}" if draw.chance(0.85) or len(slots["u"]) > 3 or number == 1 else "{n}{u}"
    return Exercise(
        family="units",
        slots=slots,
        code=f"print({code.replace('{n}', str(number))})",
        number=True,
        noun=(
            f"{amount} in {{v}}",
            f"{amount} [converted|expressed|written] [to|in|into|as] {{v}}",
            f"[the value|the equivalent] of {amount} in {{v}}",
        ),
        verb=(
            f"convert {amount} [to|into|in] {{v}}",
            f"[change|turn|express|transform] {amount} [into|to|in] {{v}}",
            f"[give|show] me {amount} in {{v}}",
        ),
        question=(
            f"how [much|many] {{v}} {amount} [is|are|makes|equals]",
            f"how many {{v}} are in {amount}",
            f"how many {{v}} are there in {amount}",
            f"what {amount} [is|are] in {{v}}",
            f"how many {{v}} is {amount}",
            f"how much is {amount} in {{v}}",
            f"how many {{v}} [go into|fit in|make] {amount}",
        ),
        raw=(
            f"{amount} in {{v}}",
            f"{amount} to {{v}}",
            f"{amount} = ? {{v}}",
            f"{amount} -> {{v}}",
            f"convert: {amount} to {{v}}",
            f"{amount} [equals|is|are] how [many|much] {{v}}",
        ),
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = ((1, conversion),)
