"""Dates and times of day."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

from ..draw import Draw
from ..exercise import Exercise, says
from .integers import yes_or_no

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
        family="days between",
        slots=slots | {"short": f"{slots['a']} and {slots['b']}"},
        number=True,
        again=days_between,
        answer=says("There are {out} days."),
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
        family="weekday",
        slots=slots | {"short": slots["a"]},
        again=weekday,
        answer=says("It is a {out}."),
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
        family="date shift",
        slots=slots | {"short": slots["a"]},
        answer=says("It is {out}."),
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
        family="leap year",
        slots={"a": str(year), "short": str(year)},
        again=leap,
        code=f"import calendar; print(calendar.isleap({year}))",
        answer=yes_or_no(f"Yes, {year} is a leap year.", f"No, {year} is not a leap year."),
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


def month_length(draw: Draw) -> Exercise:
    month, year = draw.between(1, 12), draw.between(1950, 2080)
    slots = {"m": f"{MONTHS[month - 1]} {year}"}
    return Exercise(
        family="month length",
        slots=slots | {"short": slots["m"]},
        again=month_length,
        number=True,
        code=f"import calendar; print(calendar.monthrange({year}, {month})[1])",
        answer=says("There are {out} days."),
        noun=("the [number of days|length in days] [in|of] {m}",),
        verb=("count the days [in|of] {m}",),
        question=(
            "how many days {m} has",
            "how many days are in {m}",
            "how many days does {m} have",
            "how many days [did|there were in|there are in] {m} [have|]",
            "how long {m} is in days",
        ),
        raw=("days in {m}", "{m}: how many days"),
    )


def today(draw: Draw) -> Exercise:
    kind = draw.pick(["date", "date", "weekday", "year", "time"])
    code = {
        "date": "from datetime import date; print(date.today())",
        "weekday": "from datetime import date; print(date.today().strftime('%A'))",
        "year": "from datetime import date; print(date.today().year)",
        "time": "from datetime import datetime; print(datetime.now().strftime('%H:%M'))",
    }[kind]
    answer = {"date": "Today is {out}.", "weekday": "Today is {out}.", "year": "It is {out}.", "time": "It is {out}."}[kind]
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
        family="today",
        slots={"short": ""},
        imagined=lambda again: datetime(
            again.between(2024, 2034), again.between(1, 12), again.between(1, 28), again.between(0, 23), again.between(0, 59)
        ).strftime(shape),
        code=code,
        answer=says(answer),
        noun=noun,
        question=question,
    )


def clock(draw: Draw) -> Exercise:
    """Minutes between two times of a day."""
    start = draw.between(0, 1300)
    stop = draw.between(start + 5, 1439)
    slots = {"a": f"{start // 60}:{start % 60:02}", "b": f"{stop // 60}:{stop % 60:02}"}
    return Exercise(
        family="clock",
        slots=slots | {"short": f"{slots['a']} and {slots['b']}"},
        number=True,
        again=clock,
        answer=says("It is {out} minutes."),
        code=f"print(({stop // 60} * 60 + {stop % 60}) - ({start // 60} * 60 + {start % 60}))",
        noun=("the [number of minutes|minutes] between {a} and {b}", "the time in minutes from {a} to {b}"),
        verb=("count the minutes [between {a} and {b}|from {a} to {b}]",),
        question=(
            "how many minutes are between {a} and {b}",
            "how many minutes [there are|pass|it is] from {a} to {b}",
            "how long it is from {a} to {b} in minutes",
        ),
        raw=("minutes between {a} and {b}", "{a} to {b} in minutes", "minutes from {a} until {b}"),
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = (
    (3.5, days_between),
    (3, weekday),
    (1.6, shifted),
    (1.4, leap),
    (0.8, month_length),
    (0.6, today),
    (0.7, clock),
)
