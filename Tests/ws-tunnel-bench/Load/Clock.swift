import Glibc

/// The monotonic clock.
enum Clock {
    /// Nanoseconds since some moment in the past. No system call: the kernel maps the clock into every process.
    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Nanoseconds.
    static func span(_ seconds: Double) -> UInt64 { UInt64(max(0, seconds) * 1e9) }

    /// Seconds from `start` until `end`.
    static func seconds(from start: UInt64, to end: UInt64) -> Double { Double(end &- start) / 1e9 }

    static func sleep(_ seconds: Double) { usleep(UInt32(max(0, seconds) * 1e6)) }
}
