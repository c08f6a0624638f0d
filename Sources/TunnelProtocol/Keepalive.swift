/// Notices that a connection is dead, and keeps idle ones alive on paths that cut them.
///
///     quiet ──interval──▶ ping ──interval──▶ ping ...        silence for `timeout`: dead
///
/// PINGs go out at every interval whether or not other frames flow: some load balancers count only data, and each
/// answer measures the round trip.
package struct Keepalive: Equatable, Sendable {
    package enum Action: Equatable, Sendable {
        case wait
        /// Send PING with this payload.
        case ping(UInt64)
        case dead(silence: Duration)
    }

    private var interval: Duration
    private var timeout: Duration
    package private(set) var lastHeard: Instant
    private var nextPing: Instant
    private var counter: UInt64 = 0
    private var pingSent: Instant?
    /// When the first PING left that nothing has followed yet.
    private var questionSent: Instant?
    /// The shortest round trip seen: the path's own, without what waited in queues on the way.
    package private(set) var roundTrip: Duration?

    /// Answers that another PING follows soon: the first ones meet programs that have only just begun, and the path is no longer than the
    /// shortest of them.
    private var measurementsLeft = 3
    private static let measurementInterval = Duration.milliseconds(250)

    /// The first PING is due at once: it measures the path.
    package init(interval: Duration, timeout: Duration, now: Instant) {
        self.interval = interval
        self.timeout = timeout
        self.lastHeard = now
        self.nextPing = now
    }

    /// The peer would like PINGs at most this often: no more of them, and as much more patience.
    package mutating func relax(to interval: Duration) {
        if interval > Self.measurementInterval { self.measurementsLeft = 0 }
        guard interval > self.interval, self.interval > .zero else { return }
        self.timeout = self.timeout * (interval / self.interval)
        self.interval = interval
    }

    package var nextDeadline: Instant { min(self.nextPing, self.silenceDeadline) }

    /// When the peer, if nothing comes from it, is dead.
    package var silenceDeadline: Instant { self.lastHeard + self.timeout }

    /// Anything at all came from the peer.
    package mutating func heard(now: Instant) {
        self.lastHeard = now
        self.questionSent = nil
    }

    /// How long nothing had come from the peer when it was asked for a sign of life, or when the connection ended before that.
    package func quiet(now: Instant) -> Duration { (self.questionSent ?? now) - self.lastHeard }

    /// - Returns: The round trip, if this answers the latest PING.
    package mutating func pongReceived(_ payload: UInt64, now: Instant) -> Duration? {
        guard payload == self.counter, let sent = self.pingSent else { return nil }
        self.pingSent = nil
        let measured = now - sent
        self.roundTrip = min(self.roundTrip ?? measured, measured)
        if self.measurementsLeft > 0 {
            self.measurementsLeft -= 1
            self.nextPing = min(self.nextPing, now + Self.measurementInterval)
        }
        return measured
    }

    /// - Parameter jitter: In -1 ... 1; the next interval is that many tenths longer or shorter.
    package mutating func timeReached(now: Instant, jitter: Double) -> Action {
        guard now < self.silenceDeadline else { return .dead(silence: now - self.lastHeard) }
        guard now >= self.nextPing else { return .wait }
        self.nextPing = now + self.interval * (1 + 0.1 * min(1, max(-1, jitter)))
        return self.probe(now: now)
    }

    /// A PING out of turn.
    package mutating func probe(now: Instant) -> Action {
        self.counter += 1
        self.pingSent = now
        if self.questionSent == nil { self.questionSent = now }
        return .ping(self.counter)
    }
}
