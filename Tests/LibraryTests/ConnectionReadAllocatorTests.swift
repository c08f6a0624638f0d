import NIOCore
import Testing

@testable import TunnelTransport

@Suite struct ConnectionReadAllocatorTests {
    private func capacity(_ allocator: ConnectionReadAllocator) -> Int {
        allocator.buffer(allocator: ByteBufferAllocator()).capacity
    }

    /// How often so many reads of so many bytes ask for another buffer.
    private func changes(_ allocator: inout ConnectionReadAllocator, reads: Int, of bytes: Int) -> Int {
        var changes = 0
        for _ in 0..<reads where allocator.record(actualReadBytes: bytes) { changes += 1 }
        return changes
    }

    @Test func `a stranger's bytes cost a small buffer`() {
        var allocator = ConnectionReadAllocator()
        let changes = self.changes(&allocator, reads: 100, of: 1)
        #expect(changes == 0)
        #expect(self.capacity(allocator) == 2_048)
    }

    @Test func `bulk gets its large buffer with the third read, and keeps it through a lull`() {
        var allocator = ConnectionReadAllocator()
        var changes = self.changes(&allocator, reads: 1, of: 2_048) + self.changes(&allocator, reads: 1, of: 32_768)
        #expect(changes == 2)
        #expect(self.capacity(allocator) >= TransportLimits.connectionReadBytes)
        changes = self.changes(&allocator, reads: 15, of: 100) + self.changes(&allocator, reads: 1, of: 100_000)
        changes += self.changes(&allocator, reads: 15, of: 100)
        #expect(changes == 0)
    }

    @Test func `a connection that has become quiet gives its large buffer back`() {
        var allocator = ConnectionReadAllocator()
        _ = self.changes(&allocator, reads: 1, of: 2_048)
        _ = self.changes(&allocator, reads: 1, of: 32_768)
        let changes = self.changes(&allocator, reads: 32, of: 20)
        #expect(changes == 2)
        #expect(self.capacity(allocator) == 2_048)
    }
}
