internal import struct NIOCore.ByteBuffer

/// Writes many short texts behind each other into a buffer, with room made for all of them at once: a head is some thirty pieces, and
/// growing a buffer by one after the other costs more than their bytes.
///
///     buffer ── readable ──┊── room ─────────────────────┊
///                          ┊ written by the writer ┊ left ┊
///
/// Who asks for room adds up what the pieces take; one that does not fit stops the process, and writes nothing.
struct TextWriter {
    private let room: UnsafeMutableRawBufferPointer
    fileprivate private(set) var count = 0

    fileprivate init(_ room: UnsafeMutableRawBufferPointer) {
        self.room = room
    }

    mutating func write(_ text: String) {
        let bytes = text.utf8
        let length = bytes.count
        precondition(length <= self.room.count - self.count, "a text of \(length) bytes where there is no room for it")
        let target = UnsafeMutableRawBufferPointer(rebasing: self.room[self.count...])
        if bytes.withContiguousStorageIfAvailable({ target.copyMemory(from: UnsafeRawBufferPointer($0)) }) == nil {
            target.copyBytes(from: bytes)
        }
        self.count += length
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count <= self.room.count - self.count, "a text of \(bytes.count) bytes where there is no room for it")
        UnsafeMutableRawBufferPointer(rebasing: self.room[self.count...]).copyMemory(from: bytes)
        self.count += bytes.count
    }

    mutating func write(_ byte: UInt8) {
        precondition(self.count < self.room.count, "a byte where there is no room for it")
        self.room[self.count] = byte
        self.count += 1
    }

    /// In decimal digits.
    mutating func write(number: UInt64) {
        var (rest, digits) = (number, 1)
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        precondition(digits <= self.room.count - self.count, "a number where there is no room for it")
        rest = number
        for position in stride(from: self.count + digits - 1, through: self.count, by: -1) {
            self.room[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        self.count += digits
    }

    /// As a varint (RFC 9000 §16), for lengths: at most `lengthBytes`.
    mutating func write(length: Int) {
        switch length {
        case ..<64: self.write(UInt8(length))
        case ..<16_384:
            self.write(UInt8(0x40 | length >> 8))
            self.write(UInt8(truncatingIfNeeded: length))
        default:
            precondition(length < 1 << 30, "a text of \(length) bytes")
            self.write(UInt8(0x80 | length >> 24))
            self.write(UInt8(truncatingIfNeeded: length >> 16))
            self.write(UInt8(truncatingIfNeeded: length >> 8))
            self.write(UInt8(truncatingIfNeeded: length))
        }
    }

    static let lengthBytes = 4

    mutating func writeLineEnd() {
        self.write(0x0D)
        self.write(0x0A)
    }
}

extension ByteBuffer {
    /// - Parameters:
    ///   - room: The most bytes that `write` needs.
    mutating func writeTexts(room: Int, _ write: (inout TextWriter) -> Void) {
        self.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { bytes in
            var writer = TextWriter(bytes)
            write(&writer)
            return writer.count
        }
    }
}
