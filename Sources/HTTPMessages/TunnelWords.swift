/// Words that are read out without being spelled, and make no combination that somebody would mind.
extension TunnelName {
    static let adjectives: [Substring] = """
        able agile alert amber ample apt arctic autumn azure balmy basic bold bonny brave breezy brief bright brisk broad bronze busy \
        calm candid careful cheery chief chilly civil classic clean clear clever cloudy coastal cobalt comfy cool copper coral cosmic \
        cosy crafty creamy crisp curious curly dainty dapper daring dawn dear deep deft eager early earnest easy elder elegant \
        epic even exact fair famous fancy fast fine firm first fleet floral fluffy fond formal fresh frosty frugal full funny \
        gentle giant gifted glad gleaming glossy gold golden good grand great green handy happy hardy hazel helpful hidden high honest \
        humble icy ideal indigo inner ivory jade jaunty jolly joyful jumbo just keen kind lark large laser late leafy level light \
        lilac lime lively local long loud loyal lucid lucky lunar lush magic main major maple marble mellow merry mighty mild mint \
        misty modern modest mossy native neat new nice nimble noble north novel oaken olive open orange orchid organic outer pale \
        patient peachy pearly perky plain plucky plum polar polite prime proper proud purple quaint quick quiet quirky radiant rapid \
        rare ready real regal rich robust rosy round royal ruby rustic sandy scarlet serene sharp shiny silent silky silver simple \
        sincere sleek smart smooth snowy snug soft solar solid sonic south spare spicy spring spry stable star steady stellar still \
        stormy strong sturdy sunny super sure swift tall teal tender tidy timely tiny topaz tranquil trim true trusty upbeat urban \
        useful valid velvet vernal violet vital vivid warm wavy west wide wild windy winter wise witty young zen zesty
        """.split(separator: " ")

    static let nouns: [Substring] = """
        acorn alder alpaca anchor antler apple apricot arbor arrow aspen aster atlas atoll badger bamboo banjo barley basil bay beacon \
        bear beech bell berry birch bison bloom bluff boat bobcat book bramble branch breeze briar bridge brook bubble buffalo \
        cabin cactus camel canary candle canoe canyon cape cardinal caribou castle cedar cello chalk cherry chestnut cicada \
        citrus clay cliff cloud clover coast comet compass condor coral cove coyote crane crater creek cricket crocus crow crystal \
        curlew cypress daisy dale dahlia deer delta desert dolphin donkey dove dragon drum dune eagle echo egret elk elm ember emu \
        falcon fawn feather fern ferret field finch fir fjord flute forest fossil fountain fox galaxy garden garnet gazelle gecko \
        geyser ginger glacier glade glen goose grape grove gull hamlet harbor hare harp haven hawk hazel heath hedge heron \
        hill hive hollow honey horizon ibex ibis inlet iris island jaguar jasmine jay jungle juniper kayak kelp kestrel kettle kiwi \
        koala lagoon lake lantern larch lark laurel lava leaf lemon lemur lichen lily linden linnet lion llama lobster lodge lotus \
        lynx magpie mango maple marten marsh meadow mesa meteor mill mimosa moon moose moss moth mountain mule myrtle nebula \
        nectar nest newt nutmeg oak oasis ocean onyx opal orbit orca oriole osprey otter owl oyster palm panda panther papaya path \
        peak pear pebble pelican penguin pepper petal pine planet plover plum pond poplar poppy prairie puffin puma quail \
        quartz quince rabbit raccoon raven reed reef ridge river robin rose sage salmon sand sea seal shell shore sky slope \
        snow sparrow spruce squirrel star stone stork summit sun swallow swan thistle thrush tide tiger toucan trail tree \
        trout tulip tundra turtle valley vine violet vole walnut walrus wave weasel whale wheat willow wind wolf wombat wren yak \
        zebra
        """.split(separator: " ")
}
