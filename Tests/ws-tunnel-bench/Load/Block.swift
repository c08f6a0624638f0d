/// One buffer that lives as long as its process: received bytes nobody looks at, or sent bytes that all look alike.
final class Block {
    let bytes: UnsafeMutableRawBufferPointer

    init(count: Int = Socket.blockBytes) {
        self.bytes = .allocate(byteCount: count, alignment: 64)
        self.bytes.initializeMemory(as: UInt8.self, repeating: Request.echo.rawValue)
    }

    deinit {
        self.bytes.deallocate()
    }

    func first(_ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(self.bytes)[..<count])
    }
}
