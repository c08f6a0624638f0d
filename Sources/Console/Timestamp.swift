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
        var text: [UInt8] = []
        text.reserveCapacity(24)
        Self.write(utc: milliseconds, with: Self.utcSecond(milliseconds), into: &text)
        return String(decoding: text, as: UTF8.self)
    }

    // In two steps, for those who write many within a second.

    /// `2026-11-21T08:30:00` of a time in milliseconds.
    static func utcSecond(_ milliseconds: Int64) -> [UInt8] {
        let parts = Self.parts(milliseconds) { gmtime_r(&$0, &$1) }
        var text: [UInt8] = []
        Self.write(date: parts, into: &text)
        text.append(UInt8(ascii: "T"))
        Self.write(clock: parts, into: &text)
        return text
    }

    /// - Parameter second: What `utcSecond` says of it.
    static func write(utc milliseconds: Int64, with second: [UInt8], into text: inout [UInt8]) {
        text.append(contentsOf: second)
        Self.write(thousandths: milliseconds, into: &text)
        text.append(UInt8(ascii: "Z"))
    }

    /// The same where people are, without the day: `09:30:00`.
    static func localSecond(_ milliseconds: Int64) -> [UInt8] {
        let parts = Self.parts(milliseconds) { localtime_r(&$0, &$1) }
        var text: [UInt8] = []
        Self.write(clock: parts, into: &text)
        return text
    }

    /// `09:30:00.123`
    ///
    /// - Parameter second: What `localSecond` says of it.
    static func write(localClock milliseconds: Int64, with second: [UInt8], into text: inout [UInt8]) {
        text.append(contentsOf: second)
        Self.write(thousandths: milliseconds, into: &text)
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
        var text: [UInt8] = []
        Self.write(date: parts, into: &text)
        text.append(UInt8(ascii: " "))
        Self.write(clock: parts, into: &text)
        return String(decoding: text, as: UTF8.self)
    }

    // Digit by digit: every request of an HTTP tunnel may be a line of a log.

    private static func write(date parts: tm, into text: inout [UInt8]) {
        Self.write(Int(parts.tm_year) + 1_900, digits: 4, into: &text)
        text.append(UInt8(ascii: "-"))
        Self.write(Int(parts.tm_mon) + 1, digits: 2, into: &text)
        text.append(UInt8(ascii: "-"))
        Self.write(Int(parts.tm_mday), digits: 2, into: &text)
    }

    private static func write(clock parts: tm, into text: inout [UInt8]) {
        Self.write(Int(parts.tm_hour), digits: 2, into: &text)
        text.append(UInt8(ascii: ":"))
        Self.write(Int(parts.tm_min), digits: 2, into: &text)
        text.append(UInt8(ascii: ":"))
        Self.write(Int(parts.tm_sec), digits: 2, into: &text)
    }

    private static func write(thousandths milliseconds: Int64, into text: inout [UInt8]) {
        let value = UInt16(truncatingIfNeeded: (milliseconds % 1_000).magnitude)
        text.append(UInt8(ascii: "."))
        text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / 100))
        text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / 10 % 10))
        text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value % 10))
    }

    /// The last so many digits, zeros in front.
    private static func write(_ value: Int, digits: Int, into text: inout [UInt8]) {
        var unit = 1
        for _ in 1..<digits { unit *= 10 }
        while unit > 0 {
            text.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value.magnitude / UInt(unit) % 10))
            unit /= 10
        }
    }
}
