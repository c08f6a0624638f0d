/// How long to wait before the next attempt to connect: exponential with full jitter, so that a thousand clients of a
/// server that comes back do not arrive together.
package struct Backoff: Equatable, Sendable {
    private let first: Duration
    private let longest: Duration
    /// Attempts that failed since the last success.
    package private(set) var failures = 0

    package init(first: Duration = .milliseconds(500), longest: Duration = .seconds(30)) {
        self.first = first
        self.longest = longest
    }

    /// - Parameter random: In 0 ..< 1.
    package mutating func failed(random: Double) -> Duration {
        // 2^10 times the first delay is past any sensible longest one.
        let ceiling = min(self.longest, self.first * (1 << min(self.failures, 10)))
        self.failures += 1
        return ceiling * min(1, max(0, random))
    }

    package mutating func succeeded() {
        self.failures = 0
    }
}
