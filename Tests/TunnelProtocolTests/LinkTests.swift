import NIOCore
import Testing

@testable import TunnelProtocol

/// One link alone, with a peer that is made up: what it accepts, what it refuses, what it answers.
struct LinkTests {
    private static let tunnel = TunnelNumber(1)

    private static func link(_ role: Link.Role, window: UInt64 = 1_000, streams: UInt64 = 10) -> Link {
        let terms = Frame.Terms(initialWindow: window, streams: streams)
        return Link(role: role, terms: terms, peerTerms: terms, budget: MemoryBudget())
    }

    /// A client to which the server has opened stream 2.
    private static func clientWithVisitor(window: UInt64 = 1_000) throws -> Link {
        var link = link(.client, window: window)
        try link.receive(.open(2))
        #expect(link.nextEvent() == .opened(.init(stream: StreamID(2), tunnel: tunnel, visitor: nil)))
        return link
    }

    // MARK: Life of a stream

    @Test func `each half of a stream ends by itself, and with both it is gone`() throws {
        var link = try Self.clientWithVisitor()
        let stream = StreamID(2)
        try link.receive(.frame(.finish(stream)))
        #expect(link.nextEvent() == .finished(stream))
        #expect(link.streamCount == 1, "half-closed")
        let takesMore = link.send(ByteBuffer(bytes: [1]), on: stream)
        #expect(takesMore, "the other half goes on")
        link.finish(stream)
        #expect(link.streamCount == 1, "its FIN has not been sent")
        #expect(link.nextOutbound() == .data(stream, ByteBuffer(bytes: [1])))
        #expect(link.nextOutbound() == .frame(.finish(stream)))
        #expect(link.streamCount == 0)

        try link.receive(.open(4))
        link.finish(StreamID(4))
        #expect(link.nextOutbound() == .frame(.finish(StreamID(4))))
        try link.receive(.data(4, count: 9))
        #expect(link.streamCount == 1)
        try link.receive(.frame(.finish(StreamID(4))))
        #expect(link.streamCount == 0)
        #expect(link.events() == [
            .opened(.init(stream: StreamID(4), tunnel: Self.tunnel, visitor: nil)),
            .data(StreamID(4), ByteBuffer(repeating: 0, count: 9)), .finished(StreamID(4)),
        ])
    }

    @Test func `credit is returned when bytes are taken, half a window at a time, and not after FIN`() throws {
        var link = try Self.clientWithVisitor()
        let stream = StreamID(2)
        try link.receive(.data(2, count: 1_000))
        link.taken(499, from: stream, now: .start)
        #expect(link.nextOutbound() == nil)
        link.taken(1, from: stream, now: .start)
        #expect(link.nextOutbound() == .frame(.credit(stream, bytes: 500)))
        try link.receive(.frame(.finish(stream)))
        link.taken(500, from: stream, now: .start)
        #expect(link.nextOutbound() == nil)
        link.taken(1, from: StreamID(77), now: .start)
    }

    @Test func `a stream says once that it takes bytes again, and only to one that was held back`() throws {
        var link = try Self.clientWithVisitor(window: 1_000)
        let stream = StreamID(2)
        var takesMore = link.send(ByteBuffer(repeating: 0, count: 999), on: stream)
        #expect(takesMore)
        takesMore = link.send(ByteBuffer(repeating: 0, count: 501), on: stream)
        #expect(!takesMore)
        while link.nextOutbound() != nil {}
        #expect(link.events() == [])
        try link.receive(.frame(.credit(stream, bytes: 500)))
        #expect(link.events() == [], "500 bytes wait for these 500")
        try link.receive(.frame(.credit(stream, bytes: 1)))
        #expect(link.events() == [.sendable(stream)])
        while link.nextOutbound() != nil {}
        try link.receive(.frame(.credit(stream, bytes: 5_000)))
        #expect(link.events() == [])
    }

    @Test func `a stream whose peer grants nothing at first is held back until it does`() throws {
        var link = try Self.clientWithVisitor(window: 0)
        let takesMore = link.send(ByteBuffer(), on: StreamID(2))
        #expect(!takesMore)
        try link.receive(.frame(.credit(StreamID(2), bytes: 10)))
        #expect(link.events() == [.sendable(StreamID(2))])
    }

    @Test func `a queue holds no more than its limit before it says so`() throws {
        var link = try Self.clientWithVisitor(window: 1 << 30)
        let piece = ByteBuffer(repeating: 0, count: Limits.Implementation.streamQueueBytes - 1)
        var takesMore = link.send(piece, on: StreamID(2))
        #expect(takesMore)
        takesMore = link.send(ByteBuffer(bytes: [0]), on: StreamID(2))
        #expect(!takesMore)
        _ = link.nextOutbound()
        #expect(link.events() == [.sendable(StreamID(2))])
    }

    @Test func `OPENED goes out once, and comes once`() throws {
        var link = try Self.clientWithVisitor()
        link.connected(StreamID(2))
        link.connected(StreamID(2))
        link.connected(StreamID(44))
        #expect(link.nextOutbound() == .frame(.opened(StreamID(2))))
        #expect(link.nextOutbound() == nil)

        var server = Self.link(.server)
        let stream = StreamID(2)
        #expect(server.openStream() == stream)
        try server.receive(.frame(.opened(stream)))
        #expect(server.events() == [.connected(stream)])
        #expect(violation { try server.receive(.frame(.opened(stream))) } == .streamState)
    }

    // MARK: Numbers

    @Test func `a client numbers its streams odd from 1 and a server even from 2`() {
        var client = Self.link(.client)
        var server = Self.link(.server)
        let opened = (0..<3).map { _ in (client.openStream(), server.openStream()) }
        #expect(opened.map(\.0) == [1, 3, 5].map(StreamID.init))
        #expect(opened.map(\.1) == [2, 4, 6].map(StreamID.init))
    }

    @Test func `a side opens no more streams than its peer allows, and one more when one is gone`() throws {
        var link = Self.link(.server, streams: 2)
        #expect(link.openStream() == StreamID(2))
        #expect(link.openStream() == StreamID(4))
        #expect(link.openStream() == nil)
        link.reset(StreamID(2), .connectionReset)
        #expect(link.openStream() == StreamID(6))
        #expect(link.openStream() == nil)
        try link.receive(.frame(.reset(StreamID(4), .refused)))
        #expect(link.openStream() == StreamID(8))
    }

    @Test func `frames are counted when they are whole, unknown and late ones too`() throws {
        var link = try Self.clientWithVisitor()
        #expect(link.received == 1)
        try link.receive(.data(StreamID(2), ByteBuffer(bytes: [0]), isLast: false))
        #expect(link.received == 1)
        try link.receive(.data(StreamID(2), ByteBuffer(bytes: [0]), isLast: true))
        #expect(link.received == 2)
        try link.receive(.ignored(type: 0x3F))
        #expect(link.received == 3)
        link.reset(StreamID(2), .connectionReset)
        try link.receive(.data(2, count: 5_000))
        #expect(link.received == 4)
        #expect(link.sent == 0)
        #expect(link.nextOutbound() != nil && link.sent == 1)
    }

    @Test func `an acknowledgement goes forward, and not beyond what was sent`() throws {
        var link = try Self.clientWithVisitor()
        for _ in 0..<3 { link.send(.unlisten(Self.tunnel)) }
        while link.nextOutbound() != nil {}
        try link.acknowledge(0)
        try link.acknowledge(2)
        try link.acknowledge(2)
        #expect(violation { try link.acknowledge(1) } == .acknowledgement)
        #expect(violation { try link.acknowledge(4) } == .acknowledgement)
        #expect(violation { try link.acknowledge(.max) } == .acknowledgement)
        try link.acknowledge(3)
    }

    // MARK: Violations

    struct Breach: Sendable, CustomTestStringConvertible {
        let role: Link.Role
        let rule: PeerViolation.Rule
        let frames: [FrameDecoder.Output]
        let testDescription: String

        init(_ testDescription: String, _ role: Link.Role, _ rule: PeerViolation.Rule, _ frames: [FrameDecoder.Output]) {
            self.role = role
            self.rule = rule
            self.frames = frames
            self.testDescription = testDescription
        }
    }

    /// Each link has a window of 1,000 bytes and has opened one stream itself: 1 the client, 2 the server.
    private static let breaches: [Breach] = [
        Breach("DATA beyond the window", .client, .flowControl, [.open(2), .data(2, count: 1_000), .data(2, count: 1)]),
        Breach("DATA beyond the window, in one frame", .client, .flowControl, [.open(2), .data(2, count: 1_001)]),
        Breach("DATA beyond the window of an own stream", .server, .flowControl, [.data(2, count: 1_001)]),
        Breach("DATA after FIN", .client, .streamState, [.open(2), .fin(2), .data(2, count: 1)]),
        Breach("empty DATA after FIN", .client, .streamState, [.open(2), .fin(2), .data(2, count: 0)]),
        Breach("DATA on a stream never opened", .client, .streamState, [.data(2, count: 1)]),
        Breach("DATA on an own stream never opened", .client, .streamState, [.data(3, count: 1)]),
        Breach("DATA on stream 0", .client, .streamState, [.data(0, count: 1)]),
        Breach("DATA on stream 0", .server, .streamState, [.data(0, count: 1)]),
        Breach("FIN on stream 0", .server, .streamState, [.fin(0)]),
        Breach("FIN twice", .client, .streamState, [.open(2), .fin(2), .fin(2)]),
        Breach("FIN on a stream never opened", .server, .streamState, [.fin(4)]),
        Breach("RESET on a stream never opened", .client, .streamState, [.frame(.reset(StreamID(2), .refused))]),
        Breach("CREDIT on a stream never opened", .client, .streamState, [.credit(2, 1)]),
        Breach("OPEN with the client's parity from a server", .client, .streamState, [.open(3)]),
        Breach("OPEN with the server's parity from a client", .server, .streamState, [.open(2)]),
        Breach("OPEN of stream 0", .client, .streamState, [.open(0)]),
        Breach("OPEN of stream 0", .server, .streamState, [.open(0)]),
        Breach("OPEN of the same stream twice", .client, .streamState, [.open(2), .open(2)]),
        Breach("OPEN with a lower number", .client, .streamState, [.open(6), .open(4)]),
        Breach("OPEN of a stream that is gone", .client, .streamState, [.open(2), .rst(2), .open(2)]),
        Breach("OPENED for a stream of its own", .client, .streamState, [.open(2), .frame(.opened(StreamID(2)))]),
        Breach("OPENED for a stream never opened", .client, .streamState, [.frame(.opened(StreamID(3)))]),
        Breach("CREDIT of nothing", .server, .flowControl, [.credit(2, 0)]),
        Breach("CREDIT of nothing for a stream that is gone", .server, .flowControl, [.rst(2), .credit(2, 0)]),
        Breach("CREDIT beyond 2^40", .server, .flowControl, [.credit(2, Limits.Specification.windowBytes)]),
        Breach("CREDIT as large as can be written", .server, .flowControl, [.credit(2, Varint.maximum)]),
        Breach(
            "CREDIT that adds up to more than 2^40", .server, .flowControl,
            [.credit(2, Limits.Specification.windowBytes - 1_000), .credit(2, 1)]),
        Breach(
            "LISTEN from a server", .client, .unexpectedFrame,
            [.frame(.listen(Frame.Listen(tunnel: tunnel, kind: .tcp)))]),
        Breach(
            "LISTENING from a client", .server, .unexpectedFrame,
            [.frame(.listening(.init(tunnel: tunnel, id: TunnelID(bytes: Opaque16(high: 0, low: 0)), url: "", port: nil)))]),
        Breach(
            "REFUSED from a client", .server, .unexpectedFrame,
            [.frame(.refused(Frame.Refused(tunnel: tunnel, code: .taken, message: "")))]),
    ]

    @Test(arguments: breaches)
    func `a breach is refused for its rule, and what came before it is not`(breach: Breach) throws {
        var link = Self.link(breach.role)
        _ = link.openStream()
        for frame in breach.frames.dropLast() { try link.receive(frame) }
        let last = try #require(breach.frames.last)
        let before = link.received
        #expect(violation { try link.receive(last) } == breach.rule)
        #expect(link.received == before)
    }

    @Test func `credit may add up to exactly 2^40`() throws {
        var link = try Self.clientWithVisitor()
        try link.receive(.credit(2, Limits.Specification.windowBytes - 1_000))
        let takesMore = link.send(ByteBuffer(bytes: [0]), on: StreamID(2))
        #expect(takesMore)
    }

    // MARK: Late frames

    @Test func `frames for a stream that is gone are ignored, whoever ended it`() throws {
        var server = Self.link(.server)
        let own = StreamID(2)
        #expect(server.openStream() == own)
        try server.receive(.open(1))
        server.reset(own, .connectionReset)
        server.reset(StreamID(1), .internalError)
        while server.nextOutbound() != nil {}
        _ = server.events()
        let late: [FrameDecoder.Output] = [
            .frame(.opened(own)), .data(2, count: 100_000), .data(1, count: 100_000), .fin(2), .fin(1), .fin(1),
            .credit(2, Limits.Specification.windowBytes), .credit(1, 1), .rst(2), .rst(1),
        ]
        for frame in late { try server.receive(frame) }
        #expect(server.events() == [])
        #expect(server.nextOutbound() == nil)
        #expect(server.streamCount == 0)
        #expect(server.received == 1 + UInt64(late.count))
    }

    @Test func `numbers that were passed over are used up`() throws {
        var link = Self.link(.client)
        try link.receive(.open(10))
        try link.receive(.data(8, count: 100))
        #expect(violation { try link.receive(.open(8)) } == .streamState)
    }

    @Test func `a stream that is gone takes nothing more from this side`() throws {
        var link = try Self.clientWithVisitor()
        try link.receive(.rst(2))
        #expect(link.events() == [.reset(StreamID(2), .connectionReset)])
        let takesMore = link.send(ByteBuffer(bytes: [1]), on: StreamID(2))
        #expect(!takesMore)
        link.finish(StreamID(2))
        link.reset(StreamID(2), .internalError)
        link.connected(StreamID(2))
        link.taken(5, from: StreamID(2), now: .start)
        #expect(link.hasOutbound == false)
    }

    // MARK: Bounds

    @Test func `OPEN over the limit is answered by RESET, and what follows it is ignored`() throws {
        var link = Self.link(.client, streams: 2)
        for stream in [2, 4, 6] as [UInt64] { try link.receive(.open(stream)) }
        #expect(link.streamCount == 2)
        #expect(link.events().count == 2)
        #expect(link.nextOutbound() == .frame(.reset(StreamID(6), .tooManyStreams)))
        try link.receive(.data(6, count: 5_000))
        try link.receive(.fin(6))
        #expect(link.events() == [])
        try link.receive(.rst(2))
        try link.receive(.open(8))
        #expect(link.streamCount == 2)
    }

    @Test func `a peer that makes us answer and does not read is noticed`() throws {
        var link = Self.link(.client, streams: 0)
        let most = UInt64(Limits.Implementation.queuedControlFrames)
        for number in 1...most { try link.receive(.open(2 * number)) }
        #expect(link.isFlooded == false)
        try link.receive(.open(2 * most + 2))
        #expect(link.isFlooded == true)
        #expect(link.nextOutbound() == .frame(.acknowledgement(count: most + 1)))
        _ = link.nextOutbound()
        #expect(link.isFlooded == false)
    }

    @Test func `visitors who come and go while the connection stands still do not make the peer look guilty`() {
        var link = Self.link(.server, streams: .max)
        var refused = 0
        for _ in 0..<100_000 {
            if let stream = link.openStream() { link.reset(stream, .connectionReset) } else { refused += 1 }
        }
        let isFlooded = link.isFlooded
        #expect(!isFlooded)
        #expect(refused > 0)
        while link.nextOutbound() != nil {}
        #expect(link.openStream() != nil)
    }

    @Test func `a peer that reads late while every stream is busy is not taken for a flood`() throws {
        let window = 16 as UInt64
        let streams = UInt64(Limits.Implementation.streams)
        var link = Self.link(.client, window: window, streams: streams)
        for stream in stride(from: 2, through: 2 * streams, by: 2) {
            try link.receive(.open(stream))
            link.connected(StreamID(stream))
            for _ in 0..<2 {
                try link.receive(.data(stream, count: 8))
                link.taken(8, from: StreamID(stream), now: .start)
            }
            link.reset(StreamID(stream), .connectionReset)
        }
        let isFlooded = link.isFlooded
        #expect(!isFlooded)
    }
}

extension FrameDecoder.Output {
    fileprivate static func open(_ stream: UInt64) -> Self {
        .frame(.open(Frame.Open(stream: StreamID(stream), tunnel: TunnelNumber(1), visitor: nil)))
    }

    fileprivate static func data(_ stream: UInt64, count: Int) -> Self {
        .data(StreamID(stream), ByteBuffer(repeating: 0, count: count), isLast: true)
    }

    fileprivate static func fin(_ stream: UInt64) -> Self { .frame(.finish(StreamID(stream))) }

    fileprivate static func rst(_ stream: UInt64) -> Self { .frame(.reset(StreamID(stream), .connectionReset)) }

    fileprivate static func credit(_ stream: UInt64, _ bytes: UInt64) -> Self {
        .frame(.credit(StreamID(stream), bytes: bytes))
    }
}

extension Link {
    fileprivate mutating func openStream() -> StreamID? { self.open(tunnel: TunnelNumber(1), visitor: nil) }

    fileprivate mutating func events() -> [Event] {
        var events: [Event] = []
        while let event = self.nextEvent() { events.append(event) }
        return events
    }
}
