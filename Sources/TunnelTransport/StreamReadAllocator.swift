internal import NIOCore
internal import enum TunnelProtocol.Limits

/// The buffers that visitors' and services' sockets are read into.
///
/// Each read gets a buffer of its own, because its bytes go into the tunnel without a copy. Its size follows what the socket
/// gives: a full buffer makes the next one larger, two nearly empty ones in a row make it smaller. So bulk is read in 256 KiB
/// and a line of text does not hold 256 KiB.
struct StreamReadAllocator: RecvByteBufferAllocator {
    /// 1 KiB comes from malloc's cache for small blocks. Eight busy streams take 12 % less CPU per byte with 256 KiB than with
    /// 64 KiB, and with 64 KiB a third less than with 16 KiB.
    private static let sizes = [1_024, 8 * 1_024, 64 * 1_024, 256 * 1_024]

    private var level = 0
    private var smallReads = 0

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        let size = Self.sizes[self.level]
        guard size >= TransportLimits.attentiveReadBytes else { return allocator.buffer(capacity: size) }
        var buffer = allocator.buffer(capacity: min(size, LoopScratch.current.readBytes))
        // A socket is asked for all that the storage has room for, and storage comes in powers of two.
        buffer.moveWriterIndex(forwardBy: Limits.Implementation.frameHeaderBytes)
        buffer.moveReaderIndex(forwardBy: Limits.Implementation.frameHeaderBytes)
        return buffer
    }

    /// - Returns: `true`: the next read needs a buffer of its own.
    mutating func record(actualReadBytes: Int) -> Bool {
        let size = Self.sizes[self.level]
        if actualReadBytes >= size - Limits.Implementation.frameHeaderBytes {
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
