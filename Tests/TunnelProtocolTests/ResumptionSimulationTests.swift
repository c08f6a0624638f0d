import Foundation
import NIOCore
import Testing

@testable import TunnelProtocol

/// A whole session over connections that die: delays, cuts at every byte in either direction, messages in pieces, a connection that
/// still brings something while the next one is already here, greetings that never arrive. Driven by a seed.
private struct SessionSimulation {
    /// One connection: both ends' part of the protocol, and what is on its way in each direction.
    struct Carrier {
        var ends: [LinkConnection]
        /// From the client, from the server.
        var lines: [[(part: [UInt8], isLast: Bool)]] = [[], []]
        var delivered = [0, 0]
        /// Nothing more is put on the line; what is left on it still arrives.
        var isCut = false
        /// Which end has noticed.
        var hasNoticed = [false, false]
        /// Which end's link it carries. An end that has moved on ignores what it still brings.
        var carries = [false, false]
    }

    /// What the seeds have met, to see that they meet what they are for.
    struct Tally {
        var cuts = 0
        var cutsInData = 0
        var cutsInGreeting = 0
        var repeated = 0
        var overlaps = 0
        var openedWhileSuspended = 0
        var resets = 0
        var bytes = 0
    }

    var random: SplitMix64
    let ends: [SimulatedEnd]
    let terms: Frame.Terms
    let resets: Bool
    var carriers: [Carrier] = []
    var now = Instant.start
    var tally = Tally()

    // The roles' part, as simple as it can be: tokens count the greetings.
    static let session = SessionID(Opaque16(high: 1, low: 2))
    var clientToken: UInt64?
    var serverToken: UInt64 = 0
    var formerToken: UInt64?
    var clientAttempt: UInt64 = 0
    var serverAttempt: UInt64 = 0

    init(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let terms = Frame.Terms(
            initialWindow: UInt64([1, 7, 100, 1_000, 5_000, 70_000].randomElement(using: &random) ?? 1),
            streams: UInt64.random(in: 1...6, using: &random))
        self.terms = terms
        self.resets = random.chance(30)
        self.random = random
        self.ends = (0..<2).map { SimulatedEnd(side: $0, terms: terms) }
        // The first greeting begins the session; without it there is nothing to go on with.
        self.dial()
        for side in [0, 1] {
            self.transmit(side, frames: 1)
            do {
                try self.deliver(0, from: side, parts: .max)
            } catch {
                self.ends[0].complain("\(error)")
            }
        }
    }

    // MARK: Connections

    static func token(_ number: UInt64) -> ResumeToken {
        ResumeToken(Opaque16(high: number, low: ~number), Opaque16(high: 3, low: number))
    }

    /// The client greets on a new connection. What an older one still brings it counts no more.
    mutating func dial() {
        if self.carriers.contains(where: { $0.carries[0] && !$0.isCut }) { self.tally.overlaps += 1 }
        for index in self.carriers.indices { self.carriers[index].carries[0] = false }
        let link = self.ends[0].link
        link.suspend()
        self.clientAttempt += 1
        let attempt = self.clientAttempt
        let resumption = self.clientToken.map {
            Frame.Resumption(session: Self.session, token: Self.token($0), received: link.received, attempt: attempt)
        }
        let keepalive = Keepalive(interval: .seconds(20), timeout: .seconds(45), now: self.now)
        self.carriers.append(
            Carrier(ends: [
                LinkConnection(hello: Frame.Hello(agent: "", terms: self.terms, resumption: resumption), keepalive: keepalive),
                LinkConnection(keepalive: keepalive),
            ]))
    }

    /// Of what is on its way, only so much arrives.
    mutating func cut(_ index: Int) {
        guard !self.carriers[index].isCut else { return }
        self.tally.cuts += 1
        self.carriers[index].isCut = true
        for side in 0..<2 {
            let waiting = self.carriers[index].lines[side].dropFirst(self.carriers[index].delivered[side])
            let total = waiting.reduce(0) { $0 + $1.part.count }
            var rest = Int.random(in: 0...total, using: &self.random)
            var kept = Array(self.carriers[index].lines[side].prefix(self.carriers[index].delivered[side]))
            for (part, isLast) in waiting {
                guard part.count > rest else {
                    kept.append((part, isLast))
                    rest -= part.count
                    continue
                }
                if rest > 0 { kept.append((Array(part.prefix(rest)), false)) }
                if !self.carriers[index].ends[side].isEstablished || self.carriers[index].ends.contains(where: { !$0.isEstablished }) {
                    self.tally.cutsInGreeting += 1
                } else {
                    self.tally.cutsInData += 1
                }
                break
            }
            self.carriers[index].lines[side] = kept
        }
    }

    /// An end sees that a connection is gone, once it has read what still arrived.
    mutating func notice(_ index: Int, _ side: Int) {
        let carrier = self.carriers[index]
        guard carrier.isCut, !carrier.hasNoticed[side], carrier.delivered[1 - side] == carrier.lines[1 - side].count else { return }
        self.carriers[index].hasNoticed[side] = true
        guard carrier.carries[side] else { return }
        self.carriers[index].carries[side] = false
        self.ends[side].link.suspend()
    }

    // MARK: What is on its way

    mutating func transmit(_ side: Int, frames: Int) {
        for index in self.carriers.indices where !self.carriers[index].isCut {
            for _ in 0..<frames {
                var message = ByteBuffer()
                if let frame = self.carriers[index].ends[side].nextOutbound() {
                    frame.encode(into: &message)
                } else if self.carriers[index].carries[side] {
                    switch self.ends[side].link.nextOutbound() {
                    case .frame(let frame): frame.encode(into: &message)
                    case .data(let stream, var payload):
                        DataHeader(stream).encode(into: &message)
                        message.writeBuffer(&payload)
                    case nil: break
                    }
                }
                guard message.readableBytes > 0 else { break }
                let pieces = self.random.chance(60)
                    ? [message.bytes] : randomPieces(message.bytes, longest: 300, using: &self.random)
                for (place, piece) in pieces.enumerated() {
                    self.carriers[index].lines[side].append((piece, place == pieces.count - 1))
                }
            }
        }
        self.drain(side)
    }

    /// Takes parts off the line that `side` writes to, to the other end.
    mutating func deliver(_ index: Int, from side: Int, parts: Int) throws {
        let other = 1 - side
        let end = self.carriers[index].lines[side].count
        let last = min(end, self.carriers[index].delivered[side] + min(parts, end))
        while self.carriers[index].delivered[side] < last {
            let (part, isLast) = self.carriers[index].lines[side][self.carriers[index].delivered[side]]
            self.carriers[index].delivered[side] += 1
            let input = try self.carriers[index].ends[other].receive(ByteBuffer(bytes: part), isLast: isLast, now: self.now)
            switch input {
            case .hello(let hello): try self.greeted(index, hello)
            case .welcome(let welcome): try self.welcomed(index, welcome)
            case .link(let output):
                if other == 1, self.carriers[index].carries[1] { self.formerToken = nil }
                if self.carriers[index].carries[other] { try self.ends[other].link.receive(output) }
            case .acknowledgement(let count):
                if self.carriers[index].carries[other] { try self.ends[other].link.acknowledge(count) }
            case .goAway, .roundTrip, nil: break
            }
            self.drain(other)
        }
    }

    private mutating func greeted(_ index: Int, _ hello: Frame.Hello) throws {
        let shown = hello.resumption?.token
        let link = self.ends[1].link
        let isKnown = shown == Self.token(self.serverToken) || self.formerToken.map { Self.token($0) } == shown
        // A greeting from before the last one: its client has moved on, and nobody may be hurt by it.
        guard self.serverToken == 0 || isKnown && (hello.resumption?.attempt ?? 0) > self.serverAttempt, link.isPossible(received: hello.resumption?.received ?? 0) else {
            self.carriers[index].isCut = true
            return
        }
        for older in self.carriers.indices { self.carriers[older].carries[1] = false }
        link.suspend()
        // What the client has shown it will show again, until it gets the new one.
        self.formerToken = shown.map { $0.first.high }
        self.serverToken += 1
        self.serverAttempt = hello.resumption?.attempt ?? 0
        self.carriers[index].ends[1].welcome(
            Frame.Welcome(
                agent: "", terms: self.terms, session: Self.session, token: Self.token(self.serverToken), received: link.received,
                resumeWindowMilliseconds: 60_000))
        self.carriers[index].carries[1] = true
        self.tally.repeated += try link.resume(peerReceived: hello.resumption?.received ?? 0)
    }

    private mutating func welcomed(_ index: Int, _ welcome: Frame.Welcome) throws {
        // The client has moved on to a connection of its own making since.
        guard index == self.carriers.count - 1 else { return }
        self.clientToken = welcome.token.first.high
        self.carriers[index].carries[0] = true
        self.tally.repeated += try self.ends[0].link.resume(peerReceived: welcome.received)
    }

    private mutating func drain(_ side: Int) {
        var random = self.random
        self.ends[side].drain { random.chance(50) }
        self.random = random
    }

    // MARK: Steps

    mutating func step() throws {
        self.now = self.now + .milliseconds(Int.random(in: 0...10, using: &self.random))
        let side = Int.random(in: 0..<2, using: &self.random)
        let end = self.ends[side]
        let stream = end.live.randomElement(using: &self.random)
        switch Int.random(in: 0..<100, using: &self.random) {
        case ..<6:
            if !self.carriers.contains(where: { $0.carries[side] }) { self.tally.openedWhileSuspended += 1 }
            end.open()
        case ..<26: if let stream { end.send(Int.random(in: 0...2_000, using: &self.random), on: stream, insists: self.random.chance(10)) }
        case ..<29: if let stream { end.finish(stream) }
        case ..<30: if self.resets, let stream { end.reset(stream) }
        case ..<46: if let stream { end.take(Int.random(in: 0...3_000, using: &self.random), of: stream, now: self.now) }
        case ..<64: self.transmit(side, frames: Int.random(in: 1...4, using: &self.random))
        case ..<68: if let last = self.carriers.indices.last { self.cut(last) }
        case ..<76: for index in self.carriers.indices.suffix(3) { self.notice(index, side) }
        case ..<80:
            let isThere = self.carriers.last.map { !$0.isCut || !$0.hasNoticed[0] } ?? false
            // Now and then the client moves on from a connection that still lives.
            if !isThere || self.random.chance(25) { self.dial() }
        default:
            for index in self.carriers.indices.suffix(3) {
                try self.deliver(index, from: side, parts: Int.random(in: 1...6, using: &self.random))
            }
        }
        for end in self.ends where end.link.replay.bytes
            > Limits.Implementation.replayBytes + Limits.Implementation.replayReserveBytes + Limits.Implementation.dataFrameBytes
        {
            end.complain("the replay buffer holds \(end.link.replay.bytes) bytes")
        }
    }

    /// A connection that holds; everything that is still open is finished, taken, sent and delivered.
    mutating func settle(finishing: Bool) throws {
        for index in self.carriers.indices {
            self.cut(index)
            for side in 0..<2 { try self.deliver(index, from: side, parts: .max) }
            for side in 0..<2 { self.notice(index, side) }
        }
        self.dial()
        var rounds = 0
        var isQuiet = false
        while !isQuiet {
            rounds += 1
            guard rounds < 1_000 else { return self.ends[0].complain("it does not come to rest") }
            for side in 0..<2 {
                for id in self.ends[side].live {
                    self.ends[side].take(.max, of: id, now: self.now)
                    if finishing { self.ends[side].finish(id) }
                }
                self.ends[side].link.acknowledgeSoon()
                self.transmit(side, frames: 100)
                try self.deliver(self.carriers.count - 1, from: side, parts: 1_000)
            }
            let last = self.carriers[self.carriers.count - 1]
            isQuiet = (0..<2).allSatisfy { side in
                last.carries[side] && !(finishing && !self.ends[side].live.isEmpty) && !self.ends[side].link.hasOutbound && last.delivered[side] == last.lines[side].count
                    && self.ends[side].streams.values.allSatisfy { $0.wasReset || $0.untaken == 0 }
            }
        }
        // The last word of each side is acknowledged too.
        for side in [0, 1, 0, 1] {
            self.ends[side].link.acknowledgeSoon()
            self.transmit(side, frames: 1)
            try self.deliver(self.carriers.count - 1, from: side, parts: .max)
        }
        self.tally.resets = self.ends.reduce(0) { $0 + $1.resets }
        self.tally.bytes = self.ends.reduce(0) { $0 + $1.streams.values.reduce(0) { $0 + $1.received } }
    }

    /// The whole life of one session.
    mutating func run() throws {
        for _ in 0..<350 { try self.step() }
        try self.settle(finishing: false)
        for side in 0..<2 { self.ends[side].checkRest(against: self.ends[1 - side]) }
        for _ in 0..<50 { try self.step() }
        try self.settle(finishing: true)
        for side in 0..<2 {
            self.ends[side].checkEnd(against: self.ends[1 - side])
            if self.ends[side].link.replay.bytes != 0 { self.ends[side].complain("frames are kept that the peer has") }
        }
    }
}

/// `WS_TUNNEL_SEEDS=20000 swift test --filter ResumptionSimulation` is the long proof; `WS_TUNNEL_SEED=4711` replays one seed.
struct ResumptionSimulationTests {
    private static let groups: [Range<UInt64>] = {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["WS_TUNNEL_SEED"].flatMap(UInt64.init) { return [seed..<seed + 1] }
        let seeds = environment["WS_TUNNEL_SEEDS"].flatMap(UInt64.init) ?? 2_000
        return stride(from: 0, to: seeds, by: 50).map { $0..<min($0 + 50, seeds) }
    }()

    @Test(arguments: Self.groups)
    func `each byte arrives once and in order, whatever is cut`(seeds: Range<UInt64>) {
        for seed in seeds {
            var simulation = SessionSimulation(seed: seed)
            do {
                try simulation.run()
            } catch {
                simulation.ends[0].complain("\(error)")
            }
            for complaint in simulation.ends.flatMap(\.complaints).prefix(5) {
                Issue.record("WS_TUNNEL_SEED=\(seed): \(complaint)")
            }
        }
    }

    @Test func `the simulation meets what it is for`() throws {
        var tally = SessionSimulation.Tally()
        for seed in 0..<60 as Range<UInt64> {
            var simulation = SessionSimulation(seed: seed)
            try simulation.run()
            tally.cuts += simulation.tally.cuts
            tally.cutsInData += simulation.tally.cutsInData
            tally.cutsInGreeting += simulation.tally.cutsInGreeting
            tally.repeated += simulation.tally.repeated
            tally.overlaps += simulation.tally.overlaps
            tally.openedWhileSuspended += simulation.tally.openedWhileSuspended
            tally.resets += simulation.tally.resets
            tally.bytes += simulation.tally.bytes
        }
        #expect(tally.cuts > 300, "\(tally)")
        #expect(tally.cutsInData > 60, "\(tally)")
        #expect(tally.cutsInGreeting > 50, "\(tally)")
        #expect(tally.repeated > 20_000, "\(tally)")
        #expect(tally.overlaps > 20, "\(tally)")
        #expect(tally.openedWhileSuspended > 100, "\(tally)")
        #expect(tally.resets > 5, "\(tally)")
        #expect(tally.bytes > 300_000, "\(tally)")
    }
}
