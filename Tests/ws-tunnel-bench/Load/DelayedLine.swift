import Glibc

/// Both directions of one connection through the relay.
final class DelayedLine {
    private let descriptors: [Int32]
    /// What came in at side 0, and at side 1.
    private let ways: [Way]
    private var interests: [Poller.Interest] = [.read, .read]
    private let poller: Poller
    private let token: Int
    private var isBroken = false

    init(_ near: Int32, _ far: Int32, poller: Poller, token: Int) throws {
        self.descriptors = [near, far]
        self.ways = [try Way(), try Way()]
        self.poller = poller
        self.token = token
        try poller.add(near, .read, token: token)
        try poller.add(far, .read, token: token + 1)
    }

    deinit {
        for descriptor in self.descriptors { close(descriptor) }
    }

    var hasEnded: Bool { self.isBroken || self.ways.allSatisfy(\.hasEnded) }

    /// When the next bytes have to leave; nil when there are none, or no room for them.
    var nextDue: UInt64? {
        (0..<2).compactMap { self.interests[1 - $0].contains(.write) ? nil : self.ways[$0].nextDue }.min()
    }

    /// - Parameter isDead: Whether the socket is closed both ways, or broken.
    func read(side: Int, due: UInt64, isDead: Bool) {
        if isDead, !self.ways[side].takesMore {
            // Nothing is left to read here, and epoll would go on saying so until the rest has been forwarded.
            return self.poller.remove(self.descriptors[side])
        }
        if !self.ways[side].read(self.descriptors[side], due: due) { self.isBroken = true }
    }

    func forward(_ now: UInt64) {
        guard !self.isBroken else { return }
        for side in 0..<2 {
            guard self.ways[side].forward(to: self.descriptors[1 - side], now) else {
                self.isBroken = true
                return
            }
        }
        for side in 0..<2 {
            var interest: Poller.Interest = self.ways[side].takesMore ? .read : []
            if self.ways[1 - side].isBlocked { interest.insert(.write) }
            guard interest != self.interests[side] else { continue }
            self.interests[side] = interest
            self.poller.change(self.descriptors[side], interest, token: self.token + side)
        }
    }
}
