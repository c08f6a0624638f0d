internal import NIOCore

/// The buffers that visitors' and services' sockets are read into.
///
/// Each read gets a buffer of its own, because its bytes go into the tunnel without a copy; in front of them is room for the
/// headers of the frame they become. A channel keeps the first buffer it was ever given, so the first is small.
struct StreamReadAllocator: RecvByteBufferAllocator {
    private var isFirst = true

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        guard !self.isFirst else { return allocator.buffer(capacity: Self.firstReadBytes) }
        var buffer = allocator.buffer(capacity: TransportLimits.streamReadBytes)
        buffer.moveWriterIndex(to: TransportLimits.headroomBytes)
        buffer.moveReaderIndex(to: TransportLimits.headroomBytes)
        return buffer
    }

    /// - Returns: `true`: the next read needs a buffer of its own.
    mutating func record(actualReadBytes: Int) -> Bool {
        self.isFirst = false
        return true
    }

    /// Enough for the first lines of most protocols.
    private static let firstReadBytes = 1_024
}
