import Glibc

/// Visitors who send 64 bytes, wait until they are back, and send the next.
final class RoundTrips {
    private struct Visitor {
        let descriptor: Int32
        var missing = RoundTrips.bytes
        var sentAt: UInt64 = 0
    }

    private static let bytes = 64

    private let poller: Poller
    private let block = Block(count: RoundTrips.bytes)
    private var visitors: [Visitor] = []
    private var times = Times()

    init(port: Int, visitors: Int) throws {
        self.poller = try Poller()
        for index in 0..<visitors {
            let descriptor = try Socket.connect(to: port)
            self.visitors.append(Visitor(descriptor: descriptor))
            try self.poller.add(descriptor, .write, token: index)
        }
    }

    deinit {
        for visitor in self.visitors { close(visitor.descriptor) }
    }

    /// Runs for `warmUp` seconds, then measures for `seconds`.
    func run(warmUp: Double, seconds: Double) throws -> Readings {
        try self.trip(until: Clock.now + Clock.span(warmUp))
        let before = self.times.count
        self.times = Times()
        let start = Clock.now
        try self.trip(until: start + Clock.span(seconds))
        let took = Clock.seconds(from: start, to: Clock.now)
        guard self.times.count > 0 else { throw Failure("nothing came back within \(seconds) s") }
        let quantiles = self.times.quantiles
        return [
            .perSecond: Double(self.times.count) / took,
            .count: Double(before + self.times.count),
            .median: quantiles.median,
            .percentile99: quantiles.percentile99,
        ]
    }

    private func trip(until deadline: UInt64) throws {
        while Clock.now < deadline {
            for index in 0..<self.poller.wait(until: deadline) {
                let (token, ready) = self.poller[index]
                try self.trip(token, isBegin: ready.contains(.write))
            }
        }
    }

    private func trip(_ index: Int, isBegin: Bool) throws {
        let descriptor = self.visitors[index].descriptor
        if isBegin {
            self.poller.change(descriptor, .read, token: index)
            return try self.send(index, descriptor, now: Clock.now)
        }
        let count = Socket.receive(descriptor, into: self.block.bytes)
        guard count > 0 else {
            guard count < 0, Socket.mustWait else { throw Failure("a stream ended between two round trips") }
            return
        }
        self.visitors[index].missing -= count
        guard self.visitors[index].missing <= 0 else { return }
        let now = Clock.now
        self.times.add(now - self.visitors[index].sentAt)
        try self.send(index, descriptor, now: now)
    }

    private func send(_ index: Int, _ descriptor: Int32, now: UInt64) throws {
        self.visitors[index].missing = Self.bytes
        self.visitors[index].sentAt = now
        guard Socket.send(descriptor, UnsafeRawBufferPointer(self.block.bytes)) == Self.bytes else {
            throw Failure("\(Self.bytes) bytes could not be sent: \(Socket.lastError)")
        }
    }
}
