"""From an exercise to a sentence somebody might type: frames, politeness, asides, slips of the keyboard.

Slips touch the wording only, never the numbers, words and names in its slots.
"""

import re
from collections.abc import Mapping, Sequence

from .draw import Draw
from .exercise import Exercise

SLOT = re.compile(r"(\{\w+\})")

NOUN_FRAMES = (
    "[what is|what's|whats|what would be|what will be|what might be|how much is] {core}?",
    "[what do you get for|what have we got for|what comes out for|what does it give:] {core}?",
    "[tell me|give me|show me|get me|find me|find|compute|calculate|work out|figure out|determine|evaluate|return|print|state|provide] {core}",
    "[please|kindly|just|now|quickly] [tell me|give me|show me|compute|calculate|work out|find] {core}",
    "[can|could|would|will] you [please|kindly|maybe|quickly|perhaps|possibly|] [tell me|give me|show me|compute|calculate|work out|find|figure out|determine|get] {core}?",
    "[I need|I want|I'd like|I would like|I am looking for|I'm looking for|I'm after|I have to find|I must find|we need|we want|my boss wants|my teacher wants|they want] [to know|to see|to find|to get|to have|] {core}",
    "[I need|I want|I'd like|I would like] you to [tell me|compute|calculate|find|work out|give me] {core}",
    "[do|would] you [happen to|] know {core}?",
    "[any idea|do you have any idea|have you any idea] what {core} [is|might be|would be]?",
    "[I wonder|I'm wondering|I was wondering|I am curious|tell me|let me know|I'd love to know] what {core} [is|may be|would be]",
    "[is it possible|would it be possible|are you able|can I ask you|may I ask you] to [get|compute|calculate|find|tell me] {core}?",
    "[help me|help me to|help us] [find|compute|calculate|work out|get] {core}",
    "[let's|let us|we should] [find|compute|calculate|work out|get|see] {core}",
    "[use|with|using|run] [python|Python|the code interpreter|code|a bit of code|your tool][,| to] [compute|calculate|find|work out|get] {core}",
    "{core}",
    "{core}?",
    "{core}, [what is it|what is that|how much is that|what do you get]?",
    "[question|task|problem|exercise|query|request]: {core}",
    "[how about|what about] {core}?",
    "[go ahead and|go and|try to|be so kind and|be so good as to|would you mind to|feel free to|your job is to|your task is to] [compute|calculate|find|work out|tell me|give me] {core}",
    "[mind telling me|would you mind telling me|care to tell me|fancy telling me] {core}?",
    "the answer to this: {core}",
    "I [can't|cannot|could not] work out {core}",
    "I forgot [how to get|how to compute|what] {core}[ is|]",
)
VERB_FRAMES = (
    "{core}",
    "{core}",
    "{core}",
    "[please|kindly|just|now|quickly|simply|first] {core}",
    "[can|could|would|will] you [please|kindly|maybe|quickly|perhaps|possibly|just|] {core}?",
    "[I need|I want|I'd like|I would like|we need|we want] you to {core}",
    "[I need|I want|I'd like|I would like|I have|we have|we need|I am trying|I'm trying] to {core}",
    "[help me|help me to|help us|help me please to] {core}",
    "[let's|let us|we should|we must] {core}",
    "[go ahead and|go and|try to|be so kind and|be so good as to|feel free to|your job is to|your task is to|your job:|your task:|todo:] {core}",
    "[is it possible|would it be possible|are you able|can I ask you|may I ask you|would you mind] to {core}?",
    "[use|with|using|run] [python|Python|the code interpreter|code|some code|a bit of code|your tool][,| to|] {core}",
    "[how do I|how can I|how would you|how do you|how does one] {core}?",
    "[what happens|what do you get|what do I get|what comes out] [if|when] [you|I|we] {core}?",
    "[task|exercise|request|command|next]: {core}",
    "[I was told|I was asked|they asked me|my teacher asked me|my boss told me] to {core}",
    "[do this|one thing|do me a favour|a favour]: {core}",
)
QUESTION_FRAMES = (
    "{core}?",
    "{core}?",
    "{core}?",
    "{core}",
    "[tell me|let me know|show me|find out|work out|figure out|check|determine|compute|calculate|say] {core}",
    "[please|kindly|just|quickly|now] [tell me|let me know|find out|work out|check|compute|say] {core}",
    "[do|would|did] you [happen to|] know {core}?",
    "[can|could|would|will] you [please|kindly|maybe|perhaps|possibly|just|] [tell me|let me know|find out|work out|figure out|check|say|show me|compute] {core}?",
    "[I wonder|I'm wondering|I was wondering|I am curious|I'm curious|I'd love to know|I want to know|I need to know|I'd like to know|I would like to know|we want to know|I ask myself|I have no idea|not sure] {core}",
    "[any idea|do you have any idea|have you any idea|any clue|no idea] {core}?",
    "[question|quick question|a question|task|exercise|simple question|one question]: {core}?",
    "[my teacher|my boss|my friend|my son|my daughter|somebody|a colleague|everyone] [asks|wants to know|asked me|is asking] {core}",
    "[mind telling me|would you mind telling me|care to tell me|are you able to tell me|is it possible to know] {core}?",
    "[use|with|using|run] [python|Python|the code interpreter|code|some code|your tool][,| to] [find out|tell me|check|work out] {core}",
    "[help me|help me to] [find out|work out|see|understand] {core}",
    "[I forgot|I can't remember|I don't know|I never know|we can't agree] {core}",
)
RAW_FRAMES = (
    "{core}",
    "{core}",
    "{core}",
    "{core}?",
    "{core}?",
    "{core}.",
    "[so|and|ok|okay|well|now][,|] {core}?",
    "[quick one|question|task|next|here is one|another one]: {core}",
    "[please|kindly][,|:|] {core}",
    "{core}, [please|thanks|can you do that|do you know|what is it]?",
    "[tell me|compute|calculate|solve]: {core}",
)
FRAMES: Mapping[str, Sequence[str]] = {"noun": NOUN_FRAMES, "verb": VERB_FRAMES, "question": QUESTION_FRAMES, "raw": RAW_FRAMES}
KIND_WEIGHTS = {"noun": 3.0, "verb": 2.5, "question": 2.5, "raw": 2.0}

OPENERS = (
    "[hi|hello|hey|hi there|hello there|hey there|good morning|good evening|good afternoon|greetings|howdy|hiya|yo][,|!|.|]",
    "[ok|okay|alright|right|well|so|now|then|hmm|um|uh|oh|ah|yes|sure|cool|great|nice|perfect|good|fine][,|.|!|]",
    "[thanks|thank you|great, thanks|ok thanks|many thanks][,|.|!]",
    "[hi|hello|hey|dear] [paddock|Paddock|assistant|bot|friend|buddy|computer|AI|model][,|!|]",
    "[sorry|excuse me|pardon|pardon me|sorry to bother you][,|.|]",
    "[quick question|one question|a question|one more|one more thing|another one|another question|next question|next one|last one|small thing|simple one][:|,|.]",
    "[please|pls|plz][,|]",
    "[also|and|next|first|finally|by the way|btw|meanwhile|again][,|]",
    "[listen|look|see|tell me|say|guess what][,|:]",
)
CLOSERS = (
    "[please|pls|plz|thanks|thank you|thx|many thanks|thanks a lot|thank you very much|thanks in advance|cheers]",
    "[for me|for us|for my homework|for my report|for work|for school|for a friend|for a quiz]",
    "[right now|quickly|asap|now|today|as soon as you can|when you can|when you have a minute|if you can|if you don't mind|if possible|if that's ok|if you would]",
    "[I am curious|I'm curious|I need it for school|it's urgent|it's important|I'm in a hurry|no rush|take your time|be exact|be precise|be quick|just the answer|only the result|just the number|no explanation|in one line|don't guess|use python|use code|run it]",
)
ASIDES = (
    "[I'm|I am|we are|we're] [doing homework|doing my homework|preparing a lesson|writing a report|checking an invoice|playing a game|planning a trip|learning Python|testing you|in a meeting|at work|at school|making a quiz].",
    "[My son|My daughter|My friend|My boss|My teacher|My sister|My neighbour] [asked me this|wants to know|is not sure|gave me this one|got it wrong|does not believe me].",
    "[It is|It's] for [my homework|a school project|my job|a friend|a quiz|my thesis|the report|a bet].",
    "I [always get this wrong|never liked maths|have no calculator here|am not good at this|could not do it in my head|tried twice already|need to be sure|hope you can help].",
    "[This one is|That's|This is] [easy|hard|tricky|important|simple|a bit strange|for you].",
    "I have {x} [cats|minutes|siblings|problems|coins].",
    "[Sorry for the|Pardon my] [bad English|typos|many questions].",
    "You [did well|were right|are fast|were quick] [before|last time|yesterday|just now].",
    "[Nice weather|Lovely day|What a day|Long day] [today|here].",
)
SLIPS = {
    "please": ["plese", "pleas", "pls"],
    "what": ["waht", "wat", "whta"],
    "the": ["teh", "th", "hte"],
    "how": ["hwo"],
    "many": ["mnay", "meny"],
    "number": ["numbr", "nubmer"],
    "calculate": ["calculte", "caculate", "calcualte"],
    "you": ["u", "yuo"],
    "are": ["r", "ar"],
    "letters": ["leters", "lettrs"],
    "between": ["betwen", "beetween"],
    "times": ["tiems", "time"],
    "convert": ["conver", "covert"],
    "square": ["sqare", "squre"],
    "of": ["fo", "og"],
    "and": ["adn", "an", "n"],
    "is": ["si", "iz"],
    "divided": ["devided", "divded"],
    "tell": ["tel"],
    "factorial": ["factoral", "facotrial"],
}


def compose(draw: Draw, exercise: Exercise) -> str:
    kinds = [kind for kind in KIND_WEIGHTS if getattr(exercise, kind)]
    kind = draw.rng.choices(kinds, [KIND_WEIGHTS[kind] for kind in kinds])[0]
    template = framed(draw, kind, getattr(exercise, kind))
    return finished(draw, template, exercise.slots)


def framed(draw: Draw, kind: str, cores: Sequence[str]) -> str:
    """A core in a frame; on the test's side at least one of the two was never seen in training."""
    if draw.split == "train":
        return draw.known(FRAMES[kind]).replace("{core}", draw.known(cores))
    new = draw.pick(["core", "frame", "both"])
    core = draw.known(cores) if new == "frame" else draw.unseen(cores)
    frame = draw.known(FRAMES[kind]) if new == "core" else draw.unseen(FRAMES[kind])
    return frame.replace("{core}", core)


def finished(draw: Draw, template: str, slots: Mapping[str, str], *, plain: float = 0.85) -> str:
    """Politeness, asides, casing, slips and punctuation around a wording; then its slots are filled."""
    if not draw.chance(plain):
        template = dressed(draw, template)
    template = " ".join(template.split())
    template = punctuated(draw, template)
    if draw.chance(0.03):
        template = slipped(draw, template)
    template = cased(draw, template)
    filled = template
    for key, value in slots.items():
        filled = filled.replace(f"{{{key}}}", value)
    return filled


def dressed(draw: Draw, template: str) -> str:
    if draw.chance(0.5):
        template = f"{draw.text(OPENERS)} {template}"
    if draw.chance(0.35):
        mark = template[-1] if template[-1] in "?." else ""
        template = (
            f"{template.rstrip('?.')}{draw.pick([',', ',', '', ''])} {draw.text(CLOSERS)}{mark}"
            if draw.chance(0.6)
            else f"{template} {draw.text(CLOSERS)}"
        )
    if draw.chance(0.18):
        aside = draw.text(ASIDES).replace("{x}", str(draw.between(2, 40)))
        end = "" if template[-1] in "?." else "."
        template = f"{aside} {template}" if draw.chance(0.6) else f"{template}{end} {aside}"
    return template


def punctuated(draw: Draw, template: str) -> str:
    if template[-1] in "?.":
        return template.rstrip("?. ") + draw.pick(["?", "?", "?", "", " ?", "??"]) if template[-1] == "?" else template
    return template + draw.pick(["", "", ".", ".", "!", "?"])


def slipped(draw: Draw, template: str) -> str:
    """One or two slips in the words outside the slots."""
    words = template.split(" ")
    for _ in range(draw.between(1, 2)):
        spots = [place for place, word in enumerate(words) if len(word) > 2 and "{" not in word and word.isalpha()]
        if not spots:
            break
        place = draw.pick(spots)
        words[place] = mistyped(draw, words[place])
    return " ".join(words)


def mistyped(draw: Draw, word: str) -> str:
    known = SLIPS.get(word.lower())
    if known and draw.chance(0.6):
        return draw.pick(known)
    spot = draw.between(0, len(word) - 2)
    return draw.pick(
        [
            word[:spot] + word[spot + 1] + word[spot] + word[spot + 2 :],
            word[:spot] + word[spot + 1 :],
            word[:spot] + word[spot] + word[spot:],
        ]
    )


def cased(draw: Draw, template: str) -> str:
    style = draw.rng.random()
    if style < 0.55:
        sentences = re.split(r"(?<=[.!?] )", template)
        return "".join(first_upper(sentence) for sentence in sentences)
    if style < 0.75:
        return template
    if style < 0.99:
        return outside_slots(template, str.lower)
    return outside_slots(template, str.upper)


def first_upper(sentence: str) -> str:
    return sentence if sentence.startswith("{") else sentence[:1].upper() + sentence[1:]


def outside_slots(template: str, change: "type[str] | object") -> str:
    return "".join(piece if SLOT.fullmatch(piece) else change(piece) for piece in SLOT.split(template))  # type: ignore[operator]
