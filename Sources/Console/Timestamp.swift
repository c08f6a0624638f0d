#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The time of day.
package enum Timestamp {
    /// For logs and events: `2026-11-21T08:30:00.123Z` (RFC 3339).
    static func now() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        var seconds = time.tv_sec
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let milliseconds = Self.digits(Int(time.tv_nsec) / 1_000_000, 3)
        return "\(Self.date(parts))T\(Self.clock(parts)).\(milliseconds)Z"
    }

    /// For people, where they are: `2026-11-21 09:30:00`.
    package static func local() -> String {
        var seconds = time(nil)
        var parts = tm()
        tzset()
        localtime_r(&seconds, &parts)
        return "\(Self.date(parts)) \(Self.clock(parts))"
    }

    private static func date(_ parts: tm) -> String {
        "\(Self.digits(Int(parts.tm_year) + 1_900, 4))-\(Self.digits(Int(parts.tm_mon) + 1, 2))-\(Self.digits(Int(parts.tm_mday), 2))"
    }

    private static func clock(_ parts: tm) -> String {
        "\(Self.digits(Int(parts.tm_hour), 2)):\(Self.digits(Int(parts.tm_min), 2)):\(Self.digits(Int(parts.tm_sec), 2))"
    }

    private static func digits(_ value: Int, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }
}
