import NIOCore
import Testing

@testable import TunnelProtocol

/// A link whose connections come and go: what it repeats, what it drops, what it refuses.
struct LinkResumptionTests {
    private static let stream = StreamID(2)

    private static func link(_ role: Link.Role, window: UInt64 = 1_000, budget: MemoryBudget = MemoryBudget(), withheld: Int = 0) -> Link {
        let terms = Frame.Terms(initialWindow: window, streams: 100)
        return Link(role: role, terms: terms, peerTerms: terms, budget: budget, withheldBytes: withheld)
    }

    /// A client to which the server has opened stream 2, with one frame received.
    private static func client(window: UInt64 = 1_000, withheld: Int = 0) throws -> Link {
        var link = link(.client, window: window, withheld: withheld)
        try link.receive(.frame(.open(Frame.Open(stream: stream, tunnel: TunnelNumber(1), visitor: nil))))
        _ = link.nextEvent()
        return link
    }

    /// A server that has opened stream 2, and sent its OPEN.
    private static func server(window: UInt64 = 1_000, budget: MemoryBudget = MemoryBudget()) -> Link {
        var link = link(.server, window: window, budget: budget)
        #expect(link.open(tunnel: TunnelNumber(1), visitor: nil) == stream)
        #expect(link.outbound().count == 1)
        return link
    }

    private static func bytes(_ range: Range<Int>) -> ByteBuffer { ByteBuffer(bytes: range.map { UInt8(truncatingIfNeeded: $0) }) }

    private static func data(_ range: Range<Int>, isLast: Bool, on stream: StreamID = stream) -> FrameDecoder.Output {
        .data(stream, bytes(range), isLast: isLast)
    }

    // MARK: What is sent again

    @Test func `what the peer has not comes again as it was, before anything new`() throws {
        var link = Self.server()
        _ = link.send(Self.bytes(0..<10), on: Self.stream)
        let first = link.outbound()
        _ = link.send(Self.bytes(10..<30), on: Self.stream)
        link.finish(Self.stream)
        let second = link.outbound()
        #expect(first + second == [
            .data(Self.stream, Self.bytes(0..<10)), .data(Self.stream, Self.bytes(10..<30)), .frame(.finish(Self.stream)),
        ])

        link.suspend()
        #expect(link.open(tunnel: TunnelNumber(1), visitor: nil) == StreamID(4))
        #expect(try link.resume(peerReceived: 2) == 20, "OPEN and the first DATA have arrived")
        #expect(link.hasOutbound == true)
        let third = link.outbound()
        #expect(Array(third.prefix(2)) == second)
        #expect(third.count == 3)
        #expect(link.sent == 5)
    }

    @Test func `pieces of one stream are repeated as they were cut, whatever has been queued since`() throws {
        var link = Self.server(window: 7)
        _ = link.send(Self.bytes(0..<20), on: Self.stream)
        #expect(link.outbound() == [.data(Self.stream, Self.bytes(0..<7))])
        _ = link.send(Self.bytes(20..<25), on: Self.stream)
        try link.receive(.frame(.credit(Self.stream, bytes: 18)))
        let rest = link.outbound()
        #expect(try link.resume(peerReceived: 1) == 25)
        #expect(link.outbound() == [.data(Self.stream, Self.bytes(0..<7))] + rest)
    }

    @Test func `repeating costs no credit, and takes no notice of what has become of the stream`() throws {
        var link = Self.server(window: 10)
        _ = link.send(Self.bytes(0..<10), on: Self.stream)
        let sent = link.outbound()
        link.reset(Self.stream, .connectionReset)
        #expect(try link.resume(peerReceived: 1) == 10)
        #expect(link.outbound() == sent + [.frame(.reset(Self.stream, .connectionReset))])
        #expect(try link.resume(peerReceived: 3) == 0)
        #expect(link.hasOutbound == false)
    }

    @Test func `a suspended link goes on taking what its sockets say`() throws {
        var link = try Self.client()
        link.suspend()
        _ = link.send(Self.bytes(0..<5), on: Self.stream)
        link.connected(Self.stream)
        link.finish(Self.stream)
        #expect(try link.resume(peerReceived: 0) == 0)
        #expect(link.outbound() == [
            .frame(.opened(Self.stream)), .data(Self.stream, Self.bytes(0..<5)), .frame(.finish(Self.stream)),
        ])
    }

    @Test(arguments: 1...12)
    func `the last bytes of a frame that was cut off are not handed on, whoever wrote them`(cut: Int) throws {
        var link = try Self.client(withheld: 4)
        func received() -> [UInt8] {
            var bytes: [UInt8] = []
            while let event = link.nextEvent() { if case .data(_, let part) = event { bytes += part.readableBytesView } }
            return bytes
        }
        for byte in 0..<cut { try link.receive(Self.data(byte..<byte + 1, isLast: false)) }
        // A load balancer's Close, in the middle of the frame.
        try link.receive(.data(Self.stream, ByteBuffer(bytes: [0x88, 0x02, 0x03, 0xE9]), isLast: false))
        let before = received()
        #expect(before == Array(0..<UInt8(cut)))
        link.suspend()
        _ = try link.resume(peerReceived: 0)
        try link.receive(Self.data(0..<13, isLast: false))
        try link.receive(Self.data(13..<20, isLast: true))
        #expect(before + received() == Array(0..<20))
        #expect(link.received == 2)
    }

    // MARK: What comes again

    /// Everywhere the connection may end, and the next one too.
    @Test func `of a frame that was cut off each byte is handed on once`() throws {
        let whole = 0..<9
        var wrong: [String] = []
        for first in 0...whole.count {
            for second in 0...whole.count {
                var link = try Self.client(window: UInt64(whole.count))
                var got: [UInt8] = []
                for end in [first, second] {
                    try link.receive(Self.data(0..<end, isLast: false))
                    got += link.takeData()
                    link.suspend()
                    _ = try link.resume(peerReceived: 0)
                }
                if link.received != 1 { wrong.append("counted after \(first), \(second)") }
                // The last time in two pieces, cut where the second connection ended.
                try link.receive(Self.data(0..<second, isLast: false))
                try link.receive(Self.data(second..<whole.count, isLast: true))
                got += link.takeData()
                if got != Self.bytes(whole).bytes || link.received != 2 { wrong.append("after \(first), \(second): \(got)") }
                // The window was exactly as large: nothing has been counted twice.
                if link.streams[Self.stream]?.window.unread != whole.count { wrong.append("window after \(first), \(second)") }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test func `a frame may end where its first sending was cut, and the next one is new`() throws {
        var link = try Self.client()
        try link.receive(Self.data(0..<5, isLast: false))
        link.suspend()
        _ = try link.resume(peerReceived: 0)
        try link.receive(Self.data(0..<5, isLast: true))
        try link.receive(Self.data(5..<8, isLast: true))
        #expect(link.takeData() == Self.bytes(0..<8).bytes)
        #expect(link.received == 3)
    }

    @Test func `what has come of a frame is remembered however much of it the next connection brings`() throws {
        var link = try Self.client()
        try link.receive(Self.data(0..<8, isLast: false))
        for count in [0, 3, 8, 2] {
            link.suspend()
            _ = try link.resume(peerReceived: 0)
            if count > 0 { try link.receive(Self.data(0..<count, isLast: false)) }
        }
        link.suspend()
        _ = try link.resume(peerReceived: 0)
        try link.receive(Self.data(0..<10, isLast: true))
        #expect(link.takeData() == Self.bytes(0..<10).bytes)
    }

    @Test func `a stream that is reset while its frame is cut off leaves the count right`() throws {
        var link = try Self.client()
        try link.receive(Self.data(0..<4, isLast: false))
        link.reset(Self.stream, .connectionReset)
        link.suspend()
        _ = try link.resume(peerReceived: 0)
        try link.receive(Self.data(0..<9, isLast: true))
        #expect(link.takeData() == Self.bytes(0..<4).bytes)
        #expect(link.received == 2)
    }

    // MARK: Refusals

    private static let others: [(what: String, frame: FrameDecoder.Output)] = [
        ("another stream's", data(0..<9, isLast: false, on: StreamID(4))),
        ("a shorter one", data(0..<3, isLast: true)),
        ("an empty one", data(0..<0, isLast: true)),
        ("FIN", .frame(.finish(stream))),
        ("RESET", .frame(.reset(stream, .connectionReset))),
        ("OPEN", .frame(.open(Frame.Open(stream: StreamID(4), tunnel: TunnelNumber(1), visitor: nil)))),
        ("an unknown frame", .ignored(type: 0x3F)),
    ]

    @Test func `in place of a frame that was cut off no other is taken`() throws {
        for (what, other) in Self.others {
            var link = try Self.client()
            try link.receive(Self.data(0..<4, isLast: false))
            link.suspend()
            _ = try link.resume(peerReceived: 0)
            #expect(violation { try link.receive(other) } == .acknowledgement, "\(what)")
            #expect(link.received == 1, "\(what)")
            #expect(link.takeData() == Self.bytes(0..<4).bytes, "\(what)")
        }
    }

    @Test func `a frame of which only the header had come must be repeated too`() throws {
        var link = try Self.client()
        try link.receive(Self.data(0..<0, isLast: false))
        link.suspend()
        _ = try link.resume(peerReceived: 0)
        #expect(violation { try link.receive(.frame(.finish(Self.stream))) } == .acknowledgement)
    }

    @Test func `counts that no honest peer can have are refused, and the link stays as it was`() throws {
        var link = Self.server()
        for number in 0..<4 { _ = link.send(Self.bytes(0..<number + 1), on: Self.stream); _ = link.outbound() }
        #expect(link.sent == 5)
        try link.acknowledge(2)
        for count in [0, 1, 6, UInt64(Int.max), UInt64(Int.max) + 1, Varint.maximum, .max] {
            #expect(link.isPossible(received: count) == false, "\(count)")
            #expect(violation { _ = try link.resume(peerReceived: count) } == .acknowledgement, "\(count)")
            #expect(violation { try link.acknowledge(count) } == .acknowledgement, "\(count)")
        }
        #expect(link.hasOutbound == false)
        for count in 2...5 as ClosedRange<UInt64> { #expect(link.isPossible(received: count) == true) }
        #expect(try link.resume(peerReceived: 4) == 4)
        #expect(link.outbound() == [.data(Self.stream, Self.bytes(0..<4))])
    }

    @Test func `what this connection has not sent again yet cannot be acknowledged`() throws {
        var link = Self.server()
        for number in 0..<4 { _ = link.send(Self.bytes(0..<number + 1), on: Self.stream); _ = link.outbound() }
        link.suspend()
        _ = try link.resume(peerReceived: 1)
        #expect(violation { try link.acknowledge(2) } == .acknowledgement)
        #expect(link.nextOutbound() == .data(Self.stream, Self.bytes(0..<1)))
        try link.acknowledge(2)
        #expect(violation { try link.acknowledge(3) } == .acknowledgement)
        // Another connection may say so: what it names may have come on the one before.
        link.suspend()
        _ = try link.resume(peerReceived: 3)
        #expect(link.outbound() == [.data(Self.stream, Self.bytes(0..<3)), .data(Self.stream, Self.bytes(0..<4))])
    }

    @Test func `a link that keeps nothing goes on only where nothing was lost`() throws {
        let terms = Frame.Terms(initialWindow: 1_000, streams: 1)
        var link = Link(role: .server, terms: terms, peerTerms: terms, isResumable: false, budget: MemoryBudget())
        #expect(try link.resume(peerReceived: 0) == 0)
        #expect(link.open(tunnel: TunnelNumber(1), visitor: nil) != nil)
        #expect(link.outbound().count == 1 && link.replay.bytes == 0)
        #expect(violation { _ = try link.resume(peerReceived: 0) } == .acknowledgement)
        #expect(!link.isPossible(received: 0) && link.isPossible(received: 1))
    }

    // MARK: Acknowledgements

    @Test func `the peer is told after so many frames, and after so many bytes, whole frames or not`() throws {
        var link = try Self.client(window: 1 << 30)
        for _ in 2..<Limits.Implementation.acknowledgedFrames { try link.receive(.ignored(type: 0x3F)) }
        #expect(link.hasOutbound == false)
        try link.receive(.ignored(type: 0x3F))
        #expect(link.outbound() == [.frame(.acknowledgement(count: Limits.Implementation.acknowledgedFrames))])

        let half = ByteBuffer(repeating: 0, count: Limits.Implementation.acknowledgedBytes / 2)
        try link.receive(.data(Self.stream, half, isLast: true))
        #expect(link.hasOutbound == false)
        try link.receive(.data(Self.stream, half, isLast: false))
        #expect(link.outbound() == [.frame(.acknowledgement(count: Limits.Implementation.acknowledgedFrames + 1))])
        #expect(link.sent == 0, "ACK has no number")

        // The half of the frame that had come by then counts again: nobody has been told of it.
        try link.receive(.data(Self.stream, ByteBuffer(repeating: 0, count: 1), isLast: false))
        try link.receive(.data(Self.stream, ByteBuffer(repeating: 0, count: 2 * half.readableBytes), isLast: false))
        #expect(link.hasOutbound == false, "there is no whole frame to tell of")
        try link.receive(.data(Self.stream, ByteBuffer(), isLast: true))
        #expect(link.outbound() == [.frame(.acknowledgement(count: Limits.Implementation.acknowledgedFrames + 2))])
    }

    @Test func `asked to, a link tells what is new, and a greeting has told it already`() throws {
        var link = try Self.client()
        link.acknowledgeSoon()
        #expect(link.outbound() == [.frame(.acknowledgement(count: 1))])
        link.acknowledgeSoon()
        #expect(link.hasOutbound == false)
        try link.receive(.ignored(type: 0x3F))
        link.acknowledgeSoon()
        link.suspend()
        _ = try link.resume(peerReceived: 0)
        #expect(link.hasOutbound == false)
        link.acknowledgeSoon()
        #expect(link.hasOutbound == false)
    }

    // MARK: How much is kept

    @Test func `a full replay buffer stops DATA, then the other frames, and an acknowledgement lets them go on`() throws {
        var link = Self.server(window: 1 << 30, budget: MemoryBudget(bytes: 0))
        let piece = ByteBuffer(repeating: 7, count: 1 << 20)
        var offered = 0
        for _ in 0..<4 {
            _ = link.send(piece, on: Self.stream)
            offered += piece.readableBytes
        }
        _ = link.outbound()
        #expect(link.replay.bytes >= Limits.Implementation.replayBytes)
        #expect(link.replay.bytes < Limits.Implementation.replayBytes + Limits.Implementation.dataFrameBytes + Limits.Implementation.keptFrameBytes)
        #expect(link.hasOutbound == false, "whoever asks does not spin")

        // OPEN still goes out, and does so up to the reserve.
        for _ in 0..<10_000 { link.send(.unlisten(TunnelNumber(1))) }
        #expect(link.hasOutbound == true)
        let others = link.outbound()
        #expect(others.allSatisfy { $0 == .frame(.unlisten(TunnelNumber(1))) } && others.count > 1_000 && others.count < 10_000)
        let bound = Limits.Implementation.replayBytes + Limits.Implementation.replayReserveBytes
        #expect(link.replay.bytes >= bound && link.replay.bytes < bound + Limits.Implementation.keptFrameBytes)
        #expect(!link.hasOutbound && link.nextOutbound() == nil)

        // What is repeated is bounded by what was kept; ACK goes out all the same.
        try link.receive(.ignored(type: 0x3F))
        link.acknowledgeSoon()
        #expect(link.outbound() == [.frame(.acknowledgement(count: 1))])
        let kept = link.replay.bytes
        #expect(try link.resume(peerReceived: 0) <= Limits.Implementation.replayBytes + Limits.Implementation.dataFrameBytes)
        #expect(link.outbound().count == Int(link.sent))
        #expect(link.replay.bytes == kept)

        var carried = 0
        for _ in 0..<100 where link.replay.bytes > 0 {
            try link.acknowledge(link.sent)
            for frame in link.outbound() { if case .data(_, let payload) = frame { carried += payload.readableBytes } }
        }
        #expect(link.replay.bytes == 0 && !link.hasOutbound)
        #expect(carried + Limits.Implementation.replayBytes >= offered && link.streams[Self.stream]?.queuedBytes == 0)
    }

    @Test func `a replay buffer grows within its share of the budget, and gives back what it no longer needs`() throws {
        let budget = MemoryBudget(bytes: 32 << 20)
        var link = Self.server(window: 1 << 30, budget: budget)
        for _ in 0..<100 { _ = link.send(ByteBuffer(repeating: 7, count: 1 << 20), on: Self.stream) }
        _ = link.outbound()
        #expect(link.replay.bytes >= budget.share && link.replay.bytes < budget.share + 2 * Limits.Implementation.dataFrameBytes)
        #expect(budget.used == budget.share - Limits.Implementation.replayBytes)
        let half = link.sent / 2
        try link.acknowledge(half)
        #expect(link.replay.allowance >= link.replay.bytes)
        #expect(budget.used == link.replay.allowance - Limits.Implementation.replayBytes)
        _ = link.outbound()
        link.end()
        #expect(budget.used == 0)
    }

    @Test func `a stream behind a full replay buffer is held back, and says when it takes bytes again`() throws {
        var link = Self.server(window: 1 << 30, budget: MemoryBudget(bytes: 0))
        let piece = ByteBuffer(repeating: 7, count: Limits.Implementation.dataFrameBytes)
        var pieces = 0
        while pieces < 1_000 {
            let takesMore = link.send(piece, on: Self.stream)
            pieces += 1
            _ = link.outbound()
            guard !takesMore else { continue }
            guard link.nextEvent() == .sendable(Self.stream) else { break }
        }
        #expect(pieces < 12, "2 MiB and one queue")
        try link.acknowledge(link.sent)
        _ = link.outbound()
        #expect(link.nextEvent() == .sendable(Self.stream))
    }
}

extension Link {
    fileprivate mutating func outbound() -> [Outbound] {
        var frames: [Outbound] = []
        while let frame = self.nextOutbound() { frames.append(frame) }
        return frames
    }

    fileprivate mutating func takeData() -> [UInt8] {
        var bytes: [UInt8] = []
        while let event = self.nextEvent() { if case .data(_, let part) = event { bytes += part.bytes } }
        return bytes
    }
}
