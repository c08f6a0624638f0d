/// How long to wait before the next attempt to connect: exponential with full jitter, so that a thousand clients of a
/// server that comes back do not arrive together. It grows by half each time: with the delays doubled, one attempt in ten to
/// reach a server that is back after two seconds came later than five seconds.
package struct Backoff: Equatable, Sendable {
    private let first: Duration
    private let longest: Duration
    private var ceiling: Duration
    /// Attempts that failed since the last success.
    package private(set) var failures = 0

    package init(first: Duration = .milliseconds(500), longest: Duration = .seconds(30)) {
        self.first = first
        self.longest = longest
        self.ceiling = min(first, longest)
    }

    /// - Parameter random: In 0 ..< 1.
    package mutating func failed(random: Double) -> Duration {
        let ceiling = self.ceiling
        self.ceiling = min(self.longest, ceiling * 1.5)
        self.failures += 1
        return ceiling * min(1, max(0, random))
    }

    package mutating func succeeded() {
        self.failures = 0
        self.ceiling = min(self.first, self.longest)
    }
}
