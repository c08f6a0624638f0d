/// A point on a monotonic clock, handed in by whoever owns the clock: nanoseconds since an epoch of theirs.
///
/// The rooms without I/O never ask for the time; in tests it is virtual.
package struct Instant: Hashable, Comparable, Sendable {
    package let nanoseconds: UInt64

    package init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    package static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// Saturates at the clock's epoch and at its end.
    package static func + (instant: Instant, duration: Duration) -> Instant {
        let nanoseconds = duration.wholeNanoseconds
        if nanoseconds >= 0 {
            let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(UInt64(nanoseconds))
            return Instant(nanoseconds: overflow ? .max : sum)
        }
        let back = nanoseconds.magnitude
        return Instant(nanoseconds: instant.nanoseconds > back ? instant.nanoseconds - back : 0)
    }

    /// The time from `earlier` to `later`; zero when `earlier` is not earlier.
    package static func - (later: Instant, earlier: Instant) -> Duration {
        guard later > earlier else { return .zero }
        return .nanoseconds(Int64(clamping: later.nanoseconds - earlier.nanoseconds))
    }
}

extension Duration {
    /// Nanoseconds, rounded toward zero and saturating at 292 years either way.
    package var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = self.components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, carried) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carried ? (seconds < 0 ? .min : .max) : sum
    }

    /// Whole milliseconds, zero for anything negative.
    package var wholeMilliseconds: UInt64 {
        UInt64(max(0, self.wholeNanoseconds) / 1_000_000)
    }
}
