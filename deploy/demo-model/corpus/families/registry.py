"""Tools of a registry: made up by the thousand, so that names, descriptions and arguments have to be read, not remembered."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..draw import Draw
from ..exercise import Call, Round, Turn
from ..lexicon import CITIES, COUNTRIES, LAST_NAMES, WORDS
from ..values import invented, name, topic, whole
from ..wording import finished

Value = str | int

THINGS = """weather|forecast|temperature|humidity|tide|air quality|pollen count|exchange rate|stock price|price|population|area|time zone|currency|timetable|opening hours|phone number|address|balance|invoice|order status|delivery date|tracking status|
warranty|manual|recipe|menu|rating|review|score|ranking|salary|vacation balance|shift plan|meeting room|calendar|schedule|contract|licence|profile|contact|login history|disk usage|server status|uptime|log file|build status|ticket|battery level|
fuel price|traffic|route|distance|bus line|train departure|flight status|gate|hotel rating|room rate|exchange fee|tax rate|interest rate|credit score|inventory|stock level|supplier|part number|blood type|dosage|allergy list|appointment|diet plan|
definition|synonym|translation|pronunciation|capital|flag|anthem|mayor|elevation|water level|wind speed|sunrise|sunset|moon phase|snow depth|earthquake risk|noise level|speed limit|parking fee|postcode|dial code|visa rule|customs duty|holiday list|
nickname|job title|department|manager|office hours|desk number|training record|bonus|overtime|expense limit|project status|deadline|budget|turnover|margin|order history|return policy|shipping status|stock count|shelf number|
barcode|serial number|firmware version|error rate|response time|memory usage|queue length|backup status|certificate|domain owner|water temperature|rainfall|uv index|fire risk|road condition|charging station|bike count|platform|
seat number|luggage rule|ferry schedule|ticket price|rent|mortgage rate|share count|dividend|nutrition label|calorie count|ingredient list|wine list|library hours|exam result|grade|course list|teacher|homework|class size""".replace(
    "\n", ""
).split("|")
COLLECTIONS = "documents|articles|tickets|files|notes|emails|products|books|recipes|papers|contracts|customers|messages|photos|events|logs|orders|songs|films|jobs|patents|policies|records|reviews|reports|questions|archives|minutes|wiki pages|invoices|manuals|guides|pictures|videos|podcasts|recordings|drawings|receipts|offers|suppliers|bookmarks|issues|bug reports|blog posts|letters|faqs|tutorials".split(
    "|"
)
CREATIONS = "ticket|task|reminder|event|note|meeting|appointment|issue|order|booking|reservation|alarm|card|page|folder|project|invoice|contact|poll|label|shopping list|checklist|survey|campaign|document|report|backup|user account|playlist|recipe|channel".split(
    "|"
)
MESSAGES = "email|message|sms|letter|notification|mail|fax|memo|chat message|invitation|postcard|telegram|text message|reply|greeting|alert".split("|")
DEVICES = "light|heating|thermostat|speaker|fan|lamp|radiator|blind|oven|alarm|volume|brightness|sprinkler|radio|heater|humidifier|shutter|screen|boiler|air conditioner|chandelier|floor heating|dishwasher|freezer|projector|awning|ventilation|dimmer".split(
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
    "city": (lambda draw: draw.own(CITIES), "[in|for] {x}"),
    "town": (lambda draw: draw.own(CITIES), "[in|for] {x}"),
    "location": (lambda draw: draw.own(CITIES), "[in|for|at] {x}"),
    "place": (lambda draw: draw.own(CITIES), "[in|for|at] {x}"),
    "country": (lambda draw: draw.own(COUNTRIES), "[in|of|for] {x}"),
    "name": (lambda draw: name(draw), "[of|for] {x}"),
    "person": (lambda draw: f"{name(draw)} {draw.own(LAST_NAMES)}", "[of|for] {x}"),
    "customer": (lambda draw: f"{name(draw)} {draw.own(LAST_NAMES)}", "[of|for] [customer|] {x}"),
    "employee": (lambda draw: name(draw), "[of|for] [employee|] {x}"),
    "user": (lambda draw: invented(draw), "[of|for] [user|] {x}"),
    "id": (lambda draw: identifier(draw), "[of|for|with id] {x}"),
    "order_id": (lambda draw: identifier(draw), "[of|for] [order|] {x}"),
    "code": (lambda draw: identifier(draw), "[of|for|with code] {x}"),
    "number": (lambda draw: whole(draw, 2, 6), "[of|for] [number|] {x}"),
    "account": (lambda draw: whole(draw, 4, 9), "[of|for] [account|] {x}"),
    "product": (lambda draw: draw.own(WORDS), "[of|for] [a|the|] {x}"),
    "item": (lambda draw: draw.own(WORDS), "[of|for] [a|the|] {x}"),
    "word": (lambda draw: draw.own(WORDS), "[of|for] [the word|] {x}"),
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
            return made
    return made


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
    return draw.own(pool) if draw.chance(0.7) else invented(draw)


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


ASK = "[what is|what's|whats|what was|tell me|show me|get me|give me|find me|look up|find|check|fetch|get|pull up|display|read me|I need|I want|I'd like to know|I want to know|I need to know|I would like to see|we need|we want to know|I'm looking for|can you check|can you get|can you find|can you tell me|can you show me|can you give me|can I see|can I have|could you look up|could you tell me|could you check|could you find|could you get me|would you check|would you tell me|please get|please check|please find|please show me|please tell me|please look up|do you know|do you have|do we have|let me see|let me know|let's see|how about|what about|and what is|so what is|find out|just tell me|just give me|help me find|use a tool to get|use your tools to find]"


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
            f"[The {noun} of a {a}|{noun.capitalize()} for a {a}|Get the {noun} of a {a}|Look up the {noun} for a given {a}|Returns the {noun}|Current {noun} by {a}|Finds the {noun} for the {a}|Gives {noun}|Use this to get the {noun} of a {a}|Call this for the {noun} of any {a}|Use it whenever somebody asks for the {noun}|Tells the {noun} when given a {a}|Reads the {noun} from our database|Retrieves the {noun} by {a}|{noun.capitalize()} lookup|{noun.capitalize()} service: takes a {a}|Returns JSON with the {noun} of the {a}|Internal API: {noun} by {a}|What the {noun} of a {a} is|Shows the latest {noun} for one {a}|Fetch {noun} data for a {a}|Answers questions about the {noun}|Takes a {a} and gives back its {noun}|Query the {noun} of one {a}. Read only]",
        ),
        properties,
        optional,
    )
    wordings = (
        f"{ASK} the {noun} {where}{tail}?",
        f"{noun} {where}{tail}",
        f"{noun} {where}{tail}?",
        f"{ASK} the [current|latest|right|] {noun} {where}{tail}",
        f"the {noun} {where}{tail}[, please| please|, thanks|, can you check|?]",
        f"[could|can|would|will] you [please|quickly|] [look up|find out|check|get|fetch|tell me|find] the {noun} {where}{tail}?",
        f"[I am|I'm|we are] [looking for|interested in|asking about] the {noun} {where}{tail}",
        f"[which|what] {noun} [do we have|is there|can you find] {where}{tail}?",
        f"[use your tool|use a tool|use the right tool] [and|to] [get|find|check] the {noun} {where}{tail}",
        f"{noun} [please|check|lookup|question][:|,] {{x}}{tail}",
        f"{{x}}: [what is the|what about the|the|tell me the|show the|I need the] {noun}{tail}?",
        f"for {{x}}, [what is|tell me|I need|please get|find|check|look up] the {noun}{tail}",
        *(
            (f"{{x}}'s {noun}{tail}", f"{ASK} {{x}}'s {noun}{tail}?", f"[how|what] is {{x}}'s {noun}{tail}?")
            if key in {"city", "town", "country", "name", "person", "customer", "employee"}
            else ()
        ),
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
            f"[Search the {noun}|Full text search in {noun}|Find {noun} by keyword|Searches {noun} and returns the best hits|Look for something in the {noun}|Use this to search {noun}|Call this when somebody looks for {noun}|Returns the {noun} that match a {key}|Lists {noun} on a subject|Query our {noun}|{noun.capitalize()} search|Keyword search over all {noun}|Gives the titles of matching {noun}|Semantic search through the {noun} of the company|Takes a {key} and returns {noun}|Browse the {noun} by subject]",
        ),
        {key: value},
    )
    marked = draw.pick(["{x}", "{x}", "{x}", "'{x}'", '"{x}"'])
    wordings = (
        f"[search|search in|look in|go through|check] [the|our|my|all|] {noun} for {marked}",
        f"[find|search|look for|get|show|list] {noun} [about|on|regarding|for] {marked}",
        f"[are there|do we have|have we got|is there|do you have] [any|] {noun} [about|on|for|regarding] {marked}?",
        f"what do [the|our|my] {noun} say about {marked}?",
        f"[can you|could you|please] [search for|look up|look for] {marked} in the {noun}",
        f"[I need|I want|I'm looking for|show me|give me] [some|the|] {noun} [about|on|regarding] {marked}",
        f"look for {marked} in [the|our] {noun}",
        f"{noun} [about|on|for|regarding] {marked}[, please|]",
        f"{noun} search: {marked}",
        f"[can|could|would] you [find|get|show|list] [me|us] [the|some|all|any] {noun} [about|on|regarding] {marked}?",
        f"[what|which] {noun} [can you find|do we have|have we got|are there] [about|on|regarding] {marked}?",
        f"[I|we] [would like to|want to|need to|have to] [read|see|find|get] [some|the|all|any] {noun} [about|on|regarding] {marked}",
        f"[run|do|make|start] a search [in|of] [the|our|all] {noun} for {marked}",
        f"[help me find|where are|where do I find] [the|any|our] {noun} [about|on|regarding] {marked}?",
    )
    return Request(tool=tool, wordings=wordings, slots={"x": value}, arguments={key: value})


def send(draw: Draw) -> Request:
    noun = thing(draw, MESSAGES)
    an = "an" if noun[0] in "aeiou" else "a"
    to_key, text_key = (
        draw.pick(["to", "recipient", "to", "address", "receiver"]),
        draw.pick(["subject", "text", "body", "message", "content", "title"]),
    )
    to = address(draw) if draw.chance(0.5) else name(draw)
    text = draw.pick(
        [
            f"{topic(draw)}",
            f"{draw.own(WORDS)} {draw.own(WORDS)} on {draw.pick(DATES)}",
            f"see you {draw.pick(DATES)}",
            f"the {draw.own(WORDS)} is {draw.pick(STATES)}",
            f"please call {name(draw)}",
            f"{draw.own(WORDS)} at {draw.between(1, 12)} pm",
        ]
    )
    if draw.chance(0.3):
        text = text[:1].upper() + text[1:]
    tool = schema(
        draw,
        named(draw, "send|write|post|deliver", noun),
        described(
            draw, f"[Send {an} {noun}|Sends {an} {noun} to somebody|Write {an} {noun} to a person|Deliver {an} {noun} to a recipient|Use this to send {an} {noun}|Call this when {an} {noun} has to go out|Sends one {noun}: who and what|Writes and sends {an} {noun}|{noun.capitalize()} service|Outgoing {noun}|Takes a {to_key} and a {text_key} and sends the {noun}|Posts {an} {noun} on behalf of the user|Contact somebody by {noun}|Dispatches {an} {noun} and returns its state|Lets a person know something by {noun}]"
        ),
        {to_key: to, text_key: text},
    )
    marked = draw.pick(["'{y}'", '"{y}"', '"{y}"', "“{y}”"])
    bare = draw.pick(["{y}", marked])
    wordings = (
        f"[send|write|post] [a|an|the] {noun} to {{x}} [saying|with the {text_key}|with {text_key}|that says|with the text] {marked}",
        f"[send|write] {{x}} [a|an|the] {noun} [saying|with the {text_key}|with {text_key}|that says] {marked}",
        f"[can you|could you|please|I want to] send [a|an] {noun} to {{x}}: {bare}",
        f"[send|write] [a|an] {noun} to {{x}} about {bare}",
        f"[let {{x}} know|tell {{x}}] by {noun}: {bare}",
        f"{noun} to {{x}}: {bare}",
        f"[a|new|one] {noun} [for|to] {{x}}: {bare}",
        f"[a|new|one] {noun} [for|to] {{x}}, [{text_key}|it should say|that says]: {bare}",
        f"[can|could|would|will] you [send|write] {{x}} {an} {noun} [saying|with the {text_key}|that says] {marked}?",
        f"[drop|write|send] {{x}} a [quick|short|little|] {noun}: {bare}",
        f"[I|we] [have to|need to|want to|would like to|must|should] [send|write] [a|another|one more] {noun} to {{x}} [saying|with the {text_key}|that says] {marked}",
        f"send {marked} to {{x}} [by|as a|as|via] {noun}",
        f"[please|now|quickly] [write|send] [a|the|another] {noun} [for|to] {{x}}, {text_key}: {bare}",
    )
    return Request(tool=tool, wordings=wordings, slots={"x": to, "y": text}, arguments={to_key: to, text_key: text})


def create(draw: Draw) -> Request:
    noun = thing(draw, CREATIONS)
    an = "an" if noun[0] in "aeiou" else "a"
    key = draw.pick(["title", "name", "subject", "text", "summary", "description"])
    value = (
        topic(draw)
        if draw.chance(0.6)
        else f"{draw.pick(['buy', 'call', 'fix', 'check', 'clean', 'review', 'water', 'pay'])} {draw.pick(['the', 'my', 'some'])} {draw.own(WORDS)}"
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
        described(draw, f"[Create {an} {noun}|Creates a new {noun}|Add {an} {noun}|Make a new {noun} in the system|Opens {an} {noun}|Use this to create {an} {noun}|Call this when somebody wants a new {noun}|New {noun}|Sets up {an} {noun} and returns its id|Adds one {noun} to the list|Stores a new {noun} with its {key}|Registers {an} {noun}|Makes {an} {noun} out of a {key}|Saves {an} {noun} in our system|{noun.capitalize()} creation|Lets the user set up {an} {noun}|Enter {an} {noun} into the database]"),
        arguments,
    )
    if extra == "priority" and draw.chance(0.6):
        tool["function"]["parameters"]["properties"]["priority"]["enum"] = ["low", "medium", "high"]
    marked = draw.pick(["{x}", "'{x}'", '"{x}"', '"{x}"'])
    wordings = (
        f"[create|add|make|open|set up] [a|a new|the|new] {noun} {marked}{tail}",
        f"[create|add|make|open] [a|a new] {noun} [called|named|titled|with the {key}|with {key}] {marked}{tail}",
        f"[I need|I want|please add|can you create|could you make|please open] [a new|{an}] {noun} [called|named|for|:] {marked}{tail}",
        f"new {noun}: {marked}{tail}",
        f"{noun} {marked}{tail}[, please|]",
        f"[can|could|would|will] you [please|] [create|add|make|open|set up] [a new|{an}] {noun} [called|named|with the {key}|titled] {marked}{tail}?",
        f"[I|we] [would like to|want to|need to|have to] [create|add|make|open|set up] [a new|{an}] {noun} [called|named|titled|with the {key}] {marked}{tail}",
        f"[enter|save|store] [a new|{an}] {noun} [called|named|with the {key}|with {key}] {marked}{tail}",
        f"[a new|{an}] {noun} [called|named|titled|with the {key}] {marked}{tail}[, please|, thanks|]",
        f"[I need|we need|we want|give me] a new {noun} [called|named|with the {key}|titled] {marked}{tail}",
        f"[create|add|make|new] {noun}: {marked}{tail}",
        f"[add|put] {marked} as [a new|{an}] {noun}{tail}",
        f"[please|now|quickly] [add|create|make|open] {noun} {marked}{tail}",
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
            f"[Set the {noun} in a {room_key}|Adjusts the {noun}|Change the {noun} of a {room_key}|Controls the {noun} in the house|Use this to set the {noun}|Call this when the {noun} should change|Sets the {noun} of one {room_key} to a {value_key}|Home automation: {noun}|{noun.capitalize()} control|Turns the {noun} up or down|Remote control for the {noun}|Takes a {room_key} and a {value_key} for the {noun}|Regulates the {noun} per {room_key}|Brings the {noun} to the wanted {value_key}|Smart home {noun}]",
        ),
        {room_key: room, value_key: value},
    )
    wordings = (
        f"[set|put|turn|change|adjust] the {noun} in the {{x}} to {{y}}",
        f"[set|put|turn|change|adjust] the {{x}} {noun} to {{y}}",
        f"[can you|could you|please|I want you to] [set|turn|put] the {noun} [in|of] the {{x}} to {{y}}",
        f"{noun} in the {{x}} to {{y}}",
        f"in the {{x}}, [set|put] the {noun} to {{y}}",
        f"[can|could|would|will] you [please|] [set|turn|put|adjust|change] the {{x}} {noun} to {{y}}?",
        f"[I|we] [want|need|would like] the {noun} in the {{x}} [at|on|to be at|set to|to be] {{y}}",
        f"the {noun} in the {{x}} [should be|must be|has to be|needs to be] [at|on|set to|] {{y}}",
        f"{{x}}: [set|put|turn|adjust|change] the {noun} to {{y}}",
        f"{{x}} {noun} [to|at|on] {{y}}[, please|]",
        f"[set|put|adjust|change] the {value_key} of the {noun} in the {{x}} to {{y}}",
        f"[please|now|quickly] [set|turn|adjust|put|change] the {noun} in the {{x}} to [a {value_key} of|] {{y}}",
    )
    return Request(
        tool=tool, wordings=wordings, slots={"x": room, "y": str(value)}, arguments={room_key: room, value_key: value}
    )


def cancel(draw: Draw) -> Request:
    noun = thing(draw, CREATIONS)
    an = "an" if noun[0] in "aeiou" else "a"
    key = draw.pick(["id", f"{noun.replace(' ', '_')}_id", "number", "reference", "key"])
    value: Value = whole(draw, 2, 8) if draw.chance(0.4) else identifier(draw)
    verb = draw.pick(["cancel", "delete", "close", "archive", "remove", "confirm", "approve", "reject", "renew"])
    tool = schema(
        draw,
        named(draw, verb, noun),
        described(
            draw,
            f"[{verb.capitalize()} {an} {noun}|{verb.capitalize()} the {noun} with this {key}|{verb.capitalize()}s {an} {noun} for good|Use this to {verb} {an} {noun}|Call this when somebody wants to {verb} {an} {noun}|Lets the user {verb} one {noun}|Takes a {key} and will {verb} that {noun}|{verb.capitalize()} one {noun} by {key}|{verb.capitalize()} an existing {noun}|Needed to {verb} any {noun}|To {verb} {an} {noun}|{verb.capitalize()} one {noun}. Cannot be undone]",
        ),
        {key: value},
    )
    wordings = (
        f"{verb} {noun} {{x}}",
        f"{verb} the {noun} [{{x}}|with {key.replace('_', ' ')} {{x}}|number {{x}}]",
        f"[please|can you|could you|I want to|I'd like to|we need to] {verb} [the|my|our] {noun} {{x}}",
        f"{noun} {{x}}: {verb} it[ please|]",
        f"[please|] {verb} {{x}}, [the|my] {noun}",
        f"[can|could|would|will] you [please|] {verb} [the|my|our|this|] {noun} [number|no.|] {{x}}?",
        f"[I|we] [have to|need to|want to|would like to] {verb} [the|our|my|] {noun} [number|] {{x}}",
        f"{{x}}: {verb} [this|that|the] {noun}[, please|]",
        f"{verb} [this|the following|one] {noun}: {{x}}",
        f"[I have|we have] [a|the] {noun} {{x}}, [please|you can|I'd like you to|could you] {verb} it",
        f"[would it be possible|is it possible] to {verb} [the|my|] {noun} {{x}}?",
    )
    return Request(tool=tool, wordings=wordings, slots={"x": str(value)}, arguments={key: value})


def between(draw: Draw) -> Request:
    noun = draw.own(
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
            "tram",
            "coach",
            "shuttle",
            "ride",
            "driving time",
            "fuel cost",
            "cable rate",
            "time difference",
        ]
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
        values = (draw.own(CITIES), draw.own(CITIES))
    tool = schema(
        draw,
        named(draw, "get|find|compute|lookup|plan|search", noun),
        described(
            draw,
            f"[The {noun} between two places|Finds the {noun} from one to the other|{noun.capitalize()} from {keys[0]} to {keys[1]}|Get the {noun}|Plan a {noun}|Use this for the {noun} between two points|Takes {keys[0]} and {keys[1]} and gives the {noun}|The {noun} of a trip|Looks up the {noun} for a pair|{noun.capitalize()} service: {keys[0]}, {keys[1]}|Call this when somebody asks for a {noun}|Returns the {noun} between {keys[0]} and {keys[1]}|Works out the {noun} from here to there|Current {noun} for two given ends]",
        ),
        dict(zip(keys, values, strict=True)),
    )
    wordings = (
        f"{ASK} the {noun} from {{x}} to {{y}}?",
        f"{ASK} the {noun} between {{x}} and {{y}}?",
        f"{noun} from {{x}} to {{y}}",
        f"{noun} {{x}} to {{y}}",
        f"[is there|find me] a {noun} from {{x}} to {{y}}?",
        f"from {{x}} to {{y}}: [what is the|the|tell me the|I need the|any|which] {noun}?",
        f"{{x}} to {{y}}: {noun}",
        f"{{x}} to {{y}}, [which|what] {noun}[, please|?]",
        f"[can|could|would] you [find|check|look up|get|show] [me|us|] [a|the] {noun} from {{x}} to {{y}}?",
        f"[I am|I'm|we are] [looking for|interested in|asking about] [a|the] {noun} [from {{x}} to {{y}}|between {{x}} and {{y}}]",
        f"[which|what] {noun} [is there|do we have|can you find] [from {{x}} to {{y}}|between {{x}} and {{y}}]?",
        f"between {{x}} and {{y}}, [what is|tell me|find|check] the {noun}",
        f"[how|what] [about|is] the {noun} [from {{x}} to {{y}}|between {{x}} and {{y}}] [today|now|]?",
    )
    return Request(
        tool=tool, wordings=wordings, slots={"x": values[0], "y": values[1]}, arguments=dict(zip(keys, values, strict=True))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Everyday:
    """A tool as people register first: {x} is its first argument, {y} its second."""

    names: str
    description: str
    first: tuple[str, Callable[[Draw], Value]]
    one: tuple[str, ...] = ()
    second: tuple[str, Callable[[Draw], Value]] | None = None
    two: tuple[str, ...] = ()


LANGUAGES = "French German Spanish Italian Polish Dutch Portuguese Russian Japanese Chinese Turkish Greek Swedish Danish Czech".split()


def city(draw: Draw) -> str:
    return draw.own(CITIES)


def somebody(draw: Draw) -> str:
    return address(draw) if draw.chance(0.5) else name(draw)


def reference(draw: Draw) -> Value:
    return whole(draw, 3, 7) if draw.chance(0.4) else identifier(draw)


def plain_word(draw: Draw) -> str:
    return draw.own(WORDS)


def room(draw: Draw) -> str:
    return draw.own(ROOMS)


def day(draw: Draw) -> str:
    return draw.pick(DATES)


def to_do(draw: Draw) -> str:
    return f"{draw.pick(['buy', 'call', 'fix', 'check', 'clean', 'review', 'water', 'pay'])} {draw.pick(['the', 'my', 'some'])} {draw.own(WORDS)}"


def few_words(draw: Draw) -> str:
    return draw.pick([draw.own(WORDS), f"{draw.own(WORDS)} {draw.own(WORDS)}", f"the {draw.own(WORDS)} and the {draw.own(WORDS)}", f"my {draw.own(WORDS)}"])


EVERYDAY: tuple[Everyday, ...] = (
    Everyday(
        names="get_weather|weather|current_weather|fetch_weather|weather_forecast|getWeather|check_weather|weather_lookup|get_forecast",
        description="[The weather in a city|Get the weather|Current weather for a city|Weather forecast|Returns the current weather for a given location|Use this when somebody asks about the weather, rain or snow|Temperature, wind and rain in a city]",
        first=("city|city|location|place|town", city),
        one=(
            "[what is|what's|how is|tell me|show me|check|get|get me|I need|look up] the weather [in|for] {x} [today|tomorrow|now|]?",
            "[weather|the weather|forecast|weather forecast|weather report] [in|for] {x}?",
            "[will it|is it going to|does it] [rain|snow] in {x} [today|tomorrow|]?",
            "is it [warm|cold|hot|windy|rainy|sunny] in {x} [today|now|right now|]?",
            "how [warm|cold|hot|windy] is it in {x} [today|now|right now|]?",
            "{x} weather[, please|?| today| now|]",
            "what will the weather [be|be like] in {x}?",
            "[do I need|should I take] [an umbrella|a coat|a raincoat] in {x} [today|tomorrow|]?",
            "[temperature|what's the temperature|what is the temperature] in {x}[?| now?| today?]",
        ),
        second=("day|date|when", day),
        two=(
            "[what is|what's|how is|tell me|check] the weather in {x} [on|for|] {y}?",
            "[what will the weather be|will it rain|will it snow] in {x} [on|] {y}?",
            "[weather|forecast] [in|for] {x}, {y}",
            "for {y}, [what is|tell me|I need] the [forecast|weather] in {x}",
            "{x} weather [for|on] {y}[, please|?]",
        ),
    ),
    Everyday(
        names="get_weather|weather|current_weather|temperature|get_temperature|weather_in",
        description="[The weather in a city in a unit of your choice|Get the temperature of a city|Current temperature, in celsius or fahrenheit|Weather for a city]",
        first=("city|location|place", city),
        second=("unit|units|scale", lambda draw: draw.pick(["celsius", "fahrenheit", "kelvin"])),
        one=("[what's|what is|tell me|check] the [weather|temperature] in {x}?", "how [warm|cold|hot] is it in {x}?", "temperature [in|of] {x}"),
        two=(
            "[what's|what is|tell me|show me] the [weather|temperature] in {x} in {y}?",
            "how [warm|cold|hot] is it in {x} in {y}?",
            "[weather|temperature] in {x}, {y}[, please|]",
            "in {y}, [what is|tell me] the temperature in {x}?",
        ),
    ),
    Everyday(
        names="send_email|email|send_mail|write_email|mail|sendEmail|email_sender|send_e_mail|compose_email",
        description="[Send an email|Sends a mail to somebody|Send an e-mail|Use this to write to people by email|Writes and sends an email|Outgoing mail]",
        first=("to|recipient|receiver|address", somebody),
        second=("subject|subject|text|body|content", topic),
        two=(
            "[send|write] [an email|a mail|an e-mail] to {x} about {y}",
            "[email|mail] {x} about {y}",
            "[send|write] {x} [an email|a mail] [with the subject|saying] [{y}|'{y}']",
            "[can you|could you|please|I want to|I need to] [email|mail|write an email to|send an email to] {x} [about|regarding|concerning] {y}",
            "[an email|a mail|new email] to {x}[, subject|: subject|, about| regarding] {y}",
            "email to {x}: {y}",
            "[inform|notify|tell] {x} by [email|mail] about {y}",
        ),
    ),
    Everyday(
        names="read_emails|get_emails|inbox|list_emails|check_mail|search_emails|get_inbox",
        description="[Read the emails from somebody|List the mails in the inbox|Get emails by sender|Shows received emails|Looks into the mailbox]",
        first=("sender|from|who|name", somebody),
        one=(
            "[do I have|are there|have I got|is there] [any|new|unread] [email|mail] from {x}?",
            "[show|read|get|list|open|check] [me|] [the|my|all] [emails|mails] from {x}",
            "[did|has] {x} [send|sent|write|written] me [an email|a mail]?",
            "emails from {x}[, please|]",
        ),
        second=("subject|about|topic|query", topic),
        two=(
            "[show|read|get|find|open] [me|] [the|my|all] [emails|mails] from {x} about {y}",
            "[did|has] {x} [send|sent] me [an email|a mail] about {y}?",
            "[emails|mails] from {x} [on|about|regarding] {y}",
        ),
    ),
    Everyday(
        names="create_ticket|new_ticket|open_ticket|add_ticket|ticket_create|createTicket|report_issue|file_ticket",
        description="[Create a support ticket|Opens a new ticket|File a ticket for a problem|Reports a problem to the help desk|Adds a ticket to the tracker]",
        first=("title|summary|subject|text|description", topic),
        one=(
            "[create|open|file|make|add|raise] a [ticket|support ticket|new ticket] [about|for|on|concerning|titled] {x}",
            "[I need|I want|please open|can you open|could you file] a ticket [about|for|on] {x}",
            "new ticket: {x}",
            "ticket: {x}",
        ),
        second=("priority|urgency|severity", lambda draw: draw.pick(["low", "medium", "high", "urgent"])),
        two=(
            "[create|open|file|make|raise] a [ticket|support ticket] [about|for|on] {x} with [priority {y}|{y} priority]",
            "[create|open|file|I need] a {y} priority ticket [about|for|on] {x}",
            "new ticket: {x}, priority {y}",
            "ticket [about|on] {x}, [{y} priority|priority {y}]",
        ),
    ),
    Everyday(
        names="get_ticket|ticket_status|lookup_ticket|check_ticket|find_ticket|show_ticket|ticket",
        description="[Get a support ticket|The status of a ticket|Look up a ticket by its number|Shows one ticket]",
        first=("id|ticket_id|number|ticket", reference),
        one=(
            "[what is|what's|check|tell me|show me] the [status|state] of ticket {x}?",
            "[show|get|open|find|look up|pull up] [me|] ticket {x}",
            "[is ticket {x} done|is ticket {x} closed|is ticket {x} still open|how is ticket {x} going|what happened to ticket {x}]?",
            "ticket {x}[?|, please| status]",
            "[what is|what's] ticket {x} about?",
            "[any news|anything new|any progress] [on|with|about] ticket {x}?",
        ),
    ),
    Everyday(
        names="get_order|order_status|lookup_order|track_order|find_order|check_order|getOrder|order_lookup",
        description="[Look up an order|The status of an order|Get an order by its number|Tracks an order of a customer|Tells where an order is]",
        first=("order_id|id|number|order|order_number", reference),
        one=(
            "[where is|track|check|find|look up|show me|get me] [my|the|] order {x}",
            "[what is|what's|tell me|check] the status of [my|] order {x}?",
            "[has|was] order {x} [shipped|been shipped|sent|been sent|paid|delivered] [yet|already|]?",
            "[when will|when does] [my|] order {x} [arrive|come|be delivered]?",
            "order {x}[?| status|, where is it|, please]",
            "[what about|how about|any news on|what happened to] [my|the|] order {x}?",
        ),
        second=("email|customer|name", somebody),
        two=(
            "[where is|check|find|look up|show me] order {x} of {y}",
            "[what is|what's|tell me] the status of order {x} for {y}?",
            "order {x}, customer {y}[: where is it|, please|: what is the status]",
        ),
    ),
    Everyday(
        names="place_order|create_order|order_item|buy|order|new_order",
        description="[Place an order|Orders an item|Buy something from the shop|Creates an order for an item]",
        first=("item|product|article|name", plain_word),
        one=("[order|buy|get me|purchase] [a|one|some] {x}", "[I want to|I'd like to|can you|please] [order|buy] [a|one|some] {x}", "place an order for [a|one|some] {x}", "new order: {x}"),
        second=("quantity|count|amount|number", lambda draw: draw.between(2, 60)),
        two=(
            "[order|buy|get me|purchase] {y} of the {x}",
            "[order|buy] {x}, {y} [pieces|times|of them]",
            "place an order for {y} [pieces of|units of|boxes of] {x}",
            "[I want to|I'd like to|can you|please] [order|buy] {y} [pieces of|units of|boxes of] {x}",
            "new order: {x}, quantity {y}",
        ),
    ),
    Everyday(
        names="check_stock|stock_level|get_stock|inventory|in_stock|get_inventory|stock|warehouse_stock",
        description="[How many pieces of an item are in stock|Check the stock of a product|Stock level in the warehouse|Inventory of an item]",
        first=("item|product|article|sku", plain_word),
        one=(
            "[is|are] [the|any|a|] {x} in stock?",
            "[how many|how much] {x} [do we have in stock|is in stock|are in stock|is left in the warehouse|do we have in the warehouse]?",
            "[check|what is|tell me|show me] the [stock|stock level|inventory] [of|for] {x}",
            "[stock|inventory|stock level] [of|for] {x}[?|, please|]",
            "{x}: [in stock|how much stock|still in stock]?",
            "do we [have|still have] {x} in [stock|the warehouse|our inventory]?",
        ),
        second=("warehouse|location|store|city", city),
        two=(
            "[is|are] {x} in stock in {y}?",
            "[how many|how much] {x} [do we have in stock|is in stock|are left in stock] in {y}?",
            "[check|what is|tell me] the stock of {x} in {y}",
            "stock of {x} in {y}[?|, please|]",
            "[in|for] {y}, [what is|check|tell me] the stock of {x}",
        ),
    ),
    Everyday(
        names="get_price|stock_price|price|get_stock_price|product_price|price_lookup|fetch_price|share_price",
        description="[The price of something|Stock price|Get the price|Returns what an item costs|Price lookup]",
        first=("symbol|item|product|name", plain_word),
        one=(
            "[what is|what's|tell me|get] the [price|stock price] of {x}?",
            "how much is {x}?",
            "price of {x}",
            "[what does|how much does] [a|the|] {x} cost?",
            "{x} price[?|, please|]",
            "[check|look up|I need|give me|find] the [price|current price] [of|for] {x}",
        ),
        second=("currency|in", lambda draw: draw.pick(CURRENCIES)),
        two=(
            "[what is|what's|tell me|get] the price of {x} in {y}?",
            "how much is {x} in {y}?",
            "price of {x} in {y}",
            "in {y}, [what does|how much does] {x} cost?",
        ),
    ),
    Everyday(
        names="translate|translate_text|translator|translation|get_translation|translate_word|translateText",
        description="[Translate a text|Translates a text into another language|Translation of words and sentences|Says a text in another language]",
        first=("text|word|sentence|phrase", few_words),
        second=("language|target_language|to|target|lang", lambda draw: draw.pick(LANGUAGES)),
        two=(
            "translate [{x}|'{x}'] [into|to] {y}",
            "[how do you say|how do I say] [{x}|'{x}'] in {y}?",
            "[what is|what's] [{x}|'{x}'] in {y}?",
            "[what is|give me|tell me|I need] the {y} [translation|word] [of|for] [{x}|'{x}']",
            "[can you|could you|please] translate '{x}' [into|to] {y}",
            "[translation|translate] [into|to] {y}: {x}",
            "{y} for '{x}'[?|, please|]",
        ),
    ),
    Everyday(
        names="translate|translate_text|translator|to_english|translate_to_english|english_translation",
        description="[Translate a text into English|Translates foreign text|English translation of a text]",
        first=("text|word|sentence|phrase", few_words),
        one=(
            "[translate|please translate|can you translate|could you translate] [{x}|'{x}'|the text '{x}'|this: {x}]",
            "[what is|what's] '{x}' in English?",
            "what does '{x}' mean in English?",
            "[translation|translate]: {x}",
        ),
    ),
    Everyday(
        names="add_event|create_event|calendar|add_to_calendar|schedule_event|new_event|calendar_add|book_meeting",
        description="[Add an event to the calendar|Creates a calendar entry|Schedules a meeting|Put something into the calendar]",
        first=("title|event|name|summary|what", topic),
        second=("date|day|when", day),
        one=(
            "[add|put|enter|write] {x} [to|into|in] my calendar",
            "[create|add|make|schedule] [an event|a calendar entry|a meeting] [called|about|for|named] {x}",
            "calendar: {x}",
            "new event: {x}",
        ),
        two=(
            "[add|put|enter] {x} [to|into|in] my calendar [on|for] {y}",
            "[create|add|make|schedule|plan|book] [an event|a calendar entry|a meeting] [called|about|for|named] {x} [on|for] {y}",
            "[on|for] {y}, [put|enter|schedule] {x} in [my|the] calendar",
            "calendar: {x}, {y}",
            "new event [on|for] {y}: {x}",
        ),
    ),
    Everyday(
        names="get_calendar|calendar|list_events|get_events|agenda|show_calendar|my_schedule|check_calendar",
        description="[The events of a day|Shows the calendar of a day|List calendar events|What is planned on a date]",
        first=("date|day|when", day),
        one=(
            "[what is|what's] [on|in] my [calendar|schedule|agenda] [on|for|] {x}?",
            "[show|get|check|open|read] [me|] my [calendar|schedule|agenda] [for|on] {x}",
            "[do I have|are there|have I got] [any meetings|any appointments|any events|anything planned] [on|] {x}?",
            "[my calendar|events|agenda|meetings|my appointments] [for|on] {x}",
            "[am I|are we] [free|busy] [on|] {x}?",
        ),
        second=("person|user|name|who", name),
        two=(
            "[what is|what's] in the calendar of {y} [on|for] {x}?",
            "[show|get|check] the [calendar|agenda|schedule] of {y} for {x}",
            "[is {y} free|is {y} busy|does {y} have meetings|does {y} have any appointments] [on|] {x}?",
            "on {x}, what is in the calendar of {y}?",
        ),
    ),
    Everyday(
        names="set_reminder|remind|create_reminder|add_reminder|reminder|remind_me|new_reminder",
        description="[Set a reminder|Reminds the user of something|Create a reminder|Adds a reminder for later]",
        first=("text|what|title|message|task", to_do),
        one=(
            "[remind me|please remind me|can you remind me|could you remind me] to {x}",
            "[set|create|add|make] [a reminder|a new reminder]: {x}",
            "[set|create|add|make] a reminder to {x}",
            "reminder: {x}",
        ),
        second=("time|when|date|day", day),
        two=(
            "[remind me|please remind me|can you remind me|could you remind me] to {x} [on|] {y}",
            "[set|create|add|make] a reminder to {x} [on|for|] {y}",
            "[on|] {y}, remind me to {x}",
            "reminder [for|on] {y}: {x}",
            "[set|create|add] a reminder for {y}: {x}",
        ),
    ),
    Everyday(
        names="exchange_rate|get_exchange_rate|currency_rate|fx_rate|get_rate|currency|rate",
        description="[The exchange rate of two currencies|Get the exchange rate|Currency rates|What one currency is worth in another]",
        first=("from|base|source|from_currency", lambda draw: draw.pick(CURRENCIES[:6])),
        one=(
            "[what is|what's|tell me|check|get|show me] the [exchange rate|rate|currency rate] [of|for] [the|] {x}[?| today?| now?]",
            "[exchange rate|currency rate] [of|for] {x}[, please|?|]",
            "[how much is|what is] [the|one] {x} worth [today|now|at the moment|]?",
            "{x} [exchange rate|rate][?|, please|]",
        ),
        second=("to|quote|target|to_currency", lambda draw: draw.pick(CURRENCIES[6:])),
        two=(
            "[what is|what's|tell me|check|get] the [exchange rate|rate|currency rate] [from {x} to {y}|of {x} to {y}|between {x} and {y}]?",
            "[exchange rate|currency rate|rate] {x} [to|in|/] {y}",
            "how much [is one {x} in {y}|is a {x} in {y}|{y} do I get for one {x}]?",
            "[what is|what's] [one|a|the] {x} worth in {y}?",
        ),
    ),
    Everyday(
        names="convert_currency|currency_converter|exchange|convert_money|currency_convert|exchange_money|money_converter",
        description="[Convert an amount of money|Currency converter|Converts money between currencies|Turns an amount into another currency]",
        first=("amount|value|sum", lambda draw: whole(draw, 1, 5)),
        second=("currency|to|target|to_currency", lambda draw: draw.pick([code for code in CURRENCIES if code not in ("EUR", "USD")])),
        two=(
            "[convert|change|exchange] {x} [dollars|euros] [to|into] {y}",
            "[how much is|how much are|what is|what are] {x} [dollars|euros] in {y}?",
            "{x} [dollars|euros] in {y}[?|, please|]",
            "[give me|show me|tell me] {x} [dollars|euros] in {y}",
        ),
    ),
    Everyday(
        names="turn_on|switch_on|lights_on|light_on|turn_on_lights|turnOn",
        description="[Turn on the lights in a room|Switches the light on|Lights on|Makes light in a room]",
        first=("room|place|location|where", room),
        one=(
            "[turn on|switch on|put on] the [light|lights|lamp|lamps] in the {x}",
            "[turn|switch|put] the [light|lights] in the {x} on",
            "[lights|light] on in the {x}[, please|]",
            "[turn on|switch on] the {x} [light|lights]",
            "[can you|could you|please|would you] [turn on the light in|turn on the lights in|switch on the lights in] the {x}",
        ),
    ),
    Everyday(
        names="set_lights|lights|control_lights|light_switch|set_light|switch_light|toggle_light|smart_light",
        description="[Switch the lights in a room|Lights on or off|Controls the light of a room|Sets the light in a room]",
        first=("room|place|location|where", room),
        second=("state|mode|action|to", lambda draw: draw.pick(["on", "off", "on", "off", "dim", "red", "blue"])),
        two=(
            "[turn|switch|put|set] the [light|lights] in the {x} [to|] {y}",
            "[set|switch|turn] the {x} [light|lights] to {y}",
            "[light|lights] {y} in the {x}[, please|]",
            "[I want|I'd like|we need] the [light|lights] in the {x} {y}",
            "in the {x}, [light|lights] {y}[, please|]",
            "[can you|could you|please] [turn|set|switch] the lights in the {x} to {y}",
        ),
    ),
    Everyday(
        names="get_customer|customer_lookup|find_customer|lookup_customer|customer|crm_lookup|getCustomer|search_customers",
        description="[Look up a customer|Get the data of a customer|Find a customer in the CRM|Customer record]",
        first=("name|customer|customer_name|query", lambda draw: f"{name(draw)} {draw.own(LAST_NAMES)}"),
        one=(
            "[look up|find|get|show|open|pull up|search for|check] [the|our|] customer {x}",
            "[who is|who's|what do we know about|what do you have on|is there a record of] [the|our|] customer {x}?",
            "[show me|get me|I need|give me] the [data|record|details|customer record|file] of [the|our|] customer {x}",
            "customer {x}[, please|?|]",
            "[do we have|is there|have we got] a customer [called|named|with the name] {x}?",
        ),
        second=("city|location|town", city),
        two=(
            "[look up|find|get|show|search for] [the|our|] customer {x} [in|from] {y}",
            "customer {x}, {y}",
            "[do we have|is there] a customer [called|named] {x} in {y}?",
            "[what do we know about|who is] [the|our|] customer {x} [from|in] {y}?",
        ),
    ),
    Everyday(
        names="get_customer|customer_lookup|find_customer|customer_by_id|fetch_customer|customer_info",
        description="[Look up a customer by number|Get the customer with this id|Customer record by id]",
        first=("customer_id|id|number", reference),
        one=(
            "[look up|find|get|show|open|pull up|check] customer [number|] {x}",
            "[who is|what do we know about] customer [number|] {x}?",
            "[the data|the record|details|the file] of customer [number|] {x}[, please|]",
            "customer [number|no.|id|] {x}[?|, please|]",
        ),
    ),
    Everyday(
        names="search_docs|documentation_search|search_documentation|docs|find_in_docs|docs_search|help_search|search_manual",
        description="[Search the documentation|Finds pages of the documentation|Full text search in our docs|Looks something up in the manual|Use this for questions about how our product works]",
        first=("query|q|topic|search|term", topic),
        one=(
            "[search|look in|check|go through] [the|our] [documentation|docs|manual] for {x}",
            "[what does|what do] [the|our] [documentation|docs|manual] say [about|on] {x}?",
            "[find|look up] {x} in [the|our] [documentation|docs|manual]",
            "[is there|do we have|have we got] [any documentation|anything in the docs|a page in the manual] [on|about] {x}?",
            "[docs|documentation|manual]: {x}",
            "[documentation|docs] [on|about|for] {x}[, please|]",
        ),
        second=("limit|max_results|count|top", lambda draw: draw.between(2, 20)),
        two=(
            "[search|look in] [the|our] [documentation|docs|manual] for {x}, {y} [results|hits|pages] [at most|please|]",
            "[find|show me|give me] {y} pages of the [documentation|docs] about {x}",
        ),
    ),
    Everyday(
        names="search_documents|search_web|web_search|find_documents|search|google|internet_search|searchWeb",
        description="[Search documents|Search the web|Full text search|Finds pages on the internet|Use this to look something up online]",
        first=("query|q|topic|keywords|search", topic),
        one=(
            "[search|look|search the documents|search the web|look online] for {x}",
            "[find|look up|google] {x}",
            "[what do you know|tell me something|find out] about {x}?",
            "[can you|could you|please|I want you to] [search for|look up|google|find something about|find out more about] {x}",
        ),
        second=("limit|max_results|count|top_k", lambda draw: draw.between(2, 20)),
        two=(
            "[search|search the web|look] for {x}, {y} [results|hits] [at most|please|]",
            "[find|show me|give me|get] [the first|the best|] {y} [results|pages|hits] [about|for|on] {x}",
            "[search|google] {x} and [give me|show me|return] {y} [results|hits]",
        ),
    ),
    Everyday(
        names="get_time|local_time|time_in|current_time|world_clock|time_now",
        description="[The local time in a city|Current time|What time it is somewhere|World clock]",
        first=("city|place|location|timezone", city),
        one=(
            "[what time is it|what's the time|current time] in {x} [now|]?",
            "time in {x}",
            "[what is the local time|tell me the time] in {x}[?| now?]",
            "[what is|what's|tell me|give me|check] the [time|local time|current time] in {x}",
            "{x} time[, please|?| now]",
        ),
    ),
    Everyday(
        names="population|get_population|city_info|population_of|city_population|inhabitants",
        description="[The population of a city|Facts about a city|Number of inhabitants of a city]",
        first=("city|place|name|town", city),
        one=(
            "[what is|what's|tell me] the population of {x}?",
            "how many people live in {x}?",
            "how many inhabitants does {x} have?",
            "population of {x}[?|, please|]",
        ),
        second=("year", lambda draw: draw.between(1990, 2030)),
        two=(
            "[what is|what's|what was|tell me] the population of {x} in {y}?",
            "how many [people|inhabitants] [lived|live] in {x} in {y}?",
            "population of {x} in {y}",
        ),
    ),
)


def everyday(draw: Draw) -> Request:
    """Tools as people try first, for what the model must refuse where it has none for it."""
    kind = draw.pick(EVERYDAY)
    keys, make = kind.first
    first, value = draw.pick(keys.split("|")), make(draw)
    properties: dict[str, Value] = {first: value}
    slots = {"x": str(value)}
    arguments = dict(properties)
    optional: tuple[str, ...] = ()
    wordings = kind.one
    if kind.second and (not kind.one or draw.chance(0.6)):
        more_keys, make_more = kind.second
        second = draw.pick([key for key in more_keys.split("|") if key != first])
        properties[second] = make_more(draw)
        optional = (second,) if kind.one and draw.chance(0.4) else ()
        if not optional or draw.chance(0.5):
            arguments[second] = properties[second]
            slots["y"] = str(properties[second])
            wordings = kind.two
    tool = schema(draw, draw.pick(kind.names.split("|")), described(draw, kind.description), properties, optional)
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
        [name(draw).lower(), f"{name(draw).lower()}.{draw.own(LAST_NAMES).lower()}", f"{invented(draw)}{whole(draw, 1, 3)}"]
    )
    domain = draw.pick(
        ["example.com", "example.org", "mail.com", "firm.net", f"{invented(draw)}.com", f"{draw.own(WORDS)}.org"]
    )
    return f"{local}@{domain}"


def returned(draw: Draw) -> str:
    """What a tool may give back: a plain text mostly, a text in JSON's quotes, or a small flat object."""
    if draw.chance(0.15):
        return json.dumps(draw.pick([f"{draw.pick(STATES)} in {draw.own(CITIES)}", draw.own(WORDS), topic(draw), name(draw)]), ensure_ascii=False)
    if draw.chance(0.6):
        return draw.pick(
            [
                f"{draw.pick(STATES)}",
                f"{draw.pick(STATES)}",
                f"{whole(draw, 1, 5)} {draw.own(WORDS)}",
                f"{draw.own(WORDS)} and {draw.own(WORDS)}",
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
            draw.own(WORDS),
            topic(draw),
            f"{draw.between(0, 23):02}:{draw.between(0, 59):02}",
            draw.own(CITIES),
            invented(draw),
            name(draw),
        ]
    )


def asked(draw: Draw, wanted: Request) -> Turn:
    """One request, one call, and the report of its result or of its failure."""
    user = finished(draw, draw.text(wanted.wordings), wanted.slots, plain=0.6)
    error = draw.pick(ERRORS) if draw.chance(0.06) else None
    result = draw.pick([f"Error: {error}", f"error: {error}"]) if error else returned(draw)
    call = Call(name=wanted.tool["function"]["name"], arguments=wanted.arguments)
    return Turn(
        family="errors" if error else "registry tools",
        user=user,
        rounds=(Round(calls=(call,), results=(result,)),),
        answer=f"That failed: {error}" if error else f"I got: {result}",
        expected=(error or result,),
    )
