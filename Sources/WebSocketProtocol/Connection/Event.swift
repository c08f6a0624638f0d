package import struct NIOCore.ByteBuffer

/// What a message holds (RFC 6455 §5.6).
package enum MessageKind: UInt8, Sendable {
    case text
    case binary

    var opcode: Opcode { self == .text ? .text : .binary }
}

/// A piece of a message, as it came: frames and reads cut messages where they like, and nothing waits for the rest.
package struct MessagePart: Equatable, Sendable {
    package let kind: MessageKind
    /// A slice of what was received, which stays in memory as a whole while any slice of it does; of a compressed message,
    /// what a piece of it inflates to, with memory of its own. Empty only in a
    /// message without payload, or when a message's end came by itself. Text has been checked, and may be cut inside a
    /// character.
    package let bytes: ByteBuffer
    package let isFirst: Bool
    package let isLast: Bool

    package init(kind: MessageKind, bytes: ByteBuffer, isFirst: Bool, isLast: Bool) {
        self.kind = kind
        self.bytes = bytes
        self.isFirst = isFirst
        self.isLast = isLast
    }
}

extension WebSocketConnection {
    package enum Event: Equatable, Sendable {
        case payload(MessagePart)
        /// To be answered with a Pong of the same payload (RFC 6455 §5.5.2).
        case ping(ByteBuffer)
        case pong(ByteBuffer)
        /// The peer's Close frame; nothing follows. To be answered with a Close of the same code, unless ours was
        /// first.
        case closed(CloseCode?, reason: String)
        /// A compressed message turned out to break a rule while it was inflated; nothing follows. To be answered like a
        /// violation that `receive` throws.
        case violation(WebSocketViolation)
    }
}
