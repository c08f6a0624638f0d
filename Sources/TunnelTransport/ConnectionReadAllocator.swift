internal import NIOCore

/// The buffers that tunnel connections' sockets are read into.
///
/// Their bytes are decrypted or copied at once, so all connections of a loop read into one large buffer in turn: an idle connection
/// holds none of it, and a stranger who sends a byte costs what the first read needs. `TransportHandler` gives the buffer back after
/// each read; nobody else reads from such a socket.
struct ConnectionReadAllocator: RecvByteBufferAllocator {
    /// For the first read, whose buffer the channel keeps for good: a request or a ClientHello.
    static let firstBytes = 2 * 1_024

    private var hasRead = false

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        self.hasRead ? LoopScratch.current.takeRead() : allocator.buffer(capacity: Self.firstBytes)
    }

    /// - Returns: `true`: the next read does not use the buffer that the channel has kept.
    mutating func record(actualReadBytes: Int) -> Bool {
        self.hasRead = true
        return true
    }
}
