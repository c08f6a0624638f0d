internal import HTTPMessages
internal import NIOCore

/// A visitor's bytes on their way to the decoder: one message at a time, and of each only as much as is wanted, so that whoever sends
/// requests faster than they are answered waits.
///
///     socket ──append──▶ waiting ──next──▶ decoder          the socket is not read while anything waits that is not wanted
///
/// It knows where heads and bodies end, and gives the decoder nothing beyond.
struct RequestFeed {
    private enum Expected {
        case head
        /// So many bytes of a body.
        case bytes(UInt64)
        case chunks
    }

    private var expected = Expected.head
    /// What has come and has not been given to the decoder: at most one read of the socket.
    private(set) var waiting = ByteBuffer()
    /// As much as the decoder has got of a head, as it came: for who takes the connection over with it. Empty once it is known what follows.
    private(set) var head = ByteBuffer()
    private var headIsWhole = false
    private var hasPassedEmptyLine = false
    private var chunks = ChunkScan()

    /// Bytes of a body that go to the decoder, and to the tunnel, in one go.
    private static let sliceBytes = 64 * 1024

    var isEmpty: Bool { self.waiting.readableBytes == 0 }

    /// Whether nothing of the present message is missing.
    var isBetweenMessages: Bool { if case .head = self.expected { true } else { false } }

    /// Whether a head has begun and goes on.
    var isInsideHead: Bool { !self.headIsWhole && self.head.readableBytes > 0 }

    mutating func append(_ bytes: ByteBuffer) {
        // A copy, as the transport's buffer is everybody's; and into storage of its own: what was given on before holds the old one until
        // the tunnel's client has it, and with it room for much more.
        var joined = ByteBuffer()
        joined.reserveCapacity(self.waiting.readableBytes + bytes.readableBytes)
        joined.writeImmutableBuffer(self.waiting)
        joined.writeImmutableBuffer(bytes)
        self.waiting = joined
    }

    /// The head that the decoder has got says what follows it.
    mutating func headEnded(_ body: BodyLength) {
        self.head = ByteBuffer()
        switch body {
        case .none, .bytes(0): self.expected = .head
        case .bytes(let count): self.expected = .bytes(count)
        case .unknown:
            self.expected = .chunks
            self.chunks = ChunkScan()
        }
    }

    /// - Returns: What the decoder gets next: of a head or of a body, never of both. `nil` until more has come. What is not UTF-8 in a head
    ///   or in trailers is in its other form (`OpaqueBytes`).
    /// - Throws: `MessageRefusal` for what cannot be told where it ends.
    mutating func next() throws(MessageRefusal) -> ByteBuffer? {
        guard self.waiting.readableBytes > 0 else { return nil }
        let count: Int
        switch self.expected {
        case .head: return try self.nextHead()
        case .bytes(let left):
            count = min(self.waiting.readableBytes, Self.sliceBytes, Int(clamping: left))
            self.expected = UInt64(count) < left ? .bytes(left - UInt64(count)) : .head
        case .chunks:
            let most = min(self.waiting.readableBytes, Self.sliceBytes)
            count = try self.chunks.scan(self.waiting.readableBytesView.prefix(most))
            if self.chunks.isAtEnd { self.expected = .head }
            if let trailers = self.chunks.trailers { return self.take(count).map { OpaqueBytes.escaped($0, from: trailers) } }
        }
        return self.take(count)
    }

    private mutating func nextHead() throws(MessageRefusal) -> ByteBuffer? {
        if self.headIsWhole {
            self.headIsWhole = false
            self.head = ByteBuffer()
        }
        let known = self.head.readableBytes
        if known == 0, try !self.passesEmptyLine() { return nil }
        if known == 0 { self.head = self.waiting } else { self.head.writeImmutableBuffer(self.waiting) }
        let lines = HeadLines(self.head, from: known)
        if let flaw = lines.flaw { throw MessageRefusal(400, flaw) }
        if let end = lines.end, let whole = self.head.getSlice(at: self.head.readerIndex, length: end) {
            self.head = whole
            self.headIsWhole = true
            self.hasPassedEmptyLine = false
        }
        guard self.head.readableBytes <= MessageLimits.headBytes else {
            throw MessageRefusal(431, "its head is longer than \(MessageLimits.headBytes) bytes")
        }
        return self.take(self.head.readableBytes - known).map { OpaqueBytes.escaped($0) }
    }

    /// One empty line before a request is nobody's: some clients send it behind a body (RFC 9112 §2.2).
    ///
    /// - Returns: Whether the head's first byte is there.
    private mutating func passesEmptyLine() throws(MessageRefusal) -> Bool {
        let view = self.waiting.readableBytesView
        guard view.first == UInt8(ascii: "\r"), !self.hasPassedEmptyLine else { return true }
        guard view.count > 1 else { return false }
        guard view[view.startIndex + 1] == UInt8(ascii: "\n") else { throw MessageRefusal(400, "a CR stands alone before it") }
        self.hasPassedEmptyLine = true
        self.waiting.moveReaderIndex(forwardBy: 2)
        return !self.isEmpty
    }

    private mutating func take(_ count: Int) -> ByteBuffer? {
        defer { if self.isEmpty { self.waiting = ByteBuffer() } }
        return self.waiting.readSlice(length: count)
    }

    /// What waits, for who takes over what is not HTTP any more.
    mutating func takeWaiting() -> ByteBuffer? {
        defer { self.waiting = ByteBuffer() }
        return self.isEmpty ? nil : self.waiting
    }
}

/// The lines of a head that have ended, as far as they are new.
private struct HeadLines {
    /// Where the first empty line ends, counted from the first byte.
    private(set) var end: Int?
    /// What the decoder overlooks: a line that LF alone ends, empty lines before the first, and blanks in the request line.
    private(set) var flaw: String?

    /// - Parameter position: Where in the head what is new begins.
    init(_ head: ByteBuffer, from position: Int) {
        head.readableBytesView.withContiguousStorageIfAvailable { self.look(at: $0, from: position) }
    }

    private mutating func look<Bytes: RandomAccessCollection<UInt8>>(at bytes: Bytes, from position: Int) where Bytes.Index == Int {
        var isInFirstLine = !bytes[..<position].contains(UInt8(ascii: "\n"))
        for index in position..<bytes.count where bytes[index] == UInt8(ascii: "\n") {
            guard index > 0, bytes[index - 1] == UInt8(ascii: "\r") else {
                self.flaw = "LF alone ends a line of its head"
                return
            }
            if isInFirstLine {
                isInFirstLine = false
                guard Self.isRequestLine(bytes[..<(index - 1)]) else {
                    self.flaw = "its first line is not a method, a target and a version with one blank between them"
                    return
                }
            }
            if index >= 3, bytes[index - 2] == UInt8(ascii: "\n"), bytes[index - 3] == UInt8(ascii: "\r") {
                self.end = index + 1
                return
            }
        }
    }

    /// Three words with one blank between them. Which version the third is, the decoder sees.
    private static func isRequestLine(_ line: some Collection<UInt8>) -> Bool {
        var (words, length) = (1, 0)
        for byte in line {
            if byte == UInt8(ascii: " ") {
                guard length > 0 else { return false }
                words += 1
                length = 0
            } else {
                guard byte > 0x1F, byte != 0x7F else { return false }
                length += 1
            }
        }
        return words == 3 && length == 8
    }
}
