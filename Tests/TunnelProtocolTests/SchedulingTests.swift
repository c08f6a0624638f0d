import NIOCore
import Testing

@testable import TunnelProtocol

/// Who waits, seen from outside: streams of a link whose peer grants all the credit one could want.
struct SchedulingTests {
    private static let share = Limits.Implementation.contendedFrameBytes

    /// A sender that counts what leaves it.
    private struct Sender: ~Copyable {
        var link: Link
        private(set) var bytes: [StreamID: Int] = [:]
        private(set) var frames: [Link.Outbound] = []

        init(window: UInt64 = 1 << 40, isResumable: Bool = false, budget: Int = Limits.Implementation.memoryBudgetBytes) {
            self.link = Link(
                role: .server, terms: Frame.Terms(), peerTerms: Frame.Terms(initialWindow: window),
                isResumable: isResumable, budget: MemoryBudget(bytes: budget))
        }

        mutating func open() throws -> StreamID {
            let opened = self.link.open(tunnel: TunnelNumber(1), visitor: nil)
            let stream = try #require(opened)
            #expect(self.link.nextOutbound() == .frame(.open(.init(stream: stream, tunnel: TunnelNumber(1), visitor: nil))))
            return stream
        }

        mutating func openBulk(_ count: Int) throws -> StreamID {
            let stream = try self.open()
            self.send(count, on: stream)
            return stream
        }

        mutating func send(_ count: Int, on stream: StreamID) {
            _ = self.link.send(ByteBuffer(repeating: 0x61, count: count), on: stream)
        }

        /// The next frame, counted.
        @discardableResult
        mutating func next() -> Link.Outbound? {
            let outbound = self.link.nextOutbound()
            if case .data(let stream, let payload) = outbound { self.bytes[stream, default: 0] += payload.readableBytes }
            if let outbound { self.frames.append(outbound) }
            while self.link.nextEvent() != nil {}
            return outbound
        }

        mutating func drain() {
            while self.next() != nil {}
        }

        /// Of the DATA frames so far.
        var payloads: [ByteBuffer] {
            self.frames.compactMap { if case .data(_, let payload) = $0 { payload } else { nil } }
        }

        var lengths: [Int] { self.payloads.map(\.readableBytes) }
    }

    @Test(arguments: [1, 2, 40])
    func `while somebody waits for short answers bulk keeps little unacknowledged, and nothing short waits for it`(count: Int) throws {
        var sender = Sender(isResumable: true)
        let bulk = try (0..<count).map { _ in try sender.openBulk(4 << 20) }
        let short = try sender.open()
        sender.link.isAttentive = true
        sender.drain()
        let limit = Limits.Implementation.attentiveBytes
        let sent = sender.bytes.values.reduce(0, +)
        #expect(sent <= limit + Limits.Implementation.dataFrameBytes && sent > limit / 2)
        #expect(sender.link.hasOutbound == false)
        for _ in 0..<3 {
            sender.send(64, on: short)
            #expect(sender.link.hasOutbound == true)
            sender.drain()
        }
        #expect(sender.bytes[short] == 192)
        #expect(sender.link.hasOutbound == false)
        try sender.link.acknowledge(sender.link.sent)
        #expect(sender.link.hasOutbound == true, "an acknowledgement lets bulk go on")
        sender.drain()
        sender.link.isAttentive = false
        #expect(sender.link.hasOutbound == true, "and so does the end of the attention")
        while sender.bytes.values.reduce(0, +) < count << 22 + 192 {
            sender.drain()
            try sender.link.acknowledge(sender.link.sent)
        }
        #expect(bulk.allSatisfy { sender.bytes[$0] == 4 << 20 })
    }

    @Test func `streams that are gone before their turn comes do not pile up`() throws {
        var sender = Sender(isResumable: true, budget: 0)
        let bulk = try sender.openBulk(8 << 20)
        sender.drain()
        let listed = sender.link.scheduler.count
        for _ in 0..<1_000 {
            let stream = try sender.openBulk(10)
            sender.link.reset(stream, .connectionReset)
            sender.drain()
        }
        #expect(sender.link.scheduler.count < listed + 200)
        while sender.bytes[bulk] != 8 << 20 {
            try sender.link.acknowledge(sender.link.sent)
            sender.drain()
        }
        #expect(sender.bytes.count == 1)
        #expect(sender.link.hasOutbound == false)
    }

    /// Whoever holds bulk back relies on an acknowledgement to come: nothing else would ever let it go on.
    @Test(arguments: [100, 1_200, 20_000, 300_000])
    func `an attentive link is never left waiting for an acknowledgement that is not due`(piece: Int) throws {
        var sender = Sender(isResumable: true)
        var receiver = Link(
            role: .client, terms: Frame.Terms(initialWindow: 1 << 30), peerTerms: Frame.Terms(), budget: MemoryBudget())
        sender.link.isAttentive = true
        let stream = try sender.open()
        try receiver.receive(.frame(.open(.init(stream: stream, tunnel: TunnelNumber(1), visitor: nil))))
        let pieces = (4 << 20) / piece
        for _ in 0..<pieces { sender.send(piece, on: stream) }
        var (received, hasMoved) = (0, true)
        while hasMoved {
            hasMoved = false
            while let outbound = sender.next() {
                guard case .data(_, let payload) = outbound else { continue }
                hasMoved = true
                received += payload.readableBytes
                try receiver.receive(.data(stream, payload, isLast: true))
                while receiver.nextEvent() != nil {}
                receiver.taken(payload.readableBytes, from: stream, now: .start)
            }
            while let outbound = receiver.nextOutbound() {
                if case .frame(.acknowledgement(let count)) = outbound { try sender.link.acknowledge(count) }
            }
        }
        #expect(received == pieces * piece)
    }

    @Test(arguments: [2, 3, 5, 17])
    func `bulk streams get equal bytes at any time, within one share, or two where many begin together`(count: Int) throws {
        var sender = Sender()
        let streams = try (0..<count).map { _ in try sender.openBulk(2 << 20) }
        while sender.bytes.values.reduce(0, +) < count << 20 {
            sender.next()
            let bytes = streams.map { sender.bytes[$0] ?? 0 }
            #expect((bytes.max() ?? 0) - (bytes.min() ?? 0) <= (count > 8 ? 2 : 1) * Self.share)
        }
        #expect(sender.lengths.allSatisfy { $0 == Self.share })
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func `bulk streams get equal bytes, within two shares, whatever pieces they come in`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var sender = Sender()
        let streams = try (0..<4).map { _ in try sender.open() }
        for stream in streams {
            let piece = Int.random(in: 2_000...70_000, using: &random)
            for _ in 0..<((3 << 20) / piece) {
                sender.send(Int.random(in: 1...piece, using: &random), on: stream)
            }
        }
        while sender.bytes.values.reduce(0, +) < 4 << 20 {
            sender.next()
            let bytes = streams.map { sender.bytes[$0] ?? 0 }
            #expect((bytes.max() ?? 0) - (bytes.min() ?? 0) <= 2 * Self.share, "seed \(seed)")
        }
    }

    @Test func `a short exchange goes ahead of bulk, its end included`() throws {
        var sender = Sender()
        for _ in 0..<3 { _ = try sender.openBulk(1 << 20) }
        for _ in 0..<20 { sender.next() }
        let short = try sender.open()
        sender.send(300, on: short)
        sender.link.finish(short)
        #expect(sender.next() == .data(short, ByteBuffer(repeating: 0x61, count: 300)))
        #expect(sender.next() == .frame(.finish(short)))
    }

    @Test(arguments: [100, 1_000, 5_000, 8_192, 12_000, 16_000, 16_384, 20_000, 32_768, 40_000])
    func `a stream that sends in bites earns no more than a fair share`(bite: Int) throws {
        var sender = Sender()
        let bulk = try (0..<3).map { _ in try sender.openBulk(8 << 20) }
        let biter = try sender.open()
        var sent = 0
        while (sender.bytes[bulk[0]] ?? 0) < 4 << 20 {
            if sender.bytes[biter] ?? 0 == sent {
                sender.send(bite, on: biter)
                sent += bite
            }
            sender.next()
        }
        let earned = sender.bytes[biter] ?? 0
        let fair = bulk.map { sender.bytes[$0] ?? 0 }.reduce(0, +) / 3
        #expect(earned <= fair + 2 * Self.share)
        // Nor does it lose: one bite a round at the least, or half a share.
        #expect(earned >= min(bite * (fair / Self.share - 2), fair / 2))
    }

    @Test func `new streams without end do not starve one that has been sending for long`() throws {
        var sender = Sender()
        let bulk = try sender.openBulk(8 << 20)
        for _ in 0..<20 { sender.next() }
        let before = sender.bytes[bulk] ?? 0
        let total = sender.bytes.values.reduce(0, +)
        for _ in 0..<2_000 {
            let short = try sender.open()
            sender.send(10_000, on: short)
            sender.link.finish(short)
            // The line is slower than they come: each time one frame less leaves than is new.
            sender.next()
        }
        let share = Double((sender.bytes[bulk] ?? 0) - before)
            / Double(sender.bytes.values.reduce(0, +) - total)
        #expect(share > 0.1)
        #expect(share < 0.4)
    }

    @Test func `a stream alone sends frames as long as they may be`() throws {
        var sender = Sender()
        _ = try sender.openBulk(1 << 20)
        sender.drain()
        #expect(sender.lengths.dropLast().allSatisfy { $0 == Limits.Implementation.dataFrameBytes })
        // 1 MiB, in four whole frames and what the headers' room leaves of them.
        #expect(sender.lengths.count == 5)
    }

    @Test func `a stream that was alone is not held to what it sent then`() throws {
        var sender = Sender()
        let first = try sender.openBulk(8 << 20)
        for _ in 0..<8 { sender.next() }
        let before = sender.bytes[first] ?? 0
        let second = try sender.openBulk(4 << 20)
        for _ in 0..<40 { sender.next() }
        #expect(abs((sender.bytes[first] ?? 0) - before - (sender.bytes[second] ?? 0)) <= 2 * Self.share)
    }

    @Test func `a stream without credit holds up no other, and goes on when it has some`() throws {
        var sender = Sender(window: 1_000)
        let blocked = try sender.openBulk(5_000)
        sender.drain()
        #expect(sender.bytes[blocked] == 1_000)
        #expect(sender.link.hasOutbound == false)

        let other = try sender.openBulk(800)
        sender.drain()
        #expect(sender.bytes[other] == 800)
        try sender.link.receive(.frame(.credit(blocked, bytes: 3_000)))
        sender.drain()
        #expect(sender.bytes[blocked] == 4_000)
        sender.link.finish(blocked)
        #expect(sender.link.hasOutbound == false, "FIN waits behind what has no credit")
        try sender.link.receive(.frame(.credit(blocked, bytes: 1_000)))
        sender.drain()
        #expect(sender.bytes[blocked] == 5_000)
        #expect(sender.frames.last == .frame(.finish(blocked)))
    }

    @Test func `FIN comes after everything that was queued before it, and needs no credit`() throws {
        var sender = Sender(window: 100)
        let stream = try sender.openBulk(100)
        sender.link.finish(stream)
        let takesMore = sender.link.send(ByteBuffer(bytes: [1]), on: stream)
        #expect(!takesMore, "nothing follows FIN")
        sender.drain()
        #expect(sender.frames == [.data(stream, ByteBuffer(repeating: 0x61, count: 100)), .frame(.finish(stream))])
        sender.link.finish(stream)
        #expect(sender.next() == nil, "one FIN is enough")

        let empty = try sender.open()
        sender.link.finish(empty)
        #expect(sender.next() == .frame(.finish(empty)))
    }

    @Test func `a reset drops what is queued, and its stream takes no one's turn`() throws {
        var sender = Sender()
        let streams = try (0..<3).map { _ in try sender.openBulk(1 << 20) }
        for _ in 0..<7 { sender.next() }
        let before = sender.bytes
        sender.link.reset(streams[0], .internalError)
        sender.link.reset(streams[1], .internalError)
        #expect(sender.next() == .frame(.reset(streams[0], .internalError)))
        #expect(sender.next() == .frame(.reset(streams[1], .internalError)))
        sender.drain()
        #expect(sender.bytes[streams[0]] == before[streams[0]])
        #expect(sender.bytes[streams[1]] == before[streams[1]])
        #expect(sender.bytes[streams[2]] == 1 << 20)
        #expect(sender.link.streamCount == 1)
        sender.link.reset(streams[0], .internalError)
        #expect(sender.next() == nil, "a stream that is gone is not reset again")
    }

    @Test func `control frames go ahead of DATA, in their own order`() throws {
        var sender = Sender()
        let bulk = try sender.openBulk(1 << 20)
        _ = try sender.openBulk(1 << 20)
        for _ in 0..<4 { sender.next() }
        let before = sender.bytes[bulk] ?? 0
        let opened = sender.link.open(tunnel: TunnelNumber(9), visitor: nil)
        let late = try #require(opened)
        sender.send(10, on: late)
        sender.link.send(.unlisten(TunnelNumber(9)))
        #expect(sender.next() == .frame(.open(Frame.Open(stream: late, tunnel: TunnelNumber(9), visitor: nil))))
        #expect(sender.next() == .frame(.unlisten(TunnelNumber(9))))
        #expect(sender.next() == .data(late, ByteBuffer(repeating: 0x61, count: 10)))
        sender.next()
        #expect(sender.bytes[bulk] ?? 0 > before)
    }

    @Test func `small pieces that wait are sent together`() throws {
        var sender = Sender()
        let stream = try sender.open()
        for number in 0..<40_000 {
            _ = sender.link.send(ByteBuffer(bytes: [UInt8(truncatingIfNeeded: number)]), on: stream)
        }
        sender.drain()
        #expect(sender.lengths.count <= 4)
        #expect(sender.payloads.flatMap(\.bytes) == (0..<40_000).map { UInt8(truncatingIfNeeded: $0) })
    }

    @Test func `a piece that was handed in stays as it was, though others are added behind it`() throws {
        var sender = Sender()
        let stream = try sender.open()
        let first = ByteBuffer(bytes: [1, 2, 3])
        let second = ByteBuffer(bytes: [4])
        _ = sender.link.send(first, on: stream)
        _ = sender.link.send(second, on: stream)
        #expect(first.bytes == [1, 2, 3] && second.bytes == [4])
        #expect(sender.next() == .data(stream, ByteBuffer(bytes: [1, 2, 3, 4])))
    }
}
