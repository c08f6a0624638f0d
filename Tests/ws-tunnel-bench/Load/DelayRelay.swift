import Glibc

/// A long way between two ports: what arrives, bytes and ends, leaves a fixed time later. Bandwidth has no limit of its own.
final class DelayRelay {
    private enum Token {
        static let input = -1
        static let listener = -2
    }

    let port: Int
    private let listener: Int32
    private let target: Int
    /// Nanoseconds, one way.
    private let delay: UInt64
    private let poller: Poller
    /// By the token of either of its descriptors, halved; nil once it has ended.
    private var lines: [DelayedLine?] = []

    init(target: Int, delay seconds: Double) throws {
        self.target = target
        self.delay = Clock.span(seconds)
        (self.listener, self.port) = try Socket.listen()
        self.poller = try Poller()
        try self.poller.add(self.listener, .read, token: Token.listener)
        try self.poller.add(0, .read, token: Token.input)
    }

    /// Relays until standard input ends.
    func run() throws {
        while true {
            let deadline = self.lines.lazy.compactMap { $0?.nextDue }.min()
            for index in 0..<self.poller.wait(until: deadline) {
                let (token, ready) = self.poller[index]
                switch token {
                case Token.input: return
                case Token.listener: try self.accept()
                default: self.read(token, ready)
                }
            }
            let now = Clock.now
            for index in self.lines.indices { self.forward(index, now) }
        }
    }

    private func accept() throws {
        while let near = Socket.accept(self.listener) {
            let far = try Socket.connect(to: self.target)
            let place = self.lines.firstIndex { $0 == nil } ?? self.lines.endIndex
            if place == self.lines.endIndex { self.lines.append(nil) }
            self.lines[place] = try DelayedLine(near, far, poller: self.poller, token: place * 2)
        }
    }

    private func read(_ token: Int, _ ready: Poller.Interest) {
        guard let line = self.lines[token / 2] else { return }
        if !ready.isDisjoint(with: [.read, .failure]) {
            line.read(side: token % 2, due: Clock.now + self.delay, isDead: !ready.isDisjoint(with: .failure))
        }
    }

    private func forward(_ index: Int, _ now: UInt64) {
        guard let line = self.lines[index] else { return }
        line.forward(now)
        if line.hasEnded { self.lines[index] = nil }
    }
}
