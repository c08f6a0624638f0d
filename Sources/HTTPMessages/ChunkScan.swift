/// Finds the end of a chunked body (RFC 9112 §7.1) in bytes as they come.
///
///     size ──▶ [extension] ──LF──▶ data ──▶ CRLF ──▶ size ... size 0 ──LF──▶ trailers ──empty line──▶ the end
///
/// Strict about lines, so that the decoder behind it and it always agree: CRLF alone ends one, and a size is hexadecimal digits.
package struct ChunkScan: Sendable {
    private enum State {
        case size(digits: Int)
        case `extension`
        case sizeLineFeed
        case data
        case dataReturn
        case dataLineFeed
        case trailerStart
        case trailer
        case trailerLineFeed
        case lastLineFeed
        case end
    }

    /// Digits of a size: 16 would not fit in 63 bits. Leading zeros count, or they could go on for ever.
    private static let sizeDigits = 15
    /// Bytes of all chunk extensions, or of all trailers: nobody uses the former, and the latter are a few fields.
    private static let extraBytes = 16 * 1024

    private var state = State.size(digits: 0)
    private var left: UInt64 = 0
    private var extra = 0
    /// Where in the bytes that were scanned last the trailers are, if any of them are there: from here to the end of the body.
    package private(set) var trailers: Int?

    package init() {}

    package var isAtEnd: Bool { if case .end = self.state { true } else { false } }

    private var isInTrailers: Bool {
        switch self.state {
        case .trailerStart, .trailer, .trailerLineFeed, .lastLineFeed: true
        case .size, .extension, .sizeLineFeed, .data, .dataReturn, .dataLineFeed, .end: false
        }
    }

    /// - Returns: How many of the bytes belong to the body; fewer than all only when it ends among them.
    /// - Throws: `MessageRefusal` with 400 or 431.
    package mutating func scan(_ bytes: some RandomAccessCollection<UInt8>) throws(MessageRefusal) -> Int {
        var index = bytes.startIndex
        self.trailers = self.isInTrailers ? 0 : nil
        while index != bytes.endIndex {
            if case .data = self.state {
                let count = min(UInt64(bytes.distance(from: index, to: bytes.endIndex)), self.left)
                self.left -= count
                index = bytes.index(index, offsetBy: Int(count))
                if self.left == 0 { self.state = .dataReturn }
                continue
            }
            if case .end = self.state { break }
            try self.next(bytes[index])
            index = bytes.index(after: index)
            if case .trailerStart = self.state, self.trailers == nil { self.trailers = bytes.distance(from: bytes.startIndex, to: index) }
        }
        return bytes.distance(from: bytes.startIndex, to: index)
    }

    private mutating func next(_ byte: UInt8) throws(MessageRefusal) {
        switch self.state {
        case .size(let digits):
            if let value = Self.digit(byte) {
                guard digits < Self.sizeDigits else { throw MessageRefusal(400, "the size of a chunk is too long") }
                self.left = self.left << 4 | value
                self.state = .size(digits: digits + 1)
            } else {
                guard digits > 0 else { throw MessageRefusal(400, "a chunk has no size") }
                switch byte {
                case UInt8(ascii: ";"): self.state = .extension
                case UInt8(ascii: "\r"): self.state = .sizeLineFeed
                default: throw MessageRefusal(400, "the size of a chunk is not hexadecimal")
                }
            }
        case .extension:
            if byte == UInt8(ascii: "\r") { self.state = .sizeLineFeed } else { try self.countExtra(byte) }
        case .sizeLineFeed:
            try Self.require(byte, UInt8(ascii: "\n"))
            self.state = self.left == 0 ? .trailerStart : .data
        case .dataReturn:
            try Self.require(byte, UInt8(ascii: "\r"))
            self.state = .dataLineFeed
        case .dataLineFeed:
            try Self.require(byte, UInt8(ascii: "\n"))
            self.state = .size(digits: 0)
        case .trailerStart:
            if byte == UInt8(ascii: "\r") {
                self.state = .lastLineFeed
            } else {
                try self.countExtra(byte)
                self.state = .trailer
            }
        case .trailer:
            if byte == UInt8(ascii: "\r") { self.state = .trailerLineFeed } else { try self.countExtra(byte) }
        case .trailerLineFeed:
            try Self.require(byte, UInt8(ascii: "\n"))
            self.state = .trailerStart
        case .lastLineFeed:
            try Self.require(byte, UInt8(ascii: "\n"))
            self.state = .end
        case .data, .end: break
        }
    }

    private mutating func countExtra(_ byte: UInt8) throws(MessageRefusal) {
        guard byte >= 0x20 && byte != 0x7F || byte == 0x09 else {
            throw MessageRefusal(400, "a control character is in a line of its chunked body")
        }
        self.extra += 1
        guard self.extra <= Self.extraBytes else { throw MessageRefusal(431, "its trailers or chunk extensions are too long") }
    }

    private static func require(_ byte: UInt8, _ wanted: UInt8) throws(MessageRefusal) {
        guard byte == wanted else { throw MessageRefusal(400, "a line of its chunked body does not end with CRLF") }
    }

    private static func digit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}
