"""Small talk, things to repeat or remember, and what the model cannot do."""

from ..draw import Draw
from ..exercise import Turn
from ..lexicon import CITIES, COUNTRIES
from ..values import invented, listed, name, phrase, scrambled, topic, whole, word
from ..wording import finished

CANNOT = "I can't do that. I work with numbers, words and dates, and with the tools I am given."
NO_TOOLS = "I can't work that out here, because I have no tool to run code with."
ABILITIES = "I can calculate, work with words, lists and dates by running Python, and use the tools I am given. I am a small demonstration model."
HELLO = "Hello! What can I work out for you?"

# Whole sentences are held out, so what decides the answer stands in many of them.
WHOM = "[||, paddock|, assistant|, my friend|, buddy|, bot|, please]"
CHAT: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (
            "[hi|hello|hey|good morning|good evening|good afternoon|greetings|howdy|good day] [||there|paddock|assistant|bot|friend|again|everyone|computer|buddy]",
            "[hi|hello|hey|hello there|hi there], [anyone|anybody|are you|is anybody|is anyone] [there|here|awake|online]?",
            "[just|I just|only] [saying|wanted to say|want to say] [hi|hello|good morning] [||to you|again]",
        ),
        HELLO,
    ),
    (
        (
            "[||hi|hello|hey][,|] how [are you|are you doing|are you feeling|is it going|are things|is life|have you been] [||today|now|this morning|paddock|my friend]?",
            "[are you|are you feeling] [ok|well|fine|good] [||today|now|paddock]?",
            "how [do you feel|was your day|is your day] [||today|now|paddock]?",
        ),
        "I am fine, thank you. What can I work out for you?",
    ),
    (
        (
            f"[||so|hi|hello|tell me|please tell me][,|] [who|what] are you{WHOM}?",
            f"[||so|hi|hello|tell me|please tell me][,|] [what is|what's] your name{WHOM}?",
            f"[what are you called|do you have a name|what should I call you|who am I talking to|introduce yourself|tell me about yourself|tell me who you are|say who you are]{WHOM}",
            "are you [really|just|maybe|] [a bot|a human|a person|an AI|a robot|a computer|real|alive|a model|a language model]?",
            "[what|which] [model|kind of model|kind of AI|language model|AI] [are you|is this|am I talking to]?",
        ),
        "I am Paddock's demonstration model, a very small language model that runs Python to find answers.",
    ),
    (
        (
            f"[||hi|so|please|tell me][,|] [what can you do|what do you do|how can you help|how can you help me|what are you good at|what can I ask|what can I ask you|what are you able to do|what are you for]{WHOM}?",
            "[tell me|explain|show me|say|please tell me] what [you can do|you do|you are good at|you are able to do|I can ask|I can ask you] [||please|now]",
            f"[help|help me|I need help|I need some help|can you help me|could you help me|please help]{WHOM}",
        ),
        ABILITIES,
    ),
    (
        (
            "[||great|ok|perfect|nice|wonderful|good][,|] [thanks|thank you|many thanks|thx|cheers] [||a lot|so much|very much|again|paddock|my friend|for your help|for that|for everything|that helps]",
            "[thank you|thanks], that [helps|helped|was helpful|was great|is all I need] [||a lot|very much]",
        ),
        "You're welcome!",
    ),
    (
        (
            "[||ok|okay|thanks|well][,|] [bye|goodbye|bye bye|see you|see you later|see you tomorrow|good night|farewell|until tomorrow|talk to you later|I have to go|have a nice day] [||then|for now|now|paddock|my friend]",
        ),
        "Goodbye!",
    ),
    (
        (
            "[||wow|ok|oh][,|] [great|cool|nice|awesome|well done|good job|perfect|excellent|very good|amazing|brilliant|good work|nice work|I like it|I like that|you are great|you are clever|that was fast|that is right] [||indeed|paddock|my friend|thing]",
        ),
        "Glad to hear that! Anything else?",
    ),
    (
        (
            "[||no|hmm|sorry|oh][,|] [that is|that's|this is|it is|you are|your answer is] [wrong|not right|incorrect|not correct|false] [||I think|I believe|paddock]",
            "[||no|hmm|sorry|oh][,|] [are you sure|is that right|is that correct|is this right|did you make a mistake|you made a mistake] [||about that|this time|there]?",
        ),
        "I only report what the code printed. Please check the question, or ask it in other words.",
    ),
    (
        (
            "[||please|now|come on][,|] [tell|give] me [a joke|another joke|a good joke|something funny] [||please|now|today|paddock]",
            "[do you know|know|have you got|do you have] [a joke|any jokes|a good joke|another joke] [||for me|please|today]?",
            "[||please|come on][,|] [make me laugh|say something funny|a joke] [||please|now|today|for me]",
        ),
        "Why did the function stop calling? It had run out of arguments.",
    ),
)

IMPOSSIBLE = (
    "[what is|what's|how is|tell me|show me|check] the weather [in|for] {city} [today|tomorrow|]?",
    "[will it|is it going to|does it] [rain|snow] [in {city}|] [today|tomorrow|this week|]?",
    "[who is|who's|who was] [the president|the king|the queen|the mayor|the prime minister] of [{country}|{city}]?",
    "[who wrote|who painted|who invented|who discovered|who directed] {topic}?",
    "[what is|what's|name|tell me] the capital of {country}?",
    "[what is|what's] the population of [{country}|{city}]?",
    "[order|buy|get|book] me a [pizza|taxi|flight|ticket|hotel|coffee|burger|train ticket|table for two][ to {city}| in {city}| please|]",
    "[send|write] [an email|a message|a letter|a text] to {name}",
    "[call|phone|text|invite|visit] {name} [for me|please|now|tomorrow|]",
    "[translate|say|write] {word} [into|in|to] [French|German|Spanish|Italian|Japanese|Polish]",
    "[write|compose|make] [a poem|a story|an essay|a song|a haiku|a novel|a letter|a speech] about {topic}",
    "[play|sing] [a song|some music|music|my favourite song] [please|for me|]",
    "[open|close|start|stop|lock|unlock] the [door|window|car|browser|garage|music|lights]",
    "[turn|switch] [on|off] the [light|lights|heating|radio|TV]",
    "[what is|what's|explain|define] the meaning of [life|love|{word}]?",
    "[who won|who will win] [the world cup|the election|the match|the game|yesterday's game]?",
    "[what|which] [is|are] the [best|cheapest|nearest] [restaurant|restaurants|hotel|hotels|phone|car] in {city}?",
    "[remind me|wake me up] [tomorrow|at 7|in an hour|next week]",
    "[show|find|send|draw|paint] me a [picture|photo|drawing] of [a cat|a dog|{city}|{name}]",
    "[how do I|how can I|how to] [cook|bake|repair|clean|grow|sell|build] {topic}?",
    "[should I|do you think I should] [marry|call|fire|trust] {name}?",
    "[what do you think|what is your opinion|how do you feel] about {topic}?",
    "[search|browse|look up|google] [the web|the internet|online] for {topic}",
    "[what is|what's] the [price|stock price|share price] of [{topic}|gold|oil|bitcoin]?",
    "[what happened|what's new|what is the news] in {city} [yesterday|today|this week|]?",
    "[summarise|summarize|explain|read] [the article|the book|my mail|the news|this page] about {topic}",
    "[why|how] [is|was] {topic} so [popular|expensive|famous|important]?",
    "[where is|where's|how far is|how do I get to] {city}?",
    "[delete|move|rename|copy|print] my [files|photos|emails|documents]",
    "[tell me|explain] [about|everything about|something about] {topic}",
    "[what time is it|what's the time|current time] in {city} [now|]?",
    "[who is|who's|do you know] {name}?",
    "[when was|where was|how old is|how tall is] {name} [born|]?",
    "[recommend|suggest] [a book|a film|a restaurant|a song|a gift] [for {name}|about {topic}|]",
    "[I feel|I am|I'm] [sad|tired|lonely|bored|ill|happy|hungry]",
    "[do you|can you] [love|like|know|remember|dream|eat|sleep] [me|]?",
    "[what is|what's] your favourite [colour|film|song|book|food|city]?",
    "[diagnose|treat|cure] my [headache|cough|back pain]",
    "[hack|crack|break into] [the bank|a website|my neighbour's wifi|{name}'s account]",
    "[transfer|pay|send] {n} [euros|dollars|pounds] to {name}",
    "[what are|tell me|give me] the [lottery numbers|winning numbers|news|headlines]",
    "[compare|review] {topic} and {topic2}",
    "[what|which] [language|languages] [do they|does one|do people] speak in {country}?",
)

ALSO_IMPOSSIBLE = (  # in training alone, so that the test stays the same
    "[who|which team|which country] won [the world cup|the cup|the league|the race|the final|the gold medal|the championship|the war|the Nobel prize|the lottery] [in {year}|of {year}|last year|this year|]?",
    "[when|in which year|what year] [did {name} die|did the war end|did the war begin|was {city} founded|was {country} founded|was {topic} invented|did {name} marry|did they build {topic}]?",
    "[how many|about how many] [people live|people are there|schools are there|rivers are there|cars are there|islands are there] in [{city}|{country}]?",
    "[how tall is|how high is|how big is|how old is|how long is|how deep is|how heavy is] [{topic}|{city}|the moon|the highest mountain|the longest river|the tower|an elephant|{name}]?",
    "[what is|what's|tell me] [the distance|the way|the fastest way|the train] [between {city} and {city2}|from {city} to {city2}]?",
    "[what is|what's|who is|name|tell me] the [tallest|oldest|richest|largest|smallest|most famous|most beautiful] [building|person|river|mountain|city|country|company|animal] [in {country}|in the world|of all|in {city}]?",
    "[what|who|which] [is|was] {topic} [for|made of|named after|known for|called in French]?",
    "[what does|what did] [{name}|the president|my boss|my wife|the teacher] [think|say|want|mean|know|do yesterday] [about {topic}|]?",
    "[what is|what's] [the currency|the flag|the language|the religion|the anthem|the president] [of|in] {country}?",
    "[what should I|what shall I|what can I] [wear|eat|cook|read|watch|say|buy] [tonight|today|tomorrow|in {city}|for {name}|]?",
    "[tell|give|show] me [a story|a recipe|some advice|a fact|the latest news|a secret|the lyrics] [about {topic}|of {topic}|for {topic}|]",
    "[why|how come] [is|are|does|do] [the sky blue|the sea salty|cats purr|we dream|it rain so much|people lie|the moon shine]?",
    "[explain|describe|teach me|what is|what's] [gravity|democracy|photosynthesis|inflation|the internet|evolution|quantum physics|{topic}] [to me|to a child|in simple words|]",
    "[is|was] [{name}|{city}|{country}|{topic}] [nice|famous|dangerous|expensive|in Europe|bigger than {city2}|married|alive]?",
    "[where|how] [can I|do I|could I] [buy|find|get|learn|study|meet] [{topic}|{name}|a taxi|a doctor|a cheap flight|good coffee] [in {city}|]?",
    "[play|show|start] [a game|the video|the film|chess] [with me|]",
    "[log in|sign in|sign up|connect] [to my bank|to {city}|to the office|for me|as {name}]",
    "[set|change|cancel] [an alarm|a timer|my password|my appointment|my booking] [for {name}|for tomorrow|for {n} minutes|]",
    "[what is|what's] [in the news|on TV|for dinner|on at the cinema|new in {country}] [today|tonight|]?",
    "[look at|open|read|download|upload] [this picture|the file|my screen|the attachment|this website|{word}.com]",
    "[fix|repair|clean|paint|sell] my [car|phone|house|bike|printer|roof]",
    "[how is|how's] [{name}|the traffic|the sea|the food] [in {city}|today|]?",
    "[do you|can you] [see|hear|feel|drive|cook|dance|sing|speak French|have children|pay taxes] [||well|today]?",
    "[what will|will] [happen|the price be|the weather be|I be rich] [tomorrow|in {year}|next year]?",
    "[which|what] [film|book|song|singer|actor|football team|animal] [do you like|is the best|won in {year}|is about {topic}]?",
)


def chat(draw: Draw) -> Turn:
    wordings, answer = draw.pick(CHAT)
    return Turn(family="small talk", user=finished(draw, draw.text(wordings), {}, plain=1.0), answer=answer, expected=(answer,))


def impossible(draw: Draw) -> Turn:
    slots = {
        "city": listed(draw, CITIES),
        "country": listed(draw, COUNTRIES),
        "topic": topic(draw),
        "topic2": topic(draw),
        "name": name(draw),
        "word": word(draw),
        "n": str(whole(draw, 1, 4)),
    }
    wordings = IMPOSSIBLE
    if draw.split == "train":
        wordings += ALSO_IMPOSSIBLE
        slots |= {"city2": listed(draw, CITIES), "year": str(draw.between(1850, 2035))}
    user = finished(draw, draw.text(wordings), slots, plain=0.6)
    return Turn(family="refusal", user=user, answer=CANNOT, expected=("can't",))


REPEAT = (
    "[repeat|say|write|echo|type|copy|print out] [this|after me|the following|exactly this|back|back to me|literally]: {t}",
    "[please repeat|now say|can you say|could you say|just say|just write|reply with|answer with|respond with|please write|please say|say only|reply only with]: {t}",
    "[repeat|echo|copy] {t}",
    "repeat after me, {t}",
    '[say|write] "{t}"',
    "[say|write|repeat] '{t}' [back to me|again|please]",
)


def dictated(draw: Draw) -> Turn:
    """Practice: every token that a text may be made of, evenly."""
    pieces: list[str] = []
    while not pieces or (len(" ".join(pieces)) < 30 and draw.chance(0.8)):
        pair = scrambled(draw)
        pieces.append(
            draw.pick(
                [pair, pair, pair.capitalize(), pair.upper(), phrase(draw), phrase(draw).title(), invented(draw)]
                + [f"{draw.between(0, 10**digits - 1):0{digits}}" for digits in (3, 6, 9)]
                + [f"{pair}_{scrambled(draw)}", f"{draw.between(0, 99):02}:{draw.between(0, 999)}", f"{word(draw)}.{pair}"]
            )
        )
    return said_back(draw, " ".join(pieces))


def repeat(draw: Draw) -> Turn:
    """Copying, for its own sake: long numbers, repeated digits, odd words."""
    pieces = []
    for _ in range(draw.between(1, 4)):
        pieces.append(
            draw.pick(
                [
                    str(whole(draw, 3, 14)),
                    invented(draw),
                    word(draw),
                    phrase(draw),
                    name(draw),
                    f"{invented(draw)[:3].upper()}-{whole(draw, 3, 6)}",
                    f"{whole(draw, 1, 3)}.{whole(draw, 2, 15)}",
                    draw.pick("01") * draw.between(2, 7) + str(whole(draw, 1, 3)),
                ]
            )
        )
    return said_back(draw, " ".join(pieces))


def said_back(draw: Draw, text: str) -> Turn:
    return Turn(
        family="repeat",
        user=finished(draw, draw.text(REPEAT), {"t": text}, plain=1.0).rstrip(".!?") if text[-1] not in ".!?" else text,
        answer=text,
        expected=(text,),
    )


INTRODUCE = (
    "[my name is|I am|I'm|call me|this is|you can call me|people call me] {n}",
    "[hi|hello|hey], [my name is|I am|I'm|this is] {n}",
    "[hi|hello] there, {n} here",
)
RECALL = (
    "[what is|what's|whats] my name?",
    "[do you remember|do you know|can you tell me|tell me|say] my name?",
    "who am I?",
    "what am I called?",
    "[do you know|do you remember|can you remember] [who I am|what I am called|what my name is|what I'm called]?",
    "what did I say my name was?",
    "remember my name?",
)


def introduce(draw: Draw) -> tuple[Turn, str]:
    own_name = name(draw)
    answer = f"Hello {own_name}! What can I work out for you?"
    return Turn(
        family="memory",
        user=finished(draw, draw.text(INTRODUCE), {"n": own_name}, plain=1.0),
        answer=answer,
        expected=(own_name,),
    ), own_name


def recall(draw: Draw, own_name: str | None) -> Turn:
    answer = f"Your name is {own_name}." if own_name else "You have not told me your name."
    return Turn(family="memory", user=finished(draw, draw.text(RECALL), {}, plain=0.9), answer=answer, expected=(answer,))


LAST = (
    "what was [the|your|that|the last|the previous] [result|number|answer] [again|]?",
    "[say|tell me|repeat] [the last|that|the previous|your last] [result|number|answer] [again|once more|please|]",
    "[remind me of|can you repeat|could you repeat] [the last|that|the previous] [result|number|answer]?",
    "sorry, what was [it|that] again?",
    "which [result|number|answer] did you [get|give] [last|before|just now]?",
)


def last_result(draw: Draw, number: str) -> Turn:
    return Turn(
        family="memory",
        user=finished(draw, draw.text(LAST), {}, plain=0.9),
        answer=f"The last result was {number}.",
        expected=(number,),
        last_number=number,
    )
