import NIOCore

@testable import TunnelProtocol

/// A whole session over connections that die, driven by a seed: two ends, each with its link and its part of each connection.
///
/// What may happen to a connection: its messages come late and in pieces of any size; either direction, or both, loses what is on its
/// way from any byte on, and swallows what is sent after that; an end notices at once, late, or gives up for no reason; the client moves
/// on from one that lives; greetings come late, in part or never; and whatever an older connection still brings arrives all the same.
struct SimulatedSession {
    /// Some seeds are for variety, a few for mass: as much as the replay buffer holds, and more.
    enum Load { case usual, heavy }

    /// A connection.
    struct Carrier {
        var ends: [LinkConnection]
        /// From the client, from the server.
        var lines = [SimulatedLine(), SimulatedLine()]
        /// Which end has let go of it.
        var isClosed = [false, false]
        /// Which end's link it carries. An end that has moved on ignores what it still brings.
        var carries = [false, false]
    }

    /// What the seeds have met, to see that they meet what they are for.
    struct Tally: Equatable {
        /// Directions cut, and those of them that end inside a message.
        var cuts = 0
        var cutsInHello = 0
        var cutsInWelcome = 0
        var cutsInData = 0
        var cutsInOthers = 0
        /// Connections that died in one direction while the other still brought something.
        var oneSided = 0
        /// Frames swallowed by a direction that was dead already.
        var swallowed = 0
        /// HELLO with the token that the last one had shown too: its WELCOME never arrived.
        var tokensShownAgain = 0
        var lateHellos = 0
        /// Greetings that continued the session.
        var resumed = 0
        /// Pieces of link frames, and ACKs, on connections that the link had left.
        var ignored = 0
        /// Connections opened while an older one still lived.
        var overlaps = 0
        /// Payload that was sent again, and that its receiver had already.
        var repeated = 0
        var dropped = 0
        var acknowledgements = 0
        var openedWhileSuspended = 0
        var resets = 0
        var bytes = 0
        var fullestReplay = 0
    }

    private var random: SplitMix64
    let ends: [SimulatedEnd]
    private let terms: [Frame.Terms]
    private let load: Load
    private let resets: Bool
    private var carriers: [Carrier] = []
    private var now = Instant.start
    private(set) var tally = Tally()

    // The roles' part, as simple as it can be: a token is the number of its WELCOME.
    private static let session = SessionID(Opaque16(high: 1, low: 2))
    private var clientToken: UInt64?
    private var clientAttempt: UInt64 = 0
    private var serverToken: UInt64 = 0
    private var formerToken: UInt64?
    private var serverAttempt: UInt64 = 0

    /// - Parameter budgets: Each side's, shared with other links; its own by default.
    init(seed: UInt64, load: Load = .usual, budgets: [MemoryBudget]? = nil) {
        var random = SplitMix64(seed: seed)
        let windows: [UInt64] = load == .heavy ? [4 << 20, 16 << 20] : [1, 7, 100, 1_000, 5_000, 70_000]
        let terms = (0..<2).map { _ in
            Frame.Terms(
                initialWindow: windows.randomElement(using: &random) ?? 1, streams: UInt64.random(in: 1...6, using: &random))
        }
        self.terms = terms
        self.load = load
        self.resets = load == .usual && random.chance(30)
        // From hardly more than each has from its start to more than is ever asked for.
        let own = (0..<2).map { _ in
            MemoryBudget(partOf: MemoryBudget(bytes: [40_000, 12 << 20, 256 << 20].randomElement(using: &random) ?? 0))
        }
        self.random = random
        self.ends = (0..<2).map {
            SimulatedEnd(side: $0, terms: terms[$0], peerTerms: terms[1 - $0], budget: (budgets ?? own)[$0])
        }
        for side in 0..<2 {
            self.ends[side].peer = self.ends[1 - side]
            // A fast line: frames as large as they may be.
            if load == .heavy { self.ends[side].link.rateMeasured(1 << 30, in: .seconds(1)) }
        }
        // The first greeting begins the session; without it there is nothing to go on with.
        self.dial()
        for side in 0..<2 {
            self.transmit(side, frames: 1)
            self.deliver(0, from: side, parts: .max)
        }
    }

    /// The whole life of one session: at work, at rest with streams still open, at work again, at its end.
    mutating func run() {
        for _ in 0..<300 { self.step() }
        self.rest()
        for _ in 0..<75 { self.step() }
        self.finish()
        for end in self.ends { end.checkBudget([end]) }
    }

    mutating func rest() {
        self.settle(finishing: false)
        for end in self.ends { end.checkRest() }
    }

    mutating func finish() {
        self.settle(finishing: true)
        for end in self.ends { end.checkEnd() }
        self.tally.resets = self.ends.reduce(0) { $0 + $1.resets }
        self.tally.bytes = self.ends.reduce(0) { $0 + $1.streams.values.reduce(0) { $0 + $1.received } }
    }

    // MARK: Steps

    mutating func step() {
        self.now = self.now + .milliseconds(Int.random(in: 0...10, using: &self.random))
        let side = Int.random(in: 0..<2, using: &self.random)
        switch self.load {
        case .usual: self.usualStep(side)
        case .heavy: self.heavyStep(side)
        }
        for end in self.ends {
            self.tally.fullestReplay = max(self.tally.fullestReplay, end.link.replay.bytes)
            if end.link.replay.bytes > Self.replayBound(end.link) { end.complain("the replay buffer holds \(end.link.replay.bytes) bytes") }
        }
    }

    private static func replayBound(_ link: borrowing Link) -> Int {
        max(Limits.Implementation.replayBytes, link.budget.share) + Limits.Implementation.replayReserveBytes
            + Limits.Implementation.dataFrameBytes + Limits.Implementation.keptFrameBytes
    }

    private mutating func usualStep(_ side: Int) {
        let end = self.ends[side]
        let stream = end.live.randomElement(using: &self.random)
        switch Int.random(in: 0..<100, using: &self.random) {
        case ..<6: self.open(side)
        case ..<26:
            let count = Int.random(in: 0...(self.random.chance(3) ? 40_000 : 2_000), using: &self.random)
            if let stream { end.send(count, on: stream, insists: self.random.chance(10)) }
        case ..<29: if let stream { end.finish(stream) }
        case ..<30: if self.resets, let stream { end.reset(stream) }
        case ..<44: if let stream { end.take(Int.random(in: 0...3_000, using: &self.random), of: stream, now: self.now) }
        case ..<62: self.transmit(side, frames: Int.random(in: 1...4, using: &self.random))
        case ..<65: self.ping(side)
        case ..<69: self.cutSomewhere()
        case ..<76: for index in self.latest { self.notice(index, side) }
        case ..<80: self.dialIfNeeded(anyway: 35)
        default: self.deliverSome(from: side)
        }
    }

    /// Much is sent, little arrives, and nothing is acknowledged before it has to be.
    private mutating func heavyStep(_ side: Int) {
        let end = self.ends[side]
        let stream = end.live.randomElement(using: &self.random)
        switch Int.random(in: 0..<100, using: &self.random) {
        case ..<4: self.open(side)
        case ..<43: if let stream { end.send(Int.random(in: 0...(1 << 20), using: &self.random), on: stream, insists: true) }
        case ..<46: if let stream { end.take(.max, of: stream, now: self.now) }
        case ..<88: self.transmit(side, frames: 8)
        case ..<89: self.cutSomewhere()
        case ..<93: for index in self.latest { self.notice(index, side) }
        case ..<97: self.dialIfNeeded(anyway: 3)
        default: self.deliverSome(from: side)
        }
    }

    private mutating func open(_ side: Int) {
        let isSuspended = !self.carriers.contains { $0.carries[side] }
        if self.ends[side].open(), isSuspended { self.tally.openedWhileSuspended += 1 }
    }

    private mutating func ping(_ side: Int) {
        for index in self.latest where self.carriers[index].carries[side] {
            self.carriers[index].ends[side].probe(now: self.now)
            self.ends[side].link.acknowledgeSoon()
        }
    }

    /// Connections that may still have something to say.
    private var latest: Range<Int> { max(0, self.carriers.count - 4)..<self.carriers.count }

    // MARK: Connections

    private static func token(_ number: UInt64) -> ResumeToken {
        ResumeToken(Opaque16(high: number, low: ~number), Opaque16(high: 3, low: number))
    }

    /// Now and then the client moves on from a connection that still lives, or from one that has not been welcomed yet.
    private mutating func dialIfNeeded(anyway: Int) {
        let isThere = self.carriers.last.map { !$0.isClosed[0] } ?? false
        if !isThere || self.random.chance(anyway) { self.dial() }
    }

    /// The client greets on a new connection. What an older one still brings it counts no more.
    private mutating func dial() {
        if self.carriers.contains(where: { $0.carries[0] && !$0.lines[1].isCut }) { self.tally.overlaps += 1 }
        for index in self.carriers.indices {
            self.carriers[index].carries[0] = false
            // Nothing may follow HELLO where WELCOME was not waited for: the server would take it for a sign that WELCOME has come.
            if !self.carriers[index].isClosed[0], !self.carriers[index].ends[0].isEstablished { self.close(index, 0) }
        }
        self.ends[0].link.suspend()
        self.clientAttempt += 1
        let attempt = self.clientAttempt
        let resumption = self.clientToken.map {
            Frame.Resumption(session: Self.session, token: Self.token($0), received: self.ends[0].link.received, attempt: attempt)
        }
        let keepalive = Keepalive(interval: .seconds(20), timeout: .seconds(45), now: self.now)
        let hello = Frame.Hello(agent: "simulation", terms: self.terms[0], resumption: resumption)
        self.carriers.append(
            Carrier(ends: [LinkConnection(hello: hello, keepalive: keepalive), LinkConnection(keepalive: keepalive)]))
    }

    private mutating func cutSomewhere() {
        guard let index = self.latest.randomElement(using: &self.random) else { return }
        switch Int.random(in: 0..<4, using: &self.random) {
        case 0: self.cut(index, from: 0)
        case 1: self.cut(index, from: 1)
        default: for side in 0..<2 { self.cut(index, from: side) }
        }
        let lines = self.carriers[index].lines
        if lines[0].isCut != lines[1].isCut { self.tally.oneSided += 1 }
    }

    private mutating func cut(_ index: Int, from side: Int) {
        guard !self.carriers[index].lines[side].isCut else { return }
        self.carriers[index].lines[side].cut(using: &self.random)
        self.tally.cuts += 1
        switch self.carriers[index].lines[side].typeOfBrokenMessage {
        case FrameType.hello: self.tally.cutsInHello += 1
        case FrameType.welcome: self.tally.cutsInWelcome += 1
        case FrameType.data: self.tally.cutsInData += 1
        case .some: self.tally.cutsInOthers += 1
        case nil: break
        }
    }

    /// An end sees that a connection is dead, mostly once it has read what still arrived; or takes it for dead.
    private mutating func notice(_ index: Int, _ side: Int) {
        let carrier = self.carriers[index]
        guard !carrier.isClosed[side] else { return }
        let isDead = carrier.lines[0].isCut || carrier.lines[1].isCut
        guard isDead && carrier.lines[1 - side].isEmpty || self.random.chance(isDead ? 25 : 1) else { return }
        self.close(index, side)
    }

    /// What this end has sent before may arrive or not; it does not listen any more.
    private mutating func close(_ index: Int, _ side: Int) {
        self.carriers[index].isClosed[side] = true
        if self.random.chance(50) { self.cut(index, from: side) } else { self.carriers[index].lines[side].end() }
        guard self.carriers[index].carries[side] else { return }
        self.carriers[index].carries[side] = false
        self.ends[side].link.suspend()
    }

    // MARK: What is on its way

    private mutating func transmit(_ side: Int, frames: Int) {
        for index in self.carriers.indices where !self.carriers[index].isClosed[side] {
            for _ in 0..<frames {
                guard let message = self.nextMessage(index, side) else { break }
                if self.carriers[index].lines[side].isCut {
                    self.tally.swallowed += 1
                } else {
                    self.carriers[index].lines[side].put(message, using: &self.random)
                }
            }
        }
        self.drain(side)
    }

    private mutating func nextMessage(_ index: Int, _ side: Int) -> ByteBuffer? {
        var message = ByteBuffer()
        if let frame = self.carriers[index].ends[side].nextOutbound() {
            frame.encode(into: &message)
            return message
        }
        guard self.carriers[index].carries[side] else { return nil }
        self.ends[side].link.isAttentive = self.random.chance(50)
        switch self.ends[side].link.nextOutbound() {
        case nil: return nil
        case .frame(let frame): frame.encode(into: &message)
        case .data(let stream, var payload):
            DataHeader(stream).encode(into: &message)
            message.writeBuffer(&payload)
        }
        return message
    }

    /// What is sent on a newer connection may well come before what was sent on an older one.
    private mutating func deliverSome(from side: Int) {
        for index in self.latest where self.random.chance(75) {
            self.deliver(index, from: side, parts: Int.random(in: 1...8, using: &self.random))
        }
    }

    /// Takes parts off the line that `side` writes to, to the other end.
    private mutating func deliver(_ index: Int, from side: Int, parts: Int) {
        for _ in 0..<parts {
            guard let part = self.carriers[index].lines[side].next() else { return }
            do {
                try self.receive(part, index, 1 - side)
            } catch {
                self.ends[1 - side].complain("\(error)")
            }
            self.drain(1 - side)
        }
    }

    private mutating func receive(_ part: SimulatedLine.Part, _ index: Int, _ side: Int) throws(PeerViolation) {
        let end = self.ends[side]
        let carries = self.carriers[index].carries[side]
        // The client writes nothing between HELLO and WELCOME: it has the new token.
        if side == 1, carries { self.formerToken = nil }
        self.carriers[index].ends[side].heard(now: self.now)
        let input = try self.carriers[index].ends[side].receive(part.bytes, isLast: part.isLast, now: self.now)
        switch input {
        case .hello(let hello): try self.greeted(index, hello)
        case .welcome(let welcome): try self.welcomed(index, welcome)
        case .link(let output):
            guard carries else { return self.tally.ignored += 1 }
            try end.link.receive(output)
            if case .data(let stream, let bytes, _) = output { self.countDropped(bytes.readableBytes, stream, end) }
        case .acknowledgement(let count):
            guard carries else { return self.tally.ignored += 1 }
            self.tally.acknowledgements += 1
            try end.link.acknowledge(count)
        case .roundTrip(let time): if carries { end.link.roundTripMeasured(time) }
        case .goAway, nil: break
        }
    }

    /// What did not come out of the link of what went in, the stream being there, was dropped because it had come before.
    private mutating func countDropped(_ count: Int, _ stream: StreamID, _ end: SimulatedEnd) {
        guard end.link.streams[stream] != nil else { return }
        let before = end.streams[stream]?.received ?? 0
        self.drain(end.side)
        self.tally.dropped += count - ((end.streams[stream]?.received ?? 0) - before)
    }

    private mutating func greeted(_ index: Int, _ hello: Frame.Hello) throws(PeerViolation) {
        let resumption = hello.resumption
        let shown = resumption?.token.first.high
        guard resumption.map({ $0.attempt > self.serverAttempt }) ?? (self.serverToken == 0) else {
            // A greeting from before the last one: its client has moved on, and nobody may be hurt by it.
            self.tally.lateHellos += 1
            return self.close(index, 1)
        }
        if let resumption {
            // An honest client has something to show, whatever was lost.
            guard shown == self.serverToken || shown == self.formerToken else { return self.ends[1].complain("token \(shown ?? 0) is void") }
            guard self.ends[1].link.isPossible(received: resumption.received) else {
                return self.ends[1].complain("HELLO with the impossible count \(resumption.received)")
            }
            self.tally.resumed += 1
            if shown == self.formerToken { self.tally.tokensShownAgain += 1 }
        }
        for older in self.carriers.indices { self.carriers[older].carries[1] = false }
        self.ends[1].link.suspend()
        // What the client has shown it will show again, until it gets the new one.
        self.formerToken = shown
        self.serverToken += 1
        self.serverAttempt = resumption?.attempt ?? 0
        self.carriers[index].ends[1].welcome(
            Frame.Welcome(
                agent: "simulation", terms: self.terms[1], session: Self.session, token: Self.token(self.serverToken),
                received: self.ends[1].link.received, resumeWindowMilliseconds: 60_000))
        self.carriers[index].carries[1] = true
        self.tally.repeated += try self.ends[1].link.resume(peerReceived: resumption?.received ?? 0)
    }

    private mutating func welcomed(_ index: Int, _ welcome: Frame.Welcome) throws(PeerViolation) {
        // The client may have moved on to another connection since, or given this one up.
        guard index == self.carriers.count - 1, !self.carriers[index].isClosed[0] else { return }
        self.clientToken = welcome.token.first.high
        self.carriers[index].carries[0] = true
        self.tally.repeated += try self.ends[0].link.resume(peerReceived: welcome.received)
    }

    private mutating func drain(_ side: Int) {
        var random = self.random
        self.ends[side].drain { random.chance(50) }
        self.random = random
    }

    // MARK: Rest

    /// A connection that holds: everything is taken, sent and delivered; streams are finished too if `finishing`.
    private mutating func settle(finishing: Bool) {
        for index in self.carriers.indices {
            for side in 0..<2 { self.cut(index, from: side) }
            for side in 0..<2 { self.deliver(index, from: side, parts: .max) }
            for side in 0..<2 where !self.carriers[index].isClosed[side] { self.close(index, side) }
        }
        self.dial()
        let last = self.carriers.count - 1
        for _ in 0..<1_000 {
            for side in 0..<2 {
                for id in self.ends[side].live {
                    self.ends[side].take(.max, of: id, now: self.now)
                    if finishing { self.ends[side].finish(id) }
                }
                self.ends[side].link.acknowledgeSoon()
                self.transmit(side, frames: 100)
                self.deliver(last, from: side, parts: .max)
            }
            guard self.ends.allSatisfy({ $0.complaints.isEmpty }) else { return }
            if self.isQuiet(last, finishing: finishing) { return self.acknowledgeLastWords(last) }
        }
        self.ends[0].complain("it does not come to rest")
    }

    private func isQuiet(_ index: Int, finishing: Bool) -> Bool {
        (0..<2).allSatisfy { side in
            let end = self.ends[side]
            return self.carriers[index].carries[side] && self.carriers[index].lines[side].isEmpty && !end.link.hasOutbound
                && !(finishing && !end.live.isEmpty) && end.streams.values.allSatisfy { $0.wasReset || $0.untaken == 0 }
        }
    }

    private mutating func acknowledgeLastWords(_ index: Int) {
        for side in [0, 1, 0, 1] {
            self.ends[side].link.acknowledgeSoon()
            self.transmit(side, frames: 1)
            self.deliver(index, from: side, parts: .max)
        }
        for end in self.ends where end.link.replay.bytes != 0 { end.complain("frames are kept that the peer has") }
    }
}
