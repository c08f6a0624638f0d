import Glibc

/// The service behind every tunnel: what it does with a connection stands in `Request`.
final class Backend {
    private struct Visit {
        var request: Request?
        var received: UInt64 = 0
        var lastReport: UInt64 = 0
    }

    private enum Token {
        static let input = -1
        static let listener = -2
    }

    /// Nanoseconds between two reports of a sink: half a percent of a second's measurement.
    private static let reportInterval: UInt64 = 5_000_000

    let port: Int
    private let listener: Int32
    private let poller: Poller
    /// By descriptor.
    private var visits: [Visit] = []
    private let block = Block()

    init() throws {
        (self.listener, self.port) = try Socket.listen()
        self.poller = try Poller()
        try self.poller.add(self.listener, .read, token: Token.listener)
        try self.poller.add(0, .read, token: Token.input)
    }

    /// Serves until standard input ends.
    func run() throws {
        while true {
            for index in 0..<self.poller.wait() {
                let (token, ready) = self.poller[index]
                switch token {
                case Token.input: return
                case Token.listener: try self.accept()
                default: self.serve(Int32(token), ready)
                }
            }
        }
    }

    private func accept() throws {
        while let descriptor = Socket.accept(self.listener) {
            while self.visits.count <= Int(descriptor) { self.visits.append(Visit()) }
            self.visits[Int(descriptor)] = Visit()
            try self.poller.add(descriptor, .read, token: Int(descriptor))
        }
    }

    private func serve(_ descriptor: Int32, _ ready: Poller.Interest) {
        guard let request = self.visits[Int(descriptor)].request else { return self.begin(descriptor) }
        switch request {
        case .echo: self.echo(descriptor)
        case .sink: self.swallow(descriptor)
        case .source:
            guard ready.isDisjoint(with: [.end, .failure]) else { return self.end(descriptor) }
            self.pour(descriptor)
        case .wall: self.end(descriptor)
        }
    }

    private func begin(_ descriptor: Int32) {
        let count = Socket.receive(descriptor, into: self.block.bytes)
        guard count > 0 else {
            if count == 0 || !Socket.mustWait { self.end(descriptor) }
            return
        }
        guard let request = Request(rawValue: self.block.bytes[0]) else { return self.end(descriptor) }
        self.visits[Int(descriptor)].request = request
        self.visits[Int(descriptor)].received = UInt64(count)
        switch request {
        case .echo: self.answer(descriptor, count)
        case .source: self.poller.change(descriptor, [.write, .end], token: Int(descriptor))
        case .wall: self.poller.change(descriptor, .end, token: Int(descriptor))
        case .sink: break
        }
    }

    private func echo(_ descriptor: Int32) {
        let count = Socket.receive(descriptor, into: self.block.bytes)
        if count > 0 { return self.answer(descriptor, count) }
        if count == 0 || !Socket.mustWait { self.end(descriptor) }
    }

    /// A visitor waits for its answer before it says more, so there is always room; where not, it is told by the end.
    private func answer(_ descriptor: Int32, _ count: Int) {
        if Socket.send(descriptor, self.block.first(count)) != count { self.end(descriptor) }
    }

    private func pour(_ descriptor: Int32) {
        if Socket.send(descriptor, UnsafeRawBufferPointer(self.block.bytes)) < 0, !Socket.mustWait { self.end(descriptor) }
    }

    private func swallow(_ descriptor: Int32) {
        let count = Socket.discard(descriptor)
        guard count > 0 else {
            if count == 0 || !Socket.mustWait { self.end(descriptor) }
            return
        }
        let now = Clock.now
        let total = self.visits[Int(descriptor)].received + UInt64(count)
        self.visits[Int(descriptor)].received = total
        guard now - self.visits[Int(descriptor)].lastReport >= Self.reportInterval else { return }
        self.visits[Int(descriptor)].lastReport = now
        let sent = withUnsafeBytes(of: total) { Socket.send(descriptor, $0) }
        if sent != 8, sent >= 0 || !Socket.mustWait { self.end(descriptor) }
    }

    private func end(_ descriptor: Int32) {
        close(descriptor)
    }
}
