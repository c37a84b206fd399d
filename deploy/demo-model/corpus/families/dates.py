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
            "the [difference|distance] in days between {a} and {b}",
            "the [difference|distance|time] between {a} and {b} in days",
            "the [count|number] of days that lie between {a} and {b}",
            "the time from {a} [to|until] {b} in days",
        ),
        verb=(
            "count the days [between {a} and {b}|from {a} to {b}|from {a} until {b}]",
            "count how many days [lie|are|there are|pass] between {a} and {b}",
            "[find|get|determine] the [number of days|difference in days] between {a} and {b}",
            "[find|get|determine] the number of days from {a} [to|until] {b}",
        ),
        question=(
            "how many days are between {a} and {b}",
            "how many days are there between {a} and {b}",
            "how many days are there from {a} [to|until|till] {b}",
            "how many days [lie|passed|pass] between {a} and {b}",
            "how many days from {a} to {b}",
            "how many days it is from {a} [to|until] {b}",
            "how many days is it from {a} [to|until] {b}",
            "how many days apart {a} and {b} are",
            "how many days apart are {a} and {b}",
            "how long is it from {a} to {b} in days",
            "what the difference in days between {a} and {b} is",
        ),
        raw=(
            "days between {a} and {b}",
            "days from {a} to {b}",
            "number of days [between|from] {a} and {b}",
            "{a} to {b} in days",
            "from {a} to {b}, how many days",
            "between {a} and {b}, how many days [are there|pass|lie]",
            "{a} until {b}: how many days",
            "{a} and {b}: [days between|difference in days|how many days apart]",
            "[days between|difference in days|how many days]: {a} and {b}",
            "if today is {a}, how many days are left until {b}",
            "it is {a}. How many days [is it|are left] until {b}",
        ),
    )


def weekday(draw: Draw) -> Exercise:
    day = drawn(draw)
    slots = {"a": written(draw, day)}
    return Exercise(
        family="dates",
        slots=slots,
        code=f"from datetime import date; print({literal(day)}.strftime('%A'))",
        noun=(
            "the [weekday|day of the week] of {a}",
            "the [weekday|day of the week] [on|for] {a}",
            "the [weekday|day of the week] [that|which] {a} [falls|fell] on",
            "the [weekday|day of the week] of the date {a}",
        ),
        verb=(
            "[find|find out|tell me|work out|determine] the [weekday|day of the week] [of|for] {a}",
            "name the [weekday|day of the week] of {a}",
            "[say|check|see] [which|what] [weekday|day of the week] {a} [is|was|falls on]",
            "[look up|get|give me] the [weekday|day of the week] [of|for] {a}",
            "[say|check|see] on [which|what] [weekday|day] {a} [falls|fell]",
        ),
        question=(
            "what day of the week {a} [was|is|falls on]",
            "which [weekday|day of the week] {a} [was|is|falls on|fell on]",
            "what [weekday|day] {a} [was|is]",
            "what day of the week [was|is] {a}",
            "which [weekday|day of the week] [was|is] {a}",
            "on which [weekday|day of the week|day] {a} [falls|fell]",
            "on what [weekday|day of the week|day] {a} [falls|fell]",
            "what day {a} falls on",
            "what [weekday|day of the week] it [is|was|will be] on {a}",
            "what the [weekday|day of the week] of {a} [is|was]",
            "what is the [weekday|day of the week] [of|for] {a}",
        ),
        raw=(
            "weekday of {a}",
            "{a}: which [weekday|day of the week]",
            "{a}: [weekday|day of the week|what day is that|which day was it]",
            "[weekday|day of the week|what day is this|which weekday]: {a}",
            "{a} [was|is] a what day",
            "{a} [is|was] which [weekday|day of the week]",
            "{a}, [what day of the week|which weekday|what day is that]",
            "day of the week {a}",
            "which weekday is {a}",
            "what day was {a}",
            "on what day [did|does|will] {a} fall",
            "on which weekday [did|does] {a} fall",
            "I was born on {a}. [Which weekday|What day of the week] was that",
        ),
    )


UNITS = {"day": 1, "week": 7}


def shifted(draw: Draw) -> Exercise:
    day, count, unit = drawn(draw), draw.between(2, 150), draw.pick(["day", "day", "week"])
    back = draw.chance(0.35)
    slots = {"a": written(draw, day), "n": f"{count} {unit}s"}
    preposition = "before" if back else "after"
    sooner = "[earlier than|before]" if back else "[later than|after]"
    forth = "back" if back else "forward"
    own_verbs = (
        (
            "subtract {n} from {a}",
            "go back {n} from {a}",
            "take {n} away from {a}",
        )
        if back
        else (
            "add {n} to {a}",
            "move {a} forward by {n}",
        )
    )
    own_raws = (
        (
            "{n} back from {a}, which date is that",
            "if today is {a}, what was the date {n} ago",
            "today is {a}. Which date was it {n} ago",
        )
        if back
        else (
            "{n} from {a}, which date is that",
            "if today is {a}, what will the date be in {n}",
            "today is {a}. Which date will it be in {n}",
        )
    )
    return Exercise(
        family="dates",
        slots=slots,
        code=f"from datetime import date, timedelta; print({literal(day)} {'-' if back else '+'} timedelta({unit}s={count}))",
        noun=(
            f"the [date|day] {{n}} {preposition} {{a}}",
            f"{{n}} {preposition} {{a}}",
            f"the [date|day] that is {{n}} {preposition} {{a}}",
            f"the [date|day] {{n}} {sooner} {{a}}",
            f"{{a}} {'minus' if back else 'plus'} {{n}}",
        ),
        verb=(
            *own_verbs,
            f"[find|get|give me|name] the [date|day] {{n}} {preposition} {{a}}",
            f"[find|get|give me] the date {{n}} {sooner} {{a}}",
            f"[go|count] {{n}} {forth} from {{a}}",
            f"[say|see] [which|what] date is {{n}} {preposition} {{a}}",
        ),
        question=(
            f"[which|what] [date|day] is {{n}} {preposition} {{a}}",
            f"[which|what] date is {{n}} {sooner} {{a}}",
            f"what [date|day] it [is|was|will be] {{n}} {preposition} {{a}}",
            f"what the date [is|was|will be] {{n}} {preposition} {{a}}",
            f"what {{a}} {'minus' if back else 'plus'} {{n}} is",
        ),
        raw=(
            f"{{n}} {preposition} {{a}}",
            f"{{a}} {'minus' if back else 'plus'} {{n}}",
            f"{{a}} {'-' if back else '+'} {{n}}",
            f"date {{n}} {preposition} {{a}}",
            f"{{n}} {sooner} {{a}}",
            f"{{a}}, {{n}} {'earlier' if back else 'later'}",
            f"{{a}}: {{n}} {'earlier' if back else 'later'}",
            f"{{n}} {preposition} {{a}} is which date",
            *own_raws,
        ),
    )


def leap(draw: Draw) -> Exercise:
    year = draw.between(1600, 2400) if draw.chance(0.3) else draw.between(1900, 2100)
    return Exercise(
        family="dates",
        slots={"a": str(year)},
        code=f"import calendar; print(calendar.isleap({year}))",
        verb=("[check|see|find out|tell me|determine|verify|decide] [if|whether] [the year|] {a} [is|was] a leap year",),
        question=(
            "[if|whether] [the year|] {a} [is|was] a leap year",
            "[is|was] [the year|] {a} a leap year",
        ),
        raw=(
            "is {a} a leap year",
            "was {a} a leap year",
            "is the year {a} a leap year",
            "is {a} a leap year or not",
            "{a}: leap year or not",
            "{a}: [leap year|is it a leap year]",
            "{a} leap year",
            "[leap year|leap year or not]: {a}",
            "isleap({a})",
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
            "what date it is [today|now|]",
            "what date is it [today|now|]",
            "what today's date is",
            "which date we have today",
            "which date [is it|it is|do we have] today",
            "what the date is [today|now|]",
            "what's today's date",
            "what is today's date",
            "what is the [date today|current date]",
            "what the current date is",
        ),
        "weekday": (
            "what [weekday|day of the week|day] it is [today|]",
            "which [weekday|day of the week] [it is|today is|we have] [today|]",
            "what day is it [today|]",
            "[what|which] [weekday|day of the week] is it [today|]",
            "what day today is",
            "what the current [weekday|day of the week] is",
            "what is today's [weekday|day of the week]",
        ),
        "year": (
            "what year it is [now|today|]",
            "which year [it is|we are in|we have|this is]",
            "what year is it [now|today|]",
            "[what|which] year are we in",
            "what the current year is",
            "what is the current year",
        ),
        "time": (
            "what time it is [now|right now|]",
            "what time is it [now|right now|]",
            "what the time is [now|]",
            "what's the time [now|]",
            "what is the [current time|time of day]",
        ),
    }[kind]
    noun = {
        "date": ("today's date", "the date [today|of today]", "the current date"),
        "weekday": (
            "today's [weekday|day of the week]",
            "the current [weekday|day of the week]",
            "the [weekday|day of the week] today",
        ),
        "year": ("the current year", "the year [now|today]", "the year we are in"),
        "time": (
            "the time",
            "the current time",
            "the time of day",
            "the time [now|right now]",
        ),
    }[kind]
    verb = {
        "date": ("check [today's date|what date it is]", "look up [today's|the current] date", "say what date we have today"),
        "weekday": (
            "check which [weekday|day of the week] it is",
            "look up today's [weekday|day of the week]",
            "name [today's|the current] [weekday|day of the week]",
        ),
        "year": ("check [the current year|what year it is]", "look up the current year", "say which year we are in"),
        "time": ("check [the time|what time it is]", "say what time it is [now|]"),
    }[kind]
    raw = {
        "date": ("today's date", "date today", "current date", "the date, please"),
        "weekday": ("weekday today", "today's weekday", "current day of the week"),
        "year": ("current year", "the year, please", "which year now"),
        "time": ("current time", "time now", "the time, please", "time please"),
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
        verb=verb,
        question=question,
        raw=raw,
    )


FAMILIES: tuple[tuple[float, Callable[[Draw], Exercise]], ...] = (
    (3.5, days_between),
    (3, weekday),
    (1.2, shifted),
    (1, leap),
    (0.5, today),
)
