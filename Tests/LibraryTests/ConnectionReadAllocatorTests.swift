import NIOCore
import Testing

@testable import TunnelTransport

@Suite struct ConnectionReadAllocatorTests {
    @Test func `the first read of a stranger costs a small buffer, and bulk is read into one that is used again and again`() {
        var allocator = ConnectionReadAllocator()
        #expect(allocator.buffer(allocator: ByteBufferAllocator()).capacity == ConnectionReadAllocator.firstBytes)
        var storage: Set<UnsafeRawPointer> = []
        for _ in 0..<3 {
            // NIO keeps the first buffer unless it is told each time that another one is wanted.
            let isAnother = allocator.record(actualReadBytes: 1)
            #expect(isAnother)
            var buffer = allocator.buffer(allocator: ByteBufferAllocator())
            #expect(buffer.readableBytes == 0 && buffer.writableBytes >= TransportLimits.connectionReadBytes)
            buffer.writeInteger(UInt8(1))
            buffer.withUnsafeReadableBytes { _ = $0.baseAddress.map { storage.insert($0) } }
            LoopScratch.current.give(read: buffer)
        }
        #expect(storage.count == 1)

        // While somebody waits for small pieces, a read brings no more than passes quickly.
        LoopScratch.current.payAttention()
        let buffer = LoopScratch.current.takeRead()
        #expect(buffer.readableBytes == 0 && buffer.writableBytes == TransportLimits.attentiveReadBytes)
    }
}
