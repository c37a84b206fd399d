"""Tools of a registry: made up by the thousand, so that names, descriptions and arguments have to be read, not remembered."""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..draw import Draw
from ..exercise import Call, Round, Turn
from ..lexicon import CITIES, COMMON, COUNTRIES, LAST_NAMES, WORDS
from ..values import invented, listed, name, phrase, scrambled, topic, whole
from ..wording import finished

Value = str | int

THINGS = """weather|forecast|temperature|humidity|tide|air quality|pollen count|exchange rate|stock price|price|population|area|time zone|currency|timetable|opening hours|phone number|address|balance|invoice|order status|delivery date|tracking status|
warranty|manual|recipe|menu|rating|review|score|ranking|salary|vacation balance|shift plan|meeting room|calendar|schedule|contract|licence|profile|contact|login history|disk usage|server status|uptime|log file|build status|ticket|battery level|
fuel price|traffic|route|distance|bus line|train departure|flight status|gate|hotel rating|room rate|exchange fee|tax rate|interest rate|credit score|inventory|stock level|supplier|part number|blood type|dosage|allergy list|appointment|diet plan|
definition|synonym|translation|pronunciation|capital|flag|anthem|mayor|elevation|water level|wind speed|sunrise|sunset|moon phase|snow depth|earthquake risk|noise level|speed limit|parking fee|postcode|dial code|visa rule|customs duty|holiday list""".replace(
    "\n", ""
).split("|")
COLLECTIONS = "documents|articles|tickets|files|notes|emails|products|books|recipes|papers|contracts|customers|messages|photos|events|logs|orders|songs|films|jobs|patents|policies|records|reviews|reports|questions|archives|minutes|wiki pages|invoices".split(
    "|"
)
CREATIONS = "ticket|task|reminder|event|note|meeting|appointment|issue|order|booking|reservation|alarm|card|page|folder|project|invoice|contact|poll|label".split(
    "|"
)
MESSAGES = "email|message|sms|letter|notification|mail|fax|memo|chat message|invitation".split("|")
DEVICES = "light|heating|thermostat|speaker|fan|lamp|radiator|blind|oven|alarm|volume|brightness|sprinkler|radio|heater|humidifier|shutter|screen".split(
    "|"
)
ROOMS = "kitchen|bedroom|office|garage|garden|bathroom|hall|attic|cellar|living room|lobby|workshop|nursery|studio".split("|")
DATES = "today|tomorrow|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|next week|next Monday|2026-12-24|2027-01-15|2026-11-30|March 3|5 May|2027-06-01|tonight|next month|2025-02-28".split(
    "|"
)
STATES = "ok|done|sent|active|open|closed|pending|shipped|delivered|delayed|running|stopped|unknown|confirmed|created|queued|sunny|cloudy|rainy|full|empty|high|low|medium|good|poor|valid|expired".split(
    "|"
)
FIELDS = "status|value|level|result|amount|count|state|total|price|note|unit|updated|code|name|id|score|kind|owner|city|source|time|rank|title|message".split(
    "|"
)
ERRORS = (
    "not found",
    "permission denied",
    "service unavailable",
    "timeout after 10 s",
    "limit exceeded: wall_seconds (60 s)",
    "invalid id",
    "host not allowed",
    "quota exceeded",
    "connection refused",
    "no such record",
    "limit exceeded: memory_bytes (268435456)",
)
CURRENCIES = "EUR USD GBP JPY CHF PLN SEK INR CAD AUD NOK CZK BRL".split()
KEYS = "city town location place country person customer employee user order product item symbol host email topic query keywords term".split()
DAYS = "today tomorrow tonight Monday Tuesday Wednesday Thursday Friday Saturday Sunday week".split()

ARGUMENTS: Mapping[str, tuple[Callable[[Draw], Value], str]] = {
    "city": (lambda draw: listed(draw, CITIES), "[in|for] {x}"),
    "town": (lambda draw: listed(draw, CITIES), "[in|for] {x}"),
    "location": (lambda draw: listed(draw, CITIES), "[in|for|at] {x}"),
    "place": (lambda draw: listed(draw, CITIES), "[in|for|at] {x}"),
    "country": (lambda draw: listed(draw, COUNTRIES), "[in|of|for] {x}"),
    "name": (lambda draw: name(draw), "[of|for] {x}"),
    "person": (lambda draw: f"{name(draw)} {listed(draw, LAST_NAMES)}", "[of|for] {x}"),
    "customer": (lambda draw: f"{name(draw)} {listed(draw, LAST_NAMES)}", "[of|for] [customer|] {x}"),
    "employee": (lambda draw: name(draw), "[of|for] [employee|] {x}"),
    "user": (lambda draw: invented(draw), "[of|for] [user|] {x}"),
    "id": (lambda draw: identifier(draw), "[of|for|with id] {x}"),
    "order_id": (lambda draw: identifier(draw), "[of|for] [order|] {x}"),
    "code": (lambda draw: identifier(draw), "[of|for|with code] {x}"),
    "number": (lambda draw: whole(draw, 2, 6), "[of|for] [number|] {x}"),
    "account": (lambda draw: whole(draw, 4, 9), "[of|for] [account|] {x}"),
    "product": (lambda draw: listed(draw, WORDS), "[of|for] [a|the|] {x}"),
    "item": (lambda draw: listed(draw, WORDS), "[of|for] [a|the|] {x}"),
    "word": (lambda draw: listed(draw, WORDS), "[of|for] [the word|] {x}"),
    "symbol": (lambda draw: invented(draw)[:4].upper(), "[of|for] {x}"),
    "host": (lambda draw: f"{invented(draw)}.{draw.pick(['com', 'org', 'net', 'local'])}", "[of|for|on] {x}"),
    "email": (lambda draw: address(draw), "[of|for] {x}"),
    "topic": (lambda draw: topic(draw), "[for|on] {x}"),
}
EXTRAS: Mapping[str, tuple[Callable[[Draw], Value], str]] = {
    "date": (lambda draw: draw.pick(DATES), "[on|for|] {y}"),
    "day": (lambda draw: draw.pick(DATES), "[on|for|] {y}"),
    "days": (lambda draw: draw.between(2, 14), "for [the next|] {y} days"),
    "unit": (lambda draw: draw.pick(["celsius", "fahrenheit", "euros", "dollars", "meters", "miles"]), "in {y}"),
    "year": (lambda draw: draw.between(1990, 2030), "in {y}"),
    "limit": (lambda draw: draw.between(2, 20), "with a limit of {y}"),
    "language": (lambda draw: draw.pick(["French", "German", "Spanish", "Polish", "English"]), "in {y}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A tool and a question that it answers."""

    tool: Mapping[str, Any]
    wordings: tuple[str, ...]
    slots: Mapping[str, str]
    arguments: Mapping[str, Value]


def request(draw: Draw, taken: tuple[str, ...] = ()) -> Request:
    makers = (lookup, lookup, lookup, search, send, create, command, cancel, between)
    for _ in range(20):
        made = draw.pick(makers)(draw)
        if draw.split == "train" and len(made.arguments) == 1 and draw.chance(0.4):
            continue  # what has two arguments is harder
        if made.tool["function"]["name"] not in taken:
            break
    return relabelled(draw, made) if draw.split == "train" and draw.chance(0.15) else made


def again(draw: Draw, made: Request) -> Request:
    """Practice: the same tool asked for something else."""
    fresh: dict[str, Value] = {str(value): other(draw, value) for value in made.arguments.values()}
    return replace(
        made,
        slots={slot: str(fresh.get(text, text)) for slot, text in made.slots.items()},
        arguments={key: fresh[str(value)] for key, value in made.arguments.items()},
    )


def other(draw: Draw, value: Value) -> Value:
    if isinstance(value, int):
        return whole(draw, 1, max(2, len(str(value))))
    if value in DATES:
        return draw.pick(DATES)
    if "@" in value:
        return address(draw)
    make = draw.pick([invented, identifier, name, topic, phrase, lambda draw: listed(draw, WORDS), lambda draw: listed(draw, CITIES)])
    return make(draw)


def relabelled(draw: Draw, made: Request) -> Request:
    """Practice: an argument by a name that nobody would give it, so that names are read from the schema."""
    key, label = draw.pick(list(made.arguments)), scrambled(draw) if draw.chance(0.5) else listed(draw, COMMON)
    if label in made.arguments:
        return made

    def with_label(keyed: Mapping[str, Any]) -> Mapping[str, Any]:
        return {label if one == key else one: value for one, value in keyed.items()}

    tool = copy.deepcopy(made.tool)
    parameters = tool["function"]["parameters"]
    parameters["properties"] = with_label(parameters["properties"])
    parameters["required"] = [label if one == key else one for one in parameters["required"]]
    return replace(made, tool=tool, arguments=with_label(made.arguments))


def schema(
    draw: Draw, tool_name: str, description: str, properties: Mapping[str, Value], optional: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    kinds = {key: {"type": "integer" if isinstance(value, int) else "string"} for key, value in properties.items()}
    parameters = {
        "type": "object",
        "properties": kinds,
        "required": [key for key in kinds if key not in optional],
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": tool_name, "description": description, "parameters": parameters}}


def described(draw: Draw, text: str) -> str:
    """Descriptions come in all shapes, or not at all."""
    text = draw.text(text)
    return draw.pick([text, text, text + ".", text + ".", text[:1].lower() + text[1:], ""]) if draw.chance(0.95) else text


def thing(draw: Draw, pool: list[str]) -> str:
    return listed(draw, pool) if draw.chance(0.7) else invented(draw)


def named(draw: Draw, verbs: str, noun: str) -> str:
    joined = noun.replace(" ", "_")
    style = draw.rng.random()
    verb = draw.pick(verbs.split("|"))
    if style < 0.7:
        return f"{verb}_{joined}"
    if style < 0.8:
        return joined
    if style < 0.9:
        return f"{joined}_{verb}"
    return verb + "".join(part.capitalize() for part in noun.split())


ASK = "[what is|what's|whats|tell me|show me|get me|give me|look up|find|check|fetch|get|I need|I want|I'd like to know|I'd like|can you check|could you look up|can you tell me|could you tell me|please get|please check|do you know|would you find|let me see|how about|any news on|can I have|I want to know|find out]"


def lookup(draw: Draw) -> Request:
    noun = thing(draw, THINGS)
    key = draw.pick(list(ARGUMENTS))
    make, where = ARGUMENTS[key]
    value = make(draw)
    arguments: dict[str, Value] = {key: value}
    extra = draw.pick(list(EXTRAS)) if draw.chance(0.3) and key != "topic" else None
    tail, properties = "", dict(arguments)
    optional: tuple[str, ...] = ()
    if extra:
        make_extra, said = EXTRAS[extra]
        properties[extra] = make_extra(draw)
        optional = (extra,) if draw.chance(0.4) else ()
        if not optional or draw.chance(0.5):
            arguments[extra] = properties[extra]
            tail = f" {said}"
    a = key.replace("_", " ")
    tool = schema(
        draw,
        named(draw, "get|fetch|lookup|find|show|read|query|check", noun),
        described(
            draw,
            f"[The {noun} of a {a}|{noun.capitalize()} for a {a}|Get the {noun} of a {a}|Look up the {noun} for a given {a}|Returns the {noun}|Current {noun} by {a}|Finds the {noun} for the {a}|Gives {noun}]",
        ),
        properties,
        optional,
    )
    wordings = (
        f"{ASK} the {noun} {where}{tail}?",
        f"{noun} {where}{tail}",
        f"{noun} {where}{tail}?",
        f"{ASK} the [current|latest|right|] {noun} {where}{tail}",
        f"[what does the {noun} look like|how is the {noun}|what about the {noun}] {where}{tail}?",
    )
    slots = {"x": str(value), "y": str(arguments.get(extra or "", ""))}
    return Request(
        tool=tool,
        wordings=wordings,
        slots=slots,
        arguments=arguments,
    )


def search(draw: Draw) -> Request:
    noun = thing(draw, COLLECTIONS)
    key = draw.pick(["query", "query", "q", "text", "keywords", "topic", "term", "search"])
    value = topic(draw)
    tool = schema(
        draw,
        named(draw, "search|find|query|search_in|browse", noun),
        described(
            draw,
            f"[Search the {noun}|Full text search in {noun}|Find {noun} by keyword|Searches {noun} and returns the best hits|Look for something in the {noun}]",
        ),
        {key: value},
    )
    marked = draw.pick(["{x}", "{x}", "{x}", "'{x}'", '"{x}"'])
    wordings = (
        f"[search|search in|look in|go through|check|scan] [the|our|my|all|] {noun} for {marked}",
        f"[find|search|look for|get|show|list] {noun} [about|on|concerning|regarding|for|related to] {marked}",
        f"[are there|do we have|have we got|is there|do you have] [any|] {noun} [about|on|for|regarding] {marked}?",
        f"what do [the|our|my] {noun} say about {marked}?",
        f"[can you|could you|please] [search|look] [for|up] {marked} in the {noun}",
        f"[I need|I want|I'm looking for|show me|give me] [some|the|] {noun} [about|on|regarding] {marked}",
        f"look for {marked} in [the|our] {noun}",
    )
    return Request(tool=tool, wordings=wordings, slots={"x": value}, arguments={key: value})


def send(draw: Draw) -> Request:
    noun = thing(draw, MESSAGES)
    to_key, text_key = (
        draw.pick(["to", "recipient", "to", "address", "receiver"]),
        draw.pick(["subject", "text", "body", "message", "content", "title"]),
    )
    to = address(draw) if draw.chance(0.5) else name(draw)
    text = draw.pick(
        [
            f"{topic(draw)}",
            f"{listed(draw, WORDS)} {listed(draw, WORDS)} on {draw.pick(DATES)}",
            f"see you {draw.pick(DATES)}",
            f"the {listed(draw, WORDS)} is {draw.pick(STATES)}",
            f"please call {name(draw)}",
            f"{listed(draw, WORDS)} at {draw.between(1, 12)} pm",
            phrase(draw),
        ]
    )
    if draw.chance(0.3):
        text = text[:1].upper() + text[1:]
    tool = schema(
        draw,
        named(draw, "send|write|post|deliver", noun),
        described(
            draw, f"[Send a {noun}|Sends a {noun} to somebody|Write a {noun} to a person|Deliver a {noun} to a recipient]"
        ),
        {to_key: to, text_key: text},
    )
    marked = draw.pick(["'{y}'", '"{y}"', '"{y}"', "“{y}”"])
    bare = draw.pick(["{y}", marked])
    wordings = (
        f"[send|write|post|shoot] [a|an|the] {noun} to {{x}} [saying|with the {text_key}|with {text_key}|that says|with the text] {marked}",
        f"[send|write] {{x}} [a|an|the] {noun} [saying|with the {text_key}|with {text_key}|that says] {marked}",
        f"[can you|could you|please|I want to] send [a|an] {noun} to {{x}}: {bare}",
        f"[send|write] [a|an] {noun} to {{x}} about {bare}",
        f"[let {{x}} know|tell {{x}}] by {noun}: {bare}",
        f"{noun} to {{x}}: {bare}",
    )
    return Request(tool=tool, wordings=wordings, slots={"x": to, "y": text}, arguments={to_key: to, text_key: text})


def create(draw: Draw) -> Request:
    noun = thing(draw, CREATIONS)
    key = draw.pick(["title", "name", "subject", "text", "summary", "description"])
    value = (
        topic(draw)
        if draw.chance(0.5)
        else phrase(draw)
        if draw.chance(0.2)
        else f"{draw.pick(['buy', 'call', 'fix', 'check', 'clean', 'review', 'water', 'pay'])} {draw.pick(['the', 'my', 'some'])} {listed(draw, WORDS)}"
    )
    arguments: dict[str, Value] = {key: value}
    extra, tail = None, ""
    if draw.chance(0.6):
        extra = draw.pick(["date", "day", "due", "when", "priority", "count"])
        made: Value = (
            draw.pick(["low", "medium", "high"])
            if extra == "priority"
            else draw.between(1, 20)
            if extra == "count"
            else draw.pick(DATES)
        )
        arguments[extra] = made
        tail = (
            " with [priority {y}|{y} priority]"
            if extra == "priority"
            else " with count {y}"
            if extra == "count"
            else " [for|on|due] {y}"
        )
    tool = schema(
        draw,
        named(draw, "create|add|new|make|open|book", noun),
        described(draw, f"[Create a {noun}|Creates a new {noun}|Add a {noun}|Make a new {noun} in the system|Opens a {noun}]"),
        arguments,
    )
    if extra == "priority" and draw.chance(0.6):
        tool["function"]["parameters"]["properties"]["priority"]["enum"] = ["low", "medium", "high"]
    marked = draw.pick(["{x}", "'{x}'", '"{x}"', '"{x}"'])
    wordings = (
        f"[create|add|make|open|set up] [a|a new|the|new] {noun} {marked}{tail}",
        f"[create|add|make|open] [a|a new] {noun} [called|named|titled|with the {key}|with {key}] {marked}{tail}",
        f"[I need|I want|please add|can you create|could you make|please open] a [new|] {noun} [called|named|for|:] {marked}{tail}",
        f"new {noun}: {marked}{tail}",
        f"{noun} {marked}{tail}[, please|]",
    )
    return Request(
        tool=tool, wordings=wordings, slots={"x": value, "y": str(arguments.get(extra or "", ""))}, arguments=arguments
    )


def command(draw: Draw) -> Request:
    noun = thing(draw, DEVICES)
    room_key, value_key = (
        draw.pick(["room", "room", "place", "location", "zone"]),
        draw.pick(["value", "level", "percent", "target", "degrees", "setting"]),
    )
    room = thing(draw, ROOMS)
    value = draw.between(1, 100)
    tool = schema(
        draw,
        named(draw, "set|adjust|change|control", noun),
        described(
            draw,
            f"[Set the {noun} in a {room_key}|Adjusts the {noun}|Change the {noun} of a {room_key}|Controls the {noun} in the house]",
        ),
        {room_key: room, value_key: value},
    )
    wordings = (
        f"[set|put|turn|change|adjust|bring] the {noun} in the {{x}} to {{y}}",
        f"[set|put|turn|change|adjust] the {{x}} {noun} to {{y}}",
        f"[can you|could you|please|I want you to] [set|turn|put] the {noun} [in|of] the {{x}} to {{y}}",
        f"{noun} in the {{x}} to {{y}}",
        f"in the {{x}}, [set|put] the {noun} to {{y}}",
    )
    return Request(
        tool=tool, wordings=wordings, slots={"x": room, "y": str(value)}, arguments={room_key: room, value_key: value}
    )


def cancel(draw: Draw) -> Request:
    noun = thing(draw, CREATIONS)
    key = draw.pick(["id", f"{noun.replace(' ', '_')}_id", "number", "reference", "key"])
    value: Value = whole(draw, 2, 8) if draw.chance(0.4) else identifier(draw)
    verb = draw.pick(["cancel", "delete", "close", "archive", "remove", "confirm", "approve", "reject", "renew"])
    tool = schema(
        draw,
        named(draw, verb, noun),
        described(
            draw,
            f"[{verb.capitalize()} a {noun}|{verb.capitalize()} the {noun} with this {key}|{verb.capitalize()}s a {noun} for good]",
        ),
        {key: value},
    )
    wordings = (
        f"{verb} {noun} {{x}}",
        f"{verb} the {noun} [{{x}}|with {key.replace('_', ' ')} {{x}}|number {{x}}]",
        f"[please|can you|could you|I want to|I'd like to|we need to] {verb} [the|my|our] {noun} {{x}}",
        f"{noun} {{x}}: {verb} it[ please|]",
        f"[please|] {verb} {{x}}, [the|my] {noun}",
    )
    return Request(tool=tool, wordings=wordings, slots={"x": str(value)}, arguments={key: value})


def between(draw: Draw) -> Request:
    noun = listed(
        draw,
        [
            "route",
            "distance",
            "exchange rate",
            "train",
            "flight",
            "travel time",
            "bus",
            "fare",
            "ferry",
            "connection",
            "toll",
            "conversion",
            "price difference",
            "phone rate",
            "shipping cost",
            "path",
        ],
    )
    keys = draw.pick(
        [
            ("from", "to"),
            ("origin", "destination"),
            ("start", "end"),
            ("source", "target"),
            ("from_city", "to_city"),
            ("base", "quote"),
            ("a", "b"),
        ]
    )
    if "rate" in noun or keys == ("base", "quote"):
        values = tuple(draw.rng.sample(CURRENCIES, 2))
    else:
        values = (listed(draw, CITIES), listed(draw, CITIES))
    tool = schema(
        draw,
        named(draw, "get|find|compute|lookup|plan|search", noun),
        described(
            draw,
            f"[The {noun} between two places|Finds the {noun} from one to the other|{noun.capitalize()} from {keys[0]} to {keys[1]}|Get the {noun}|Plan a {noun}]",
        ),
        dict(zip(keys, values, strict=True)),
    )
    wordings = (
        f"{ASK} the {noun} from {{x}} to {{y}}?",
        f"{ASK} the {noun} between {{x}} and {{y}}?",
        f"{noun} from {{x}} to {{y}}",
        f"{noun} {{x}} to {{y}}",
        f"[is there|find me] a {noun} from {{x}} to {{y}}?",
        f"I [want|need] to go from {{x}} to {{y}}, [what is|find|show me] the {noun}",
    )
    return Request(
        tool=tool, wordings=wordings, slots={"x": values[0], "y": values[1]}, arguments=dict(zip(keys, values, strict=True))
    )


def everyday(draw: Draw) -> Request:
    """Tools as people try first, for what the model must refuse where it has none for it."""
    city, somebody, text = listed(draw, CITIES), address(draw) if draw.chance(0.5) else name(draw), topic(draw)
    kinds: tuple[tuple[str, str, Mapping[str, Value], tuple[str, ...]], ...] = (
        (
            "get_weather|weather|current_weather|fetch_weather|weather_forecast",
            "[The weather in a city|Get the weather|Current weather for a city|Weather forecast]",
            {draw.pick(["city", "city", "location", "place"]): city},
            (
                "[what is|what's|how is|tell me|show me|check|get|get me|I need|look up] the weather [in|for] {x} [today|tomorrow|now|]?",
                "[weather|the weather|forecast] [in|for] {x}?",
                "[will it|is it going to|does it] [rain|snow] in {x} [today|tomorrow|]?",
            ),
        ),
        (
            "send_email|email|send_mail|write_email|mail",
            "[Send an email|Sends a mail to somebody|Send an e-mail]",
            {draw.pick(["to", "recipient"]): somebody, draw.pick(["subject", "subject", "text", "body"]): text},
            (
                "[send|write] [an email|a mail|an e-mail] to {x} about {y}",
                "[email|mail] {x} about {y}",
                "[send|write] {x} [an email|a mail] [with the subject|saying] [{y}|'{y}']",
            ),
        ),
        (
            "search_documents|search_web|web_search|find_documents|search",
            "[Search documents|Search the web|Full text search]",
            {draw.pick(["query", "q", "topic"]): text},
            (
                "[search|look|search the documents|search the web|look online] for {x}",
                "[find|look up|google] {x}",
                "[what do you know|tell me something|find out] about {x}?",
            ),
        ),
        (
            "get_price|stock_price|price|get_stock_price",
            "[The price of something|Stock price|Get the price]",
            {draw.pick(["symbol", "item", "product"]): listed(draw, WORDS)},
            ("[what is|what's|tell me|get] the [price|stock price] of {x}?", "[how much is|how dear is] {x}?", "price of {x}"),
        ),
        (
            "get_time|local_time|time_in|current_time",
            "[The local time in a city|Current time]",
            {"city": city},
            ("[what time is it|what's the time|current time] in {x} [now|]?", "time in {x}"),
        ),
        (
            "population|get_population|city_info",
            "[The population of a city|Facts about a city]",
            {"city": city},
            ("[what is|what's|tell me] the population of {x}?", "[how many people live|who lives] in {x}?"),
        ),
    )
    names, description, arguments, wordings = draw.pick(kinds)
    slots = dict(zip("xy", map(str, arguments.values()), strict=False))
    tool = schema(draw, draw.pick(names.split("|")), described(draw, description), arguments)
    return Request(tool=tool, wordings=wordings, slots=slots, arguments=arguments)


FUNCTIONS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "double|double_number|twice|times_two",
        "[Doubles a number|Double a number|Twice a number|Multiplies a number by two]",
        "n",
        ("[double|please double|can you double] [the number|] {x}", "[what is|what's|give me|tell me|] [the double of|twice|double] {x}?"),
    ),
    (
        "triple|triple_number|times_three",
        "[Triples a number|Triple a number|Three times a number]",
        "n",
        ("[triple|please triple|can you triple] [the number|] {x}", "[what is|what's|give me|] [the triple of|three times|triple] {x}?"),
    ),
    (
        "halve|half|half_of",
        "[Halves a number|Half of a number|Divides a number by two]",
        "n",
        ("[halve|please halve|can you halve] [the number|] {x}", "[what is|what's|give me|] [half of|the half of] {x}?"),
    ),
    (
        "square|square_number|squared",
        "[Squares a number|The square of a number]",
        "n",
        ("[square|please square|can you square] [the number|] {x}", "[what is|what's|give me|] [the square of {x}|{x} squared]?"),
    ),
    (
        "increment|next_number|add_one",
        "[Adds one to a number|The next number]",
        "n",
        ("[increment|increase|add one to|add 1 to] {x}", "what [comes|is] after {x}?", "[what is|] the number after {x}?"),
    ),
    (
        "add|add_numbers|sum|plus",
        "[Adds two numbers|The sum of two numbers|Add a and b]",
        "nn",
        ("[add|sum|please add|can you add] {x} and {y}", "[what is|what's|] {x} [plus|+] {y}?", "[what is|give me|] the sum of {x} and {y}?"),
    ),
    (
        "multiply|product|times",
        "[Multiplies two numbers|The product of two numbers|Multiply a by b]",
        "nn",
        ("[multiply|please multiply] {x} [by|and|with] {y}", "[what is|what's|] {x} [times|*|x] {y}?", "[what is|] the product of {x} and {y}?"),
    ),
    (
        "subtract|minus|difference",
        "[Subtracts the second number from the first|The difference of two numbers]",
        "nn",
        ("[what is|what's|] {x} [minus|-] {y}?", "[what is|] the difference [of|between] {x} and {y}?"),
    ),
    (
        "reverse|reverse_text|backwards",
        "[Reverses a text|Turns a word around|Reverse a word]",
        "w",
        ("[reverse|please reverse] [the word|] {x}", "[spell|write|say] {x} backwards", "[what is|] {x} [backwards|in reverse]?"),
    ),
    (
        "shout|upper|to_upper|uppercase",
        "[Writes a text in capitals|Upper case|Makes a word upper case]",
        "w",
        ("[write|put|shout] {x} in [capitals|upper case]", "[shout|uppercase|capitalise] {x}", "{x} in [capitals|upper case]"),
    ),
    (
        "count_letters|length|text_length|letters",
        "[Counts the letters of a word|The length of a text]",
        "w",
        ("how [many letters has|long is] {x}?", "[count|tell me] the letters [of|in] {x}", "[the length of|how long is the word] {x}?"),
    ),
    (
        "greet|say_hello|hello|welcome",
        "[Greets a person|Says hello to somebody|Welcomes somebody]",
        "p",
        ("[greet|welcome|say hello to] {x}", "[please|can you|] [greet|say hi to] {x} [for me|]"),
    ),
    (
        "is_prime|check_prime|prime",
        "[Says whether a number is prime|Checks for a prime]",
        "n",
        ("is {x} [a prime|prime|a prime number]?", "[check|test] whether {x} is prime"),
    ),
    (
        "factorial|fact",
        "[The factorial of a number|Computes a factorial]",
        "n",
        ("[what is|] the factorial of {x}?", "{x} factorial", "factorial of {x}", "{x}!"),
    ),
    (
        "roll|roll_dice|dice|random_number",
        "[Rolls a die|A random number up to n]",
        "n",
        ("roll a [die|dice] with {x} sides", "[roll|throw] a {x}-sided die", "a random number [up to|below] {x}"),
    ),
)
KINDS: Mapping[str, tuple[str, Callable[[Draw], Value]]] = {
    "n": ("x|n|number|value|num|i", lambda draw: whole(draw, 1, 4)),
    "w": ("text|word|s|value|string", lambda draw: listed(draw, WORDS) if draw.chance(0.6) else invented(draw)),
    "p": ("name|person|who|user", name),
}


def function(draw: Draw) -> Request:
    """What a programmer writes to try a tool: one small function."""
    names, description, kinds, wordings = draw.pick(FUNCTIONS)
    keys, make = KINDS[kinds[0]]
    arguments = {draw.pick(keys.split("|")): make(draw)}
    if kinds == "nn":
        first, second = draw.pick([("a", "b"), ("x", "y"), ("first", "second"), ("left", "right"), ("m", "n")])
        arguments = {first: make(draw), second: make(draw)}
    tool = schema(draw, draw.pick(names.split("|")), described(draw, description), arguments)
    slots = dict(zip("xy", map(str, arguments.values()), strict=False))
    return Request(tool=tool, wordings=wordings, slots=slots, arguments=arguments)


def identifier(draw: Draw) -> str:
    return draw.pick(
        [
            f"{invented(draw)[: draw.between(1, 3)].upper()}-{whole(draw, 2, 6)}",
            f"{whole(draw, 3, 8)}",
            f"{whole(draw, 3, 5)}-{invented(draw)[:2].upper()}",
            f"{invented(draw)[:3]}{whole(draw, 2, 4)}",
            f"#{whole(draw, 3, 5)}",
        ]
    )


def address(draw: Draw) -> str:
    local = draw.pick(
        [name(draw).lower(), f"{name(draw).lower()}.{listed(draw, LAST_NAMES).lower()}", f"{invented(draw)}{whole(draw, 1, 3)}"]
    )
    domain = draw.pick(
        ["example.com", "example.org", "mail.com", "firm.net", f"{invented(draw)}.com", f"{listed(draw, WORDS)}.org"]
    )
    return f"{local}@{domain}"


def returned(draw: Draw) -> str:
    """What a tool may give back: a plain text mostly, or a small flat object."""
    if draw.chance(0.6):
        return draw.pick(
            [
                f"{draw.pick(STATES)}",
                f"{draw.pick(STATES)}",
                f"{draw.pick(STATES)} in {listed(draw, CITIES)}",
                f"{whole(draw, 1, 5)} {listed(draw, WORDS)}",
                f"{listed(draw, WORDS)} and {listed(draw, WORDS)}",
                f"The {draw.pick(FIELDS)} is {scalar(draw)}.",
                f"{draw.pick(STATES)}, {whole(draw, 1, 3)} {draw.pick(['degrees', 'km', 'euros', 'items', 'left'])}",
                f"{scalar(draw)}",
            ]
        )
    return json.dumps({key: scalar(draw) for key in draw.rng.sample(FIELDS, draw.between(1, 2))}, ensure_ascii=False)


def scalar(draw: Draw) -> object:
    return draw.pick(
        [
            whole(draw, 1, 5),
            whole(draw, 1, 3),
            float(f"{whole(draw, 1, 3)}.{draw.between(1, 99)}"),
            draw.pick(STATES),
            draw.pick(STATES),
            listed(draw, WORDS),
            topic(draw),
            f"{draw.between(0, 23):02}:{draw.between(0, 59):02}",
            listed(draw, CITIES),
            invented(draw),
            name(draw),
        ]
    )


def asked(draw: Draw, wanted: Request) -> Turn:
    """One request, one call, and the report of its result or of its failure."""
    user = finished(draw, draw.text(wanted.wordings), wanted.slots, plain=0.6)
    error = draw.pick(ERRORS) if draw.chance(0.06) else None
    result = draw.pick([f"Error: {error}", f"error: {error}"]) if error else returned(draw)
    quoted = not error and draw.chance(0.3) and not result.startswith("{")  # as a Python tool's text comes, which is JSON
    call = Call(name=wanted.tool["function"]["name"], arguments=wanted.arguments)
    return Turn(
        family="errors" if error else "registry tools",
        user=user,
        rounds=(Round(calls=(call,), results=(json.dumps(result, ensure_ascii=False) if quoted else result,)),),
        answer=f"That failed: {error}" if error else f"I got: {result}",
        expected=(error or result,),
    )
