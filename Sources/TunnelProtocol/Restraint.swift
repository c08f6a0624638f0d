/// While somebody waits for short answers on a link, bulk keeps little of itself under way: what the peer has not acknowledged yet
/// waits in sockets on both sides, and everything small waits behind it.
///
///     free ──somebody waits, and much is unacknowledged──▶ holding bulk ──acknowledged, or nobody waits any more──▶ free
///
/// What a line needs to be full is not counted: twice its rate times its shortest round trip.
struct Restraint: Sendable {
    /// Whether somebody waits for short answers.
    var isAttentive = false
    /// Whether the last search found only bulk, and none of it may go.
    var isHolding = false
    private var bytesPerSecond = 0.0
    private var shortestRoundTrip: Duration?

    mutating func measured(_ roundTrip: Duration) {
        self.shortestRoundTrip = min(self.shortestRoundTrip ?? roundTrip, roundTrip)
    }

    mutating func measured(_ bytes: Int, in time: Duration) {
        self.bytesPerSecond = Double(bytes) / (time / .seconds(1))
    }

    /// Whether bulk has to wait with so much unacknowledged.
    func holdsBulk(unacknowledged bytes: Int) -> Bool {
        guard self.isAttentive, bytes >= Limits.Implementation.attentiveBytes else { return false }
        let line = self.bytesPerSecond * ((self.shortestRoundTrip ?? .zero) / .seconds(1)) * 2
        return Double(bytes - Limits.Implementation.attentiveBytes) >= line
    }

    /// Streams that are asked in one search whether they are short: more bulk than that at once makes everybody wait.
    static let searched = 256
}
