internal import TunnelProtocol

/// Decides when files that belong together are read again, and when it is said that they cannot be used.
///
///     as read ──facts changed──▶ try ──usable──▶ as read
///        ▲                        │
///        │                    not usable
///        │                        ▼
///        └──patience is over── unsettled: try at every look
///
/// A certificate and its key are two files, and a file may be seen half written: what cannot be used is tried again without a word
/// for a while. After that it is reported once, and left alone until something changes.
struct FileWatch<Facts: Equatable> {
    /// The facts at the last reading that was final: used, or reported.
    private var settled: Facts
    /// Since when what lies there cannot be used.
    private var unsettledSince: Instant?

    /// Tools put a certificate and its key in place within a second, a person with two commands within a few.
    static var patience: Duration { .seconds(5) }

    init(_ facts: Facts) {
        self.settled = facts
    }

    /// Whether the files are to be read.
    func look(_ facts: Facts) -> Bool {
        self.unsettledSince != nil || facts != self.settled
    }

    /// They were read and can be used. `facts` were taken before.
    mutating func succeeded(_ facts: Facts) {
        self.settled = facts
        self.unsettledSince = nil
    }

    /// They were read and cannot be used.
    ///
    /// - Parameter isAsked: Somebody waits for the answer.
    /// - Returns: Whether to say so.
    mutating func failed(_ facts: Facts, now: Instant, isAsked: Bool) -> Bool {
        let since = self.unsettledSince ?? now
        guard isAsked || now - since >= Self.patience else {
            self.unsettledSince = since
            return false
        }
        self.settled = facts
        self.unsettledSince = nil
        return true
    }
}
