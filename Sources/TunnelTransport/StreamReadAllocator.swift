internal import NIOCore

/// The buffers that visitors' and services' sockets are read into.
///
/// Each read gets a buffer of its own, because its bytes go into the tunnel without a copy; in front of them is room for the
/// headers of the frame they become. Its size follows what the socket gives: a full buffer makes the next one larger, two
/// nearly empty ones in a row make it smaller. So bulk is read in 64 KiB and a line of text does not hold 64 KiB.
struct StreamReadAllocator: RecvByteBufferAllocator {
    /// 1 KiB comes from malloc's cache for small blocks.
    private static let sizes = [1_024, 8 * 1_024, TransportLimits.streamReadBytes]

    private var level = 0
    private var smallReads = 0

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        var buffer = allocator.buffer(capacity: Self.sizes[self.level])
        buffer.moveWriterIndex(to: TransportLimits.headroomBytes)
        buffer.moveReaderIndex(to: TransportLimits.headroomBytes)
        return buffer
    }

    /// - Returns: `true`: the next read needs a buffer of its own.
    mutating func record(actualReadBytes: Int) -> Bool {
        let size = Self.sizes[self.level]
        if actualReadBytes >= size - TransportLimits.headroomBytes {
            self.level = min(self.level + 1, Self.sizes.count - 1)
            self.smallReads = 0
        } else if actualReadBytes * 8 < size, self.level > 0 {
            self.smallReads += 1
            if self.smallReads == 2 {
                self.level -= 1
                self.smallReads = 0
            }
        } else {
            self.smallReads = 0
        }
        return true
    }
}
