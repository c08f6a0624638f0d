import Glibc

/// Visitors who come, have one byte echoed, and leave; each is followed by the next.
final class Arrivals {
    private struct Visitor {
        var descriptor: Int32 = -1
        var isConnected = false
        var begunAt: UInt64 = 0
    }

    /// Seconds without an echo after which a visitor is lost.
    private static let patience = 5.0

    private let port: Int
    private let poller: Poller
    private let block = Block(count: 64)
    private var visitors: [Visitor]
    private var times = Times()
    private var turn = 0

    /// - Parameter atOnce: Visitors at any time.
    init(port: Int, atOnce: Int) throws {
        self.port = port
        self.poller = try Poller()
        self.visitors = Array(repeating: Visitor(), count: atOnce)
    }

    deinit {
        for visitor in self.visitors where visitor.descriptor >= 0 { close(visitor.descriptor) }
    }

    func run(seconds: Double) throws -> Readings {
        let start = Clock.now
        let deadline = start + Clock.span(seconds)
        for index in self.visitors.indices { try self.arrive(index) }
        while Clock.now < deadline {
            for index in 0..<self.poller.wait(until: deadline) { try self.goOn(self.poller[index].token) }
            let now = Clock.now
            guard !self.visitors.contains(where: { now > $0.begunAt + Clock.span(Self.patience) }) else {
                throw Failure("a visitor had no echo within \(Self.patience) s")
            }
        }
        guard self.times.count > 0 else { throw Failure("no visitor had an echo within \(seconds) s") }
        let took = Clock.seconds(from: start, to: Clock.now)
        let quantiles = self.times.quantiles
        return [
            .perSecond: Double(self.times.count) / took,
            .count: Double(self.times.count),
            .median: quantiles.median,
            .percentile99: quantiles.percentile99,
        ]
    }

    private func arrive(_ index: Int) throws {
        let begunAt = Clock.now
        let descriptor = try Socket.connect(to: self.port, turn: self.turn)
        self.turn += 1
        self.visitors[index] = Visitor(descriptor: descriptor, begunAt: begunAt)
        try self.poller.add(descriptor, .write, token: index)
    }

    private func goOn(_ index: Int) throws {
        let descriptor = self.visitors[index].descriptor
        guard self.visitors[index].isConnected else {
            self.visitors[index].isConnected = true
            guard Request.echo.send(on: descriptor) else { throw Failure("a visitor was refused: \(Socket.lastError)") }
            self.poller.change(descriptor, .read, token: index)
            return
        }
        let count = Socket.receive(descriptor, into: self.block.bytes)
        guard count > 0 else {
            guard count < 0, Socket.mustWait else { throw Failure("a visitor was sent away without an echo") }
            return
        }
        self.times.add(Clock.now - self.visitors[index].begunAt)
        close(descriptor)
        try self.arrive(index)
    }
}
