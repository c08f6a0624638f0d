/// How far the two Close frames have come (RFC 6455 §5.5.1 and §7).
///
///             ┌─send─▶ closeSent ─────receive or violation─┐
///     open ───┼─receive──▶ closeReceived ──────send────────┼──▶ closed
///             └─violation──▶ failed ───────────send────────┘
///
/// After a violation the peer's own Close is not waited for (RFC 6455 §7.1.7).
struct CloseHandshake: Equatable, Sendable {
    private enum State {
        case open, closeSent, closeReceived, failed, closed
    }

    private var state = State.open

    /// True while the peer's frames count.
    var reads: Bool {
        switch self.state {
        case .open, .closeSent: true
        case .closeReceived, .failed, .closed: false
        }
    }

    /// True while no Close was sent. After the peer's Close a message that was begun may still be finished (§5.5.1).
    var sends: Bool {
        switch self.state {
        case .open, .closeReceived, .failed: true
        case .closeSent, .closed: false
        }
    }

    var isClosed: Bool { self.state == .closed }

    mutating func sent() {
        switch self.state {
        case .open: self.state = .closeSent
        case .closeReceived, .failed: self.state = .closed
        case .closeSent, .closed: preconditionFailure("a second Close frame was sent")
        }
    }

    mutating func received() {
        switch self.state {
        case .open: self.state = .closeReceived
        case .closeSent: self.state = .closed
        case .closeReceived, .failed, .closed: preconditionFailure("a frame was read after the last one")
        }
    }

    mutating func violated() {
        switch self.state {
        case .open: self.state = .failed
        case .closeSent: self.state = .closed
        case .closeReceived, .failed, .closed: preconditionFailure("a frame was read after the last one")
        }
    }
}
