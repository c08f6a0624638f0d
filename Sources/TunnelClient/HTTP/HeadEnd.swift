internal import struct NIOCore.ByteBuffer

/// Finds where a response's head ends, in pieces of any size.
struct HeadEnd {
    /// Of CR LF CR LF, behind each other at the end of what has come so far.
    private var matched = 0

    /// - Returns: The bytes up to the end of the head; `nil` when they are all of it so far.
    mutating func find(in bytes: ByteBuffer) -> Int? {
        let view = bytes.readableBytesView
        guard self.matched == 0 else { return self.find(in: view) }
        // Nearly always the head is there as a whole: from line to line is quicker than from byte to byte.
        var index = view.startIndex
        while let feed = view[index...].firstIndex(of: UInt8(ascii: "\n")) {
            index = feed + 1
            if feed >= view.startIndex + 3, view[feed - 3] == 0x0D, view[feed - 2] == 0x0A, view[feed - 1] == 0x0D {
                return index - view.startIndex
            }
        }
        return self.find(in: view.suffix(3))
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
