internal import struct NIOCore.NIODeadline
internal import struct NIOCore.TimeAmount
package import TunnelProtocol

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

extension Instant {
    /// The event loops' monotonic clock.
    package static var now: Instant { Instant(nanoseconds: NIODeadline.now().uptimeNanoseconds) }

    var deadline: NIODeadline { NIODeadline.uptimeNanoseconds(self.nanoseconds) }
}

extension Duration {
    /// For the event loops; saturates at 292 years.
    var timeAmount: TimeAmount { .nanoseconds(self.wholeNanoseconds) }

    /// `12.3 ms`
    package var inMilliseconds: String {
        let tenths = self.wholeNanoseconds / 100_000
        return "\(tenths / 10).\(tenths % 10) ms"
    }
}

/// The time of day, for what people read: it may be set back.
package enum WallClock {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    package static var milliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}
