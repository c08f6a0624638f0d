internal import TunnelTransport

/// How a session ended, and whether the next may go better.
struct SessionEnd: Sendable {
    enum Retry: Sendable {
        case always
        /// A mistake if it happens at first; an accident of the server's once it had worked.
        case onceConnected
        /// Likewise, then at most three times in a row and 30 s apart: wrong passwords in quick succession lock accounts.
        case sparingly
        case never
    }

    /// For `sparingly`, in a row and in time between two.
    static let sparingAttempts = 3
    static let sparingPause = Duration.seconds(30)

    let error: OperatorError
    let wasConnected: Bool
    let retry: Retry
    /// How long the server wants to be left alone.
    var pause = Duration.zero

    /// - Parameter refusals: Ends in a row that were to be retried sparingly, this one among them.
    func isFinal(hasConnected: Bool, refusals: Int) -> Bool {
        switch self.retry {
        case .always: false
        case .onceConnected: !hasConnected
        case .sparingly: !hasConnected || refusals >= Self.sparingAttempts
        case .never: true
        }
    }
}
