package import struct NIOCore.ByteBuffer

/// Variable-length integers as in QUIC (RFC 9000 §16): the two highest bits of the first byte give the length.
///
///     00xxxxxx   1 byte    to 63
///     01xxxxxx   2 bytes   to 16,383
///     10xxxxxx   4 bytes   to 1,073,741,823
///     11xxxxxx   8 bytes   to 4,611,686,018,427,387,903
///
/// A value is written in its shortest form and accepted in any.
package enum Varint {
    package static let maximum: UInt64 = (1 << 62) - 1

    package static func encodedLength(_ value: UInt64) -> Int {
        switch value {
        case ..<0x40: 1
        case ..<0x4000: 2
        case ..<0x4000_0000: 4
        default: 8
        }
    }
}

extension ByteBuffer {
    /// - Precondition: `value` is at most `Varint.maximum`.
    package mutating func writeVarint(_ value: UInt64) {
        precondition(value <= Varint.maximum, "\(value) does not fit a varint")
        switch Varint.encodedLength(value) {
        case 1: self.writeInteger(UInt8(value))
        case 2: self.writeInteger(UInt16(value) | 0x4000)
        case 4: self.writeInteger(UInt32(value) | 0x8000_0000)
        default: self.writeInteger(value | 0xC000_0000_0000_0000)
        }
    }

    /// `nil`, and nothing consumed, when the bytes end before the integer does.
    package mutating func readVarint() -> UInt64? {
        guard let first = self.getInteger(at: self.readerIndex, as: UInt8.self) else { return nil }
        switch first >> 6 {
        case 0:
            // Nearly every length is one of these, and has been read.
            self.moveReaderIndex(forwardBy: 1)
            return UInt64(first)
        case 1: return self.readInteger(as: UInt16.self).map { UInt64($0 & 0x3FFF) }
        case 2: return self.readInteger(as: UInt32.self).map { UInt64($0 & 0x3FFF_FFFF) }
        default: return self.readInteger(as: UInt64.self).map { $0 & Varint.maximum }
        }
    }
}
