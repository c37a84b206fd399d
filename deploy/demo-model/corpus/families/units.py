"""Conversions between units."""

from collections.abc import Callable

from ..draw import Draw
from ..exercise import Exercise, says
from ..values import decimal, shown, whole

# code of one unit in another, names as written, symbol
CONVERSIONS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("{n} * 1.609344", ("miles", "mi", "mile"), ("kilometers", "km", "kilometres")),
    ("{n} / 1.609344", ("kilometers", "km", "kilometres"), ("miles", "mi")),
    ("{n} * 0.45359237", ("pounds", "lb", "lbs"), ("kilograms", "kg", "kilos")),
    ("{n} / 0.45359237", ("kilograms", "kg", "kilos"), ("pounds", "lb", "lbs")),
    (
        "{n} * 9 / 5 + 32",
        ("degrees Celsius", "Celsius", "°C", "C", "celsius"),
        ("Fahrenheit", "degrees Fahrenheit", "°F", "F", "fahrenheit"),
    ),
    (
        "({n} - 32) * 5 / 9",
        ("degrees Fahrenheit", "Fahrenheit", "°F", "F", "fahrenheit"),
        ("Celsius", "degrees Celsius", "°C", "C", "celsius"),
    ),
    ("{n} + 273.15", ("degrees Celsius", "Celsius", "°C"), ("Kelvin", "kelvin")),
    ("{n} * 0.3048", ("feet", "ft"), ("meters", "metres", "m")),
    ("{n} / 0.3048", ("meters", "metres", "m"), ("feet", "ft")),
    ("{n} * 2.54", ("inches", "inch", "in"), ("centimeters", "cm", "centimetres")),
    ("{n} / 2.54", ("centimeters", "cm", "centimetres"), ("inches", "inch")),
    ("{n} * 3.785411784", ("gallons", "gal"), ("liters", "litres", "l")),
    ("{n} / 3.785411784", ("liters", "litres"), ("gallons", "gal")),
    ("{n} * 28.349523125", ("ounces", "oz"), ("grams", "g")),
    ("{n} / 28.349523125", ("grams", "g"), ("ounces", "oz")),
    ("{n} * 60", ("hours", "h"), ("minutes", "min")),
    ("{n} / 60", ("minutes", "min"), ("hours", "h")),
    ("{n} * 3600", ("hours", "h"), ("seconds", "s", "sec")),
    ("{n} / 3600", ("seconds", "s"), ("hours", "h")),
    ("{n} * 60", ("minutes", "min"), ("seconds", "s", "sec")),
    ("{n} / 60", ("seconds", "sec"), ("minutes", "min")),
    ("{n} * 24", ("days",), ("hours",)),
    ("{n} / 24", ("hours",), ("days",)),
    ("{n} * 7", ("weeks",), ("days",)),
    ("{n} / 7", ("days",), ("weeks",)),
    ("{n} * 365", ("years", "year"), ("days",)),
    ("{n} * 12", ("years", "year"), ("months",)),
    ("{n} * 52", ("years", "year"), ("weeks",)),
    ("{n} * 168", ("weeks", "week"), ("hours",)),
    ("{n} * 24", ("day",), ("hours",)),
    ("{n} * 7", ("week",), ("days",)),
    ("{n} * 60", ("hour",), ("minutes",)),
    ("{n} * 86400", ("days", "day"), ("seconds",)),
    ("{n} * 1440", ("days",), ("minutes",)),
    ("{n} * 1000", ("kilometers", "km"), ("meters", "m", "metres")),
    ("{n} / 1000", ("meters", "m", "metres"), ("kilometers", "km")),
    ("{n} * 100", ("meters", "m"), ("centimeters", "cm")),
    ("{n} / 100", ("centimeters", "cm"), ("meters", "m")),
    ("{n} * 1000", ("kilograms", "kg"), ("grams", "g")),
    ("{n} / 1000", ("grams", "g"), ("kilograms", "kg")),
    ("{n} * 1000", ("liters", "litres", "l"), ("milliliters", "ml")),
    ("{n} / 1000", ("milliliters", "ml"), ("liters", "litres", "l")),
    ("{n} * 1024", ("gigabytes", "GB"), ("megabytes", "MB")),
    ("{n} / 1024", ("megabytes", "MB"), ("gigabytes", "GB")),
    ("{n} * 1.609344", ("miles per hour", "mph"), ("kilometers per hour", "km/h", "kph")),
    ("{n} / 1.609344", ("kilometers per hour", "km/h"), ("miles per hour", "mph")),
)


def conversion(draw: Draw) -> Exercise:
    return between(draw, draw.pick(CONVERSIONS))


def between(draw: Draw, kind: tuple[str, tuple[str, ...], tuple[str, ...]]) -> Exercise:
    code, from_names, to_names = kind
    number: int | str = decimal(draw) if draw.chance(0.2) else whole(draw, 1, 4)
    if draw.chance(0.07):
        number = 1
    slots = {
        "n": draw.pick(["a", "one", "1", "one single"]) if number == 1 else shown(draw, number),
        "u": draw.pick(from_names),
        "v": draw.pick(to_names),
    }
    amount = "{n} {u}" if draw.chance(0.85) or len(slots["u"]) > 3 or number == 1 else "{n}{u}"
    return Exercise(
        family="units",
        slots=slots | {"short": amount.format(**slots)},
        code=f"print({code.replace('{n}', str(number))})",
        answer=says(f"That is {{out}} {to_names[0]}."),
        number=True,
        again=lambda again: between(again, kind),
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
