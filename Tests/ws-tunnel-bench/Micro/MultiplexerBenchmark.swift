import NIOCore
import TunnelProtocol

/// A pair of links joined in memory: streams, turns, windows and what is kept for resumption; no bytes are encoded.
enum MultiplexerBenchmark {
    static func figures(_ meter: Meter) throws -> [MicroFigure] {
        [
            .rate("linkBulk", "multiplexer frames, 1 stream, 64 KiB each", try Self.frames(streams: 1, bytes: 64 * 1024, meter)),
            .rate("linkSmall", "multiplexer frames, 64 streams, 64 bytes each", try Self.frames(streams: 64, bytes: 64, meter)),
        ]
    }

    private static func frames(streams: Int, bytes: Int, _ meter: Meter) throws -> Double {
        let pair = try LinkPair(streams: streams)
        let payload = ByteBuffer(repeating: 0x5A, count: bytes)
        return try meter.rate { try pair.send(payload) }
    }
}

private final class LinkPair {
    private var sender = Link(role: .server, terms: Frame.Terms(), peerTerms: Frame.Terms(), budget: MemoryBudget(partOf: MemoryBudget()))
    private var receiver = Link(role: .client, terms: Frame.Terms(), peerTerms: Frame.Terms(), budget: MemoryBudget(partOf: MemoryBudget()))
    private var streams: [StreamID] = []

    init(streams: Int) throws {
        for _ in 0..<streams {
            guard let id = self.sender.open(tunnel: TunnelNumber(1), visitor: nil) else { throw Failure("no stream can be opened") }
            self.streams.append(id)
        }
        _ = try self.settle()
    }

    /// Sends `payload` on every stream, and carries frames until there are none.
    ///
    /// - Returns: The frames carried, in both directions.
    func send(_ payload: ByteBuffer) throws -> Int {
        for id in self.streams { _ = self.sender.send(payload, on: id) }
        return try self.settle()
    }

    private func settle() throws -> Int {
        var count = 0
        while self.sender.hasOutbound || self.receiver.hasOutbound {
            count += try Self.carry(from: &self.sender, to: &self.receiver)
            count += try Self.carry(from: &self.receiver, to: &self.sender)
        }
        return count
    }

    /// Whatever arrives is taken at once.
    private static func carry(from source: inout Link, to target: inout Link) throws -> Int {
        let now = Instant(nanoseconds: Clock.now)
        var count = 0
        while let outbound = source.nextOutbound() {
            count += 1
            switch outbound {
            case .data(let id, let bytes): try target.receive(.data(id, bytes, isLast: true))
            case .frame(.acknowledgement(let received)): try target.acknowledge(received)
            case .frame(let frame): try target.receive(.frame(frame))
            }
        }
        while let event = target.nextEvent() {
            if case .data(let id, let bytes) = event { target.taken(bytes.readableBytes, from: id, now: now) }
        }
        return count
    }
}
