internal import struct NIOCore.NIODeadline
internal import struct NIOCore.TimeAmount
package import TunnelProtocol

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
