import struct NIOCore.ByteBuffer
import WebSocketProtocol

extension FuzzTarget {
    /// What a WebSocket's peer sends after the opening handshake: a byte of settings, one for the cuts, then the bytes.
    ///
    ///     settings   01 we are the client   02 text is accepted   04 small limits
    ///
    /// Cut anywhere it comes to the same events; sent again by our own encoder it does as well; nothing follows the end; and the
    /// events hold no more than came in.
    package static let webSocketFrames = FuzzTarget(name: "websocket-frames", longest: 4_000) { input in
        let settings = input.byte()
        var cuts = Cuts(seed: input.byte())
        let bytes = input.rest()
        let role = settings & 1 == 0 ? WebSocketConnection.Role.server : .client
        func end(_ limits: WebSocketLimits, acceptsText: Bool) -> End {
            End(WebSocketConnection(role: role, limits: limits, acceptsText: acceptsText))
        }
        let limits = settings & 4 == 0 ? WebSocketLimits() : .small

        var whole = end(limits, acceptsText: settings & 2 != 0)
        whole.receive([bytes])
        try require(whole.payload <= bytes.count, "\(whole.payload) bytes of payload in \(bytes.count)")
        try require(whole.count * 2 <= bytes.count, "\(whole.count) events in \(bytes.count) bytes")
        var pieces = end(limits, acceptsText: settings & 2 != 0)
        pieces.receive(cuts.pieces(of: bytes))
        try requireEqual(pieces.seen, whole.seen, "in pieces")
        if whole.hasEnded {
            let (before, count) = (whole.seen, whole.count)
            whole.receive([bytes])
            try require(whole.seen == before && whole.count == count, "something followed the end")
        }

        var again = end(WebSocketLimits(), acceptsText: true)
        again.receive([whole.encoded(by: role == .server ? .client : .server)])
        try requireEqual(again.seen, whole.seen.filter { !$0.isViolation }, "written and read again")
    }
}

extension WebSocketLimits {
    /// Limits that a short input reaches.
    fileprivate static var small: WebSocketLimits {
        var limits = WebSocketLimits()
        limits.framePayload = 300
        limits.message = 500
        limits.emptyFragments = 3
        return limits
    }
}

/// One end, and what it has seen: in a form that does not depend on how the bytes were cut.
private struct End {
    enum Seen: Equatable {
        case part(MessageKind, [UInt8], isFirst: Bool, isLast: Bool)
        case ping([UInt8])
        case pong([UInt8])
        case closed(CloseCode?, reason: String)
        case violation(WebSocketViolation)

        var isViolation: Bool { if case .violation = self { true } else { false } }
    }

    private var connection: WebSocketConnection
    private(set) var seen: [Seen] = []
    /// Events, and the bytes of payload in them.
    private(set) var count = 0
    private(set) var payload = 0

    init(_ connection: WebSocketConnection) {
        self.connection = connection
    }

    var hasEnded: Bool {
        switch self.seen.last {
        case .closed, .violation: true
        case .part, .ping, .pong, nil: false
        }
    }

    mutating func receive(_ pieces: [[UInt8]]) {
        for piece in pieces {
            var buffer = ByteBuffer(bytes: piece)
            do {
                try self.connection.receive(&buffer)
                self.drain()
            } catch {
                self.drain()
                // How much of an unfinished part came before the violation is up to the cuts.
                if case .part(_, _, _, isLast: false) = self.seen.last { self.seen.removeLast() }
                self.seen.append(.violation(error))
            }
        }
    }

    private mutating func drain() {
        while let event = self.connection.nextEvent() {
            self.count += 1
            switch event {
            case .payload(let part): self.append(part)
            case .ping(let payload): self.append(.ping(payload.bytes), payload)
            case .pong(let payload): self.append(.pong(payload.bytes), payload)
            case .closed(let code, let reason): self.seen.append(.closed(code, reason: reason))
            case .violation(let violation): self.seen.append(.violation(violation))
            }
        }
    }

    private mutating func append(_ seen: Seen, _ payload: ByteBuffer) {
        self.payload += payload.readableBytes
        self.seen.append(seen)
    }

    /// Parts that follow each other become one.
    private mutating func append(_ part: MessagePart) {
        var bytes = part.bytes.bytes
        var isFirst = part.isFirst
        self.payload += bytes.count
        if !part.isFirst, case .part(_, let before, let wasFirst, isLast: false) = self.seen.last {
            self.seen.removeLast()
            (bytes, isFirst) = (before + bytes, wasFirst)
        }
        self.seen.append(.part(part.kind, bytes, isFirst: isFirst, isLast: part.isLast))
    }

    /// The same once more, as our own encoder writes it.
    func encoded(by role: WebSocketConnection.Role) -> [UInt8] {
        var sender = WebSocketConnection(role: role)
        var buffer = ByteBuffer()
        let key = role == .client ? MaskingKey(0x1234_5678) : nil
        for seen in self.seen {
            switch seen {
            case .part(let kind, let bytes, _, let isLast):
                sender.encode(kind, ByteBuffer(bytes: bytes), isLast: isLast, maskingKey: key, into: &buffer)
            case .ping(let bytes): sender.encodePing(ByteBuffer(bytes: bytes), maskingKey: key, into: &buffer)
            case .pong(let bytes): sender.encodePong(ByteBuffer(bytes: bytes), maskingKey: key, into: &buffer)
            case .closed(let code, let reason): sender.encodeClose(code, reason: reason, maskingKey: key, into: &buffer)
            case .violation: break
            }
        }
        return buffer.bytes
    }
}
