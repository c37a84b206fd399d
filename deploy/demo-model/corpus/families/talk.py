"""Small talk, things to repeat or remember, and what the model cannot do."""

from ..draw import Draw
from ..exercise import Turn
from ..lexicon import CITIES, COUNTRIES
from ..values import invented, name, topic, whole, word
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
            "[hi|hello|hey|hello there|hi there], [anyone|anybody|are you|is anybody|is anyone] [there|here|online]?",
            "[just|I just|only] [saying|wanted to say|want to say] [hi|hello|good morning] [||to you|again]",
            "[hiya|yo|hi|hello|hey|morning|hey hey|hi hi|hello hello|well hello|oh hi|oh hello] [||there|paddock|all|you]",
            "[nice|good|pleased|great|glad] to [meet|see] you [||too|again|, paddock|today]",
            "[I am|I'm] [back|here|here again|back again][, hello|, hi|, hello paddock]",
            "[is anybody|is anyone|is someone|anybody|anyone|are you] [there|here|online]?",
            "[hello|hi|hey][,|!] [I am new here|I'm new here|it's me|it's me again|nice to see you|nice to meet you|good to see you]",
        ),
        HELLO,
    ),
    (
        (
            "[||hi|hello|hey][,|] how [are you|are you doing|are you feeling|is it going|are things|have you been] [||today|now|this morning|paddock|my friend]?",
            "[are you|are you feeling|are you doing] [ok|well|fine|good|all right|alright] [||today|now|paddock]?",
            "how [do you feel|was your day|is your day] [||today|now|paddock]?",
            "[how's|hows|how is] [it going|life|everything|your day|your morning] [||today|, paddock|so far]?",
            "[what's up|whats up|what is up] [||today|paddock|, my friend]?",
            "[I hope|hope] you are [well|fine|doing well|doing fine|ok|feeling good] [||today|, paddock]",
            "[did you have|have you had|are you having] a [good|nice|great] [day|morning|weekend] [||so far|, paddock]?",
            "[tell me|I wonder|I want to know] how you [are|are doing|feel|are feeling] [||today|now]",
            "[I'm|I am] [fine|good|well|ok|great], [how are you|and you|how about you|what about you]?",
            "how [is|has] your [day|week|morning|weekend] [been|going] [||so far|paddock]?",
            "[you ok|everything ok|is everything ok|how are u|how r you|how you doing|how do you do] [||today|paddock]?",
        ),
        "I am fine, thank you. What can I work out for you?",
    ),
    (
        (
            f"[||so|hi|hello|tell me|please tell me][,|] [who|what] are you{WHOM}?",
            f"[||so|hi|hello|tell me|please tell me][,|] [what is|what's] your name{WHOM}?",
            f"[what are you called|do you have a name|what should I call you|who am I talking to|introduce yourself|tell me about yourself|tell me who you are|say who you are]{WHOM}",
            "are you [really|just|maybe|] [a bot|a human|a person|an AI|a robot|a computer|real|a model|a language model]?",
            "[what|which] [model|kind of model|kind of AI|language model|AI] [are you|is this|am I talking to]?",
            "who [exactly|] [are you|am I speaking with|am I talking to|am I chatting with|is this]?",
            "[I wonder|I'd like to know|I want to know|may I know|could you say|do you know] [who you are|what you are|your name|what your name is]",
            "[tell me your|give me your|say your|may I have your|do you have a] name [||please|, please]?",
            "[please|can you|could you|would you] [introduce|describe] yourself [||to me|briefly|in one sentence]",
            "[what sort of|what kind of|what type of] [bot|assistant|program|model|AI] are you [||exactly]?",
            "[am I|are we] [talking|speaking|chatting] [to|with] [a human|a person|a robot|an AI|a real person|a computer|a bot]?",
            "[is this|is it] [a human|a person|a robot|an AI|a real person|a bot] [||I am talking to]?",
            "[say|tell me|tell us] [a bit|something|a little|more] about [yourself|who you are|what you are]",
            "[who or what|what exactly|who exactly] are you?",
            "[are you|aren't you] [chatgpt|ChatGPT|Paddock|paddock]?",
        ),
        "I am Paddock's demonstration model, a very small language model that runs Python to find answers.",
    ),
    (
        (
            f"[||hi|so|please|tell me][,|] [what can you do|what do you do|how can you help|how can you help me|what are you good at|what can I ask|what can I ask you|what are you able to do|what are you for]{WHOM}?",
            "[tell me|explain|show me|say|please tell me] what [you can do|you do|you are good at|you are able to do|I can ask|I can ask you] [||please|now]",
            f"[help|help me|I need help|I need some help|can you help me|could you help me|please help]{WHOM}",
            "[what|which] [kind of questions|sort of questions|questions|tasks|problems] can you [answer|solve|do|understand]?",
            "[what|which] are your [skills|abilities|features|functions|capabilities]?",
            "[list|describe|show me|tell me|give me] your [skills|abilities|features|functions|capabilities] [||please|, please]",
            "[what|which] [skills|abilities|features|functions|capabilities] do you have?",
            "[what|how] can you [do for me|do for us|help with|help me with|help us]?",
            "[what can I use|what should I use|what do people use] you for?",
            "[what is|what's] your [job|purpose|task|function] [||here|exactly]?",
            "[I don't know|I do not know|I am not sure|I'm not sure] what [I can ask you|to ask you|you can do|you are good at|you are for]",
            "[how do I use you|how should I use you|how can I use you] [||please|, paddock]?",
            "[give me|show me|tell me] [some|a few|] examples of [what you can do|what I can ask|your skills|what you do]",
            "[I need|I want|I'd like|I would like] [help|some help|your help|a little help] [||please|now|from you]",
            "[can|could|will|would] you [help me|help me out|help us] [||please|today|with something|a bit]?",
        ),
        ABILITIES,
    ),
    (
        (
            "[||great|ok|perfect|nice|wonderful|good][,|] [thanks|thank you|many thanks|thx|cheers] [||a lot|so much|very much|again|paddock|my friend|for your help|for that|for everything|that helps]",
            "[thank you|thanks], that [helps|helped|was helpful|was great|is all I need] [||a lot|very much]",
            "[thanks|thank you|many thanks|thx] [a million|a bunch|a ton|once more|once again|anyway|very much indeed]",
            "[thank you|thanks] for [the answer|the help|helping|helping me|your time|your answer|answering|the result|the quick answer]",
            "[I|we] [really|very much|] appreciate [it|that|your help|the help|this]",
            "[that|this|it] [helped|helps] [||me|us] [a lot|very much|so much], [thanks|thank you|cheers]",
            "[just what I needed|exactly what I needed|that was quick|very kind|very helpful], [thanks|thank you|thx|many thanks]",
            "[you were|you are|you've been] [very|so|really|] [helpful|kind], [thanks|thank you]",
            "[I|we] [want to|would like to|just want to|wanted to] [thank you|say thanks|say thank you] [||for that|for your help|so much]",
            "[no|nope|no more questions|nothing else], [thanks|thank you|thank you very much]",
            "[got it|understood|all right|alright|okay|fine|super], [thanks|thank you|many thanks|thanks a lot]",
        ),
        "You're welcome!",
    ),
    (
        (
            "[||ok|okay|thanks|well][,|] [bye|goodbye|bye bye|see you|see you later|see you tomorrow|good night|until tomorrow|talk to you later|I have to go|have a nice day] [||then|for now|now|paddock|my friend]",
            "[bye for now|bye|take care|see ya|see you|see you soon|goodbye|good night] [||paddock|my friend|, everyone|then]",
            "[I|we] [must|have to|need to|should] [go|leave|go home|go to bed] [||now|soon, bye|, goodbye|, see you]",
            "[see you|talk to you|see you again] [next time|next week|soon|on Monday|later|later today|another day|in the morning]",
            "have a [nice|good|lovely|great] [evening|weekend|night|afternoon|day], [bye|goodbye|see you]",
            "[that is all|that's all|that was all|that's it] [for today|for now], [bye|goodbye|see you|good night]",
            "[I am|I'm|we are] [leaving|off|going|going home] [||now, bye|, goodbye|, see you|, bye bye]",
            "[it was|it has been] [nice|good|great] [talking to you|chatting with you|meeting you], [bye|goodbye|see you]",
            "[no more questions|nothing else|all done|we are done], [bye|goodbye|see you|good night]",
            "[bye|goodbye][,| and] [take care|see you|see you soon|see you later|thanks for everything]",
        ),
        "Goodbye!",
    ),
    (
        (
            "[||wow|ok|oh][,|] [great|cool|nice|awesome|well done|good job|perfect|excellent|very good|amazing|brilliant|good work|nice work|I like it|I like that|you are great|you are clever|that was fast] [||indeed|paddock|my friend]",
            "[that is|that's|this is|it is|it's] [very|really|so|just|] [great|cool|nice|awesome|impressive|wonderful|good|fantastic|amazing|brilliant|perfect]",
            "[you are|you're] [very|really|so|] [smart|clever|good|helpful|fast|quick|great|cool|nice|the best|amazing|brilliant]",
            "[I|we] [love|like|really like] [it|that|this|you|your answer|your answers|your work]",
            "[I am|I'm|we are] [happy|pleased|very happy|impressed] with [you|that|it|the answer|your work]",
            "[what a|such a|that's a|it's a] [good|great|clever|nice|wonderful] [answer|bot|assistant|helper|result|job]",
            "[fantastic|wonderful|great|super|amazing|awesome|brilliant] [||paddock|indeed|, well done|, good job|, I like it]",
            "[you did|you have done|you've done] [well|a good job|a great job|very well|great|good work|great work] [||there|today|again]",
            "[good|great|nice|clever] [bot|robot|assistant|paddock|answer|one|job|work]",
            "[it|that|this] [works|worked] [||very|so] [well|great|perfectly|fine]",
            "[that was|this was|it was] [very|really|] [quick|fast|great|impressive|good|good work|perfect|nice]",
        ),
        "Glad to hear that! Anything else?",
    ),
    (
        (
            "[||no|hmm|sorry|oh][,|] [that is|that's|this is|it is|you are|your answer is] [wrong|not right|incorrect|not correct|false] [||I think|I believe|paddock]",
            "[||no|hmm|sorry|oh][,|] [are you sure|is that right|is that correct|is this right|did you make a mistake|you made a mistake] [||about that|this time|there]?",
            "[are you|are you really|are you quite|are you absolutely] [sure|certain] [||of that|of it|about this|about the answer]?",
            "[I think|I believe|it seems|it looks like|my teacher says|I am sure] [that is wrong|that's wrong|you are wrong|you made a mistake|your answer is wrong|it is not correct|there is a mistake]",
            "[that|this|it] [can't be|cannot be|does not look|doesn't look|doesn't seem|isn't] [right|correct|true]",
            "[that|this|it] [looks|sounds|seems|must be] [wrong|false|incorrect]",
            "you got [it|that|this one|the answer] [wrong|all wrong|completely wrong] [||again|I think|this time]",
            "[I|we] [don't|do not|can't|cannot] [believe|trust] [it|that|this|you|your answer|this result|that result]",
            "[there is|there's|there must be] [a mistake|an error] [||in your answer|there|in it|somewhere]",
            "[is|was] [your|the|that] [answer|result] [really|] [right|correct|true|wrong]?",
            "[||hmm|oh|no][,|] [really|seriously|is that true|is it true|are you serious]?",
            "[wrong|false|incorrect|no, wrong|wrong answer|wrong again|not correct|not right|not true] [||!|paddock|, try again]",
            "[you are|you're|you must be|you were] wrong [||again|about that|I think]",
            "that is not [the right answer|the correct answer|what I asked|what I meant|what I wanted]",
            "[can|should] I [trust|believe] [that|you|it|this|your answer|the result]?",
            "[bad|wrong] [answer|bot|result] [||, paddock|again]",
        ),
        "I only report what the code printed. Please check the question, or ask it in other words.",
    ),
    (
        (
            "[||please|now|come on][,|] [tell|give] me [a joke|another joke|a good joke|something funny] [||please|now|today|paddock]",
            "[do you know|know|have you got|do you have] [a joke|any jokes|a good joke|another joke] [||for me|please|today]?",
            "[||please|come on][,|] [make me laugh|say something funny|a joke] [||please|now|today|for me]",
            "[can|could|would|will] you [please|maybe|] [tell|give] [me|us] [a joke|a funny joke|one more joke|some joke|a short joke]?",
            "[I|we] [want|need|would like] [a joke|a good joke|to laugh|to hear a joke|another joke|something funny] [||now|please|today]",
            "[joke|jokes|one joke|a joke please|another joke|one more joke|joke please|a new joke|your best joke] [||please|, paddock|now]",
            "[what is|what's|tell me] your [best|favourite|favorite|funniest] joke [||today|please]?",
            "[can you|could you|try to|please] [make me laugh|make us laugh|be funny|say something funny] [||today|please]?",
            "[let me|let us|let's] hear [a joke|a good joke|your best joke|something funny|another joke] [||please|now]",
            "[time for|how about|what about] [a joke|another joke|something funny] [||now|please]",
            "[any|got any|know any] [good|funny|new|] jokes [||today|paddock]?",
        ),
        "Why did the function stop calling? It had run out of arguments.",
    ),
)

# None of these could be answered by code about numbers, words and dates, nor by the small talk above.
IMPOSSIBLE = (
    # weather
    "[what is|what's|how is|tell me|show me|check] the weather [in|for] {city} [today|tomorrow|]?",
    "[will it|is it going to|does it] [rain|snow] [in {city}|] [today|tomorrow|this week|]?",
    "[weather|weather forecast|forecast|weather report] [for|in] {city} [today|tomorrow|this weekend|please|]",
    "[how warm|how cold|how hot] is it in {city} [today|right now|at the moment|]?",
    "is it [warm|cold|hot|windy|sunny] in {city} [today|right now|at the moment|]?",
    "[do I need|should I take] [an umbrella|a coat] [today|tomorrow|in {city}]?",
    "[what's|what is|check|tell me] the [temperature|forecast] in {city} [today|now|]",
    "[is the sun shining|is it raining|is it snowing] in {city} [now|today|]?",
    "what will the weather be like [in {city}|tomorrow|this weekend|on Sunday]?",
    # people and offices
    "[who is|who's|who was] [the president|the king|the queen|the mayor|the prime minister] of [{country}|{city}]?",
    "[name|tell me|give me] the [president|king|mayor|prime minister] of {country}",
    "[who wrote|who painted|who invented|who discovered|who directed] {topic}?",
    "[who is|who's] {name}?",
    "[when was|where was] {name} born?",
    "[where|in which city] does {name} [live|work|come from]?",
    "[is|was] {name} [married|famous|rich|still alive]?",
    "[what is|what's|give me|I need] the [phone number|address|email address] of {name}",
    "[who is|who was] the [founder|boss|owner|CEO|inventor|author] of {topic}?",
    # places
    "[what is|what's|name|tell me] the capital of {country}?",
    "[which|what] city is the capital of {country}?",
    "{country}'s capital [city|], [please|what is it|do you know it]?",
    "[what is|what's|tell me] the population of [{country}|{city}]?",
    "[where is|where's|how far is|how do I get to] {city}?",
    "[in which country|on which river|on which continent] is {city}?",
    "[what|which] [language|languages] do [they|people] speak in {country}?",
    "[what|which] [currency|flag|national anthem|religion] does {country} have?",
    "[what can I|what should I] [see|do|visit|eat] in {city}?",
    "[show|find] me [the way|a route|directions] to {city}",
    "[is there|are there] [a beach|a museum|a good hotel|a nice park] in {city}?",
    "[what|which] is the [highest mountain|longest river|biggest lake|oldest town] [in|of] {country}?",
    "how [long is the flight|far is it from here|do I get from here|much is a ticket] to {city}?",
    "is {city} [a safe place|worth a visit|expensive|beautiful]?",
    "[tell me|write] [the history|the story] of [{country}|{city}]",
    "[do I need|how do I get] a visa for {country}?",
    "where [am I|do I live|is the nearest station|can I park|is the nearest bank] [right now|]?",
    # orders, bookings, shopping
    "[order|buy|get|book] me a [pizza|taxi|flight|ticket|hotel|coffee|burger|train ticket|table for two][ to {city}| in {city}| please|]",
    "[book|reserve] a [room|hotel|table|flight|seat|train|car] [in {city}|for {name}|to {city}]",
    "[I need|I want|I would like|I'd like] [a taxi|a flight|a hotel room|a rental car|a train ticket|a table] [in {city}|to {city}|now]",
    "[I want to|I'd like to|can you help me] [order|buy] [a pizza|new shoes|flowers|some food|a phone] [for {name}|online|today]",
    "[cancel|change|confirm] my [order|booking|flight|hotel|appointment|subscription|reservation] [please|for tomorrow|to {city}|]",
    "[where is|what is the status of|track|when will I get] [my order|my parcel|my package|order {n}|parcel {n}]?",
    "[return|refund] [my order|the shoes|order {n}|the ticket] [please|]",
    "[is|are] [{word}|{topic}] [in stock|available|sold out] [now|today|]?",
    "how much does a {word} cost [in {city}|in the shop|these days]?",
    "[add|put] [a {word}|some {word}|milk|bread] [to|on] my [shopping list|cart]",
    "[find me|I am looking for|where can I get] [a cheap|a good|a used] [flat|car|bike|phone|job|dentist] in {city}",
    "[what|which] is the [best|cheapest|nearest] [restaurant|hotel] in {city}?",
    "pay [my invoice|my rent|the bill|invoice {n}|my taxes] [please|today|for me|]",
    # messages and calls
    "[send|write] [an email|a message|a letter|a text] to {name}",
    "[send|write] {name} [an email|a message|a postcard|a text|an invitation] [about {topic}|please|]",
    "[email|text|message|write to] {name} [about {topic}|that I am late|that I will come|for me]",
    "[tell|inform|remind] {name} [that I am late|that dinner is ready|that I can't come|about {topic}]",
    "[tell|ask|remind] {name} to [call me|come home|wait for me|write back]",
    "[call|phone|text|invite] {name} [for me|please|now|tomorrow|]",
    "[reply to|answer|forward|delete|read] [my last email|the message from {name}|my emails|{name}'s email]",
    "[do I have|have I got|are there|check for] [new|any|unread] [emails|messages|mails] [from {name}|]",
    "[post|tweet|publish|share] [something about {topic}|a photo of {city}] [online|on my page|for me]",
    "[invite|ask] {name} [for dinner|to the party|to the meeting]",
    # languages
    "translate {word} [into|to] [French|German|Spanish|Italian|Japanese|Polish]",
    "[how do you say|how do I say|what's the word for] {word} in [French|German|Spanish|Italian|Dutch|Russian|Chinese]?",
    "translate [this|this sentence|the text|my letter|the email] into [French|German|English|Spanish]",
    "[what is|what's] the [French|German|Spanish|Italian|Polish|Turkish] [word|translation] for {word}?",
    "[do you speak|can you speak|can you understand|teach me] [French|German|Spanish|Italian|Japanese|Greek]?",
    "[what is|what's|give me|tell me] a synonym [for|of] {word}",
    "what does {word} mean [in English|in German|]?",
    "[what is|what's|explain] the meaning of [life|love|{word}]?",
    "[correct|improve|check] [my grammar|my spelling|my essay|this letter|my English]",
    # writing and art
    "[write|compose|make] [a poem|a story|an essay|a song|a haiku|a letter|a speech] about {topic}",
    "[write|draft|compose] me [a poem|a short story|a letter|a song|a report|a fairy tale] [about|on] [{topic}|the sea|love|{city}]",
    "[a|one] [poem|story|song|fairy tale] about [{topic}|the moon|{name}|my dog], please",
    "[I need|I want|I'd like|we need] [a poem|a story|an essay|a speech|an article|a song] about {topic}",
    "[tell|read] [me|us] [a story|a fairy tale|a bedtime story|a poem] [about {topic}|please|]",
    "[can you|could you|will you] [write|compose|draft] [a poem|a story|an essay|a love letter|a blog post] [about {topic}|for {name}]?",
    "[show|find|send|draw|paint] me a [picture|photo|drawing] of [a cat|a dog|{city}|{name}]",
    "[draw|paint|generate] [a picture|an image|a logo|a cartoon] of [a {word}|{topic}|{city}|a horse]",
    "[make|create] [a video|a movie|a website|an app|a presentation] about {topic}",
    "[can you|are you able to] [draw|paint|sing|dance|cook|drive|see|hear|fly|swim]?",
    # music, home, machines
    "[play|sing] [a song|some music|music|my favourite song] [please|for me|]",
    "play [the radio|some jazz|{topic}|a podcast|a film|the news] [please|now|in the kitchen|]",
    "[pause|stop] [the song|the music|the film]",
    "[open|close|lock|unlock] the [door|window|car|garage]",
    "[turn|switch] [on|off] the [light|lights|heating|radio|TV|music]",
    "[turn|switch] the [light|lights|heating|radio|TV|oven|fan] [on|off] [please|in the kitchen|now|]",
    "[turn up|turn down|dim] the [heating|volume|lights|music] [please|in the bedroom|a bit|]",
    "[make|bring|cook] me [a coffee|a tea|dinner|breakfast|a sandwich|a cake] [please|now|]",
    "[clean|tidy|paint] [the kitchen|my room|the house|the garage] [please|for me|now]",
    "[my|the] [printer|phone|laptop|car|washing machine|wifi] [is broken|does not work], [fix it|help|what now]?",
    "[restart|install|update|shut down] [the computer|the server|my phone|Windows|the router] [please|now|]",
    "[delete|move|rename] my [files|photos|emails|documents]",
    "[open|show|download|find] [the file|my document|the photo|the PDF] about {topic}",
    "take a [photo|screenshot|selfie|video] [of me|now|please|]",
    "[set|start] [an alarm|a timer|an alarm for 7|a timer for {n} minutes] [please|now|]",
    # calendar and reminders
    "[remind me|wake me up] [tomorrow|at 7|in an hour|next week]",
    "remind me to [call {name}|buy {word}|water the plants|pay the rent|go to bed] [tomorrow|tonight|later|]",
    "[set|create|add] a reminder [for tomorrow|for {topic}|to call {name}|at 7]",
    "[what is|what's] [on|in] my [calendar|schedule|to-do list] [today|tomorrow|this week|]?",
    "[add|put|schedule] [a meeting|an appointment|a call|lunch] with {name} [in my calendar|tomorrow|next week|on Friday]",
    "[am I|is {name}|are we] [free|busy|available] [tomorrow|today|on Monday|next week]?",
    "[when is|where is] [my next meeting|my appointment|my flight|the meeting with {name}]?",
    "[schedule|plan|organise|organize] [a meeting|a party|a trip to {city}|my wedding] [please|with {name}|]",
    # money and markets
    "[what is|what's] the [price|stock price|share price] of [{topic}|gold|oil|bitcoin]?",
    "[how are|how is] [the stock market|bitcoin|the dollar] doing [today|]?",
    "should I [buy|sell] [gold|bitcoin|shares|a house in {city}]?",
    "[transfer|send] {n} [euros|dollars|pounds] to {name}",
    "how much money [do I have|is left|is] [in|on] my [account|bank account|savings account]?",
    "[what is|what's|tell me|show me] my [balance|password|address|phone number|salary]",
    # news, sports, web
    "[who won|who will win] [the world cup|the election|the match|the game|yesterday's game]?",
    "did [{city}|{country}|my team|our team] [win|lose] [yesterday|last night|on Sunday|]?",
    "[what was|what is|tell me] the score of [the match|the game|the final|yesterday's game|the {city} game]?",
    "[what happened|what's new|what is the news] in {city} [yesterday|today|this week|]?",
    "[what are|tell me|give me] the [lottery numbers|news|headlines]",
    "[any|what is the latest|read me the|show me the] news [from {city}|about {topic}|of the day]?",
    "[search|look up|google] [the web|the internet|online] for {topic}",
    "[google|look up|search for|find] {topic} [online|on the web|on the internet]",
    "[open|visit|go to] [a website|my homepage|the page about {topic}|wikipedia]",
    "[when does|what time does] [the next bus leave|the train to {city} leave|the shop close|the museum open]?",
    "is the [shop|bank|library|post office|museum] [in {city}|] open [today|now|on Sunday]?",
    "what is [on TV|on at the cinema] [in {city}|tonight|today]?",
    # knowledge
    "[tell me|explain] [about|everything about|something about] {topic}",
    "why is {topic} so [popular|expensive|famous|important]?",
    "[summarise|summarize|explain|read] [the article|the book|my mail|the news|this page] about {topic}",
    "[summarise|summarize|give me a summary of] [{topic}|the book by {name}|the meeting|my notes|the film]",
    "[which|what] is better, {topic} or {topic2}?",
    "[what do you know|what can you tell me|teach me something|I want to learn] about {topic}?",
    "[what is|what's] {topic} [made of|used for|good for]?",
    "[explain|describe] {topic} [to me|to a child|in simple words|please]",
    "how does {topic} [work|begin|end]?",
    "why is [the sky blue|the grass green|the sea salty|the earth round]?",
    "[when did|why did|how did] [the war|the revolution|the crisis] [start|end] in {country}?",
    "[what|which] [animal|plant|planet|metal|bird] is the [fastest|heaviest|rarest|most beautiful]?",
    "[how do|why do] [birds|cats|planes|bees] [fly|sleep|live|sing]?",
    "what [causes|cures|prevents] [a cold|rain|cancer|earthquakes|a headache]?",
    "[give me|I need] [some facts|information|details] [about|on] {topic}",
    # how to
    "[how do I|how can I|how to] [cook|bake|repair|clean|grow|sell|build] {topic}?",
    "[how do I|how can I] [lose weight|get rich|find a job|make friends|sleep better|quit smoking|learn to dance]?",
    "[give me|show me|find|I need] a [recipe|guide|tutorial] for [{topic}|a cake|soup|bread|pizza]",
    "[what should I|what can I] [cook|wear|eat|read|watch] [tonight|today|for dinner]?",
    "[recommend|suggest] [a book|a film|a restaurant|a song|a gift] [for {name}|about {topic}|]",
    "[what|which] [book|film|song|restaurant|game|wine|gift] [would you recommend|do you recommend|should I choose] [for {name}|]?",
    "[plan|organise] [my holiday in {city}|a trip to {country}|my birthday party|a weekend in {city}]",
    # opinions, feelings, advice
    "should I [marry|call|trust] {name}?",
    "[what do you think|what is your opinion|how do you feel] about {topic}?",
    "[do you|would you] [prefer|like|hate] [{topic}|{city}|cats or dogs|coffee or tea]?",
    "[I feel|I am feeling|I'm feeling] [very|so|a bit|] [sad|tired|lonely|bored|sick|nervous] [today|]",
    "[I am|I'm] [very|so] [sad|tired|lonely|bored|hungry|sick]",
    "[I lost|I can't find|where are|have you seen] my [keys|phone|wallet|glasses|cat|umbrella]?",
    "[will you|would you|do you want to] [marry me|be my friend|have dinner with me|play chess with me]?",
    "[what is|what's] your favourite [colour|film|song|book|food|city]?",
    "[do you have|have you got] [a family|children|a body|a boyfriend|feelings|a pet]?",
    "[give me|I need] [advice|some advice|your opinion|a tip] [on|about] [{topic}|my job|love]",
    "[will I|am I going to] [be rich|find love|pass the exam|get the job|win the lottery|be happy]?",
    "[what is|what's|read me|tell me] [my horoscope|my star sign|my future] [today|for this week|]?",
    # health, law, mischief
    "my [head|back|tooth|knee|stomach|throat] hurts[, what should I do|, help|]",
    "[what|which] [medicine|pill|doctor] [should I take|do I need|helps] [against|for] [a cold|a headache|my allergy|back pain]?",
    "is it [legal|allowed|safe] to [smoke|park here|eat {word}|drink the water] [in {country}|]?",
    "[hack|break into] [the bank|a website|my neighbour's wifi|{name}'s account]",
    "[guess|tell me|give me] [the password|the PIN|the login] of {name}",
    "[call|send] [the police|an ambulance|a doctor] [to {city}|please|now|]",
    "[fill in|submit|sign] [my tax return|the form|the contract|my application] [please|for me|]",
    "[find me|get me] [a job|a loan|a passport|a visa for {country}|a flat in {city}|a lawyer]",
    # office
    "[open|close|create|assign] [a ticket|ticket {n}|a support ticket|an issue] [for {name}|about {topic}|please]",
    "[what is|what's|check|show me] the [status|deadline|budget|owner|progress] of [ticket {n}|the {topic} project|project {n}|the order from {name}]",
    "[look up|find|show me|search for] [customer|client|employee] [{name}|{n}|number {n}]",
    "what does [the manual|the documentation|our handbook|the contract] say [about|on] {topic}?",
    "[are there|do we have|have we got] any [new customers|open tickets|new orders|visitors] [today|this week|right now]?",
    "[run|generate|print] [the monthly report|the payroll|the sales report|a report about {topic}] [please|for {name}|]",
    "[drive|take|bring] me [home|to {city}|to the airport|to work]",
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
    "[repeat|say|write|echo|type|copy|print out] [this|after me|the following|exactly this|back|back to me]: {t}",
    "[please repeat|now say|can you say|could you say|just say|just write|reply with|answer with|respond with|please write|please say|say only|reply only with]: {t}",
    "[repeat|echo|copy] {t}",
    "repeat after me, {t}",
    '[say|write] "{t}"',
    "[say|write|repeat] '{t}' [back to me|again|please]",
    "[can|could|would|will] you [please|just|] [repeat|echo|say|copy|write|type] [this|that|the following|exactly this]: {t}",
    "[I want|I'd like|I would like|I need] you to [repeat|say|echo|write|copy|type] [this|the following|exactly this|after me]: {t}",
    "[answer|reply|respond] [only|exactly|just] with [this|the following|these words|this text]: {t}",
    "[answer|reply|respond] with '{t}' [and nothing else|only|please|]",
    "[say|repeat|write|echo|type|copy] [it|this|that] [word for word|unchanged|without changes]: {t}",
    "[output|return|print|send back] [exactly|only|just|] [this|the following|this text|these words]: {t}",
    "[copy|echo|repeat] [the text|this text|this line|these words|this message|my words|my message]: {t}",
    "[echo|repeat|copy|say]: {t}",
    "[repeat|say|echo|copy|type|write] [back|after me|again|once|once more|for me]: '{t}'",
    "[please|now|just] [repeat|echo|copy|type] [after me|back to me|for me|]: {t}",
    "[say after me|repeat after me|write after me][:|,|] {t}",
    "[now|please|] [repeat|say|write|type] the [words|text|line|message] '{t}' [for me|please|back to me|]",
    "{t} - [repeat that|say that|echo it|copy this|repeat it please|now say it]",
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
    "[hi|hello|hey|good morning|good evening|hi there|hello there][,|!|.] [my name's|my name is|I'm called|I am called|it's me,|call me|you can call me] {n}",
    "[I am|I'm] [called|named] {n} [||by my friends|by everyone|, by the way]",
    "{n} is [my name|my first name|what people call me|what my friends call me]",
    "{n} [here|is here|is my name, by the way|is my name]",
    "[please|just|from now on][,|] call me {n}",
    "[you may|you can|you should|feel free to] call me {n} [||please|if you like]",
    "[my friends|my parents|people|they|everybody] [call|usually call|always call] me {n}",
    "[let me|may I|I would like to|I want to] introduce myself[:|,|.] [I am|I'm|my name is|] {n}",
    "[remember|note|please remember|don't forget]: my name is {n}",
    "[remember|please remember|don't forget|note] that [my name is|I am called|I'm called] {n}",
    "my [first name|name|nickname] is {n} [||, nice to meet you|, remember it|, by the way]",
    "[nice|pleased|glad|happy|good] to meet you[, I am|, I'm|, my name is|. I'm|. My name is] {n}",
    "[name|my name]: {n}",
    "[you are talking to|you are speaking with|this is|it's me,] {n}",
)
RECALL = (
    "[what is|what's|whats] my name?",
    "[do you remember|do you know|can you tell me|tell me|say] my name?",
    "who am I?",
    "what am I called?",
    "[do you know|do you remember|can you remember] [who I am|what I am called|what my name is|what I'm called]?",
    "what did I say my name was?",
    "remember my name?",
    "[what|which] name did I [give|tell] you [||before|just now|at the start]?",
    "[did I tell you|have I told you|do you still know|do you still remember|have you forgotten|did you forget] my name [||or not|yet|already]?",
    "[what was|and what was|so what was] my name [||again|, please]?",
    "[what do you|what should you|what do people|what do my friends] call me [||now|again]?",
    "[say|repeat|write|give me|show me] my name [||please|again|for me|if you know it]",
    "[can|could|would] you [please|] [say|repeat|remember|give me|remind me of] my name [||please|again]?",
    "[I forgot|I can't remember|remind me of|I want to hear] my [own|] name [||, what is it]",
    "who are you talking to [||now|right now]?",
    "[tell me|say|do you know] [who I am|what I am called|my name]",
    "my name[, do you know it|, do you remember it|, what is it|, please|: what is it|, what was it again]?",
    "[tell me|let me know|I'd like to know|say] what [my name is|I am called|I'm called|my name was]",
    "I told you my name, [what was it|do you remember it|what is it]?",
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
    "[what did|which result did|what number did|what result did] you [get|find|give me|tell me|say] [last|just now|before|the last time]?",
    "[I forgot|I missed|I didn't get|I already forgot] [the|that|your|the last|the previous] [result|number|answer]",
    "[can|could|would|will] you [please|] [say|repeat|give me|tell me|show me|write] [the last|that|your last|the previous] [result|number|answer] [again|once more|one more time]?",
    "[say that again|what was that|what was that again|sorry, I missed that, what was it|what number was that|repeat that|repeat it|repeat that please]?",
    "[the|your|that] [last|previous] [result|number|answer][, please| again| once more|, what was it|, can you repeat it]?",
    "[show|give] me [the|your] [last|previous] [result|number|answer] [again|once more|please|one more time]",
    "[I need|I want|I'd like|I would like] [the|your|to see the] [last|previous] [result|number|answer] [again|once more|one more time]",
    "[do you|can you|do you still] [remember|know|have] [the|your] [last|previous] [result|number|answer]?",
    "[remind me|tell me again], what [was the result|was the answer|was the number|did you get|was the last result]?",
    "what was [it|that] [again|just now|the last time]?",
    "please repeat [the|your] [last|previous] [result|number|answer]",
)


def last_result(draw: Draw, number: str) -> Turn:
    return Turn(
        family="memory",
        user=finished(draw, draw.text(LAST), {}, plain=0.9),
        answer=f"The last result was {number}.",
        expected=(number,),
        last_number=number,
    )
