"""Word lists, written for this project."""

WORDS = """
apple banana cherry grape lemon mango melon orange peach pear plum strawberry raspberry blueberry pineapple coconut tomato potato carrot
onion garlic pepper spinach cabbage lettuce pumpkin cucumber mushroom broccoli bread butter cheese yogurt coffee sugar honey pasta noodle
table chair window door kitchen garden bedroom ceiling basement curtain pillow blanket carpet mirror candle bottle spoon fork knife plate
river mountain valley forest desert island ocean beach volcano glacier waterfall meadow canyon lagoon prairie horizon thunder lightning
rain snow storm cloud sunshine rainbow blizzard hurricane tornado breeze winter summer autumn spring morning evening midnight yesterday
tomorrow calendar minute century holiday birthday wedding concert museum theatre library hospital pharmacy bakery restaurant station
airport harbour bridge tunnel highway railway bicycle motorcycle tractor submarine helicopter airplane rocket satellite planet galaxy
telescope microscope laboratory experiment chemistry physics biology geography history mathematics algebra geometry philosophy
literature grammar alphabet sentence paragraph dictionary newspaper magazine envelope postcard pencil notebook keyboard monitor printer
computer network database algorithm compiler function variable parameter iteration recursion processor memory storage battery antenna
elephant giraffe kangaroo penguin dolphin octopus butterfly dragonfly mosquito crocodile tortoise squirrel hedgehog hamster rabbit
horse donkey monkey gorilla leopard cheetah panther buffalo antelope flamingo pelican sparrow pigeon falcon eagle ostrich peacock
teacher doctor nurse farmer baker butcher carpenter plumber electrician engineer architect lawyer judge sailor soldier pilot singer
dancer painter sculptor journalist photographer librarian scientist mechanic gardener student professor president minister committee
government parliament election democracy constitution economy business company factory market customer invoice receipt discount salary
insurance mortgage investment currency treasure diamond emerald sapphire silver golden copper bronze crystal marble granite sandstone
cotton leather velvet sweater jacket trousers umbrella necklace bracelet earring glasses slippers sandals mittens scarf uniform costume
violin guitar piano trumpet saxophone clarinet drum orchestra melody rhythm harmony symphony football baseball basketball volleyball
tennis badminton swimming athletics gymnastics champion tournament medal trophy stadium referee goalkeeper happiness sadness courage
patience curiosity imagination freedom justice wisdom knowledge education language translation conversation question answer mystery
adventure journey expedition discovery invention machine engine bicycle wheel hammer screwdriver ladder bucket shovel scissors needle
mississippi committee bookkeeper assessment accommodation onomatopoeia queue rhythm strength pneumonia lollipop bubble giggle puzzle
hello world paddock python code cat dog sun moon tea egg ice sky sea car bus key map box cup pen hat bag bed ant bee fox owl cow pig
level radar racecar kayak civic madam refer rotor noon deed stats tenet wow mom
abacus acorn almond anchor angle apron arrow aspen atlas badge bagel bamboo banjo barrel basil basket beacon beard beetle bell berry
birch bishop bison blossom board bonnet boulder bowl branch brick brush bugle bundle cabin cactus camel canal canoe canvas cargo castle
cedar cello chalk chapel chess chimney circus citrus clover cobra comet compass coral cradle crane crayon cricket crown daisy dance
desk dollar dragon drawer dream eclipse ember engine fabric feather fence fern fiddle flannel flute fossil fountain frost galley gazelle
ginger goblet gravel hammock harvest hazel helmet herring hinge hockey hollow igloo indigo ivory jasmine jelly jigsaw jungle kettle
kiosk kitten ladle lantern lava ledger lily linen lobster locket lumber magnet mallet mantle maple meteor mint mosaic moss mustard
nectar nickel nutmeg oasis oboe olive onyx opal orchid otter oyster paddle palace panda parcel parrot pebble pickle pirate plaza pocket
pollen pond poppy quartz quilt quiver raft raven ribbon robin saddle saffron salmon scarlet shelf signal sketch sleigh snail sphinx
spiral squid stamp stone sunset swan tablet talon tango temple thimble thistle ticket tiger timber toffee torch tulip tundra turnip
unicorn valve vapor vessel vine walnut walrus wheat whistle willow window wizard yarn zebra zenith zipper
""".split()

# What questions are made of, as something to be copied.
COMMON = """
able about access account action after again agree ahead all allowed also always amount and another answer any archive ask away back bad base
because before begin below best better between big body book both brief but buy call can care carry case catch change check class clean clear
close cold come common connect content copy cost could count country create cut dark date day deal deep deliver different do does done double
down draw drive drop dry each early easy eat eight eleven else empty end enough even ever every exact example expect far fast feel few fifty
figure file fill final find fine first five follow for forget forty four free fresh friend from full game get gift give glad go good great
green group grow had half hand happen happy hard have head hear help here high hold home hope hot hour house how idea if important in inch
into job join joke just keep kind know large last late learn leave left length less let letter light like line list little long look lose
lost love low make many mark match maybe mean measure meet middle might mind minute miss month more most mother move much music must my name
near need never new next nice night nine no nobody north not note nothing now number of off office often old on once one only open or order
other our out over own page paid pair part pass past pay people perhaps pick place plan play please point poor power present press pretty
price print problem public pull push put quick quiet quite read ready real reason red remember rest return rich right road room round rule
run safe said same save say school second see seem sell send sent set seven seventy shall she short should show side sign simple since sit
six size sleep slow small so soft some son song soon sorry sound south speak spend split stand start state stay step still stop story strong
such sure take talk tell ten test than thank that the their them then there these they thing think third this those three through till time
to today together too took top total town travel tree true try turn twelve twenty two under until up us use usual very visit voice wait walk
wall want warm was watch water way we wear week well went were west what when where which while white who whole why wide will win wish with
without wonder wood word work world worth would write wrong year yes yet you young your zero
""".split()

FIRST_NAMES = """
Anna Ben Clara David Emma Felix Grace Henry Ida Jack Karen Leo Mia Noah Olivia Peter Quinn Rosa Sam Tom Uma Victor Wendy Xavier Yara Zoe
Alice Bob Carol Daniel Elena Frank Greta Hannah Ivan Julia Kevin Laura Marco Nina Oscar Paula Rita Simon Tanya Ursula Vera Walter Amir
Bianca Carlos Diego Fatima Giulia Hugo Ingrid Jamal Kenji Lena Mateo Nadia Omar Priya Ravi Sofia Tariq Yuki Zara José Chloé Zoë Jürgen
Søren Anaïs Beatriz Łukasz Gökhan Maya Liam Ethan Lucas Aisha Chen Mei Hiro Sakura Kwame Amara Nils Astrid Freya Bjorn Katya Pavel
""".split()

LAST_NAMES = """
Smith Jones Miller Brown Garcia Meyer Rossi Novak Tanaka Singh Kim Larsen Dubois Silva Kowalski Okafor Hansen Weber Moreau Costa Ito
Petrov Ali Khan Lopez Fischer Walsh Byrne Hughes Patel Nguyen Suzuki Berg Lindqvist Horvat Popescu Papadopoulos Mbeki Diallo Haddad
""".split()

CITIES = """
Paris|London|Berlin|Madrid|Rome|Vienna|Prague|Warsaw|Budapest|Lisbon|Dublin|Oslo|Stockholm|Helsinki|Copenhagen|Athens|Brussels|Zurich|
Geneva|Munich|Hamburg|Cologne|Lyon|Marseille|Milan|Naples|Turin|Barcelona|Valencia|Seville|Porto|Krakow|Tokyo|Osaka|Kyoto|Seoul|Busan|
Beijing|Shanghai|Hong Kong|Singapore|Bangkok|Hanoi|Jakarta|Manila|Mumbai|Delhi|Chennai|Karachi|Dhaka|Cairo|Lagos|Nairobi|Accra|Dakar|
Cape Town|Tunis|Casablanca|New York|Boston|Chicago|Denver|Seattle|Portland|San Francisco|Los Angeles|San Diego|Dallas|Houston|Austin|
Miami|Atlanta|Toronto|Montreal|Vancouver|Mexico City|Havana|Bogota|Lima|Quito|Santiago|Buenos Aires|Montevideo|Rio de Janeiro|Sydney|
Melbourne|Brisbane|Perth|Auckland|Wellington|Reykjavik|Tallinn|Riga|Vilnius|Kyiv|Bucharest|Sofia|Belgrade|Zagreb|Ljubljana|Bratislava|
Istanbul|Ankara|Tehran|Baghdad|Dubai|Doha|Riyadh|Leeds|Bristol|Cardiff|Glasgow|Edinburgh|Belfast|Plymouth|Ghent|Basel|Bern|Graz
""".replace("\n", "").split("|")

COUNTRIES = """
France|Germany|Spain|Italy|Austria|Poland|Hungary|Portugal|Ireland|Norway|Sweden|Finland|Denmark|Greece|Belgium|Switzerland|Japan|Korea|
China|India|Thailand|Vietnam|Indonesia|Egypt|Nigeria|Kenya|Ghana|Morocco|Canada|Mexico|Cuba|Peru|Chile|Brazil|Argentina|Australia|
New Zealand|Iceland|Estonia|Latvia|Turkey|Iran|Qatar|Wales|Scotland|Mongolia|Nepal|Bolivia|Uruguay|Croatia
""".replace("\n", "").split("|")

ADVERBS = "new old annual monthly internal public latest remote basic advanced local regional global official quarterly".split()

TOPIC_HEADS = """
leave|budget|travel|security|vacation|parking|invoice|payroll|onboarding|marketing|sales|training|expense|pension|privacy|insurance|
database|network|backup|server|printer|password|laptop|warehouse|shipping|customer|supplier|contract|project|release|energy|recycling|
climate|nutrition|medieval|space|ocean|chess|music|gardening|cooking|football|history|language|solar|wind|battery|robot|quantum|
volcano|dinosaur|whale|coffee|tea|chocolate|bread|cheese|wine|bicycle|railway|bridge|garden|painting|theatre|opera|film|novel
""".replace("\n", "").split("|")

TOPIC_TAILS = """
policy|report|guide|rules|plan|checklist|handbook|overview|strategy|statistics|prices|figures|summary|notes|manual|standards|schedule|
costs|trends|requirements|safety|research|examples|basics|facts|methods|templates|procedure|form|history|tips|questions|law|market
""".replace("\n", "").split("|")
