"""Dates and times of day."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

from ..draw import Draw
from ..exercise import Exercise

MONTHS = "January February March April May June July August September October November December".split()


def drawn(draw: Draw) -> date:
    return date(draw.between(1950, 2035) if draw.chance(0.85) else draw.between(1600, 2200), 1, 1) + timedelta(
        days=draw.between(0, 364)
    )


def written(draw: Draw, day: date) -> str:
    month = MONTHS[day.month - 1]
    ordinal = f"{day.day}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(day.day % 10 if day.day not in (11, 12, 13) else 0, 'th') }"
    return draw.pick(
        [
            day.isoformat(),
            day.isoformat(),
            f"{month} {day.day}, {day.year}",
            f"{month} {day.day} {day.year}",
            f"{day.day} {month} {day.year}",
            f"{ordinal} {month} {day.year}",
            f"{month} {ordinal}, {day.year}",
            f"the {ordinal} of {month} {day.year}",
            f"{month[:3]} {day.day}, {day.year}",
            f"{day.day} {month[:3]} {day.year}",
            f"{day.year}/{day.month:02}/{day.day:02}",
        ]
    )


def literal(day: date) -> str:
    return f"date({day.year}, {day.month}, {day.day})"


def days_between(draw: Draw) -> Exercise:
    first = drawn(draw)
    second = first + timedelta(days=draw.between(1, 900) if draw.chance(0.7) else draw.between(1000, 30000))
    slots = {"a": written(draw, first), "b": written(draw, second)}
    return Exercise(
        family="dates",
        slots=slots,
        number=True,
        code=f"from datetime import date; print(({literal(second)} - {literal(first)}).days)",
        noun=(
            "the number of days between {a} and {b}",
            "the number of days from {a} [to|until|till] {b}",
            "the days between {a} and {b}",
            "the [difference|distance|time|gap] in days between {a} and {b}",
        ),
        verb=(
            "count the days [between {a} and {b}|from {a} to {b}|from {a} until {b}]",
            "count how many days [lie|are|there are] between {a} and {b}",
        ),
        question=(
            "how many days are between {a} and {b}",
            "how many days are there between {a} and {b}",
            "how many days there are [from|between] {a} and {b}",
            "how many days [lie|passed|pass] between {a} and {b}",
            "how many days from {a} to {b}",
            "how many days it is from {a} [to|until] {b}",
            "how many days {b} is after {a}",
            "how far apart {a} and {b} are in days",
            "how long is it from {a} to {b} in days",
        ),
        raw=(
            "days between {a} and {b}",
            "days from {a} to {b}",
            "{a} to {b} in days",
            "from {a} to {b}, how many days",
            "{a} until {b}: how many days",
        ),
    )


def weekday(draw: Draw) -> Exercise:
    day = drawn(draw)
    slots = {"a": written(draw, day)}
    return Exercise(
        family="dates",
        slots=slots,
        code=f"from datetime import date; print({literal(day)}.strftime('%A'))",
        noun=("the [weekday|day of the week] of {a}", "the [weekday|day of the week] [on|for] {a}"),
        verb=(
            "[find|find out|tell me|work out|determine] the [weekday|day of the week] [of|for] {a}",
            "name the [weekday|day of the week] of {a}",
        ),
        question=(
            "what day of the week {a} [was|is|falls on]",
            "which [weekday|day of the week] {a} [was|is|falls on|fell on]",
            "what [weekday|day] {a} [was|is]",
            "what day of the week [was|is] {a}",
            "on which [weekday|day of the week|day] {a} falls",
            "what day {a} falls on",
        ),
        raw=(
            "weekday of {a}",
            "{a}: which [weekday|day of the week]",
            "{a} [was|is] a what day",
            "day of the week {a}",
            "which weekday is {a}",
            "what day was {a}",
            "on what day [did|does] {a} fall",
        ),
    )


UNITS = {"day": 1, "week": 7}


def shifted(draw: Draw) -> Exercise:
    day, count, unit = drawn(draw), draw.between(2, 150), draw.pick(["day", "day", "week"])
    back = draw.chance(0.35)
    slots = {"a": written(draw, day), "n": f"{count} {unit}s"}
    preposition = "before" if back else "after"
    verb = "subtract" if back else "add"
    return Exercise(
        family="dates",
        slots=slots,
        code=f"from datetime import date, timedelta; print({literal(day)} {'-' if back else '+'} timedelta({unit}s={count}))",
        noun=(
            f"the [date|day] {{n}} {preposition} {{a}}",
            f"{{n}} {preposition} {{a}}",
            f"the date that is {{n}} {preposition} {{a}}",
        ),
        verb=(
            (f"{verb} {{n}} [from|to] {{a}}",)
            if not back
            else ("subtract {n} from {a}", "go back {n} from {a}", "take {n} away from {a}")
        ),
        question=(
            f"[which|what] [date|day] is {{n}} {preposition} {{a}}",
            f"what [date|day] it is {{n}} {preposition} {{a}}",
            f"what the date is {{n}} {preposition} {{a}}",
        ),
        raw=(f"{{n}} {preposition} {{a}}", f"{{a}} {'minus' if back else 'plus'} {{n}}", f"date {{n}} {preposition} {{a}}"),
    )


def leap(draw: Draw) -> Exercise:
    year = draw.between(1600, 2400) if draw.chance(0.3) else draw.between(1900, 2100)
    return Exercise(
        family="dates",
        slots={"a": str(year)},
        code=f"import calendar; print(calendar.isleap({year}))",
        verb=("[check|see|find out|tell me|determine] [if|whether] [the year|] {a} [is|was] a leap year",),
        question=(
            "[if|whether] [the year|] {a} [is|was] a leap year",
            "[if|whether] {a} has [366 days|a 29 February|a February 29]",
        ),
        raw=(
            "is {a} a leap year",
            "was {a} a leap year",
            "is the year {a} a leap year",
            "{a}: leap year or not",
            "{a} leap year",
            "does {a} have [366 days|a February 29]",
            "how about {a}, is it a leap year",
        ),
    )


def today(draw: Draw) -> Exercise:
    kind = draw.pick(["date", "date", "weekday", "year", "time"])
    code = {
        "date": "from datetime import date; print(date.today())",
        "weekday": "from datetime import date; print(date.today().strftime('%A'))",
        "year": "from datetime import date; print(date.today().year)",
        "time": "from datetime import datetime; print(datetime.now().strftime('%H:%M'))",
    }[kind]
    question = {
        "date": (
            "what date it is [today|]",
            "what today's date is",
            "which date we have today",
            "what the date is [today|]",
            "what's today's date",
            "what is the date today",
        ),
        "weekday": (
            "what [weekday|day of the week|day] it is [today|]",
            "which [weekday|day of the week] [it is|today is|we have] [today|]",
            "what day is it [today|]",
        ),
        "year": ("what year it is", "which year [it is|we are in|we have]", "what year is it [now|]"),
        "time": (
            "what time it is [now|right now|]",
            "what time is it [now|right now|]",
            "how late it is",
            "what the time is [now|]",
            "what's the time [now|]",
        ),
    }[kind]
    noun = {
        "date": ("today's date", "the date [today|of today]", "the current date"),
        "weekday": ("today's [weekday|day of the week]", "the current [weekday|day of the week]"),
        "year": ("the current year",),
        "time": ("the time", "the current time", "the exact time", "the time of day"),
    }[kind]
    shape = {"date": "%Y-%m-%d", "weekday": "%A", "year": "%Y", "time": "%H:%M"}[kind]
    return Exercise(
        family="dates",
        slots={},
        imagined=lambda again: datetime(
            again.between(2024, 2034), again.between(1, 12), again.between(1, 28), again.between(0, 23), again.between(0, 59)
        ).strftime(shape),
        code=code,
        noun=noun,
        question=question,
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = (
    (3.5, days_between),
    (3, weekday),
    (1.2, shifted),
    (1, leap),
    (0.5, today),
)
