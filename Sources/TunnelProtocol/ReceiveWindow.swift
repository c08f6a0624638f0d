/// The credit one stream has granted its peer.
///
///     granted ── bytes the peer may still send
///     unread  ── bytes received that the socket beyond has not taken
///
///     granted + unread <= size          (always)
///
/// Credit is returned when bytes are *taken*, never when they arrive; that is the whole of backpressure. It is
/// returned once half of where a window starts is free, so that small reads do not cost a frame each, and of a larger one an
/// eighth: its sender would have nothing left to send while the other half is still under way. A window whose half was used up
/// within two round trips holds its sender back: it doubles, up to its share and what the budget still has. Streams that share a
/// line have to be held back alike, or the one with the larger window gets more of it: a window that is used steadily grows to the
/// size of the largest.
package struct ReceiveWindow: Equatable, Sendable {
    package private(set) var size: Int
    package private(set) var granted: Int
    package private(set) var unread = 0
    /// Credit returned since `halfSince`, when that much last was half a window.
    private var returned = 0
    private var halfSince: Instant?

    package init(size: Int) {
        self.size = size
        self.granted = size
    }

    package mutating func receive(_ count: Int) throws(PeerViolation) {
        guard count <= self.granted else {
            throw PeerViolation(.flowControl, "\(count) bytes received with \(self.granted) granted")
        }
        self.granted -= count
        self.unread += count
    }

    /// The socket beyond has taken `count` bytes.
    ///
    /// - Parameters:
    ///   - roundTrip: The path's round trip as last measured.
    ///   - largest: The size of the largest window of the same link.
    ///   - budget: Growth is taken from it.
    /// - Returns: The credit to send, if it is time to.
    package mutating func take(_ count: Int, now: Instant, roundTrip: Duration, largest: Int = 0, budget: MemoryBudget) -> Int? {
        precondition(count <= self.unread, "took \(count) bytes of \(self.unread)")
        self.unread -= count
        // At least one byte: half of the smallest window is none, and a CREDIT of none is a violation.
        let free = self.size - self.granted - self.unread
        guard free >= max(1, min(self.size / 2, max(Limits.Implementation.initialWindowBytes / 2, self.size / 8))) else { return nil }
        self.returned += free
        if self.returned >= self.size / 2 {
            let time = max(roundTrip, Self.shortestRoundTrip) * 2
            if let halfSince, now - halfSince < (self.size < largest ? time * Self.steadiness : time) {
                self.size += budget.take(atMost: min(self.size, budget.share - self.size))
            }
            self.halfSince = now
            self.returned = 0
        }
        let credit = self.size - self.granted - self.unread
        self.granted += credit
        return credit
    }

    /// On loopback a PING takes 0.1 ms while both ends are idle; under load a turn of both loops takes about this.
    private static let shortestRoundTrip = Duration.microseconds(500)

    /// How much slower than the largest of its link a window may be used and still follow it: as one of sixteen streams.
    private static let steadiness = 16
}
