internal import NIOCore
internal import TunnelTransport

/// How long the visitor may leave us waiting.
enum VisitorPatience: Equatable {
    /// Between requests: longer than the minute that load balancers keep a connection for the next one.
    case idle
    /// For the rest of a head.
    case head
    /// For more of a body.
    case body
    /// For the socket to take what was written.
    case writing
    /// For more of an answer to a visitor who has closed its direction, and may be gone.
    case halfClosed

    var time: TimeAmount {
        switch self {
        case .idle: .seconds(75)
        case .head: TransportLimits.greeting
        case .writing: TransportLimits.stalled
        case .body, .halfClosed: .seconds(60)
        }
    }
}
