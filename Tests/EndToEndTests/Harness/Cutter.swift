import Foundation

/// A TCP relay between client and server that loses their connections when a test says so.
///
///     client ──▶ cutter ──▶ server
///
/// It knows nothing of what it carries. One thread owns all descriptors and does what it is told between two rounds, so
/// an order has been carried out when its call returns.
final class Cutter: @unchecked Sendable {
    /// How both sides learn that their connection is gone.
    enum Way: Sendable, CaseIterable {
        case reset
        /// End of file, without a word before it.
        case finish
    }

    /// Which of the connections that are open.
    enum Choice: Sendable {
        case all
        case oldest
        case newest
    }

    let port: UInt16
    private let listener: Int32
    private let target: UInt16
    private let bell: (listening: Int32, ringing: Int32)
    private let lock = NSLock()
    private var orders: [() -> Void] = []

    // The thread's own from here on.
    private var pairs: [Pair] = []
    private var leaving: [Int32] = []
    private var arrivals: [(descriptor: Int32, since: Date)] = []
    private var isStalled = false
    private var isRefusing = false
    private var isClosed = false
    private var delay: TimeInterval = 0
    private var idleLimit: TimeInterval?
    private var accepted = 0
    private var forwarded = 0
    /// A cut that waits for its byte.
    private var planned: (way: Way, at: Int, done: DispatchSemaphore)?
    private var chunk = [UInt8](repeating: 0, count: 1 << 18)

    init(to target: UInt16) throws {
        self.target = target
        self.listener = socket(AF_INET, Connection.stream, 0)
        self.port = try Service.listen(self.listener, 0)
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Connection.stream, 0, &ends) == 0 else { throw Failure("socketpair: \(Connection.lastError)") }
        self.bell = (ends[0], ends[1])
        for descriptor in [self.listener, ends[0], ends[1]] { Self.prepare(descriptor) }
        Thread.detachNewThread { while self.round() {} }
    }

    // MARK: Orders

    /// Ends connections now, with whatever they had under way.
    ///
    /// - Returns: How many there were.
    /// - Throws: When there was none: a test that cuts nothing would pass for nothing.
    @discardableResult
    func cut(_ way: Way = .reset, _ choice: Choice = .all) throws -> Int {
        let count = self.ordered { self.end(way, choice) }
        guard count > 0 else { throw Failure("the relay has no connection to cut") }
        return count
    }

    /// Waits until so many bytes more have passed, both directions together, and cuts behind the last of them: wherever in
    /// a record, a message or a frame that is.
    func cut(_ way: Way = .reset, after bytes: Int, within limit: TimeInterval = Patience.long) throws {
        let done = DispatchSemaphore(value: 0)
        self.ordered { self.planned = (way, self.forwarded + bytes, done) }
        guard done.wait(timeout: .now() + limit) == .success else {
            self.ordered { self.planned = nil }
            throw Failure("the relay waited for \(bytes) bytes in vain")
        }
    }

    /// Cuts at fixed times; the first time after one interval.
    func cut(_ way: Way = .reset, every interval: TimeInterval, times: Int) throws {
        let start = Date()
        for time in 1...times {
            Thread.sleep(until: start + interval * Double(time))
            try self.cut(way)
        }
    }

    /// Whether every connection stays open and nothing passes any more, not even its end.
    func stall(_ isOn: Bool) { self.ordered { self.isStalled = isOn } }

    /// Whether new connections are turned away, with a reset.
    func refuse(_ isOn: Bool) { self.ordered { self.isRefusing = isOn } }

    /// How long connections wait before they lead anywhere; those that wait already have waited for a part of it.
    func delay(_ time: TimeInterval) { self.ordered { self.delay = time } }

    /// How long a connection may carry nothing before it is finished, as many load balancers have it.
    func limitIdleness(to limit: TimeInterval) { self.ordered { self.idleLimit = limit } }

    /// How many connections there were so far, and how many are open.
    var connections: (total: Int, open: Int) { self.ordered { (self.accepted, self.pairs.count) } }

    /// How many connections wait to lead anywhere.
    var waiting: Int { self.ordered { self.arrivals.count } }

    /// Bytes that passed, both directions together.
    var bytes: Int { self.ordered { self.forwarded } }

    func close() {
        self.ordered {
            self.end(.reset, .all)
            for descriptor in self.leaving + self.arrivals.map(\.descriptor) + [self.listener] { Foundation.close(descriptor) }
            self.isClosed = true
        }
    }

    private func ordered<Value>(_ body: @escaping () -> Value) -> Value {
        nonisolated(unsafe) var value: Value?
        let done = DispatchSemaphore(value: 0)
        self.lock.withLock {
            self.orders.append {
                value = body()
                done.signal()
            }
        }
        _ = write(self.bell.ringing, [1], 1)
        done.wait()
        return value!
    }

    // MARK: The thread

    private func round() -> Bool {
        var watched = [
            pollfd(fd: self.bell.listening, events: Int16(POLLIN), revents: 0),
            pollfd(fd: self.listener, events: Int16(POLLIN), revents: 0),
        ]
        watched += self.leaving.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        for pair in self.pairs {
            watched.append(Self.watch(pair.near, reads: pair.up, writes: pair.down, unless: self.isStalled))
            watched.append(Self.watch(pair.far, reads: pair.down, writes: pair.up, unless: self.isStalled))
        }
        let dues = self.arrivals.map { $0.since + self.delay } + (self.idleLimit.map { limit in self.pairs.map { $0.lastActive + limit } } ?? [])
        let next = dues.min().map { max(0, Int32($0.timeIntervalSinceNow * 1_000) + 1) } ?? -1
        guard poll(&watched, nfds_t(watched.count), next) >= 0 || errno == EINTR else { return true }

        let orders = self.lock.withLock {
            defer { self.orders = [] }
            _ = recv(self.bell.listening, &self.chunk, self.chunk.count, 0)
            return self.orders
        }
        for order in orders { order() }
        guard !self.isClosed else {
            Foundation.close(self.bell.listening)
            return false
        }
        if watched[1].revents != 0 { self.accept() }
        self.dial()
        self.forget()
        guard !self.isStalled else { return true }
        for pair in self.pairs { self.carry(pair) }
        if let limit = self.idleLimit {
            for pair in self.pairs where !pair.isOver && pair.lastActive + limit <= Date() { self.finish(pair) }
        }
        self.pairs.removeAll { $0.isOver }
        return true
    }

    private static func watch(_ descriptor: Int32, reads: Half, writes: Half, unless isStalled: Bool) -> pollfd {
        var events: Int32 = 0
        if reads.isReading { events |= Int32(POLLIN) }
        if !writes.bytes.isEmpty { events |= Int32(POLLOUT) }
        // A descriptor that nothing is expected of would still announce its end, again and again.
        return pollfd(fd: events == 0 || isStalled ? -1 : descriptor, events: Int16(events), revents: 0)
    }

    private func accept() {
        while true {
            let descriptor = Spawner.shared.whileNothingStarts {
                let descriptor = Foundation.accept(self.listener, nil, nil)
                if descriptor >= 0 { Self.prepare(descriptor) }
                return descriptor
            }
            guard descriptor >= 0 else { break }
            if self.isRefusing {
                Self.reset(descriptor)
            } else {
                self.arrivals.append((descriptor, Date()))
            }
        }
    }

    private func dial() {
        let now = Date()
        for arrival in self.arrivals where arrival.since + self.delay <= now {
            let far = socket(AF_INET, Connection.stream, 0)
            var address = Connection.loopback(self.target)
            let code = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(far, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
            }
            guard code == 0 else {
                Foundation.close(far)
                Self.reset(arrival.descriptor)
                continue
            }
            Self.prepare(far)
            self.accepted += 1
            self.pairs.append(Pair(near: arrival.descriptor, far: far))
        }
        self.arrivals.removeAll { $0.since + self.delay <= now }
    }

    /// Connections that were finished wait for the other side's end, so that no unread byte turns the end into a reset.
    private func forget() {
        self.leaving.removeAll { descriptor in
            while true {
                let count = recv(descriptor, &self.chunk, self.chunk.count, 0)
                if count > 0 { continue }
                if count < 0, errno == EAGAIN || errno == EINTR { return false }
                Foundation.close(descriptor)
                return true
            }
        }
    }

    private func carry(_ pair: Pair) {
        for isUp in [true, false] where !pair.isOver {
            let (from, to) = isUp ? (pair.near, pair.far) : (pair.far, pair.near)
            let half = isUp ? pair.up : pair.down
            if half.isReading {
                let count = recv(from, &self.chunk, self.chunk.count, 0)
                if count > 0 {
                    half.bytes = self.chunk[..<count]
                } else if count == 0 {
                    half.isFinished = true
                    shutdown(to, Int32(SHUT_WR))
                } else if errno != EAGAIN, errno != EINTR {
                    pair.reset()
                    break
                }
            }
            guard !half.bytes.isEmpty else { continue }
            let allowed = self.planned.map { $0.at - self.forwarded } ?? .max
            let count = half.bytes.prefix(allowed).withUnsafeBytes { send(to, $0.baseAddress, $0.count, Connection.noSignal) }
            if count > 0 {
                half.bytes = half.bytes.dropFirst(count)
                self.forwarded += count
                pair.lastActive = Date()
            } else if errno != EAGAIN, errno != EINTR {
                pair.reset()
            }
            if let planned = self.planned, planned.at <= self.forwarded {
                self.planned = nil
                self.end(planned.way, .all)
                planned.done.signal()
            }
        }
        if pair.up.isOver, pair.down.isOver, !pair.isOver {
            // Both sides finished by themselves.
            pair.isOver = true
            Foundation.close(pair.near)
            Foundation.close(pair.far)
        }
    }

    @discardableResult
    private func end(_ way: Way, _ choice: Choice) -> Int {
        let open = self.pairs.filter { !$0.isOver }
        let chosen = switch choice {
        case .all: open
        case .oldest: Array(open.prefix(1))
        case .newest: Array(open.suffix(1))
        }
        for pair in chosen {
            switch way {
            case .reset: pair.reset()
            case .finish: self.finish(pair)
            }
        }
        self.pairs.removeAll { $0.isOver }
        return chosen.count
    }

    private func finish(_ pair: Pair) {
        pair.isOver = true
        for descriptor in [pair.near, pair.far] { shutdown(descriptor, Int32(SHUT_WR)) }
        self.leaving += [pair.near, pair.far]
    }

    private static func prepare(_ descriptor: Int32) {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    fileprivate static func reset(_ descriptor: Int32) {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        Foundation.close(descriptor)
    }

    /// One direction.
    private final class Half {
        /// Read and not yet written.
        var bytes: ArraySlice<UInt8> = []
        /// Whether its sender has no more.
        var isFinished = false
        var isReading: Bool { !self.isFinished && self.bytes.isEmpty }
        var isOver: Bool { self.isFinished && self.bytes.isEmpty }
    }

    /// A client's connection and ours to the server.
    private final class Pair {
        let near: Int32
        let far: Int32
        let up = Half()
        let down = Half()
        var isOver = false
        var lastActive = Date()

        init(near: Int32, far: Int32) {
            self.near = near
            self.far = far
        }

        func reset() {
            self.isOver = true
            for descriptor in [self.near, self.far] { Cutter.reset(descriptor) }
        }
    }
}
