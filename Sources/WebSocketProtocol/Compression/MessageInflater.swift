internal import struct NIOCore.ByteBuffer

/// Compressed messages on their way in: parts as they came from the wire become parts of the message itself.
///
///     compressed part ──begin──▶ inflating ──next: a piece──▶ inflating ──next: nil──▶ waits for the next part
///
/// One piece exists at a time, made when it is asked for. So what a few bytes inflate to is never in memory whole, and
/// a message of more than `inflatedMessage` bytes is refused before it is.
struct MessageInflater {
    private let inflater: Inflater
    private let limits: WebSocketLimits
    /// What is being inflated, without its payload, and what is left of that.
    private var part: MessagePart?
    private var rest = ByteBuffer()
    private var isInTail = false
    /// Bytes the message has come to so far.
    private var length = 0
    private var hasBegun = false
    private var text = UTF8Validator()

    init(_ compression: PermessageDeflate, role: WebSocketConnection.Role, limits: WebSocketLimits) {
        let peer = compression.sender(role == .client ? .server : .client)
        self.inflater = Inflater(windowBits: peer.maxWindowBits, keepsContext: !peer.noContextTakeover)
        self.limits = limits
    }

    /// Takes the next part of a compressed message; all pieces of the last one have been taken.
    mutating func begin(_ part: MessagePart) {
        precondition(self.part == nil, "a part before the last one was inflated")
        self.part = part
        self.rest = part.bytes
    }

    /// The next piece, or nil when the part has no more.
    mutating func next() throws(WebSocketViolation) -> MessagePart? {
        guard let part else { return nil }
        var output = ByteBuffer()
        while try self.inflateAll(into: &output) {
            guard part.isLast else {
                self.part = nil
                self.rest = ByteBuffer()
                return output.readableBytes == 0 ? nil : try self.piece(part.kind, output, isLast: false)
            }
            guard self.isInTail else {
                self.rest = ByteBuffer(bytes: Deflater.tail)
                self.isInTail = true
                continue
            }
            try self.inflater.endMessage()
            let piece = try self.piece(part.kind, output, isLast: true)
            self.part = nil
            self.rest = ByteBuffer()
            self.isInTail = false
            self.length = 0
            self.hasBegun = false
            self.text = UTF8Validator()
            return piece
        }
        return try self.piece(part.kind, output, isLast: false)
    }

    /// - Returns: false when `output` is full before the input is done.
    private mutating func inflateAll(into output: inout ByteBuffer) throws(WebSocketViolation) -> Bool {
        // Few bytes seldom come to many; the piece is not larger than it has to be.
        let piece = min(self.limits.inflatedPiece, max(512, self.rest.readableBytes * 4))
        // One byte more than there may be tells a message that is too long.
        let room = min(piece, self.limits.inflatedMessage - self.length + 1)
        let before = output.readableBytes
        let isDone = try self.inflater.inflate(&self.rest, into: &output, limit: room)
        self.length += output.readableBytes - before
        guard self.length <= self.limits.inflatedMessage else {
            throw WebSocketViolation(
                .messageTooBig, "a message that inflates to more than \(self.limits.inflatedMessage) bytes")
        }
        return isDone
    }

    private mutating func piece(
        _ kind: MessageKind, _ bytes: ByteBuffer, isLast: Bool
    ) throws(WebSocketViolation) -> MessagePart {
        if kind == .text {
            guard self.text.append(bytes.readableBytesView), !isLast || self.text.isComplete else {
                throw IncomingMessage.invalidText
            }
        }
        defer { self.hasBegun = true }
        return MessagePart(kind: kind, bytes: bytes, isFirst: !self.hasBegun, isLast: isLast)
    }
}
