internal import struct NIOCore.ByteBuffer

/// Finds where a response's head ends, in pieces of any size.
struct HeadEnd {
    /// Of CR LF CR LF, behind each other at the end of what has come so far.
    private var matched = 0

    /// - Returns: The bytes up to the end of the head; `nil` when they are all of it so far.
    mutating func find(in bytes: ByteBuffer) -> Int? {
        bytes.readableBytesView.withContiguousStorageIfAvailable { self.find(in: $0) } ?? nil
    }

    private mutating func find(in bytes: some RandomAccessCollection<UInt8>) -> Int? {
        var matched = self.matched
        defer { self.matched = matched }
        for (offset, byte) in bytes.enumerated() {
            // Most bytes of a head.
            if byte > UInt8(ascii: "\r") {
                matched = 0
                continue
            }
            switch (byte, matched) {
            case (UInt8(ascii: "\r"), 0), (UInt8(ascii: "\r"), 2), (UInt8(ascii: "\n"), 1): matched += 1
            case (UInt8(ascii: "\n"), 3):
                matched = 0
                return offset + 1
            case (UInt8(ascii: "\r"), _): matched = 1
            default: matched = 0
            }
        }
        return nil
    }
}
