import Foundation

/// A TCP service inside the test: it either serves each connection on a thread, or hands them to the test.
final class Service: @unchecked Sendable {
    let port: UInt16
    private let descriptor: Int32
    private let condition = NSCondition()
    private var waiting: [Connection] = []
    private var all: [Connection] = []
    private var isClosed = false
    private var hasLeft = false

    /// - Parameters:
    ///   - port: 0 for any.
    ///   - serve: Runs on a thread of the connection's own. Without it the test takes connections with `accept`.
    init(port: UInt16 = 0, serve: (@Sendable (Connection) throws -> Void)? = nil) throws {
        self.descriptor = socket(AF_INET, Connection.stream, 0)
        self.port = try Self.listen(self.descriptor, port)
        Thread.detachNewThread { self.acceptAll(serve) }
    }

    /// Gives back what it gets, and the end too.
    static func echo(port: UInt16 = 0) throws -> Service {
        try Service(port: port) { connection in
            while let bytes = try connection.receiveSome(atMost: 1 << 16) { try connection.send(bytes) }
            connection.finish()
        }
    }

    /// The next connection that arrived.
    func accept(within limit: TimeInterval = Patience.usual) throws -> Connection {
        let end = Date() + limit
        self.condition.lock()
        defer { self.condition.unlock() }
        while self.waiting.isEmpty {
            guard self.condition.wait(until: end) else { throw Failure("nobody connected to the service") }
        }
        return self.waiting.removeFirst()
    }

    func close() {
        let connections = self.condition.withLock {
            guard !self.isClosed else { return [Connection]() }
            self.isClosed = true
            shutdown(self.descriptor, Int32(SHUT_RDWR))
            // Its number may be somebody else's the moment it is closed: not while the other thread still waits on it.
            while !self.hasLeft { self.condition.wait() }
            Foundation.close(self.descriptor)
            return self.all
        }
        for connection in connections { connection.close() }
    }

    /// Whether a port could be listened on a moment ago.
    static func isFree(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Connection.stream, 0)
        guard (try? self.listen(descriptor, port)) != nil else { return false }
        Foundation.close(descriptor)
        return true
    }

    private func acceptAll(_ serve: (@Sendable (Connection) throws -> Void)?) {
        defer {
            self.condition.withLock {
                self.hasLeft = true
                self.condition.broadcast()
            }
        }
        while true {
            var arrival = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&arrival, 1, -1) > 0 else { continue }
            let descriptor = Spawner.shared.whileNothingStarts {
                let descriptor = Foundation.accept(self.descriptor, nil, nil)
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                return descriptor
            }
            if descriptor < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                return
            }
            // A served connection may be idle for as long as a test likes.
            let connection = Connection(adopting: descriptor, patience: serve == nil ? Patience.usual : 600)
            let isClosed = self.condition.withLock {
                self.all.append(connection)
                if serve == nil {
                    self.waiting.append(connection)
                    self.condition.broadcast()
                }
                return self.isClosed
            }
            guard !isClosed else { return connection.close() }
            if let serve {
                // A visitor that leaves early is no failure of the service's.
                Thread.detachNewThread { try? serve(connection) }
            }
        }
    }

    /// Binds a socket on loopback and listens.
    ///
    /// - Parameter port: 0 for any.
    /// - Returns: The port it got.
    static func listen(_ descriptor: Int32, _ port: UInt16) throws -> UInt16 {
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = Connection.loopback(port)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer -> Int32 in
                guard bind(descriptor, pointer, size) == 0, Foundation.listen(descriptor, 1_024) == 0 else { return -1 }
                return getsockname(descriptor, pointer, &size)
            }
        }
        guard code == 0 else {
            let why = Connection.lastError
            Foundation.close(descriptor)
            throw Failure("listening on port \(port): \(why)")
        }
        return UInt16(bigEndian: address.sin_port)
    }
}
