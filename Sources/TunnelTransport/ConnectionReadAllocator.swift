internal import NIOCore

/// The buffer that a tunnel connection's socket is read into.
///
/// Its bytes are decrypted or copied at once, so the channel keeps one buffer and reads into it again and again; and it keeps it
/// while nothing comes. So a connection begins with a small one: a stranger who sends a byte, or a client that is idle, does
/// not hold what bulk needs. A buffer that is filled makes the next one larger, many nearly empty ones in a row make it smaller. The
/// largest is not used while the loop is attentive to small pieces.
struct ConnectionReadAllocator: RecvByteBufferAllocator {
    /// 2 KiB hold a request and a ClientHello. Two full reads on, the buffer is as large as bulk wants it.
    private static let sizes = [2 * 1_024, 32 * 1_024, TransportLimits.connectionReadBytes]

    /// Nearly empty reads in a row before the buffer shrinks: between two bursts of bulk there are a few.
    private static let patience = 16

    private var level = 0
    private var smallReads = 0
    /// What a buffer of the largest size is now.
    private var limit = TransportLimits.connectionReadBytes

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        allocator.buffer(capacity: min(Self.sizes[self.level], self.limit))
    }

    /// - Returns: Whether the next read needs another buffer than this one.
    mutating func record(actualReadBytes: Int) -> Bool {
        let before = min(Self.sizes[self.level], self.limit)
        self.limit = LoopScratch.current.readBytes
        let isOfAnotherSize = self.adapt(to: actualReadBytes, in: before)
        return isOfAnotherSize || min(Self.sizes[self.level], self.limit) != before
    }

    /// - Returns: Whether the level is another one now.
    private mutating func adapt(to actualReadBytes: Int, in size: Int) -> Bool {
        guard actualReadBytes * 8 < size else {
            self.smallReads = 0
            guard actualReadBytes >= size, self.level + 1 < Self.sizes.count else { return false }
            self.level += 1
            return true
        }
        guard self.level > 0 else { return false }
        self.smallReads += 1
        guard self.smallReads == Self.patience else { return false }
        self.smallReads = 0
        self.level -= 1
        return true
    }
}
