import struct NIOCore.ByteBuffer
import WebSocketProtocol

extension FuzzTarget {
    /// Compressed messages of a peer (RFC 7692 §7.2): a byte of settings, one for the cuts, the length of the first message's
    /// payload in two bytes, then the payloads of two messages, the frames around them made here.
    ///
    ///     settings   01 the peer keeps no context   70 the window bits with which our end compresses, from 9
    ///
    /// Cut anywhere they inflate to the same; no message to more than its limit, no part to more than is inflated at once. And
    /// what our own end makes of the payloads inflates to them again. (The window to inflate with is the largest: zlib notices a
    /// distance beyond a smaller one only where it has no longer the bytes at hand, so that is up to the cuts, and harmless.)
    package static let inflate = FuzzTarget(name: "inflate", longest: 2_000) { input in
        let settings = input.byte()
        var cuts = Cuts(seed: input.byte())
        let length = input.short()
        let payloads = [input.bytes(length), input.rest()]
        func compression(windowBits: Int) -> PermessageDeflate {
            let peer = PermessageDeflate.Sender(noContextTakeover: settings & 1 != 0, maxWindowBits: windowBits)
            return PermessageDeflate(server: peer, client: peer)
        }

        var stream = ByteBuffer()
        for payload in payloads {
            FrameHeader(reserved: .rsv1, opcode: .binary, payloadLength: payload.count, maskingKey: nil).encode(into: &stream)
            stream.writeBytes(payload)
        }
        var whole = Inflated(compression(windowBits: 15))
        try whole.receive([stream.bytes])
        var pieces = Inflated(compression(windowBits: 15))
        try pieces.receive(cuts.pieces(of: stream.bytes))
        try requireEqual(pieces.messages, whole.messages, "in pieces")
        try requireEqual(pieces.violation, whole.violation, "in pieces")

        let own = compression(windowBits: 9 + Int(settings >> 4 & 7) % 7)
        var sender = WebSocketConnection(role: .server, compression: own)
        var sent = ByteBuffer()
        for payload in payloads {
            sender.encode(.binary, ByteBuffer(bytes: payload), isLast: true, maskingKey: nil, into: &sent)
        }
        var again = Inflated(own)
        try again.receive([sent.bytes])
        try requireEqual(again.messages, payloads, "compressed and inflated again")
    }
}

/// What an end has inflated.
private struct Inflated {
    private static let limits = {
        var limits = WebSocketLimits()
        limits.inflatedMessage = 5_000
        limits.inflatedPiece = 700
        return limits
    }()

    private var connection: WebSocketConnection
    /// Finished messages only: how much of a broken one came before is up to the cuts.
    private(set) var messages: [[UInt8]] = []
    private(set) var violation: WebSocketViolation?
    private var unfinished: [UInt8] = []

    init(_ compression: PermessageDeflate) {
        self.connection = WebSocketConnection(role: .client, limits: Self.limits, compression: compression)
    }

    mutating func receive(_ pieces: [[UInt8]]) throws {
        for piece in pieces {
            var buffer = ByteBuffer(bytes: piece)
            do {
                try self.connection.receive(&buffer)
            } catch {
                self.violation = self.violation ?? error
            }
            try self.drain()
        }
    }

    private mutating func drain() throws {
        while let event = self.connection.nextEvent() {
            switch event {
            case .payload(let part):
                try require(part.bytes.readableBytes <= Self.limits.inflatedPiece, "\(part.bytes.readableBytes) bytes inflated at once")
                self.unfinished += part.bytes.bytes
                try require(self.unfinished.count <= Self.limits.inflatedMessage, "a message of \(self.unfinished.count) bytes")
                guard part.isLast else { continue }
                self.messages.append(self.unfinished)
                self.unfinished = []
            case .violation(let violation): self.violation = self.violation ?? violation
            case .ping, .pong, .closed: break
            }
        }
    }
}
