import Foundation

/// A TCP connection with a deadline on everything: a visitor's, or a service's side of one.
final class Connection: @unchecked Sendable {
    /// How the other side left.
    enum End: Equatable {
        case endOfFile
        case reset
        /// It did not, in time.
        case none
    }

    private let descriptor: Int32
    private let patience: TimeInterval
    private let lock = NSLock()
    private var isClosed = false

    init(adopting descriptor: Int32, patience: TimeInterval = Patience.usual) {
        self.descriptor = descriptor
        self.patience = patience
        self.setPatience(patience)
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    /// To a port of this machine.
    convenience init(to port: UInt16, receiveBuffer: Int32? = nil) throws {
        let descriptor = socket(AF_INET, Self.stream, 0)
        guard descriptor >= 0 else { throw Failure("socket: \(Self.lastError)") }
        if var size = receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = Self.loopback(port)
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else {
            let why = Self.lastError
            Foundation.close(descriptor)
            throw Failure("connecting to port \(port): \(why)")
        }
        self.init(adopting: descriptor)
    }

    deinit { self.close() }

    /// Of this end.
    var localPort: UInt16 {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(self.descriptor, $0, &size) }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    // MARK: Bytes

    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.send(self.descriptor, $0.baseAddress, $0.count, Self.noSignal) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure("send: \(Self.lastError)") }
            rest = rest.dropFirst(count)
        }
    }

    func send(_ text: String) throws { try self.send(Array(text.utf8)) }

    /// Sends what the other side takes within `limit`; returns the bytes it took.
    func offer(_ bytes: [UInt8], within limit: TimeInterval) -> Int {
        self.setPatience(limit)
        defer { self.setPatience(self.patience) }
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Foundation.send(self.descriptor, $0.baseAddress, $0.count, Self.noSignal) }
            guard count > 0 else { break }
            sent += count
        }
        return sent
    }

    /// Exactly so many bytes.
    func receive(_ count: Int) throws -> [UInt8] {
        var result: [UInt8] = []
        while result.count < count {
            guard let part = try self.receiveSome(atMost: count - result.count) else {
                throw Failure("the connection ended after \(result.count) of \(count) bytes")
            }
            result += part
        }
        return result
    }

    /// Reads and forgets; returns how many of so many bytes came before the end.
    func count(upTo limit: Int) throws -> Int {
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        var total = 0
        while total < limit {
            let count = recv(self.descriptor, &chunk, min(chunk.count, limit - total), 0)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Failure("receive: \(Self.lastError)") }
            guard count > 0 else { break }
            total += count
        }
        return total
    }

    func receiveText(_ count: Int) throws -> String { String(decoding: try self.receive(count), as: UTF8.self) }

    /// Until the other side finishes.
    func receiveToEnd() throws -> [UInt8] {
        var result: [UInt8] = []
        while let part = try self.receiveSome(atMost: 1 << 20) { result += part }
        return result
    }

    /// Reads and forgets what still comes until the connection ends.
    func awaitEnd(within limit: TimeInterval = Patience.usual) -> End {
        let end = Date() + limit
        self.setPatience(limit)
        defer { self.setPatience(self.patience) }
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while Date() < end {
            let count = recv(self.descriptor, &chunk, chunk.count, 0)
            if count == 0 { return .endOfFile }
            if count > 0 || errno == EINTR { continue }
            return errno == ECONNRESET || errno == EPIPE ? .reset : .none
        }
        return .none
    }

    /// What is there, waiting for the first of it; `nil` at the end.
    func receiveSome(atMost limit: Int) throws -> [UInt8]? {
        var chunk = [UInt8](repeating: 0, count: min(limit, 1 << 18))
        while true {
            let count = recv(self.descriptor, &chunk, chunk.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Failure("receive: \(Self.lastError)") }
            return count == 0 ? nil : Array(chunk[..<count])
        }
    }

    /// Whether something to read comes in time.
    func hasBytes(within limit: TimeInterval) -> Bool {
        var arrival = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&arrival, 1, Int32(limit * 1_000)) > 0
    }

    // MARK: Ends

    /// No more bytes from here; the other direction stays open.
    func finish() { shutdown(self.descriptor, Int32(SHUT_WR)) }

    /// Leaves with a reset.
    func reset() {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        self.close()
    }

    func close() {
        self.lock.withLock {
            guard !self.isClosed else { return }
            self.isClosed = true
            // Wakes a thread that waits in it; the reset's linger stays in force.
            var now = linger()
            var size = socklen_t(MemoryLayout<linger>.size)
            getsockopt(self.descriptor, SOL_SOCKET, SO_LINGER, &now, &size)
            if now.l_onoff == 0 { shutdown(self.descriptor, Int32(SHUT_RDWR)) }
            Foundation.close(self.descriptor)
        }
    }

    private func setPatience(_ limit: TimeInterval) {
        var time = timeval()
        time.tv_sec = Int(limit)
        time.tv_usec = .init((limit - limit.rounded(.down)) * 1e6)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(self.descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    // MARK: The system's

    static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
    }

    static var lastError: String { String(cString: strerror(errno)) }

    #if os(Linux)
    static let stream = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    static let noSignal = Int32(MSG_NOSIGNAL)
    #else
    static let stream = SOCK_STREAM
    static let noSignal: Int32 = 0
    #endif
}
