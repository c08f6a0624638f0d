/// Reads frame headers, and refuses what RFC 6455 §5 refuses in a header by itself. What depends on the frame before it
/// is the connection's business.
struct FrameHeaderDecoder: Sendable {
    /// We are this end, so the other one sent the frame.
    let role: WebSocketConnection.Role
    /// permessage-deflate claims RSV1. The only place where a reserved bit is let through.
    let isCompressionAgreed: Bool

    /// The header at the start of `bytes`, or nil while it is unfinished. Each byte is checked as soon as it is there.
    func decode(_ bytes: UnsafeRawBufferPointer) throws(WebSocketViolation) -> FrameHeader? {
        guard bytes.count >= 1 else { return nil }
        let isFinal = bytes[0] & 0x80 != 0
        let reserved = ReservedBits(rawValue: bytes[0] & 0x70)
        guard reserved.isEmpty || reserved == .rsv1 && self.isCompressionAgreed else {
            throw .protocolError("a reserved bit is set and no extension was agreed on")
        }
        guard let opcode = Opcode(rawValue: bytes[0] & 0x0F) else {
            throw .protocolError("opcode \(bytes[0] & 0x0F) is reserved")
        }
        // RFC 7692 §6: it speaks for the whole message.
        guard reserved.isEmpty || opcode == .text || opcode == .binary else {
            throw .protocolError("RSV1 is set on a frame that does not begin a message")
        }
        guard isFinal || !opcode.isControl else { throw .protocolError("a control frame is fragmented") }

        guard bytes.count >= 2 else { return nil }
        let isMasked = bytes[1] & 0x80 != 0
        guard isMasked != self.role.masks else {
            throw .protocolError(isMasked ? "a server's frame is masked" : "a client's frame is not masked")
        }
        let short = bytes[1] & 0x7F
        guard short < 126 || !opcode.isControl else {
            throw .protocolError("a control frame has more than \(WebSocketLimits.controlPayload) bytes")
        }

        let extended = short < 126 ? 0 : short == 126 ? 2 : 8
        guard bytes.count >= 2 + extended else { return nil }
        let length = try self.length(short: short, extended: bytes[2..<(2 + extended)])

        guard isMasked else {
            return FrameHeader(
                isFinal: isFinal, reserved: reserved, opcode: opcode, payloadLength: length, maskingKey: nil)
        }
        guard bytes.count >= 6 + extended else { return nil }
        let key = bytes.loadUnaligned(fromByteOffset: 2 + extended, as: UInt32.self)
        return FrameHeader(
            isFinal: isFinal, reserved: reserved, opcode: opcode, payloadLength: length,
            maskingKey: MaskingKey(UInt32(bigEndian: key)))
    }

    private func length(
        short: UInt8, extended: Slice<UnsafeRawBufferPointer>
    ) throws(WebSocketViolation) -> Int {
        guard !extended.isEmpty else { return Int(short) }
        let length = extended.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        guard length >= (extended.count == 2 ? 126 : 1 << 16) else {
            throw .protocolError("a length of \(length) is not written in its shortest form")
        }
        // Also on a machine where Int is narrower than the 63 bits allowed.
        guard length >> 63 == 0, let length = Int(exactly: length) else {
            throw .protocolError("a length has its most significant bit set")
        }
        return length
    }
}
