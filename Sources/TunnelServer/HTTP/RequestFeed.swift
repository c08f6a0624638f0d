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
    /// What has come and has not been given to the decoder: at most a head's limit, and one read of the socket.
    private(set) var waiting = ByteBuffer()
    /// The head that the decoder got last: for who takes the connection over with it.
    private(set) var head = ByteBuffer()
    /// Bytes of `waiting` that are a head's and do not end it.
    private var scanned = 0
    private var guarded = HeadGuard()
    private var chunks = ChunkScan()

    /// Bytes of a body that go to the decoder, and to the tunnel, in one go.
    private static let sliceBytes = 64 * 1024

    var isEmpty: Bool { self.waiting.readableBytes == 0 }

    mutating func append(_ bytes: ByteBuffer) {
        if self.waiting.readableBytes == 0 {
            // A copy: the transport's buffer is everybody's.
            self.waiting = ByteBuffer(bytes: bytes.readableBytesView)
        } else {
            self.waiting.writeImmutableBuffer(bytes)
        }
    }

    /// The head that the decoder has got says what follows it.
    mutating func headEnded(_ body: BodyLength) {
        switch body {
        case .none, .bytes(0): self.expected = .head
        case .bytes(let count): self.expected = .bytes(count)
        case .unknown:
            self.expected = .chunks
            self.chunks = ChunkScan()
        }
    }

    /// - Returns: What the decoder gets next: a whole head, or part of a body. `nil` until more has come.
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
        }
        return self.waiting.readSlice(length: count)
    }

    private mutating func nextHead() throws(MessageRefusal) -> ByteBuffer? {
        let view = self.waiting.readableBytesView
        // The empty line may have begun in what was here before.
        let start = view.startIndex + max(0, self.scanned - 3)
        guard let end = Self.endOfHead(view[start...]) else {
            guard view.count <= MessageLimits.headBytes else { throw Self.tooLong }
            if let new = self.waiting.getSlice(at: view.startIndex + self.scanned, length: view.count - self.scanned) {
                try self.guarded.check(new)
            }
            self.scanned = view.count
            return nil
        }
        let count = end - view.startIndex
        guard count <= MessageLimits.headBytes else { throw Self.tooLong }
        if let new = self.waiting.getSlice(at: view.startIndex + self.scanned, length: count - self.scanned) {
            try self.guarded.check(new)
        }
        self.scanned = 0
        self.head = self.waiting.readSlice(length: count) ?? ByteBuffer()
        return self.head
    }

    /// What waits, for who takes over what is not HTTP any more.
    mutating func takeWaiting() -> ByteBuffer? {
        defer { self.waiting = ByteBuffer() }
        return self.isEmpty ? nil : self.waiting
    }

    private static let tooLong = MessageRefusal(431, "its head is longer than \(MessageLimits.headBytes) bytes")

    /// Where the first empty line ends.
    private static func endOfHead(_ bytes: ByteBufferView) -> Int? {
        var index = bytes.startIndex
        while let feed = bytes[index...].firstIndex(of: UInt8(ascii: "\n")) {
            if feed >= bytes.startIndex + 3, bytes[feed - 1] == UInt8(ascii: "\r"), bytes[feed - 2] == UInt8(ascii: "\n"),
                bytes[feed - 3] == UInt8(ascii: "\r")
            {
                return feed + 1
            }
            index = feed + 1
        }
        return nil
    }
}
