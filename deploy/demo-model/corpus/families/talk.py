"""Small talk, things to repeat or remember, and what the model cannot do."""

from ..draw import Draw
from ..exercise import Turn
from ..lexicon import CITIES, COUNTRIES
from ..values import invented, name, topic, whole, word
from ..wording import finished

CANNOT = (
    "I can't do that. I am a small demonstration model: I work with numbers, words and dates, and with the tools I am given."
)
NO_TOOLS = "I can't work that out here, because I have no tool to run code with."
ABILITIES = "I can calculate, work with words, lists and dates by running Python, and use the tools I am given. I am a small demonstration model."
HELLO = "Hello! What can I work out for you?"

CHAT: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (
            "[hi|hello|hey|hi there|hello there|hey there|good morning|good evening|good afternoon|greetings|howdy|hiya|yo|hallo|good day|morning|evening|hey hey]",
            "[hi|hello|hey|good morning|good evening] [paddock|assistant|bot|you|friend|again|everyone|there|computer|AI|buddy]",
            "[anyone|anybody|are you] [there|here|awake|online|ready]?",
            "just [saying|wanted to say] [hi|hello]",
            "[hello|hi], is anybody [there|here|home]?",
        ),
        HELLO,
    ),
    (
        (
            "[how are you|how are you doing|how is it going|how's it going|how do you do|are you ok|are you well|how do you feel|how was your day|how are things|what's up|how is life|how have you been|you good|are you fine] [today|]?",
            "[hi|hello|hey], how [are you|are you doing|is it going|are things]?",
        ),
        "I am fine, thank you. What can I work out for you?",
    ),
    (
        (
            "[who|what] are you?",
            "[what is|what's] your name?",
            "[what are you called|do you have a name|what should I call you|who am I talking to|who is this|what is this|introduce yourself|tell me about yourself|who is speaking]?",
            "are you [a bot|a human|human|a person|an AI|a robot|a computer|real|alive|ChatGPT|a model|a language model]?",
            "what [model|kind of model|kind of AI|language model] are you?",
            "which [model|AI] [are you|is this|am I talking to]?",
            "[tell me|say] who you are",
        ),
        "I am Paddock's demonstration model, a very small language model that runs Python to find answers.",
    ),
    (
        (
            "[what can you do|what do you do|how can you help|how can you help me|what are you good at|what are your abilities|what are your skills|what do you know|help|what can I ask|what can I ask you|what are you able to do|what is your purpose|what are you for|what should I ask|how does this work|how do I use you|what are your tools|which tools do you have|can you help me|I need help|give me some help|show me what you can do|list your features] [please|]?",
            "[tell me|explain] what you can do",
        ),
        ABILITIES,
    ),
    (
        (
            "[thanks|thank you|thx|many thanks|thanks a lot|thank you very much|thank you so much|cheers|much appreciated|ta|great, thanks|perfect, thank you|ok thanks|thanks for your help|that helps, thanks|nice, thank you|wonderful, thanks]",
        ),
        "You're welcome!",
    ),
    (
        (
            "[bye|goodbye|see you|see you later|good night|bye bye|cu|ciao|farewell|that's all|that is all|I have to go|talk to you later|until tomorrow|gotta go|see you tomorrow|have a nice day|catch you later] [then|for now|now|]",
        ),
        "Goodbye!",
    ),
    (
        (
            "[great|cool|nice|wow|awesome|well done|good job|good|perfect|excellent|very good|amazing|brilliant|super|impressive|good work|nice work|not bad|I like it|you are great|you are clever|you're smart|good bot|that was fast|that is right|correct]",
        ),
        "Glad to hear that! Anything else?",
    ),
    (
        (
            "[ok|okay|fine|alright|I see|got it|understood|right|sure|yes|no|hmm|well|no problem|never mind|nothing|all good|ah ok|k|yep|nope]",
        ),
        "All right. Ask me when there is something to work out.",
    ),
    (
        (
            "[that is wrong|that's wrong|wrong|you are wrong|that is not right|this is incorrect|bad answer|you made a mistake|that can't be right|I don't believe you|are you sure|really|is that right|that is not correct]?",
        ),
        "I only report what the code printed. Please check the question, or ask it in other words.",
    ),
    (
        (
            "[tell|give] me [a joke|another joke|something funny|a pun]",
            "[do you know|know] [a joke|any jokes|a good joke]?",
            "make me laugh",
            "[say|tell] something funny",
            "a joke please",
        ),
        "Why did the function stop calling? It had run out of arguments.",
    ),
    (
        ("[asdf|qwerty|blah|blah blah|foo bar|lorem ipsum|xyzzy|test|testing|test test|123 test|hjkl|aaaa|ping|???|...]",),
        "I did not understand that. Ask me about numbers, words or dates.",
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


def chat(draw: Draw) -> Turn:
    wordings, answer = draw.pick(CHAT)
    return Turn(family="small talk", user=finished(draw, draw.text(wordings), {}, plain=1.0), answer=answer, expected=(answer,))


def impossible(draw: Draw) -> Turn:
    slots = {
        "city": draw.own(CITIES),
        "country": draw.own(COUNTRIES),
        "topic": topic(draw),
        "topic2": topic(draw),
        "name": name(draw),
        "word": word(draw),
        "n": str(whole(draw, 1, 4)),
    }
    user = finished(draw, draw.text(IMPOSSIBLE), slots, plain=0.6)
    return Turn(family="refusal", user=user, answer=CANNOT, expected=("can't",))


REPEAT = (
    "[repeat|say|write|echo|type|copy|print out] [this|after me|the following|exactly this|back|back to me|literally]: {t}",
    "[please repeat|now say|can you say|could you say|just say|just write|reply with|answer with|respond with|please write|please say|say only|reply only with]: {t}",
    "[repeat|echo|copy] {t}",
    "repeat after me, {t}",
    '[say|write] "{t}"',
    "[say|write|repeat] '{t}' [back to me|again|please]",
)


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
                    name(draw),
                    f"{invented(draw)[:3].upper()}-{whole(draw, 3, 6)}",
                    f"{whole(draw, 1, 3)}.{whole(draw, 2, 15)}",
                    draw.pick("01") * draw.between(2, 7) + str(whole(draw, 1, 3)),
                ]
            )
        )
    text = " ".join(pieces)
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
