/// What connections that died have taught about their path: how long it bears silence before it cuts.
///
/// One death proves nothing: servers crash and cables are pulled at any moment. Two after about the same silence are the
/// path's doing (a NAT that forgets, a load balancer that tidies up), and PINGs then come at two thirds of it.
package struct PathMemory: Equatable, Sendable {
    /// What was learned, for one line of the log.
    package struct Lesson: Equatable, Sendable {
        /// About how long the path bears silence.
        package let silence: Duration
        /// Time between PINGs from now on.
        package let interval: Duration
    }

    /// A path that cuts after less is broken for everybody.
    private static let shortest = Duration.seconds(3)
    /// Silences remembered; the same one shows again soon.
    private static let remembered = 8

    private var silences: [Duration] = []
    /// Time between PINGs.
    package private(set) var interval: Duration

    package init(interval: Duration) {
        self.interval = interval
    }

    /// A connection ended without a word.
    ///
    /// - Parameter quiet: See `Keepalive.quiet(now:)`.
    package mutating func died(after quiet: Duration) -> Lesson? {
        guard quiet >= Self.shortest else { return nil }
        defer {
            self.silences.append(quiet)
            if self.silences.count > Self.remembered { self.silences.removeFirst() }
        }
        guard let similar = self.silences.last(where: { $0 >= quiet * 0.75 && $0 <= quiet * 1.25 }) else { return nil }
        let silence = min(similar, quiet)
        let interval = max(Self.shortest / 2, silence * (2.0 / 3))
        guard interval < self.interval * 0.9 else { return nil }
        self.interval = interval
        return Lesson(silence: silence, interval: interval)
    }
}
