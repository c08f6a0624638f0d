/// Counts what is done in a second, on one core.
struct Meter {
    /// Each measurement is made so often; the middle one counts.
    static let rounds = 5

    /// Of one round.
    let seconds: Double

    /// - Parameter body: Does something, and says how much.
    /// - Returns: That much per second.
    func rate(_ body: () throws -> Int) rethrows -> Double {
        _ = try body()
        return try (0..<Self.rounds).map { _ in
            let start = Clock.now
            let deadline = start + Clock.span(self.seconds)
            var count = 0
            var now = start
            while now < deadline {
                count += try body()
                now = Clock.now
            }
            return Double(count) / Clock.seconds(from: start, to: now)
        }.median
    }
}
