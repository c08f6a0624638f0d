/// The first byte of a connection says what the service does with it.
enum Request: UInt8 {
    /// Sends back whatever comes, this byte included.
    case echo = 0x45
    /// Sends without end.
    case source = 0x53
    /// Swallows whatever comes, and tells from time to time how much that was: 8 bytes, the machine's byte order.
    case sink = 0x4B
    /// Never reads again.
    case wall = 0x57

    /// - Returns: Whether the kernel took it.
    func send(on descriptor: Int32) -> Bool {
        withUnsafeBytes(of: self.rawValue) { Socket.send(descriptor, $0) } == 1
    }
}

/// Which way bulk flows, as a visitor sees it.
enum Direction: String, CaseIterable {
    /// From the service to the visitor.
    case down
    /// From the visitor to the service.
    case up
}
