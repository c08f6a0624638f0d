package import struct NIOCore.ByteBuffer

/// The header of a frame (RFC 6455 §5.2).
///
///      byte 0                     byte 1
///     +---+------+------+------+--------+   +------+-------------+   +------+-----------+
///     |FIN| RSV1 | RSV2 | RSV3 | opcode |   | MASK |   length    |   |      length     |   + key
///     | 1 |  1   |  1   |  1   |   4    |   |  1   |     7       |   |  0, 16 or 64    |     0 or 32
///     +---+------+------+------+--------+   +------+-------------+   +-----------------+
///
/// A length up to 125 stands in byte 1; 126 announces 16 bits, 127 announces 64, of which the first is 0. The shortest
/// form is the only one.
package struct FrameHeader: Equatable, Sendable {
    package let isFinal: Bool
    package let reserved: ReservedBits
    package let opcode: Opcode
    /// Bytes, never negative.
    package let payloadLength: Int
    package let maskingKey: MaskingKey?

    package init(
        isFinal: Bool = true, reserved: ReservedBits = .none, opcode: Opcode, payloadLength: Int, maskingKey: MaskingKey?
    ) {
        precondition(payloadLength >= 0, "a payload of \(payloadLength) bytes")
        precondition(
            !opcode.isControl || isFinal && payloadLength <= WebSocketLimits.controlPayload,
            "a control frame is whole and has at most \(WebSocketLimits.controlPayload) bytes")
        self.isFinal = isFinal
        self.reserved = reserved
        self.opcode = opcode
        self.payloadLength = payloadLength
        self.maskingKey = maskingKey
    }

    /// The same with reserved bits set.
    package func marked(_ reserved: ReservedBits) -> FrameHeader {
        FrameHeader(
            isFinal: self.isFinal, reserved: reserved, opcode: self.opcode, payloadLength: self.payloadLength,
            maskingKey: self.maskingKey)
    }

    /// The header's own bytes: 2 to 14.
    package var encodedLength: Int {
        let extended = self.payloadLength < 126 ? 0 : self.payloadLength < 1 << 16 ? 2 : 8
        return 2 + extended + (self.maskingKey == nil ? 0 : 4)
    }

    /// Appends the header.
    package func encode(into buffer: inout ByteBuffer) {
        buffer.reserveCapacity(minimumWritableBytes: self.encodedLength)
        let first = (self.isFinal ? 0x80 : 0) | self.reserved.rawValue | self.opcode.rawValue
        let mask: UInt8 = self.maskingKey == nil ? 0 : 0x80
        // In one piece: most frames are short, and each write into a buffer is checked.
        switch (self.payloadLength, self.maskingKey?.value) {
        case (..<126, nil): buffer.writeMultipleIntegers(first, UInt8(self.payloadLength))
        case (..<126, let key?): buffer.writeMultipleIntegers(first, mask | UInt8(self.payloadLength), key)
        case (..<(1 << 16), nil): buffer.writeMultipleIntegers(first, UInt8(126), UInt16(self.payloadLength))
        case (..<(1 << 16), let key?): buffer.writeMultipleIntegers(first, mask | 126, UInt16(self.payloadLength), key)
        case (_, nil): buffer.writeMultipleIntegers(first, UInt8(127), UInt64(self.payloadLength))
        case (_, let key?): buffer.writeMultipleIntegers(first, mask | 127, UInt64(self.payloadLength), key)
        }
    }
}
