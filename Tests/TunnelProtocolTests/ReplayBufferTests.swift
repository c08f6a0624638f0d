import NIOCore
import Testing

@testable import TunnelProtocol

struct ReplayBufferTests {
    private static func frame(_ number: UInt64, payload: Int? = nil) -> Link.Outbound {
        payload.map { .data(StreamID(number), ByteBuffer(repeating: UInt8(truncatingIfNeeded: number), count: $0)) }
            ?? .frame(.credit(StreamID(number), bytes: 1))
    }

    private static func buffer(holding count: UInt64, payload: Int? = nil) -> ReplayBuffer {
        var buffer = ReplayBuffer(keeps: true, budget: MemoryBudget())
        for number in 0..<count { buffer.append(frame(number, payload: payload)) }
        return buffer
    }

    private static let cost = Limits.Implementation.keptFrameBytes

    @Test func `what was sent is not repeated until another connection takes over`() throws {
        var buffer = Self.buffer(holding: 3)
        #expect(buffer.sent == 3 && !buffer.hasFramesToRepeat)
        #expect(buffer.nextToRepeat() == nil)
        #expect(try buffer.rewind(to: 1) == 0, "CREDIT has no payload")
        #expect(buffer.hasFramesToRepeat)
        #expect(buffer.nextToRepeat() == Self.frame(1))
        #expect(buffer.nextToRepeat() == Self.frame(2))
        #expect(buffer.nextToRepeat() == nil && !buffer.hasFramesToRepeat)
        #expect(buffer.sent == 3, "a number is given once")
    }

    @Test func `each kept frame counts with its payload and its entry, and nothing is left when all is acknowledged`() throws {
        var buffer = Self.buffer(holding: 4, payload: 1_000)
        buffer.append(Self.frame(4))
        #expect(buffer.bytes == 5 * Self.cost + 4_000)
        #expect(try buffer.rewind(to: 1) == 3_000)
        #expect(buffer.bytes == 4 * Self.cost + 3_000)
        while buffer.nextToRepeat() != nil {}
        #expect(buffer.bytes == 4 * Self.cost + 3_000, "what is repeated may have to be repeated again")
        try buffer.acknowledge(5)
        #expect(buffer.bytes == 0)
        #expect(try buffer.rewind(to: 5) == 0)
        #expect(!buffer.hasFramesToRepeat)
    }

    @Test func `a connection that ends while it repeats begins again from what the peer then has`() throws {
        var buffer = Self.buffer(holding: 5)
        _ = try buffer.rewind(to: 1)
        #expect(buffer.nextToRepeat() == Self.frame(1))
        #expect(buffer.nextToRepeat() == Self.frame(2))
        _ = try buffer.rewind(to: 2)
        #expect(buffer.nextToRepeat() == Self.frame(2))
        try buffer.acknowledge(3)
        #expect(buffer.nextToRepeat() == Self.frame(3))
        #expect(buffer.nextToRepeat() == Self.frame(4))
        #expect(buffer.nextToRepeat() == nil)
    }

    @Test func `counts that no honest peer can have are refused, and change nothing`() throws {
        var buffer = Self.buffer(holding: 5, payload: 10)
        try buffer.acknowledge(2)
        let before = buffer.bytes
        for count in [0, 1, 6, 7, UInt64(Int.max), UInt64(Int.max) + 1, Varint.maximum, .max] {
            #expect(violation { try buffer.checkResumption(count) } == .acknowledgement, "\(count)")
            #expect(violation { try buffer.acknowledge(count) } == .acknowledgement, "\(count)")
            #expect(violation { _ = try buffer.rewind(to: count) } == .acknowledgement, "\(count)")
        }
        #expect(buffer.bytes == before && buffer.acknowledged == 2 && buffer.sent == 5 && !buffer.hasFramesToRepeat)
        for count in 2...5 as ClosedRange<UInt64> { try buffer.checkResumption(count) }
    }

    @Test func `a buffer that keeps nothing counts, and can only go on where nothing was lost`() throws {
        var buffer = ReplayBuffer(keeps: false, budget: MemoryBudget())
        for number in 0..<10 as Range<UInt64> { buffer.append(Self.frame(number, payload: 100)) }
        #expect(buffer.sent == 10 && buffer.bytes == 0)
        try buffer.acknowledge(4)
        #expect(violation { try buffer.acknowledge(3) } == .acknowledgement)
        #expect(violation { try buffer.acknowledge(11) } == .acknowledgement)
        #expect(violation { _ = try buffer.rewind(to: 9) } == .acknowledgement)
        #expect(try buffer.rewind(to: 10) == 0)
        #expect(!buffer.hasFramesToRepeat)
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func `it does what a list of all frames ever sent would do`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var buffer = ReplayBuffer(keeps: true, budget: MemoryBudget())
        var all: [Link.Outbound] = []
        var acknowledged = 0
        var next = 0
        var wrong: [String] = []
        for _ in 0..<500 {
            switch Int.random(in: 0..<10, using: &random) {
            case ..<4 where next == all.count:
                all.append(Self.frame(UInt64(all.count), payload: random.chance(50) ? Int.random(in: 0...50, using: &random) : nil))
                buffer.append(all[next])
                next += 1
            case ..<7:
                let again = buffer.nextToRepeat()
                if again != (next < all.count ? all[next] : nil) { wrong.append("repeated \(next)") }
                next = min(all.count, next + 1)
            case ..<9:
                // What is acknowledged was carried on this connection.
                acknowledged = Int.random(in: acknowledged...next, using: &random)
                try buffer.acknowledge(UInt64(acknowledged))
            default:
                acknowledged = Int.random(in: acknowledged...all.count, using: &random)
                next = acknowledged
                let repeated = try buffer.rewind(to: UInt64(acknowledged))
                if repeated != all[acknowledged...].reduce(0, { $0 + $1.payloadBytes }) { wrong.append("bytes to repeat") }
            }
            if buffer.sent != UInt64(all.count) || buffer.acknowledged != UInt64(acknowledged) { wrong.append("counts") }
            if buffer.hasFramesToRepeat != (next < all.count) { wrong.append("something to repeat") }
            if buffer.bytes != all[acknowledged...].reduce(0, { $0 + $1.payloadBytes + Self.cost }) { wrong.append("bytes kept") }
        }
        #expect(wrong.isEmpty, "seed \(seed)")
    }
}

extension Link.Outbound {
    fileprivate var payloadBytes: Int {
        if case .data(_, let payload) = self { payload.readableBytes } else { 0 }
    }
}
