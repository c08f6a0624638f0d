import NIOCore
import Testing

@testable import TunnelProtocol

/// A client's and a server's link over a line that delays and cuts messages, driven by a seed.
///
/// What a stream carries is a function of its number, its direction and the place, so both ends know every byte.
private struct Simulation {
    /// One end: its link, and what the sockets beyond it have seen.
    struct Side {
        var link: Link
        var decoder = FrameDecoder()
        var streams: [StreamID: Stream] = [:]
        /// Parts of messages on their way to the other end.
        var line: [(part: [UInt8], isLast: Bool)] = []
        var delivered = 0
        var resetsForStreams = 0

        var live: [StreamID] { self.streams.filter { !$0.value.isGone }.keys.sorted() }
    }

    struct Stream {
        var sent = 0
        var received = 0
        var untaken = 0
        var hasFinished = false
        var peerHasFinished = false
        var wasReset = false
        var isHeldBack = false

        var isGone: Bool { self.wasReset || self.hasFinished && self.peerHasFinished && self.untaken == 0 }
    }

    var random: SplitMix64
    var sides: [Side]
    var now = Instant.start
    let terms: Frame.Terms
    /// Never reset here: all bytes have to arrive.
    let resets: Bool

    init(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let terms = Frame.Terms(
            initialWindow: UInt64([1, 2, 7, 100, 1_000, 5_000, 70_000].randomElement(using: &random) ?? 1),
            streams: UInt64.random(in: 1...6, using: &random))
        self.terms = terms
        self.resets = random.chance(50)
        self.random = random
        self.sides = [Link.Role.client, .server].map { Side(link: Link(role: $0, terms: terms, peerTerms: terms)) }
        for side in 0..<2 { self.sides[side].link.roundTripMeasured(.milliseconds(100)) }
    }

    /// The byte at a place of a stream, from the side that sends it.
    static func byte(_ stream: StreamID, from side: Int, at place: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: UInt64(place) &* 31 &+ UInt64(place >> 8) &+ stream.value &* 7 &+ UInt64(side) &* 101)
    }

    // MARK: Steps

    mutating func step() throws {
        self.now = self.now + .milliseconds(Int.random(in: 0...10, using: &self.random))
        let side = Int.random(in: 0..<2, using: &self.random)
        switch Int.random(in: 0..<100, using: &self.random) {
        case ..<8: self.open(side)
        case ..<30: if let id = self.anyLive(side) { self.send(Int.random(in: 0...3_000, using: &self.random), id, side) }
        case ..<35: if let id = self.anyLive(side) { self.finish(id, side) }
        case ..<36: if self.resets, let id = self.anyLive(side) { self.reset(id, side) }
        case ..<55: if let id = self.anyLive(side) { self.take(id, side, all: false) }
        case ..<75: self.transmit(side, frames: Int.random(in: 1...4, using: &self.random))
        default: try self.deliver(side, parts: Int.random(in: 1...6, using: &self.random))
        }
    }

    /// Everything that is still open is finished, taken, sent and delivered.
    mutating func settle(finishing: Bool) throws {
        var rounds = 0
        repeat {
            rounds += 1
            #expect(rounds < 1_000, "it does not come to rest")
            guard rounds < 1_000 else { return }
            for side in 0..<2 {
                for id in self.sides[side].live {
                    self.take(id, side, all: true)
                    if finishing { self.finish(id, side) }
                }
                self.transmit(side, frames: 100)
                try self.deliver(side, parts: 1_000)
            }
        } while self.sides.contains {
            $0.link.hasOutbound || $0.delivered < $0.line.count || $0.streams.values.contains { !$0.wasReset && $0.untaken > 0 }
        }
    }

    private mutating func anyLive(_ side: Int) -> StreamID? { self.sides[side].live.randomElement(using: &self.random) }

    private mutating func open(_ side: Int) {
        guard let id = self.sides[side].link.open(tunnel: TunnelNumber(1), visitor: nil) else { return }
        #expect(self.sides[side].streams[id] == nil)
        self.sides[side].streams[id] = Stream()
    }

    private mutating func send(_ count: Int, _ id: StreamID, _ side: Int) {
        guard var stream = self.sides[side].streams[id], !stream.hasFinished else { return }
        // Sockets mostly wait when told to; the link must bear it when they do not.
        guard !stream.isHeldBack || self.random.chance(10) else { return }
        let bytes = (stream.sent..<stream.sent + count).map { Self.byte(id, from: side, at: $0) }
        stream.sent += count
        stream.isHeldBack = !self.sides[side].link.send(ByteBuffer(bytes: bytes), on: id)
        self.sides[side].streams[id] = stream
    }

    private mutating func finish(_ id: StreamID, _ side: Int) {
        guard self.sides[side].streams[id]?.hasFinished == false else { return }
        self.sides[side].link.finish(id)
        self.sides[side].streams[id]?.hasFinished = true
    }

    private mutating func reset(_ id: StreamID, _ side: Int) {
        self.sides[side].link.reset(id, .connectionReset)
        self.sides[side].streams[id]?.wasReset = true
    }

    private mutating func take(_ id: StreamID, _ side: Int, all: Bool) {
        guard let untaken = self.sides[side].streams[id]?.untaken else { return }
        let count = all ? untaken : Int.random(in: 0...untaken, using: &self.random)
        self.sides[side].link.taken(count, from: id, now: self.now)
        self.sides[side].streams[id]?.untaken -= count
    }

    /// Puts frames on the line, each message cut anew.
    private mutating func transmit(_ side: Int, frames: Int) {
        for _ in 0..<frames {
            var message = ByteBuffer()
            switch self.sides[side].link.nextOutbound() {
            case .frame(let frame): frame.encode(into: &message)
            case .data(let stream, var payload):
                DataHeader(stream).encode(into: &message)
                message.writeBuffer(&payload)
            case nil: return
            }
            let pieces = self.random.chance(50)
                ? [message.bytes] : randomPieces(message.bytes, longest: 700, using: &self.random)
            for (index, piece) in pieces.enumerated() {
                self.sides[side].line.append((piece, index == pieces.count - 1))
            }
        }
        self.drain(side)
    }

    /// Takes parts off this side's line, to the other.
    private mutating func deliver(_ side: Int, parts: Int) throws {
        let other = 1 - side
        for _ in 0..<parts where self.sides[side].delivered < self.sides[side].line.count {
            let (part, isLast) = self.sides[side].line[self.sides[side].delivered]
            self.sides[side].delivered += 1
            if let output = try self.sides[other].decoder.receive(ByteBuffer(bytes: part), isLast: isLast) {
                if case .frame(.reset(_, .tooManyStreams)) = output { self.sides[other].resetsForStreams += 1 }
                if case .frame(.acknowledgement(let count)) = output {
                    try self.sides[other].link.acknowledge(count)
                } else {
                    try self.sides[other].link.receive(output)
                }
            }
            self.drain(other)
        }
    }

    private mutating func drain(_ side: Int) {
        while let event = self.sides[side].link.nextEvent() {
            switch event {
            case .opened(let open):
                #expect(self.sides[side].streams[open.stream] == nil, "opened twice")
                self.sides[side].streams[open.stream] = Stream()
                if self.random.chance(50) { self.sides[side].link.connected(open.stream) }
            case .data(let id, let bytes): self.received(bytes, id, side)
            case .finished(let id):
                #expect(self.sides[side].streams[id]?.peerHasFinished == false, "finished twice")
                #expect(self.sides[side].streams[id]?.received == self.sides[1 - side].streams[id]?.sent)
                self.sides[side].streams[id]?.peerHasFinished = true
            case .reset(let id, _):
                #expect(self.sides[side].streams[id]?.wasReset == false, "reset twice")
                self.sides[side].streams[id]?.wasReset = true
            case .sendable(let id):
                #expect(self.sides[side].streams[id]?.isHeldBack == true, "sendable without having been held back")
                self.sides[side].streams[id]?.isHeldBack = false
            case .connected(let id):
                let isKnown = self.sides[side].streams[id] != nil
                #expect(isKnown)
            case .listen, .listening, .refused, .unlisten: Issue.record("no tunnels here")
            }
        }
    }

    private mutating func received(_ bytes: ByteBuffer, _ id: StreamID, _ side: Int) {
        guard var stream = self.sides[side].streams[id] else {
            Issue.record("bytes before OPEN")
            return
        }
        #expect(!stream.peerHasFinished && !stream.wasReset, "bytes after the end")
        let expected = (stream.received..<stream.received + bytes.readableBytes).map {
            Self.byte(id, from: 1 - side, at: $0)
        }
        #expect(bytes.bytes == expected, "stream \(id) at \(stream.received)")
        stream.received += bytes.readableBytes
        stream.untaken += bytes.readableBytes
        #expect(stream.untaken <= Limits.Implementation.maximumWindowBytes)
        self.sides[side].streams[id] = stream
    }
}

struct LinkPairTests {
    @Test(arguments: 0..<300 as Range<UInt64>)
    func `every byte arrives once and in order, and when all is said nothing is left`(seed: UInt64) throws {
        var simulation = Simulation(seed: seed)
        for _ in 0..<600 { try simulation.step() }

        // At rest with streams still open: all credit is where it belongs.
        try simulation.settle(finishing: false)
        for side in 0..<2 {
            let (here, there) = (simulation.sides[side], simulation.sides[1 - side])
            #expect(here.link.sent == there.link.received, "seed \(seed)")
            #expect(here.link.streamCount == there.link.streamCount, "seed \(seed)")
            for (id, stream) in here.link.streams where stream.sending == .open {
                let window = try #require(there.link.streams[id]?.window, "seed \(seed)")
                #expect(stream.credit == UInt64(window.granted), "seed \(seed), stream \(id)")
                #expect(window.unread == 0 && window.granted > window.size / 2, "seed \(seed), stream \(id)")
                #expect(stream.queuedBytes == 0 && stream.queue.isEmpty, "seed \(seed), stream \(id)")
                #expect(here.streams[id]?.isHeldBack == false, "seed \(seed), stream \(id)")
            }
        }

        try simulation.settle(finishing: true)
        for side in 0..<2 {
            let (here, there) = (simulation.sides[side], simulation.sides[1 - side])
            #expect(here.link.streamCount == 0, "seed \(seed)")
            #expect(here.link.sent == there.link.received, "seed \(seed)")
            #expect(here.link.windowBudget == Limits.Implementation.linkWindowBudgetBytes, "seed \(seed)")
            #expect(!here.link.isFlooded && here.resetsForStreams == 0, "seed \(seed)")
            for (id, stream) in here.streams where !stream.wasReset && there.streams[id]?.wasReset != true {
                #expect(stream.sent == there.streams[id]?.received, "seed \(seed), stream \(id)")
                #expect(stream.peerHasFinished, "seed \(seed), stream \(id)")
            }
        }
    }

    @Test func `the simulation exercises what it is for`() throws {
        var resets = 0
        var halfClosed = 0
        var bytes = 0
        var grown = 0
        for seed in 0..<40 as Range<UInt64> {
            var simulation = Simulation(seed: seed)
            for _ in 0..<600 { try simulation.step() }
            for side in simulation.sides {
                resets += side.streams.values.count { $0.wasReset }
                halfClosed += side.streams.values.count { $0.hasFinished != $0.peerHasFinished }
                bytes += side.streams.values.map(\.received).reduce(0, +)
                grown += side.link.streams.values.count { $0.window.size > Int(simulation.terms.initialWindow) }
            }
        }
        #expect(resets > 30)
        #expect(halfClosed > 30)
        #expect(bytes > 500_000)
        #expect(grown > 20)
    }
}
