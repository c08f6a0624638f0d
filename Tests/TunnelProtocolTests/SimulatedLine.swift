import NIOCore

@testable import TunnelProtocol

/// One direction of a simulated connection: messages on their way, in pieces.
struct SimulatedLine {
    /// A piece of a message.
    struct Part {
        var bytes: ByteBuffer
        var isLast: Bool
        /// The message's type of frame.
        let type: UInt8
    }

    private(set) var parts: [Part] = []
    private(set) var delivered = 0
    /// What is sent from now on arrives nowhere.
    private(set) var isCut = false

    var isEmpty: Bool { self.delivered == self.parts.count }

    /// Cuts the message in pieces of any size, as intermediaries do. The last one may be empty.
    mutating func put(_ message: ByteBuffer, using random: inout SplitMix64) {
        precondition(!self.isCut)
        var rest = message
        let type = message.getInteger(at: message.readerIndex, as: UInt8.self) ?? 0
        let longest = random.chance(60) ? Int.max : [3, 40, 300].randomElement(using: &random) ?? 3
        // Large messages in few pieces: many of them cost time and show nothing new.
        let sizes = longest == .max
            ? rest.readableBytes...rest.readableBytes : 0...max(longest, rest.readableBytes / 12)
        repeat {
            let count = min(rest.readableBytes, Int.random(in: sizes, using: &random))
            self.parts.append(Part(bytes: rest.readSlice(length: count) ?? ByteBuffer(), isLast: false, type: type))
        } while rest.readableBytes > 0
        if random.chance(10) { self.parts.append(Part(bytes: ByteBuffer(), isLast: false, type: type)) }
        self.parts[self.parts.count - 1].isLast = true
    }

    mutating func next() -> Part? {
        guard !self.isEmpty else { return nil }
        defer { self.delivered += 1 }
        return self.parts[self.delivered]
    }

    /// Nothing more is sent; what is on its way still arrives.
    mutating func end() {
        self.isCut = true
    }

    /// What is on its way is lost from some byte on. The end of a message is a place of its own: all its bytes may have come, and not
    /// the word that it ends there.
    mutating func cut(using random: inout SplitMix64) {
        self.isCut = true
        let places = self.parts[self.delivered...].reduce(0) { $0 + $1.bytes.readableBytes + 1 }
        var rest = Int.random(in: 0...places, using: &random)
        var kept = self.delivered
        while kept < self.parts.count, rest > self.parts[kept].bytes.readableBytes {
            rest -= self.parts[kept].bytes.readableBytes + 1
            kept += 1
        }
        guard kept < self.parts.count else { return }
        var part = self.parts[kept]
        self.parts.removeSubrange(kept...)
        part.bytes = part.bytes.getSlice(at: part.bytes.readerIndex, length: rest) ?? ByteBuffer()
        part.isLast = false
        if rest > 0 { self.parts.append(part) }
    }

    /// The type of the message that it was cut inside of, if it was.
    var typeOfBrokenMessage: UInt8? {
        guard let last = self.parts.last, !last.isLast else { return nil }
        return last.type
    }
}
