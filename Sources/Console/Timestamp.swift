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
        return Self.utc(Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// Of a time in milliseconds since 1970-01-01T00:00:00Z, likewise.
    package static func utc(_ milliseconds: Int64) -> String {
        let parts = Self.parts(milliseconds) { gmtime_r(&$0, &$1) }
        return "\(Self.date(parts))T\(Self.clock(parts)).\(Self.digits(Int(milliseconds % 1_000), 3))Z"
    }

    /// The same where people are, without the day: `09:30:00.123`.
    package static func localClock(_ milliseconds: Int64) -> String {
        let parts = Self.parts(milliseconds) { localtime_r(&$0, &$1) }
        return "\(Self.clock(parts)).\(Self.digits(Int(milliseconds % 1_000), 3))"
    }

    private static func parts(_ milliseconds: Int64, _ convert: (inout time_t, inout tm) -> Void) -> tm {
        var seconds = time_t(milliseconds / 1_000)
        var parts = tm()
        convert(&seconds, &parts)
        return parts
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
