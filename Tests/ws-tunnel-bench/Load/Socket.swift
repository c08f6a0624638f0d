import Glibc

/// TCP on loopback, by system calls alone: what the load costs is missing to the programs that are measured.
///
/// Nothing here blocks but `connect(to:)`; `send` and `receive` say -1 when the socket is full or empty.
enum Socket {
    /// Bytes sent or discarded in one call at most: enough that calls cost little, and at home in the cache.
    static let blockBytes = 256 * 1024

    /// A listener on any free port.
    static func listen() throws -> (descriptor: Int32, port: Int) {
        let descriptor = try Self.make()
        var address = Self.loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && Glibc.listen(descriptor, 4_096) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw Failure("cannot listen on loopback: \(Self.lastError)") }
        return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
    }

    /// Takes the next connection of a listener; nil when there is none.
    static func accept(_ listener: Int32) -> Int32? {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return nil }
        Self.sendAtOnce(descriptor)
        return descriptor
    }

    /// Begins to connect; the socket is writable once it is connected.
    ///
    /// - Parameter turn: Chooses one of 64 source addresses: one address has 28,000 ports, and each stays in use for a
    ///   minute after its connection.
    static func connect(to port: Int, turn: Int = 0) throws -> Int32 {
        let descriptor = try Self.make()
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, &one, socklen_t(MemoryLayout<Int32>.size))
        var source = Self.loopback(port: 0, host: UInt32(0x0100 + turn % 64))
        var target = Self.loopback(port: port)
        let result = Self.withAddress(&source) { bind(descriptor, $0, $1) } == 0
            ? Self.withAddress(&target) { Glibc.connect(descriptor, $0, $1) } : -1
        guard result == 0 || errno == EINPROGRESS else {
            let failure = Failure("cannot connect to port \(port): \(Self.lastError)")
            close(descriptor)
            throw failure
        }
        Self.sendAtOnce(descriptor)
        return descriptor
    }

    /// Whether anything listens there.
    static func listens(on port: Int) -> Bool {
        guard let descriptor = try? Self.connect(to: port) else { return false }
        defer { close(descriptor) }
        guard Self.wait(for: descriptor, POLLOUT, milliseconds: 1_000) else { return false }
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0
    }

    /// Whether a listener could be opened there just now.
    static func isFree(_ port: Int) -> Bool {
        guard let descriptor = try? Self.make() else { return false }
        defer { close(descriptor) }
        var address = Self.loopback(port: port)
        return Self.withAddress(&address) { bind(descriptor, $0, $1) } == 0
    }

    /// Below the range from which the kernel takes ports for outgoing connections, so that none of those takes it first.
    static func freePort() throws -> Int {
        for _ in 0..<100 {
            let port = Int.random(in: 20_000..<32_000)
            if Self.isFree(port) { return port }
        }
        throw Failure("no port from 20000 to 31999 is free")
    }

    /// - Returns: The bytes the kernel took, or -1.
    static func send(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
    }

    /// - Returns: The bytes received, 0 at the end of the stream, or -1.
    static func receive(_ descriptor: Int32, into bytes: UnsafeMutableRawBufferPointer) -> Int {
        recv(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_DONTWAIT))
    }

    /// Receives without copying anything out of the kernel (tcp(7), MSG_TRUNC).
    ///
    /// - Returns: The bytes thrown away, 0 at the end of the stream, or -1.
    static func discard(_ descriptor: Int32) -> Int {
        recv(descriptor, nil, Self.blockBytes, Int32(MSG_TRUNC) | Int32(MSG_DONTWAIT))
    }

    /// Whether -1 meant "not now".
    static var mustWait: Bool { errno == EAGAIN || errno == EINTR }

    static func wait(for descriptor: Int32, _ events: Int32, milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        return poll(&entry, 1, milliseconds) > 0
    }

    static var lastError: String { String(cString: strerror(errno)) }

    private static func make() throws -> Int32 {
        let kind = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        let descriptor = socket(AF_INET, Int32(kind), 0)
        guard descriptor >= 0 else { throw Failure("cannot open a socket: \(Self.lastError)") }
        return descriptor
    }

    private static func sendAtOnce(_ descriptor: Int32) {
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    /// 127.0.0.1, or another host of 127.0.0.0/16.
    private static func loopback(port: Int, host: UInt32 = 1) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = (0x7F00_0000 | host).bigEndian
        return address
    }

    private static func withAddress(_ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}
